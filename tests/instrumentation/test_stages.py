"""The stages of a call, their order and their attributes."""

import asyncio
import gc
import json
from typing import Any

import litellm
import pytest

from litespan import LiteLLMInstrumentor
from litespan.testing import LoopbackProvider, Telemetry
from tests.support.calls import MESSAGES, Traced, call

PRE, POST, CHUNK = "litellm.pre_api_call", "litellm.post_api_call", "litellm.stream_chunk"
SUCCESS, FAILURE, EXCEPTION = "litellm.success", "litellm.failure", "exception"
BOTH = pytest.mark.parametrize("function", ["completion", "acompletion"])
LIMITS = {
    "http.response.status_code": 200,
    "litellm.provider.request_id": "req_loopback",
    "litellm.rate_limit.limit_requests": "10000",
    "litellm.rate_limit.limit_tokens": "200000",
    "litellm.rate_limit.remaining_requests": "9999",
    "litellm.rate_limit.remaining_tokens": "199970",
}


async def use(function: str, stream: Any, chunks: int | None = None) -> None:
    """Read the chat stream that `function` gave, or so many chunks of it."""
    for _ in range(chunks or 10**6):
        try:
            await anext(stream) if function == "acompletion" else next(stream)
        except (StopIteration, StopAsyncIteration):
            return


def names(span: dict[str, Any]) -> list[str]:
    """The names of its events, in order."""
    return [event["name"] for event in span["events"]]


def instrument(
    monkeypatch: pytest.MonkeyPatch, telemetry: Telemetry, **settings: str
) -> LiteLLMInstrumentor:
    """Litespan with these settings, in place of the running one."""
    for name, value in settings.items():
        monkeypatch.setenv(f"LITESPAN_{name.upper()}", value)
    instrumentor = LiteLLMInstrumentor()
    instrumentor.uninstrument()
    instrumentor.instrument(**telemetry.providers)
    return instrumentor


@BOTH
async def test_a_plain_call_has_its_three_stages_in_order(traced: Traced, function: str) -> None:
    """Before, after and success, with their attributes and true times."""
    await call(getattr(litellm, function), **traced.chat())
    events = traced.span["events"]
    assert [(event["name"], event["attributes"]) for event in events] == [
        (PRE, {"litellm.attempt": 1}),
        (POST, LIMITS),
        (
            SUCCESS,
            {
                "gen_ai.usage.input_tokens": 20,
                "gen_ai.usage.output_tokens": 10,
                "gen_ai.usage.cost": pytest.approx(9e-06),
            },
        ),
    ]
    times = [event["time"] for event in events]
    assert times == sorted(times)
    assert traced.span["start"] < times[0] < times[-1] <= traced.span["end"]


@BOTH
async def test_stages_have_the_times_of_their_events(traced: Traced, function: str) -> None:
    """The stage before is earlier than the provider's answer, and the stage after is later."""
    await call(getattr(litellm, function), **traced.chat(provider={"delay": 0.3}))
    before, after, _ = traced.span["events"]
    assert after["time"] - before["time"] > 0.29e9


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("completion", {"model": "openai/gpt-4o-mini", "messages": MESSAGES}),
        (
            "text_completion",
            {"model": "text-completion-openai/gpt-3.5-turbo-instruct", "prompt": "Hi"},
        ),
        ("embedding", {"model": "openai/text-embedding-3-small", "input": ["Hi"]}),
        ("responses", {"model": "openai/gpt-4o-mini", "input": "Hi"}),
        ("moderation", {"model": "openai/omni-moderation-latest", "input": "Hi"}),
        ("image_generation", {"model": "openai/dall-e-3", "prompt": "A cat"}),
        ("speech", {"model": "openai/tts-1", "input": "Hi", "voice": "alloy"}),
        ("rerank", {"model": "cohere/rerank-english-v3.0", "query": "q", "documents": ["a"]}),
    ],
)
@pytest.mark.parametrize("prefix", ["", "a"])
async def test_every_kind_of_call_has_the_same_stages(
    monkeypatch: pytest.MonkeyPatch, traced: Traced, prefix: str, name: str, given: dict[str, Any]
) -> None:
    """Any call type, sync or async: one stage before, one after, one success."""
    where = traced.to()
    # Older LiteLLM's moderation does not pass `api_base` on.
    monkeypatch.setenv("OPENAI_BASE_URL", traced.provider.url)
    if name == "rerank":
        where["api_base"] = traced.provider.root
    del where["max_retries"]
    await call(getattr(litellm, prefix + name), **{**given, **where})
    assert names(traced.span) == [PRE, POST, SUCCESS]


@BOTH
async def test_a_stream_has_its_stages_in_order(traced: Traced, function: str) -> None:
    """After the opening of the stream, its first chunk, and success at its end."""
    stream = await call(
        getattr(litellm, function), **traced.chat(stream=True, provider={"chunks": 20})
    )
    await use(function, stream)
    del stream
    span = traced.span
    assert names(span) == [PRE, POST, CHUNK, SUCCESS]
    first = span["events"][2]["attributes"]
    assert sorted(first) == ["litellm.stream.chunk.characters", "litellm.stream.chunk.index"]
    assert first["litellm.stream.chunk.index"] == 0


@BOTH
@pytest.mark.parametrize(
    ("behaviour", "chunks", "expected"),
    [
        pytest.param({}, 2, [PRE, POST, CHUNK, SUCCESS], id="abandoned"),
        pytest.param({"drop_after": 3}, None, [PRE, POST, CHUNK, EXCEPTION, FAILURE], id="dropped"),
        pytest.param({"break_after": 3}, None, [PRE, POST, CHUNK, EXCEPTION, FAILURE], id="broken"),
    ],
)
async def test_each_end_of_a_stream_is_one_success_or_failure(
    traced: Traced,
    function: str,
    behaviour: dict[str, Any],
    chunks: int | None,
    expected: list[str],
) -> None:
    """Exactly one, however the stream ends."""
    stream = await call(getattr(litellm, function), **traced.chat(stream=True, provider=behaviour))
    try:
        await use(function, stream, chunks)
    except Exception:  # named differently, or not raised, by different versions of LiteLLM
        assert behaviour
    del stream
    for _ in range(500):  # a thread may let go of the stream a moment later
        if traced.telemetry.spans:
            break
        await asyncio.sleep(0.01)
    assert names(traced.span) == expected


async def test_an_unread_stream_ends_when_it_is_dropped(traced: Traced) -> None:
    """Without a run of the garbage collector."""
    gc.disable()
    try:
        stream = litellm.completion(**traced.chat(stream=True))
        del stream
        assert [span["name"] for span in traced.telemetry.spans] == ["chat gpt-4o-mini"]
    finally:
        gc.enable()
    assert names(traced.span) == [PRE, POST, SUCCESS]


@BOTH
@pytest.mark.parametrize(
    ("status", "error"),
    [
        (401, "AuthenticationError"),
        (429, "RateLimitError"),
        (500, "InternalServerError"),
    ],
)
async def test_a_rejected_call_has_a_post_call_stage_with_status_and_headers(
    traced: Traced, function: str, status: int, error: str
) -> None:
    """The provider has answered, so there is a stage after the call."""
    with pytest.raises(getattr(litellm, error)):
        await call(getattr(litellm, function), **traced.chat(provider={"status": status}))
    events = traced.span["events"]
    assert names(traced.span) == [PRE, POST, EXCEPTION, FAILURE]
    assert events[1]["attributes"] == {**LIMITS, "http.response.status_code": status}
    assert events[3]["attributes"] == {"error.type": error}


@BOTH
async def test_a_reset_connection_has_no_post_call_stage(traced: Traced, function: str) -> None:
    """Without an answer, there is no stage after the call."""
    with pytest.raises(litellm.InternalServerError):
        await call(getattr(litellm, function), **traced.chat(provider={"reset": True}))
    assert names(traced.span) == [PRE, EXCEPTION, FAILURE]


@BOTH
async def test_a_call_that_fails_before_the_provider_has_the_stage_before_at_its_start(
    traced: Traced, function: str
) -> None:
    """LiteLLM raises before it calls a provider."""
    with pytest.raises(litellm.BadRequestError):
        await call(getattr(litellm, function), **traced.chat(model="no-such-provider/model"))
    assert names(traced.span) == [PRE, EXCEPTION, FAILURE]
    assert traced.span["events"][0]["time"] == traced.span["start"]


async def test_a_cancelled_call_is_a_failure_without_an_exception_event(traced: Traced) -> None:
    """A cancelled task is a failure with CancelledError; the span has no ERROR status."""
    task = asyncio.create_task(litellm.acompletion(**traced.chat(provider={"delay": 5})))
    await asyncio.sleep(0.3)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert names(traced.span) == [PRE, FAILURE]
    assert traced.span["events"][1]["attributes"] == {"error.type": "CancelledError"}
    assert traced.span["attributes"]["litellm.outcome"] == "cancelled"


async def test_each_attempt_has_its_own_stages(traced: Traced) -> None:
    """With the number of the attempt; the router's span has no stages."""
    router = litellm.Router(
        model_list=[
            {
                "model_name": name,
                "litellm_params": {"model": f"openai/{model}", **traced.to(**behaviour)},
            }
            for name, model, behaviour in (
                ("bad", "gpt-4o-mini", {"status": 500}),
                ("good", "gpt-4o", {}),
            )
        ],
        fallbacks=[{"bad": ["good"]}],
        num_retries=0,
    )
    await router.acompletion(model="bad", messages=MESSAGES)
    parent, *attempts = traced.spans
    assert (parent["name"], parent["events"]) == ("litellm.router bad", [])
    assert [names(span) for span in attempts] == [
        [PRE, POST, EXCEPTION, FAILURE],
        [PRE, POST, SUCCESS],
    ]
    numbers = [span["events"][0]["attributes"]["litellm.attempt"] for span in attempts]
    assert numbers == [1, 2]


@pytest.mark.parametrize(
    ("limit", "chunks", "kept"),
    [(None, 20, None), (None, 200, 63), (16, 200, 7), (5, 200, 1), (4, 200, 0)],
)
async def test_chunk_events_stop_at_half_of_the_spans_limit(
    monkeypatch: pytest.MonkeyPatch,
    loopback: LoopbackProvider,
    limit: int | None,
    chunks: int,
    kept: int | None,
) -> None:
    """All chunks until half of the limit; no other event is displaced."""
    if limit is not None:
        monkeypatch.setenv("OTEL_SPAN_EVENT_COUNT_LIMIT", str(limit))
    telemetry = Telemetry()
    instrumentor = instrument(monkeypatch, telemetry, stream_events="all")
    try:
        stream = litellm.completion(
            **Traced(loopback, telemetry).chat(stream=True, provider={"chunks": chunks})
        )
        received = len(list(stream))
    finally:
        instrumentor.uninstrument()
    (span,) = telemetry.spans
    kept = received if kept is None else kept  # older LiteLLM gives fewer empty chunks
    assert names(span) == [PRE, POST, *[CHUNK] * kept, SUCCESS]
    indexes = [event["attributes"].get("litellm.stream.chunk.index") for event in span["events"]]
    assert indexes[2:-1] == list(range(kept))
    assert span["attributes"].get("litellm.stream.chunks_left_out", 0) == received - kept


async def test_chunk_events_displace_no_events_of_the_application(
    monkeypatch: pytest.MonkeyPatch, loopback: LoopbackProvider, telemetry: Telemetry
) -> None:
    """With 100 events of the application on the span, chunks use the remaining space."""
    from opentelemetry.sdk.trace import SpanProcessor

    class Chatty(SpanProcessor):
        def on_start(self, span: Any, parent_context: Any = None) -> None:
            for _ in range(100):
                span.add_event("mine")

    telemetry.tracer_provider.add_span_processor(Chatty())
    instrumentor = instrument(monkeypatch, telemetry, stream_events="all")
    try:
        list(
            litellm.completion(
                **Traced(loopback, telemetry).chat(stream=True, provider={"chunks": 200})
            )
        )
    finally:
        instrumentor.uninstrument()
    assert names(telemetry.spans[0]) == [*["mine"] * 100, PRE, POST, *[CHUNK] * 13, SUCCESS]


async def test_chunk_events_can_be_disabled(
    monkeypatch: pytest.MonkeyPatch, loopback: LoopbackProvider, telemetry: Telemetry
) -> None:
    """The time to the first chunk is still recorded."""
    instrumentor = instrument(monkeypatch, telemetry, stream_events="off")
    try:
        list(litellm.completion(**Traced(loopback, telemetry).chat(stream=True)))
    finally:
        instrumentor.uninstrument()
    assert names(telemetry.spans[0]) == [PRE, POST, SUCCESS]
    assert telemetry.spans[0]["attributes"]["gen_ai.response.time_to_first_chunk"] > 0


@pytest.mark.parametrize(
    ("signal", "on_span", "on_log"),
    [("span", True, False), ("log", False, True), ("both", True, True)],
)
async def test_stages_are_span_events_log_events_or_both(
    monkeypatch: pytest.MonkeyPatch,
    loopback: LoopbackProvider,
    telemetry: Telemetry,
    signal: str,
    on_span: bool,
    on_log: bool,
) -> None:
    """The log events belong to the span."""
    instrumentor = instrument(monkeypatch, telemetry, stage_signal=signal)
    traced = Traced(loopback, telemetry)
    try:
        litellm.completion(**traced.chat())
        with pytest.raises(litellm.AuthenticationError):
            litellm.completion(**traced.chat(provider={"status": 401}))
    finally:
        instrumentor.uninstrument()
    expected = [PRE, POST, SUCCESS, PRE, POST, FAILURE]
    seen = [name for span in traced.spans for name in names(span) if name != EXCEPTION]
    assert seen == (expected if on_span else [])
    logs = telemetry.logs
    assert [log["event"] for log in logs] == (expected if on_log else [])
    spans = {span["span_id"]: span["attributes"]["litellm.call_id"] for span in traced.spans}
    for log in logs:
        assert log["attributes"]["litellm.call_id"] == spans[log["span_id"]]
    if on_log:
        assert {**LIMITS, "litellm.call_id": spans[logs[1]["span_id"]]} == logs[1]["attributes"]
        assert [log["severity"] for log in logs] == [*["INFO"] * 5, "WARN"]


async def test_no_log_disables_stages(
    monkeypatch: pytest.MonkeyPatch, loopback: LoopbackProvider, telemetry: Telemetry
) -> None:
    """`no-log=True`: no event on any signal."""
    instrumentor = instrument(monkeypatch, telemetry, stage_signal="both", stream_events="all")
    try:
        given = Traced(loopback, telemetry).chat(stream=True, **{"no-log": True})
        list(litellm.completion(**given))
    finally:
        instrumentor.uninstrument()
    assert (telemetry.spans, telemetry.logs) == ([], [])


async def test_stages_have_no_content(traced: Traced) -> None:
    """No stage contains text of the messages."""
    list(litellm.completion(**traced.chat(stream=True, provider={"text": "TELLTALE answer"})))
    attributes = json.dumps([event["attributes"] for event in traced.span["events"]])
    assert "TELLTALE" not in attributes
    assert MESSAGES[0]["content"][:10] not in attributes
