"""Google's `generateContent` and Interactions APIs: streams, content, unusual answers."""

import asyncio
import json
from typing import Any

import litellm
import litellm.google_genai as google
import pytest

from litespan.mapping.google import interaction, joined, usage
from tests.support.calls import KEY, Traced, content, read
from tests.support.server import Reply, running

pytestmark = pytest.mark.recent_litellm

ASKED: dict[str, Any] = {
    "model": "gemini/gemini-2.5-flash",
    "contents": [{"role": "user", "parts": [{"text": "Say hello to everybody, please."}]}],
}


def to(traced: Traced, **behaviour: Any) -> dict[str, Any]:
    """The keywords that lead a call to a Google provider of this behaviour."""
    return {"api_base": traced.provider.url_for(**behaviour).removesuffix("/v1"), "api_key": KEY}


def test_messages_are_recorded_under_the_content_policy(capture: Any) -> None:
    """Prompt, instructions and answer have the conventions' schema."""
    with capture() as traced:
        google.generate_content(
            **ASKED, systemInstruction={"parts": [{"text": "Be kind."}]}, **to(traced)
        )
        list(google.generate_content_stream(**ASKED, **to(traced)))
        plain, streamed = (content(span) for span in traced.spans)
    said = "Hello! How can I help you today?"
    for found in (plain, streamed):
        (asked,) = found["gen_ai.input.messages"]
        (answer,) = found["gen_ai.output.messages"]
        assert asked["parts"] == [{"type": "text", "content": "Say hello to everybody, please."}]
        assert answer == {
            "role": "assistant",
            "parts": [{"type": "text", "content": said}],
            "finish_reason": "STOP",
        }
    assert plain["gen_ai.system_instructions"] == [{"type": "text", "content": "Be kind."}]


@pytest.mark.parametrize("stream", [False, True])
def test_the_answer_of_an_interaction_is_recorded(stream: bool, capture: Any) -> None:
    """Plain and streamed interactions have the same content."""
    with capture() as traced:
        result = litellm.interactions.create(
            model="gemini/gemini-2.5-flash", input="Say hello", stream=stream, **to(traced)
        )
        if stream:
            list(result)
        found = content(traced.span)
    assert found["gen_ai.output.messages"] == [
        {
            "role": "assistant",
            "parts": [{"type": "text", "content": "Hello! How can I help you today?"}],
            "finish_reason": "completed",
        }
    ]


def test_documents_are_recorded_under_the_content_policy(capture: Any) -> None:
    """A search of a vector store has its query, the documents' ids and scores, and their text."""
    with capture() as traced:
        litellm.vector_stores.search(vector_store_id="vs_1", query="What is a span?", **traced.to())
        attributes = traced.span["attributes"]
        found = content(traced.span)
    assert json.loads(attributes["gen_ai.retrieval.documents"]) == [
        {"id": "file-1", "score": 0.9},
        {"id": "file-2", "score": 0.8},
    ]
    (query,), (answer,) = found["gen_ai.input.messages"], found["gen_ai.output.messages"]
    assert query["parts"] == [{"type": "text", "content": "What is a span?"}]
    assert [part["content"] for part in answer["parts"]] == [
        "Text of file 1.",
        "Text of file 2.",
    ]


def test_content_is_off_by_default(traced: Traced) -> None:
    """By default, neither prompts nor documents are on a span."""
    google.generate_content(**ASKED, **to(traced))
    litellm.vector_stores.search(vector_store_id="vs_1", query="What is a span?", **traced.to())
    text = json.dumps(traced.spans)
    assert "everybody" not in text
    assert "file-1" not in text
    assert "What is a span" not in text


@pytest.mark.parametrize(
    ("behaviour", "how", "outcome"),
    [
        ({"drop_after": 3}, "dropped", "failure"),
        ({"error_after": 3}, "error", "failure"),
        ({}, "complete", "success"),
    ],
)
def test_a_stream_that_breaks_ends_its_span_once(
    behaviour: dict[str, Any], how: str, outcome: str, traced: Traced
) -> None:
    """Received text is estimated, and the caller gets the chunks."""
    chunks = list(google.generate_content_stream(**ASKED, **to(traced, **behaviour)))
    attributes = traced.span["attributes"]
    assert (attributes["litellm.stream.end"], attributes["litellm.outcome"]) == (how, outcome)
    assert attributes["litellm.stream.chunks"] == len(chunks)
    expected = "provider" if how == "complete" else "estimated"
    assert attributes["litellm.usage.source"] == expected
    assert attributes["gen_ai.usage.output_tokens"] > 0


async def test_an_abandoned_stream_ends_its_span(traced: Traced) -> None:
    """A stream that is abandoned after one chunk."""
    stream = await google.agenerate_content_stream(**ASKED, **to(traced))
    await anext(stream)
    del stream
    await asyncio.sleep(0)
    assert traced.span["attributes"]["litellm.outcome"] == "abandoned"


async def test_thoughts_and_cached_tokens_are_counted_as_litellm_counts_them(
    traced: Traced,
) -> None:
    """Thoughts are output tokens, cached tokens are input tokens; the cost is LiteLLM's."""
    counts = {"cached_tokens": 8, "reasoning_tokens": 4, "input_tokens": 30, "output_tokens": 12}
    result = await google.agenerate_content(**ASKED, **to(traced, **counts))
    await read(await google.agenerate_content_stream(**ASKED, **to(traced, **counts)))
    for span in traced.spans:
        attributes = span["attributes"]
        assert attributes["gen_ai.usage.input_tokens"] == 30
        assert attributes["gen_ai.usage.output_tokens"] == 12
        assert attributes["gen_ai.usage.cache_read.input_tokens"] == 8
        assert attributes["gen_ai.usage.reasoning.output_tokens"] == 4
        cost = result._hidden_params["response_cost"]
        assert attributes["gen_ai.usage.cost"] == pytest.approx(cost)


COUNTED = {
    "promptTokenCount": 1000,
    "candidatesTokenCount": 200,
    "totalTokenCount": 1200,
    "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 1000}],
}
SAID: dict[str, Any] = {
    "content": {"parts": [{"text": "Hi"}], "role": "model"},
    "finishReason": "STOP",
    "index": 0,
}


def streamed(traced: Traced, **answer: Any) -> dict[str, Any]:
    """The attributes of a stream whose only event is `answer`."""
    answer = {"modelVersion": "gemini-2.5-flash", "usageMetadata": COUNTED, **answer}
    reply = Reply(
        body=f"data: {json.dumps(answer)}\r\n\r\n".encode(),
        headers={"Content-Type": "text/event-stream"},
    )
    with running(lambda _: reply) as vendor:
        list(google.generate_content_stream(**ASKED, api_base=vendor.url, api_key=KEY))
    attributes: dict[str, Any] = traced.span["attributes"]
    return attributes


def test_searches_of_a_stream_have_their_cost(traced: Traced) -> None:
    """Google charges for them by prompt, not by token."""
    grounding = {"webSearchQueries": ["weather"], "groundingChunks": [{"web": {"uri": "x"}}]}
    attributes = streamed(traced, candidates=[{**SAID, "groundingMetadata": grounding}])
    prices = litellm.model_cost["gemini/gemini-2.5-flash"]
    assert attributes["gen_ai.usage.cost"] == pytest.approx(
        1000 * prices["input_cost_per_token"]
        + 200 * prices["output_cost_per_token"]
        + prices["search_context_cost_per_query"]["search_context_size_medium"]
    )


def test_a_stream_costs_what_its_tier_costs(traced: Traced) -> None:
    """Google states in the usage which tier served the request."""
    usage = {**COUNTED, "trafficType": "ON_DEMAND_PRIORITY"}
    attributes = streamed(traced, candidates=[SAID], usageMetadata=usage)
    prices = litellm.model_cost["gemini/gemini-2.5-flash"]
    assert attributes["gen_ai.usage.cost"] == pytest.approx(
        1000 * prices["input_cost_per_token_priority"]
        + 200 * prices["output_cost_per_token_priority"]
    )


def test_a_stream_without_an_answer_to_a_blocked_prompt_is_complete(traced: Traced) -> None:
    """The provider has answered: it charges for the prompt and states why."""
    usage = {"promptTokenCount": 1000, "totalTokenCount": 1000}
    feedback = {"blockReason": "PROHIBITED_CONTENT"}
    attributes = streamed(traced, promptFeedback=feedback, usageMetadata=usage)
    assert attributes["litellm.outcome"] == "success"
    assert attributes["gen_ai.response.finish_reasons"] == ["PROHIBITED_CONTENT"]
    assert attributes["litellm.usage.source"] == "provider"
    assert attributes["gen_ai.usage.input_tokens"] == 1000


def test_an_answer_without_usage_has_no_tokens(traced: Traced) -> None:
    """No tokens are invented."""
    google.generate_content(**ASKED, **to(traced, usage=False))
    attributes = traced.span["attributes"]
    assert not [name for name in attributes if "tokens" in name]
    assert attributes["litellm.cost.source"] == "unknown"


@pytest.mark.parametrize(
    "stated",
    [
        {"usageMetadata": {"promptTokenCount": "many"}},
        {"usageMetadata": []},
        {"usageMetadata": {"promptTokenCount": None, "promptTokensDetails": [None]}},
        {"usage": {"total_input_tokens": {}, "output_tokens_by_modality": 3}},
        {},
    ],
)
def test_a_usage_of_the_wrong_shape_is_unknown(stated: dict[str, Any]) -> None:
    """If a provider sends an invalid usage, the tokens are unknown."""
    found = usage(stated)
    assert found is None or not found.known


def test_events_of_the_wrong_shape_are_left_out() -> None:
    """Invalid candidates and parts do not hide the others."""
    events: list[Any] = [
        {"candidates": [{"content": {"parts": [{"text": "a"}]}, "index": 0}]},
        {"candidates": [None, "x"], "error": None},
        {"candidates": [{"content": {"parts": "b"}, "finishReason": "STOP", "index": 0}]},
    ]
    answer, error, _ = joined(events)
    assert error is None
    assert answer["candidates"][0]["content"]["parts"] == [{"text": "a"}]
    assert interaction([None, {"delta": 3}, {"event_type": "interaction.completed"}])[2]
