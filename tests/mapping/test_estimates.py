"""Tokens of streams that end before their usage arrives are estimated from all output."""

import gc
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import litellm
import pytest

from litespan.mapping.estimate import chunk_characters
from tests.mapping.answers import CLAUDE, answering, claude, openai
from tests.support.calls import Traced
from tests.support.server import Received, Reply, running

TEXT = "The model wrote this. " * 18 + "end!"  # 400 characters
PIECES = 20  # 8,000 characters: about 2,000 tokens

CACHED = {"input_tokens": 500, "cache_read_input_tokens": 200, "output_tokens": 60}
CHAT: dict[str, dict[str, Any]] = {
    "text": {"content": TEXT},
    "reasoning": {"reasoning_content": TEXT},
    "tool": {"tool_calls": [{"index": 0, "function": {"arguments": TEXT}}]},
}
MESSAGES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "text": ({"type": "text", "text": ""}, {"type": "text_delta", "text": TEXT}),
    "reasoning": (
        {"type": "thinking", "thinking": "", "signature": ""},
        {"type": "thinking_delta", "thinking": TEXT},
    ),
    "tool": (
        {"type": "tool_use", "id": "t", "name": "write", "input": {}},
        {"type": "input_json_delta", "partial_json": TEXT},
    ),
}


@contextmanager
def sending(*events: dict[str, Any]) -> Iterator[str]:
    """The address of a provider whose streams have these events, and no end."""

    def answer(_: Received) -> Reply:
        text = "".join(
            (f"event: {event['type']}\n" if "type" in event else "")
            + f"data: {json.dumps(event)}\n\n"
            for event in events
        )
        return Reply(body=text.encode(), headers={"Content-Type": "text/event-stream"})

    with running(answer) as vendor:
        yield vendor.url


def estimated(traced: Traced) -> Any:
    """The estimated output tokens of the only call."""
    attributes = traced.span["attributes"]
    assert attributes["litellm.usage.source"] == "estimated"
    assert attributes["litellm.outcome"] == "abandoned"
    assert attributes["litellm.cost.source"] == "estimated"
    return attributes["gen_ai.usage.output_tokens"]


@pytest.mark.parametrize("kind", CHAT)
def test_an_estimate_of_a_chat_stream_includes_all_output(kind: str, traced: Traced) -> None:
    """Text, reasoning and tool arguments are output."""
    envelope = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "gpt-4o"}
    opening: dict[str, Any] = {**CHAT[kind], "role": "assistant"}
    if kind == "tool":
        call = {"index": 0, "id": "t", "type": "function"}
        opening = {"tool_calls": [{**call, "function": {"name": "write", "arguments": TEXT}}]}
    deltas = [opening, *[CHAT[kind]] * PIECES]
    chunks = [{**envelope, "choices": [{"index": 0, "delta": delta}]} for delta in deltas]
    with sending(*chunks) as url:
        stream = litellm.completion(**openai(url, stream=True))
        for _, chunk in zip(range(PIECES), stream, strict=False):
            assert chunk
        del stream, chunk
    assert 1_000 <= estimated(traced) <= 4_000


@pytest.mark.recent_litellm
@pytest.mark.parametrize("kind", MESSAGES)
async def test_an_estimate_of_a_messages_stream_includes_all_output(
    kind: str, traced: Traced
) -> None:
    """Its first event has the input tokens, and 1 as output tokens."""
    block, delta = MESSAGES[kind]
    usage = {"input_tokens": 77, "output_tokens": 1}
    message: dict[str, Any] = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-4-5-20250929",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": usage,
    }
    with sending(
        {"type": "message_start", "message": message},
        {"type": "content_block_start", "index": 0, "content_block": block},
        *[{"type": "content_block_delta", "index": 0, "delta": delta}] * (PIECES + 1),
    ) as url:
        stream = await litellm.anthropic_messages(**claude(url, stream=True))
        seen = 0
        async for chunk in stream:
            seen += str(chunk).count("wrote this. end!") or str(chunk).count("end!")
            if seen >= PIECES:
                break
        await stream.aclose()
    assert 1_000 <= estimated(traced) <= 4_000
    assert traced.span["attributes"]["gen_ai.usage.input_tokens"] == 77


@pytest.mark.recent_litellm
@pytest.mark.parametrize(
    "kind",
    ["output_text", "reasoning_summary_text", "refusal", "function_call_arguments"],
)
def test_an_estimate_of_a_responses_stream_includes_all_output(kind: str, traced: Traced) -> None:
    """Each event has its own part of the output."""
    response = {
        "id": "resp_1",
        "object": "response",
        "created_at": 1,
        "status": "in_progress",
        "model": "gpt-5-mini",
        "output": [],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": None,
    }
    delta = {
        "type": f"response.{kind}.delta",
        "item_id": "m",
        "output_index": 0,
        "content_index": 0,
        "summary_index": 0,
        "delta": TEXT,
    }
    with sending(
        {"type": "response.created", "sequence_number": 0, "response": response},
        *[{**delta, "sequence_number": number + 1} for number in range(PIECES + 1)],
    ) as url:
        stream = litellm.responses(
            model="openai/gpt-5-mini", input="x", api_base=url, api_key="k", stream=True
        )
        for _, event in zip(range(PIECES + 1), stream, strict=False):
            assert event
        del stream, event
    assert 1_000 <= estimated(traced) <= 4_000


def finished(**usage: Any) -> dict[str, Any]:
    """The last event of a Responses API stream."""
    said = {"type": "output_text", "text": "Hi there", "annotations": []}
    message = {"type": "message", "id": "m", "status": "completed", "role": "assistant"}
    response = {
        "id": "resp_1",
        "object": "response",
        "created_at": 1,
        "status": "completed",
        "model": "gpt-5-mini",
        "output": [{**message, "content": [said]}],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        **usage,
    }
    return {"type": "response.completed", "sequence_number": 1, "response": response}


@pytest.mark.recent_litellm
@pytest.mark.parametrize("stated", [False, True])
def test_tokens_that_litellm_counts_have_the_source_litellm(stated: bool, traced: Traced) -> None:
    """LiteLLM adds a usage to a Responses stream whose provider reports none."""
    usage = {
        "input_tokens": 9,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": 2,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 11,
    }
    with sending(finished(**({"usage": usage} if stated else {}))) as url:
        stream = litellm.responses(
            model="openai/gpt-5-mini", input="x", api_base=url, api_key="k", stream=True
        )
        assert list(stream)
    attributes = traced.span["attributes"]
    assert attributes["litellm.outcome"] == "success"
    # Older versions of LiteLLM count nothing here: the tokens are estimated.
    source = attributes["litellm.usage.source"]
    assert source == "provider" if stated else source in ("litellm", "estimated")


def test_audio_is_not_counted_as_text() -> None:
    """Its base64 has far more characters than its tokens would; its transcript counts as text."""
    audio = {"type": "response.audio.delta", "delta": "QUJD" * 1_000}
    assert chunk_characters(audio) == 0
    spoken = {"audio": {"data": "QUJD" * 1_000, "transcript": "Hello"}}
    assert chunk_characters({"choices": [{"delta": spoken}]}) == 5


@pytest.mark.recent_litellm
async def test_a_translated_stream_that_stops_early_has_the_providers_input_tokens(
    traced: Traced,
) -> None:
    """Anthropic states them at the start, and LiteLLM keeps them from the Responses events."""
    with answering(CACHED, text=TEXT) as url:
        given = {"model": f"anthropic/{CLAUDE}", "api_base": url, "api_key": "k", "stream": True}
        stream = await litellm.aresponses(**given, input="hi")
        async for event in stream:
            if event.type == "response.output_text.delta":
                break
        del stream, event
        gc.collect()
    assert estimated(traced) == len(TEXT) // 4
    attributes = traced.span["attributes"]
    assert attributes["gen_ai.usage.input_tokens"] == 700
    assert attributes["gen_ai.usage.cache_read.input_tokens"] == 200
    prices = litellm.model_cost[CLAUDE]
    assert attributes["gen_ai.usage.cost"] == pytest.approx(
        500 * prices["input_cost_per_token"]
        + 200 * prices["cache_read_input_token_cost"]
        + len(TEXT) // 4 * prices["output_cost_per_token"]
    )
