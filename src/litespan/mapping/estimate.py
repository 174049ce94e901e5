"""Estimates the token usage of a stream that ended before its usage chunk."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, Final

from litespan.mapping import passed
from litespan.mapping.assembling import kind_of, plain_texts
from litespan.mapping.chunks import Streamed
from litespan.mapping.request import Request
from litespan.mapping.usage import Usage, most
from litespan.objects import as_list, contents, get

_CHARACTERS_PER_TOKEN: Final = 4
_SENT: Final = ("messages", "prompt", "input", "contents")


def with_estimate(request: Request, streamed: Streamed, chunks: Sequence[Any]) -> Streamed:
    """Add an estimated usage if neither the provider nor LiteLLM reported one.

    A stream that stops early may have reported its input tokens but no output tokens.
    """
    if not request.target.operation.model or request.target.passed_on:
        return streamed
    stated = streamed.answer.usage
    if stated is not None and not stated.known:
        stated = None
    if stated is not None and (streamed.finished or stated.source != "provider"):
        return streamed
    arguments = request.arguments
    sent = next((arguments[name] for name in _SENT if arguments.get(name)), None)
    received = max(_received_characters(chunks), len(chunks))
    usage = Usage(
        input=-(-_characters(as_list(sent) or [sent]) // _CHARACTERS_PER_TOKEN) or None,
        output=-(-received // _CHARACTERS_PER_TOKEN),
        source="estimated",
    )
    if stated is not None:
        usage = replace(most([stated, replace(usage, input=None)]), source="estimated", cost=None)
    return streamed._replace(answer=replace(streamed.answer, usage=usage))


def _received_characters(chunks: Sequence[Any]) -> int:
    """Return the number of characters that the model produced."""
    if chunks and isinstance(chunks[0], (bytes, str)):
        chunks = passed.events(chunks)
    total = 0
    for chunk in plain_texts(chunks):
        total += len(chunk[1]) if type(chunk) is tuple else chunk_characters(chunk)
    return total


# Text fields of a delta, without audio and signatures.
_TEXT_FIELDS: Final = (
    *("content", "reasoning_content", "refusal", "text", "thinking", "partial_json"),
)


def chunk_characters(chunk: Any) -> int:
    """Return the number of characters of text, reasoning and tool arguments in a chunk."""
    if isinstance(chunk, (bytes, str)):
        return sum(map(chunk_characters, passed.events([chunk])))
    choices = get(chunk, "choices")
    if choices is None:
        delta = get(chunk, "delta")
        if isinstance(delta, str):
            return 0 if ".audio." in kind_of(chunk) else len(delta)
        candidates = as_list(get(chunk, "candidates"))
        if candidates:  # Google
            return sum([_characters([get(each, "content")]) for each in candidates])
        return _delta_characters(delta)
    total = 0
    for choice in as_list(choices):
        total += _delta_characters(get(choice, "delta")) or _length(get(choice, "text"))
    return total


def _delta_characters(delta: Any) -> int:
    stated = contents(delta)
    total = sum([_length(stated.get(name)) for name in _TEXT_FIELDS])
    for call in as_list(stated.get("tool_calls")):
        total += _call_characters(get(call, "function"))
    function = stated.get("function_call")
    audio = stated.get("audio")
    if function is not None:
        total += _call_characters(function)
    if audio is not None:
        total += _length(get(audio, "transcript"))
    return total


def _call_characters(function: Any) -> int:
    return _length(get(function, "name")) + _length(get(function, "arguments"))


def _length(text: Any) -> int:
    return len(text) if isinstance(text, str) else 0


def _characters(values: Iterable[Any]) -> int:
    """Return the number of text characters in `values`: strings, messages or parts.

    Takes time in the number of messages, not in their length.
    """
    total = 0
    for value in values:
        if isinstance(value, str):
            total += len(value)
        elif value is not None:
            content = get(value, "content") or get(value, "text") or get(value, "parts")
            if isinstance(content, str):
                total += len(content)
            elif isinstance(content, (list, tuple)):
                total += _characters(content)
    return total
