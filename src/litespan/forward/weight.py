"""How much memory a request's body takes once it is decoded, worked out before it is.

Two bytes of a body can become an object of a thousand, so a limit on bytes bounds nothing. Here
the body is scanned and no object is built; the scan ends where the limit is reached. The weights
are what decoding was measured to take, rounded up.
https://protobuf.dev/programming-guides/encoding/
"""

import re
from collections.abc import Iterator
from typing import Any, Final

from litespan.forward.decode import JSON, Undecodable

_Fields = dict[int, tuple[int, Any]]  # field number → weight of its message in bytes, its fields

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
_ONE: Final = 4096  # a span, with what exporters make of it
_SCOPE_SPANS: Final[_Fields] = {1: (_MESSAGE, {3: (_MESSAGE, _PAIR)}), 2: (_ONE, _SPAN)}
_RESOURCE_SPANS: Final[_Fields] = {
    1: (_MESSAGE, {1: (_MESSAGE, _PAIR)}),
    2: (512, _SCOPE_SPANS),
}
_REQUEST: Final[_Fields] = {1: (2048, _RESOURCE_SPANS)}  # a `Resource` and its attributes

_DEEPEST: Final = 100  # messages in each other; protobuf's own parsers refuse more

_FIXED: Final = {1: 8, 5: 4}  # bytes of a field, by its wire type

_TOKENS: Final = re.compile(rb'"[^"]*"?|[{\[,:]')
_OF_TOKEN: Final = {ord("{"): 768, ord("["): 128}
_OF_OTHERS: Final = 32


class TooLarge(ValueError):
    """The request is larger than this receiver ever takes; the text is for the sender."""


def weight(body: bytes, content_type: str, most: int) -> int:
    """Bytes of memory that the objects in `body` take, without the bytes of their texts.

    Args:
        body: as `read_request` takes it.
        content_type: of the body.
        most: bytes at which to stop.

    Raises:
        TooLarge: it is more than `most`.
        Undecodable: the body is not protobuf.
    """
    if content_type == JSON:
        return _of_json(body, most)
    try:
        left = _less(body, 0, len(body), _REQUEST, most)
    except IndexError:
        raise Undecodable("the body is not an ExportTraceServiceRequest in protobuf") from None
    if left < 0:
        raise _too_large(most)
    return most - left


def _less(body: bytes, at: int, end: int, fields: _Fields, left: int, depth: int = 0) -> int:
    """`left`, less what the messages there weigh; once below zero, no more is read.

    Raises IndexError where the body is torn.
    """
    if depth > _DEEPEST:
        raise IndexError
    for number, start, stop in _parts(body, at, end):
        if (found := fields.get(number)) is not None:
            left -= found[0]
            if left >= 0 and start < stop:
                left = _less(body, start, stop, found[1], left, depth + 1)
            if left < 0:
                break
    return left


def _parts(body: bytes, at: int, end: int) -> Iterator[tuple[int, int, int]]:
    """The length-delimited fields of a message: number, and where the content begins and ends."""
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
        else:  # groups, which OTLP has none of
            raise IndexError
    if at > end:
        raise IndexError


def _varint(body: bytes, at: int) -> tuple[int, int]:
    """The number that begins at `at`, and where what follows it begins."""
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
    body = body.replace(b"\\\\", b"").replace(b'\\"', b"")  # then a quote begins or ends a string
    for token in _TOKENS.finditer(body):
        if total > most:
            break
        total += _OF_TOKEN.get(body[token.start()], _OF_OTHERS)
    if total > most:
        raise _too_large(most)
    return total


def _too_large(most: int) -> TooLarge:
    return TooLarge(
        f"the spans of this request take more than {most // 2**20} MiB once they are decoded: send "
        "fewer at a time, or raise --memory"
    )
