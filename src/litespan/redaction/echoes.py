"""Finds quotes of a request in an error message, in bounded time.

A provider's error may quote the request verbatim, escaped, or with other white space or case.
Texts are therefore compared by their letters and digits only.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import compress
from typing import Any, Final

from litespan.objects import contents

ECHO: Final = "[content]"
_WINDOW: Final = 15  # letters and digits: quotes of at least this length are always found
_SHORTEST: Final = 6  # characters: shorter texts are too common
_BLOCK: Final = 8  # bytes per block; a window contains a whole block at any alignment
_LARGE: Final = 200_000  # bytes: above this, compare every second block, which finds 23 letters
_ENCODED: Final = 20_000  # characters: longer base64 is an image, audio or a file
_END: Final = 4_000  # characters compared at either end of base64
_SAMPLES: Final = 24  # parts of a text, of _END characters, that show whether it is base64
_MAX_VALUES: Final = 20_000  # values of a request
_MAX_BYTES: Final = 2_000_000  # bytes of text
_MAX_STEPS: Final = 2_000  # byte-by-byte comparisons

_SEPARATOR: Final = bytes(_BLOCK)
_IGNORED: Final = bytes(code for code in range(128) if not chr(code).isalnum())
_BASE64: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=-_"
_LOWER: Final = bytes.maketrans(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ", b"abcdefghijklmnopqrstuvwxyz")
# One character, or a byte of one: as it is, or as JSON (also repeatedly), Python's bytes, URLs or
# HTML write it.
_CHARACTER: Final = re.compile(
    r"\\+(?:u(?P<code>[0-9a-fA-F]{4})|x(?P<byte>[0-9a-fA-F]{2})|[bfnrt])"
    r"|%(?P<percent>[0-9A-F]{2})|&#(?:(?P<decimal>\d{2,6})|[xX](?P<hex>[0-9a-fA-F]{2,5}));|.",
    re.DOTALL,
)

# Arguments without content: the span records them, or LiteLLM sets them.
_NO_CONTENT: Final = re.compile(
    r"model|model_info|model_list|.*fallbacks|api_.*|base_url|custom_llm_provider|deployment_id"
    r"|organization|timeout|user|metadata|litellm_.*|proxy_server_request|.*headers|callbacks"
    r"|.*_callback|original_function|mock_.*|azure_.*|aws_.*|vertex_.*|shared_session|client"
)
# Arguments in which short texts are also content. In others they may be settings.
CONTENT: Final = frozenset(
    {
        *("messages", "prompt", "input", "query", "documents", "texts", "contents"),
        *("instructions", "system", "suffix", "prediction", "document"),
    }
)
# Fields of a message that contain an API keyword or an id.
_FIELDS: Final = frozenset(
    {
        *("type", "role", "id", "call_id", "tool_call_id", "tool_use_id", "modality", "format"),
        *("finish_reason", "detail", "mime_type", "media_type", "status"),
    }
)


class TooMuch(Exception):
    """The request is too large to compare."""


def sent_texts(arguments: Mapping[str, Any]) -> Iterator[str]:
    """Yield every text of a request that an error message must not quote.

    Raises:
        TooMuch: the request has too many values.
    """
    seen: set[int] = set()
    left = _MAX_VALUES
    stack: list[tuple[Any, bool]] = [
        (value, name in CONTENT)
        for name, value in arguments.items()
        if not _NO_CONTENT.fullmatch(str(name))
    ]
    while stack:
        value, short = stack.pop()
        left -= 1
        if isinstance(value, str):
            if len(value) >= _WINDOW or (short and len(value) >= _SHORTEST):
                yield value
            continue
        if id(value) in seen or isinstance(value, type):
            continue
        if isinstance(value, Mapping) or hasattr(value, "__pydantic_fields__"):
            seen.add(id(value))
            fields = contents(value)
            left -= len(fields)
            if left > 0:
                stack += [(inner, short) for name, inner in fields.items() if name not in _FIELDS]
        elif isinstance(value, (list, tuple, set, frozenset)):
            seen.add(id(value))
            left -= len(value) // 64
            if left > 0:
                stack += [(inner, short) for inner in value if not isinstance(inner, (int, float))]
        if left <= 0:
            raise TooMuch


def without_echoes(text: str, sent: Iterable[str]) -> str:
    """Replace quotes of `sent` in `text` by `[content]`.

    Replaces the whole text if there is too much to compare.
    """
    normal, places = _normalized(text)
    found = bytearray(len(normal))
    try:
        long_texts = _compared(normal, found, sent)
        _mark_runs(normal, long_texts, found)
    except TooMuch:
        return ECHO if text else text
    return _replaced(text, places, found)


def _compared(normal: bytes, found: bytearray, sent: Iterable[str]) -> bytes:
    """Mark quotes of the short texts in `found`; return the long texts, joined."""
    long: list[bytes] = []
    size = 0
    for message in map(_without_bytes, sent):
        size += len(message)
        if size > _MAX_BYTES:
            raise TooMuch
        data = _letters(message)
        if len(data) >= _WINDOW:
            long.append(data)
        elif len(data) >= _SHORTEST:
            at = normal.find(data)
            while at >= 0:
                found[at : at + len(data)] = b"\1" * len(data)
                at = normal.find(data, at + len(data))
    return _SEPARATOR.join(long)


def _without_bytes(message: str) -> str:
    """Reduce base64, or a `data:` URL, to its start and end, which an error may quote."""
    if len(message) < _ENCODED or not message.isascii():
        return message
    at = message.find(",", 0, _END) + 1 if message.startswith("data:") else 0
    # All of it, or parts at equal distances: an image may have millions of characters.
    step = max((len(message) - at) // _SAMPLES, _END)
    for start in (*range(at, len(message), step), max(at, len(message) - _END)):
        if message[start : start + _END].encode().translate(None, _BASE64):
            return message
    return f"{message[:_END]} {message[-_END:]}"


def _mark_runs(text: bytes, sent: bytes, found: bytearray) -> None:
    """Mark in `found` every run of at least `_WINDOW` bytes of `text` that is in `sent`.

    `sent` may be long and is compared in blocks; each run contains at least one whole block.
    """
    offsets = _offsets(text)
    step = 2 if len(sent) > _LARGE else 1
    blocks = _blocks(sent)[::step]
    common = set(offsets).intersection(blocks)
    if not common:  # as nearly always
        return
    steps = _MAX_STEPS
    for index in compress(range(len(blocks)), map(common.__contains__, blocks)):
        fresh = [offset for offset in offsets[blocks[index]] if not found[offset]]
        if not fresh:  # already marked
            common.discard(blocks[index])
            if not common:
                return
        for offset in fresh:
            if found[offset]:
                continue
            steps -= 1
            if steps < 0:
                raise TooMuch
            start, end = _run(text, offset, sent, index * step * _BLOCK)
            if end - start >= _WINDOW:
                found[start:end] = b"\1" * (end - start)


def _offsets(text: bytes) -> dict[int, list[int]]:
    """Return where in `text` each of its blocks is, at any alignment."""
    offsets: dict[int, list[int]] = {}
    for shift in range(_BLOCK):
        for index, block in enumerate(_blocks(text, shift)):
            offsets.setdefault(block, []).append(shift + index * _BLOCK)
    return offsets


def _run(text: bytes, offset: int, sent: bytes, at: int) -> tuple[int, int]:
    """Return the longest run of `text` around `offset` that equals `sent` around `at`."""
    before = 0
    most = min(offset, at)
    while before < most and text[offset - before - 1] == sent[at - before - 1]:
        before += 1
    after = _BLOCK
    most = min(len(text) - offset, len(sent) - at)
    while after < most and text[offset + after] == sent[at + after]:
        after += 1
    return offset - before, offset + after


def _blocks(data: bytes, shift: int = 0) -> "memoryview[int]":
    whole = (len(data) - shift) // _BLOCK * _BLOCK if len(data) > shift else 0
    return memoryview(data)[shift : shift + whole].cast("Q")


def _letters(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass").translate(_LOWER, _IGNORED)


def _normalized(text: str) -> tuple[bytes, list[tuple[int, int]]]:
    """Return (the letters and digits of `text` as bytes, the span of each byte in `text`)."""
    if text.isascii() and not any(mark in text for mark in ("\\", "%", "&#")):
        letters = [(at, at + 1) for at, one in enumerate(text) if one.isalnum()]
        return _letters(text), letters  # each character stands for itself
    found: list[bytes] = []
    places: list[tuple[int, int]] = []
    for match in _CHARACTER.finditer(text):
        data = _unescaped(match)
        found.append(data)
        places += [match.span()] * len(data)
    return b"".join(found), places


def _unescaped(match: "re.Match[str]") -> bytes:
    kind = match.lastgroup
    if kind is None:
        return _letters(match[0]) if len(match[0]) == 1 else b""
    if kind in ("byte", "percent"):
        return bytes.fromhex(match[kind]).translate(_LOWER, _IGNORED)
    return _letters(chr(int(match[kind], 10 if kind == "decimal" else 16)))


def _replaced(text: str, places: list[tuple[int, int]], found: bytearray) -> str:
    kept: list[str] = []
    at = 0
    index = found.find(1)
    while index >= 0:
        end = found.find(0, index)
        end = len(found) if end < 0 else end
        kept += (text[at : places[index][0]], ECHO)
        at = places[end - 1][1]
        index = found.find(1, end)
    return "".join((*kept, text[at:]))
