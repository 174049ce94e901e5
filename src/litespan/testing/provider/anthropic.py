"""Anthropic's `/messages`.

https://docs.anthropic.com/en/api/messages, https://docs.anthropic.com/en/api/messages-streaming
"""

from collections.abc import Iterator
from typing import Any

from litespan.testing.provider.openai_chat import REASONING
from litespan.testing.provider.replies import (
    Asked,
    Json,
    Reply,
    Stream,
    anthropic_error,
    as_json,
    event,
    halves,
    tool_calls,
)


def messages(asked: Asked) -> Reply:
    """A message, plain or as a stream of events."""
    content = _content(asked)
    uses_tool = any(block["type"] == "tool_use" for block in content)
    stop = asked.how.finish or ("tool_use" if uses_tool else "end_turn")
    message: Json = {
        "id": "msg_loopback",
        "type": "message",
        "role": "assistant",
        "model": asked.model,
        "content": content,
        "stop_reason": stop,
        "stop_sequence": None,
    }
    if asked.how.usage:
        message["usage"] = _usage(asked)
    if not asked.body.get("stream"):
        return as_json(message)
    frames = [event(kind, {"type": kind, **fields}) for kind, fields in _events(asked, message)]
    return Stream(frames, event("error", anthropic_error(asked)))


def _usage(asked: Asked) -> Json:
    """Anthropic counts cached input tokens apart: `input_tokens` are the rest."""
    how = asked.how
    return {
        "input_tokens": how.input_tokens - how.cached_tokens - how.cache_write_tokens,
        "cache_creation_input_tokens": how.cache_write_tokens,
        "cache_read_input_tokens": how.cached_tokens,
        "output_tokens": how.output_tokens,
        "service_tier": "standard",
    }


def _content(asked: Asked) -> list[Json]:
    blocks: list[Json] = []
    if asked.how.reasoning_tokens:
        thought = {"thinking": REASONING, "signature": "bG9vcGJhY2s="}
        blocks.append({"type": "thinking", **thought})
    tools = [] if _brings_tool_result(asked) else asked.body.get("tools") or []
    calls = tool_calls(tools, asked.how, "toolu_loopback_")
    for call in calls:
        use = {"id": call.id, "name": call.name, "input": call.arguments}
        blocks.append({"type": "tool_use", **use})
    if not calls:
        blocks.append({"type": "text", "text": asked.how.answer()})
    return blocks


def _brings_tool_result(asked: Asked) -> bool:
    turns: list[Any] = asked.body.get("messages") or []
    content = turns[-1].get("content") if turns else None
    return isinstance(content, list) and any(part["type"] == "tool_result" for part in content)


def _events(asked: Asked, message: Json) -> Iterator[tuple[str, Json]]:
    started = {**message, "content": [], "stop_reason": None}
    usage = message.get("usage")
    if usage:
        started["usage"] = {**usage, "output_tokens": 1}
    yield "message_start", {"message": started}
    yield "ping", {}
    for index, block in enumerate(message["content"]):
        empty, deltas = _block(asked, block)
        yield "content_block_start", {"index": index, "content_block": empty}
        for delta in deltas:
            yield "content_block_delta", {"index": index, "delta": delta}
        yield "content_block_stop", {"index": index}
    ended = {"stop_reason": message["stop_reason"], "stop_sequence": None}
    counted = {"usage": {"output_tokens": usage["output_tokens"]}} if usage else {}
    yield "message_delta", {"delta": ended, **counted}
    yield "message_stop", {}


def _block(asked: Asked, block: Json) -> tuple[Json, list[Json]]:
    """A content block as it opens, and the deltas that fill it."""
    if block["type"] == "thinking":
        signature = {"type": "signature_delta", "signature": block["signature"]}
        thought = {"type": "thinking_delta", "thinking": block["thinking"]}
        return {**block, "thinking": "", "signature": ""}, [thought, signature]
    if block["type"] == "tool_use":
        calls = tool_calls(asked.body["tools"], asked.how, "toolu_loopback_")
        text = next(call.json() for call in calls if call.id == block["id"])
        parts = [{"type": "input_json_delta", "partial_json": piece} for piece in halves(text)]
        return {**block, "input": {}}, parts
    pieces = [{"type": "text_delta", "text": piece} for piece in asked.how.pieces()]
    return {**block, "text": ""}, pieces
