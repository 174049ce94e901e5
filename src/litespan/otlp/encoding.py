"""Spans as the bytes of OTLP's protobuf, as the SDK's exporter encodes them, in less time.

The SDK creates a protobuf object for each attribute. Most attributes have the same name and value
in every span, so their bytes are kept. A span with anything unusual is encoded by the SDK.

https://protobuf.dev/programming-guides/encoding/
https://github.com/open-telemetry/opentelemetry-proto/blob/main/opentelemetry/proto/trace/v1/trace.proto
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from struct import Struct, error
from typing import Any, Final

from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.trace import Event, ReadableSpan

_UNSIGNED: Final = 2**64 - 1
_SHORT: Final = 128  # characters of a value whose bytes are kept
_TIMES: Final = Struct("<BQBQ").pack
_TIME: Final = Struct("<BQ").pack
_DOUBLE: Final = Struct("<Bd").pack
_FLAGS: Final = Struct("<HI").pack(0x0185, 0x100)  # the parent's context is known,
_REMOTE_FLAGS: Final = Struct("<HI").pack(0x0185, 0x300)  # and that it is remote


class Unusual(Exception):
    """A value that only the SDK encodes."""


def encode(spans: Sequence[ReadableSpan]) -> bytes:
    """Return an ExportTraceServiceRequest.

    Raises what the SDK's encoder raises for values that protobuf cannot encode.
    """
    resources: dict[int, dict[int, tuple[ReadableSpan, list[bytes]]]] = {}
    for span in spans:
        try:
            written = _span(span)
        except Unusual:
            written = _by_sdk(span).scope_spans[0].spans[0].SerializeToString()
        # By identity: the hash of a resource is slow, and all spans of a provider share one.
        scopes = resources.setdefault(id(span.resource), {})
        scope = scopes.setdefault(id(span.instrumentation_scope), (span, []))
        scope[1].extend((b"\x12", _varint(len(written)), written))
    parts: list[bytes] = []
    for scopes in resources.values():
        parts += _message(b"\x0a", _resource(scopes.values()))
    return b"".join(parts)


def _resource(scopes: Iterable[tuple[ReadableSpan, list[bytes]]]) -> list[bytes]:
    """Return the parts of ResourceSpans: one span of each scope, and the bytes of all."""
    held: list[bytes] = []
    for span, written in scopes:
        frame = _by_sdk(span)
        (scope,) = frame.scope_spans
        scope.ClearField("spans")
        held += _message(b"\x12", [scope.SerializeToString(), *written])
    frame.ClearField("scope_spans")
    return [frame.SerializeToString(), *held]


def _message(tag: bytes, parts: list[bytes]) -> list[bytes]:
    """Return the parts of a field of type message. They are joined once, at the end."""
    return [tag, _varint(sum(map(len, parts))), *parts]


def _by_sdk(span: ReadableSpan) -> Any:
    return encode_spans([span]).resource_spans[0]


def _span(span: ReadableSpan) -> bytes:
    context, parent, start, end = span.context, span.parent, span.start_time, span.end_time
    if (
        context is None
        or context.trace_state
        or span.links
        or not start
        or not end
        or span.dropped_attributes
        or span.dropped_events
        or span.dropped_links
    ):
        raise Unusual
    status = span.status
    code, text = status.status_code.value, status.description
    state = field(b"\x12", text.encode()) if text else b""
    if code:
        state += b"\x18" + _varint(code)
    try:
        return b"".join(
            (
                b"\x0a\x10",
                context.trace_id.to_bytes(16, "big"),
                b"\x12\x08",
                context.span_id.to_bytes(8, "big"),
                b"\x22\x08" + parent.span_id.to_bytes(8, "big") if parent else b"",
                field(b"\x2a", span.name.encode()) if span.name else b"",
                b"\x30",
                _varint(span.kind.value + 1),
                _TIMES(0x39, start, 0x41, end),
                attributes(b"\x4a", span.attributes),
                *[field(b"\x5a", _event(event)) for event in span.events],
                field(b"\x7a", state),
                _REMOTE_FLAGS if parent and parent.is_remote else _FLAGS,
            )
        )
    except (ValueError, OverflowError, AttributeError, TypeError, error):
        raise Unusual from None


def _event(event: Event) -> bytes:
    if event.dropped_attributes or not event.timestamp:
        raise Unusual
    name = field(b"\x12", event.name.encode()) if event.name else b""
    return _TIME(0x09, event.timestamp) + name + attributes(b"\x1a", event.attributes)


def attributes(tag: bytes, given: Mapping[str, Any] | None) -> bytes:
    """Return fields of type KeyValue with this tag. May raise `Unusual`."""
    if not given:
        return b""
    written = []
    for name, value in given.items():
        kind = type(value)
        if kind is str:
            write = _kept_text if len(value) <= _SHORT else _long_text
        elif kind is list or kind is tuple:
            write = _attribute
            if len(value) == 1 and type(value[0]) is str and len(value[0]) <= _SHORT:
                write, value = _kept_list, value[0]  # noqa: PLW2901
        else:
            write = _kept if value or kind is not float else _attribute  # 0.0 and -0.0 are equal
        written.append(write(tag, name, value))
    return b"".join(written)


def _attribute(tag: bytes, name: str, value: Any) -> bytes:
    held = _value(value)
    key = name.encode()
    return field(tag, field(b"\x0a", key) + field(b"\x12", held))


def _long_text(tag: bytes, name: str, value: str) -> bytes:
    """Return the attribute, copying a text that may have megabytes once."""
    text = value.encode()
    held = _message(b"\x12", _message(b"\x0a", [text]))
    return b"".join(_message(tag, [field(b"\x0a", name.encode()), *held]))


def _value(value: Any) -> bytes:
    kind = type(value)
    if kind is str:
        return field(b"\x0a", value.encode())
    if kind is bool:
        return b"\x10\x01" if value else b"\x10\x00"
    if kind is int and -(2**63) <= value < 2**63:
        return b"\x18" + _varint(value & _UNSIGNED)
    if kind is float:
        return _DOUBLE(0x21, value)
    if kind is tuple or kind is list:
        return field(b"\x2a", b"".join([field(b"\x0a", _value(item)) for item in value]))
    raise Unusual


_kept_text: Final = lru_cache(maxsize=2048)(_attribute)
# Typed, because 1, 1.0 and True are equal.
_kept: Final = lru_cache(maxsize=1024, typed=True)(_attribute)


@lru_cache(maxsize=512)
def _kept_list(tag: bytes, name: str, text: str) -> bytes:
    """Return an attribute whose value is a list of one text."""
    return _attribute(tag, name, (text,))


def field(tag: bytes, data: bytes) -> bytes:
    """Return a field of type bytes, string or message."""
    size = len(data)
    return tag + (_BYTES[size] if size < 128 else _varint(size)) + data


def _varint(number: int) -> bytes:
    if number < 128:
        return _BYTES[number]
    written = bytearray()
    while number > 127:
        written.append(number & 127 | 128)
        number >>= 7
    written.append(number)
    return bytes(written)


_BYTES: Final = [bytes((number,)) for number in range(128)]
