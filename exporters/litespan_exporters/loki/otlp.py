"""Loki records as OTLP logs in protobuf. Pure."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import groupby
from typing import Any, Final

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

from litespan import semconv as s
from litespan.export import VERSION, otlp_bytes
from litespan_exporters.loki.record import Record, line_of, whole_text

_HAS_EVENT_NAME: Final = "event_name" in LogRecord.DESCRIPTOR.fields_by_name
_SEVERITY: Final = {"info": (9, "INFO"), "warn": (13, "WARN"), "error": (17, "ERROR")}
_SCOPE: Final = InstrumentationScope(name=s.SCOPE, version=VERSION).SerializeToString()


def request(pairs: Sequence[tuple[bytes, bytes]]) -> bytes:
    """An ExportLogsServiceRequest: records grouped by resource, as ResourceLogs."""
    field = otlp_bytes.field
    written = []
    for resource, group in groupby(pairs, key=lambda pair: pair[0]):
        records = b"".join([field(b"\x12", record) for _, record in group])
        logs = field(b"\x12", field(b"\x0a", _SCOPE) + records)
        written.append(field(b"\x0a", field(b"\x0a", resource) + logs))
    return b"".join(written)


def to_otlp(record: Record) -> bytes:
    """The LogRecord in protobuf; `resource_of` has the attributes that Loki indexes."""
    number, text = _SEVERITY[record.level]
    written: bytes = LogRecord(
        time_unix_nano=record.time_ns,
        observed_time_unix_nano=record.time_ns,
        severity_number=number,  # type: ignore[arg-type]
        severity_text=text,
        body=AnyValue(string_value=line_of(record)),
        trace_id=bytes.fromhex(record.trace_id),
        span_id=bytes.fromhex(record.span_id),
        flags=1,
        **_named(record.event),
    ).SerializeToString()
    return written + _attributes(record.metadata)


def _attributes(metadata: Mapping[str, Any]) -> bytes:
    """The attributes of a LogRecord."""
    try:
        return otlp_bytes.attributes(b"\x32", metadata)
    except (otlp_bytes.Unusual, UnicodeEncodeError):
        pairs = [pair(name, value) for name, value in metadata.items()]
        written: bytes = LogRecord(attributes=pairs).SerializeToString()
        return written


def _named(event: str) -> dict[str, Any]:
    """The event name, a field since OpenTelemetry 1.34. Loki reads the attribute."""
    return {"event_name": event} if _HAS_EVENT_NAME else {}


def resource_of(record: Record) -> bytes:
    """The Resource in protobuf: the service, without what differs by process, as a label would."""
    return _resource(record.labels.get(s.SERVICE_NAME), record.labels.get(s.ENVIRONMENT))


@lru_cache(maxsize=64)
def _resource(service: str | None, environment: str | None) -> bytes:
    named = ((s.SERVICE_NAME, service), (s.ENVIRONMENT, environment))
    found = {name: whole_text(value) for name, value in named if value is not None}
    return otlp_bytes.attributes(b"\x0a", found)


def pair(name: str, value: Any) -> KeyValue:
    """An attribute in protobuf."""
    if isinstance(value, bool):
        held = AnyValue(bool_value=value)
    elif isinstance(value, int) and -(2**63) <= value < 2**63:
        held = AnyValue(int_value=value)
    elif isinstance(value, float):
        held = AnyValue(double_value=value)
    else:
        held = AnyValue(string_value=whole_text(str(value)))
    return KeyValue(key=whole_text(name), value=held)
