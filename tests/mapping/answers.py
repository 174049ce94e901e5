"""Providers that answer with a given usage, in each API's own shape, over HTTP."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from tests.support.calls import MESSAGES
from tests.support.server import Received, Reply, running

Usage = Mapping[str, Any]
CLAUDE = "claude-sonnet-4-5-20250929"


@contextmanager
def answering(usage: Usage, *, text: str = "Hi", **deltas: Any) -> Iterator[str]:
    """The address of a provider whose every answer states `usage`; `deltas` come in its streams."""

    def answer(request: Received) -> Reply:
        body = json.loads(request.body)
        if request.path.endswith("/messages"):
            return _messages(usage, text, stream=bool(body.get("stream")))
        if request.path.endswith("/responses"):
            return _responses(usage, stream=bool(body.get("stream")))
        if request.path.endswith("/embeddings"):
            return _embeddings(body["input"])
        return _chat(usage, body, text, deltas)

    with running(answer) as vendor:
        yield vendor.url


def openai(url: str, **given: Any) -> dict[str, Any]:
    """The keywords of a chat completion by OpenAI's API at `url`."""
    return {
        "model": "openai/gpt-4o-mini",
        "messages": [dict(message) for message in MESSAGES],
        "api_base": f"{url}/v1",
        "api_key": "k",
        **given,
    }


def claude(url: str, **given: Any) -> dict[str, Any]:
    """The keywords of a call by Anthropic's API at `url`."""
    return {
        "model": f"anthropic/{CLAUDE}",
        "messages": [dict(message) for message in MESSAGES],
        "max_tokens": 64,
        "api_base": url,
        "api_key": "k",
        **given,
    }


def _json(body: Any) -> Reply:
    return Reply(body=json.dumps(body).encode(), headers={"Content-Type": "application/json"})


def _events(*events: Mapping[str, Any], named: bool = True, end: str = "") -> Reply:
    text = "".join(
        (f"event: {event['type']}\n" if named else "") + f"data: {json.dumps(event)}\n\n"
        for event in events
    )
    return Reply(body=(text + end).encode(), headers={"Content-Type": "text/event-stream"})


def _chat(usage: Usage, body: Any, text: str, delta: Any) -> Reply:
    envelope = {"id": "c1", "object": "chat.completion", "created": 1, "model": body["model"]}
    message = {"role": "assistant", "content": text}
    if not body.get("stream"):
        choice = {"index": 0, "message": message, "text": text, "finish_reason": "stop"}
        return _json({**envelope, "choices": [choice], "usage": usage})
    envelope["object"] = "chat.completion.chunk"
    return _events(
        {**envelope, "choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]},
        {**envelope, "choices": [{"index": 0, "delta": delta or {"content": text}}]},
        {**envelope, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
        {**envelope, "choices": [], "usage": usage},
        named=False,
        end="data: [DONE]\n\n",
    )


def _messages(usage: Usage, text: str, *, stream: bool) -> Reply:
    message = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": CLAUDE,
        "content": [{"type": "text", "text": text}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": usage,
    }
    if not stream:
        return _json(message)
    started = {**message, "content": [], "usage": {**usage, "output_tokens": 1}}
    ended = {"stop_reason": "end_turn", "stop_sequence": None}
    return _events(
        {"type": "message_start", "message": started},
        {
            "type": "content_block_start",
            "index": 0,
            "content_block": {"type": "text", "text": ""},
        },
        {
            "type": "content_block_delta",
            "index": 0,
            "delta": {"type": "text_delta", "text": text},
        },
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": ended, "usage": usage},
        {"type": "message_stop"},
    )


def _responses(usage: Usage, *, stream: bool) -> Reply:
    response = {
        "id": "resp_1",
        "object": "response",
        "created_at": 1,
        "status": "completed",
        "model": "gpt-5-mini",
        "output": [
            {
                "type": "message",
                "id": "m",
                "status": "completed",
                "role": "assistant",
                "content": [{"type": "output_text", "text": "Hi", "annotations": []}],
            }
        ],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "service_tier": usage.get("service_tier"),
        "usage": usage,
    }
    if not stream:
        return _json(response)
    begun = {**response, "status": "in_progress", "output": [], "usage": None}
    delta = {
        "type": "response.output_text.delta",
        "sequence_number": 1,
        "item_id": "m",
        "output_index": 0,
        "content_index": 0,
        "delta": "Hi",
        "logprobs": [],
    }
    end = {"type": "response.completed", "sequence_number": 2, "response": response}
    if usage.get("fails"):
        failed = {**response, "status": "failed", "usage": usage["fails"]}
        failed["error"] = {"code": "server_error", "message": "The model failed"}
        end = {"type": "response.failed", "sequence_number": 2, "response": failed}
    return _events(
        {"type": "response.created", "sequence_number": 0, "response": begun}, delta, end
    )


def _embeddings(inputs: list[str]) -> Reply:
    tokens = 6 * len(inputs)
    vectors = [
        {"object": "embedding", "index": index, "embedding": [0.5]} for index in range(len(inputs))
    ]
    counted = {"prompt_tokens": tokens, "total_tokens": tokens}
    return _json(
        {"object": "list", "model": "text-embedding-3-small", "usage": counted, "data": vectors}
    )
