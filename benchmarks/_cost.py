"""What a piece of work costs, in CPU time and memory."""

import asyncio
import statistics
import time
import tracemalloc
from collections.abc import Callable, Coroutine
from typing import Any, NamedTuple

Work = Callable[[], Coroutine[Any, Any, Any]]


class Cost(NamedTuple):
    """CPU in ms, memory in KiB."""

    caller: float = 0.0  # the caller's thread
    turn: float = 0.0  # the longest turn of the event loop
    process: float = 0.0  # all threads, until everything is exported
    memory: float = 0.0  # the peak

    def less(self, other: "Cost") -> "Cost":
        return Cost(*(a - b for a, b in zip(self, other, strict=True)))


async def beating(work: Work, count: int) -> float:
    """Do the work so often; returns the longest turn of the event loop, in seconds of CPU."""
    longest = 0.0

    async def beat() -> None:
        nonlocal longest
        last = time.thread_time()
        while True:
            await asyncio.sleep(0)
            now = time.thread_time()
            longest, last = max(longest, now - last), now

    beats = asyncio.create_task(beat())
    await asyncio.sleep(0)
    for _ in range(count):
        await work()
    await asyncio.sleep(0)
    beats.cancel()
    return longest


def cpu(work: Work, finish: Callable[[], Any], count: int) -> Cost:
    """One reading of the CPU time."""
    caller, process = time.thread_time(), time.process_time()
    longest = asyncio.run(beating(work, count))
    caller = time.thread_time() - caller
    finish()
    process = time.process_time() - process
    return Cost(caller * 1e3 / count, longest * 1e3, process * 1e3 / count)


def peak(work: Work, finish: Callable[[], Any]) -> float:
    """The most memory that is allocated at once, in KiB."""
    tracemalloc.start()
    try:
        asyncio.run(work())
        finish()
        return tracemalloc.get_traced_memory()[1] / 1024
    finally:
        tracemalloc.stop()


def median(costs: list[Cost]) -> Cost:
    """The median of each figure."""
    return Cost(*map(statistics.median, zip(*costs, strict=True)))


def seconds(function: Callable[[], Any]) -> float:
    """The CPU time of all threads."""
    began = time.process_time()
    function()
    return time.process_time() - began
