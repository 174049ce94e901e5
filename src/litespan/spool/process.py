"""`LITESPAN_SPOOL`: the spool for the exporters that the SDK has set up, and for handlers."""

from typing import Any

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from litespan.callbacks import keeping
from litespan.callbacks.dispatcher import Dispatcher
from litespan.errors import log_once, suppress_errors
from litespan.export.provider import exporter_of
from litespan.instrumentation.call import Call
from litespan.instrumentation.signals import Live
from litespan.instrumentation.stages import replace_watcher
from litespan.settings import Settings
from litespan.spool import recorder_for, through_spool, uses_spool
from litespan.spool.handlers import HandlerKeeper
from litespan.spool.processor import SpoolProcessor


class ProcessSpool:
    """Replaces the SDK's batch processors, at once and at the first call, until `remove`.

    At the first call, the application has set up its exporters. Those that it adds later need
    `litespan.spool.batches`.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._changed: list[Any] = []  # what holds the processors
        self._replace()
        replace_watcher(None, self._first_call)
        keeping.start(self._keeper)

    def _keeper(self, dispatcher: Dispatcher) -> HandlerKeeper:
        return HandlerKeeper(dispatcher, recorder_for(self._settings.spool, self._settings))

    def _first_call(self, _call: Call, _ctx: Context) -> None:
        replace_watcher(self._first_call)
        self._replace()

    def _replace(self) -> None:
        signals = Live.signals
        own = signals.providers[0] if signals is not None else None
        provider: Any = own or trace.get_tracer_provider()
        holder = getattr(provider, "_active_span_processor", None)
        if not isinstance(getattr(holder, "_span_processors", None), tuple):
            if not isinstance(provider, trace.ProxyTracerProvider):
                log_once(
                    "spool.provider",
                    "LITESPAN_SPOOL: litespan does not know this tracer provider, so its exporters "
                    "do not use the spool: use litespan.spool.batches(exporter)",
                )
            return
        with suppress_errors("spool.replacing"):
            self._exchange(holder, self._replacement)
            self._changed.append(holder)

    def _replacement(self, processor: Any) -> Any:
        exporter = exporter_of(processor)
        if type(processor) is not BatchSpanProcessor or exporter is None:
            return processor
        if not uses_spool(exporter):
            return processor
        return through_spool(exporter, self._settings.spool, self._settings, processor)

    @staticmethod
    def _exchange(holder: Any, replacement: Any) -> None:
        """Replace processors where the SDK keeps them: it has no public API for this."""
        with holder._lock:  # noqa: SLF001
            holder._span_processors = tuple(map(replacement, holder._span_processors))  # noqa: SLF001

    def remove(self) -> None:
        """Restore the SDK's processors; what is not delivered stays in the spool."""
        replace_watcher(self._first_call)
        keeping.stop()
        for holder in self._changed:
            with suppress_errors("spool.restoring"):
                replaced = [p for p in holder._span_processors if _is_ours(p)]  # noqa: SLF001
                self._exchange(holder, lambda p: p.batches if _is_ours(p) else p)
                for processor in replaced:
                    processor.close()
        self._changed.clear()


def _is_ours(processor: Any) -> bool:
    return isinstance(processor, SpoolProcessor) and processor.batches is not None
