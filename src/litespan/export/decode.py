"""Converts OTLP request bodies to `ReadableSpan`s, as the sender's SDK had them. Pure.

https://opentelemetry.io/docs/specs/otlp/#otlphttp
"""

import base64
import json
from collections.abc import Iterable
from typing import Any, Final

from google.protobuf.json_format import ParseDict, ParseError  # type: ignore[import-untyped]
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span as SpanMessage
from opentelemetry.proto.trace.v1.trace_pb2 import SpanFlags
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import (
    Link,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    TraceState,
)

JSON: Final = "application/json"
PROTOBUF: Final = "application/x-protobuf"

_IDS: Final = frozenset({"traceId", "spanId", "parentSpanId"})  # hex; other bytes are base64
_KINDS: Final = {
    SpanMessage.SPAN_KIND_SERVER: SpanKind.SERVER,
    SpanMessage.SPAN_KIND_CLIENT: SpanKind.CLIENT,
    SpanMessage.SPAN_KIND_PRODUCER: SpanKind.PRODUCER,
    SpanMessage.SPAN_KIND_CONSUMER: SpanKind.CONSUMER,
}


class Undecodable(ValueError):
    """The body is not an OTLP trace request; the message says why."""


def read_request(body: bytes, content_type: str) -> ExportTraceServiceRequest:
    """Decode a request body, protobuf or JSON. Raises Undecodable."""
    request: ExportTraceServiceRequest
    if content_type == PROTOBUF:
        try:
            request = ExportTraceServiceRequest.FromString(body)
            return request
        except DecodeError as error:
            raise Undecodable("the body is not an ExportTraceServiceRequest in protobuf") from error
    if content_type != JSON:
        raise Undecodable(f"the content type must be {PROTOBUF} or {JSON}")
    try:
        message = _with_base64_ids(_object(body))
        request = ParseDict(message, ExportTraceServiceRequest(), ignore_unknown_fields=True)
    except (ValueError, TypeError, ParseError, RecursionError) as error:
        raise Undecodable("the body is not an ExportTraceServiceRequest in JSON") from error
    return request


def _object(body: bytes) -> dict[str, Any]:
    parsed = json.loads(body)
    if not isinstance(parsed, dict):  # ParseDict accepts some other values as empty
        raise TypeError("not a JSON object")
    return parsed


def to_spans(request: ExportTraceServiceRequest) -> list[ReadableSpan]:
    """All spans of the request, finished, with resource and scope."""
    spans: list[ReadableSpan] = []
    for batch in request.resource_spans:
        resource = Resource(_attributes(batch.resource.attributes), batch.schema_url or None)
        for scoped in batch.scope_spans:
            scope = InstrumentationScope(
                scoped.scope.name,
                scoped.scope.version or None,
                scoped.schema_url or None,
                _attributes(scoped.scope.attributes),
            )
            spans += [_span(span, resource, scope) for span in scoped.spans]
    return spans


def _span(span: SpanMessage, resource: Resource, scope: InstrumentationScope) -> ReadableSpan:
    parent = None
    if span.parent_span_id:
        parent = _context(span.trace_id, span.parent_span_id, remote=_is_remote(span))
    return ReadableSpan(
        name=span.name,
        context=_context(span.trace_id, span.span_id, state=span.trace_state),
        parent=parent,
        resource=resource,
        attributes=_attributes(span.attributes),
        events=[
            Event(event.name, _attributes(event.attributes), event.time_unix_nano)
            for event in span.events
        ],
        links=[
            Link(_context(link.trace_id, link.span_id), _attributes(link.attributes))
            for link in span.links
        ],
        kind=_KINDS.get(span.kind, SpanKind.INTERNAL),
        status=_status(span),
        start_time=span.start_time_unix_nano,
        end_time=span.end_time_unix_nano,
        instrumentation_scope=scope,
    )


def _status(span: SpanMessage) -> Status:
    code = StatusCode(span.status.code) if span.status.code in (1, 2) else StatusCode.UNSET
    return Status(code, span.status.message or None if code is StatusCode.ERROR else None)


def _is_remote(span: SpanMessage) -> bool:
    """Whether the parent is in another process, by the span's flags.

    Older senders set no flags; then the parent of a server or consumer span is remote.
    """
    if span.flags & SpanFlags.SPAN_FLAGS_CONTEXT_HAS_IS_REMOTE_MASK:
        return bool(span.flags & SpanFlags.SPAN_FLAGS_CONTEXT_IS_REMOTE_MASK)
    return span.kind in (SpanMessage.SPAN_KIND_SERVER, SpanMessage.SPAN_KIND_CONSUMER)


def _context(
    trace_id: bytes, span_id: bytes, *, remote: bool = True, state: str = ""
) -> SpanContext:
    return SpanContext(
        int.from_bytes(trace_id, "big"),
        int.from_bytes(span_id, "big"),
        remote,
        TraceFlags(1),
        TraceState.from_header([state]) if state else None,
    )


def _attributes(pairs: Iterable[KeyValue]) -> dict[str, Any]:
    return {pair.key: value for pair in pairs if (value := _value(pair.value)) is not None}


def _value(message: AnyValue) -> Any:
    kind = message.WhichOneof("value")
    if kind == "array_value":
        return tuple(_value(item) for item in message.array_value.values)
    if kind == "kvlist_value":
        return _attributes(message.kvlist_value.values)
    return getattr(message, kind) if kind else None


def _with_base64_ids(node: Any) -> Any:
    if isinstance(node, list):
        return [_with_base64_ids(item) for item in node]
    if not isinstance(node, dict):
        return node
    return {
        key: base64.b64encode(bytes.fromhex(value)).decode()
        if key in _IDS and isinstance(value, str)
        else _with_base64_ids(value)
        for key, value in node.items()
    }
