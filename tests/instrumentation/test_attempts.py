"""Routers, retries and fallbacks: one parent span, and one GenAI span per attempt."""

import asyncio
import contextlib
import inspect
from typing import Any

import litellm
import pytest

from litespan import LiteLLMInstrumentor
from litespan.testing import LoopbackProvider, Telemetry
from tests.support.calls import KEY, MESSAGES, Traced


def deployment(traced: Traced, group: str, model: str, **behaviour: Any) -> dict[str, Any]:
    """A router's deployment on a provider with this behaviour."""
    return {
        "model_name": group,
        "litellm_params": {"model": model, **traced.to(**behaviour)},
        "model_info": {"id": f"deployment-{group}"},
    }


def router(traced: Traced, **behaviour: Any) -> litellm.Router:
    """A group `bad` with this behaviour, retried once, and a group `good` as its fallback."""
    return litellm.Router(
        model_list=[
            deployment(traced, "bad", "openai/gpt-4o-mini", **(behaviour or {"status": 500})),
            deployment(traced, "good", "openai/gpt-4o"),
        ],
        fallbacks=[{"bad": ["good"]}],
        num_retries=1,
        retry_after=0,
    )


def attempts(traced: Traced) -> list[tuple[Any, ...]]:
    """(name, attempt, outcome) of every GenAI span, checked to hang under the router's."""
    parent, *calls = traced.spans
    assert parent["name"].startswith("litellm.router ")
    assert {span["parent"] for span in calls} == {parent["span_id"]}
    return [
        (
            span["name"],
            span["attributes"]["litellm.attempt"],
            span["attributes"]["litellm.outcome"],
        )
        for span in calls
    ]


RETRIED_THEN_FALLEN_BACK = [
    ("chat gpt-4o-mini", 1, "failure"),
    ("chat gpt-4o-mini", 2, "failure"),
    ("chat gpt-4o", 3, "success"),
]


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
@pytest.mark.parametrize("function", ["completion", "acompletion"])
async def test_a_router_call_is_a_parent_with_every_attempt(
    function: str, stream: bool, traced: Traced
) -> None:
    """The attempts are its children, in order."""
    result = getattr(router(traced), function)("bad", MESSAGES, stream=stream)
    if function == "acompletion":
        result = await result
        if stream:
            async for _ in result:
                pass
    elif stream:
        list(result)
    assert attempts(traced) == RETRIED_THEN_FALLEN_BACK


async def test_attempts_of_a_sync_router_inside_a_running_loop_have_their_parent(
    traced: Traced,
) -> None:
    """LiteLLM changes threads there."""
    router(traced).completion("bad", MESSAGES)
    assert attempts(traced) == RETRIED_THEN_FALLEN_BACK


async def test_the_router_span_has_no_operation_tokens_or_cost(traced: Traced) -> None:
    """It is INTERNAL, and UNSET if the call succeeds."""
    await router(traced).acompletion("bad", MESSAGES)
    span = traced.spans[0]
    assert (span["name"], span["kind"], span["status"], span["events"]) == (
        "litellm.router bad",
        "INTERNAL",
        "UNSET",
        [],
    )
    assert span["attributes"] == {
        "litellm.call_type": "litellm.router",
        "litellm.model_group": "bad",
        "litellm.outcome": "success",
        "litellm.attempts": 3,
    }


async def test_attempts_have_the_routers_choice(traced: Traced) -> None:
    """Model group, deployment, and the models before and after a fallback."""
    await router(traced).acompletion("bad", MESSAGES)
    first, *_, last = (span["attributes"] for span in traced.spans[1:])
    names = [
        "litellm.model_group",
        "litellm.deployment.id",
        "litellm.fallback.from",
        "litellm.fallback.to",
    ]
    assert [first.get(name) for name in names] == ["bad", "deployment-bad", None, None]
    assert [last.get(name) for name in names] == ["good", "deployment-good", "bad", "good"]


async def test_the_router_span_fails_if_every_attempt_fails(traced: Traced) -> None:
    """The router span has the failure that the caller gets."""
    alone = litellm.Router(
        model_list=[deployment(traced, "bad", "openai/gpt-4o-mini", status=500)],
        num_retries=1,
        retry_after=0,
    )
    with pytest.raises(litellm.InternalServerError):
        await alone.acompletion("bad", MESSAGES)
    parent, *calls = traced.spans
    assert (parent["status"], parent["attributes"]["error.type"]) == (
        "ERROR",
        "InternalServerError",
    )
    assert [span["attributes"]["litellm.attempt"] for span in calls] == [1, 2]


async def test_a_stream_that_fails_before_its_first_chunk_falls_back_under_one_parent(
    traced: Traced,
) -> None:
    """The other model's stream is an attempt of the same parent."""
    traced.provider.clear()
    with contextlib.suppress(Exception):  # LiteLLM before 1.76 does not fall back here
        stream = await router(traced, break_after=0).acompletion("bad", MESSAGES, stream=True)
        _ = [chunk async for chunk in stream]
    found = attempts(traced)
    assert [number for _, number, _ in found] == list(range(1, len(traced.provider.requests) + 1))
    assert found[-1][2] == ("success" if len(found) > 1 else "failure")


@pytest.mark.parametrize("function", ["completion", "acompletion"])
async def test_fallbacks_of_a_function_are_attempts(function: str, traced: Traced) -> None:
    """`fallbacks=` of a function works like the router's."""
    given = traced.chat(
        provider={"status": 500},
        fallbacks=[{"model": "openai/gpt-4o", "api_base": traced.provider.url}],
    )
    result = getattr(litellm, function)(**given)
    if inspect.isawaitable(result):
        await result
    assert attempts(traced) == [("chat gpt-4o-mini", 1, "failure"), ("chat gpt-4o", 2, "success")]


def test_sync_fallbacks_inside_a_running_loop_are_attempts(traced: Traced) -> None:
    """They run in a thread without the caller's context."""

    async def inside() -> None:
        litellm.completion(
            **traced.chat(
                provider={"status": 500},
                fallbacks=[{"model": "openai/gpt-4o", "api_base": traced.provider.url}],
            )
        )

    asyncio.run(inside())
    assert attempts(traced) == [("chat gpt-4o-mini", 1, "failure"), ("chat gpt-4o", 2, "success")]


@pytest.mark.parametrize("function", ["completion", "acompletion"])
async def test_retries_of_litellm_are_attempts(function: str, traced: Traced) -> None:
    """Each retry outside the provider's SDK is an attempt with an error of its own.

    LiteLLM first lets the OpenAI SDK retry (`num_retries` becomes its `max_retries`), which
    shows as one attempt, then retries by itself.
    """
    given = traced.chat(num_retries=2, provider={"status": 500, "times": 4})
    result = getattr(litellm, function)(**given)
    if inspect.isawaitable(result):
        await result
    found = attempts(traced)
    assert found[0] == ("chat gpt-4o-mini", 1, "failure")
    assert found[-1] == ("chat gpt-4o-mini", len(found), "success")
    assert len(found) == 3


@pytest.mark.parametrize(
    "function",
    [
        "responses",
        "aresponses",
        "anthropic_messages",
        "aembedding",
        pytest.param("amoderation", marks=pytest.mark.recent_litellm),
    ],
)
async def test_each_router_method_is_a_parent_with_a_span_per_attempt(
    function: str, traced: Traced
) -> None:
    """Every method of a router is one parent with one GenAI span per attempt."""
    kinds: dict[str, dict[str, Any]] = {
        "responses": {"input": "hi"},
        "aresponses": {"input": "hi"},
        "amoderation": {"input": "hi"},
        "anthropic_messages": {"messages": MESSAGES, "max_tokens": 5},
        "aembedding": {"input": ["hi"]},
    }
    given = kinds[function]
    models = {
        "aembedding": "openai/text-embedding-3-small",
        "amoderation": "openai/omni-moderation-latest",
    }
    model = models.get(function, "openai/gpt-4o")
    made = litellm.Router(model_list=[deployment(traced, "good", model)])
    called = getattr(made, function, None) or getattr(made, f"a{function}")  # renamed in 1.81
    result = called(model="good", **given)
    if inspect.isawaitable(result):
        await result
    assert [outcome for _, _, outcome in attempts(traced)] == ["success"]


async def test_a_router_created_before_instrumentation_is_traced(
    loopback: LoopbackProvider, telemetry: Telemetry
) -> None:
    """It holds references to LiteLLM's original functions."""
    made = litellm.Router(
        model_list=[
            {
                "model_name": "good",
                "litellm_params": {
                    "model": "openai/gpt-4o",
                    "api_base": loopback.url,
                    "api_key": KEY,
                },
            }
        ]
    )
    instrumentor = LiteLLMInstrumentor()
    instrumentor.instrument(**telemetry.providers)
    try:
        await made.aresponses(model="good", input="hi")
        await made.acompletion("good", MESSAGES)
        made.responses(model="good", input="hi")
    finally:
        instrumentor.uninstrument()
    names = [span["name"] for span in Traced(loopback, telemetry).spans]
    assert names == ["litellm.router good", "chat gpt-4o"] * 3


def test_tokens_and_cost_are_counted_once(traced: Traced) -> None:
    """They are on exactly one span, and once in the metrics."""
    router(traced).completion("bad", MESSAGES)
    spent = [span["attributes"].get("gen_ai.usage.cost") for span in traced.spans]
    assert [cost for cost in spent if cost is not None] == [pytest.approx(0.00015)]
    points = {
        (point["name"], point["attributes"].get("error.type")): point.get("count")
        for point in traced.telemetry.metrics
    }
    assert points[("gen_ai.client.operation.cost", None)] == 1
    assert points[("gen_ai.client.operation.duration", "InternalServerError")] == 2
