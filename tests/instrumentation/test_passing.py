"""Requests that LiteLLM passes on to a provider unchanged, in a program."""

from typing import Any

import litellm
import pytest

from tests.support import passed
from tests.support.calls import KEY, MESSAGES, Traced, call, content
from tests.support.server import running as serving

pytestmark = pytest.mark.recent_litellm

COST = 9e-06
"""LiteLLM's own in USD. No `pytest.approx`: LiteLLM may import NumPy in a thread at that moment."""
BOTH = pytest.mark.parametrize("function", ["llm_passthrough_route", "allm_passthrough_route"])


def request(traced: Traced, endpoint: str = "chat/completions", **body: Any) -> dict[str, Any]:
    """The arguments of a request to a server with OpenAI's API."""
    return {
        "method": "POST",
        "endpoint": endpoint,
        "model": "hosted_vllm/gpt-4o-mini",
        "api_base": traced.provider.url,
        "api_key": KEY,
        "json": {"model": "gpt-4o-mini", "messages": MESSAGES, **body},
    }


@pytest.fixture(autouse=True)
def priced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the model a price: LiteLLM ignores prices among the arguments here."""
    price = {**litellm.model_cost["gpt-4o-mini"], "litellm_provider": "hosted_vllm"}
    monkeypatch.setitem(litellm.model_cost, "hosted_vllm/gpt-4o-mini", price)


async def read(stream: Any) -> bytes:
    """All bytes of a sync or async stream."""
    if hasattr(type(stream), "__anext__"):
        return b"".join([chunk async for chunk in stream])
    return b"".join(stream)


@BOTH
async def test_a_request_is_a_call(function: str, capture: Any) -> None:
    """The path says which operation it is; the answer has tokens, from which its cost follows."""
    with capture() as traced:
        answer = await call(getattr(litellm, function), **request(traced))
        span = traced.span
    assert answer.json()["usage"]["completion_tokens"] == 10
    assert span["name"] == "chat gpt-4o-mini"
    said = span["attributes"]
    assert said["litellm.call_type"] == function
    assert said["gen_ai.provider.name"] == "hosted_vllm"
    assert said["gen_ai.usage.input_tokens"] == 20
    assert said["gen_ai.usage.output_tokens"] == 10
    assert round(said["gen_ai.usage.cost"], 12) == COST
    assert said["gen_ai.response.finish_reasons"] == ["stop"]
    (asked,) = content(span)["gen_ai.input.messages"]
    assert asked["parts"][0]["content"] == MESSAGES[0]["content"]
    assert content(span)["gen_ai.output.messages"]


@BOTH
async def test_a_stream_is_a_call(function: str, capture: Any) -> None:
    """It ends with the stream; the bytes are the provider's."""
    with capture() as traced:
        usage = {"include_usage": True}
        given = request(traced, stream=True, stream_options=usage)
        received = await read(await call(getattr(litellm, function), **given))
        span = traced.span
    assert received.rstrip().endswith(b"data: [DONE]")
    said = span["attributes"]
    assert said["litellm.outcome"] == "success"
    assert said["gen_ai.request.stream"] is True
    assert said["gen_ai.usage.output_tokens"] == 10
    assert round(said["gen_ai.usage.cost"], 12) == COST
    assert content(span)["gen_ai.output.messages"]


@BOTH
async def test_an_unknown_path_has_no_invented_figures(function: str, traced: Traced) -> None:
    """The call is recorded, without tokens and cost."""
    given = {**request(traced, "batches"), "method": "GET", "json": None}
    answer = await call(getattr(litellm, function), **given)
    assert answer.json()["object"] == "list"
    said = traced.span["attributes"]
    assert traced.span["name"] == "litellm.pass_through gpt-4o-mini"
    assert not [name for name in said if "tokens" in name or name == "gen_ai.usage.cost"]


@BOTH
async def test_a_refusal_reaches_the_caller(function: str, traced: Traced) -> None:
    """The exception is LiteLLM's, and the call has failed with the provider's status."""
    given = {**request(traced), "api_base": traced.provider.url_for(status=429)}
    with pytest.raises(Exception, match=r"429|[Rr]ate"):
        await call(getattr(litellm, function), **given)
    said = traced.span["attributes"]
    assert (said["litellm.outcome"], said["litellm.provider.error.code"]) == ("failure", 429)


async def test_a_router_has_one_attempt(traced: Traced) -> None:
    """Below its own span."""
    given = request(traced)
    deployment = {name: given.pop(name) for name in ("model", "api_base", "api_key")}
    router = litellm.Router(model_list=[{"model_name": "llama", "litellm_params": deployment}])
    await router.allm_passthrough_route(**given, model="llama")
    above, below = traced.spans
    assert (above["name"], below["name"]) == ("litellm.router llama", "chat gpt-4o-mini")
    assert below["parent"] == above["span_id"]
    assert below["attributes"]["litellm.attempt"] == 1


@BOTH
@pytest.mark.parametrize("action", ["converse-stream", "invoke-with-response-stream"])
async def test_a_stream_of_bedrock_has_tokens_and_litellms_cost(
    function: str, action: str, capture: Any
) -> None:
    """Its format is AWS's own; the program gets the same bytes."""
    model = "anthropic.claude-haiku-4-5-20251001-v1:0"
    with serving(passed.answer) as upstream, capture() as traced:
        given = {
            "method": "POST",
            "endpoint": f"model/{model}/{action}",
            "model": f"bedrock/{model}",
            "json": {"messages": MESSAGES},
            "aws_bedrock_runtime_endpoint": upstream.url,
            "aws_region_name": "us-east-1",
            "aws_access_key_id": "AKIAEXAMPLE",
            "aws_secret_access_key": KEY,
        }
        received = await read(await call(getattr(litellm, function), **given))
        said = traced.span["attributes"]
    assert received == passed.ANSWERS[f"/model/claude/{action}"][0]
    assert (said["gen_ai.usage.input_tokens"], said["gen_ai.usage.output_tokens"]) == (28, 10)
    assert said["litellm.usage.source"] == "provider"
    assert said["gen_ai.response.finish_reasons"] == ["end_turn"]
    assert said["litellm.outcome"] == "success"
    usage = litellm.Usage(
        prompt_tokens=28,
        completion_tokens=10,
        total_tokens=38,
        cache_read_input_tokens=5,
        cache_creation_input_tokens=3,
    )
    answer = litellm.ModelResponse(model=model, usage=usage)
    cost = litellm.completion_cost(answer, model=f"bedrock/{model}")
    assert round(said["gen_ai.usage.cost"], 12) == round(cost, 12)
