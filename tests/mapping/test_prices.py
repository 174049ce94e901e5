"""Costs by price: an unknown price is not zero, and details with their own price count."""

import asyncio
import copy
import io
import math
import wave
from collections.abc import Iterator
from typing import Any

import litellm
import pytest
from litellm import google_genai

from litespan import stats
from litespan.instrumentation import custom_provider
from litespan.mapping.price import custom_prices
from litespan.mapping.request import Request
from litespan.mapping.targets import CHAT as CHAT_OPERATION
from litespan.mapping.targets import Target
from tests.mapping.answers import CLAUDE, answering, claude, openai
from tests.support.calls import MESSAGES, Traced, read
from tests.support.server import Reply, running

pytestmark = pytest.mark.slow

CHAT = {"prompt_tokens": 1000, "completion_tokens": 200, "total_tokens": 1200}
RESPONSES = {"input_tokens": 1000, "output_tokens": 200, "total_tokens": 1200}
EACH = pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])


def cost_of(traced: Traced, index: int = -1) -> tuple[Any, Any]:
    """The cost that a span states, the last one's by default, and its source."""
    attributes = traced.spans[index]["attributes"]
    return attributes.get("gen_ai.usage.cost"), attributes["litellm.cost.source"]


@pytest.fixture
def price_list() -> Iterator[dict[str, Any]]:
    """LiteLLM's price list, put back afterwards."""
    before = copy.deepcopy(litellm.model_cost)  # LiteLLM 1.74 changes the entries in place
    yield litellm.model_cost
    litellm.model_cost.clear()
    litellm.model_cost.update(before)


def router(url: str, model: str, info: dict[str, Any] | None = None, **given: Any) -> Any:
    """A router with one deployment of `model`, in the group `g`."""
    parameters = {"model": model, "api_base": f"{url}/v1", "api_key": "k", **given}
    deployment = {"model_name": "g", "litellm_params": parameters, "model_info": info or {}}
    return litellm.Router(model_list=[deployment], num_retries=0)


@EACH
@pytest.mark.parametrize("model", ["openai/gpt-5-mystery", "openrouter/acme/unheard-of"])
def test_a_model_without_a_price_has_no_cost(model: str, stream: bool, traced: Traced) -> None:
    """LiteLLM returns 0 for a name that looks like a known family of models."""
    with answering(CHAT) as url:
        result = litellm.completion(**openai(url, model=model, stream=stream))
        _ = list(result) if stream else None
    assert cost_of(traced) == (None, "unknown")


@EACH
def test_a_model_registered_without_prices_has_no_cost(
    stream: bool, traced: Traced, price_list: dict[str, Any]
) -> None:
    """Registering the context length of a model sets no price."""
    litellm.register_model(
        {"openai/no-price": {"litellm_provider": "openai", "mode": "chat", "max_tokens": 8192}}
    )
    with answering(CHAT) as url:
        result = litellm.completion(**openai(url, model="openai/no-price", stream=stream))
        _ = list(result) if stream else None
    assert cost_of(traced) == (None, "unknown")


@EACH
def test_a_deployment_without_prices_has_no_cost(
    stream: bool, traced: Traced, price_list: dict[str, Any]
) -> None:
    """Other entries of the router's `model_info` set no price, either."""
    with answering(CHAT) as url:
        local = router(url, "openai/some-local", {"id": "d1", "max_input_tokens": 8192})
        result = local.completion(model="g", messages=MESSAGES, stream=stream)
        _ = list(result) if stream else None
    assert cost_of(traced) == (None, "unknown")


def test_a_margin_is_not_a_price(
    traced: Traced, monkeypatch: pytest.MonkeyPatch, price_list: dict[str, Any]
) -> None:
    """LiteLLM adds a fixed margin to the cost of 0 of a model without a price."""
    monkeypatch.setattr(
        litellm, "cost_margin_config", {"openai": {"fixed_amount": 0.01}}, raising=False
    )
    with answering(CHAT) as url:
        litellm.completion(**openai(url, model="openai/gpt-5-mystery"))
    assert cost_of(traced) == (None, "unknown")


# Earlier LiteLLM states no cost for a stream that is free; the span then has an estimate of 0.
FREE_STREAM = pytest.param(True, marks=pytest.mark.recent_litellm)


@pytest.mark.parametrize("stream", [False, FREE_STREAM], ids=["plain", "stream"])
@pytest.mark.parametrize("where", ["litellm_params", "model_info", "call"])
@pytest.mark.parametrize("model", ["openai/gpt-4o-mini", "openai/unheard-of"])
def test_a_price_of_zero_that_the_operator_sets_is_known(
    model: str, where: str, stream: bool, traced: Traced, price_list: dict[str, Any]
) -> None:
    """Wherever it is set, and regardless of the price list."""
    free: dict[str, Any] = {"input_cost_per_token": 0, "output_cost_per_token": 0}
    with answering(CHAT) as url:
        if where == "call":
            result = litellm.completion(**openai(url, model=model, stream=stream, **free))
        else:
            info = {"id": "d2", **free} if where == "model_info" else None
            given = free if where == "litellm_params" else {}
            local = router(url, model, info, **given)
            result = local.completion(model="g", messages=MESSAGES, stream=stream)
        _ = list(result) if stream else None
    assert cost_of(traced) == (0, "litellm")


async def test_a_price_of_zero_is_known_in_the_messages_api(
    traced: Traced, price_list: dict[str, Any]
) -> None:
    """There, LiteLLM's answer has no cost."""
    free = {"input_cost_per_token": 0, "output_cost_per_token": 0}
    with answering({"input_tokens": 1000, "output_tokens": 200}) as url:
        parameters = {"model": f"anthropic/{CLAUDE}", "api_base": url, "api_key": "k", **free}
        deployment = {"model_name": "g", "litellm_params": parameters}
        local = litellm.Router(model_list=[deployment], num_retries=0)
        await local.aanthropic_messages(model="g", messages=MESSAGES, max_tokens=64)
    assert cost_of(traced) == (0, "litellm")


ANTHROPIC = {
    "input_tokens": 31,
    "cache_creation_input_tokens": 1253,
    "cache_read_input_tokens": 500,
    "cache_creation": {"ephemeral_5m_input_tokens": 253, "ephemeral_1h_input_tokens": 1000},
    "output_tokens": 467,
    "server_tool_use": {"web_search_requests": 3},
}


@pytest.mark.recent_litellm
@EACH
async def test_the_messages_api_costs_what_a_completion_costs(stream: bool, traced: Traced) -> None:
    """One-hour cache writes and web searches have their own prices."""
    with answering(ANTHROPIC) as url:
        result = await litellm.acompletion(**claude(url))
        result = await litellm.anthropic_messages(**claude(url, stream=stream))
        _ = await read(result) if stream else None
    completion, messages = (span["attributes"] for span in traced.spans)
    assert messages["gen_ai.usage.cost"] == pytest.approx(completion["gen_ai.usage.cost"])
    prices = litellm.model_cost[CLAUDE]
    if (
        "cache_creation_token_details"
        in litellm.types.utils.PromptTokensDetailsWrapper.model_fields
    ):
        assert messages["gen_ai.usage.cost"] == pytest.approx(
            31 * prices["input_cost_per_token"]
            + 253 * prices["cache_creation_input_token_cost"]
            + 1000 * prices["cache_creation_input_token_cost_above_1hr"]
            + 500 * prices["cache_read_input_token_cost"]
            + 467 * prices["output_cost_per_token"]
            + 3 * prices["search_context_cost_per_query"]["search_context_size_medium"]
        )
    name = "litellm.usage.cache_creation.ephemeral_{}_input_tokens"
    assert [messages[name.format(kept)] for kept in ("5m", "1h")] == [253, 1000]


@pytest.mark.recent_litellm
@EACH
@pytest.mark.parametrize("api", ["acompletion", "anthropic_messages"])
@pytest.mark.parametrize("kept", ["5m", "1h"])
async def test_cache_writes_without_a_stated_time_to_live_cost_what_the_others_cost(
    stream: bool, api: str, kept: str, traced: Traced
) -> None:
    """LiteLLM prices only those whose time to live is stated (its issue 42663)."""
    split = {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0}
    split[f"ephemeral_{kept}_input_tokens"] = 1000
    usage = {**ANTHROPIC, "cache_creation_input_tokens": 5000, "cache_creation": split}
    with answering(usage) as url:
        result = await getattr(litellm, api)(**claude(url, stream=stream))
        _ = [chunk async for chunk in result] if stream else None
    prices = litellm.model_cost[CLAUDE]
    attributes = traced.span["attributes"]
    name = "litellm.usage.cache_creation.ephemeral_{}_input_tokens"
    assert attributes[name.format(kept)] == 5000
    beyond = "_above_1hr" if kept == "1h" else ""
    assert attributes["gen_ai.usage.cost"] == pytest.approx(
        31 * prices["input_cost_per_token"]
        + 5000 * prices[f"cache_creation_input_token_cost{beyond}"]
        + 500 * prices["cache_read_input_token_cost"]
        + 467 * prices["output_cost_per_token"]
        + 3 * prices["search_context_cost_per_query"]["search_context_size_medium"]
    )


async def _served_by_another_api(api: str, url: str, stream: bool) -> None:
    """Call `api` with a model of a provider that has another one."""
    if api == "generate_content":
        contents = [{"role": "user", "parts": [{"text": "Hi"}]}]
        given = {"model": f"anthropic/{CLAUDE}", "contents": contents}
        name = f"agenerate_content{'_stream' if stream else ''}"
        result = await getattr(google_genai, name)(**given, api_base=url, api_key="k")
    else:
        given = {"model": f"anthropic/{CLAUDE}", "input": "Hi"}
        result = await litellm.aresponses(**given, api_base=url, api_key="k", stream=stream)
    _ = [chunk async for chunk in result] if stream else None


@pytest.mark.recent_litellm
@EACH
@pytest.mark.parametrize("api", ["generate_content", "aresponses"])
async def test_an_api_that_litellm_translates_keeps_the_details_of_the_usage(
    stream: bool, api: str, traced: Traced
) -> None:
    """The translated answer has no cached tokens, or no cache writes."""
    with answering({**ANTHROPIC, "server_tool_use": None}) as url:
        await litellm.acompletion(**claude(url))
        await _served_by_another_api(api, url, stream)
    completion, translated = (span["attributes"] for span in traced.spans)
    counts = [name for name in completion if name.startswith(("gen_ai.usage.", "litellm.usage."))]
    assert {name: translated.get(name) for name in counts} == pytest.approx(
        {name: completion[name] for name in counts}
    )


@pytest.mark.recent_litellm
@EACH
async def test_reasoning_is_counted_in_the_messages_api_of_another_provider(
    stream: bool, traced: Traced
) -> None:
    """LiteLLM serves it by OpenAI's Responses API."""
    usage = {**RESPONSES, "output_tokens_details": {"reasoning_tokens": 64}}
    with answering(usage) as url:
        model = {"model": "openai/gpt-5-mini", "api_base": f"{url}/v1"}
        result = await litellm.anthropic_messages(**{**claude(url, stream=stream), **model})
        _ = await read(result) if stream else None
    assert traced.span["attributes"]["gen_ai.usage.reasoning.output_tokens"] == 64


@pytest.mark.recent_litellm
@EACH
def test_deepinfras_cost_is_the_providers(stream: bool, traced: Traced) -> None:
    """It has its own name, and LiteLLM ignores it."""
    with answering({**CHAT, "estimated_cost": 0.00077}) as url:
        given = openai(url, model="deepinfra/acme/unheard-of", stream=stream)
        result = litellm.completion(**given)
        _ = list(result) if stream else None
    assert cost_of(traced) == (0.00077, "provider")


@pytest.mark.recent_litellm
def test_a_transcription_costs_what_its_provider_charges(traced: Traced) -> None:
    """LiteLLM looks for OpenAI's price, whose API Groq has."""
    recording = io.BytesIO()
    with wave.open(recording, "wb") as audio:
        audio.setnchannels(1)
        audio.setsampwidth(2)
        audio.setframerate(8000)
        audio.writeframes(bytes(2 * 8000 * 12))
    file = ("a.wav", recording.getvalue(), "audio/wav")
    reply = Reply(body=b'{"text": "Hi"}', headers={"Content-Type": "application/json"})
    with running(lambda _: reply) as vendor:
        given = {"api_base": f"{vendor.url}/v1", "api_key": "k"}
        litellm.transcription(model="groq/whisper-large-v3", file=file, **given)
    price = litellm.model_cost["groq/whisper-large-v3"]["input_cost_per_second"]
    assert cost_of(traced) == (pytest.approx(12 * price), "litellm")


@pytest.mark.recent_litellm
@EACH
async def test_a_compaction_counts_in_the_messages_api(stream: bool, traced: Traced) -> None:
    """Anthropic's total leaves it out, but not its bill."""
    part = {"cache_read_input_tokens": 0, "cache_creation_input_tokens": 0}
    usage = {
        "input_tokens": 1000,
        "output_tokens": 200,
        **part,
        "output_tokens_details": {"thinking_tokens": 120},
        "iterations": [
            {"type": "compaction", "input_tokens": 5000, "output_tokens": 300, **part},
            {"type": "message", "input_tokens": 1000, "output_tokens": 200, **part},
        ],
    }
    with answering(usage) as url:
        result = await litellm.anthropic_messages(**claude(url, stream=stream))
        _ = await read(result) if stream else None
    attributes, prices = traced.span["attributes"], litellm.model_cost[CLAUDE]
    assert attributes["gen_ai.usage.input_tokens"] == 6000
    assert attributes["gen_ai.usage.output_tokens"] == 500
    assert attributes["gen_ai.usage.reasoning.output_tokens"] == 120
    assert attributes["gen_ai.usage.cost"] == pytest.approx(
        6000 * prices["input_cost_per_token"] + 500 * prices["output_cost_per_token"]
    )


def test_the_model_info_of_a_deployment_may_have_any_names() -> None:
    """As YAML has them. LiteLLM 1.110 itself does not calculate the cost of such a call."""
    prices = {"input_cost_per_token": 0.0}
    metadata: dict[str, Any] = {"model_info": {2026: "a year", **prices}}
    arguments = {"model": "openai/own-model", "output_cost_per_token": 0.1, "metadata": metadata}
    request = Request(Target("completion", CHAT_OPERATION), arguments)
    assert custom_prices(request) == {**prices, "output_cost_per_token": 0.1}


async def test_a_stream_abandoned_after_its_usage_has_its_full_cost(traced: Traced) -> None:
    """Including one-hour cache writes and audio, although LiteLLM has not priced the answer."""
    audio = {**CHAT, "prompt_tokens_details": {"audio_tokens": 900}}
    with answering(audio) as url:
        given = openai(url, model="openai/gpt-4o-audio-preview-2024-12-17", stream=True)
        stream = await litellm.acompletion(**given, stream_options={"include_usage": True})
        async for chunk in stream:
            if getattr(chunk, "usage", None):
                break
        del stream, chunk
    prices = litellm.model_cost["gpt-4o-audio-preview-2024-12-17"]
    attributes = traced.span["attributes"]
    assert attributes["litellm.outcome"] == "abandoned"
    assert attributes["gen_ai.usage.audio.input_tokens"] == 900
    assert attributes["gen_ai.usage.cost"] == pytest.approx(
        100 * prices["input_cost_per_token"]
        + 900 * prices["input_cost_per_audio_token"]
        + 200 * prices["output_cost_per_token"]
    )


@pytest.mark.recent_litellm
@EACH
@pytest.mark.parametrize(
    ("stated", "right"),
    [
        ({"cost": 0, "is_byok": True, "upstream": 0.002}, 0.002),
        ({"cost": 0.0001, "is_byok": True, "upstream": 0.002}, 0.0021),
        ({"cost": 0.0001, "upstream": 0.002}, 0.0021),
        ({"cost": 0.002, "is_byok": False, "upstream": 0.002}, 0.002),
        ({"cost": 0.002, "upstream": None}, 0.002),
    ],
    ids=["own key", "own key and fee", "a fee", "OpenRouter's key", "no provider's figure"],
)
def test_openrouters_cost_with_the_users_own_key_includes_the_providers(
    stated: dict[str, Any], right: float, stream: bool, traced: Traced
) -> None:
    """OpenRouter reports its fee; the provider charges the rest."""
    cost_details = {"upstream_inference_cost": stated["upstream"]}
    with answering({**CHAT, **stated, "cost_details": cost_details}) as url:
        given = openai(url, model="openrouter/anthropic/claude-sonnet-4.5", stream=stream)
        result = litellm.completion(**given)
        _ = list(result) if stream else None
    assert cost_of(traced) == (pytest.approx(right), "provider")


@pytest.mark.recent_litellm
@EACH
async def test_the_source_of_a_responses_call_is_the_price_list(
    stream: bool, traced: Traced
) -> None:
    """LiteLLM writes its own cost into the usage of Responses streams."""
    with answering(RESPONSES) as url:
        result = await litellm.aresponses(
            model="openai/gpt-5-mini", input="x", api_base=url, api_key="k", stream=stream
        )
        _ = await read(result) if stream else None
    prices = litellm.model_cost["gpt-5-mini"]
    right = 1000 * prices["input_cost_per_token"] + 200 * prices["output_cost_per_token"]
    assert cost_of(traced) == (pytest.approx(right), "litellm")


@pytest.mark.recent_litellm
async def test_a_translated_stream_of_a_service_tier_has_the_price_lists_cost(
    traced: Traced,
) -> None:
    """The events that the caller gets have no tier, but LiteLLM's own cost."""
    with answering({**RESPONSES, "service_tier": "flex"}) as url:
        given = {**claude(url, model="openai/gpt-5-mini"), "stream": True}
        await read(await litellm.anthropic_messages(**given))
    prices = litellm.model_cost["gpt-5-mini"]
    sent = 1000 * prices["input_cost_per_token_flex"]
    received = 200 * prices["output_cost_per_token_flex"]
    assert cost_of(traced) == (pytest.approx(sent + received), "litellm")
    assert traced.span["attributes"]["litellm.cost.output"] == pytest.approx(received)


@pytest.mark.recent_litellm
def test_a_failed_response_keeps_its_usage(traced: Traced) -> None:
    """LiteLLM raises at `response.failed`, so the caller does not get the usage."""
    with (
        answering({"fails": RESPONSES}) as url,
        pytest.raises(Exception, match="The model failed"),
    ):
        list(
            litellm.responses(
                model="openai/gpt-5-mini", input="x", api_base=url, api_key="k", stream=True
            )
        )
    attributes = traced.span["attributes"]
    assert attributes["litellm.outcome"] == "failure"
    assert attributes["gen_ai.usage.input_tokens"] == 1000
    assert attributes["gen_ai.usage.output_tokens"] == 200
    assert attributes["litellm.usage.source"] == "provider"


@pytest.fixture
def response_cache() -> Iterator[None]:
    """LiteLLM's response cache, in memory."""
    litellm.cache = litellm.Cache(type="local")
    yield
    litellm.cache = None


@pytest.mark.recent_litellm
async def test_partly_cached_embeddings_cost_the_inputs_that_were_not_cached(
    traced: Traced, response_cache: None
) -> None:
    """The provider charges only for those."""
    given = {"model": "openai/text-embedding-3-small", "api_key": "k", "caching": True}
    with answering(CHAT) as url:
        for inputs in (["a", "b"], ["a", "b", "c"], ["a", "b", "c"]):
            await litellm.aembedding(**given, input=inputs, api_base=f"{url}/v1")
            await asyncio.sleep(0.3)  # LiteLLM writes to its cache in the background
    price = 6 * litellm.model_cost["text-embedding-3-small"]["input_cost_per_token"]
    _, some, full = (span["attributes"] for span in traced.spans)
    assert some["gen_ai.usage.cost"] == pytest.approx(price)
    assert some["litellm.cost.saved"] == pytest.approx(2 * price)
    assert some["gen_ai.usage.input_tokens"] == 6
    assert "litellm.cache_hit" not in some
    assert (full["gen_ai.usage.cost"], full["litellm.cache_hit"]) == (0, True)
    assert full["litellm.cost.saved"] == pytest.approx(3 * price)


@pytest.mark.recent_litellm
@pytest.mark.parametrize("api", ["text_completion", "responses"])
async def test_a_cache_hit_has_its_saving_in_every_api(
    api: str, traced: Traced, response_cache: None
) -> None:
    """As for chat completions."""
    with answering(RESPONSES if api == "responses" else CHAT) as url:
        given = {"api_base": f"{url}/v1", "api_key": "k", "caching": True}
        for _ in range(2):
            if api == "responses":
                await litellm.aresponses(model="openai/gpt-5-mini", input=api, **given)
            else:
                model = "openai/gpt-3.5-turbo-instruct"
                await litellm.atext_completion(model=model, prompt=api, **given)
            await asyncio.sleep(0.3)
    first, second = (span["attributes"] for span in traced.spans)
    if second.get("litellm.cache_hit"):  # LiteLLM 1.74 does not cache every API
        assert second["gen_ai.usage.cost"] == 0
        assert second["litellm.cost.saved"] == pytest.approx(first["gen_ai.usage.cost"])
    else:
        assert second["gen_ai.usage.cost"] == first["gen_ai.usage.cost"]


@pytest.mark.recent_litellm
@EACH
@pytest.mark.parametrize(
    "poison",
    [
        {"cost": float("nan")},
        {"cost": float("inf")},
        {"cost": 1e300},
        {"cost": -1.0},
        {"prompt_tokens": 10**30},
        {"prompt_tokens": -5},
        {"completion_tokens": 2 * 10**9},
        {"prompt_tokens_details": {"cached_tokens": 10**20}},
        {"completion_tokens_details": {"reasoning_tokens": -7}},
    ],
    ids=str,
)
def test_impossible_costs_and_token_counts_are_left_out(
    poison: dict[str, Any], stream: bool, traced: Traced
) -> None:
    """One answer must not distort the sums of the process."""
    before = stats()
    with answering({**CHAT, **poison}) as url:
        litellm.completion(**traced.chat())
        result = litellm.completion(**openai(url, stream=stream))
        _ = list(result) if stream else None
    attributes = traced.spans[-1]["attributes"]
    assert 0 <= attributes.get("gen_ai.usage.cost", 0) < 0.01
    for name, value in attributes.items():
        if name.startswith("gen_ai.usage.") and name.endswith("_tokens"):
            assert 0 <= value <= 1_000, name
    if math.isfinite(poison.get("cost", 0)):  # LiteLLM 1.110 drops the others itself
        kind = "refused.cost" if "cost" in poison else "refused.tokens"
        assert stats()[kind] > before.get(kind, 0)
    sums = {point["name"]: point["sum"] for point in traced.telemetry.metrics if "sum" in point}
    assert 0 < sums["gen_ai.client.operation.cost"] < 0.01
    assert 0 < sums["gen_ai.client.token.usage"] < 10_000


class House(litellm.CustomLLM):
    """A provider of the application's own that asks another model by LiteLLM."""

    def __init__(self, given: dict[str, Any]) -> None:
        super().__init__()
        self.given = given

    def completion(self, *args: Any, **kwargs: Any) -> Any:
        """LiteLLM's own answer."""
        return litellm.completion(**self.given)

    async def acompletion(self, *args: Any, **kwargs: Any) -> Any:
        """LiteLLM's own answer."""
        return await litellm.acompletion(**self.given)

    def streaming(self, *args: Any, **kwargs: Any) -> Iterator[Any]:
        """LiteLLM's own stream, chunk by chunk."""
        for chunk in litellm.completion(**self.given, stream=True):
            yield _piece(chunk)

    async def astreaming(self, *args: Any, **kwargs: Any) -> Any:
        """LiteLLM's own stream, chunk by chunk."""
        async for chunk in await litellm.acompletion(**self.given, stream=True):
            yield _piece(chunk)


def _piece(chunk: Any) -> dict[str, Any]:
    choice = chunk.choices[0]
    return {
        "text": choice.delta.content or "",
        "finish_reason": choice.finish_reason,
        "is_finished": bool(choice.finish_reason),
        "index": 0,
        "tool_use": None,
        "usage": None,
    }


@EACH
@pytest.mark.parametrize("function", ["completion", "acompletion"])
async def test_a_custom_provider_that_calls_litellm_is_counted_once(
    function: str, stream: bool, traced: Traced, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The inner call has tokens and cost, the outer call has neither."""
    monkeypatch.setattr(litellm, "_custom_providers", [])
    with answering(CHAT) as url:
        handler = {"provider": "house", "custom_handler": House(openai(url))}
        monkeypatch.setattr(litellm, "custom_provider_map", [handler])
        result = getattr(litellm, function)(model="house/m", messages=MESSAGES, stream=stream)
        result = await result if function[0] == "a" else result
        if stream:
            _ = [chunk async for chunk in result] if function[0] == "a" else list(result)
    outer, inner = traced.spans
    assert inner["parent"] == outer["span_id"]
    assert inner["attributes"]["gen_ai.usage.input_tokens"] > 0
    assert not [name for name in outer["attributes"] if name.startswith(custom_provider.COUNTED)]
    assert outer["attributes"]["litellm.outcome"] == "success"
