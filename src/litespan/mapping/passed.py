"""Reads answers that LiteLLM passes on to the client unchanged, in the provider's own format.

Streams are server-sent events, lines of JSON, a JSON array (Google without `alt=sse`), or messages
of an AWS event stream (https://smithy.io/2.0/aws/amazon-eventstream.html). Bedrock's are
https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html and
API_runtime_InvokeModelWithResponseStream.html, Ollama's
https://docs.ollama.com/api/chat, and Cohere's https://docs.cohere.com/reference/chat-stream-v1.
"""

import base64
import json
import struct
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final
from zlib import crc32

from litespan.objects import as_text, contents, get, parsed, safe_str

MOST: Final = 2**22
"""The maximum size of an answer, in bytes. Only the end of a longer one is read."""

Event = Mapping[str, Any]
_PRELUDE: Final = struct.Struct(">III")  # length of the message, of its headers, checksum
_CHECKSUM: Final = struct.Struct(">I")
_STRING: Final = 7  # type of a header
# Type of a header → length of its value; those with a variable length state it in two bytes.
_LENGTHS: Final = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}
_FAILED: Final = frozenset({"exception", "error"})


class Tail:
    """The last bytes of an answer, at most `MOST`, in the chunks in which they came."""

    def __init__(self, chunks: Iterable[Any] = ()) -> None:
        self._chunks: deque[bytes] = deque()
        self._size = 0
        for chunk in chunks:
            self.add(_bytes(chunk))

    def add(self, chunk: bytes) -> None:
        """Keep a chunk, and forget the oldest ones that no longer fit."""
        chunk = chunk[-MOST:]
        self._chunks.append(chunk)
        self._size += len(chunk)
        while self._size > MOST:
            self._size -= len(self._chunks.popleft())

    def __iter__(self) -> Iterator[bytes]:
        return iter(tuple(self._chunks))


def events(chunks: Iterable[Any]) -> list[Event]:
    """Return the JSON objects of an answer in any format, without an incomplete last one.

    Args:
        chunks: the bytes of the answer, however they are split, or its events as dicts.
    """
    held = list(chunks)
    if held and isinstance(held[0], Mapping):
        return [event for event in held if isinstance(event, Mapping)]
    data = b"".join(map(_bytes, held))
    if _starts_message(data, 0):
        return list(_messages(data))
    if data.lstrip().startswith(b"["):
        return list(_of_array(data.decode("utf-8", "replace")))
    whole = _parsed(data)
    if whole:  # not a stream
        return [whole]
    lines = (line.strip() for line in data.split(b"\n"))
    found = (_parsed(line.removeprefix(b"data:")) for line in lines if line[:1] in (b"{", b"d"))
    return [event for event in found if event]


def _bytes(chunk: Any) -> bytes:
    return chunk if isinstance(chunk, bytes) else safe_str(chunk).encode("utf-8", "replace")


def _parsed(text: bytes | str) -> Event:
    """Return a JSON object; {} if it is something else, such as `[DONE]`."""
    return contents(parsed(text))


def _of_array(text: str) -> Iterator[Event]:
    decode = json.JSONDecoder().raw_decode
    position = text.index("[") + 1
    try:
        while True:
            while text[position] in " \t\r\n,":
                position += 1
            event, position = decode(text, position)
            if isinstance(event, Mapping):
                yield event
    except (ValueError, IndexError, RecursionError):  # "]", or the client left
        return


def _starts_message(data: bytes, position: int) -> bool:
    """Whether a message of an event stream starts at `position`."""
    if position + _PRELUDE.size > len(data):
        return False
    return bool(crc32(data[position : position + 8]) == _PRELUDE.unpack_from(data, position)[2])


def _messages(data: bytes) -> Iterator[Event]:
    """Yield the content of each message of an event stream, up to a damaged or incomplete one."""
    position = 0
    while _starts_message(data, position):
        length, headers, _ = _PRELUDE.unpack_from(data, position)
        start, end = position + _PRELUDE.size, position + length - _CHECKSUM.size
        if start + headers > end or position + length > len(data):
            return
        if crc32(data[position:end]) != _CHECKSUM.unpack_from(data, end)[0]:
            return
        try:
            named = dict(_headers(data[start : start + headers]))
        except (IndexError, KeyError, struct.error):
            named = {}
        event = _event(named, _parsed(data[start + headers : end]))
        if event:
            yield event
        position += length


def _headers(data: bytes) -> Iterator[tuple[str, str]]:
    """Yield name and value of each header that is text."""
    position = 0
    while position < len(data):
        start = position + 1
        position = start + data[position]
        name, kind = data[start:position].decode("utf-8", "replace"), data[position]
        position += 1
        if kind in _LENGTHS:
            position += _LENGTHS[kind]
            continue
        (length,) = struct.unpack_from(">H", data, position)
        start = position + 2
        position = start + length
        if kind == _STRING:
            yield name, data[start:position].decode("utf-8", "replace")


def _event(headers: Mapping[str, str], body: Event) -> Event:
    """Return the event in a message of Bedrock: the model's own, or `{type: body}`."""
    if headers.get(":message-type") in _FAILED:
        kind = headers.get(":exception-type") or headers.get(":error-code") or "error"
        return {"error": {"type": kind, "message": body.get("message") or ""}}
    kind = headers.get(":event-type", "")
    if kind != "chunk":
        return {kind: body} if kind else {}
    try:
        return _parsed(base64.b64decode(safe_str(body.get("bytes") or "")))
    except ValueError:
        return {}


_METRICS: Final = "amazon-bedrock-invocationMetrics"
# Field → where the events of Bedrock's Converse and models, of Ollama and of Cohere state it.
_FIELDS: Final = {
    "id": "generation_id response.generation_id",
    "model": "model",
    "reason": "messageStop.stopReason stopReason done_reason finish_reason delta.finish_reason"
    " stop_reason completionReason outputs.0.stop_reason",
    "input_tokens": "metadata.usage.inputTokens usage.inputTokens prompt_eval_count"
    " response.meta.tokens.input_tokens meta.tokens.input_tokens"
    " delta.usage.tokens.input_tokens usage.tokens.input_tokens prompt_token_count"
    f" {_METRICS}.inputTokenCount",
    "output_tokens": "metadata.usage.outputTokens usage.outputTokens eval_count"
    " response.meta.tokens.output_tokens meta.tokens.output_tokens"
    " delta.usage.tokens.output_tokens usage.tokens.output_tokens generation_token_count"
    f" {_METRICS}.outputTokenCount",
    "cache_read_input_tokens": "metadata.usage.cacheReadInputTokens usage.cacheReadInputTokens",
    "cache_creation_input_tokens": "metadata.usage.cacheWriteInputTokens"
    " usage.cacheWriteInputTokens",
    "text": "contentBlockDelta.delta.text message.content response text delta.message.content.text"
    " generation outputText outputs.0.text",
}


def _by_first_name() -> dict[str, list[tuple[str, tuple[str, ...]]]]:
    """Return `_FIELDS` by the first name of the path, which most events do not have."""
    found: dict[str, list[tuple[str, tuple[str, ...]]]] = {}
    for field, paths in _FIELDS.items():
        for path in paths.split():
            first, *rest = path.split(".")
            found.setdefault(first, []).append((field, tuple(rest)))
    return found


_PATHS: Final = _by_first_name()


def _stated(event: Event) -> Iterator[tuple[str, Any]]:
    """Yield each field that an event states, and its value. Bedrock's own metrics come first."""
    for first in sorted((name for name in event if name in _PATHS), key=_METRICS.__ne__):
        for field, rest in _PATHS[first]:
            value = event[first]
            for name in rest:
                value = next(iter(value), None) if isinstance(value, list) else get(value, name)
            if value is not None:
                yield field, value


def joined(found: Iterable[Event]) -> tuple[dict[str, Any], str | None]:
    """Merge events. Returns the answer, and the finish reason or None.

    The answer has the field names of OpenAI's API. Its `usage` has those of Anthropic's, because
    Bedrock's input tokens also exclude cached ones. Content is text only.
    """
    stated: dict[str, Any] = {}
    texts: list[str] = []
    for event in found:
        for field, value in _stated(event):
            if field != "text":
                stated[field] = value
            elif isinstance(value, str):
                texts.append(value)
    reason = as_text(stated.pop("reason", None))
    usage = {name: count for name, count in stated.items() if name.endswith("_tokens")}
    answer = {name: value for name, value in stated.items() if name not in usage}
    message = {"role": "assistant", "content": "".join(texts)}
    answer["choices"] = [{"message": message, "finish_reason": reason}]
    return {**answer, "usage": usage}, reason
