"""Handing finished calls to the exporters whose lists they belong to."""

from collections.abc import Iterable, Sequence
from typing import Final

from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import StatusCode

from litespan import semconv as s
from litespan.errors import suppress_errors
from litespan.genai.conventions import STRUCTURE
from litespan.genai.span import GenAISpan, at_top, is_genai, is_router
from litespan.genai.without_content import has_content, sampled, stripped
from litespan.offload.process import prepared
from litespan.routing.destinations import Destination, StageList

_FAILED: Final = frozenset({"failure", "cancelled"})


class RoutingProcessor(SpanProcessor):
    """Gives each finished call to the exporters of its list, in batches like the SDK's.

    Calls only: what gives them structure, and other spans, are given to the exporters of
    `OTEL_TRACES_EXPORTER`. A provider's processors can not be taken away again: so there is one
    for good, and what it serves changes.
    """

    def __init__(self) -> None:
        self._batches: dict[Destination, BatchSpanProcessor] = {}

    def serve(self, destinations: Iterable[Destination]) -> None:
        """Serve these from now on; those that are not among them any more are ended."""
        wanted = [each for each in destinations if each.lists & {"success", "failure"}]
        before = self._batches
        self._batches = {
            each: before.get(each) or BatchSpanProcessor(Narrowing(each)) for each in wanted
        }
        for destination, batch in before.items():
            if destination not in self._batches:
                with suppress_errors("ending an exporter"):
                    batch.shutdown()

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Nothing: `litespan.routing.started_calls` tells of calls that start."""

    def on_end(self, span: ReadableSpan) -> None:
        """Enqueue the span where it belongs."""
        with suppress_errors("routing a span"):
            stage = list_of(span) if self._batches else None
            router = stage is None and is_router(span)
            if stage is None and not router:
                return
            muted = (span.attributes or {}).get(s.MUTE)
            for destination, batch in self._batches.items():
                wanted = _shows_routers(destination) if router else stage in destination.lists
                if wanted and not is_muted(destination.name, muted):
                    batch.on_end(span)

    def shutdown(self) -> None:
        """Export what waits, and end the exporters."""
        self.serve(())

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Export what waits."""
        done = [each.force_flush(timeout_millis) is not False for each in self._batches.values()]
        return all(done)


class Narrowing(SpanExporter):
    """Stands in front of an exporter, and gives it only what it is to have."""

    def __init__(self, destination: Destination) -> None:
        self._to = destination

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Pass on what is left of the spans."""
        kept = [span for span in map(self.narrow, spans) if span is not None]
        return self._to.exporter.export(prepared(kept)) if kept else SpanExportResult.SUCCESS

    def narrow(self, span: ReadableSpan) -> ReadableSpan | None:
        """The span as the exporter is to have it; None if it is not. A failing filter is a no."""
        to = self._to
        if _shows_routers(to):
            # It is given no other span above calls than the router's.
            span = span if s.ATTEMPT in (span.attributes or {}) else at_top(span)
        if (to.only is None and to.content >= 1.0) or is_router(span):
            return span
        with suppress_errors(f"narrowing what {to.name} is given"):
            read = GenAISpan.read(span)
            if read is None or (to.only is not None and not to.only(read)):
                return None
            if sampled(span, to.content) or not has_content(read):
                return span
            return stripped(span, read)
        return None

    def shutdown(self) -> None:
        """End the exporter."""
        self._to.exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Pass on."""
        return self._to.exporter.force_flush(timeout_millis)


def list_of(span: ReadableSpan) -> StageList | None:
    """The list that a finished span belongs to; None if it is no call."""
    attributes = span.attributes or {}
    if not is_genai(span) or attributes.get(s.OPERATION) in STRUCTURE:
        return None
    failed = attributes.get(s.OUTCOME) in _FAILED or span.status.status_code is StatusCode.ERROR
    return "failure" if failed else "success"


def _shows_routers(destination: Destination) -> bool:
    return bool(getattr(destination.exporter, "shows_routers", False))


def is_muted(name: str, muted: object) -> bool:
    """Whether a call says that exporter `name` is not to have it."""
    return isinstance(muted, (list, tuple)) and name in muted
