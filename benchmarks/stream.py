"""What litespan adds to each chunk of a stream, around a LiteLLM stream of ready chunks.

The figures include the reading of all chunks at the stream's end, spread over the chunks: the
difference between a long and a short stream, divided by the difference of their lengths. Calls
are counted by the interpreter (Python and C functions alike), which has no noise.
"""

import asyncio
import statistics
from collections.abc import Callable, Iterator
from typing import Any

from benchmarks import _call, _paired

LONG, SHORT = 400, 100
ROUNDS = 120
QUICK = 20
Key = tuple[str, int]  # who reads, how many chunks


class Source:
    """Streams of ready chunks, as long as `length` says."""

    def __init__(self) -> None:
        self.length = LONG
        self._chunks = _call.ready_chunks(LONG)

    def __call__(self, _stream: bool) -> Any:
        return _call.ReadyStream(self._chunks[-self.length :])


def run(*, quick: bool) -> None:
    source = Source()
    with _call.ready_litellm(source) as functions:
        _run(functions, source, QUICK if quick else ROUNDS)


def _run(functions: _call.Functions, source: Source, rounds: int) -> None:
    import litellm

    from litespan import LiteLLMInstrumentor
    from litespan.patch.drivers import Live
    from litespan.settings import Settings
    from litespan.signals import Signals

    provider, _ = _call.traced()
    LiteLLMInstrumentor().instrument(tracer_provider=provider)
    signals = {
        "litespan, content off": Signals(Settings(), provider),
        "litespan, content on": Signals(Settings(content="SPAN_ONLY"), provider),
    }

    def reader(completion: Any, length: int, chosen: Any = None) -> Callable[[], Any]:
        def read() -> None:
            source.length, Live.signals = length, chosen
            for _ in completion(**_call.ARGUMENTS, stream=True):
                pass

        return read

    def areader(acompletion: Any, length: int, chosen: Any = None) -> Callable[[], Any]:
        async def read() -> None:
            source.length, Live.signals = length, chosen
            async for _ in await acompletion(**_call.ARGUMENTS, stream=True):
                pass

        return read

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
        called = {key: [_called(read, title)] for key, read in readers.items()}
        for name in signals:
            micros = [seconds * 1e6 for seconds in _per_chunk(took, name)]
            low, middle, high = statistics.quantiles(micros, n=4)
            (calls,) = _per_chunk(called, name)
            print(f"| {title}, {name} | {middle:.2f} | {low:.2f} to {high:.2f} | {calls:.2f} |")
    LiteLLMInstrumentor().uninstrument()


def _per_chunk(readings: dict[Key, list[Any]], name: str) -> Iterator[float]:
    """What `name` adds to a chunk, round by round."""
    columns = ((name, LONG), (name, SHORT), ("none", LONG), ("none", SHORT))
    for own, own_short, bare, bare_short in zip(*(readings[key] for key in columns), strict=True):
        yield (own - own_short - bare + bare_short) / (LONG - SHORT)


def _called(read: Callable[[], Any], title: str) -> int:
    return _call.called((lambda: asyncio.run(read())) if title == "async" else read)
