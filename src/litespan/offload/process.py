"""`LITESPAN_OFFLOAD`: every exporter of the process is given references for large content."""

from collections.abc import Iterator, Sequence
from typing import Any

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter

from litespan.errors import log_once, suppress_errors
from litespan.instrumentation.call import Call
from litespan.instrumentation.signals import Live
from litespan.instrumentation.stages import replace_watcher
from litespan.offload.content_store import Store
from litespan.offload.exporter import offloaded
from litespan.settings import Settings


class ProcessOffload:
    """Stands before the `export` of each exporter, from the first call on, until `remove`.

    Not earlier: by then the application has set up its exporters and fsspec. What it adds later
    is to be wrapped in `Offloading`.
    """

    store: Store | None = None
    above = 0

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._changed: list[Any] = []
        replace_watcher(None, self._first_call)

    def _first_call(self, _call: Call, _ctx: Context) -> None:
        replace_watcher(self._first_call)
        try:
            ProcessOffload.store = Store(self._settings.offload)
        except (ImportError, ValueError) as error:
            log_once("offload", "LITESPAN_OFFLOAD: %s; content stays on its spans", error)
            return
        ProcessOffload.above = self._settings.offload_above
        signals = Live.signals
        given = signals.providers[0] if signals is not None else None
        provider: Any = given or trace.get_tracer_provider()
        for exporter in _exporters(getattr(provider, "_active_span_processor", None)):
            self._stand_before(exporter)

    def _stand_before(self, exporter: Any) -> None:
        export = exporter.export
        exporter.export = lambda spans: export(prepared(spans))
        self._changed.append(exporter)

    def remove(self) -> None:
        """Give the exporters back as they were."""
        replace_watcher(self._first_call)
        ProcessOffload.store = None
        for exporter in self._changed:
            with suppress_errors("taking the offload away"):
                del exporter.export
        self._changed.clear()


def prepared(spans: Sequence[ReadableSpan]) -> Sequence[ReadableSpan]:
    """The spans as an exporter of this process is to have them."""
    store = ProcessOffload.store
    return spans if store is None else offloaded(spans, store, ProcessOffload.above)


def _exporters(processor: Any) -> Iterator[SpanExporter]:
    """The exporters behind a processor, and behind those that it leads to.

    The SDK does not tell; where it keeps them has changed once since 1.33.
    """
    for each in getattr(processor, "_span_processors", ()):
        yield from _exporters(each)
    batches = getattr(processor, "_batch_processor", None)
    exporter = getattr(processor, "span_exporter", None) or getattr(batches, "_exporter", None)
    if isinstance(exporter, SpanExporter):
        yield exporter
