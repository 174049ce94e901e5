"""The chunks of a finished stream → the answer that they make up.

Runs once, when the stream has ended; while it flows, chunks are only kept by reference.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, NamedTuple

from litespan.mapping.request import Request
from litespan.mapping.response import Answer, hidden_params, read_answer
from litespan.mapping.usage import Usage, most, read_usage
from litespan.mapping.values import as_int, contents, get

_DONE: Final = frozenset({"response.completed", "response.incomplete", "response.failed"})


class Streamed(NamedTuple):
    """What a stream amounted to.

    Attributes:
        answer: as of a call without streaming; `answer.raw` has the shape of its result.
        finished: whether the provider said that it had come to the end.
    """

    answer: Answer
    finished: bool


def read_stream(
    request: Request, stream: Any, chunks: Sequence[Any], whole: Any = None
) -> Streamed:
    """The answer made up of `chunks`, which came out of LiteLLM's `stream` object.

    `whole` is what LiteLLM itself has made of them at the end, with its own count of tokens.
    """
    hidden = hidden_params(stream)
    if request.target.operation.name == "chat" and chunks:
        first = chunks[0]
        if isinstance(first, (bytes, str)) or (
            isinstance(first, Mapping) and "type" in first and "choices" not in first
        ):
            return _messages(request, chunks, hidden)
        if isinstance(get(first, "type"), str) and get(first, "choices") is None:
            return _responses(request, stream, chunks, hidden)
    return _choices(request, stream, chunks, whole)


def _choices(request: Request, stream: Any, chunks: Sequence[Any], whole: Any) -> Streamed:
    """Chat and text completion chunks."""
    reasons = _finish_reasons(chunks, as_int(request.arguments.get("n")) or 1)
    # LiteLLM makes up a finish reason where the provider sent none, and keeps the real one.
    made_up = (
        hasattr(stream, "received_finish_reason")
        and stream.received_finish_reason is None
        and getattr(stream, "intermittent_finish_reason", None) is None
        and request.arguments.get("mock_response") is None
    )
    if made_up:
        reasons = {}
    first, last = (chunks[0], chunks[-1]) if chunks else (None, None)
    last = last if whole is None else whole
    answer = Answer(
        raw=Assembled(chunks, reasons) if whole is None else whole,
        stated={
            "id": get(first, "id"),
            "model": get(first, "model"),
            "service_tier": get(last, "service_tier"),
            "system_fingerprint": get(last, "system_fingerprint"),
        },
        finish_reasons=tuple(reasons[index] for index in sorted(reasons)),
        usage=_stream_usage(stream, chunks, whole),
        hidden=hidden_params(stream),
    )
    return Streamed(answer, bool(reasons))


def _finish_reasons(chunks: Sequence[Any], choices: int) -> dict[int, str]:
    """The last finish reason of each choice: they stand in the last chunks."""
    reasons: dict[int, str] = {}
    for chunk in reversed(chunks):
        for choice in get(chunk, "choices") or ():
            reason = get(choice, "finish_reason")
            if reason:
                reasons.setdefault(get(choice, "index") or 0, str(reason))
        if len(reasons) >= choices:
            break
    return reasons


def _stream_usage(stream: Any, chunks: Sequence[Any], whole: Any) -> Usage | None:
    """The provider's figures if a chunk stated them, else LiteLLM's count.

    LiteLLM keeps every chunk as it came; those that it hands out carry figures of its own.
    """
    kept = get(stream, "chunks")
    came: list[Any] = kept if isinstance(kept, list) else []
    given = [usage for chunk in came if (usage := get(chunk, "usage"))]
    stated = [usage for usage in map(read_usage, given) if usage and usage.known]
    if stated:
        return most(stated)
    last = chunks[-1] if chunks else None
    for counted in (get(whole, "usage"), get(last, "usage")):
        usage = read_usage(counted)
        if usage is not None:
            return replace(usage, source="litellm", cost=None)
    return None


def _responses(
    request: Request, stream: Any, chunks: Sequence[Any], hidden: Mapping[str, Any]
) -> Streamed:
    """Events of the Responses API: the last one carries the whole response."""
    for chunk in reversed(chunks):
        response = get(chunk, "response")
        if response is not None:
            kind = get(chunk, "type")
            done = getattr(kind, "value", kind) in _DONE
            answer = read_answer(request, response, hidden_params(response) or hidden)
            if not done:  # LiteLLM raises at `response.failed`, and keeps what it said
                last = get(stream, "completed_response")
                kind = get(last, "type")
                if getattr(kind, "value", kind) == "response.failed":
                    answer.usage = read_usage(get(get(last, "response"), "usage"))
                    done = answer.usage is not None
            return Streamed(answer, done)
    return Streamed(Answer(None, {}, (), None, hidden), finished=False)


def _messages(request: Request, chunks: Sequence[Any], hidden: Mapping[str, Any]) -> Streamed:
    """Events of Anthropic's Messages API, as bytes, text or dicts."""
    message: dict[str, Any] = {}
    usage: dict[str, Any] = {}
    blocks: dict[int, dict[str, Any]] = {}
    finished = False
    for event in server_events(chunks):
        kind = event.get("type")
        if kind == "message_start":
            message = dict(event.get("message") or {})
            usage.update(message.get("usage") or {})
        elif kind == "content_block_start":
            blocks[event.get("index", 0)] = dict(event.get("content_block") or {})
        elif kind == "content_block_delta":
            _grow(blocks.setdefault(event.get("index", 0), {}), event.get("delta") or {})
        elif kind == "message_delta":
            message.update(event.get("delta") or {})
            usage.update({k: v for k, v in (event.get("usage") or {}).items() if v is not None})
        finished = finished or kind == "message_stop"
    message["content"] = [_closed(blocks[index]) for index in sorted(blocks)]
    message["usage"] = usage
    return Streamed(read_answer(request, message, hidden), finished)


_GROWING: Final = {"text_delta": "text", "thinking_delta": "thinking"}


def _grow(block: dict[str, Any], delta: Mapping[str, Any]) -> None:
    if delta.get("type") == "input_json_delta":
        block["json"] = block.get("json", "") + str(delta.get("partial_json") or "")
        return
    name = _GROWING.get(str(delta.get("type")))
    if name:
        block["type"] = block.get("type") or name
        block[name] = block.get(name, "") + str(delta.get(name) or "")


def _closed(block: dict[str, Any]) -> dict[str, Any]:
    written = block.pop("json", None)
    if written:
        try:
            block["input"] = json.loads(written)
        except ValueError:  # the stream stopped inside the tool's arguments
            block["input"] = written
    return block


def server_events(chunks: Iterable[Any]) -> Iterator[Mapping[str, Any]]:
    """Server-sent events, however they were cut into chunks."""
    rest = b""
    for chunk in chunks:
        if isinstance(chunk, Mapping):
            yield chunk
            continue
        rest += chunk if isinstance(chunk, bytes) else str(chunk).encode()
        *lines, rest = rest.split(b"\n")
        for line in lines:
            if line.startswith(b"data:"):
                try:
                    event = json.loads(line[5:])
                except ValueError:  # not JSON: a comment or the end mark
                    continue
                if isinstance(event, Mapping):
                    yield event


class Assembled:
    """A stream's choices as of a call without streaming, put together when first asked for."""

    def __init__(self, chunks: Sequence[Any], reasons: Mapping[int, str]) -> None:
        self.chunks = chunks
        self._reasons = reasons

    def __getattr__(self, name: str) -> Any:
        if name == "choices":
            self.choices = _assemble(self.chunks, self._reasons)
            return self.choices
        if name.startswith("__"):
            raise AttributeError(name)
        return get(self.chunks[-1], name) if self.chunks else None


def _assemble(chunks: Sequence[Any], reasons: Mapping[int, str]) -> list[dict[str, Any]]:
    texts: dict[int, list[str]] = {}
    thoughts: dict[int, list[str]] = {}
    calls: dict[int, dict[int, dict[str, Any]]] = {}
    for chunk in chunks:
        for choice in get(chunk, "choices") or ():
            stated = contents(choice)
            index = stated.get("index") or 0
            delta = contents(stated.get("delta"))
            text = delta.get("content") or stated.get("text")
            thought = delta.get("reasoning_content")
            texts.setdefault(index, []).append(str(text or ""))
            if thought:
                thoughts.setdefault(index, []).append(str(thought))
            for call in delta.get("tool_calls") or ():
                _add_call(calls.setdefault(index, {}), call)
    return [
        {
            "message": {
                "role": "assistant",
                "content": "".join(texts[index]) or None,
                "reasoning_content": "".join(thoughts.get(index, ())) or None,
                "tool_calls": [calls[index][at] for at in sorted(calls.get(index, ()))],
            },
            "finish_reason": reasons.get(index),
        }
        for index in sorted(texts)
    ]


def _add_call(calls: dict[int, dict[str, Any]], delta: Any) -> None:
    call = calls.setdefault(
        get(delta, "index") or 0, {"id": None, "function": {"name": "", "arguments": ""}}
    )
    call["id"] = call["id"] or get(delta, "id")
    function = get(delta, "function")
    call["function"]["name"] += str(get(function, "name") or "")
    call["function"]["arguments"] += str(get(function, "arguments") or "")
