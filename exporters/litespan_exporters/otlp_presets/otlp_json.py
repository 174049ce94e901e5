"""OTLP as JSON, for services that do not read protobuf.

https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding
"""

import base64
from typing import Any, Final

from google.protobuf.json_format import MessageToDict  # type: ignore[import-untyped]
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from litespan.export import dumps

_IDS: Final = ("traceId", "spanId", "parentSpanId")


def as_json(body: bytes) -> bytes:
    """An ExportTraceServiceRequest in protobuf as JSON. Pure."""
    request = MessageToDict(ExportTraceServiceRequest.FromString(body), use_integers_for_enums=True)
    for resource in request.get("resourceSpans", ()):
        for scope in resource.get("scopeSpans", ()):
            for span in scope.get("spans", ()):
                for holder in (span, *span.get("links", ())):
                    _hex_ids(holder)
    return dumps(request)


def _hex_ids(holder: dict[str, Any]) -> None:
    """Replace base64 of protobuf's JSON by hexadecimal, as OTLP asks for."""
    for name in _IDS:
        if name in holder:
            holder[name] = base64.b64decode(holder[name]).hex()
