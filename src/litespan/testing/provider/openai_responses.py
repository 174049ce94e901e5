"""OpenAI's `/responses`.

https://platform.openai.com/docs/api-reference/responses
"""

from collections.abc import Iterator
from typing import Final

from litespan.testing.provider.openai_chat import REASONING
from litespan.testing.provider.replies import (
    CREATED,
    Asked,
    Json,
    Reply,
    Stream,
    as_json,
    error_text,
    event,
    halves,
    openai_error,
    tool_calls,
)

EMPTY: Final[dict[str, Json]] = {  # what of an output item is still missing as it opens
    "message": {"content": []},
    "function_call": {"arguments": ""},
    "reasoning": {"summary": []},
}


def responses(asked: Asked) -> Reply:
    """A response, plain or as a stream of typed events."""
    items = _output(asked)
    if not asked.body.get("stream"):
        return as_json(_response(asked, items, asked.how.finish or "completed"))
    error = {**openai_error(asked)["error"], "type": "error", "sequence_number": 0}
    frames = [
        event(kind, {"type": kind, "sequence_number": number, **fields})
        for number, (kind, fields) in enumerate(_events(asked, items))
    ]
    return Stream(frames, event("error", error))


def _response(asked: Asked, output: list[Json], status: str) -> Json:
    body, how, done = asked.body, asked.how, status != "in_progress"
    error = {"code": "server_error", "message": error_text(asked)} if status == "failed" else None
    incomplete = {"reason": "max_output_tokens"} if status == "incomplete" else None
    return {
        "id": "resp_loopback",
        "object": "response",
        "created_at": CREATED,
        "status": status,
        "error": error,
        "incomplete_details": incomplete,
        "instructions": body.get("instructions"),
        "max_output_tokens": body.get("max_output_tokens"),
        "model": asked.served_model,
        "output": output,
        "parallel_tool_calls": True,
        "previous_response_id": body.get("previous_response_id"),
        "reasoning": {"effort": None, "summary": None},
        "service_tier": "default",
        "store": True,
        "temperature": body.get("temperature", 1.0),
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": body.get("tools") or [],
        "top_p": body.get("top_p", 1.0),
        "truncation": "disabled",
        "usage": _usage(asked) if done and how.usage else None,
        "user": body.get("user"),
        "metadata": body.get("metadata") or {},
    }


def _usage(asked: Asked) -> Json:
    how = asked.how
    return {
        "input_tokens": how.input_tokens,
        "input_tokens_details": {"cached_tokens": how.cached_tokens},
        "output_tokens": how.output_tokens,
        "output_tokens_details": {"reasoning_tokens": how.reasoning_tokens},
        "total_tokens": how.input_tokens + how.output_tokens,
    }


def _output(asked: Asked) -> list[Json]:
    turns = asked.body.get("input")
    answered = isinstance(turns, list) and turns[-1].get("type") == "function_call_output"
    tools = [] if answered else asked.body.get("tools") or []
    calls = tool_calls(tools, asked.how, "call_loopback_")
    items: list[Json] = []
    if asked.how.reasoning_tokens:
        summary = {"type": "summary_text", "text": REASONING}
        items.append({"id": "rs_loopback", "type": "reasoning", "summary": [summary]})
    for number, call in enumerate(calls, 1):
        function = {"call_id": call.id, "name": call.name, "arguments": call.json()}
        head = {"id": f"fc_loopback_{number}", "type": "function_call", "status": "completed"}
        items.append({**head, **function})
    if not calls:
        text = {"type": "output_text", "text": asked.how.answer(), "annotations": []}
        head = {"id": "msg_loopback", "type": "message", "status": "completed"}
        items.append({**head, "role": "assistant", "content": [text]})
    return items


def _events(asked: Asked, items: list[Json]) -> Iterator[tuple[str, Json]]:
    started = _response(asked, [], "in_progress")
    yield "response.created", {"response": started}
    yield "response.in_progress", {"response": started}
    for index, item in enumerate(items):
        at = {"output_index": index}
        opened = item | ({} if item["type"] == "reasoning" else {"status": "in_progress"})
        opened |= EMPTY[item["type"]]
        yield "response.output_item.added", {**at, "item": opened}
        yield from _item_events(asked, item, {**at, "item_id": item["id"]})
        yield "response.output_item.done", {**at, "item": item}
    status = asked.how.finish or "completed"
    yield f"response.{status}", {"response": _response(asked, items, status)}


def _item_events(asked: Asked, item: Json, at: Json) -> Iterator[tuple[str, Json]]:
    if item["type"] == "function_call":
        for piece in halves(item["arguments"]):
            yield "response.function_call_arguments.delta", {**at, "delta": piece}
        done = {**at, "arguments": item["arguments"]}
        yield "response.function_call_arguments.done", done
    elif item["type"] == "reasoning":
        at = {**at, "summary_index": 0}
        yield "response.reasoning_summary_text.delta", {**at, "delta": REASONING}
        yield "response.reasoning_summary_text.done", {**at, "text": REASONING}
    else:
        at, part = {**at, "content_index": 0}, item["content"][0]
        yield "response.content_part.added", {**at, "part": {**part, "text": ""}}
        for piece in asked.how.pieces():
            yield "response.output_text.delta", {**at, "delta": piece}
        yield "response.output_text.done", {**at, "text": part["text"]}
        yield "response.content_part.done", {**at, "part": part}
