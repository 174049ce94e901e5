"""Names of models, and the providers' finish reasons."""

import contextlib
import json
from enum import Enum

import litellm
import pytest
from litellm.llms.github_copilot.authenticator import Authenticator

from litespan.mapping.provider import resolve
from tests.support.calls import Traced
from tests.support.server import Received, Reply, running

BEDROCK = "anthropic.claude-sonnet-4-5-20250929-v1:0"
# Earlier LiteLLM has no such model, or calls the provider at another address.
RECENT = pytest.mark.recent_litellm

ROUTES = [
    ("openai/responses/gpt-5-mini", "gpt-5-mini", "openai"),
    pytest.param("responses/gpt-5-mini", "gpt-5-mini", "openai", marks=RECENT),
    ("azure/responses/gpt-5-mini", "gpt-5-mini", "azure.ai.openai"),
    ("azure/o_series/reasoner", "reasoner", "azure.ai.openai"),
    (f"bedrock/converse/{BEDROCK}", BEDROCK, "aws.bedrock"),
    (f"bedrock/invoke/us.{BEDROCK}", f"us.{BEDROCK}", "aws.bedrock"),
    (f"bedrock/us-east-1/{BEDROCK}", BEDROCK, "aws.bedrock"),
    (f"bedrock/us-gov-west-1/1-month-commitment/{BEDROCK}", BEDROCK, "aws.bedrock"),
    ("openrouter/openai/gpt-5-mini", "openai/gpt-5-mini", "openrouter"),
    ("hosted_vllm/meta-llama/Llama-3-70b", "meta-llama/Llama-3-70b", "hosted_vllm"),
    ("ollama/llama3.1", "llama3.1", "ollama"),
    ("ollama_chat/llama3.1", "llama3.1", "ollama"),
    ("sagemaker_chat/my-endpoint", "my-endpoint", "sagemaker"),
]


@pytest.mark.parametrize(("model", "name", "provider"), ROUTES)
def test_model_names_have_no_route(model: str, name: str, provider: str, traced: Traced) -> None:
    """However the route is written, it is the same model."""
    credentials = {"aws_access_key_id": "a", "aws_secret_access_key": "b", "aws_region_name": "c"}
    given = traced.chat(model=model, api_version="2025-03-01-preview", **credentials)
    with contextlib.suppress(Exception):  # the loopback provider has no such route
        litellm.completion(**{**given, "api_base": "http://127.0.0.1:9"})
    attributes = traced.span["attributes"]
    assert (attributes["gen_ai.request.model"], attributes["gen_ai.provider.name"]) == (
        name,
        provider,
    )


@pytest.mark.parametrize(
    ("model", "provider"), [("github_copilot/gpt-4o", None), ("gpt-4o", "github_copilot")]
)
def test_a_name_is_read_without_signing_in(
    model: str, provider: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """LiteLLM's own look-up asks the user to confirm a code in a browser, and waits for it."""
    asked: list[str] = []

    def sign_in(_self: Authenticator) -> str:
        asked.append(model)
        return "token"

    monkeypatch.setattr(Authenticator, "get_api_key", sign_in)
    assert resolve(model, provider, None) == ("gpt-4o", "github_copilot")
    assert asked == []


@pytest.mark.parametrize("stream", [False, True])
def test_an_alias_has_the_provider_that_litellm_chose(
    stream: bool, traced: Traced, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name itself does not say which one that is."""
    monkeypatch.setattr(litellm, "model_alias_map", {"helper": "openai/gpt-4o-mini"})
    result = litellm.completion(**traced.chat(model="helper", stream=stream))
    _ = list(result) if stream else None
    attributes = traced.span["attributes"]
    assert attributes["gen_ai.request.model"] == "helper"
    assert attributes["gen_ai.provider.name"] == "openai"


class Model(str, Enum):
    """Names of models, as applications keep them."""

    SMALL = "openai/gpt-4o-mini"


def test_a_model_of_an_enum_has_the_name_of_its_value(traced: Traced) -> None:
    """In its own call, and in later calls that name the same model as text: the two are equal."""
    for model in (Model.SMALL, "openai/gpt-4o-mini"):
        litellm.completion(**traced.chat(model=model, service_tier=Model.SMALL))
    for span in traced.spans:
        names = {name: span["attributes"][name] for name in span["attributes"] if "model" in name}
        assert span["name"] == "chat gpt-4o-mini"
        assert names["gen_ai.request.model"] == "gpt-4o-mini"
        assert span["attributes"]["openai.request.service_tier"] == "openai/gpt-4o-mini"
        assert {type(name) for name in names.values()} == {str}


FINISHES = [
    ("anthropic/claude-sonnet-4-5", "max_tokens", "length"),
    ("anthropic/claude-sonnet-4-5", "end_turn", "stop"),
    pytest.param("gemini/gemini-2.5-flash", "MAX_TOKENS", "length", marks=RECENT),
    ("openai/gpt-4o-mini", "content_filter", "content_filter"),
    # LiteLLM does not know Mistral's, and says "stop".
    pytest.param("openai/gpt-4o-mini", "model_length", "stop", marks=RECENT),
    pytest.param("mistral/mistral-small-latest", "model_length", "stop", marks=RECENT),
]


@pytest.mark.parametrize(("model", "theirs", "litellms"), FINISHES)
def test_a_finish_reason_is_the_providers_if_the_answer_has_it(
    model: str, theirs: str, litellms: str, traced: Traced
) -> None:
    """LiteLLM converts reasons to OpenAI's; of a stream, it keeps only the converted ones."""
    base = traced.provider.url_for(finish=theirs)
    base = base.removesuffix("/v1") if model.startswith(("anthropic", "gemini")) else base
    given = {**traced.chat(model=model), "api_base": base}
    litellm.completion(**given)
    list(litellm.completion(**given, stream=True))
    found = [span["attributes"]["gen_ai.response.finish_reasons"] for span in traced.spans]
    assert found == [[theirs], [litellms]]


@pytest.mark.recent_litellm
@pytest.mark.parametrize("model", ["openai/gpt-4o-mini", "hosted_vllm/my-model"])
def test_an_aborted_answer_has_vllms_finish_reason(model: str, traced: Traced) -> None:
    """LiteLLM says "stop"; of a stream, newer versions say that it failed."""
    base = traced.provider.url_for(finish="abort")
    litellm.completion(**{**traced.chat(model=model), "api_base": base})
    assert traced.span["attributes"]["gen_ai.response.finish_reasons"] == ["abort"]


@pytest.mark.recent_litellm
def test_a_stream_whose_first_chunk_has_no_model_has_id_and_model(traced: Traced) -> None:
    """Azure's first chunk has filter results, and an empty id and model."""
    chunk = {"object": "chat.completion.chunk", "created": 1}
    first = {**chunk, "id": "", "model": "", "choices": [], "prompt_filter_results": []}
    named = {**chunk, "id": "chatcmpl-7", "model": "gpt-4o-2024-08-06"}
    delta = {"index": 0, "delta": {"role": "assistant", "content": "Hi"}, "finish_reason": None}
    last = {"index": 0, "delta": {}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 5, "completion_tokens": 1, "total_tokens": 6}
    chunks = [
        first,
        {**named, "choices": [delta]},
        {**named, "choices": [last]},
        {**named, "choices": [], "usage": usage},
    ]
    body = "".join(f"data: {json.dumps(each)}\n\n" for each in chunks) + "data: [DONE]\n\n"

    def azure(_: Received) -> Reply:
        return Reply(200, body.encode(), {"Content-Type": "text/event-stream"})

    with running(azure) as provider:
        given = traced.chat(model="azure/my-deployment", api_version="2024-10-21")
        options = {"stream": True, "stream_options": {"include_usage": True}}
        list(litellm.completion(**{**given, "api_base": provider.url}, **options))
    attributes = traced.span["attributes"]
    assert attributes["gen_ai.response.model"] == "gpt-4o-2024-08-06"
    assert attributes["gen_ai.response.id"] == "chatcmpl-7"
