"""The source of costs; an unknown cost is left out."""

import asyncio
from collections.abc import Iterator
from typing import Any

import litellm
import pytest

from litespan.mapping.cost import cost_attributes
from litespan.mapping.request import Request
from litespan.mapping.response import Answer
from litespan.mapping.targets import CHAT, Target
from litespan.mapping.usage import Usage
from tests.support.calls import MESSAGES, Traced


@pytest.fixture
def response_cache() -> Iterator[None]:
    """LiteLLM's response cache, in memory."""
    litellm.cache = litellm.Cache(type="local")
    yield
    litellm.cache = None


def attributes_of(traced: Traced, index: int = -1) -> dict[str, Any]:
    """What a span says, the last one's by default."""
    return traced.spans[index]["attributes"]


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
@pytest.mark.parametrize("function", ["completion", "acompletion"])
async def test_a_response_cache_hit_costs_nothing_and_has_the_saving(
    function: str, stream: bool, traced: Traced, response_cache: None
) -> None:
    """It is marked as a cache hit."""
    given = traced.chat(messages=[{"role": "user", "content": f"{function} {stream} cached"}])
    for _ in range(2):
        asked = len(traced.provider.requests)
        result = getattr(litellm, function)(**given, stream=stream, caching=True)
        result = await result if function[0] == "a" else result
        if stream:
            _ = [chunk async for chunk in result] if function[0] == "a" else list(result)
        await asyncio.sleep(0.3)  # LiteLLM writes to its cache in the background
        asked = len(traced.provider.requests) - asked
    first, second = (span["attributes"] for span in traced.spans)
    assert "litellm.cache_hit" not in first
    assert first["gen_ai.usage.cost"] > 0
    assert ("litellm.cache_hit" in second) == (asked == 0)  # LiteLLM 1.74 caches no async stream
    if asked == 0:
        assert (second["gen_ai.usage.cost"], second["litellm.cost.source"]) == (0, "litellm")
        assert second["litellm.cost.saved"] == pytest.approx(first["gen_ai.usage.cost"])


def test_a_call_with_an_unknown_price_has_no_cost(traced: Traced) -> None:
    """The source is `unknown`."""
    litellm.completion(**traced.chat(model="openai/no-such-model"))
    attributes = attributes_of(traced)
    assert attributes["litellm.cost.source"] == "unknown"
    assert [name for name in attributes if "cost" in name] == ["litellm.cost.source"]


def test_a_free_model_costs_zero(traced: Traced) -> None:
    """A price of zero is a known price."""
    litellm.register_model(
        {
            "openai/free-model": {
                "litellm_provider": "openai",
                "mode": "chat",
                "input_cost_per_token": 0.0,
                "output_cost_per_token": 0.0,
            }
        }
    )
    litellm.completion(**traced.chat(model="openai/free-model"))
    assert attributes_of(traced)["gen_ai.usage.cost"] == 0
    assert attributes_of(traced)["litellm.cost.source"] == "litellm"


def test_a_call_without_usage_has_no_cost(traced: Traced) -> None:
    """An answer without tokens has no cost, instead of a cost of zero."""
    litellm.completion(**traced.chat(provider={"usage": False}))
    attributes = attributes_of(traced)
    assert "gen_ai.usage.cost" not in attributes
    assert "gen_ai.usage.input_tokens" not in attributes


def test_prices_of_the_call_itself_are_used(traced: Traced) -> None:
    """For streams as well."""
    priced = {
        "model": "openai/priced-by-the-call",  # LiteLLM remembers the prices of a model
        "input_cost_per_token": 0.001,
        "output_cost_per_token": 0.002,
    }
    litellm.completion(**traced.chat(**priced))
    stream = traced.chat(stream=True, stream_options={"include_usage": True}, **priced)
    list(litellm.completion(**stream))
    costs = [span["attributes"]["gen_ai.usage.cost"] for span in traced.spans]
    assert costs == [pytest.approx(0.04)] * 2


def test_input_tokens_include_cached_ones(traced: Traced) -> None:
    """In OpenAI's format and in Anthropic's."""
    litellm.completion(**traced.chat(provider={"cached_tokens": 15}))
    base = traced.to(input_tokens=100, cached_tokens=15, cache_write_tokens=5)["api_base"]
    litellm.completion(
        model="anthropic/claude-3-5-sonnet-20241022",
        messages=MESSAGES,
        api_base=base.removesuffix("/v1"),
        api_key="k",
    )
    openai, anthropic = (span["attributes"] for span in traced.spans)
    assert openai["gen_ai.usage.input_tokens"] == 20
    assert openai["gen_ai.usage.cache_read.input_tokens"] == 15
    assert anthropic["gen_ai.usage.cache_read.input_tokens"] == 15
    assert anthropic["gen_ai.usage.cache_creation.input_tokens"] == 5
    # LiteLLM 1.74 leaves the tokens that were written to the cache out of its sum.
    assert anthropic["gen_ai.usage.input_tokens"] in {95, 100}


def test_gemini_calls_have_their_cost(traced: Traced) -> None:
    """In Gemini's format, too."""
    litellm.completion(
        model="gemini/gemini-2.0-flash",
        messages=MESSAGES,
        api_base=traced.to(cached_tokens=8)["api_base"],
        api_key="k",
    )
    attributes = attributes_of(traced)
    assert attributes["gen_ai.provider.name"] == "gcp.gemini"
    assert attributes["gen_ai.usage.input_tokens"] == 20
    assert attributes["gen_ai.usage.cache_read.input_tokens"] == 8


def test_parts_of_the_cost_add_up_to_the_total(traced: Traced) -> None:
    """Input, output and the other parts."""
    litellm.completion(**traced.chat())
    attributes = attributes_of(traced)
    if "litellm.cost.input" in attributes:  # LiteLLM has a breakdown from 1.75 on
        parts = attributes["litellm.cost.input"] + attributes["litellm.cost.output"]
        assert parts == pytest.approx(attributes["litellm.cost.total"])
    assert attributes["litellm.cost.total"] == attributes["gen_ai.usage.cost"]


class Charging:
    """A logging object of LiteLLM's that prices whatever it is given, and is asked for it."""

    def __init__(self) -> None:
        self.asked = 0

    def _response_cost_calculator(self, result: Any, cache_hit: bool) -> float:
        self.asked += 1
        return 0.5


@pytest.mark.parametrize(
    ("output", "hidden", "figure", "asked"),
    [
        (10, {"response_cost": 0.25}, 0.25, 0),
        (9, {"response_cost": 0.25}, 0.5, 1),
        (10, {}, 0.5, 1),
    ],
    ids=["the same tokens", "other tokens", "no figure"],
)
def test_a_stream_is_not_priced_twice(
    output: int, hidden: dict[str, float], figure: float, asked: int
) -> None:
    """If LiteLLM has priced the assembled stream, its cost is used."""
    usage = litellm.Usage(prompt_tokens=20, completion_tokens=10, total_tokens=30)
    whole = litellm.ModelResponse(usage=usage)
    whole._hidden_params = hidden
    logging = Charging()
    request = Request(Target("completion", CHAT), {"model": "openai/gpt-4o-mini"})
    answer = Answer(None, {}, (), Usage(20, output), {})
    attributes = cost_attributes(request, answer, logging, stream=True, whole=whole)
    assert (attributes["gen_ai.usage.cost"], attributes["litellm.cost.source"]) == (
        figure,
        "litellm",
    )
    assert logging.asked == asked
