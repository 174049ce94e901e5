"""What litespan adds to each chunk of a stream, around a LiteLLM stream of ready chunks.

The figures include the reading of all chunks at the stream's end, spread over the chunks: the
difference between a long and a short stream, divided by the difference of their lengths. Calls
are counted by the interpreter (Python and C functions alike), which has no noise.
"""

import asyncio
import statistics
import sys
from collections.abc import Callable, Iterator
from typing import Any

from benchmarks import _call, _paired

LONG, SHORT = 400, 100
ROUNDS = 120
QUICK = 20


def run(*, quick: bool) -> None:
    import litellm

    from litespan import LiteLLMInstrumentor
    from litespan.patch.drivers import Live
    from litespan.settings import Settings
    from litespan.signals import Signals

    chunks = _call.ready_chunks(LONG)
    length = LONG
    functions = _call.replace_litellm(lambda: _call.ReadyStream(chunks[LONG - length :]))
    provider, _ = _call.traced()
    LiteLLMInstrumentor().instrument(tracer_provider=provider)
    signals = {
        "litespan, content off": Signals(Settings(), provider),
        "litespan, content on": Signals(Settings(content="SPAN_ONLY"), provider),
    }

    def reader(completion: Any, count: int, chosen: Any = None) -> Callable[[], None]:
        def read() -> None:
            nonlocal length
            length, Live.signals = count, chosen
            for _ in completion(**_call.ARGUMENTS, stream=True):
                pass

        return read

    def areader(acompletion: Any, count: int, chosen: Any = None) -> Callable[[], Any]:
        async def read() -> None:
            nonlocal length
            length, Live.signals = count, chosen
            async for _ in await acompletion(**_call.ARGUMENTS, stream=True):
                pass

        return read

    rounds = QUICK if quick else ROUNDS
    print("| stream | µs a chunk | quartiles | calls a chunk |\n|---|---|---|---|")
    for title, make, block, bare, wrapped in (
        ("sync", reader, _paired.calls, functions.completion, litellm.completion),
        ("async", areader, _paired.awaits, functions.acompletion, litellm.acompletion),
    ):
        readers = {("none", n): make(bare, n) for n in (LONG, SHORT)}
        for name, chosen in signals.items():
            readers |= {(name, n): make(wrapped, n, chosen) for n in (LONG, SHORT)}
        blocks = {key: block(read) for key, read in readers.items()}
        took = _paired.times(blocks, rounds=rounds, count=2)
        for name in signals:
            added = list(_per_chunk(took, name))
            low, middle, high = (micros * 1e6 for micros in statistics.quantiles(added, n=4))
            called = {key: _calls(read, title) for key, read in readers.items()}
            (count,) = _per_chunk({key: [value] for key, value in called.items()}, name)
            print(f"| {title}, {name} | {middle:.2f} | {low:.2f} to {high:.2f} | {count:.2f} |")
    LiteLLMInstrumentor().uninstrument()


def _per_chunk(readings: dict[tuple[str, int], list[float]], name: str) -> Iterator[float]:
    """What `name` adds to a chunk, round by round."""
    columns = ((name, LONG), (name, SHORT), ("none", LONG), ("none", SHORT))
    for own, own_short, bare, bare_short in zip(*(readings[key] for key in columns), strict=True):
        yield (own - own_short - bare + bare_short) / (LONG - SHORT)


def _calls(read: Callable[[], Any], title: str) -> int:
    """How many functions are called to read one stream."""
    count = 0

    def profile(_frame: Any, event: str, _argument: Any) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    def once() -> None:
        sys.setprofile(profile)
        try:
            asyncio.run(read()) if title == "async" else read()
        finally:
            sys.setprofile(None)

    once()  # fills caches
    count = 0
    once()
    return count
