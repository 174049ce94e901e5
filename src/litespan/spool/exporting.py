"""What the spool needs to know of an exporter: its own settings, and what it has delivered."""

import os
from collections.abc import Collection, Sequence
from typing import Any, Final

from opentelemetry.instrumentation.utils import suppress_instrumentation
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from litespan.errors import suppress_errors
from litespan.export.policy import Tally, is_kept, retried

_DELAY: Final = 5.0  # s that records wait for others, as in the SDK's batches


def innermost(exporter: Any) -> Any:
    """The exporter itself, if `exporter` is a wrapper of litespan."""
    while isinstance(inner := getattr(exporter, "exporter", None), SpanExporter):
        exporter = inner
    return exporter


def delay_of(exporter: Any) -> float:
    """How long records wait for others, in s, as in the SDK's batches."""
    delay = getattr(exporter, "delay_ms", None)
    if delay is None:
        text = os.environ.get("OTEL_BSP_SCHEDULE_DELAY", "")
        delay = int(text) if text.isdecimal() else _DELAY * 1000
    return float(delay) / 1000


def export(
    exporter: SpanExporter, spans: Sequence[ReadableSpan], *, flush: bool
) -> Collection[str] | None:
    """Export spans. Returns the keys of those that the destination has; None for all.

    Args:
        exporter: any; its exceptions are logged and counted.
        spans: at least one.
        flush: whether the destination has them only once the exporter is flushed.
    """
    result = SpanExportResult.FAILURE
    with suppress_instrumentation(), suppress_errors("spool.export"):
        result = exporter.export(spans)
        if flush and not exporter.force_flush():
            result = SpanExportResult.FAILURE
    if result is SpanExportResult.SUCCESS:
        return None
    inner = innermost(exporter)
    tally = getattr(inner, "last", None)
    if not isinstance(tally, Tally):
        return ()
    retry = retried(inner)
    if tally.dropped and not any(is_kept(cause, retry) for cause in tally.dropped):
        return None  # refused for good, and counted by the exporter
    return tally.accepted
