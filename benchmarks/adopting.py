"""The overhead of `litespan.adopt()` per call: a check of LiteLLM's four lists.

Ratios to the same call without adoption. The look is the same whether anything was taken from the
lists or not; what was taken then costs what the same exporters and handlers cost in any case.
"""

from collections.abc import Callable
from typing import Any

from benchmarks import _call, _paired

ROUNDS = 600
QUICK = 60


def run(*, quick: bool) -> None:
    response = _call.ready_response()
    with _call.ready_litellm(lambda _stream: response):
        _run(QUICK if quick else ROUNDS)


def _run(rounds: int) -> None:
    import litellm

    from litespan import LiteLLMInstrumentor
    from litespan.instrumentation.signals import Live
    from litespan.routing.takeover import Takeover

    provider, _ = _call.traced()
    LiteLLMInstrumentor().instrument(tracer_provider=provider)
    completion, look = litellm.completion, Takeover().check_lists

    def call(chosen: Callable[[], None] | None) -> Callable[[], Any]:
        def made() -> None:
            Live.look = chosen
            completion(**_call.ARGUMENTS)

        return made

    contenders = {
        "nothing": _paired.calls(lambda: None),
        "without adoption": _paired.calls(call(None)),
        "with adoption": _paired.calls(call(look)),
        "the look alone": _paired.calls(look),
    }
    readings = _paired.measure(
        contenders, base="without adoption", nothing="nothing", rounds=rounds
    )
    print(_paired.table("sync", readings, to="the call without"))
