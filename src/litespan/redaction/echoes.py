"""Finding in an error text what the request said, in time that is bounded.

A provider may quote a request in its error: as it is, as JSON with escapes, in other white space or
another case. Texts are therefore compared by their letters and digits only.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import compress
from typing import Any, Final

from litespan.objects import contents

ECHO: Final = "[content]"
_WINDOW: Final = 15  # letters and digits: a quotation of at least this length is always found
_SHORTEST: Final = 6  # characters: a whole text of fewer is too common a word
_BLOCK: Final = 8  # bytes that are compared at once; `_WINDOW` holds one at any alignment
_LARGE: Final = 200_000  # bytes of which only every second block is looked at: finds 23 letters
_ENCODED: Final = 20_000  # characters of base64 at least: an image, audio or a file
_END: Final = 4_000  # characters at either end of those that are looked at
_MOST_VALUES: Final = 20_000  # values of a request that are looked at
_MOST_BYTES: Final = 2_000_000  # bytes of text that are looked at
_MOST_STEPS: Final = 2_000  # places that are compared byte by byte

_SEPARATOR: Final = bytes(_BLOCK)
_IGNORED: Final = bytes(code for code in range(128) if not chr(code).isalnum())
_BASE64: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=-_"
_LOWER: Final = bytes.maketrans(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ", b"abcdefghijklmnopqrstuvwxyz")
# One character of a text that may hold JSON, or JSON in JSON.
_CHARACTER: Final = re.compile(r"\\+(?:u([0-9a-fA-F]{4})|[bfnrt])|.", re.DOTALL)

# Arguments that say how and where to call. The span states them, or they are LiteLLM's own.
_NO_CONTENT: Final = re.compile(
    r"model|model_info|model_list|.*fallbacks|api_.*|base_url|custom_llm_provider|deployment_id"
    r"|organization|timeout|user|metadata|litellm_.*|proxy_server_request|.*headers|callbacks"
    r"|.*_callback|original_function|mock_.*|azure_.*|aws_.*|vertex_.*|shared_session|client"
)
# Arguments of which also a short text is content; of the others it may be a setting.
_CONTENT: Final = frozenset(
    {
        *("messages", "prompt", "input", "query", "documents", "texts", "contents"),
        *("instructions", "system", "suffix", "prediction", "document"),
    }
)
# Fields of a message that hold a word of the API's, or an id.
_FIELDS: Final = frozenset(
    {
        *("type", "role", "id", "call_id", "tool_call_id", "tool_use_id", "modality", "format"),
        *("finish_reason", "detail", "mime_type", "media_type", "status"),
    }
)


class TooMuch(Exception):
    """There is more in a request than is looked at."""


def sent_texts(arguments: Mapping[str, Any]) -> Iterator[str]:
    """Every text of a request that an error must not repeat.

    Raises:
        TooMuch: the request holds too many values.
    """
    seen: set[int] = set()
    left = _MOST_VALUES
    stack: list[tuple[Any, bool]] = [
        (value, name in _CONTENT)
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
    """`text` with `[content]` in place of what it repeats of `sent`.

    All of it is replaced if there is too much to compare.
    """
    normal, places = _normalised(text)
    found = bytearray(len(normal))
    try:
        together = _compared(normal, found, sent)
        _mark_runs(normal, together, found)
    except TooMuch:
        return ECHO if text else text
    return _replaced(text, places, found)


def _compared(normal: bytes, found: bytearray, sent: Iterable[str]) -> bytes:
    """Mark the whole short texts of `sent` in `found`; the long ones, ready to be compared."""
    long: list[bytes] = []
    size = 0
    for message in map(_without_bytes, sent):
        size += len(message)
        if size > _MOST_BYTES:
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
    """Of base64, maybe in a `data:` URL, only the ends: an error may show some of them."""
    if len(message) < _ENCODED or not message.isascii():
        return message
    at = message.find(",", 0, _END) + 1 if message.startswith("data:") else 0
    if message[at:].encode().translate(None, _BASE64):
        return message
    return f"{message[:_END]} {message[-_END:]}"


def _mark_runs(text: bytes, sent: bytes, found: bytearray) -> None:
    """Mark in `found` every run of `_WINDOW` bytes or more of `text` that stands in `sent`.

    `sent`, which may be long, is read in blocks: a run holds at least one of them whole.
    """
    offsets: dict[int, list[int]] = {}
    for shift in range(_BLOCK):
        for index, block in enumerate(_blocks(text, shift)):
            offsets.setdefault(block, []).append(shift + index * _BLOCK)
    step = 2 if len(sent) > _LARGE else 1
    blocks = _blocks(sent)[::step]
    common = set(offsets).intersection(blocks)
    steps = _MOST_STEPS
    for index in compress(range(len(blocks)), map(common.__contains__, blocks)):
        fresh = [offset for offset in offsets[blocks[index]] if not found[offset]]
        if not fresh:  # no need to look for it again
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


def _run(text: bytes, offset: int, sent: bytes, at: int) -> tuple[int, int]:
    """The run of `text` around `offset` that is the same as around `at` in `sent`."""
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


def _normalised(text: str) -> tuple[bytes, list[tuple[int, int]]]:
    """(the letters and digits of `text`, where each byte of them stands in it)."""
    found: list[bytes] = []
    places: list[tuple[int, int]] = []
    for match in _CHARACTER.finditer(text):
        escaped = match[1]
        character = chr(int(escaped, 16)) if escaped else match[0]
        if len(character) == 1:
            data = _letters(character)
            found.append(data)
            places += [match.span()] * len(data)
    return b"".join(found), places


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
