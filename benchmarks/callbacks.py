"""Handlers: calls that reach one that awaits a second, and its overhead.

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

import litespan
from benchmarks import _call, _instructions, _paired, stream
from litespan.callbacks import draining
from litespan.instrumentation.stages import Watchers

ROOT: Final = Path(__file__).parent.parent
ROUNDS: Final = 12
QUICK: Final = 3
BOTH: Final = ("litespan", "LiteLLM")
# How the program exits → its title, the number of calls, and who calls the handler.
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
    """The number of handled calls, and s from the last call to the last of them."""

    calls: int
    seconds: float


def run(*, quick: bool) -> None:
    if not _instructions.wanted():
        _programs(quick=quick)
    print(_paired.table("added around a ready answer", calls(QUICK if quick else ROUNDS * 25)))
    if _instructions.wanted():
        return
    print("\n| stream with a handler for chunks | µs a chunk | quartiles | calls a chunk |")
    print("|---|---|---|---|")
    for name, reading in chunks(QUICK if quick else ROUNDS * 2).items():
        print(f"| {name} | {reading} |")


def _programs(*, quick: bool) -> None:
    """Deliveries, and the CPU of calls over HTTP."""
    with provider() as url:
        print("| 50 at a time | called by | calls | delivered | s after the last call |")
        print("|---|---|---|---|---|")
        for way, (title, count, tellers) in WAYS.items():
            number = count // 10 if quick else count
            for who in tellers:
                found = delivered(url, way, who.lower(), number)
                seconds = f"{found.seconds:.1f}" if found.calls else ""
                print(f"| {title} | {who} | {number:,} | {found.calls:,} | {seconds} |", flush=True)
        print("\n| CPU of a call | of its thread | quartiles | of the process | quartiles |")
        print("|---|---|---|---|---|")
        took = json.loads(program(url, "cpu", "", QUICK if quick else ROUNDS * 4))
        for title, base in (("to LiteLLM alone", 0), ("to litespan without handler", 1)):
            for row in ratios(took, base):
                print(f"| {row[0]}, {title} | {' | '.join(row[1:])} |")
        print()


@contextmanager
def provider() -> Iterator[str]:
    """A loopback provider in a separate process, so that its CPU is not measured."""
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
    """The output of `benchmarks._handled`, possibly incomplete."""
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
    """The result of the calls."""
    lines = [line.split() for line in program(url, way, who, count).splitlines()]
    handled = [float(line[1]) for line in lines if line[:1] == ["handled"]]
    ended = max(float(line[1]) for line in lines if line[:1] == ["ended"])
    return Delivered(len(handled), max(handled, default=ended) - ended)


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


# --- prepared responses: work on the caller's thread -----------------------------------


class Sync:
    """A handler that does nothing."""

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


class AtTheEnd:
    """A typical handler."""

    async def async_log_success_event(
        self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any
    ) -> None:
        pass


_made: Final[list[Any]] = []


def told_by(handler: Any, **options: Any) -> Any:
    """The callback that calls a handler."""
    _made.append(litespan.CallbackSpanProcessor(handler, **options).callback)
    return _made[-1]


def choose(callback: Any) -> None:
    """Route calls to one handler only, after all have finished."""
    for each in _made:
        draining.drain(each.dispatcher, time.monotonic() + 600)  # none is dropped or left over
    Watchers.all = (callback.watch,) if callback is not None else ()


def calls(rounds: int) -> dict[str, _paired.Reading]:
    """What one handler adds to a call on the caller's thread, in bare spans."""
    import litellm

    provider, _ = _call.traced()
    response = _call.ready_response()
    callback = told_by(AtTheEnd())
    with _call.ready_litellm(lambda _stream: response) as functions:
        bare = _call.Bare(provider.get_tracer("benchmarks"), functions)
        litespan.LiteLLMInstrumentor().instrument(tracer_provider=provider)
        call = _paired.calls(lambda: litellm.completion(**_call.ARGUMENTS))
        took = _paired.times(
            {
                "nothing": _paired.calls(lambda: functions.completion(**_call.ARGUMENTS)),
                "bare span": _paired.calls(bare.span),
                "without": call,
                "with": call,
            },
            rounds=rounds,
            count=40,
            # It waits for all deliveries, which is no part of a call.
            prepare=lambda name: choose(callback if name == "with" else None),
        )
        choose(None)
        litespan.LiteLLMInstrumentor().uninstrument()
    return {"a handler of successes": _paired.added(took, "with", "without")}


def chunks(rounds: int) -> dict[str, stream.Added]:
    """The overhead of a chunk handler per chunk, on the caller's thread."""
    import litellm

    source = stream.Source()
    handlers = {
        "no handler": None,
        "sync handler": told_by(Sync()),
        "async handler": told_by(Async()),
        'sync handler, `delivery="inline"`': told_by(Sync(), delivery="inline"),
    }
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
