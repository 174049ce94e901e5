"""The conventions' own rules, on the scenario that their conformance suite replays."""

import inspect
import json
from typing import Any

import jsonschema
import litellm
import pytest

from litespan import LiteLLMInstrumentor, semconv
from litespan.testing import LoopbackProvider, Telemetry
from tests.support.calls import Traced
from tests.support.schemas import SCHEMAS

# https://github.com/open-telemetry/semantic-conventions-genai, the attributes that our spans
# may carry; what the conventions do not have is listed apart, as declared exceptions.
KNOWN = {
    *SCHEMAS,
    "gen_ai.operation.name",
    "gen_ai.provider.name",
    "gen_ai.conversation.id",
    "gen_ai.output.type",
    "gen_ai.prompt.name",
    "gen_ai.prompt.version",
    "gen_ai.embeddings.dimension.count",
    "gen_ai.agent.id",
    "gen_ai.agent.name",
    "gen_ai.data_source.id",
    "gen_ai.retrieval.documents",
    "gen_ai.retrieval.top_k",
    *(
        f"gen_ai.request.{name}"
        for name in (
            "model",
            "stream",
            "max_tokens",
            "temperature",
            "top_p",
            "top_k",
            "frequency_penalty",
            "presence_penalty",
            "stop_sequences",
            "seed",
            "choice.count",
            "encoding_formats",
            "reasoning.level",
            "previous_response.id",
        )
    ),
    *(
        f"gen_ai.response.{name}"
        for name in ("id", "model", "finish_reasons", "time_to_first_chunk")
    ),
    *(
        f"gen_ai.usage.{name}"
        for name in (
            "input_tokens",
            "output_tokens",
            "cache_read.input_tokens",
            "cache_write.input_tokens",
            "reasoning.output_tokens",
            "audio.input_tokens",
            "audio.output_tokens",
        )
    ),
}
# No convention for cost; cache_creation is the name that released consumers read.
DECLARED = {"gen_ai.usage.cost", "gen_ai.usage.cache_creation.input_tokens"}
# A metric's label, and what single vendors' presets add to their own copies.
FOR_OTHERS = {"gen_ai.token.type", "gen_ai.usage.total_tokens", "gen_ai.cost.estimated_total"}
SCENARIO = {
    "messages": [
        {"role": "system", "content": "You are helpful."},
        {"role": "user", "content": "Say this is a test"},
    ],
    "max_tokens": 100,
    "temperature": 0.5,
    "top_p": 0.9,
    "frequency_penalty": 0.1,
    "presence_penalty": 0.2,
    "stop": ["\n\n"],
    "seed": 42,
}
REQUIRED = {
    "gen_ai.operation.name",
    "gen_ai.provider.name",
    "gen_ai.request.model",
    "gen_ai.response.id",
    "gen_ai.response.model",
    "gen_ai.response.finish_reasons",
    "gen_ai.usage.input_tokens",
    "gen_ai.usage.output_tokens",
    "gen_ai.request.max_tokens",
    "gen_ai.request.temperature",
    "gen_ai.request.top_p",
    "gen_ai.request.frequency_penalty",
    "gen_ai.request.presence_penalty",
    "gen_ai.request.stop_sequences",
    "gen_ai.request.seed",
    "gen_ai.input.messages",
    "gen_ai.output.messages",
    "server.address",
    "server.port",
}


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
@pytest.mark.parametrize("status", [200, 429], ids=["success", "failure"])
@pytest.mark.parametrize("function", ["completion", "acompletion"])
async def test_each_span_follows_the_rules_of_the_conventions(
    function: str,
    status: int,
    stream: bool,
    loopback: LoopbackProvider,
    telemetry: Telemetry,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Name, kind, required attributes, status, error.type, known names, content schemas."""
    monkeypatch.setenv("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "SPAN_AND_EVENT")
    instrumentor = LiteLLMInstrumentor()
    instrumentor.instrument(**telemetry.providers)
    traced = Traced(loopback, telemetry)
    more: dict[str, Any] = (
        {"stream": True, "stream_options": {"include_usage": True}} if stream else {}
    )
    try:
        result = getattr(litellm, function)(
            **traced.chat(provider={"status": status}, **SCENARIO, **more)
        )
        result = await result if inspect.isawaitable(result) else result
        if stream:
            _ = [chunk async for chunk in result] if function[0] == "a" else list(result)
    except litellm.RateLimitError:
        assert status == 429
    finally:
        instrumentor.uninstrument()
    span = traced.span
    said = span["attributes"]
    assert span["name"] == f"{said['gen_ai.operation.name']} {said['gen_ai.request.model']}"
    assert span["kind"] == "CLIENT"
    assert span["status"] == ("UNSET" if status == 200 else "ERROR")
    assert ("error.type" in said) == (span["status"] == "ERROR")
    if status == 200:
        assert REQUIRED - said.keys() == set()
    assert {name for name in said if name.startswith("gen_ai.")} - KNOWN - DECLARED == set()
    assert ("gen_ai.request.stream" in said) == stream
    for name, schema in SCHEMAS.items():
        if name in said:
            jsonschema.validate(json.loads(said[name]), schema)


def test_our_own_names_are_known() -> None:
    """Every `gen_ai.*` attribute that litespan can write is in the conventions or declared."""
    names = {
        value
        for name, value in vars(semconv).items()
        if isinstance(value, str)
        and value.startswith("gen_ai.")
        and not name.startswith(("METRIC_", "EVENT_", "FOR_"))
    }
    assert names - KNOWN - DECLARED - FOR_OTHERS == set()
