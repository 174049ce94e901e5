"""The time that litespan adds to a call, around a LiteLLM that returns a ready answer.

Ratios to a bare SDK span: `start_span`, 20 times `set_attribute`, `end`, written by hand around the
same function. "By hand" is the same span as litespan's, attribute for attribute and event for
event, written with the fewest calls of the SDK that can make it: what is left for litespan is
the difference.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from benchmarks import _call, _paired

ROUNDS = 300
QUICK = 40


def run(*, quick: bool) -> None:
    import litellm
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader

    from litespan import LiteLLMInstrumentor
    from litespan.patch.drivers import Live
    from litespan.settings import Settings
    from litespan.signals import Signals

    response = _call.ready_response()
    functions = _call.replace_litellm(lambda: response)
    provider, last = _call.traced()
    tracer = provider.get_tracer("benchmarks")
    LiteLLMInstrumentor().instrument(tracer_provider=provider)
    meters = MeterProvider([InMemoryMetricReader()])
    signals = {
        "litespan, content off": Signals(Settings(), provider),
        "litespan, content on": Signals(Settings(content="SPAN_ONLY"), provider),
        "litespan, content off, with metrics": Signals(Settings(), provider, meters),
    }

    def ours(name: str) -> Callable[[], Any]:
        completion, arguments, chosen = litellm.completion, _call.ARGUMENTS, signals[name]

        def call() -> None:
            Live.signals = chosen
            completion(**arguments)

        return call

    def ours_async(name: str) -> Callable[[], Awaitable[Any]]:
        acompletion, arguments, chosen = litellm.acompletion, _call.ARGUMENTS, signals[name]

        async def call() -> None:
            Live.signals = chosen
            await acompletion(**arguments)

        return call

    bare = _call.Bare(tracer, functions)
    by_hand: dict[str, Callable[[], Any]] = {}
    for name in list(signals)[:2]:
        ours(name)()
        span = last.span
        print(f"{name}: {len(span.attributes)} attributes, {len(span.events)} events")
        by_hand[f"by hand, as {name}"] = replay(tracer, functions, span)
    print()

    rounds = QUICK if quick else ROUNDS
    contenders = {
        "nothing": _paired.calls(lambda: functions.completion(**_call.ARGUMENTS)),
        "bare span": _paired.calls(bare.span),
        "bare span, made current": _paired.calls(bare.current),
        **{name: _paired.calls(function) for name, function in by_hand.items()},
        **{name: _paired.calls(ours(name)) for name in signals},
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


def replay(tracer: Any, functions: _call.Functions, span: Any) -> Callable[[], Any]:
    """A function that makes the same call with the same span, by hand."""
    names = list(span.attributes)
    # What litespan knows before the call: up to the first attribute of the answer.
    split = names.index("gen_ai.response.id")
    first = {name: span.attributes[name] for name in names[:split]}
    rest = {name: span.attributes[name] for name in names[split:]}
    events = [(event.name, dict(event.attributes), event.timestamp) for event in span.events]
    kind, title = span.kind, span.name

    def call() -> None:
        span = tracer.start_span(title, kind=kind, attributes=first)
        functions.completion(**_call.ARGUMENTS)
        span.set_attributes(rest)
        for name, attributes, timestamp in events:
            span.add_event(name, attributes, timestamp)
        span.end()

    return call
