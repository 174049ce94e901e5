"""OpenAI's `/responses`.

https://platform.openai.com/docs/api-reference/responses
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from litespan.testing.provider import replies as r
from litespan.testing.provider.openai_chat import REASONING

EMPTY: Final[dict[str, r.Json]] = {  # the fields of an output item that are empty at first
    "message": {"content": []},
    "function_call": {"arguments": ""},
    "reasoning": {"summary": []},
}


def responses(request: r.Request) -> r.Reply:
    """A response, plain or as a stream of typed events."""
    if request.body.get("background") and not request.body.get("stream"):
        return r.as_json({**_response(request, [], "queued"), "usage": None, "background": True})
    items = _output(request)
    if not request.body.get("stream"):
        return r.as_json(_response(request, items, request.behaviour.finish or "completed"))
    error = {**r.openai_error(request)["error"], "type": "error", "sequence_number": 0}
    frames = [
        r.event(kind, {"type": kind, "sequence_number": number, **fields})
        for number, (kind, fields) in enumerate(_events(request, items))
    ]
    return r.Stream(frames, r.event("error", error))


def stored(request: r.Request) -> r.Reply:
    """A response that ran in the background; the behaviour's `finish` is its status."""
    status = request.behaviour.finish or "completed"
    ended = status == "completed"
    sent = replace(request, body={"model": "gpt-4o-mini"})
    response = _response(sent, _output(sent) if ended else [], status)
    usage = response["usage"] if ended else None
    identifier = request.path.rstrip("/").split("/responses/")[-1].partition("/")[0]
    return r.as_json({**response, "id": identifier, "usage": usage, "background": True})


def compact(request: r.Request) -> r.Reply:
    """A compacted conversation."""
    item = {"id": "cmp_1", "type": "compaction", "encrypted_content": "…"}
    answer = _response(request, [item], "completed")
    return r.as_json({**answer, "object": "response.compaction"})


def _response(request: r.Request, output: list[r.Json], status: str) -> r.Json:
    body, behaviour, done = request.body, request.behaviour, status != "in_progress"
    failed = {"code": "server_error", "message": r.error_text(request)}
    incomplete = {"reason": "max_output_tokens"} if status == "incomplete" else None
    return {
        "id": "resp_loopback",
        "object": "response",
        "created_at": r.CREATED,
        "status": status,
        "error": failed if status == "failed" else None,
        "incomplete_details": incomplete,
        "instructions": body.get("instructions"),
        "max_output_tokens": body.get("max_output_tokens"),
        "model": request.served_model,
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
        "usage": _usage(request) if done and behaviour.usage else None,
        "user": body.get("user"),
        "metadata": body.get("metadata") or {},
    }


def _usage(request: r.Request) -> r.Json:
    behaviour = request.behaviour
    return {
        "input_tokens": behaviour.input_tokens,
        "input_tokens_details": {"cached_tokens": behaviour.cached_tokens},
        "output_tokens": behaviour.output_tokens,
        "output_tokens_details": {"reasoning_tokens": behaviour.reasoning_tokens},
        "total_tokens": behaviour.input_tokens + behaviour.output_tokens,
    }


def _output(request: r.Request) -> list[r.Json]:
    turns = request.body.get("input")
    answered = isinstance(turns, list) and turns[-1].get("type") == "function_call_output"
    tools = [] if answered else request.body.get("tools") or []
    calls = r.tool_calls(tools, request.behaviour, "call_loopback_")
    items: list[r.Json] = []
    if request.behaviour.reasoning_tokens:
        summary = {"type": "summary_text", "text": REASONING}
        items.append({"id": "rs_loopback", "type": "reasoning", "summary": [summary]})
    for number, call in enumerate(calls, 1):
        function = {"call_id": call.id, "name": call.name, "arguments": call.json()}
        head = {"id": f"fc_loopback_{number}", "type": "function_call", "status": "completed"}
        items.append({**head, **function})
    if not calls:
        text = {"type": "output_text", "text": request.behaviour.answer(), "annotations": []}
        head = {"id": "msg_loopback", "type": "message", "status": "completed"}
        items.append({**head, "role": "assistant", "content": [text]})
    return items


def _events(request: r.Request, items: list[r.Json]) -> Iterator[tuple[str, r.Json]]:
    started = _response(request, [], "in_progress")
    yield "response.created", {"response": started}
    yield "response.in_progress", {"response": started}
    for index, item in enumerate(items):
        at = {"output_index": index}
        opened = item | ({} if item["type"] == "reasoning" else {"status": "in_progress"})
        opened |= EMPTY[item["type"]]
        yield "response.output_item.added", {**at, "item": opened}
        yield from _item_events(request, item, {**at, "item_id": item["id"]})
        yield "response.output_item.done", {**at, "item": item}
    status = request.behaviour.finish or "completed"
    yield f"response.{status}", {"response": _response(request, items, status)}


def _item_events(request: r.Request, item: r.Json, at: r.Json) -> Iterator[tuple[str, r.Json]]:
    if item["type"] == "function_call":
        for piece in r.halves(item["arguments"]):
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
        for piece in request.behaviour.pieces():
            yield "response.output_text.delta", {**at, "delta": piece}
        yield "response.output_text.done", {**at, "text": part["text"]}
        yield "response.content_part.done", {**at, "part": part}
