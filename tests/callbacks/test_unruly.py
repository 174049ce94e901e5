"""Misbehaving handlers and event loops affect no call, and no stage is lost."""

import asyncio
import gc
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import litellm
import pytest
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor

import litespan
from tests.callbacks.conftest import Keeper
from tests.callbacks.test_delivery import Added, add, delivered
from tests.support.calls import Traced
from tests.support.program_files import run_file, write

__all__ = ["add"]


class Unreadable(RuntimeError):
    """An error that fails when it is read."""

    def __str__(self) -> str:
        raise ValueError("unreadable")


def raising(kind: type[BaseException]) -> Callable[..., None]:
    """A handler's method that raises."""

    def method(*_: Any) -> None:
        raise kind

    return method


def test_each_loop_of_a_program_ends_at_once(traced: Traced, add: Added) -> None:
    """`asyncio.run` cancels pending tasks; the last stages of a call are delivered all the same."""
    deliveries: list[str] = []

    async def after(*_: Any) -> None:
        deliveries.append("success")

    add(success=after, loop="caller", name="hasty")
    for _ in range(20):
        asyncio.run(litellm.acompletion(**traced.chat()))
    assert litespan.flush(20)
    assert deliveries == ["success"] * 20
    assert delivered("hasty") == {"delivered": 20}


class Stop(BaseException):
    """An exception of the application, for its own control flow."""


@pytest.mark.parametrize("kind", [SystemExit, Stop])
async def test_base_exceptions_of_an_async_handler_do_not_stop_the_callers_loop(
    traced: Traced, add: Added, caplog: pytest.LogCaptureFixture, kind: type[BaseException]
) -> None:
    """`sys.exit` in an async method would end the application's loop. The log has the exception."""

    async def after(*_: Any) -> None:
        raise kind(3)

    name = f"leaves-{kind.__name__}"
    add(success=after, loop="caller", name=name)
    await litellm.acompletion(**traced.chat())
    await asyncio.sleep(0.2)
    assert await asyncio.to_thread(litespan.flush, 10)
    assert delivered(name) == {"failed": 1}
    assert f"of handler {name} failed: {kind.__name__}: 3" in caplog.text


@pytest.mark.parametrize("kind", [StopIteration, GeneratorExit, Unreadable])
def test_base_exceptions_of_a_handler_are_counted_and_logged(
    traced: Traced, add: Added, caplog: pytest.LogCaptureFixture, kind: type[BaseException]
) -> None:
    """They are handled like any other error, and the handler receives the next stage."""
    deliveries: list[str] = []
    name = f"raises-{kind.__name__}"
    add(
        pre=raising(kind), success=lambda *_: deliveries.append("success"), name=name, concurrency=1
    )
    for _ in range(2):
        litellm.completion(**traced.chat())
    assert litespan.flush(10)
    assert (deliveries, delivered(name)) == (["success"] * 2, {"failed": 2, "delivered": 2})
    assert f"of handler {name} failed: {kind.__name__}" in caplog.text


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt])
def test_sys_exit_of_a_handler_is_contained_and_ctrl_c_propagates(
    traced: Traced, add: Added, kind: type[BaseException]
) -> None:
    """`sys.exit` of a handler is suppressed. Ctrl-C reaches the program, and the span ends."""
    add(success=raising(kind), delivery="inline", name="inline-leaver")
    if kind is KeyboardInterrupt:
        with pytest.raises(KeyboardInterrupt):
            litellm.completion(**traced.chat())
    else:
        litellm.completion(**traced.chat())
    assert [span["name"] for span in traced.spans] == ["chat gpt-4o-mini"]


@pytest.mark.parametrize("take", [dict.clear, lambda kwargs: kwargs.pop("messages")])
def test_keywords_that_a_handler_removes_are_back_at_the_next_stage(
    traced: Traced, add: Added, take: Callable[[dict[str, Any]], Any]
) -> None:
    """Each stage has all keywords again."""
    keeper = Keeper()

    class Taker(Keeper):
        def log_pre_api_call(self, model: str, messages: Any, kwargs: dict[str, Any]) -> None:
            super().log_pre_api_call(model, messages, kwargs)
            take(kwargs)

    taker = Taker()
    add(taker)
    add(keeper)
    litellm.completion(**traced.chat(metadata={"feature": "help"}))
    assert litespan.flush(10)
    assert taker.deliveries.methods == ["pre", "post", "success"]
    for mine, theirs in zip(taker.deliveries, keeper.deliveries, strict=True):
        for name in ("model", "messages", "litellm_call_id"):
            assert mine.kwargs[name] == theirs.kwargs[name]
        metadata = [recorded.kwargs["litellm_params"]["metadata"] for recorded in (mine, theirs)]
        assert metadata[0] == metadata[1] == {"feature": "help"}


def test_every_stage_has_the_parameters(traced: Traced, add: Added) -> None:
    """Chunks have them, too."""
    keeper = Keeper()
    add(keeper)
    list(litellm.completion(**traced.chat(stream=True, temperature=0.3)))
    assert litespan.flush(10)
    assert {
        recorded.kwargs["optional_params"]["temperature"] for recorded in keeper.deliveries
    } == {0.3}
    assert "stream" in keeper.deliveries.methods


NAMED = """
    import litellm

    for _ in range(2):
        answer = litellm.completion("openai/gpt-4o-mini", [{"role": "user", "content": "Hi"}])
    assert answer.choices[0].message.content
"""
GOOD = """
    import sys

    class Handler:
        async def async_log_success_event(self, kwargs, response_obj, start_time, end_time):
            sys.stdout.write("told\\n")  # print() writes the end of the line apart

    h = Handler()
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("import fancylib", "module fancylib_handler needs 'fancylib'"),
        (
            "import sys; sys.exit('usage')",
            "cannot import module fancylib_handler: SystemExit: usage",
        ),
        (
            "def __getattr__(name): raise RuntimeError('no')",
            "cannot get 'h' from module fancylib_handler: RuntimeError: no",
        ),
    ],
    ids=["library", "exit", "getattr"],
)
def test_an_invalid_name_does_not_affect_other_handlers(
    tmp_path: Path, loopback: Any, source: str, says: str
) -> None:
    """It is one line; the handlers after it receive all calls."""
    app = write(tmp_path, app=NAMED, fancylib_handler=source, good=GOOD)
    env = {"OPENAI_BASE_URL": loopback.url, "OPENAI_API_KEY": "sk-loopback"}
    names = "fancylib_handler.h,good.h"
    ran = run_file(app, env={**env, "LITESPAN_CALLBACKS": names}, instrument=True)
    assert ran.code == 0, ran.stderr
    assert ran.stdout.splitlines().count("told") == 2
    (line,) = [line for line in ran.stderr.splitlines() if "LITESPAN_CALLBACKS" in line]
    assert says in line


class Locked(SpanProcessor):
    """A processor with a lock, as most have."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.ended: list[str] = []

    def on_end(self, span: ReadableSpan) -> None:
        with self.lock:
            self.ended.append(span.name)

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return True


@pytest.fixture
def locked(traced: Traced) -> Locked:
    """One that sees the calls."""
    processor = Locked()
    traced.telemetry.providers["tracer_provider"].add_span_processor(processor)
    return processor


async def stream_of(traced: Traced) -> Any:
    """A stream that has begun."""
    stream = litellm.completion(**traced.chat(stream=True))
    next(stream)
    return stream


async def coroutine_of(traced: Traced) -> Any:
    """A call that waits for its answer."""
    coroutine = litellm.acompletion(**traced.chat(provider={"delay": 30}))
    coroutine.send(None)
    return coroutine


@pytest.mark.parametrize("begun", [stream_of, coroutine_of])
async def test_the_garbage_collector_waits_for_no_lock(
    traced: Traced, locked: Locked, add: Added, begun: Callable[[Traced], Any]
) -> None:
    """A call that it collects ends on another thread, because this thread may hold any lock."""
    handle = add(Keeper())
    cycle = [await begun(traced)]
    cycle.append(cycle)
    gc.disable()
    try:
        del cycle
        with locked.lock, handle.callback.dispatcher._lock:
            gc.collect()
    finally:
        gc.enable()
    assert litespan.flush(10)
    assert locked.ended == ["chat gpt-4o-mini"]
