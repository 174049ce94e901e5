"""Handlers: what reaches one that awaits a second, and what it costs the calls.

Real calls over HTTP, to a provider in a process of its own; each row is a program that ends as it
says. Beside it the same program with LiteLLM's own `litellm.callbacks = [handler]`.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

from benchmarks import _call, _paired, stream

ROOT: Final = Path(__file__).parent.parent
ROUNDS: Final = 12
QUICK: Final = 3
BOTH: Final = ("litespan", "LiteLLM")
# The program's way to end → what it is called, how many calls, and who tells the handler.
WAYS: Final[dict[str, tuple[str, int, tuple[str, ...]]]] = {
    "end": ("end of the program after the last call", 5000, BOTH),
    "stay": ("the same, but the program lives on for 60 s", 5000, BOTH[1:]),
    "streams": ("streams thrown away after two chunks", 1000, BOTH),
    "loops": ("a loop a call, closed by `asyncio.run`", 500, BOTH),
    "leave": ("`sys.exit`", 500, BOTH),
    "terminated": ("SIGTERM, with the documented two lines", 500, BOTH),
    "forked": ("four forked children, and the parent", 500, BOTH),
}


class Delivered(NamedTuple):
    """How many calls were told, and s from the last call to the last of them."""

    calls: int
    seconds: float


def run(*, quick: bool) -> None:
    with provider() as url:
        print("| 50 at a time | told by | calls | delivered | s after the last call |")
        print("|---|---|---|---|---|")
        for way, (title, count, tellers) in WAYS.items():
            number = count // 10 if quick else count
            for who in tellers:
                found = delivered(url, way, who.lower(), number)
                seconds = f"{found.seconds:.1f}" if found.calls else ""
                print(f"| {title} | {who} | {number:,} | {found.calls:,} | {seconds} |", flush=True)
        print("\n| CPU of a call | of its thread | quartiles | of the process | quartiles |")
        print("|---|---|---|---|---|")
        took = json.loads(program(url, "cpu", "", QUICK if quick else ROUNDS))
        for title, base in (("to LiteLLM alone", 0), ("to litespan without handler", 1)):
            for row in ratios(took, base):
                print(f"| {row[0]}, {title} | {' | '.join(row[1:])} |")
    print("\n| stream with a handler for chunks | µs a chunk | quartiles | calls a chunk |")
    print("|---|---|---|---|")
    for name, reading in chunks(QUICK if quick else ROUNDS * 2).items():
        print(f"| {name} | {reading} |")


@contextmanager
def provider() -> Iterator[str]:
    """A loopback provider in a process of its own, so that its work is nobody else's."""
    code = (
        "import sys; from litespan.testing import LoopbackProvider\n"
        "with LoopbackProvider() as provider: print(provider.url, flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", code]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        process.communicate()


def program(url: str, *words: Any) -> str:
    """What `benchmarks._handled` prints, as far as it came."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks._handled", *map(str, words)],
        cwd=ROOT,
        env={
            **os.environ,
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
            "OPENAI_BASE_URL": url,
            "OPENAI_API_KEY": "sk-loopback",
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        check=False,
    )
    return done.stdout


def delivered(url: str, way: str, who: str, count: int) -> Delivered:
    """What came of so many calls."""
    lines = [line.split() for line in program(url, way, who, count).splitlines()]
    told = [float(line[1]) for line in lines if line[:1] == ["told"]]
    ended = max(float(line[1]) for line in lines if line[:1] == ["ended"])
    return Delivered(len(told), max(told, default=ended) - ended)


def ratios(took: dict[str, dict[str, list[float]]], base: int) -> Iterator[tuple[str, ...]]:
    """(name, ratio of the thread's CPU, its quartiles, ratio of the process's, its quartiles)."""
    names = list(took["own"])
    for name in names[base + 1 :]:
        row = [name]
        for clock in ("own", "whole"):
            pairs = zip(took[clock][name], took[clock][names[base]], strict=True)
            middle, low, high = _paired.quartiles([a / b for a, b in pairs])
            row += [f"{middle:.3f}", f"{low:.3f} to {high:.3f}"]
        yield tuple(row)


# --- chunks -----------------------------------------------------------------------------


class Sync:
    """A handler of chunks that does nothing with them."""

    def log_stream_event(
        self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any
    ) -> None:
        pass


class Async:
    """The same, async."""

    async def async_log_stream_event(
        self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any
    ) -> None:
        pass


def chunks(rounds: int) -> dict[str, stream.Added]:
    """What litespan with a handler of chunks adds to each, on the caller's thread."""
    import litellm

    import litespan
    from litespan.call.stages import Watchers

    source = stream.Source()
    handlers = {
        "no handler": None,
        "sync handler": litespan.CallbackSpanProcessor(Sync()).callback,
        "async handler": litespan.CallbackSpanProcessor(Async()).callback,
        'sync handler, `delivery="inline"`': litespan.CallbackSpanProcessor(
            Sync(), delivery="inline"
        ).callback,
    }

    def choose(callback: Any) -> None:
        Watchers.all = (callback.watch,) if callback is not None else ()
        for each in handlers.values():
            if each is not None:
                each.delivery.drain(time.monotonic() + 600)  # none is dropped or left over

    provider, _ = _call.traced()
    with _call.ready_litellm(source) as bare:
        litespan.LiteLLMInstrumentor().instrument(tracer_provider=provider)
        found = stream.added(
            source,
            bare.completion,
            litellm.completion,
            {name: partial(choose, callback) for name, callback in handlers.items()},
            rounds=rounds,
        )
        choose(None)
        litespan.LiteLLMInstrumentor().uninstrument()
    return found
