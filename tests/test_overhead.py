"""The cost of a call in function calls, which the interpreter counts, so that it has no noise.

LiteLLM's own functions are replaced by ones that return a ready answer; `python -m
benchmarks` measures times.
"""

import asyncio
import gc
import subprocess
import sys
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import litellm
import pytest
from opentelemetry.exporter.otlp.proto.common import trace_encoder
from opentelemetry.exporter.otlp.proto.http import trace_exporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.trace import Tracer

import litespan
from benchmarks import _call, curves, exporters
from benchmarks.curves import Load
from litespan import LiteLLMInstrumentor
from litespan.callbacks import dispatcher
from litespan.cli.summary import summarize
from litespan.instrumentation.conflicts import LISTS
from litespan.instrumentation.signals import Live, Signals
from litespan.otlp.sdk_encoder import SdkEncoder
from litespan.settings import Settings
from litespan_exporters.jsonl import JsonlExporter
from tests.cases import CHAT, span
from tests.proxy.running import until


@pytest.mark.parametrize("module", ["litespan", "litespan.export", "litespan.stores.exporter"])
def test_an_import_does_not_load_the_http_client(module: str) -> None:
    """Neither httpx nor protobuf is imported before the first export."""
    code = f"import sys, {module}; print({{'httpx', 'google.protobuf'}} & {{*sys.modules}})"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout == "set()\n"


class Messages(list[dict[str, str]]):
    """A list that can be watched."""


class Ready(NamedTuple):
    """A LiteLLM that is instrumented and answers at once."""

    bare: _call.Functions
    tracer: Tracer
    last: _call.Last
    stream: list[Any]


@pytest.fixture
def ready(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[Ready]:
    """LiteLLM's functions, ready and instrumented, and let go again. Content is off by default."""
    mode = getattr(request, "param", "NO_CONTENT")
    monkeypatch.setenv("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", mode)
    for name in LISTS:  # what other tests have left in them costs function calls
        monkeypatch.setattr(litellm, name, [])
    response, chunks = _call.ready_response(), _call.ready_chunks(10)
    provider, last = _call.traced()
    with _call.ready_litellm(
        lambda stream: _call.ReadyStream(chunks) if stream else response
    ) as bare:
        LiteLLMInstrumentor().instrument(tracer_provider=provider)
        try:
            yield Ready(bare, provider.get_tracer("tests"), last, chunks)
        finally:
            LiteLLMInstrumentor().uninstrument()


def called(function: Callable[[], Any]) -> list[str]:
    """The names of the functions, of Python and of C, that `function` calls."""
    names: list[str] = []

    def profile(frame: Any, event: str, c_function: Any) -> None:
        if event == "call":
            names.append(frame.f_code.co_name)
        elif event == "c_call":
            names.append(c_function.__name__)

    gc.disable()  # what it calls comes by chance
    sys.setprofile(profile)
    try:
        function()
    finally:
        sys.setprofile(None)
        gc.enable()
    return names[1:-1]


@pytest.mark.parametrize(
    ("ready", "attributes", "most"),
    [("NO_CONTENT", 27, 209), ("SPAN_ONLY", 29, 240)],
    indirect=["ready"],
    ids=["content-off", "content-on"],
)
def test_a_call_makes_few_function_calls(ready: Ready, attributes: int, most: int) -> None:
    """So many in all, OpenTelemetry's included; a bare span with 20 attributes makes 294."""
    ours = _call.called(lambda: litellm.completion(**_call.ARGUMENTS))
    assert (len(ready.last.span.attributes), len(ready.last.span.events)) == (attributes, 3)
    assert ours - _call.called(lambda: ready.bare.completion(**_call.ARGUMENTS)) <= most


def test_a_call_makes_fewer_function_calls_than_a_span_by_hand(ready: Ready) -> None:
    """Than `start_span`, 20 times `set_attribute` and `end`, and than its own span by hand."""
    ours = _call.called(lambda: litellm.completion(**_call.ARGUMENTS))
    by_hand = _call.by_hand(ready.tracer, ready.bare, ready.last.span)
    assert ours < _call.called(by_hand) - 100
    assert ours < _call.called(_call.Bare(ready.tracer, ready.bare).span)


def test_metrics_add_few_function_calls(ready: Ready, monkeypatch: pytest.MonkeyPatch) -> None:
    """A finished call joins a queue; its five values are recorded later."""
    without = _call.called(lambda: litellm.completion(**_call.ARGUMENTS))
    reader = InMemoryMetricReader()
    meters = MeterProvider([reader], shutdown_on_exit=False)
    monkeypatch.setattr(Live, "signals", Signals(Settings(), _call.traced()[0], meters))
    assert _call.called(lambda: litellm.completion(**_call.ARGUMENTS)) - without <= 15
    data = reader.get_metrics_data()
    assert data is not None
    assert "gen_ai.client.token.usage" in data.to_json()


class AtTheEnd:
    """A typical handler."""

    async def async_log_success_event(
        self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any
    ) -> None:
        """The end of a call."""


class AllStages:
    """A handler with a method for each stage of a call."""

    def log_pre_api_call(self, model: str, messages: Any, kwargs: Any) -> None:
        """Before the request."""

    def log_post_api_call(
        self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any
    ) -> None:
        """After the answer."""

    log_success_event = log_failure_event = log_post_api_call

    async def async_log_stream_event(
        self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any
    ) -> None:
        """A chunk of a stream."""


@contextmanager
def awake(handler: Any, patch: pytest.MonkeyPatch) -> Iterator[None]:
    """A handler whose event loop does not sleep, so that nothing wakes it."""
    patch.setattr(dispatcher, "_REST", 3600.0)
    added = litespan.add_callback(handler)
    own = added.callback.dispatcher
    try:
        litellm.completion(**_call.ARGUMENTS)  # starts its threads
        until(lambda: own._resting, "rest")
        yield
    finally:
        assert own._threads is not None
        own._threads.loop.call_soon_threadsafe(own._look)
        added.remove()


@pytest.mark.parametrize(("handler", "most"), [(AtTheEnd, 26), (AllStages, 38)])
def test_a_handler_adds_few_function_calls(
    ready: Ready, monkeypatch: pytest.MonkeyPatch, handler: type, most: int
) -> None:
    """On the caller's thread: a copy of the arguments, and a place in a queue for each stage."""
    without = _call.called(lambda: litellm.completion(**_call.ARGUMENTS))
    with awake(handler(), monkeypatch):
        ours = _call.called(lambda: litellm.completion(**_call.ARGUMENTS))
    assert ours - without <= most


def test_a_handler_adds_few_function_calls_to_a_chunk(
    ready: Ready, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A time, and a place in a queue; its characters are only counted for recorded events."""

    def calls(length: int) -> int:
        ready.stream[:] = _call.ready_chunks(length)
        return _call.called(lambda: list(litellm.completion(**_call.ARGUMENTS, stream=True)))

    without = calls(110) - calls(10)
    with awake(AllStages(), monkeypatch):
        ours = calls(110) - calls(10)
    assert ours - without <= 12 * 100 + 20


def test_calls_do_not_grow_with_the_request(ready: Ready) -> None:
    """With content off, more or longer messages cause no more function calls."""

    def calls(count: int, length: int) -> int:
        messages = [{"role": "user", "content": "x" * length}] * count
        arguments = {**_call.ARGUMENTS, "messages": messages}
        return _call.called(lambda: litellm.completion(**arguments))

    assert calls(100, 100_000) == calls(1, 1)


def test_a_finished_call_leaves_no_reference_cycles(ready: Ready) -> None:
    """Messages are freed with their last reference, without a garbage collection."""
    messages = Messages(_call.ARGUMENTS["messages"])
    held = weakref.ref(messages)
    gc.disable()
    try:
        litellm.completion(**{**_call.ARGUMENTS, "messages": messages})
        del messages
        assert held() is None
    finally:
        gc.enable()


def sync_step(stream: Any) -> Callable[[], Any]:
    """Takes the next chunk."""
    return stream.__next__


def async_step(stream: Any) -> Callable[[], Any]:
    """Takes the next chunk, without an event loop: nothing is waited for."""

    def step() -> None:
        with pytest.raises(StopIteration):  # how a coroutine returns
            stream.__anext__().send(None)

    return step


@pytest.mark.parametrize("step_of", [sync_step, async_step], ids=["sync", "async"])
def test_a_chunk_makes_few_function_calls(
    ready: Ready, step_of: Callable[[Any], Callable[[], Any]]
) -> None:
    """During a stream, a chunk is only kept: no event, attribute, lock or clock."""
    steps = []
    for completion in (litellm.completion, ready.bare.completion):
        step = step_of(completion(**_call.ARGUMENTS, stream=True))
        step()  # the first chunk is timed
        steps.append(step)
    ours, bare = (called(step) for step in steps)
    for name in bare:
        ours.remove(name)
    assert len(ours) <= 2
    assert set(ours) <= {"__next__", "__anext__", "append"}


@pytest.mark.parametrize(
    ("ready", "most"),
    [("NO_CONTENT", 2), ("SPAN_ONLY", 4)],
    indirect=["ready"],
    ids=["content-off", "content-on"],
)
def test_the_end_of_a_stream_adds_few_function_calls(ready: Ready, most: int) -> None:
    """So many a chunk in all, with the work at the end: two to keep it, two for its text."""

    def calls(completion: Any, length: int) -> int:
        chunks = _call.ready_chunks(length)
        ready.stream[:] = chunks
        return _call.called(lambda: list(completion(**_call.ARGUMENTS, stream=True)))

    ours, bare = (
        calls(completion, 110) - calls(completion, 10)
        for completion in (litellm.completion, ready.bare.completion)
    )
    assert ours - bare <= most * 100 + 20  # a long text is read in one more way


def tool_chunks(count: int) -> list[Any]:
    """Chunks of the arguments of one tool call, each with its name and without an id."""
    function = {"name": "f", "arguments": "word "}
    delta = {"tool_calls": [{"index": 0, "function": function}]}
    return [litellm.ModelResponseStream(choices=[{"index": 0, "delta": delta}])] * count


def events(count: int) -> list[Any]:
    """Server-sent events of Anthropic's API, each in two chunks."""
    event = b'data: {"type":"content_block_delta","delta":{"type":"text_delta","text":"word "}}\n'
    return [event[:30], event[30:]] * count


@pytest.mark.parametrize("ready", ["SPAN_ONLY"], indirect=True)
@pytest.mark.parametrize("make", [_call.ready_chunks, tool_chunks, events])
def test_a_stream_costs_by_its_length(ready: Ready, make: Callable[[int], list[Any]]) -> None:
    """Ten times the chunks are ten times the function calls, with content."""

    def calls(length: int) -> int:
        ready.stream[:] = make(length)
        return _call.called(lambda: list(litellm.completion(**_call.ARGUMENTS, stream=True)))

    assert calls(5000) <= 10.5 * calls(500)


@pytest.mark.parametrize("ready", ["SPAN_ONLY"], indirect=True)
@pytest.mark.parametrize("chunks", [0, 10], ids=["calls", "streams"])
def test_concurrent_calls_cost_by_their_number(ready: Ready, chunks: int) -> None:
    """Ten times the calls of an event loop, or streams, are ten times the function calls."""

    def calls(count: int) -> int:
        work = curves.work(curves.waiting(litellm.acompletion), Load(calls=count, chunks=chunks))
        return _call.called(lambda: asyncio.run(work()))

    assert calls(100) <= 10.5 * calls(10)


def test_each_exporter_adds_as_much_as_the_one_before(
    ready: Ready, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the caller's thread: one queue more."""

    def calls(count: int) -> int:
        provider = curves.exporting(count)
        monkeypatch.setattr(Live, "signals", Signals(Settings(), provider))
        try:
            return _call.called(lambda: litellm.completion(**_call.ARGUMENTS))
        finally:
            provider.shutdown()

    one = calls(2) - calls(1)
    assert calls(10) - calls(1) == 9 * one
    assert one <= 20


def test_the_sdk_exporter_encodes_with_a_third_fewer_function_calls(
    ready: Ready, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While LiteLLM is instrumented. It saves the calls of protobuf, which take longest."""
    monkeypatch.setattr(SdkEncoder, "same", None)
    batch = []
    for _ in range(50):
        litellm.completion(**_call.ARGUMENTS)
        batch.append(ready.last.span)
    own, by_sdk = vars(trace_exporter)["encode_spans"], trace_encoder.encode_spans
    own(batch)  # encodes the first batch both ways
    assert 3 * len(called(lambda: own(batch))) < 2 * len(called(lambda: by_sdk(batch)))


@pytest.mark.parametrize("content", [False, True], ids=["content-off", "content-on"])
def test_an_export_costs_by_its_spans(*, content: bool) -> None:
    """Ten times the spans are ten times the function calls, for each service."""
    spans = exporters.spans(content=content)
    few, many = exporters.exporters(spans[:3]), exporters.exporters(spans[:30])
    grown = {
        name: _call.called(partial(many[name], 1)) / _call.called(partial(few[name], 1))
        for name in few
    }
    assert max(grown.values()) <= 10.5, grown


@pytest.mark.parametrize("ready", ["SPAN_ONLY"], indirect=True)
@pytest.mark.parametrize(("few", "length"), [(100, 10), (1000, 100)], ids=["below", "above"])
def test_a_request_costs_by_its_messages(ready: Ready, few: int, length: int) -> None:
    """Ten times the messages are ten times the function calls, below and above the limit."""

    def calls(count: int) -> int:
        messages = [{"role": "user", "content": "x" * length}] * count
        arguments = {**_call.ARGUMENTS, "messages": messages}
        return _call.called(lambda: litellm.completion(**arguments))

    assert calls(10 * few) <= 10.5 * calls(few)


@pytest.mark.parametrize("ready", ["SPAN_ONLY"], indirect=True)
def test_the_length_of_a_text_makes_no_function_calls(ready: Ready) -> None:
    """A text of 1 MB below the limit makes as many as one of 1 KB, but for a search of base64."""

    def calls(length: int) -> int:
        messages = [{"role": "user", "content": "some words " * (length // 11)}]
        arguments = {**_call.ARGUMENTS, "messages": messages}
        return _call.called(lambda: litellm.completion(**arguments))

    assert calls(60_000) <= calls(6_000) + 1000


def test_a_report_costs_by_its_calls(tmp_path: Path) -> None:
    """Ten times the users are ten times the function calls."""

    def calls(users: int) -> int:
        exporter = JsonlExporter(tmp_path / f"{users}.jsonl", rotate="0")
        spans = [span(n, "chat", {**CHAT, "user.id": f"user-{n}"}) for n in range(users)]
        exporter.export(spans)
        exporter.shutdown()
        found = summarize(str(tmp_path / f"{users}.jsonl"), "user")
        assert len(found.groups) == users
        return _call.called(lambda: summarize(str(tmp_path / f"{users}.jsonl"), "user"))

    assert calls(1000) <= 10.5 * calls(100)
