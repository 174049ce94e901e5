"""Loki records as OTLP logs in protobuf. Pure.

https://github.com/open-telemetry/opentelemetry-proto/blob/main/opentelemetry/proto/logs/v1/logs.proto
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import groupby
from struct import Struct
from typing import Any, Final

from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope

from litespan import semconv as s
from litespan.export import VERSION, known
from litespan.objects import utf8
from litespan.otlp.encoding import Unusual, attributes, field
from litespan_exporters.loki.record import Record, line_of

_SEVERITY: Final = {
    "info": b"\x10\x09\x1a\x04INFO",
    "warn": b"\x10\x0d\x1a\x04WARN",
    "error": b"\x10\x11\x1a\x05ERROR",
}
"""Fields `severity_number` and `severity_text`."""
_TIME: Final = Struct("<BQ").pack
_SAMPLED: Final = b"\x45\x01\x00\x00\x00"  # field `flags`
_SCOPE: Final = InstrumentationScope(name=s.SCOPE, version=VERSION).SerializeToString()


def request(pairs: Sequence[tuple[bytes, bytes]]) -> bytes:
    """An ExportLogsServiceRequest: records grouped by resource, as ResourceLogs."""
    written = []
    for resource, group in groupby(pairs, key=lambda pair: pair[0]):
        records = b"".join([field(b"\x12", record) for _, record in group])
        logs = field(b"\x12", field(b"\x0a", _SCOPE) + records)
        written.append(field(b"\x0a", field(b"\x0a", resource) + logs))
    return b"".join(written)


def to_otlp(record: Record) -> bytes:
    """The LogRecord; `resource_of` has the attributes that Loki indexes."""
    return b"".join(
        (
            _TIME(0x09, record.time_ns),
            _SEVERITY[record.level],
            field(b"\x2a", field(b"\x0a", line_of(record))),
            _SAMPLED,
            b"\x4a\x10" + bytes.fromhex(record.trace_id),
            b"\x52\x08" + bytes.fromhex(record.span_id),
            _TIME(0x59, record.time_ns),  # observed
            field(b"\x62", record.event.encode()),
            _attributes(record.metadata),
        )
    )


def _attributes(metadata: Mapping[str, Any]) -> bytes:
    try:
        return attributes(b"\x32", metadata)
    except (Unusual, UnicodeEncodeError):
        return attributes(b"\x32", {utf8(k): _encodable(v) for k, v in metadata.items()})


def _encodable(value: Any) -> bool | int | float | str:
    return value if type(value) in (bool, int, float) else utf8(str(value))


def resource_of(record: Record) -> bytes:
    """The Resource in protobuf: the service, without what differs by process, as a label would."""
    return _resource(record.labels.get(s.SERVICE_NAME), record.labels.get(s.ENVIRONMENT))


@lru_cache(maxsize=64)
def _resource(service: str | None, environment: str | None) -> bytes:
    named = known({s.SERVICE_NAME: service, s.ENVIRONMENT: environment})
    return attributes(b"\x0a", {name: utf8(value) for name, value in named.items()})
