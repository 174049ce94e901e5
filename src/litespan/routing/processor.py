"""Sends finished calls to the exporters of their stage list."""

from collections.abc import Iterable, Sequence
from typing import Final

from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.trace import StatusCode

from litespan import semconv as s
from litespan.errors import suppress_errors
from litespan.genai.conventions import STRUCTURE
from litespan.genai.copying import at_top, has_content, sampled, stripped
from litespan.genai.span import GenAISpan, is_genai, is_router
from litespan.genai.values import strings
from litespan.offload.process import offload_spans
from litespan.routing.destinations import Destination, StageList
from litespan.spool import batches

_FAILED: Final = frozenset({"failure", "cancelled"})


class RoutingProcessor(SpanProcessor):
    """Sends each finished call to the exporters of its list, in the SDK's batches.

    Only the exporters in `OTEL_TRACES_EXPORTER` receive other spans, such as workflows. A span
    processor cannot be removed from its provider, so there is one whose destinations change.
    """

    def __init__(self) -> None:
        self._batches: dict[Destination, SpanProcessor] = {}

    def set_destinations(self, destinations: Iterable[Destination]) -> None:
        """Replace the destinations; shut down those that are no longer used."""
        before = self._batches
        # An exporter that stays in the input list only must not be shut down.
        wanted = [each for each in destinations if each.lists != {"input"} or each in before]
        self._batches = {each: before.get(each) or batches(Narrowing(each)) for each in wanted}
        for destination, batch in before.items():
            if destination not in self._batches:
                with suppress_errors("shutting down an exporter"):
                    batch.shutdown()

    def on_end(self, span: ReadableSpan) -> None:
        """Queue the span for its exporters."""
        with suppress_errors("routing a span"):
            seen = getattr(span, "early", span)
            stage = list_of(seen) if self._batches else None
            router = stage is None and is_router(seen)
            if stage is None and not router:
                return
            muted = strings(seen.attributes or {}, s.MUTE)
            for destination, batch in self._batches.items():
                wanted = _shows_routers(destination) if router else stage in destination.lists
                if wanted and destination.name not in muted:
                    batch.on_end(span)

    def shutdown(self) -> None:
        """Export pending spans, and shut down the exporters."""
        self.set_destinations(())

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Export pending spans."""
        done = [each.force_flush(timeout_millis) is not False for each in self._batches.values()]
        return all(done)


class Narrowing(SpanExporter):
    """Wraps an exporter: filters its spans and strips their content."""

    def __init__(self, destination: Destination) -> None:
        self._destination = destination
        self.exporter = destination.exporter

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Export what is left of the spans."""
        kept = [span for span in map(self.narrow, spans) if span is not None]
        if not kept:
            return SpanExportResult.SUCCESS
        return self.exporter.export(offload_spans(kept))

    def narrow(self, span: ReadableSpan) -> ReadableSpan | None:
        """The span as the exporter receives it; None if it is excluded or the filter fails."""
        destination = self._destination
        if _shows_routers(destination):
            # Of the spans above calls, the exporter receives the router's only.
            span = span if s.ATTEMPT in (span.attributes or {}) else at_top(span)
        if (destination.only is None and destination.content >= 1.0) or is_router(span):
            return span
        with suppress_errors(f"filtering spans for {destination.name}"):
            read = GenAISpan.read(span)
            if read is None or (destination.only is not None and not destination.only(read)):
                return None
            if sampled(span, destination.content) or not has_content(read):
                return span
            return stripped(span, read)
        return None

    def shutdown(self) -> None:
        """Shut down the exporter."""
        self.exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Flush the exporter."""
        return self.exporter.force_flush(timeout_millis)


def list_of(span: ReadableSpan) -> StageList | None:
    """The stage list of a finished span; None if it is not a call."""
    attributes = span.attributes or {}
    if not is_genai(span) or attributes.get(s.OPERATION) in STRUCTURE:
        return None
    failed = attributes.get(s.OUTCOME) in _FAILED or span.status.status_code is StatusCode.ERROR
    return "failure" if failed else "success"


def _shows_routers(destination: Destination) -> bool:
    return bool(getattr(destination.exporter, "shows_routers", False))
