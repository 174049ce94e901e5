"""A program with a handler that awaits a second: `python -m benchmarks._handled WAY WHO COUNT`.

`WHO` delivers to the handler: `litespan`, or `litellm` itself. Each call goes over HTTP to the
address in `OPENAI_BASE_URL`. Prints a line with the time (monotonic, s) when the handler has
finished a call, and when the last call has returned; the benchmark reads them.
"""

import asyncio
import gc
import json
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable
from typing import Any, Final

import litellm
from litellm.integrations.custom_logger import CustomLogger
from opentelemetry.sdk.trace import TracerProvider

import litespan
from benchmarks._peer import LISTS

AT_ONCE: Final = 50
SECONDS: Final = 1.0  # that the handler awaits
BLOCK: Final = 50  # calls: short, so that what else the machine does falls on all alike
GIVEN: Final[dict[str, Any]] = {
    "model": "openai/gpt-4o-mini",
    "messages": [{"role": "user", "content": "What is the capital of France?"}],
    "max_retries": 0,
}


class Slow(CustomLogger):
    """A handler that awaits, as for a service, and only counts calls."""

    handled = 0

    async def async_log_success_event(
        self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any
    ) -> None:
        await asyncio.sleep(SECONDS)
        self.handled += 1


class Telling(Slow):
    """The same; also prints a line for each call."""

    async def async_log_success_event(
        self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any
    ) -> None:
        await asyncio.sleep(SECONDS)
        say("handled")


def say(word: str) -> None:
    """Write a line with the time in one write."""
    os.write(1, f"{word} {time.monotonic()}\n".encode())


def register(who: str) -> None:
    """Register the handler with litespan or LiteLLM."""
    if who == "litespan":
        litespan.LiteLLMInstrumentor().instrument(tracer_provider=TracerProvider())
        litespan.add_callback(Telling())
    else:
        litellm.callbacks = [Telling()]


async def several(count: int) -> None:
    """Make `count` calls, fifty at a time."""

    async def some(number: int) -> None:
        for _ in range(number):
            await litellm.acompletion(**GIVEN)

    shares = [count // AT_ONCE + (index < count % AT_ONCE) for index in range(AT_ONCE)]
    await asyncio.gather(*map(some, shares))


# --- ways to end ------------------------------------------------------------------------


def end(count: int) -> None:
    """The calls, then exit."""
    asyncio.run(several(count))
    say("ended")


def stay(count: int) -> None:
    """The same in a program that runs for another minute."""

    async def and_stay() -> None:
        await several(count)
        say("ended")
        await asyncio.sleep(60)

    asyncio.run(and_stay())


def streams(count: int) -> None:
    """Streams that are abandoned after two chunks."""

    async def some(number: int) -> None:
        for _ in range(number):
            stream = await litellm.acompletion(**GIVEN, stream=True)
            await anext(stream)
            await anext(stream)
            del stream

    async def all_of_them() -> None:
        await asyncio.gather(*[some(count // AT_ONCE) for _ in range(AT_ONCE)])

    asyncio.run(all_of_them())
    say("ended")


def loops(count: int) -> None:
    """A new event loop for each call."""
    for _ in range(count):
        asyncio.run(several(1))
    say("ended")


def leave(count: int) -> None:
    """`sys.exit` after the last call."""
    end(count)
    sys.exit(0)


def terminated(count: int) -> None:
    """SIGTERM after the last call, with the two lines of the documentation."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    end(count)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(60)


def forked(count: int) -> None:
    """Calls in the parent, and in four forked children."""
    share = count // 5
    asyncio.run(several(share))
    fork = multiprocessing.get_context("fork")
    children = [fork.Process(target=end, args=[share]) for _ in range(4)]
    for child in children:
        child.start()
    for child in children:
        child.join()


# --- overhead of a call ----------------------------------------------------------------


class Contender:
    """A measured variant: enabled before its block of calls, disabled after it."""

    def __init__(self, on: Callable[[], Any], off: Callable[[], Any], handler: Slow | None) -> None:
        self.on = on
        self.off = off
        self.handler = handler


def contenders() -> dict[str, Contender]:
    """By name; the first is the base of all others."""
    from litespan.instrumentation.signals import Live

    litespan.LiteLLMInstrumentor().instrument(tracer_provider=TracerProvider())
    signals = Live.signals
    handler, theirs = Slow(), Slow()
    added: list[Any] = []

    def live() -> None:
        Live.signals = signals

    def gone() -> None:
        Live.signals = None

    def with_handler() -> None:
        live()
        added.append(litespan.add_callback(handler))

    def without_handler() -> None:
        added.pop().remove()
        gone()

    def lists(*callbacks: Any) -> Callable[[], None]:
        def fill() -> None:
            for name in LISTS:
                setattr(litellm, name, [])
            litellm.callbacks = list(callbacks)

        return fill

    gone()
    return {
        "LiteLLM alone": Contender(gone, gone, None),
        "litespan, no handler": Contender(live, gone, None),
        "litespan, handler": Contender(with_handler, without_handler, handler),
        "LiteLLM's own callbacks": Contender(lists(theirs), lists(), theirs),
    }


def cpu(rounds: int) -> None:
    """CPU ratios of alternating blocks of calls, for their thread and for the process."""
    loop = asyncio.new_event_loop()
    found = contenders()
    own: dict[str, list[float]] = {name: [] for name in found}
    whole: dict[str, list[float]] = {name: [] for name in found}

    def block(contender: Contender) -> tuple[float, float]:
        contender.on()
        handler = contender.handler
        thread, process = time.thread_time(), time.process_time()
        loop.run_until_complete(several(BLOCK))
        thread = time.thread_time() - thread
        while handler is not None and handler.handled < BLOCK:
            loop.run_until_complete(asyncio.sleep(0.05))
        process = time.process_time() - process
        if handler is not None:
            handler.handled = 0
        contender.off()
        return thread, process

    for contender in found.values():
        block(contender)  # first calls fill caches
    gc.collect()
    gc.freeze()  # what is there is LiteLLM's own, and much: a collection of it is nobody's call
    order = list(found)
    for turn in range(rounds):
        for name in order[turn % len(order) :] + order[: turn % len(order)]:
            thread, process = block(found[name])
            own[name].append(thread)
            whole[name].append(process)
    print(json.dumps({"own": own, "whole": whole}))


if __name__ == "__main__":
    litellm.suppress_debug_info = True
    way, who, number = sys.argv[1:]
    if who:
        register(who)
    globals()[way](int(number))
