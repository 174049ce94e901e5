"""Converts recorded calls back to spans, to export them again."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

from litespan import semconv as s
from litespan.objects import encoded
from litespan.stores.records import moment

CONTENT: Final = {
    "input_messages": s.INPUT_MESSAGES,
    "output_messages": s.OUTPUT_MESSAGES,
    "system_instructions": s.SYSTEM_INSTRUCTIONS,
    "tool_definitions": s.TOOL_DEFINITIONS,
}
_SERVICE: Final = {
    "service_name": s.SERVICE_NAME,
    "service_version": s.SERVICE_VERSION,
    "environment": s.ENVIRONMENT,
}


def span_of(record: Mapping[str, Any]) -> ReadableSpan:
    """Convert a record (see `litespan.stores.reading`) to a span for exporters.

    Ids, times (in microseconds), attributes, content, stages, error, service and key are those of
    the recorded span.
    """
    attributes: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in (record["attributes"] or {}).items()
    }
    for column, name in CONTENT.items():
        if record[column] is not None:
            attributes[name] = encoded(record[column])
    failed = record["error_type"] is not None
    service = {name: record[column] for column, name in _SERVICE.items() if record[column]}
    trace_id, parent = int(record["trace_id"], 16), record["parent_span_id"]
    return ReadableSpan(
        name=record["span_name"] or "",
        context=SpanContext(trace_id, int(record["span_id"], 16), False, TraceFlags(1)),
        parent=SpanContext(trace_id, int(parent, 16), False, TraceFlags(1)) if parent else None,
        resource=Resource(service),
        attributes=attributes,
        events=tuple(sorted(_events(record), key=lambda event: event.timestamp)),
        kind=SpanKind.CLIENT,
        status=Status(StatusCode.ERROR, record["error_message"]) if failed else Status(),
        start_time=_ns(record["start_time"]),
        end_time=_end(record),
        instrumentation_scope=InstrumentationScope(record["scope"] or s.SCOPE),
    )


def _events(record: Mapping[str, Any]) -> Iterator[Event]:
    for stage in record["stages"] or ():
        yield Event(s.STAGE_PREFIX + stage["name"], stage["attributes"], stage["time_ns"])
    if record["error_type"] is not None:
        exception = {
            s.EXCEPTION_TYPE: record["error_type"],
            s.EXCEPTION_MESSAGE: record["error_message"] or "",
        }
        yield Event(s.EVENT_EXCEPTION, exception, _end(record))


def _end(record: Mapping[str, Any]) -> int | None:
    """From the duration, which is more precise than the stored times."""
    if record["duration_s"] is None:
        return None
    duration: float = record["duration_s"]
    return _ns(record["start_time"]) + round(duration * 1e9)


def _ns(text: str) -> int:
    at = moment(text)
    whole = int(at.replace(microsecond=0).timestamp())
    return whole * 10**9 + at.microsecond * 1000
