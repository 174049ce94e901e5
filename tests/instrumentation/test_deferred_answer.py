"""An answer that is read with its span equals one that is read at the end of the call."""

from collections.abc import Callable
from typing import Any
from unittest.mock import Mock

import litellm
import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from litespan.background.deferred import Deferred
from litespan.instrumentation import call, deferred_answer, recorded_content
from litespan.instrumentation.call_tracer import CallTracer
from litespan.routing.destinations import Destination
from litespan.routing.processor import RoutingProcessor
from tests.support.calls import MESSAGES

NOW, LATER = "at the end of the call", "with the span"
OF_ONE_CALL = ("gen_ai.response.id", "litellm.call_id", "litellm.provider.request_id")
LONG = [*MESSAGES, {"role": "assistant", "content": "Hello!"}, *MESSAGES]
SHOWN = {"type": "image_url", "image_url": {"url": "https://example.com/cat.png"}}
TOOL = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
CALLS: dict[str, dict[str, Any]] = {
    "a text": {},
    "a conversation": {"messages": LONG, "user": "ann", "metadata": {"feature": "help"}},
    "an image": {"messages": [{"role": "user", "content": [SHOWN]}]},
    "a tool call": {"tools": [TOOL]},
    "cached tokens": {"provider": {"cached_tokens": 16}},
    "written caches": {"provider": {"cache_write_tokens": 8}},
    "reasoning": {"provider": {"reasoning_tokens": 6}},
    "audio": {"provider": {"audio_tokens": 4}},
    "a filter": {"provider": {"finish": "content_filter"}},
    "no usage": {"provider": {"usage": False}},
    "two choices": {"n": 2},
    "a model without a price": {"model": "openai/unknown-model"},
    "its own prices": {
        "model": "openai/priced",
        "input_cost_per_token": 1e-6,
        "output_cost_per_token": 2e-6,
    },
    "a free model": {
        "model": "openai/free",
        "input_cost_per_token": 0.0,
        "output_cost_per_token": 0.0,
    },
    "Anthropic": {"model": "anthropic/claude-sonnet-4-5"},
    "Anthropic with written caches": {
        "model": "anthropic/claude-sonnet-4-5",
        "provider": {"cache_write_tokens": 8, "cached_tokens": 4},
    },
    "an alias": {"model": "cheap"},
    "a service tier": {"service_tier": "flex"},
    "an empty text": {"provider": {"text": ""}},
    "a lone surrogate": {"provider": {"text": "half \\ud83d"}},
}
VARIES = {"Anthropic", "Anthropic with written caches"}  # with the version of LiteLLM
READ_NOW = {"no usage", "a model without a price", "a free model"}


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """When answers were read."""
    found: list[str] = []

    def spy(module: Any, when: str) -> None:
        read: Callable[..., Any] = module.read_answer

        def seen(*given: Any) -> Any:
            found.append(when)
            return read(*given)

        monkeypatch.setattr(module, "read_answer", seen)

    spy(call, NOW)
    spy(deferred_answer, LATER)
    return found


def recorded(span: dict[str, Any]) -> Any:
    """Attributes and events, without what differs between two calls."""
    attributes = {k: v for k, v in span["attributes"].items() if k not in OF_ONE_CALL}
    return attributes, [(event["name"], event["attributes"]) for event in span["events"]]


@pytest.mark.parametrize("mode", ["NO_CONTENT", "SPAN_ONLY"])
@pytest.mark.parametrize("name", CALLS)
def test_it_is_the_same_as_one_that_is_read_now(
    name: str, mode: str, capture: Any, reads: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Attributes with content, and events."""
    monkeypatch.setattr(litellm, "model_alias_map", {"cheap": "openai/gpt-4o-mini"})
    found = []
    for when in (LATER, NOW):
        with capture(mode) as traced, monkeypatch.context() as patch:
            if when == NOW:
                patch.setattr(call, "defer_answer", lambda *_: None)
            litellm.completion(**traced.chat(**CALLS[name]))
            if name not in VARIES:
                assert reads == [NOW] * (when == NOW or name in READ_NOW)
            found.append(recorded(traced.span))
            reads.clear()
    assert found[0] == found[1]
    assert found[0][0]["litellm.outcome"] == "success"


def test_it_is_the_answer_as_it_was_at_the_end(capture: Any, reads: list[str]) -> None:
    """Although the application changes the answer before it is read."""
    with capture() as traced:
        messages: list[Any] = [dict(message) for message in MESSAGES]
        litellm.completion(**traced.chat(messages=messages))
        before = recorded(traced.span)
        traced.telemetry.clear()
        response: Any = litellm.completion(**traced.chat(messages=messages))
        messages[0]["content"] = "changed"
        messages.append({"role": "user", "content": "And now?"})
        response.model = "changed"
        response.choices[0].finish_reason = "length"
        response.choices[0].message.content = "changed"
        response.choices.append(response.choices[0])
        response.usage.prompt_tokens = 10**6
        response._hidden_params["response_cost"] = 10.0
        response._hidden_params["additional_headers"].clear()
        reads.clear()
        assert recorded(traced.span) == before
        assert reads == [LATER]


def test_a_routed_call_is_not_read_to_be_routed(capture: Any, reads: list[str]) -> None:
    """`litespan.configure` looks at the start of a call and its outcome."""
    routing, exporter = RoutingProcessor(), InMemorySpanExporter()
    routing.set_destinations([Destination("memory", exporter, 1.0, None, frozenset({"success"}))])
    with capture() as traced:
        traced.telemetry.tracer_provider.add_span_processor(routing)
        litellm.completion(**traced.chat())
        assert not reads
        routing.shutdown()
    (span,) = exporter.get_finished_spans()
    assert (span.attributes or {})["gen_ai.usage.output_tokens"] == 10
    assert reads == [LATER]


def test_metrics_have_its_values(capture: Any) -> None:
    """Tokens and cost, although nothing reads the span."""
    with capture() as traced:
        litellm.completion(**traced.chat())
        sums = {
            (point["name"], point["attributes"].get("gen_ai.token.type")): point["sum"]
            for point in traced.telemetry.metrics
            if "sum" in point
        }
    assert sums["gen_ai.client.token.usage", "input"] == 20
    assert sums["gen_ai.client.token.usage", "output"] == 10
    assert sums["gen_ai.client.operation.cost", None] == pytest.approx(9e-6)


def test_a_call_counts_once_if_its_stage_cannot_be_recorded(
    capture: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error in litespan's own code after the answer was copied."""
    monkeypatch.setattr(call.Call, "stage", Mock(side_effect=ValueError))
    with capture() as traced:
        litellm.completion(**traced.chat())
        counts = [
            point["count"]
            for point in traced.telemetry.metrics
            if point["name"] == "gen_ai.client.operation.duration"
        ]
        assert traced.span["attributes"]["litellm.outcome"] == "success"
    assert counts == [1]


@pytest.mark.parametrize(
    "environment",
    [
        {"LITESPAN_STAGE_SIGNAL": "both"},
        {"OTEL_SEMCONV_STABILITY_OPT_IN": "gen_ai_latest_experimental"},
    ],
)
def test_it_is_read_now_if_its_values_are_needed(
    environment: dict[str, str], capture: Any, reads: list[str]
) -> None:
    """For log events, and for the names of the conventions v0.1.0."""
    with capture(**environment) as traced:
        litellm.completion(**traced.chat())
        assert reads == [NOW]


def test_an_answer_that_cannot_be_copied_is_read_now(
    capture: Any, reads: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as an unusual object of an application's own provider."""
    unusual = Mock(side_effect=AttributeError)
    monkeypatch.setattr(deferred_answer, "copy_answer", unusual)
    monkeypatch.setattr(recorded_content, "copied_choices", unusual)
    with capture() as traced:
        litellm.completion(**traced.chat())
        assert reads == [NOW]
        assert traced.span["attributes"]["gen_ai.usage.output_tokens"] == 10
        assert "gen_ai.output.messages" in traced.span["attributes"]
    assert unusual.call_count == 2


def test_a_later_attribute_replaces_one_of_the_answer() -> None:
    """A span processor can change a span as it ends."""
    provider = TracerProvider(shutdown_on_exit=False)
    span: Any = CallTracer(provider.get_tracer("tests")).start_span("chat", attributes={"a": 1})
    assert span.defer("_answer", Deferred(lambda: {"b": 1, "c": 1}, 0))
    span.set_attribute("b", 2)
    span.end()
    assert dict(span.attributes) == {"a": 1, "b": 2, "c": 1}
