"""The canonical finished spans: what litespan writes for one call of each kind.

Every exporter and store is tested on all of them. Ids and times are fixed, so goldens
hold whole payloads. `CASES` are GenAI spans, `OTHERS` are spans that are none.
"""

import base64
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

from litespan.export.encodable import copy_of

RECORDED = Path(__file__).parent / "genai/recorded"
"""What other instrumentations recorded, a file a release; see `record.py` there."""

TRACE_ID = 0x5B8EFFF798038103D269B633813FC60C
PARENT_ID = 0x0AF7651916CD43DD
START_NS = 1_795_165_987_000_000_000  # 2026-11-20T09:13:07Z
MS = 1_000_000

RESOURCE = Resource(
    {
        "service.name": "checkout-bot",
        "service.version": "1.4.2",
        "deployment.environment.name": "production",
    }
)

WHO: dict[str, Any] = {
    "user.id": "user-42",
    "session.id": "sess-7",
    "gen_ai.conversation.id": "sess-7",
    "litellm.tags": ("checkout", "beta"),
    "litellm.metadata.feature": "refund",
    "litellm.metadata.experiment": 3,
    "litellm.team.id": "team-1",
    "litellm.team.alias": "payments",
    "litellm.end_user.id": "customer-9",
    "litellm.api_key.hash": "88dc28d0f030c55ed4ab77ed8faf098196cb1c05df778539800c9f1243fe6b4b",
    "litellm.api_key.alias": "prod-key",
}
OPENAI: dict[str, Any] = {
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o-mini",
    "litellm.provider.model": "gpt-4o-mini",
    "server.address": "api.openai.com",
    "server.port": 443,
}
CHAT: dict[str, Any] = {"gen_ai.operation.name": "chat", **OPENAI}
ANSWERED: dict[str, Any] = {
    "gen_ai.response.id": "chatcmpl-AbC123",
    "gen_ai.response.model": "gpt-4o-mini-2024-07-18",
    "gen_ai.response.finish_reasons": ("stop",),
    "litellm.provider.request_id": "req_8f14e45f",
    "litellm.outcome": "success",
}


def usage(sent: int, received: int, **more: int) -> dict[str, Any]:
    """Token attributes; `more` by the tail of their names, dots as double underscores."""
    extra = {f"gen_ai.usage.{name.replace('__', '.')}": count for name, count in more.items()}
    return {
        "gen_ai.usage.input_tokens": sent,
        "gen_ai.usage.output_tokens": received,
        **extra,
        "litellm.usage.source": "provider",
    }


def cost(sent: float, received: float, **more: float) -> dict[str, Any]:
    """Cost attributes in USD; the total is the sum of both."""
    total = round(sent + received, 12)
    return {
        "gen_ai.usage.cost": total,
        "litellm.cost.total": total,
        "litellm.cost.input": sent,
        "litellm.cost.output": received,
        **{f"litellm.cost.{name}": amount for name, amount in more.items()},
        "litellm.cost.source": "litellm",
    }


def text(role: str, content: str, **more: str) -> dict[str, Any]:
    """One message with one text part."""
    return {"role": role, "parts": [{"type": "text", "content": content}], **more}


def content(
    sent: Sequence[Mapping[str, Any]] = (), received: Sequence[Mapping[str, Any]] = (), **more: Any
) -> dict[str, Any]:
    """Content attributes as litespan writes them: JSON strings."""
    values = {"input.messages": sent, "output.messages": received}
    values |= {name.replace("__", "."): value for name, value in more.items()}
    return {
        f"gen_ai.{name}": json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        for name, value in values.items()
        if value
    }


def stages(*names: str, first_chunk_ms: int = 310, end_ms: int = 1250) -> list[Event]:
    """The stage events of a call that ran `end_ms`."""
    at = {"pre_api_call": 2, "post_api_call": 280, "stream_chunk": first_chunk_ms}
    said: dict[str, dict[str, Any]] = {
        "pre_api_call": {"litellm.attempt": 1},
        "post_api_call": {"http.response.status_code": 200},
        "stream_chunk": {"litellm.stream.index": 0},
    }
    return [
        Event(f"litellm.{name}", said.get(name, {}), START_NS + at.get(name, end_ms - 1) * MS)
        for name in names
    ]


def exception(kind: str, message: str, end_ms: int = 1250) -> Event:
    """The `exception` event of a failed call."""
    attributes = {"exception.type": kind, "exception.message": message}
    return Event("exception", attributes, START_NS + (end_ms - 1) * MS)


def span(
    number: int,
    name: str,
    attributes: Mapping[str, Any],
    events: Sequence[Event] = (),
    *,
    status: Status | None = None,
    kind: SpanKind = SpanKind.CLIENT,
    scope: str = "litespan",
    end_ms: int | None = 1250,
    who: bool = True,
) -> ReadableSpan:
    """A span with fixed ids: span id and call id are made of `number`."""
    mine = {
        "litellm.call_id": f"00000000-0000-4000-8000-{number:012d}",
        "litellm.call_type": "completion",
        **(WHO if who else {}),
    }
    return ReadableSpan(
        name=name,
        context=SpanContext(TRACE_ID, 0xEEE19B7EC3C10000 + number, False, TraceFlags(1)),
        parent=SpanContext(TRACE_ID, PARENT_ID, False, TraceFlags(1)),
        resource=RESOURCE,
        attributes={**(mine if scope == "litespan" else {}), **attributes},
        events=events,
        kind=kind,
        status=status or Status(StatusCode.UNSET),
        start_time=START_NS,
        end_time=None if end_ms is None else START_NS + end_ms * MS,
        instrumentation_scope=InstrumentationScope(scope, "0.1.0"),
    )


def now(span: ReadableSpan) -> ReadableSpan:
    """The span, as if it had just ended: some services want none of yesterday."""
    begun = time.time_ns() - 2_000_000_000
    copy = copy_of(span, span.attributes or {})
    copy._start_time, copy._end_time = begun, begun + 1_250_000_000
    return copy


ERROR_401 = "AuthenticationError: Incorrect API key provided"
PIXEL = base64.b64encode(b"not really a picture").decode()
WEATHER_TOOL = {
    "type": "function",
    "name": "get_weather",
    "description": "Weather of a city",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
}

CASES: dict[str, ReadableSpan] = {
    "chat": span(
        1,
        "chat gpt-4o-mini",
        {
            **CHAT,
            "gen_ai.request.temperature": 0.2,
            "gen_ai.request.max_tokens": 256,
            "gen_ai.request.top_p": 0.9,
            "gen_ai.request.stop_sequences": ("\n\n",),
            "gen_ai.request.seed": 42,
            "gen_ai.prompt.name": "greeting",
            "gen_ai.prompt.version": "3",
            **ANSWERED,
            **usage(20, 10),
            **cost(3e-06, 6e-06),
            **content(
                [text("system", "Be brief."), text("user", "Say hello.")],
                [text("assistant", "Hello!", finish_reason="stop")],
            ),
        },
        stages("pre_api_call", "post_api_call", "success"),
    ),
    "tool_call": span(
        2,
        "chat gpt-4o-mini",
        {
            **CHAT,
            **ANSWERED,
            "gen_ai.response.finish_reasons": ("tool_calls",),
            **usage(120, 40),
            **cost(1.8e-05, 2.4e-05),
            **content(
                [
                    text("user", "Weather in Paris and Rome?"),
                    {
                        "role": "assistant",
                        "parts": [
                            {
                                "type": "tool_call",
                                "id": "call_1",
                                "name": "get_weather",
                                "arguments": {"city": "Paris"},
                            }
                        ],
                    },
                    {
                        "role": "tool",
                        "parts": [
                            {
                                "type": "tool_call_response",
                                "id": "call_1",
                                "response": "14 °C, rain",
                            }
                        ],
                    },
                ],
                [
                    {
                        "role": "assistant",
                        "parts": [
                            {"type": "text", "content": "Paris is wet. Now Rome."},
                            {
                                "type": "tool_call",
                                "id": "call_2",
                                "name": "get_weather",
                                "arguments": {"city": "Rome"},
                            },
                        ],
                        "finish_reason": "tool_call",
                    }
                ],
                tool__definitions=[WEATHER_TOOL],
            ),
        },
        stages("pre_api_call", "post_api_call", "success"),
    ),
    "multimodal": span(
        3,
        "chat gpt-4o-mini",
        {
            **CHAT,
            **ANSWERED,
            **usage(1105, 12),
            **cost(0.00016575, 7.2e-06),
            **content(
                [
                    {
                        "role": "user",
                        "parts": [
                            {"type": "text", "content": "What is in these pictures?"},
                            {
                                "type": "uri",
                                "modality": "image",
                                "uri": "https://example.com/cat.png",
                            },
                            {
                                "type": "blob",
                                "modality": "image",
                                "mime_type": "image/png",
                                "content": PIXEL,
                            },
                        ],
                    }
                ],
                [text("assistant", "A cat and nothing.", finish_reason="stop")],
                system_instructions=[{"type": "text", "content": "Describe pictures."}],
            ),
        },
        stages("pre_api_call", "post_api_call", "success"),
    ),
    "stream": span(
        4,
        "chat gpt-4o-mini",
        {
            **CHAT,
            "gen_ai.request.stream": True,
            **ANSWERED,
            "gen_ai.response.time_to_first_chunk": 0.31,
            "litellm.stream.end": "complete",
            "litellm.stream.chunks": 9,
            "litellm.call_type": "acompletion",
            **usage(20, 10),
            **cost(3e-06, 6e-06),
            **content(
                [text("user", "Say hello.")],
                [text("assistant", "Hello! How can I help?", finish_reason="stop")],
            ),
        },
        stages("pre_api_call", "post_api_call", "stream_chunk", "success"),
    ),
    "reasoning_cached": span(
        5,
        "chat o4-mini",
        {
            **CHAT,
            "gen_ai.request.model": "o4-mini",
            "litellm.provider.model": "o4-mini",
            "gen_ai.request.reasoning.level": "low",
            **ANSWERED,
            "gen_ai.response.model": "o4-mini-2025-04-16",
            **usage(
                2048,
                700,
                cache_read__input_tokens=1536,
                cache_creation__input_tokens=256,
                reasoning__output_tokens=640,
            ),
            **cost(0.0009856, 0.00308, cache_read=0.0004224, reasoning=0.002816),
            **content(
                [text("user", "How many primes below 100?")],
                [
                    {
                        "role": "assistant",
                        "parts": [
                            {"type": "reasoning", "content": "Sieve: 25."},
                            {"type": "text", "content": "25"},
                        ],
                        "finish_reason": "stop",
                    }
                ],
            ),
        },
        stages("pre_api_call", "post_api_call", "success"),
    ),
    "embedding": span(
        6,
        "embeddings text-embedding-3-small",
        {
            **OPENAI,
            "gen_ai.operation.name": "embeddings",
            "gen_ai.request.model": "text-embedding-3-small",
            "litellm.provider.model": "text-embedding-3-small",
            "gen_ai.request.encoding_formats": ("float",),
            "gen_ai.embeddings.dimension.count": 1536,
            "gen_ai.response.model": "text-embedding-3-small",
            "litellm.call_type": "embedding",
            "litellm.outcome": "success",
            "gen_ai.usage.input_tokens": 8,
            "litellm.usage.source": "provider",
            **cost(1.6e-07, 0.0),
        },
        stages("pre_api_call", "post_api_call", "success"),
    ),
    "failure": span(
        7,
        "chat gpt-4o-mini",
        {
            **CHAT,
            "litellm.outcome": "failure",
            "error.type": "AuthenticationError",
            "litellm.provider.error.code": 401,
            **content([text("user", "Say hello.")]),
        },
        [
            *stages("pre_api_call", "post_api_call", "failure"),
            exception("litellm.exceptions.AuthenticationError", ERROR_401),
        ],
        status=Status(StatusCode.ERROR, ERROR_401),
    ),
    "abandoned": span(
        8,
        "chat gpt-4o-mini",
        {
            **CHAT,
            "gen_ai.request.stream": True,
            **ANSWERED,
            "gen_ai.response.finish_reasons": (),
            "gen_ai.response.time_to_first_chunk": 0.31,
            "litellm.outcome": "abandoned",
            "litellm.stream.end": "abandoned",
            "litellm.stream.chunks": 2,
            **usage(20, 2),
            "litellm.usage.source": "estimated",
            **cost(3e-06, 1.2e-06),
            "litellm.cost.source": "estimated",
            **content([text("user", "Say hello.")], [text("assistant", "Hello! How")]),
        },
        stages("pre_api_call", "post_api_call", "stream_chunk", "success"),
    ),
    "cancelled": span(
        9,
        "chat gpt-4o-mini",
        {
            **CHAT,
            "gen_ai.request.stream": True,
            **ANSWERED,
            "gen_ai.response.finish_reasons": (),
            "litellm.outcome": "cancelled",
            "litellm.stream.end": "cancelled",
            "litellm.stream.chunks": 0,
        },
        stages("pre_api_call", "post_api_call", "failure"),
    ),
    "dropped": span(
        10,
        "chat gpt-4o-mini",
        {
            **CHAT,
            "gen_ai.request.stream": True,
            **ANSWERED,
            "gen_ai.response.finish_reasons": (),
            "litellm.outcome": "failure",
            "litellm.stream.end": "dropped",
            "litellm.stream.chunks": 3,
            "error.type": "stream_dropped",
        },
        stages("pre_api_call", "post_api_call", "stream_chunk", "failure"),
        status=Status(StatusCode.ERROR, "the stream ended without a finish reason"),
    ),
    "attempt": span(
        11,
        "chat gpt-4o-mini",
        {
            **CHAT,
            **ANSWERED,
            "litellm.model_group": "fast",
            "litellm.deployment.id": "deployment-b",
            "litellm.attempt": 2,
            "litellm.fallback.from": "smart",
            "litellm.fallback.to": "fast",
            "litellm.request.route": "/chat/completions",
            "user_agent.original": "checkout/1.4",
            **usage(20, 10),
            **cost(3e-06, 6e-06),
        },
        stages("pre_api_call", "post_api_call", "success"),
    ),
    "cache_hit": span(
        12,
        "chat gpt-4o-mini",
        {
            **CHAT,
            **ANSWERED,
            "litellm.cache_hit": True,
            **usage(20, 10),
            **cost(0.0, 0.0, saved=9e-06),
        },
        stages("pre_api_call", "success"),
        end_ms=3,
    ),
    "content_off": span(
        13,
        "chat gpt-4o-mini",
        {**CHAT, **ANSWERED, **usage(20, 10), **cost(3e-06, 6e-06)},
        stages("pre_api_call", "post_api_call", "success"),
    ),
    "bare": span(
        14, "chat", {"gen_ai.operation.name": "chat", "litellm.outcome": "success"}, who=False
    ),
    "unicode": span(
        15,
        "chat gpt-4o-mini",
        {
            **CHAT,
            **ANSWERED,
            "user.id": "Zoë-用户-🦊",
            "litellm.metadata.stadt": "Köln\u0000\u202e'; drop table llm_calls;--",
            **usage(20, 10),
            **cost(3e-06, 6e-06),
            **content(
                [text("user", 'Grüße, 世界! 🦊\u0000\t"quoted" \\ </script>')],
                [text("assistant", "Привет 👋🏽 =1+1", finish_reason="stop")],
            ),
        },
        stages("pre_api_call", "post_api_call", "success"),
    ),
    "surrogate": span(  # a lone surrogate, as from cut text and broken clients
        17,
        "chat gpt-4o-mini",
        {
            **CHAT,
            **ANSWERED,
            "user.id": "half \ud83d",
            "litellm.metadata.note": "\udc8d other half",
            **usage(20, 10),
            **cost(3e-06, 6e-06),
            **content(
                [text("user", "Hi \ud83d")], [text("assistant", "Hi.", finish_reason="stop")]
            ),
        },
        stages("pre_api_call", "post_api_call", "success"),
    ),
    "huge": span(
        16,
        "chat gpt-4o-mini",
        {
            **CHAT,
            **ANSWERED,
            **usage(1_250_000, 10),
            **cost(0.1875, 6e-06),
            **content(
                [text("user", "lorem ipsum " * 437_000)],
                [text("assistant", "Too long.", finish_reason="stop")],
            ),
        },
        stages("pre_api_call", "post_api_call", "success"),
    ),
}

OTHERS: dict[str, ReadableSpan] = {
    "router": span(
        101,
        "litellm.router fast",
        {"litellm.model_group": "fast", "litellm.outcome": "success"},
        kind=SpanKind.INTERNAL,
    ),
    "http": span(
        102,
        "POST",
        {"http.request.method": "POST", "server.address": "api.openai.com"},
        scope="opentelemetry.instrumentation.httpx",
    ),
    "app": span(103, "checkout", {}, kind=SpanKind.INTERNAL, scope="shop"),
}

STARTED = span(
    1,
    "chat gpt-4o-mini",
    {**CHAT, "gen_ai.request.temperature": 0.2, "gen_ai.request.max_tokens": 256},
    end_ms=None,
)
"""The snapshot of the case `chat` before its network call."""


def foreign(name: str) -> list[ReadableSpan]:
    """Spans that another instrumentation made: see `tests/genai/recorded/record.py`."""
    fixture = json.loads((RECORDED / f"{name}.json").read_text())
    return [_recorded(span) for span in fixture["spans"]]


def _recorded(span: dict[str, Any]) -> ReadableSpan:
    trace_id, parent_id = int(span["trace_id"], 16), span["parent_id"]
    code, description = span["status"]
    return ReadableSpan(
        name=span["name"],
        context=SpanContext(trace_id, int(span["span_id"], 16), False, TraceFlags(1)),
        parent=SpanContext(trace_id, int(parent_id, 16), False) if parent_id else None,
        resource=RESOURCE,
        attributes={
            key: tuple(value) if isinstance(value, list) else value
            for key, value in span["attributes"].items()
        },
        events=[Event(event, attributes, time) for event, time, attributes in span["events"]],
        kind=SpanKind[span["kind"]],
        status=Status(StatusCode[code], description),
        start_time=span["start"],
        end_time=span["end"],
        instrumentation_scope=InstrumentationScope(span["scope"]),
    )
