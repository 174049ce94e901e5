"""GenAI spans of other instrumentations, delivered to handlers at their start and end."""

import asyncio
import json
from typing import Any, TypeAlias

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import SpanKind, Status, StatusCode

import litespan
from tests.callbacks.conftest import Keeper

Attributes: TypeAlias = dict[str, str | float | tuple[str, ...]]
START: Attributes = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o-mini",
    "gen_ai.request.temperature": 0.5,
}
END: Attributes = {
    "gen_ai.response.model": "gpt-4o-mini-2024-07-18",
    "gen_ai.response.id": "chatcmpl-1",
    "gen_ai.response.finish_reasons": ("stop",),
    "gen_ai.usage.input_tokens": 20,
    "gen_ai.usage.output_tokens": 10,
    "gen_ai.usage.cost": 9e-06,
    "user.id": "alice",
    "gen_ai.input.messages": json.dumps(
        [{"role": "user", "parts": [{"type": "text", "content": "Hello?"}]}]
    ),
    "gen_ai.output.messages": json.dumps(
        [
            {
                "role": "assistant",
                "parts": [{"type": "text", "content": "Hello!"}],
                "finish_reason": "stop",
            }
        ]
    ),
}


@pytest.fixture
def deliveries() -> Keeper:
    """A handler."""
    return Keeper()


@pytest.fixture
def tracer(deliveries: Keeper) -> trace.Tracer:
    """The tracer of another instrumentation, in a program with a handler."""
    provider = TracerProvider()
    provider.add_span_processor(litespan.CallbackSpanProcessor(deliveries))
    return provider.get_tracer("opentelemetry.instrumentation.openai_v2")


def test_a_span_has_a_stage_at_its_start_and_its_end(
    deliveries: Keeper, tracer: trace.Tracer
) -> None:
    """The stage before at the start, and success at the end, with keywords and a response."""
    with tracer.start_as_current_span("chat gpt-4o-mini", attributes=START) as span:
        assert litespan.flush(5) is False  # it has not ended
        assert deliveries.deliveries.methods == ["pre"]
        span.set_attributes(END)
    assert litespan.flush(5)
    before, success = deliveries.deliveries
    assert before.model == "gpt-4o-mini"
    assert before.kwargs["optional_params"] == {"temperature": 0.5}
    kwargs = success.kwargs
    assert success.method == "success"
    assert kwargs["messages"] == [{"role": "user", "content": "Hello?"}]
    assert kwargs["user"] == "alice"
    assert kwargs["response_cost"] == 9e-06
    assert kwargs["litellm_call_id"] == before.kwargs["litellm_call_id"]
    assert kwargs["litellm_params"]["metadata"] == {}
    assert success.start_time < success.end_time
    assert success.start_time.tzinfo is None


def test_the_response_of_a_span_behaves_like_litellms(
    deliveries: Keeper, tracer: trace.Tracer
) -> None:
    """It supports every access that handlers use on LiteLLM's response."""
    with tracer.start_as_current_span("chat gpt-4o-mini", attributes={**START, **END}):
        pass
    assert litespan.flush(5)
    response = deliveries.deliveries[-1].response_obj
    assert response.model == "gpt-4o-mini-2024-07-18"
    assert response["choices"][0]["message"]["content"] == "Hello!"
    assert response.choices[0].message.content == "Hello!"
    assert response.choices[0].finish_reason == "stop"
    assert response.usage.get("total_tokens") == 30
    assert dict(response.usage) == {
        "prompt_tokens": 20,
        "completion_tokens": 10,
        "total_tokens": 30,
    }
    assert response.get("nothing") is None
    with pytest.raises(AttributeError, match="nothing"):
        _ = response.nothing
    assert json.loads(json.dumps(response.json()))["id"] == "chatcmpl-1"
    assert type(response.json()["choices"][0]) is dict
    assert response.model_dump() == response.json()


def test_without_content_there_is_one_empty_choice(
    deliveries: Keeper, tracer: trace.Tracer
) -> None:
    """Without recorded content there is one empty choice, and no invented token."""
    with tracer.start_as_current_span("chat gpt-4o-mini", attributes=START):
        pass
    assert litespan.flush(5)
    success = deliveries.deliveries[-1]
    assert success.kwargs["messages"] == []
    assert success.response_obj["choices"][0]["message"]["content"] is None
    assert dict(success.response_obj.usage) == {}
    assert "response_cost" not in success.kwargs


def test_an_error_status_is_a_failure_with_the_spans_attributes(
    deliveries: Keeper, tracer: trace.Tracer
) -> None:
    """A span with status ERROR is a failure, with the attributes of the span."""
    span = tracer.start_span("chat gpt-4o-mini", attributes=START)
    span.set_attribute("error.type", "RateLimitError")
    span.set_status(Status(StatusCode.ERROR, "slow down"))
    span.end()
    assert litespan.flush(5)
    failure = deliveries.deliveries[-1]
    assert failure.method == "failure"
    assert str(failure.kwargs["exception"]) == "slow down"
    assert failure.kwargs["traceback_exception"] == "slow down"
    assert (failure.kwargs["response_cost"], failure.response_obj) == (0.0, None)


def test_a_span_that_becomes_a_genai_span_later_has_one_start_and_one_end(
    deliveries: Keeper, tracer: trace.Tracer
) -> None:
    """Some spans have GenAI attributes only at their end."""
    with tracer.start_as_current_span("openai.chat", kind=SpanKind.CLIENT) as span:
        span.set_attributes({**START, **END})
    assert litespan.flush(5)
    assert deliveries.deliveries.methods == ["pre", "success"]


@pytest.mark.parametrize(
    "attributes",
    [
        pytest.param({"http.request.method": "POST"}, id="HTTP"),
        pytest.param({"gen_ai.operation.name": "execute_tool"}, id="tool"),
        pytest.param({"gen_ai.operation.name": "invoke_agent"}, id="agent"),
    ],
)
def test_spans_that_are_not_calls_are_not_delivered(
    deliveries: Keeper, tracer: trace.Tracer, attributes: dict[str, Any]
) -> None:
    """Other spans, and GenAI spans that are not calls, are not delivered."""
    with tracer.start_as_current_span("something", attributes=attributes):
        pass
    assert litespan.flush(5)
    assert deliveries.deliveries == []


async def test_spans_on_an_event_loop_are_async_calls(
    tracer: trace.Tracer, deliveries: Keeper
) -> None:
    """Spans that start on an event loop count as async calls."""
    ran = []

    class Both(Keeper):
        async def async_log_success_event(
            self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any
        ) -> None:
            ran.append(kwargs["model"])

    provider = TracerProvider()
    provider.add_span_processor(litespan.CallbackSpanProcessor(Both()))
    with provider.get_tracer("other").start_as_current_span("chat", attributes=START):
        await asyncio.sleep(0)
    assert await asyncio.to_thread(litespan.flush, 5)
    assert ran == ["gpt-4o-mini"]


def test_spans_that_never_end_are_bounded(
    monkeypatch: pytest.MonkeyPatch, tracer: trace.Tracer
) -> None:
    """Only a limited number of open spans is kept."""
    from litespan.callbacks import other_instrumentations

    monkeypatch.setattr(other_instrumentations, "MAX_SPANS", 3)
    counts = litespan.stats()
    name = "callbacks.tests.callbacks.conftest.Keeper.given_up"
    leaked = [tracer.start_span("chat", attributes=START) for _ in range(10)]
    assert litespan.stats()[name] - counts.get(name, 0) == 7
    for span in leaked:
        span.end()
    assert litespan.flush(5)


def test_a_provider_sdks_span_below_a_litellm_call_is_not_delivered_again(traced: Any) -> None:
    """It is the same call, which is delivered once."""
    import litellm

    keeper = Keeper()
    provider = traced.telemetry.tracer_provider
    provider.add_span_processor(litespan.CallbackSpanProcessor(keeper))
    theirs = provider.get_tracer("opentelemetry.instrumentation.openai_v2")

    class Below:
        def log_pre_api_call(self, model: str, messages: Any, kwargs: Any) -> None:
            with theirs.start_as_current_span("chat", attributes=START):
                pass

    litellm.callbacks = []
    added = litespan.add_callback(Below(), delivery="inline")
    try:
        litellm.completion(**traced.chat())
    finally:
        added.remove()
    assert litespan.flush(5)
    assert keeper.deliveries.methods == ["pre", "post", "success"]
