"""`LITESPAN_OFFLOAD`: content offload for every exporter of the process."""

from collections.abc import Iterator, Sequence
from typing import Any

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter

from litespan.errors import log_once, suppress_errors
from litespan.export.provider import exporter_of
from litespan.instrumentation.call import Call
from litespan.instrumentation.signals import Live
from litespan.instrumentation.stages import replace_watcher
from litespan.offload.content_store import Store
from litespan.offload.exporter import offloaded
from litespan.settings import Settings


class ProcessOffload:
    """Wraps the `export` method of each exporter at the first call, until `remove`.

    By then the application has set up its exporters and fsspec. Exporters that it adds later
    must be wrapped in `Offloading`.
    """

    store: Store | None = None
    above = 0

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._wrapped: list[Any] = []
        replace_watcher(None, self._first_call)

    def _first_call(self, _call: Call, _ctx: Context) -> None:
        replace_watcher(self._first_call)
        try:
            ProcessOffload.store = Store(self._settings.offload)
        except (ImportError, ValueError) as error:
            log_once("offload", "LITESPAN_OFFLOAD: %s; content stays on spans", error)
            return
        ProcessOffload.above = self._settings.offload_above
        signals = Live.signals
        own = signals.providers[0] if signals is not None else None
        provider: Any = own or trace.get_tracer_provider()
        for exporter in _exporters(getattr(provider, "_active_span_processor", None)):
            if exporter not in self._wrapped:  # two processors may share it
                with suppress_errors("offloading the content of an exporter"):
                    self._wrap(exporter)

    def _wrap(self, exporter: Any) -> None:
        export = exporter.export
        exporter.export = lambda spans: export(offload_spans(spans))
        self._wrapped.append(exporter)

    def remove(self) -> None:
        """Restore the exporters' own `export` methods."""
        replace_watcher(self._first_call)
        ProcessOffload.store = None
        for exporter in self._wrapped:
            with suppress_errors("removing content offload"):
                del exporter.export
        self._wrapped.clear()


def offload_spans(spans: Sequence[ReadableSpan]) -> Sequence[ReadableSpan]:
    """The spans with references, if `LITESPAN_OFFLOAD` is in use; else unchanged."""
    store = ProcessOffload.store
    return spans if store is None else offloaded(spans, store, ProcessOffload.above)


def _exporters(processor: Any) -> Iterator[SpanExporter]:
    """The exporters of a span processor and of the processors inside it."""
    for each in getattr(processor, "_span_processors", ()):
        yield from _exporters(each)
    exporter = exporter_of(processor)
    if exporter is not None:
        yield exporter
