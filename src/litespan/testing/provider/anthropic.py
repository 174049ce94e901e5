"""Anthropic's `/messages`.

https://docs.anthropic.com/en/api/messages, https://docs.anthropic.com/en/api/messages-streaming
"""

import json
from collections.abc import Iterator
from typing import Any

from litespan.testing.provider import replies as r
from litespan.testing.provider.openai_chat import REASONING


def messages(request: r.Request) -> r.Reply:
    """A message, plain or as a stream of events."""
    content = _content(request)
    uses_tool = any(block["type"] == "tool_use" for block in content)
    stop = request.behaviour.finish or ("tool_use" if uses_tool else "end_turn")
    message: r.Json = {
        "id": "msg_loopback",
        "type": "message",
        "role": "assistant",
        "model": request.model,
        "content": content,
        "stop_reason": stop,
        "stop_sequence": None,
    }
    if request.behaviour.usage:
        message["usage"] = _usage(request)
    if not request.body.get("stream"):
        return r.as_json(message)
    frames = [r.event(kind, {"type": kind, **fields}) for kind, fields in _events(request, message)]
    return r.Stream(frames, r.event("error", r.anthropic_error(request)))


def _usage(request: r.Request) -> r.Json:
    """Anthropic's `input_tokens` exclude cached tokens."""
    behaviour = request.behaviour
    return {
        "input_tokens": behaviour.input_tokens
        - behaviour.cached_tokens
        - behaviour.cache_write_tokens,
        "cache_creation_input_tokens": behaviour.cache_write_tokens,
        "cache_read_input_tokens": behaviour.cached_tokens,
        "output_tokens": behaviour.output_tokens,
        "service_tier": "standard",
    }


def _content(request: r.Request) -> list[r.Json]:
    blocks: list[r.Json] = []
    if request.behaviour.reasoning_tokens:
        signature = "bG9vcGJhY2s="
        blocks.append({"type": "thinking", "thinking": REASONING, "signature": signature})
    tools = [] if _has_tool_result(request) else request.body.get("tools") or []
    calls = r.tool_calls(tools, request.behaviour, "toolu_loopback_")
    for call in calls:
        use = {"id": call.id, "name": call.name, "input": call.arguments}
        blocks.append({"type": "tool_use", **use})
    if not calls:
        blocks.append({"type": "text", "text": request.behaviour.answer()})
    return blocks


def _has_tool_result(request: r.Request) -> bool:
    turns: list[Any] = request.body.get("messages") or []
    content = turns[-1].get("content") if turns else None
    return isinstance(content, list) and any(part["type"] == "tool_result" for part in content)


def _events(request: r.Request, message: r.Json) -> Iterator[tuple[str, r.Json]]:
    started = {**message, "content": [], "stop_reason": None}
    usage = message.get("usage")
    if usage:
        started["usage"] = {**usage, "output_tokens": 1}
    yield "message_start", {"message": started}
    yield "ping", {}
    for index, block in enumerate(message["content"]):
        empty, deltas = _block(request, block)
        yield "content_block_start", {"index": index, "content_block": empty}
        for delta in deltas:
            yield "content_block_delta", {"index": index, "delta": delta}
        yield "content_block_stop", {"index": index}
    ended = {"stop_reason": message["stop_reason"], "stop_sequence": None}
    counted = {"usage": {"output_tokens": usage["output_tokens"]}} if usage else {}
    yield "message_delta", {"delta": ended, **counted}
    yield "message_stop", {}


def _block(request: r.Request, block: r.Json) -> tuple[r.Json, list[r.Json]]:
    """(a content block as it starts, the deltas that complete it)."""
    if block["type"] == "thinking":
        signature = {"type": "signature_delta", "signature": block["signature"]}
        thought = {"type": "thinking_delta", "thinking": block["thinking"]}
        return {**block, "thinking": "", "signature": ""}, [thought, signature]
    if block["type"] == "tool_use":
        pieces = r.halves(json.dumps(block["input"]))
        parts = [{"type": "input_json_delta", "partial_json": piece} for piece in pieces]
        return {**block, "input": {}}, parts
    parts = [{"type": "text_delta", "text": piece} for piece in request.behaviour.pieces()]
    return {**block, "text": ""}, parts
