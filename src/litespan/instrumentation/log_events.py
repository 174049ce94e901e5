"""Emits log events on every supported OpenTelemetry version.

Log records have an event name since API 1.35. In 1.33.1 they have none, and the SDK requires its
own record class. The name is therefore also recorded as the attribute `event.name`.
"""

import inspect
import json
import time
from collections.abc import Mapping
from typing import Any, Final

from opentelemetry import trace
from opentelemetry._logs import Logger, LogRecord, SeverityNumber
from opentelemetry.context import Context

from litespan import semconv as s
from litespan.errors import record_error
from litespan.generations import EVENTS, KINDS, V0_1_0
from litespan.instrumentation.signals import Signals
from litespan.mapping.failures import Failure

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


def emit_details(
    signals: Signals, attributes: Mapping[str, Any], content: Mapping[str, Any], context: Context
) -> None:
    """Emit the event with the details of a call and its content.

    In v0.1.0 it has severity DEBUG and structured content. SDKs whose log records have no event
    name drop structured values, so these get JSON text.
    """
    severity = SeverityNumber.INFO
    if signals.generation == V0_1_0:
        severity = SeverityNumber.DEBUG
        if _HAS_EVENT_NAME:
            content = {name: _structured(value) for name, value in content.items()}
    values = {**attributes, **content}
    emit_event(signals.logger, s.EVENT_DETAILS, values, context, severity=severity)


def _structured(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) else value


def emit_exception(
    signals: Signals, attributes: Mapping[str, Any], failure: Failure, context: Context
) -> None:
    """Emit the conventions' event for a failed call, in generations that have one."""
    kind = KINDS.get(attributes.get(s.OPERATION, ""), "other")
    name = signals.generation.added(EVENTS[f"{kind}.exception"])
    if name is None:
        return
    try:
        values = {s.EXCEPTION_TYPE: failure.type, s.EXCEPTION_MESSAGE: failure.message}
        emit_event(signals.logger, name, values, context, severity=SeverityNumber.WARN)
    except Exception as problem:  # noqa: BLE001 - the span has the failure
        record_error("recording an exception event", problem)


def _old_record(logger: Logger, values: dict[str, Any]) -> LogRecord:
    resource = getattr(logger, "resource", None)
    if resource is None:  # not the SDK's logger
        return LogRecord(**values)
    from opentelemetry.sdk import _logs

    record: LogRecord = _logs.LogRecord(resource=resource, **values)  # type: ignore[attr-defined]
    return record
