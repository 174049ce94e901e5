"""Every call type, sync and async, plain and streamed: one span with the expected attributes."""

import contextlib
import io
import uuid
from dataclasses import dataclass
from typing import Any

import litellm
import pytest

from litespan.testing import LoopbackProvider
from tests.support.calls import KEY, MESSAGES, Traced, call


@dataclass(frozen=True)
class Kind:
    """One call type and the whole of what its span says on the loopback provider."""

    name: str
    span: str
    given: dict[str, Any]
    said: dict[str, Any]
    base: str = "{url}"
    functions: tuple[str, ...] = ()

    @property
    def both(self) -> tuple[str, ...]:
        return self.functions or (self.name, f"a{self.name}")


def openai(operation: str, model: str, served: str | None = None, **more: Any) -> dict[str, Any]:
    """What every span of the OpenAI provider says."""
    return {
        "gen_ai.operation.name": operation,
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": model,
        **({"gen_ai.response.model": served} if served else {}),
        **more,
    }


USAGE: dict[str, Any] = {
    "gen_ai.usage.input_tokens": 20,
    "gen_ai.usage.output_tokens": 10,
    "litellm.usage.source": "provider",
}
CHAT: dict[str, Any] = {
    "gen_ai.response.id": "chatcmpl-loopback",
    "gen_ai.response.finish_reasons": ["stop"],
    "openai.response.service_tier": "default",
    "openai.response.system_fingerprint": "fp_loopback",
}
PNG = b"\x89PNG\r\n\x1a\n"
KINDS = [
    Kind(
        "completion",
        "chat gpt-4o-mini",
        {"model": "openai/gpt-4o-mini", "messages": MESSAGES},
        openai("chat", "gpt-4o-mini", "gpt-4o-mini-2024-07-18", **CHAT, **USAGE),
    ),
    Kind(
        "text_completion",
        "text_completion gpt-3.5-turbo-instruct",
        {"model": "text-completion-openai/gpt-3.5-turbo-instruct", "prompt": "Say hello"},
        openai(
            "text_completion",
            "gpt-3.5-turbo-instruct",
            "gpt-3.5-turbo-instruct",
            **{
                "gen_ai.response.id": "cmpl-loopback",
                "gen_ai.response.finish_reasons": ["stop"],
            },
            **USAGE,
        ),
    ),
    Kind(
        "embedding",
        "embeddings text-embedding-3-small",
        {"model": "openai/text-embedding-3-small", "input": ["hi"], "dimensions": 8},
        openai(
            "embeddings",
            "text-embedding-3-small",
            "text-embedding-3-small",
            **{
                "gen_ai.embeddings.dimension.count": 8,
                "gen_ai.usage.input_tokens": 20,
                "litellm.usage.source": "provider",
            },
        ),
    ),
    Kind(
        "anthropic_messages",
        "chat claude-sonnet-4-5",
        {"model": "anthropic/claude-sonnet-4-5", "messages": MESSAGES, "max_tokens": 64},
        {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "anthropic",
            "gen_ai.request.model": "claude-sonnet-4-5",
            "gen_ai.request.max_tokens": 64,
            "gen_ai.response.id": "msg_loopback",
            "gen_ai.response.model": "claude-sonnet-4-5",
            "gen_ai.response.finish_reasons": ["end_turn"],
            **USAGE,
        },
        base="{root}",
        functions=("anthropic_messages",),
    ),
    Kind(
        "image_generation",
        "generate_content gpt-image-1",
        {"model": "openai/gpt-image-1", "prompt": "a cat"},
        openai(
            "generate_content",
            "gpt-image-1",
            **{"gen_ai.output.type": "image"},
        ),
    ),
    Kind(
        "image_edit",
        "generate_content gpt-image-1",
        {"model": "openai/gpt-image-1", "prompt": "a cat", "image": PNG},
        openai(
            "generate_content",
            "gpt-image-1",
            **{"gen_ai.output.type": "image"},
            **USAGE,
        ),
    ),
    Kind(
        "image_variation",
        "generate_content dall-e-2",
        {"model": "openai/dall-e-2", "image": PNG},
        {
            "gen_ai.operation.name": "generate_content",
            "gen_ai.provider.name": "openai",
            "gen_ai.request.model": "dall-e-2",
            "gen_ai.output.type": "image",
        },
    ),
    Kind(
        "transcription",
        "generate_content whisper-1",
        {"model": "openai/whisper-1", "file": ("a.wav", b"RIFF0000WAVE")},
        openai(
            "generate_content",
            "whisper-1",
            **{"gen_ai.output.type": "text"},
        ),
    ),
    Kind(
        "speech",
        "generate_content tts-1",
        {"model": "openai/tts-1", "input": "hello", "voice": "alloy"},
        openai(
            "generate_content",
            "tts-1",
            **{"gen_ai.output.type": "speech"},
        ),
    ),
    Kind(
        "rerank",
        "rerank rerank-english-v3.0",
        {"model": "cohere/rerank-english-v3.0", "query": "q", "documents": ["a", "b"]},
        {
            "gen_ai.operation.name": "rerank",
            "gen_ai.provider.name": "cohere",
            "gen_ai.request.model": "rerank-english-v3.0",
            "gen_ai.response.id": "rerank-loopback",
        },
        base="{url}/rerank",
    ),
    Kind(
        "moderation",
        "litellm.moderation omni-moderation-latest",
        {"model": "omni-moderation-latest", "input": "hello"},
        {
            "gen_ai.operation.name": "litellm.moderation",
            "gen_ai.provider.name": "openai",
            "gen_ai.request.model": "omni-moderation-latest",
            "gen_ai.response.id": "modr-loopback",
            "gen_ai.response.model": "omni-moderation-latest",
        },
    ),
    Kind(
        "responses",
        "chat gpt-4o-mini",
        {"model": "openai/gpt-4o-mini", "input": "Say hello"},
        openai(
            "chat",
            "gpt-4o-mini",
            "gpt-4o-mini-2024-07-18",
            **{
                "gen_ai.response.finish_reasons": ["completed"],
                "openai.response.service_tier": "default",
            },
            **USAGE,
        ),
    ),
]
ROWS = [pytest.param(kind, function, id=function) for kind in KINDS for function in kind.both]
# What varies with the run, or with what LiteLLM's release knows of prices and headers.
PASSING = {
    "litellm.call_id",
    "litellm.provider.model",
    "litellm.provider.request_id",
    "server.port",
}


def passing(kind: Kind, name: str) -> bool:
    """Whether the value of an attribute varies: costs are LiteLLM's, and tested apart."""
    return (
        name in PASSING
        or name.startswith("litellm.cost.")
        or name == "gen_ai.usage.cost"
        or (kind.name == "responses" and name == "gen_ai.response.id")
        or (kind.name == "image_generation" and "usage" in name)
    )


def keywords(kind: Kind, traced: Traced) -> dict[str, Any]:
    """The arguments of a call of this kind."""
    base = kind.base.format(url=traced.provider.url, root=traced.provider.root)
    given = {**kind.given, "api_base": base, "api_key": KEY}
    if isinstance(given.get("image"), bytes):
        given["image"] = io.BytesIO(given["image"])
    return given


@pytest.fixture(autouse=True)
def openai_base(loopback: LoopbackProvider, monkeypatch: pytest.MonkeyPatch) -> None:
    """Older LiteLLM's moderation does not pass `api_base` on."""
    monkeypatch.setenv("OPENAI_BASE_URL", loopback.url)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)


@pytest.mark.parametrize(("kind", "function"), ROWS)
async def test_the_cost_is_litellms(kind: Kind, function: str, traced: Traced) -> None:
    """The cost is the figure in LiteLLM's answer; without one there is no cost."""
    result = await call(getattr(litellm, function), **keywords(kind, traced))
    hidden = getattr(result, "_hidden_params", None) or {}
    figure = hidden.get("response_cost")
    if isinstance(result, dict):  # Anthropic's shape hides nothing: LiteLLM's price list says
        with contextlib.suppress(Exception):
            usage = litellm.Usage(prompt_tokens=20, completion_tokens=10, total_tokens=30)
            answer = litellm.ModelResponse(model=kind.given["model"], usage=usage)
            figure = litellm.completion_cost(answer, model=kind.given["model"])
    attributes = traced.span["attributes"]
    free = function == "amoderation" and figure == 0.0  # as the price list says
    if figure or free:
        assert (
            attributes["gen_ai.usage.cost"]
            == attributes["litellm.cost.total"]
            == pytest.approx(figure)
        )
        assert attributes["litellm.cost.source"] == "litellm"
    else:
        assert "gen_ai.usage.cost" not in attributes
        assert attributes["litellm.cost.source"] == "unknown"


@pytest.mark.parametrize(("kind", "function"), ROWS)
async def test_each_call_type_has_exactly_the_expected_span(
    kind: Kind, function: str, traced: Traced
) -> None:
    """One call is one span, with exactly these attributes."""
    await call(getattr(litellm, function), **keywords(kind, traced))
    span = traced.span
    attributes = {
        name: value for name, value in span["attributes"].items() if not passing(kind, name)
    }
    assert {"name": span["name"], "kind": span["kind"], "status": span["status"], **attributes} == {
        "name": kind.span,
        "kind": "CLIENT",
        "status": "UNSET",
        **kind.said,
        "litellm.call_type": function,
        "litellm.outcome": "success",
        "server.address": "127.0.0.1",
    }
    if function != "moderation":  # the one function that LiteLLM gives no id
        assert str(uuid.UUID(span["attributes"]["litellm.call_id"]))
    assert span["attributes"]["server.port"] == traced.provider._server.server_port


@pytest.mark.recent_litellm
@pytest.mark.parametrize("stream", [False, True])
async def test_litellms_rust_code_has_the_same_spans(
    stream: bool, traced: Traced, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With `LITELLM_RUST`, LiteLLM sends Anthropic's messages by a native module."""
    kind = next(kind for kind in KINDS if kind.name == "anthropic_messages")
    said = []
    for switch in ("false", "true"):
        monkeypatch.setenv("LITELLM_RUST", switch)
        answer: Any = await litellm.anthropic_messages(**keywords(kind, traced), stream=stream)
        assert not stream or [chunk async for chunk in answer]
        span = traced.spans[-1]
        varying = {"litellm.call_id", "litellm.stream.chunks"}
        said.append({k: v for k, v in span["attributes"].items() if k not in varying | PASSING})
    python, rust = (
        {k: v for k, v in attributes.items() if "time_to_first" not in k} for attributes in said
    )
    assert python == rust
    assert rust["gen_ai.usage.output_tokens"] == 10


@pytest.mark.parametrize("variable", ["OPENAI_BASE_URL", "OPENAI_API_BASE"])
@pytest.mark.parametrize("stream", [False, True])
def test_the_server_is_the_one_that_was_called(
    variable: str, stream: bool, traced: Traced, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A variable sets the URL; LiteLLM's answer has the provider's usual URL."""
    for name in ("OPENAI_BASE_URL", "OPENAI_API_BASE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(variable, traced.provider.url)
    result = litellm.completion(
        "openai/gpt-4o-mini", [{"role": "user", "content": "Hi"}], api_key="k", stream=stream
    )
    if stream:
        list(result)
    attributes = traced.span["attributes"]
    port = traced.provider._server.server_port
    assert (attributes["server.address"], attributes["server.port"]) == ("127.0.0.1", port)


@pytest.mark.parametrize("function", ["completion", "acompletion"])
async def test_positional_arguments_are_read_like_named_ones(function: str, traced: Traced) -> None:
    """A positional model and positional messages are read like named ones."""
    target = getattr(litellm, function)
    result = target("openai/gpt-4o-mini", MESSAGES, **traced.to())
    if function.startswith("a"):
        await result
    assert traced.span["name"] == "chat gpt-4o-mini"


async def test_positional_arguments_that_an_async_function_does_not_name(traced: Traced) -> None:
    """`aembedding(*args)` takes the parameters of `embedding`."""
    await litellm.aembedding("openai/text-embedding-3-small", ["hi"], **traced.to())
    assert traced.span["name"] == "embeddings text-embedding-3-small"


def test_each_request_of_a_batch_is_a_span_under_the_callers(traced: Traced) -> None:
    """Each request of a batch is a child of the caller's span."""
    tracer = traced.telemetry.tracer_provider.get_tracer("app")
    with tracer.start_as_current_span("app"):
        litellm.batch_completion(
            model="openai/gpt-4o-mini", messages=[MESSAGES, MESSAGES, MESSAGES], **traced.to()
        )
    app = next(span for span in traced.spans if span["name"] == "app")
    assert [span["parent"] for span in traced.spans if span["name"] != "app"] == [
        app["span_id"]
    ] * 3


REQUEST = {
    "max_tokens": 100,
    "temperature": 0.5,
    "top_p": 0.9,
    "frequency_penalty": 0.1,
    "presence_penalty": 0.2,
    "stop": ["\n\n"],
    "seed": 42,
    "n": 2,
    "response_format": {"type": "json_object"},
}


def test_request_parameters_keep_their_types_and_have_no_defaults(traced: Traced) -> None:
    """No default value is recorded."""
    litellm.completion(**traced.chat(**REQUEST))
    attributes = traced.span["attributes"]
    assert {
        name: attributes[name]
        for name in attributes
        if name.startswith(("gen_ai.request", "gen_ai.output"))
    } == {
        "gen_ai.request.model": "gpt-4o-mini",
        "gen_ai.request.max_tokens": 100,
        "gen_ai.request.temperature": 0.5,
        "gen_ai.request.top_p": 0.9,
        "gen_ai.request.frequency_penalty": 0.1,
        "gen_ai.request.presence_penalty": 0.2,
        "gen_ai.request.stop_sequences": ["\n\n"],
        "gen_ai.request.seed": 42,
        "gen_ai.request.choice.count": 2,
        "gen_ai.output.type": "json",
    }


@pytest.mark.recent_litellm
def test_image_edits_have_their_tokens(traced: Traced) -> None:
    """LiteLLM has them under both APIs' names, in one case with the value 0."""
    given = {"model": "openai/gpt-image-1", "prompt": "a cat", "image": PNG}
    litellm.image_edit(**given, **traced.to(input_tokens=50, output_tokens=1000))
    attributes = traced.span["attributes"]
    assert (attributes["gen_ai.usage.input_tokens"], attributes["gen_ai.usage.output_tokens"]) == (
        50,
        1000,
    )
