"""What a call costs, in function calls: counted by the interpreter, so free of noise.

LiteLLM's own functions are replaced by ones that return a ready answer; `python -m
benchmarks` measures times.
"""

import gc
import subprocess
import sys
import weakref
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import litellm
import pytest
from opentelemetry.trace import Tracer

from benchmarks import _call
from litespan import LiteLLMInstrumentor


@pytest.mark.parametrize("module", ["litespan", "litespan.export", "litespan.stores.exporter"])
def test_an_import_does_not_load_the_http_client(module: str) -> None:
    """Neither httpx nor protobuf is imported before something is sent."""
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


@pytest.fixture
def ready(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[Ready]:
    """LiteLLM's functions, ready and instrumented, and let go again. Content is off by default."""
    mode = getattr(request, "param", "NO_CONTENT")
    monkeypatch.setenv("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", mode)
    monkeypatch.setattr(litellm, "callbacks", [])
    response, chunks = _call.ready_response(), _call.ready_chunks(10)
    provider, last = _call.traced()
    with _call.ready_litellm(
        lambda stream: _call.ReadyStream(chunks) if stream else response
    ) as bare:
        LiteLLMInstrumentor().instrument(tracer_provider=provider)
        try:
            yield Ready(bare, provider.get_tracer("tests"), last)
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
    [("NO_CONTENT", 27, 225), ("SPAN_ONLY", 29, 330)],
    indirect=["ready"],
    ids=["content-off", "content-on"],
)
def test_a_call_makes_few_function_calls(ready: Ready, attributes: int, most: int) -> None:
    """At most so many more than the same span by hand: they read what LiteLLM takes and returns."""
    ours = _call.called(lambda: litellm.completion(**_call.ARGUMENTS))
    assert (len(ready.last.span.attributes), len(ready.last.span.events)) == (attributes, 3)
    by_hand = _call.called(_call.by_hand(ready.tracer, ready.bare, ready.last.span))
    assert ours - by_hand <= most


def test_calls_do_not_grow_with_the_request(ready: Ready) -> None:
    """With content off, neither more messages nor longer ones make any more calls."""

    def calls(count: int, length: int) -> int:
        messages = [{"role": "user", "content": "x" * length}] * count
        arguments = {**_call.ARGUMENTS, "messages": messages}
        return _call.called(lambda: litellm.completion(**arguments))

    assert calls(100, 100_000) == calls(1, 1)


def test_a_finished_call_leaves_nothing_to_the_collector(ready: Ready) -> None:
    """Messages go with their last reference: no cycle holds them until a collection."""
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
    """While a stream flows a chunk is kept, no more: no event, attribute, lock or clock."""
    steps = []
    for completion in (litellm.completion, ready.bare.completion):
        step = step_of(completion(**_call.ARGUMENTS, stream=True))
        step()  # the first chunk is timed
        steps.append(step)
    ours, bare = (called(step) for step in steps)
    for name in bare:
        ours.remove(name)
    assert len(ours) <= 5
    assert set(ours) <= {"__next__", "__anext__", "append"}
