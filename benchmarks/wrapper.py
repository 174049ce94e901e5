"""The time that litespan adds to a call, around a LiteLLM with a prepared response.

Ratios to a bare SDK span: `start_span`, 20 times `set_attribute`, `end`, written by hand around
the same function. "By hand" is litespan's own span, attribute for attribute and event for event,
made by as few calls of the SDK as can be: what is left for litespan is the difference.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from benchmarks import _call, _paired

ROUNDS = 300
QUICK = 40


def run(*, quick: bool) -> None:
    response = _call.ready_response()
    with _call.ready_litellm(lambda _stream: response) as functions:
        _run(functions, QUICK if quick else ROUNDS)


def _run(functions: _call.Functions, rounds: int) -> None:
    import litellm
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader

    from litespan import LiteLLMInstrumentor
    from litespan.instrumentation.signals import Live, Signals
    from litespan.settings import Settings

    provider, last = _call.traced()
    tracer = provider.get_tracer("benchmarks")
    LiteLLMInstrumentor().instrument(tracer_provider=provider)
    meters = MeterProvider([InMemoryMetricReader()])
    signals = {
        "litespan, content off": Signals(Settings(), provider),
        "litespan, content on": Signals(Settings(content="SPAN_ONLY"), provider),
        "litespan, content off, with metrics": Signals(Settings(), provider, meters),
        "litespan, content on, with metrics": Signals(
            Settings(content="SPAN_ONLY"), provider, meters
        ),
    }
    batch = _call.Batch()
    exported, _ = _call.traced(batch)
    signals_read = {
        "litespan, content off, with reading its spans": Signals(Settings(), exported),
        "litespan, content on, with reading its spans": Signals(
            Settings(content="SPAN_ONLY"), exported
        ),
    }

    def ours(name: str) -> Callable[[], Any]:
        completion, chosen = litellm.completion, (signals | signals_read)[name]

        def call() -> None:
            Live.signals = chosen
            completion(**_call.ARGUMENTS)

        return call

    def then_read(block: _paired.Block) -> _paired.Block:
        def both(count: int) -> None:
            block(count)
            batch.read()

        return both

    def ours_async(name: str) -> Callable[[], Awaitable[Any]]:
        acompletion, chosen = litellm.acompletion, signals[name]

        async def call() -> None:
            Live.signals = chosen
            await acompletion(**_call.ARGUMENTS)

        return call

    bare = _call.Bare(tracer, functions)
    by_hand: dict[str, Callable[[], Any]] = {}
    for name in list(signals)[:2]:
        ours(name)()
        span = last.span
        print(f"{name}: {len(span.attributes)} attributes, {len(span.events)} events")
        by_hand[f"by hand, as {name}"] = _call.by_hand(tracer, functions, span)
    print()
    contenders = {
        "nothing": _paired.calls(lambda: functions.completion(**_call.ARGUMENTS)),
        "bare span": _paired.calls(bare.span),
        "bare span, made current": _paired.calls(bare.current),
        **{name: _paired.calls(function) for name, function in by_hand.items()},
        **{name: _paired.calls(ours(name)) for name in signals},
        **{name: then_read(_paired.calls(ours(name))) for name in signals_read},
    }
    readings = _paired.measure(contenders, base="bare span", nothing="nothing", rounds=rounds)
    print(_paired.table("sync", readings))
    print()
    contenders = {
        "nothing": _paired.awaits(lambda: functions.acompletion(**_call.ARGUMENTS)),
        "bare span": _paired.awaits(bare.aspan),
        "bare span, made current": _paired.awaits(bare.acurrent),
        **{name: _paired.awaits(ours_async(name)) for name in signals},
    }
    readings = _paired.measure(contenders, base="bare span", nothing="nothing", rounds=rounds)
    print(_paired.table("async", readings))
    LiteLLMInstrumentor().uninstrument()
