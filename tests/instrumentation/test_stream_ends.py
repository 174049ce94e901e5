"""How streams end, and the attributes of their spans."""

import asyncio
import contextlib
import gc
import weakref
from collections.abc import Awaitable, Callable
from typing import Any

import litellm
import pytest

from tests.support.calls import KEY, Traced

pytestmark = pytest.mark.slow

PROMPT = "My mother's maiden name is Featherstonehaugh."

Reader = Callable[[Traced, dict[str, Any]], Awaitable[None]]


async def sync_stream(traced: Traced, how: str, **given: Any) -> None:
    """Read a sync stream until it, or the reader, has had enough."""
    stream = litellm.completion(**traced.chat(stream=True, **given))
    for count, _ in enumerate(stream, 1):
        if how == "break" and count == 2:
            break
        if how == "raise" and count == 2:
            raise LookupError("the caller's own")


async def async_stream(traced: Traced, how: str, **given: Any) -> None:
    """The same, async."""
    stream = await litellm.acompletion(**traced.chat(stream=True, **given))
    count = 0
    async for _ in stream:
        count += 1
        if how == "close" and count == 2:
            await stream.aclose()
            return
        if how == "break" and count == 2:
            break
        if how == "raise" and count == 2:
            raise LookupError("the caller's own")


READERS = [pytest.param(sync_stream, id="sync"), pytest.param(async_stream, id="async")]
# how the caller reads, the provider's behaviour → end, outcome, status, error.type
DROPPED = ("dropped", "failure", "ERROR", "stream_dropped")
ENDS = [
    pytest.param("drain", {}, ("complete", "success", "UNSET", None), id="drained"),
    pytest.param("break", {}, ("abandoned", "abandoned", "UNSET", None), id="break"),
    pytest.param("raise", {}, ("abandoned", "abandoned", "UNSET", None), id="caller raises"),
    pytest.param(
        "drain",
        {"drop_after": 2},
        ("dropped", "failure", "ERROR", "stream_dropped"),
        id="socket ended",
    ),
    pytest.param(
        "drain",
        {"break_after": 2},
        ("error", "failure", "ERROR", "what the caller got"),
        id="socket broke",
    ),
    pytest.param(
        "drain",
        {"error_after": 2},
        ("error", "failure", "ERROR", "what the caller got"),
        id="provider's error",
    ),
]


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize(("how", "behaviour", "expected"), ENDS)
async def test_the_span_of_a_stream_has_how_it_ended(
    read: Any, how: str, behaviour: dict[str, Any], expected: tuple[Any, ...], traced: Traced
) -> None:
    """One span for each end."""
    raised = None
    try:
        await read(traced, how, provider=behaviour)
    except Exception as error:
        raised = type(error).__name__
    if expected[0] == "error":
        # LiteLLM 1.74 ends a broken async stream without a word: then it is a dropped one.
        expected = (*expected[:3], raised) if raised else DROPPED
    span = traced.span
    attributes = span["attributes"]
    assert (
        attributes["litellm.stream.end"],
        attributes["litellm.outcome"],
        span["status"],
        attributes.get("error.type"),
    ) == expected


@pytest.mark.parametrize("read", READERS)
async def test_a_stream_has_the_time_to_its_first_chunk(read: Any, traced: Traced) -> None:
    """In seconds, and before the stream's end."""
    await read(traced, "drain", provider={"pause": 0.05, "chunks": 4})
    span = traced.span
    first = span["attributes"]["gen_ai.response.time_to_first_chunk"]
    assert 0 < first < (span["end"] - span["start"]) / 1e9 - 0.1
    assert span["attributes"]["gen_ai.request.stream"] is True


@pytest.mark.parametrize("read", READERS)
async def test_an_abandoned_stream_has_estimated_tokens(read: Any, traced: Traced) -> None:
    """They are marked as estimates, and there is no finish reason."""
    await read(traced, "break", provider={"chunks": 8})
    attributes = traced.span["attributes"]
    assert attributes["litellm.stream.chunks"] == 2
    assert attributes["litellm.usage.source"] == "estimated"
    assert attributes["litellm.cost.source"] == "estimated"
    assert attributes["gen_ai.usage.output_tokens"] >= 1
    assert "gen_ai.response.finish_reasons" not in attributes


async def test_aclose_ends_the_span_as_closed(traced: Traced) -> None:
    """A stream has `aclose()` if LiteLLM's own has it."""
    if hasattr(litellm.CustomStreamWrapper, "aclose"):
        await async_stream(traced, "close", provider={"chunks": 8})
        assert traced.span["attributes"]["litellm.stream.end"] == "closed"
    else:  # before 1.82
        stream = await litellm.acompletion(**traced.chat(stream=True))
        assert not hasattr(stream, "aclose")


async def test_closing_a_plain_generator_ends_the_span_as_closed(traced: Traced) -> None:
    """`aclose()` of a stream that is a plain generator."""
    stream = await litellm.anthropic_messages(
        model="anthropic/claude-sonnet-4-5",
        messages=[{"role": "user", "content": "hi"}],
        max_tokens=10,
        stream=True,
        api_base=traced.provider.root,
        api_key="k",
    )
    await anext(stream)
    await stream.aclose()
    assert traced.span["attributes"]["litellm.stream.end"] == "closed"


async def test_a_task_cancelled_during_a_stream_is_a_cancelled_call(traced: Traced) -> None:
    """Not an error."""
    reading = asyncio.create_task(async_stream(traced, "drain", provider={"pause": 30.0}))
    await asyncio.sleep(0.4)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    span = traced.span
    assert (span["status"], span["attributes"]["litellm.outcome"]) == ("UNSET", "cancelled")
    assert "error.type" not in span["attributes"]
    assert span["events"][-1]["name"] == "litellm.failure"
    assert span["events"][-1]["attributes"]["error.type"] == "CancelledError"


async def test_a_cancelled_call_ends_as_cancelled(traced: Traced) -> None:
    """A call that is cancelled before its answer."""
    waiting = asyncio.create_task(litellm.acompletion(**traced.chat(provider={"delay": 30.0})))
    await asyncio.sleep(0.4)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    span = traced.span
    assert (span["status"], span["attributes"]["litellm.outcome"]) == ("UNSET", "cancelled")


@pytest.mark.parametrize("usage", [{"include_usage": True}, {"include_usage": False}, None])
@pytest.mark.parametrize("read", READERS)
async def test_stream_usage_is_the_providers_or_a_marked_estimate(
    read: Any, usage: dict[str, bool] | None, traced: Traced
) -> None:
    """The provider's figures if it sends them, else an estimate that is marked as such."""
    given = {} if usage is None else {"stream_options": usage}
    await read(traced, "drain", **given)
    attributes = traced.span["attributes"]
    if usage and usage["include_usage"]:
        assert (
            attributes["gen_ai.usage.input_tokens"],
            attributes["gen_ai.usage.output_tokens"],
        ) == (20, 10)
        assert (attributes["litellm.usage.source"], attributes["litellm.cost.source"]) == (
            "provider",
            "litellm",
        )
        assert attributes["gen_ai.usage.cost"] == pytest.approx(9e-06)
    else:
        assert attributes["litellm.usage.source"] in {"estimated", "litellm"}
        assert attributes["gen_ai.usage.cost"] > 0


async def test_an_anthropic_stream_has_its_usage_and_end(traced: Traced) -> None:
    """They are read from its server-sent events."""
    stream = await litellm.anthropic_messages(
        model="anthropic/claude-sonnet-4-5",
        messages=[{"role": "user", "content": "hi"}],
        max_tokens=10,
        stream=True,
        api_base=traced.to(cached_tokens=5, cache_write_tokens=3)["api_base"].removesuffix("/v1"),
        api_key="k",
    )
    async for _ in stream:
        pass
    attributes = traced.span["attributes"]
    assert attributes["litellm.stream.end"] == "complete"
    assert attributes["gen_ai.usage.input_tokens"] == 20
    assert attributes["gen_ai.usage.cache_read.input_tokens"] == 5
    assert attributes["gen_ai.usage.cache_creation.input_tokens"] == 3
    assert attributes["gen_ai.response.finish_reasons"] == ["end_turn"]


@pytest.mark.parametrize("function", ["responses", "aresponses"])
async def test_the_last_responses_event_has_the_whole_answer(function: str, traced: Traced) -> None:
    """The span has the answer in the last event of the Responses API."""
    given = {"model": "openai/gpt-4o-mini", "input": "hi", "stream": True, **traced.to()}
    given.pop("max_retries")
    stream = getattr(litellm, function)(**given)
    if function.startswith("a"):
        async for _ in await stream:
            pass
    else:
        list(stream)
    attributes = traced.span["attributes"]
    assert attributes["litellm.stream.end"] == "complete"
    assert attributes["gen_ai.usage.output_tokens"] == 10
    assert attributes["gen_ai.usage.cost"] == pytest.approx(9e-06)


async def messages(traced: Traced, **behaviour: Any) -> None:
    """A stream of Anthropic's Messages API, read until it ends."""
    where = traced.to(**behaviour)
    del where["max_retries"]
    stream = await litellm.anthropic_messages(
        model="anthropic/claude-sonnet-4-5",
        messages=[{"role": "user", "content": PROMPT}],
        max_tokens=10,
        stream=True,
        **where,
    )
    async for _ in stream:
        pass


async def test_an_error_event_is_a_failure_with_the_providers_message(traced: Traced) -> None:
    """In a stream of the Messages API, which LiteLLM passes on unchanged."""
    with contextlib.suppress(litellm.exceptions.APIError):  # newer ones raise, at times
        await messages(traced, error_after=4, message="The machine is too hot")
    span = traced.span
    attributes = span["attributes"]
    assert (attributes["litellm.outcome"], attributes["litellm.stream.end"]) == ("failure", "error")
    assert attributes["error.type"] == "api_error"
    assert (span["status"], span["description"]) == ("ERROR", "The machine is too hot")
    assert "gen_ai.response.finish_reasons" not in attributes


async def test_an_error_event_has_no_secrets_and_no_quotes_of_the_prompt(traced: Traced) -> None:
    """Like the text of an exception."""
    with contextlib.suppress(litellm.exceptions.APIError):
        await messages(traced, error_after=4, message=f"No {KEY} to say {{prompt}}")
    text = traced.span["description"]
    assert text.startswith("No ")
    assert (KEY in text, PROMPT in text) == (False, False)


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
@pytest.mark.parametrize(
    ("status", "outcome", "reasons"),
    [("failed", "failure", None), ("incomplete", "success", ["max_output_tokens"])],
)
async def test_a_failed_response_is_a_failure_and_an_incomplete_one_is_not(
    status: str, outcome: str, reasons: list[str] | None, stream: bool, traced: Traced
) -> None:
    """The failure has the provider's message, plain and streamed."""
    where = traced.to(finish=status, message="The machine is too hot")
    del where["max_retries"]
    call = litellm.aresponses(model="openai/gpt-4o", input="hi", stream=stream, **where)
    with contextlib.suppress(litellm.exceptions.MidStreamFallbackError):
        result = await call
        if stream:
            async for _ in result:
                pass
    span = traced.span
    attributes = span["attributes"]
    assert attributes["litellm.outcome"] == outcome
    assert attributes["gen_ai.usage.input_tokens"] > 0
    if outcome == "failure":
        assert span["status"] == "ERROR"
        assert "The machine is too hot" in span["description"]
    else:
        assert attributes["gen_ai.response.finish_reasons"] == reasons


@pytest.mark.parametrize("behaviour", [{"drop_after": 4}, {"break_after": 4}], ids=repr)
async def test_a_response_that_is_cut_off_has_no_finish_reason(
    behaviour: dict[str, int], traced: Traced
) -> None:
    """`in_progress` is a state of the response, not a reason."""
    where = traced.to(**behaviour)
    del where["max_retries"]
    stream = await litellm.aresponses(model="openai/gpt-4o", input="hi", stream=True, **where)
    with contextlib.suppress(Exception):
        async for _ in stream:
            pass
    attributes = traced.span["attributes"]
    assert attributes["litellm.outcome"] == "failure"
    assert "gen_ai.response.finish_reasons" not in attributes


async def test_the_router_span_has_how_its_stream_ended(traced: Traced) -> None:
    """Including a stream that ends with an error event and without an exception."""
    where = traced.to(error_after=4)
    model = {"model": "anthropic/claude-sonnet-4-5", **where}
    router = litellm.Router(
        model_list=[{"model_name": "claude", "litellm_params": model}], num_retries=0
    )
    called = getattr(router, "aanthropic_messages", None) or router.anthropic_messages
    messages = [{"role": "user", "content": "hi"}]
    with contextlib.suppress(litellm.exceptions.MidStreamFallbackError):
        stream = await called(model="claude", messages=messages, max_tokens=9, stream=True)
        async for _ in stream:
            pass
    assert [span["attributes"]["litellm.outcome"] for span in traced.spans] == ["failure"] * 2


@pytest.mark.parametrize("function", ["completion", "acompletion"])
async def test_a_routers_stream_that_nobody_reads_is_freed_and_ends(
    function: str, traced: Traced
) -> None:
    """LiteLLM's router makes a type for each stream, which holds the provider's."""
    router = litellm.Router(
        model_list=[{"model_name": "m", "litellm_params": traced.chat(messages=None)}]
    )
    stream = getattr(router, function)(
        model="m", messages=[{"role": "user", "content": "hi"}], stream=True
    )
    stream = await stream if isinstance(stream, Awaitable) else stream
    kind = type(stream.__wrapped__)
    made, local = weakref.ref(kind), "<locals>" in kind.__qualname__
    del stream, kind
    gc.collect()
    assert made() is None or not local  # earlier and later LiteLLM make no type
    outcomes = {span["attributes"]["litellm.outcome"] for span in traced.spans}
    assert (len(traced.spans), outcomes) == (2, {"abandoned"})


async def test_a_stream_keeps_litellms_class_and_attributes(traced: Traced) -> None:
    """`isinstance` holds, attributes are available, and both kinds of loops work."""
    stream = litellm.completion(**traced.chat(stream=True))
    assert isinstance(stream, litellm.CustomStreamWrapper)
    assert stream.model == "gpt-4o-mini"
    assert iter(stream) is stream
    list(stream)
