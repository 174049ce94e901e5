"""Paired CPU readings: short alternating blocks of calls in one process.

Whatever else the machine does falls on all contenders alike, and each round gives a ratio of
its own; the result is the median of those ratios, with their quartiles.
"""

import asyncio
import gc
import random
import statistics
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from benchmarks import _instructions

K = TypeVar("K")
Block = Callable[[int], Any]  # makes so many calls
Clock = Callable[[], float]  # CPU seconds


@dataclass(frozen=True)
class Reading:
    """The median over all rounds: `ratio` to the base, its quartiles, and µs per call."""

    ratio: float
    low: float
    high: float
    micros: float

    def __str__(self) -> str:
        return f"{self.ratio:.2f} | {self.low:.2f} to {self.high:.2f} | {self.micros:.1f}"


def calls(function: Callable[[], Any]) -> Block:
    """Blocks of plain calls."""

    def block(count: int) -> None:
        for _ in range(count):
            function()

    return block


def awaits(function: Callable[[], Awaitable[Any]]) -> Block:
    """Blocks of awaited calls, each block inside one run of an event loop."""
    loop = asyncio.new_event_loop()

    async def several(count: int) -> None:
        for _ in range(count):
            await function()

    return lambda count: loop.run_until_complete(several(count))


def measure(
    contenders: Mapping[str, Block],
    *,
    base: str,
    nothing: str,
    rounds: int,
    count: int = 40,
    clock: Clock = time.thread_time,
) -> dict[str, Reading]:
    """Readings by contender. The time of `nothing` is subtracted from all others."""
    took = times(contenders, rounds=rounds, count=count, clock=clock)
    return {
        name: _reading(took[name], took[base], took[nothing])
        for name in contenders
        if name != nothing
    }


def times(
    contenders: Mapping[K, Block],
    *,
    rounds: int,
    count: int,
    clock: Clock = time.thread_time,
    prepare: Callable[[K], object] = lambda _name: None,
) -> dict[K, list[float]]:
    """CPU seconds of one call, by contender and round.

    A round gives every contender one block of `count` calls, in random order. The garbage
    collector works as in any program, but not on what was there before. The time of `prepare`,
    which is called before each block, does not count.
    """
    took: dict[K, list[float]] = {name: [] for name in contenders}
    order = list(contenders)
    shuffle = random.Random(1).shuffle
    for name, block in contenders.items():
        prepare(name)
        block(count)  # first calls fill caches
    gc.collect()
    gc.freeze()
    try:
        counted = _instructions.per_call(
            contenders, count, first_thread=clock is time.thread_time, prepare=prepare
        )
        if counted is not None:
            return counted
        for _ in range(rounds):
            shuffle(order)
            for name in order:
                prepare(name)
                start = clock()
                contenders[name](count)
                took[name].append((clock() - start) / count)
            gc.collect()
    finally:
        gc.unfreeze()
    return took


def added(took: Mapping[str, list[float]], own: str, without: str) -> Reading:
    """What `own` takes more than `without`, to "bare span" less "nothing"."""
    more = [a - b for a, b in zip(took[own], took[without], strict=True)]
    bare = [a - b for a, b in zip(took["bare span"], took["nothing"], strict=True)]
    ratios = [a / b for a, b in zip(more, bare, strict=True)]
    return Reading(*quartiles(ratios), statistics.median(more) * 1e6)


def _reading(own: list[float], base: list[float], nothing: list[float]) -> Reading:
    less = [a - b for a, b in zip(own, nothing, strict=True)]
    ratios = [a / (b - c) for a, b, c in zip(less, base, nothing, strict=True)]
    return Reading(*quartiles(ratios), statistics.median(less) * 1e6)


def quartiles(values: list[float]) -> tuple[float, float, float]:
    """(median, first quartile, third quartile)."""
    low, middle, high = statistics.quantiles(values, n=4)
    return middle, low, high


def table(title: str, readings: Mapping[str, Reading], to: str = "bare span") -> str:
    """A Markdown table of ratios to `to`."""
    unit = "1,000 instructions" if _instructions.wanted() else "µs"
    lines = [f"| {title} | to {to} | quartiles | {unit} |", "|---|---|---|---|"]
    lines += [f"| {name} | {reading} |" for name, reading in readings.items()]
    return "\n".join(lines)
