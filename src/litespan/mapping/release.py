"""Converts span attributes and messages to those of the GenAI conventions v0.1.0.

https://github.com/open-telemetry/semantic-conventions-genai/tree/v0.1.0/docs/gen-ai
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from litespan import semconv as s
from litespan.generations import ATTRIBUTES, RENAMED, Generation
from litespan.mapping.request import Attributes, Request
from litespan.mapping.response import Answer
from litespan.mapping.usage import Usage
from litespan.objects import as_tokens, contents, get

PARTS: Final = frozenset(
    {
        *("text", "reasoning", "tool_call", "tool_call_response", "blob", "uri", "file"),
        *("server_tool_call", "server_tool_call_response", "compaction", "generic"),
    }
)
"""The types of message parts that the conventions define."""

_COMPACTION: Final = "compaction"
_SENT: Final = ("prompt_tokens_details", "input_tokens_details", "input_token_details")
_RECEIVED: Final = ("completion_tokens_details", "output_tokens_details", "output_token_details")


def adapt(
    generation: Generation, request: Request, answer: Answer | None, attributes: Attributes
) -> None:
    """Add the names and values of v0.1.0 to the attributes at the end of a call, in place.

    Names of 1.41 are removed unless `generation` has both.
    """
    for old, new in RENAMED:
        if old in attributes:
            attributes[new] = attributes[old]
            if not generation.old:
                del attributes[old]
    if answer is None:
        return
    if answer.usage is not None:
        for name, count in modalities(answer.usage):
            attributes[name] = count
    if is_compacted(request, answer):
        attributes[s.CONVERSATION_COMPACTED] = True


def modalities(usage: Usage) -> Iterator[tuple[str, int]]:
    """Yield (attribute, tokens) for each modality that the provider reports, above zero.

    Text tokens are used only if the provider also counts images or audio, because LiteLLM fills
    them in for other providers; and only without cached tokens, unless these are also counted by
    modality.
    """
    stated = contents(usage.raw)
    sent, received = _details(stated, _SENT), _details(stated, _RECEIVED)
    cached = contents(get(sent, "cached_tokens_details"))
    text = _is_broken_down(sent) and bool(cached or not usage.cache_read)
    for key, details, field in (
        ("text_input", sent if text else {}, "text_tokens"),
        ("image_input", sent, "image_tokens"),
        ("text_output", received if _is_broken_down(received) else {}, "text_tokens"),
        ("image_output", received, "image_tokens"),
        ("text_cache_read", cached, "text_tokens"),
        ("image_cache_read", cached, "image_tokens"),
        ("audio_cache_read", cached, "audio_tokens"),
    ):
        count = as_tokens(details.get(field))
        name = ATTRIBUTES[key].new
        if count is not None and count > 0 and name is not None:
            yield name, count


def _details(stated: Mapping[str, Any], names: tuple[str, ...]) -> Mapping[str, Any]:
    return next((contents(stated[name]) for name in names if stated.get(name)), {})


def _is_broken_down(details: Mapping[str, Any]) -> bool:
    return details.get("image_tokens") is not None or details.get("audio_tokens") is not None


def is_compacted(request: Request, answer: Answer) -> bool:
    """Whether the provider shortened the conversation, in this call or in an earlier one."""
    if _COMPACTION in answer.finish_reasons:
        return True
    stated = contents(answer.raw)
    lists = (
        *(stated.get("output"), stated.get("content")),
        *(request.arguments.get("input"), request.arguments.get("messages")),
    )
    return any(_has_compaction(items) for items in lists if isinstance(items, (list, tuple)))


def _has_compaction(items: list[Any] | tuple[Any, ...]) -> bool:
    for item in items:
        inner = get(item, "content")
        if get(item, "type") == _COMPACTION:
            return True
        if isinstance(inner, (list, tuple)) and any(
            get(block, "type") == _COMPACTION for block in inner
        ):
            return True
    return False


def adapt_content(values: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """Return messages and instructions in the form of v0.1.0.

    Parts of a type that the conventions do not define are `generic`, instructions are texts, and
    output messages have no finish reason: `gen_ai.response.finish_reasons` has it.
    """
    adapted = dict(values)
    for name in (s.INPUT_MESSAGES, s.OUTPUT_MESSAGES):
        if name in values:
            adapted[name] = [_message(message) for message in values[name]]
    if s.SYSTEM_INSTRUCTIONS in values:
        instructions = values[s.SYSTEM_INSTRUCTIONS]
        adapted[s.SYSTEM_INSTRUCTIONS] = [_part(part, _INSTRUCTIONS) for part in instructions]
    return adapted


_INSTRUCTIONS: Final = frozenset({"text", "generic"})


def _message(message: Mapping[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in message.items() if name != "finish_reason"}
    return {**kept, "parts": [_part(part, PARTS) for part in message["parts"]]}


def _part(part: dict[str, Any], defined: frozenset[str]) -> dict[str, Any]:
    kind = part["type"]
    return part if kind in defined else {**part, "type": "generic", "generic_type": kind}
