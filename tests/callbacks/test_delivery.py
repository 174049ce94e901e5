"""Stages are delivered in order, once, and off the caller's thread, whatever handlers do."""

import asyncio
import contextvars
import gc
import logging
import math
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import litellm
import pytest
from opentelemetry import trace

import litespan
from litespan.callbacks import dispatcher, draining
from litespan.callbacks.threads import Threads
from litespan.instrumentation.stages import Watchers
from tests.callbacks.conftest import Deliveries, Delivery, Keeper
from tests.proxy.running import until
from tests.support.calls import MESSAGES, Traced

request_id: contextvars.ContextVar[str] = contextvars.ContextVar("request_id", default="none")


class AsyncKeeper:
    """A handler with all async methods, which takes its time before it keeps anything."""

    def __init__(self, pause: float = 0.0) -> None:
        self.deliveries = Deliveries()
        self.pause = pause
        self.loops: set[int] = set()
        self.threads: set[int] = set()

    async def async_log_pre_api_call(
        self, model: str, messages: Any, kwargs: dict[str, Any]
    ) -> None:
        await self._keep("pre", kwargs)

    async def async_log_post_api_call(
        self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any
    ) -> None:
        await self._keep("post", kwargs)

    async def async_log_stream_event(
        self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any
    ) -> None:
        await self._keep("stream", kwargs)

    async def async_log_success_event(
        self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any
    ) -> None:
        await self._keep("success", kwargs)

    async def async_log_failure_event(
        self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any
    ) -> None:
        await self._keep("failure", kwargs)

    async def _keep(self, method: str, kwargs: dict[str, Any]) -> None:
        self.loops.add(id(asyncio.get_running_loop()))
        self.threads.add(threading.get_ident())
        await asyncio.sleep(self.pause * (2 if method == "pre" else 1))
        self.deliveries.append(Delivery(method, kwargs=dict(kwargs)))


class Added:
    """Handlers that are removed again."""

    def __init__(self) -> None:
        self._handles: list[Any] = []

    def __call__(self, *handler: Any, **options: Any) -> Any:
        handle = litespan.add_callback(*handler, **options)
        self._handles.append(handle)
        return handle

    def remove(self) -> None:
        for handle in self._handles:
            handle.remove()


@pytest.fixture
def add(traced: Traced) -> Iterator[Added]:
    """`litespan.add_callback`, undone after the test."""
    added = Added()
    try:
        yield added
    finally:
        added.remove()


def delivered(name: str) -> dict[str, int]:
    """The counters of a handler in `litespan.stats()`."""
    prefix = f"callbacks.{name}."
    return {
        counter.removeprefix(prefix): number
        for counter, number in litespan.stats().items()
        if counter.startswith(prefix)
    }


async def test_stages_of_a_call_arrive_in_order_and_once(traced: Traced, add: Added) -> None:
    """Each stage of a call arrives once and in order, even if an earlier one is slow."""
    handler = AsyncKeeper(pause=0.02)
    add(handler)

    async def plain() -> Any:
        return await litellm.acompletion(**traced.chat())

    chunks = 0

    async def streamed() -> None:
        nonlocal chunks
        stream = await litellm.acompletion(**traced.chat(stream=True))
        chunks = len([chunk async for chunk in stream])

    async def refused() -> None:
        with pytest.raises(litellm.RateLimitError):
            await litellm.acompletion(**traced.chat(provider={"status": 429}))

    calls = [plain, streamed, refused] * 10
    await asyncio.gather(*[each() for each in calls])
    assert litespan.flush(20)
    assert sorted(tuple(recorded.methods) for recorded in handler.deliveries.calls) == sorted(
        [
            ("pre", "post", "success"),
            ("pre", "post", *["stream"] * chunks, "success"),
            ("pre", "post", "failure"),
        ]
        * 10
    )


async def test_sync_and_async_methods(traced: Traced, add: Added) -> None:
    """A sync call runs the sync methods, an async call the async ones."""

    class Both(Keeper, AsyncKeeper):
        def __init__(self) -> None:
            AsyncKeeper.__init__(self)
            self.sync: list[str] = []

        def _keep(self, method: str, kwargs: Any, *rest: Any) -> Any:
            if rest:
                self.sync.append(method)
                return None
            return AsyncKeeper._keep(self, method, kwargs)

    handler = Both()
    add(handler)
    litellm.completion(**traced.chat())
    assert litespan.flush(10)
    assert (handler.sync, handler.deliveries.methods) == (["post", "success"], ["pre"])
    handler.deliveries.clear()
    handler.sync.clear()
    await litellm.acompletion(**traced.chat())
    assert litespan.flush(10)
    assert (handler.sync, handler.deliveries.methods) == ([], ["pre", "post", "success"])


async def test_a_handler_with_one_kind_of_method_receives_all_calls(
    traced: Traced, add: Added
) -> None:
    """If a handler defines only the sync or only the async method, that method runs."""
    sync, asynchronous = Keeper(), AsyncKeeper()
    add(sync)
    add(asynchronous)
    litellm.completion(**traced.chat())
    await litellm.acompletion(**traced.chat())
    assert litespan.flush(10)
    assert sorted(sync.deliveries.methods) == sorted(["pre", "post", "success"] * 2)
    assert sorted(asynchronous.deliveries.methods) == sorted(["pre", "post", "success"] * 2)


async def test_an_event_loop_is_never_blocked(traced: Traced, add: Added) -> None:
    """A sync method that blocks delays neither the caller nor the caller's loop."""
    blocks, release = threading.Event(), threading.Event()
    threads, released = [], []

    def success(kwargs: Any, response: Any, start: Any, end: Any) -> None:
        threads.append(threading.current_thread().name)
        blocks.set()
        released.append(release.wait(60))

    add(success=success)
    await litellm.acompletion(**traced.chat())
    await litellm.acompletion(**traced.chat(mock_response="nothing waits for it"))
    assert await asyncio.to_thread(blocks.wait, 30)
    release.set()
    assert await asyncio.to_thread(litespan.flush, 30)
    assert released == [True, True]
    assert all(name.startswith("litespan-") for name in threads)


async def test_async_methods_run_on_one_loop_of_litespan(traced: Traced, add: Added) -> None:
    """Async methods run on litespan's own loop, regardless of the loop of the call."""
    handler = AsyncKeeper()
    add(handler)
    for _ in range(3):
        await asyncio.to_thread(asyncio.run, litellm.acompletion(**traced.chat()))
    litellm.completion(**traced.chat())
    assert await asyncio.to_thread(litespan.flush, 10)
    assert len(handler.deliveries) == 12
    assert (len(handler.loops), len(handler.threads)) == (1, 1)
    assert id(asyncio.get_running_loop()) not in handler.loops


class Pooled:
    """A handler with a lock of the application's loop, as a connection pool has one."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.loops: list[Any] = []

    async def async_log_success_event(
        self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any
    ) -> None:
        async with self.lock:
            await asyncio.sleep(0.05)
            self.loops.append(asyncio.get_running_loop())


async def test_loop_caller_runs_async_methods_on_the_callers_loop(
    traced: Traced, add: Added
) -> None:
    """With loop="caller", async methods run on the loop of the call."""
    handler = Pooled()
    add(handler, loop="caller")
    async with handler.lock:  # binds it to this loop
        await litellm.acompletion(**traced.chat())
        await litellm.acompletion(**traced.chat())
        await asyncio.sleep(0.1)
    assert await asyncio.to_thread(litespan.flush, 10)
    assert handler.loops == [asyncio.get_running_loop()] * 2
    litellm.completion(**traced.chat())  # a sync call has no loop to offer
    assert await asyncio.to_thread(litespan.flush, 10)


async def test_a_closed_callers_loop_is_replaced_by_litespans(traced: Traced, add: Added) -> None:
    """If the caller's loop is closed before delivery, the method runs on litespan's loop."""
    handler = AsyncKeeper()
    add(handler, loop="caller")
    loop = asyncio.new_event_loop()
    await asyncio.to_thread(loop.run_until_complete, litellm.acompletion(**traced.chat()))
    await asyncio.to_thread(loop.close)
    assert await asyncio.to_thread(litespan.flush, 10)
    assert handler.deliveries.methods == ["pre", "post", "success"]


async def test_a_forked_child_does_not_use_the_parents_loop(traced: Traced, add: Added) -> None:
    """It is not closed in the child, but nothing runs it: a late end of a call would wait there."""
    dispatcher = add(AsyncKeeper(), loop="caller").callback.dispatcher
    await litellm.acompletion(**traced.chat())
    assert dispatcher.is_ready(asynchronous=True)
    child = os.fork()
    if child == 0:
        os._exit(dispatcher.is_ready(asynchronous=True))
    _, status = await asyncio.to_thread(os.waitpid, child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert await asyncio.to_thread(litespan.flush, 10)


async def test_an_error_about_another_loop_is_logged_with_the_option_that_fixes_it(
    traced: Traced, add: Added, caplog: pytest.LogCaptureFixture
) -> None:
    """The log line of a handler that is bound to the application's loop has the option to set."""
    handler = Pooled()
    add(handler)

    async def held() -> None:
        async with handler.lock:
            await asyncio.Event().wait()

    # Two tasks that want it, on this loop: the lock is this loop's from now on.
    tasks = [asyncio.create_task(held()), asyncio.create_task(held())]
    await asyncio.sleep(0)
    await litellm.acompletion(**traced.chat())
    assert await asyncio.to_thread(litespan.flush, 10)
    for task in tasks:
        task.cancel()
    (line,) = [record.getMessage() for record in caplog.records if record.name == "litespan"]
    assert "async_log_success_event of handler tests.callbacks.test_delivery.Pooled failed" in line
    assert "it uses the application's event loop: register it with loop='caller'" in line


async def test_inline_delivery_runs_on_the_callers_thread_before_the_request(
    traced: Traced, add: Added
) -> None:
    """With delivery="inline", a handler runs on the caller's thread, before the request is sent."""
    here = threading.get_ident()
    seen = []

    def before(kwargs: Any) -> None:
        seen.append(("pre", threading.get_ident() == here, len(traced.provider.requests) - sent))

    def after(kwargs: Any, response: Any, start: Any, end: Any) -> None:
        seen.append(("success", threading.get_ident() == here, len(traced.telemetry.spans)))

    add(pre=before, success=after, delivery="inline")
    sent = len(traced.provider.requests)
    litellm.completion(**traced.chat())
    assert seen == [("pre", True, 0), ("success", True, 0)]  # before exporters, too
    assert len(traced.telemetry.spans) == 1


class Rubbish:
    """A handler that does what it should not."""

    def __init__(self, do: Callable[[], Any]) -> None:
        self.do = do

    def log_pre_api_call(self, model: str, messages: Any, kwargs: Any) -> Any:
        return self.do()

    def log_success_event(
        self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any
    ) -> Any:
        return self.do()

    async def async_log_success_event(
        self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any
    ) -> Any:
        return self.do()


def boom() -> None:
    """An error."""
    raise ValueError("boom")


def leave() -> None:
    """A handler that wants to end the process."""
    raise SystemExit(3)


def interrupt() -> None:
    """As by a signal."""
    raise KeyboardInterrupt


def cancel() -> None:
    """As by a task that is cancelled."""
    raise asyncio.CancelledError


@pytest.mark.parametrize("do", [boom, leave, interrupt, cancel])
async def test_an_exception_in_a_handler_affects_no_call_and_no_other_handler(
    traced: Traced,
    add: Added,
    keeper: Keeper,
    caplog: pytest.LogCaptureFixture,
    do: Callable[[], Any],
) -> None:
    """One line per handler and stage is logged."""
    add(Rubbish(do), name="rubbish")
    for _ in range(3):
        assert litellm.completion(**traced.chat()).id == "chatcmpl-loopback"
        assert (await litellm.acompletion(**traced.chat())).id == "chatcmpl-loopback"
    before = delivered("rubbish").get("failed", 0)
    assert litespan.flush(10)
    assert len(keeper.deliveries) == 18
    lines = [record.getMessage() for record in caplog.records if record.name == "litespan"]
    failed = [line.split(" failed: ")[0] for line in lines]
    assert sorted(failed) == [
        "async_log_success_event of handler rubbish",
        "log_pre_api_call of handler rubbish",
        "log_success_event of handler rubbish",
    ]
    assert all(
        "logged once; litespan.stats() counts it as callbacks.rubbish.failed" in line
        for line in lines
    )
    assert delivered("rubbish")["failed"] >= max(12, before)


def test_errors_of_two_handlers_of_one_class_are_logged_for_each(
    traced: Traced, add: Added, caplog: pytest.LogCaptureFixture
) -> None:
    """Each failing handler is logged once for each of its methods."""
    add(Rubbish(boom), name="alike")
    add(Rubbish(boom), name="alike")
    for _ in range(2):
        litellm.completion(**traced.chat())
    assert litespan.flush(10)
    lines = [record.getMessage() for record in caplog.records if record.name == "litespan"]
    assert sorted(line.split(" of ")[0] for line in lines) == [
        *["log_pre_api_call"] * 2,
        *["log_success_event"] * 2,
    ]


@pytest.mark.parametrize(
    "what", [None, 7, "text", {"messages": []}, object(), MESSAGES], ids=lambda w: type(w).__name__
)
async def test_return_values_of_handlers_are_ignored(
    traced: Traced, add: Added, caplog: pytest.LogCaptureFixture, what: Any
) -> None:
    """A handler may return anything."""
    add(Rubbish(lambda: what), name="returns")
    assert litellm.completion(**traced.chat()).id == "chatcmpl-loopback"
    assert litespan.flush(10)
    assert [record for record in caplog.records if record.name == "litespan"] == []


async def test_a_coroutine_from_a_sync_method_is_awaited(traced: Traced, add: Added) -> None:
    """A wrapper around an async function looks sync; its coroutine is awaited."""
    awaited = []

    async def late() -> None:
        await asyncio.sleep(0.01)
        awaited.append(True)

    add(Rubbish(late))
    litellm.completion(**traced.chat())
    assert litespan.flush(10)
    assert awaited == [True, True]


async def test_a_blocked_handler_delays_no_other_handler(
    traced: Traced, add: Added, keeper: Keeper
) -> None:
    """Its undelivered stages are reported by flush."""
    release = threading.Event()
    add(Rubbish(release.wait), name="stuck")
    try:
        await litellm.acompletion(**traced.chat())
        began = time.monotonic()
        assert litespan.flush(0.5) is False
        assert time.monotonic() - began < 10
        assert keeper.deliveries.methods == ["pre", "post", "success"]
    finally:
        release.set()
    assert litespan.flush(10)


async def test_flush_reports_undelivered_stages(
    traced: Traced, add: Added, caplog: pytest.LogCaptureFixture
) -> None:
    """Stages that were not delivered before the timeout are counted and logged."""
    release = threading.Event()
    add(Rubbish(release.wait), name="stuck")
    try:
        with caplog.at_level(logging.INFO, "litespan"):
            litellm.completion(**traced.chat(litellm_call_id="the-call"))
            assert litespan.flush(0.2) is False
    finally:
        release.set()
    assert [record.getMessage() for record in caplog.records if record.name == "litespan"] == [
        (
            "flush: handler stuck: 2 stages of 1 calls are not delivered yet, and 0 calls have not "
            "ended: call the-call"
        )
    ]
    assert litespan.flush(10)


def test_flush_waits_for_calls_in_progress(traced: Traced, keeper: Keeper) -> None:
    """It waits for a call in progress on another thread, including its end."""
    thread = threading.Thread(
        target=litellm.completion, kwargs=traced.chat(provider={"delay": 0.5})
    )
    before = len(traced.provider.requests)
    thread.start()
    until(lambda: len(traced.provider.requests) > before, "request")
    assert litespan.flush(30)
    assert keeper.deliveries.methods == ["pre", "post", "success"]
    thread.join()


@pytest.mark.parametrize("timeout", [math.inf, 1e12])
def test_flush_accepts_any_timeout(traced: Traced, keeper: Keeper, timeout: float) -> None:
    """Also one that is longer than Python's locks can wait."""
    litellm.completion(**traced.chat())
    assert litespan.flush(timeout)
    assert keeper.deliveries.methods == ["pre", "post", "success"]


async def test_flush_does_not_wait_for_streams_of_its_own_thread(
    traced: Traced, keeper: Keeper, caplog: pytest.LogCaptureFixture
) -> None:
    """A stream of the flushing thread cannot end meanwhile, so `flush` returns at once."""
    with caplog.at_level(logging.INFO, "litespan"):
        stream = litellm.completion(**traced.chat(stream=True, litellm_call_id="held"))
        next(stream)
        began = time.monotonic()
        assert litespan.flush(60) is False
        assert time.monotonic() - began < 30
    assert keeper.deliveries.methods == ["pre", "post", "stream"]
    assert "1 calls have not ended: call held" in caplog.text
    del stream
    assert litespan.flush(10)
    assert keeper.deliveries.methods == ["pre", "post", "stream", "success"]


async def test_calls_of_a_handler_are_not_delivered_to_it(traced: Traced, add: Added) -> None:
    """A handler may use LiteLLM itself: no span, no stage, no endless loop."""
    deliveries = []

    async def judge(kwargs: Any, response: Any, start: Any, end: Any) -> None:
        await litellm.acompletion(**traced.chat())
        await asyncio.to_thread(litellm.completion, **traced.chat())
        deliveries.append("async")

    def sync_judge(kwargs: Any, response: Any, start: Any, end: Any) -> None:
        litellm.completion(**traced.chat())
        deliveries.append("sync")

    add(success=judge)
    add(success=sync_judge)
    add(success=sync_judge, delivery="inline", name="inline")
    add(success=judge, loop="caller")
    litellm.completion(**traced.chat())
    await litellm.acompletion(**traced.chat())
    assert await asyncio.to_thread(litespan.flush, 20)
    assert sorted(deliveries) == ["async"] * 4 + ["sync"] * 4
    assert len(traced.telemetry.spans) == 2


async def test_a_handler_sees_the_callers_context_and_span(traced: Traced, add: Added) -> None:
    """A handler sees the caller's context variables, and the call's span as the current one."""
    seen = []

    def success(kwargs: Any, response: Any, start: Any, end: Any) -> None:
        span = trace.get_current_span().get_span_context()
        seen.append((request_id.get(), f"{span.span_id:016x}"))

    async def later(kwargs: Any, response: Any, start: Any, end: Any) -> None:
        success(kwargs, response, start, end)

    add(success=success)
    add(success=later)
    request_id.set("r-1")
    await litellm.acompletion(**traced.chat())
    request_id.set("r-2")
    assert await asyncio.to_thread(litespan.flush, 10)
    assert seen == [("r-1", traced.span["span_id"])] * 2


async def test_stages_beyond_max_pending_are_dropped_and_counted(
    traced: Traced, add: Added, caplog: pytest.LogCaptureFixture
) -> None:
    """Beyond `max_pending`, new calls and chunks are dropped; accepted calls are delivered."""
    release = threading.Event()
    deliveries = Deliveries()

    def keep(stage: str) -> Any:
        def function(kwargs: Any, *rest: Any) -> None:
            release.wait(30)
            deliveries.append(Delivery(stage, kwargs=dict(kwargs)))

        return lambda kwargs, a, b, c: function(kwargs)

    add(
        success=keep("success"),
        post=keep("post"),
        stream=keep("stream"),
        max_pending=10,
        name="bounded",
    )
    try:
        given = traced.chat(stream=True, provider={"chunks": 50})
        chunks = len(list(litellm.completion(**given)))
        for _ in range(5):
            litellm.completion(**traced.chat())
        assert delivered("bounded") == {"dropped_chunks": chunks - 9, "dropped_calls": 5}
    finally:
        release.set()
    assert litespan.flush(10)
    assert deliveries.methods == ["post", *["stream"] * 9, "success"]
    lines = [record.getMessage() for record in caplog.records if record.name == "litespan"]
    assert lines == [
        (
            f"handler bounded is 10 stages behind: {what} are not delivered to it until it catches "
            f"up; litespan.stats() counts them as callbacks.bounded.{counter}"
        )
        for what, counter in (
            ("chunks of streams", "dropped_chunks"),
            ("new calls", "dropped_calls"),
        )
    ]
    litellm.completion(**traced.chat())
    assert litespan.flush(10)
    assert deliveries.methods[-2:] == ["post", "success"]


async def test_concurrency_one_never_overlaps_two_stages(traced: Traced, add: Added) -> None:
    """With concurrency=1 no two stages of a handler overlap."""
    running, most = [0], [0]

    def success(kwargs: Any, response: Any, start: Any, end: Any) -> None:
        running[0] += 1
        most[0] = max(most[0], running[0])
        time.sleep(0.01)
        running[0] -= 1

    add(success=success, concurrency=1)
    await asyncio.gather(*[litellm.acompletion(**traced.chat()) for _ in range(20)])
    assert await asyncio.to_thread(litespan.flush, 10)
    assert most == [1]


async def test_a_processor_sees_the_sampled_calls(
    traced: Traced, add: Added, keeper: Keeper
) -> None:
    """A span processor receives sampled calls, `add_callback` every call."""
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

    sampled = Keeper()
    provider = TracerProvider(sampler=ALWAYS_OFF)
    provider.add_span_processor(litespan.CallbackSpanProcessor(sampled))
    instrumentor = litespan.LiteLLMInstrumentor()
    instrumentor.uninstrument()
    instrumentor.instrument(tracer_provider=provider)
    litellm.completion(**traced.chat())
    assert litespan.flush(10)
    assert (sampled.deliveries.methods, keeper.deliveries.methods) == (
        [],
        ["pre", "post", "success"],
    )


async def test_shutdown_and_flush_of_the_provider_deliver_pending_stages(traced: Traced) -> None:
    """`provider.shutdown()` and `force_flush()` deliver pending stages."""
    handler = AsyncKeeper(pause=0.1)
    traced.telemetry.tracer_provider.add_span_processor(litespan.CallbackSpanProcessor(handler))
    await litellm.acompletion(**traced.chat())
    assert traced.telemetry.tracer_provider.force_flush(5000)
    assert handler.deliveries.methods == ["pre", "post", "success"]
    await litellm.acompletion(**traced.chat())
    traced.telemetry.tracer_provider.shutdown()
    assert handler.deliveries.methods == ["pre", "post", "success"] * 2


async def test_each_attempt_of_a_router_is_a_call(traced: Traced, keeper: Keeper) -> None:
    """Each attempt of a router is delivered; the router call itself is not."""
    router = litellm.Router(
        model_list=[
            {"model_name": n, "litellm_params": {"model": f"openai/{m}", **traced.to(**behaviour)}}
            for n, m, behaviour in (("bad", "gpt-4o-mini", {"status": 500}), ("good", "gpt-4o", {}))
        ],
        fallbacks=[{"bad": ["good"]}],
        num_retries=0,
    )
    await router.acompletion(model="bad", messages=MESSAGES)
    assert litespan.flush(10)
    bad, good = keeper.deliveries.calls
    assert {recorded.kwargs["model"] for recorded in bad} == {"gpt-4o-mini"}
    assert bad.methods == ["pre", "post", "failure"]
    assert {recorded.kwargs["model"] for recorded in good} == {"gpt-4o"}
    assert good.methods == ["pre", "post", "success"]
    assert good[-1].kwargs["litellm_params"]["model_info"]["id"]


async def test_no_log_disables_handlers_for_the_call(traced: Traced, keeper: Keeper) -> None:
    """`no-log=True` also applies to handlers."""
    litellm.completion(**traced.chat(**{"no-log": True}))
    assert litespan.flush(10)
    assert keeper.deliveries == []


async def test_abandoned_streams_are_successes_and_leave_nothing_behind(
    traced: Traced, add: Added
) -> None:
    """Thirty abandoned streams are thirty successes, and leave no state behind."""
    handler = AsyncKeeper()
    handle = add(handler)
    gc.disable()  # httpcore deadlocks if a stream is collected while it holds its own lock
    try:
        for index in range(30):  # older LiteLLMs do not let go of their connections
            stream = litellm.completion(**traced.chat(stream=True))
            for _ in range(index % 3):
                next(stream)
            del stream
            gc.collect()
    finally:
        gc.enable()
    assert litespan.flush(20)
    assert handler.deliveries.methods.count("success") == 30
    assert draining.undelivered(handle.callback.dispatcher) == ([], [])


def test_many_calls_wake_the_handlers_thread_once(
    traced: Traced, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It rests after a delivery, then takes what has come: a wake-up costs the caller."""
    monkeypatch.setattr(dispatcher, "_REST", 3600.0)
    wakes: list[Any] = []
    call = Threads.call

    def counted(self: Threads, function: Callable[[], None]) -> None:
        wakes.append(function)
        call(self, function)

    monkeypatch.setattr(Threads, "call", counted)
    seen: list[Any] = []
    callback = litespan.CallbackSpanProcessor(success=lambda *each: seen.append(each)).callback
    monkeypatch.setattr(Watchers, "all", (callback.watch,))
    own = callback.dispatcher
    litellm.completion(**traced.chat(mock_response="Hi."))
    until(lambda: own._resting, "rest")
    for _ in range(20):
        litellm.completion(**traced.chat(mock_response="Hi."))
    assert len(wakes) == 1
    assert own._threads is not None
    own._threads.loop.call_soon_threadsafe(own._look)
    until(lambda: len(seen) == 21, "delivery")


class LateStage(deque[Any]):
    """The incoming stages; one more comes just after the rest, when there is none."""

    def __init__(self, own: dispatcher.Dispatcher, comes: Callable[[], Any]) -> None:
        super().__init__()
        self.own = own
        self.comes = threading.Thread(target=comes)

    def __bool__(self) -> bool:
        found = len(self) > 0
        if self.comes.ident is None and not self.own._resting:
            self.comes.start()
            until(lambda: len(self) > 0, "stage")
        return found


def test_a_stage_that_comes_as_the_handlers_thread_falls_asleep_is_delivered(
    traced: Traced, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A caller takes no lock, so a stage can come just after the thread has looked for one."""
    monkeypatch.setattr(dispatcher, "_REST", 3600.0)
    seen: list[Any] = []
    callback = litespan.CallbackSpanProcessor(success=lambda *each: seen.append(each)).callback
    monkeypatch.setattr(Watchers, "all", (callback.watch,))
    own = callback.dispatcher

    def call() -> None:
        litellm.completion(**traced.chat(mock_response="Hi."))

    call()
    until(lambda: own._resting, "rest")
    own._incoming = LateStage(own, call)
    assert own._threads is not None
    own._threads.loop.call_soon_threadsafe(own._look)
    until(lambda: len(seen) == 2, "delivery", 20)
    own._incoming.comes.join()
    own._threads.loop.call_soon_threadsafe(own._look)


def test_an_end_without_a_method_wakes_no_thread(
    traced: Traced, add: Added, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A handler of failures costs successful calls no wake-up, and they leave nothing behind."""
    wakes: list[Any] = []
    monkeypatch.setattr(Threads, "call", lambda _threads, function: wakes.append(function))
    own = add(failure=lambda *_: None).callback.dispatcher
    litellm.completion(**traced.chat(mock_response="Hi."))
    assert (wakes, own.queues) == ([], {})
