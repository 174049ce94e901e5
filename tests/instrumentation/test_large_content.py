"""Large content is converted off the caller's thread, to the same attributes."""

import base64
import json
import threading
import time
from collections.abc import Callable
from typing import Any

import litellm
import pytest
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, Status, StatusCode

from litespan import LiteLLMInstrumentor
from litespan.background import deferred
from litespan.background.deferred import Deferred
from litespan.genai import inline
from litespan.instrumentation import recorded_content
from litespan.instrumentation.call_tracer import CallTracer
from litespan.instrumentation.span import CallSpan
from litespan.mapping import failures
from litespan.routing.destinations import Destination
from litespan.routing.processor import RoutingProcessor
from litespan.testing.fixed import FixedIds
from tests.instrumentation.test_call_span import NOW, Processor
from tests.support.calls import MESSAGES, Traced, content

IMAGE = base64.b64encode(bytes(range(256)) * 800).decode()
SHOWN = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{IMAGE}"}}
LONG = "What do you see? " * 2_000
CONTENTS: dict[str, Any] = {
    "text": [{"role": "user", "content": LONG}],
    "control characters": [{"role": "user", "content": f'{LONG}"\\\n\t\b\x00\ud800é'}],
    "image": [{"role": "user", "content": [{"type": "text", "text": "What?"}, SHOWN]}],
    "bytes": [{"role": "user", "content": [{"type": "image_url", "image_url": IMAGE.encode()}]}],
    "tuple": ({"role": "system", "content": "Be brief."}, {"role": "user", "content": LONG}),
    "model": [litellm.Message(role="assistant", content=LONG), *MESSAGES],
    "many": [{"role": "user", "content": "Hello", "name": str(n)} for n in range(200)],
}
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}


def spy(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str) -> list[int]:
    """The threads that call a function from now on."""
    threads: list[int] = []
    original = getattr(owner, name)

    def spied(*args: Any) -> Any:
        threads.append(threading.get_ident())
        return original(*args)

    monkeypatch.setattr(owner, name, spied)
    return threads


def until(done: Callable[[], object]) -> None:
    """Wait for the pool."""
    assert deferred._waiting._pool.wait_for(done, time.monotonic() + 60)


def sees(traced: Traced, messages: Any = CONTENTS["image"], **given: Any) -> None:
    """Make a call with large content."""
    litellm.completion(**traced.chat(messages=messages, mock_response="A cat.", **given))


def test_an_image_is_hashed_on_another_thread(
    capture: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As soon as the span has ended, so that the image does not stay in memory."""
    threads = spy(monkeypatch, inline, "digest")
    with capture() as traced:
        sees(traced)
        until(lambda: threads)
        assert threading.get_ident() not in threads
        (_, shown) = content(traced.span)["gen_ai.input.messages"][0]["parts"]
    assert shown["uri"] == inline.digest(IMAGE)


@pytest.mark.parametrize(
    ("name", "limit"), [*((name, "") for name in CONTENTS), ("image", "100"), ("many", "3000")]
)
def test_the_attributes_are_those_of_small_content(
    name: str, limit: str, capture: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Byte for byte, in the same order, also if they are cut."""
    found = []
    environment = {"LITESPAN_CONTENT_LIMIT": limit} if limit else {}
    for large in (1, 2**40):
        monkeypatch.setattr(recorded_content, "LARGE", large)
        with capture(**environment) as traced:
            sees(traced, CONTENTS[name], tools=[TOOL])
        found.append(list(traced.span["attributes"].items()))
        assert content(traced.span)["gen_ai.output.messages"]
    late_ones, direct = ([(k, v) for k, v in each if "id" not in k] for each in found)
    assert late_ones == direct


@pytest.mark.parametrize("large", [1, 2**40])
def test_content_stays_below_the_length_limit_of_the_tracer_provider(
    large: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which is given in code; the SDK would cut JSON in the middle."""
    monkeypatch.setattr(recorded_content, "LARGE", large)
    exporter = InMemorySpanExporter()
    provider = TracerProvider(span_limits=SpanLimits(max_span_attribute_length=400))
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    LiteLLMInstrumentor().instrument(tracer_provider=provider, content="SPAN_ONLY")
    try:
        messages = [{"role": "user", "content": LONG}]
        litellm.completion("openai/gpt-4o-mini", messages, mock_response="A cat.")
    finally:
        LiteLLMInstrumentor().uninstrument()
    (span,) = exporter.get_finished_spans()
    (message,) = json.loads(str((span.attributes or {})["gen_ai.input.messages"]))
    assert message["role"] == "user"


def test_it_is_the_content_as_it_was_at_the_end(
    capture: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Although the application changes its messages before they are converted."""
    monkeypatch.setattr(Deferred, "start", lambda _self: None)
    parts: list[Any] = [dict(SHOWN), {"type": "text", "text": LONG}]
    messages = [{"role": "user", "content": parts}]
    with capture() as traced:
        sees(traced, messages)
        parts[0]["image_url"] = {"url": "https://example.com/other"}
        parts.pop()
        messages.append({"role": "user", "content": "And now?"})
        (message,) = content(traced.span)["gen_ai.input.messages"]
    assert [part.get("uri") for part in message["parts"]] == [inline.digest(IMAGE), None]


def test_a_routed_call_is_not_converted_to_be_routed(
    capture: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`litespan.configure` looks at a call's outcome on the caller's thread."""
    monkeypatch.setattr(Deferred, "start", lambda _self: None)
    threads = spy(monkeypatch, inline, "digest")
    routing, exporter = RoutingProcessor(), InMemorySpanExporter()
    routing.set_destinations([Destination("memory", exporter, 1.0, None, frozenset({"success"}))])
    with capture() as traced:
        traced.telemetry.tracer_provider.add_span_processor(routing)
        sees(traced)
        assert not threads
        routing.shutdown()
    (span,) = exporter.get_finished_spans()
    assert inline.digest(IMAGE) in str((span.attributes or {})["gen_ai.input.messages"])


def test_content_is_converted_at_once_if_too_much_waits(
    capture: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memory is limited: each call that waits keeps its images."""
    monkeypatch.setattr(deferred, "_MOST", 1)
    threads = spy(monkeypatch, inline, "digest")
    with capture() as traced:
        sees(traced)
    assert {*threads} == {threading.get_ident()}


@pytest.mark.parametrize("retries", [0, 1])
def test_a_large_prompt_is_searched_on_another_thread(
    retries: int, traced: Traced, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For quotes in the text of an error, which the span has without them."""
    threads = spy(monkeypatch, failures, "scrub_error")
    monkeypatch.setattr(failures, "LARGE", len(LONG))
    refusal = {"status": 400, "message": f"Cannot read '{LONG[:60]}' (see the docs)"}
    with pytest.raises(litellm.BadRequestError):
        litellm.completion(
            **traced.chat(messages=CONTENTS["text"], provider=refusal, num_retries=retries)
        )
    until(lambda: threads)
    assert threading.get_ident() not in threads
    assert "What do you see" not in repr(traced.spans)
    for span in traced.spans:
        assert "(see the docs)" in span["description"]
    (event,) = [event for event in span["events"] if event["name"] == "exception"]
    assert event["attributes"]["exception.message"] == span["description"]


READS: list[Callable[[Any], Any]] = [
    lambda view: view.to_json(),
    lambda view: dict(view.attributes),
    lambda view: dict(view._attributes),
    lambda view: [(event.name, dict(event.attributes)) for event in view.events],
    lambda view: (view.status.status_code, view.status.description),
    lambda view: view._status.description,
    lambda view: (view.dropped_attributes, view.dropped_events),
]


@pytest.mark.parametrize("read", READS)
@pytest.mark.parametrize("foreign", [False, True])
def test_what_is_late_is_there_whatever_is_read(
    read: Callable[[Any], Any], foreign: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before and after the end, and when the span becomes an ordinary one."""
    for module in ("opentelemetry.sdk.trace", "time"):
        monkeypatch.setattr(f"{module}.time_ns", lambda: NOW)
    event = {"exception.type": "Refused", "exception.message": "No."}
    seen: list[Any] = []
    for ours in (True, False):
        processor = Processor(*[lambda span: None] * 3)
        provider = TracerProvider(id_generator=FixedIds(), shutdown_on_exit=False)
        provider.add_span_processor(processor)
        tracer: Any = provider.get_tracer("tests")
        tracer = CallTracer(tracer) if ours else tracer
        span = tracer.start_span("chat", None, SpanKind.CLIENT, {"a": 1}, start_time=NOW)
        if ours:
            assert type(span) is CallSpan
            assert span.defer("_content", Deferred(lambda: {"b": "late"}, 1))
            assert span.defer("_answer", Deferred(lambda: {"c": 1}, 0))
            assert span.fail("Refused", Deferred(lambda: "No.", 1), event=True)
        else:
            span.set_attributes({"b": "late", "c": 1})
            span.set_status(Status(StatusCode.ERROR, "No."))
            span.add_event("exception", event)
        if foreign:
            seen.append(read(span))
        span.end()
        seen += [read(view) for view in (*processor.ended, span)]
    assert seen[: len(seen) // 2] == seen[len(seen) // 2 :]


def test_a_full_span_takes_nothing_late() -> None:
    """The SDK then decides which attributes and events it drops."""
    provider = TracerProvider(
        span_limits=SpanLimits(max_span_attributes=64, max_events=1), shutdown_on_exit=False
    )
    span: Any = CallTracer(provider.get_tracer("tests")).start_span("chat", attributes={"a": 1})
    assert not span.defer("_content", Deferred(dict, 1))
    span.add_event("first")
    assert not span.fail("Refused", "No.", event=True)
