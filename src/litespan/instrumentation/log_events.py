"""Emits log events on every supported OpenTelemetry version.

Log records have an event name since API 1.35. In 1.33.1 they have none, and the SDK requires its
own record class. The name is therefore also recorded as the attribute `event.name`.
"""

import inspect
import time
from typing import Any, Final

from opentelemetry import trace
from opentelemetry._logs import Logger, LogRecord, SeverityNumber
from opentelemetry.context import Context

EVENT_NAME: Final = "event.name"
_HAS_EVENT_NAME: Final = "event_name" in inspect.signature(LogRecord.__init__).parameters


def emit_event(
    logger: Logger,
    name: str,
    attributes: dict[str, Any],
    context: Context,
    *,
    timestamp: int | None = None,
    severity: SeverityNumber = SeverityNumber.INFO,
) -> None:
    """Emit the event `name`, correlated with the span in `context`.

    `timestamp` is in ns since the epoch, by default now.
    """
    now = time.time_ns()
    values: dict[str, Any] = {
        "timestamp": now if timestamp is None else timestamp,
        "observed_timestamp": now,
        "severity_number": severity,
        "severity_text": severity.name,
        "attributes": {EVENT_NAME: name, **attributes},
    }
    if _HAS_EVENT_NAME:
        logger.emit(LogRecord(event_name=name, context=context, **values))
        return
    span = trace.get_current_span(context).get_span_context()
    values.update(trace_id=span.trace_id, span_id=span.span_id, trace_flags=span.trace_flags)
    logger.emit(_old_record(logger, values))


def _old_record(logger: Logger, values: dict[str, Any]) -> LogRecord:
    resource = getattr(logger, "resource", None)
    if resource is None:  # not the SDK's logger
        return LogRecord(**values)
    from opentelemetry.sdk import _logs

    record: LogRecord = _logs.LogRecord(resource=resource, **values)  # type: ignore[attr-defined]
    return record
