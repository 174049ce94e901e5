"""OTLP messages as plain dicts, for comparisons in tests.

https://opentelemetry.io/docs/specs/otlp/
"""

from collections.abc import Iterable
from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span as SpanMessage
from opentelemetry.proto.trace.v1.trace_pb2 import Status

Record = dict[str, Any]
"""One span, metric point or log record."""


def spans(request: ExportTraceServiceRequest) -> list[Record]:
    """The spans, ordered by end time.

    Keys: `name`, `kind` ("CLIENT", …), `status` ("UNSET" | "OK" | "ERROR"), `description`,
    `attributes`, `events` (`name`, `time`, `attributes`), `trace_id`, `span_id`, `parent` (hex;
    None for a root), `links` (span ids), `start` and `end` (ns since the epoch), `scope` (the
    instrumentation's name).
    """
    found = [
        {
            "name": span.name,
            "kind": SpanMessage.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_"),
            "status": Status.StatusCode.Name(span.status.code).removeprefix("STATUS_CODE_"),
            "description": span.status.message,
            "attributes": attributes(span.attributes),
            "events": [
                {
                    "name": event.name,
                    "time": event.time_unix_nano,
                    "attributes": attributes(event.attributes),
                }
                for event in span.events
            ],
            "trace_id": span.trace_id.hex(),
            "span_id": span.span_id.hex(),
            "parent": span.parent_span_id.hex() or None,
            "links": [link.span_id.hex() for link in span.links],
            "start": span.start_time_unix_nano,
            "end": span.end_time_unix_nano,
            "scope": scoped.scope.name,
        }
        for resource in request.resource_spans
        for scoped in resource.scope_spans
        for span in scoped.spans
    ]
    return sorted(found, key=lambda span: span["end"])


def metrics(request: ExportMetricsServiceRequest) -> list[Record]:
    """The metric points.

    Keys: `name`, `unit`, `attributes`; of a histogram also `count`, `sum` and `bounds`, of a sum
    or a gauge `value`.
    """
    return [
        {"name": metric.name, "unit": metric.unit, **_point(point)}
        for resource in request.resource_metrics
        for scoped in resource.scope_metrics
        for metric in scoped.metrics
        for point in getattr(metric, str(metric.WhichOneof("data"))).data_points
    ]


def logs(request: ExportLogsServiceRequest) -> list[Record]:
    """The log records, in order.

    Keys: `event` (its name), `severity`, `body`, `attributes`, `time` (ns since the epoch),
    `trace_id`, `span_id`.
    """
    found = []
    for resource in request.resource_logs:
        for scoped in resource.scope_logs:
            for log in scoped.log_records:
                found_attributes = attributes(log.attributes)
                # An SDK without the field writes the event's name as an attribute.
                named = found_attributes.pop("event.name", "")
                found.append(
                    {
                        "event": getattr(log, "event_name", "") or named,
                        "severity": log.severity_text,
                        "body": value(log.body),
                        "attributes": found_attributes,
                        "time": log.time_unix_nano,
                        "trace_id": log.trace_id.hex(),
                        "span_id": log.span_id.hex(),
                    }
                )
    return found


def attributes(pairs: Iterable[KeyValue]) -> Record:
    """Key-value pairs as a dict."""
    return {pair.key: value(pair.value) for pair in pairs}


def value(any_value: AnyValue) -> Any:
    """A value as a Python object; arrays are lists."""
    kind = any_value.WhichOneof("value")
    if kind == "array_value":
        return [value(item) for item in any_value.array_value.values]
    if kind == "kvlist_value":
        return attributes(any_value.kvlist_value.values)
    return getattr(any_value, kind) if kind else None


def _point(point: Any) -> Record:
    record = {"attributes": attributes(point.attributes)}
    if "explicit_bounds" in point.DESCRIPTOR.fields_by_name:
        bounds = list(point.explicit_bounds)
        return {**record, "count": point.count, "sum": point.sum, "bounds": bounds}
    return {**record, "value": getattr(point, str(point.WhichOneof("value")))}
