"""The spool: finished calls on disk until each exporter has delivered them."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.sdk.trace import SpanProcessor
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter

from litespan.instrumentation.signals import Live
from litespan.settings import Settings

if TYPE_CHECKING:
    from litespan.spool.processor import SpoolProcessor
    from litespan.spool.recorder import Recorder

__all__ = ["batches"]

# The other modules are imported on first use: without a spool, nothing needs SQLite and protobuf.
_recorders: Final[dict[Path, "Recorder"]] = {}


def batches(exporter: SpanExporter, spool: str | None = None) -> SpanProcessor:
    """A span processor that sends spans to an exporter in batches, by way of the spool if it is on.

        provider.add_span_processor(batches(HeliconeExporter(), "spool"))

    Without a spool, it is the SDK's `BatchSpanProcessor`.

    Args:
        exporter: receives the spans.
        spool: the folder; default `LITESPAN_SPOOL`.
    """
    live = Live.signals
    settings = live.settings if live is not None else Settings.from_env()
    folder = settings.spool if spool is None else spool
    if folder and uses_spool(exporter):
        return through_spool(exporter, folder, settings)
    delay = getattr(exporter, "delay_ms", None)
    return BatchSpanProcessor(exporter, schedule_delay_millis=delay)


def through_spool(
    exporter: SpanExporter, folder: str, settings: Settings, replaced: SpanProcessor | None = None
) -> "SpoolProcessor":
    """A `SpoolProcessor` for an exporter, in place of the SDK's processor `replaced`."""
    from litespan.spool.exporting import innermost
    from litespan.spool.processor import SpoolProcessor

    recorder = recorder_for(folder, settings)
    return SpoolProcessor(exporter, recorder.join(name_of(innermost(exporter))), recorder, replaced)


def recorder_for(folder: str, settings: Settings) -> "Recorder":
    """The recorder of a folder: one for each process."""
    from litespan.spool.directory import Directory
    from litespan.spool.limits import Limits
    from litespan.spool.recorder import Recorder

    path = Path(folder).expanduser().absolute()
    if path not in _recorders:
        limits = Limits(settings.spool_max_bytes, settings.spool_max_age, settings.spool_sync)
        _recorders[path] = Recorder(Directory(path, limits))
    return _recorders[path]


def uses_spool(exporter: Any) -> bool:
    """Whether an exporter is on, and delivers what it gets."""
    from litespan.spool.exporting import innermost

    inner = innermost(exporter)
    return bool(getattr(inner, "spools", True)) and not getattr(inner, "problem", "")


def name_of(exporter: Any) -> str:
    """The exporter's name in `OTEL_TRACES_EXPORTER`, else its class."""
    name = getattr(exporter, "name", None)
    if isinstance(name, str) and name:
        return name
    kind = type(exporter).__name__
    return "otlp" if kind == "OTLPSpanExporter" else kind
