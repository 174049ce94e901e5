"""Answers in the formats of providers, as a server sends them."""

import base64
import json
import struct
from collections.abc import Mapping
from typing import Any, Final
from zlib import crc32

from tests.support.server import Received, Reply

EVENT_STREAM: Final = "application/vnd.amazon.eventstream"


def message(headers: Mapping[str, str], body: bytes) -> bytes:
    """One message of an AWS event stream."""
    named = b"".join(
        struct.pack(">B", len(name)) + name.encode() + struct.pack(">BH", 7, len(value)) + value
        for name, value in ((name, value.encode()) for name, value in headers.items())
    )
    head = struct.pack(">II", 16 + len(named) + len(body), len(named))
    whole = head + struct.pack(">I", crc32(head)) + named + body
    return whole + struct.pack(">I", crc32(whole))


def event(kind: str, body: Any) -> bytes:
    """An event of Bedrock."""
    headers = {":event-type": kind, ":content-type": "application/json", ":message-type": "event"}
    return message(headers, json.dumps(body).encode())


def chunk(body: Any) -> bytes:
    """An event of `InvokeModelWithResponseStream`: the model's own, in base 64."""
    return event("chunk", {"bytes": base64.b64encode(json.dumps(body).encode()).decode()})


def lines(*events: Any) -> bytes:
    """JSON, one object a line."""
    return b"".join(json.dumps(each).encode() + b"\n" for each in events)


def server_sent(*events: Any) -> bytes:
    """Server-sent events."""
    return b"".join(b"data: " + json.dumps(each).encode() + b"\n\n" for each in events)


def candidate(text: str, output: int, **more: Any) -> dict[str, Any]:
    """A part of an answer of Google's."""
    return {
        "candidates": [
            {"content": {"role": "model", "parts": [{"text": text}]}, "index": 0} | more
        ],
        "usageMetadata": {
            "promptTokenCount": 20,
            "candidatesTokenCount": output,
            "totalTokenCount": 20 + output,
        },
        "modelVersion": "gemini-2.5-flash",
        "responseId": "r1",
    }


METRICS: Final = {
    "amazon-bedrock-invocationMetrics": {"inputTokenCount": 20, "outputTokenCount": 10}
}
CACHED: Final = {"cacheReadInputTokens": 5, "cacheWriteInputTokens": 3}
USAGE: Final = {"inputTokens": 20, "outputTokens": 10, "totalTokens": 30}
CONVERSE_EVENTS: Final[list[tuple[str, Any]]] = [
    ("messageStart", {"role": "assistant"}),
    ("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "Hel"}}),
    ("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "lo"}}),
    ("contentBlockStop", {"contentBlockIndex": 0}),
    ("messageStop", {"stopReason": "end_turn"}),
    ("metadata", {"usage": {**USAGE, **CACHED}, "metrics": {"latencyMs": 5}}),
]
CONVERSE: Final = b"".join(event(kind, body) for kind, body in CONVERSE_EVENTS)
NOVA: Final = b"".join(
    chunk({kind: body, **(METRICS if kind == "metadata" else {})}) for kind, body in CONVERSE_EVENTS
)
CLAUDE: Final = b"".join(
    chunk(each)
    for each in (
        {
            "type": "message_start",
            "message": {
                "id": "msg_1",
                "type": "message",
                "role": "assistant",
                "model": "claude-haiku-4-5",
                "content": [],
                "usage": {
                    "input_tokens": 20,
                    "cache_read_input_tokens": 5,
                    "cache_creation_input_tokens": 3,
                    "output_tokens": 1,
                },
            },
        },
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {
            "type": "content_block_delta",
            "index": 0,
            "delta": {"type": "text_delta", "text": "Hello"},
        },
        {"type": "content_block_stop", "index": 0},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn", "stop_sequence": None},
            "usage": {"output_tokens": 10},
        },
        {"type": "message_stop", **METRICS},
    )
)
LLAMA: Final = b"".join(
    chunk(each)
    for each in (
        {"generation": "Hel", "prompt_token_count": 20, "generation_token_count": 1},
        {
            "generation": "lo",
            "prompt_token_count": None,
            "generation_token_count": 10,
            "stop_reason": "stop",
            **METRICS,
        },
    )
)
THROTTLED: Final = event(*CONVERSE_EVENTS[0]) + message(
    {":message-type": "exception", ":exception-type": "throttlingException"},
    b'{"message": "the machine is too hot"}',
)
GOOGLE: Final = json.dumps(
    [candidate("Hel", 1), candidate("lo", 10, finishReason="STOP")], indent=1
).encode()
OLLAMA: Final = lines(
    {"model": "llama3.2", "message": {"role": "assistant", "content": "Hel"}, "done": False},
    {
        "model": "llama3.2",
        "message": {"role": "assistant", "content": "lo"},
        "done": True,
        "done_reason": "stop",
        "prompt_eval_count": 20,
        "eval_count": 10,
    },
)
COHERE: Final = lines(
    {"is_finished": False, "event_type": "stream-start", "generation_id": "g1"},
    {"is_finished": False, "event_type": "text-generation", "text": "Hello"},
    {
        "is_finished": True,
        "event_type": "stream-end",
        "finish_reason": "COMPLETE",
        "response": {
            "text": "Hello",
            "generation_id": "g1",
            "meta": {
                "billed_units": {"input_tokens": 18, "output_tokens": 10},
                "tokens": {"input_tokens": 20, "output_tokens": 10},
            },
        },
    },
)
COHERE_V2: Final = server_sent(
    {"type": "message-start", "id": "c2", "delta": {"message": {"role": "assistant"}}},
    {"type": "content-delta", "index": 0, "delta": {"message": {"content": {"text": "Hello"}}}},
    {
        "type": "message-end",
        "delta": {
            "finish_reason": "COMPLETE",
            "usage": {"tokens": {"input_tokens": 20, "output_tokens": 10}},
        },
    },
)
PLAIN_CONVERSE: Final = json.dumps(
    {
        "output": {"message": {"role": "assistant", "content": [{"text": "Hello"}]}},
        "stopReason": "end_turn",
        "usage": {**USAGE, **CACHED},
    },
    indent=1,
).encode()
OPENAI: Final = (
    server_sent(
        {
            "id": "c1",
            "model": "gpt-4o-mini",
            "choices": [{"index": 0, "delta": {"content": "Hello"}}],
        },
        {
            "id": "c1",
            "model": "gpt-4o-mini",
            "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 20, "completion_tokens": 10, "total_tokens": 30},
        },
    )
    + b"data: [DONE]\n\n"
)
# Path of an upstream → its answer.
ANSWERS: Final[dict[str, tuple[bytes, str]]] = {
    "/model/claude/converse-stream": (CONVERSE, EVENT_STREAM),
    "/model/claude/invoke-with-response-stream": (CLAUDE, EVENT_STREAM),
    "/model/hot/converse-stream": (THROTTLED, EVENT_STREAM),
    "/v1beta/models/gemini-2.5-flash:streamGenerateContent": (GOOGLE, "application/json"),
    "/ollama/api/chat": (OLLAMA, "application/x-ndjson"),
    "/cohere/v1/chat": (COHERE, "application/stream+json"),
    "/mine/chat/completions": (OPENAI, "text/event-stream"),
}


def answer(request: Received) -> Reply:
    """The answer of an upstream; Bedrock's model may have any name."""
    path = request.path.partition("?")[0]
    if "anthropic." in path:
        path = f"/model/claude/{path.rpartition('/')[2]}"
    if path not in ANSWERS:
        return Reply(404)
    body, kind = ANSWERS[path]
    return Reply(200, body, {"Content-Type": kind})
