"""Estimates how much memory a request body takes when decoded, without decoding it.

Two bytes of a body can become an object of a thousand bytes, so a limit on the size of the body
is not enough. This scan creates no objects and stops at the limit. The weights are measurements
of the decoder, rounded up.
https://protobuf.dev/programming-guides/encoding/
"""

import re
from collections.abc import Iterator
from typing import Any, Final

from litespan.export.decode import JSON, Undecodable

_Fields = dict[int, tuple[int, Any]]
"""Field number → weight of its message in bytes, fields of its message."""

_MESSAGE: Final = 64
_ANY: Final[_Fields] = {}
_PAIR: Final[_Fields] = {2: (_MESSAGE, _ANY)}
_ANY.update({5: (_MESSAGE, {1: (_MESSAGE, _ANY)}), 6: (_MESSAGE, {1: (_MESSAGE, _PAIR)})})
_SPAN: Final[_Fields] = {
    9: (_MESSAGE, _PAIR),
    11: (384, {3: (_MESSAGE, _PAIR)}),  # events
    13: (640, {4: (_MESSAGE, _PAIR)}),  # links
    15: (_MESSAGE, {}),
}
_SPAN_WEIGHT: Final = 4096  # a span, and what exporters convert it to
_SCOPE_SPANS: Final[_Fields] = {1: (_MESSAGE, {3: (_MESSAGE, _PAIR)}), 2: (_SPAN_WEIGHT, _SPAN)}
_RESOURCE_SPANS: Final[_Fields] = {1: (_MESSAGE, {1: (_MESSAGE, _PAIR)}), 2: (512, _SCOPE_SPANS)}
_REQUEST: Final[_Fields] = {1: (2048, _RESOURCE_SPANS)}  # a `Resource` and its attributes

_MAX_DEPTH: Final = 100  # of nested messages; the limit of protobuf's own parsers

_FIXED: Final = {1: 8, 5: 4}  # bytes of a field, by its wire type

_TOKENS: Final = re.compile(rb'"[^"]*"?|[{\[,:]')
_TOKEN_WEIGHTS: Final = {ord("{"): 768, ord("["): 128}
_DEFAULT_WEIGHT: Final = 32


class TooLarge(ValueError):
    """The request exceeds the receiver's memory; the message is for the sender."""


def weight(body: bytes, content_type: str, most: int) -> int:
    """Bytes of memory that the decoded objects take, without their strings.

    Args:
        body: as for `read_request`.
        content_type: of the body.
        most: limit in bytes.

    Raises:
        TooLarge: the weight exceeds `most`.
        Undecodable: the body is not protobuf.
    """
    if content_type == JSON:
        return _of_json(body, most)
    try:
        left = _subtract(body, 0, len(body), _REQUEST, most)
    except IndexError:
        raise Undecodable("the body is not an ExportTraceServiceRequest in protobuf") from None
    if left < 0:
        raise _too_large(most)
    return most - left


def _subtract(body: bytes, at: int, end: int, fields: _Fields, left: int, depth: int = 0) -> int:
    """`left` minus the weight of the messages; stops below zero. Raises IndexError if truncated."""
    if depth > _MAX_DEPTH:
        raise IndexError
    for number, start, stop in _parts(body, at, end):
        if (found := fields.get(number)) is not None:
            left -= found[0]
            if left >= 0 and start < stop:
                left = _subtract(body, start, stop, found[1], left, depth + 1)
            if left < 0:
                break
    return left


def _parts(body: bytes, at: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Number, start and end of each length-delimited field of a message."""
    while at < end:
        tag, at = _varint(body, at)
        kind = tag & 7
        if kind == 2:
            size, at = _varint(body, at)
            if (stop := at + size) <= end:
                yield tag >> 3, at, stop
            at = stop
        elif kind == 0:
            _, at = _varint(body, at)
        elif kind in _FIXED:
            at += _FIXED[kind]
        else:  # groups, which OTLP does not use
            raise IndexError
    if at > end:
        raise IndexError


def _varint(body: bytes, at: int) -> tuple[int, int]:
    """The varint at `at`, and the position after it."""
    byte = number = body[at]
    if byte < 128:
        return byte, at + 1
    number &= 127
    for shift in range(7, 70, 7):
        at += 1
        byte = body[at]
        number |= (byte & 127) << shift
        if byte < 128:
            return number, at + 1
    raise IndexError


def _of_json(body: bytes, most: int) -> int:
    total = 0
    body = body.replace(b"\\\\", b"").replace(b'\\"', b"")  # every quote left delimits a string
    for token in _TOKENS.finditer(body):
        if total > most:
            break
        total += _TOKEN_WEIGHTS.get(body[token.start()], _DEFAULT_WEIGHT)
    if total > most:
        raise _too_large(most)
    return total


def _too_large(most: int) -> TooLarge:
    return TooLarge(
        f"the spans of this request take more than {most // 2**20} MiB once they are decoded: send "
        "fewer spans per request, or raise --memory"
    )
