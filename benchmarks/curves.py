"""How litespan's cost grows with calls, streams, chunks, messages, content, exporters and users.

Around a LiteLLM with prepared answers, as in `wrapper`, with content on, and with exporters that
encode OTLP and send it nowhere. Each reading is the difference to the uninstrumented call, which
runs beside it. Times are CPU time, so that other programs on the machine matter little; each is
the median of all rounds. The plot is written to build/curves.svg.
"""

import asyncio
import os
import statistics
import tracemalloc
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from functools import partial
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, NamedTuple

from benchmarks import _call, _cost, _plot, exporters
from benchmarks.large import prose
from tests.cases import CHAT, span

ROUNDS = 9
QUICK = 3
REPEATED = 200  # times the smallest size, in one reading
TENS: Final = (1, 10, 100, 1000)
LINEAR: Final = 1.2  # times the size: with noise


class Load(NamedTuple):
    """What runs at once."""

    calls: int = 1
    chunks: int = 0  # of each call; 0 is a call that is not streamed
    messages: Any = _call.ARGUMENTS["messages"]
    exporters: int = 1


Curve = dict[int, _cost.Cost]  # what litespan adds, by size


def messages(count: int) -> Any:
    return [{"role": "user", "content": "What is the capital of France? " * 3}] * count


CURVES: Final[dict[str, tuple[Sequence[int], Callable[[int], Load]]]] = {
    "concurrent calls": (TENS, lambda size: Load(calls=size)),
    "concurrent streams of 10 chunks": (TENS, lambda size: Load(calls=size, chunks=10)),
    "chunks of a stream": ((10, 100, 1000, 10_000), lambda size: Load(chunks=size)),
    "messages of a call": (TENS, lambda size: Load(messages=messages(size))),
    "characters of a message": (
        (1_000, 10_000, 100_000, 1_000_000, 10_000_000),
        lambda size: Load(messages=[{"role": "user", "content": prose(size)}]),
    ),
    "exporters": ((1, 2, 5, 10), lambda size: Load(exporters=size)),
}


def run(*, quick: bool) -> None:
    rounds = QUICK if quick else ROUNDS
    now = f"{datetime.now(timezone.utc):%d %B %Y}"
    print(f"{now}, {rounds} rounds, load {os.getloadavg()[0]:.0f} at the start", end="")
    curves = {title: calls(title, rounds) for title in CURVES}
    curves |= users(rounds)
    print(f" and {os.getloadavg()[0]:.0f} at the end\n")
    for title, curve in curves.items():
        print(table(title, curve))
    plot = Path("build/curves.svg")
    plot.parent.mkdir(exist_ok=True)
    points = {
        title: {size: (cost.process, cost.caller) for size, cost in curve.items()}
        for title, curve in curves.items()
    }
    plot.write_text(_plot.svg(points))
    print(f"plot: {plot}")


def calls(title: str, rounds: int) -> Curve:
    """A curve of calls: without and with litespan in turn, size by size."""
    import litellm

    from litespan import LiteLLMInstrumentor
    from litespan.instrumentation.signals import Live, Signals
    from litespan.settings import Settings

    sizes, load_of = CURVES[title]
    loads = {size: load_of(size) for size in sizes}
    chunks = {load.chunks: _call.ready_chunks(load.chunks or 1) for load in loads.values()}
    response, length = _call.ready_response(), 0
    settings = Settings(content="SPAN_ONLY", content_limit=2**31)
    found: dict[int, list[_cost.Cost]] = {size: [] for size in sizes}
    with _call.ready_litellm(
        lambda stream: _call.ReadyStream(chunks[length]) if stream else response
    ) as bare:
        litellm.acompletion = litellm.main.acompletion = waiting(litellm.acompletion)
        LiteLLMInstrumentor().instrument()
        sides = waiting(bare.acompletion), litellm.acompletion
        for turn in range(rounds + 2):
            for size, load in loads.items():
                length = load.chunks
                provider = exporting(load.exporters)
                Live.signals = Signals(settings, provider)
                works = [work(side, load) for side in sides]
                if turn < rounds + 1:  # the first warms up
                    count = max(1, REPEATED * sizes[0] // size)
                    without, ours = (_cost.cpu(work, provider.force_flush, count) for work in works)
                    found[size] += [ours.less(without)] if turn else []
                else:
                    peaks = [_cost.peak(work, provider.force_flush) for work in works]
                    found[size] = [_cost.median(found[size])._replace(memory=peaks[1] - peaks[0])]
                provider.shutdown()
        LiteLLMInstrumentor().uninstrument()
    return {size: cost for size, (cost,) in found.items()}


def waiting(acompletion: Any) -> Any:
    """A function that lets the other calls start before its own answer arrives."""

    async def acompletion_(
        model: str, messages: Any = None, *, stream: bool = False, **kwargs: Any
    ) -> Any:
        await asyncio.sleep(0)
        return await acompletion(model, messages, stream=stream, **kwargs)

    return acompletion_


def exporting(count: int) -> Any:
    """A tracer provider with so many exporters that encode spans and drop the result."""
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

    class Encoding(SpanExporter):
        def export(self, spans: Any) -> SpanExportResult:
            exporters.otlp(spans)
            return SpanExportResult.SUCCESS

    provider = TracerProvider(shutdown_on_exit=False)
    for _ in range(count):
        provider.add_span_processor(BatchSpanProcessor(Encoding(), schedule_delay_millis=60_000))
    return provider


def work(acompletion: Any, load: Load) -> _cost.Work:
    """The calls, all started before the first ends; streams advance in turn."""
    arguments = {**_call.ARGUMENTS, "messages": load.messages}

    async def call() -> None:
        if not load.chunks:
            await acompletion(**arguments)
            return
        async for _ in await acompletion(**arguments, stream=True):
            if load.calls > 1:
                await asyncio.sleep(0)

    async def several() -> None:
        await asyncio.gather(*(call() for _ in range(load.calls)))

    return several


def users(rounds: int) -> dict[str, Curve]:
    """A SQLite store with a call of each user: to write it, and to report by user."""
    from litespan.cli.summary import summarize
    from litespan_exporters.sqlite import SQLiteExporter

    written: Curve = {}
    reported: Curve = {}
    with TemporaryDirectory() as folder:
        for size in (*TENS, 10_000, 100_000):
            path = f"{folder}/{size}.db"
            exporter = SQLiteExporter(path)
            spans = (span(n, "chat", {**CHAT, "user.id": f"user-{n}"}) for n in range(size))
            took = 0.0
            while batch := list(islice(spans, 1000)):
                took += _cost.seconds(partial(exporter.export, batch))
            took += _cost.seconds(exporter.shutdown)
            written[size] = _cost.Cost(process=took * 1e3)
            assert len(summarize(path, "user").groups) == size
            times = [_cost.seconds(partial(summarize, path, "user")) for _ in range(rounds)]
            tracemalloc.start()
            found = summarize(path, "user")  # held
            held = tracemalloc.get_traced_memory()[1] / 1024
            tracemalloc.stop()
            del found
            reported[size] = _cost.Cost(process=statistics.median(times) * 1e3, memory=held)
    return {"users in a store, written": written, "users in a store, reported": reported}


def table(title: str, curve: Curve) -> str:
    """The figures as Markdown, and in words how they grow."""
    names = "caller's thread, ms | longest turn, ms | all threads, ms | memory, KiB"
    lines = [f"| {title} | {names} |", "|---|---|---|---|---|"]
    for size, cost in curve.items():
        figures = [f"{value:,.0f}" if value >= 100 else f"{value:.2g}" for value in cost]
        lines.append(f"| {size:,} | {' | '.join('' if f == '0' else f for f in figures)} |")
    (small, before), (large, last) = list(curve.items())[-2:]
    times = last.process / before.process
    said = "linear or better" if times <= LINEAR * large / small else "worse than linear"
    lines += ["", f"{large // small} times the size, {times:.1f} times the CPU: {said}.", ""]
    return "\n".join(lines)
