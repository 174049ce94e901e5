"""The overhead of litespan per chunk, around a LiteLLM stream of prepared chunks.

The figures include the reading of all chunks at the stream's end, spread over the chunks: the
difference between a long and a short stream, divided by the difference of their lengths. Calls
are counted by the interpreter (Python and C functions alike), which has no noise.
"""

import asyncio
import inspect
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple

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


class Added(NamedTuple):
    """Overhead per chunk: µs (median and quartiles) and function calls."""

    micros: float
    low: float
    high: float
    calls: float

    def __str__(self) -> str:
        return f"{self.micros:.2f} | {self.low:.2f} to {self.high:.2f} | {self.calls:.0f}"


def run(*, quick: bool) -> None:
    import litellm

    from litespan import LiteLLMInstrumentor
    from litespan.instrumentation.signals import Live, Signals
    from litespan.settings import Settings

    source = Source()
    provider, _ = _call.traced()
    signals = {
        "litespan, content off": Signals(Settings(), provider),
        "litespan, content on": Signals(Settings(content="SPAN_ONLY"), provider),
    }

    def chosen(name: str) -> Callable[[], None]:
        return lambda: setattr(Live, "signals", signals[name])

    choices = {name: chosen(name) for name in signals}
    rounds = QUICK if quick else ROUNDS
    print("| stream | µs a chunk | quartiles | calls a chunk |\n|---|---|---|---|")
    with _call.ready_litellm(source) as bare:
        LiteLLMInstrumentor().instrument(tracer_provider=provider)
        for title, name in (("sync", "completion"), ("async", "acompletion")):
            readings = added(
                source, getattr(bare, name), getattr(litellm, name), choices, rounds=rounds
            )
            for chosen_name, reading in readings.items():
                print(f"| {title}, {chosen_name} | {reading} |")
        LiteLLMInstrumentor().uninstrument()


def added(
    source: Source,
    bare: Any,
    wrapped: Any,
    choices: Mapping[str, Callable[[], None]],
    *,
    rounds: int,
) -> dict[str, Added]:
    """The overhead of `wrapped` for the chunks of `bare`, for each of `choices`."""
    asynchronous = inspect.iscoroutinefunction(bare)
    make = _areader if asynchronous else _reader
    readers = {("", n): make(source, bare, n, lambda: None) for n in (LONG, SHORT)}
    for name, choose in choices.items():
        readers |= {(name, n): make(source, wrapped, n, choose) for n in (LONG, SHORT)}
    block = _paired.awaits if asynchronous else _paired.calls
    blocks = {key: block(read) for key, read in readers.items()}
    took = _paired.times(blocks, rounds=rounds, count=2)
    once = (lambda read: asyncio.run(read())) if asynchronous else (lambda read: read())
    called = {key: [_call.called(partial(once, read))] for key, read in readers.items()}
    found: dict[str, Added] = {}
    for name in choices:
        micros = [seconds * 1e6 for seconds in _per_chunk(took, name)]
        found[name] = Added(*_paired.quartiles(micros), *_per_chunk(called, name))
    return found


def _reader(
    source: Source, completion: Any, length: int, choose: Callable[[], None]
) -> Callable[[], Any]:
    def read() -> None:
        source.length = length
        choose()
        for _ in completion(**_call.ARGUMENTS, stream=True):
            pass

    return read


def _areader(
    source: Source, acompletion: Any, length: int, choose: Callable[[], None]
) -> Callable[[], Any]:
    async def read() -> None:
        source.length = length
        choose()
        async for _ in await acompletion(**_call.ARGUMENTS, stream=True):
            pass

    return read


def _per_chunk(readings: dict[Key, list[Any]], name: str) -> Iterator[float]:
    """The overhead of `name` per chunk and round."""
    columns = ((name, LONG), (name, SHORT), ("", LONG), ("", SHORT))
    for own, own_short, bare, bare_short in zip(*(readings[key] for key in columns), strict=True):
        yield (own - own_short - bare + bare_short) / (LONG - SHORT)
