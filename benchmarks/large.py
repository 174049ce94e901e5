"""The time that litespan adds to a call with large content: how long an event loop stands still.

Around a LiteLLM with a prepared response or error, as in `wrapper`. CPU time of the thread, the
minimum and the median of all rounds, because such calls are rare and the machine may be busy.
"""

import base64
import random
import statistics
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

from benchmarks import _call

ROUNDS = 60
QUICK = 12
MEGABYTE = 1_000_000
PAUSE = 0.1  # s; a real call waits at least as long for its answer


class Refused(Exception):
    """A provider's error."""


def prose(length: int) -> str:
    """Words of different length, by chance but always the same."""
    chance = random.Random(1)
    words = ["".join(chance.choices("etaoinshrdlu", k=chance.randint(2, 9))) for _ in range(5000)]
    return " ".join(chance.choices(words, k=length // 6))[:length]


def run(*, quick: bool) -> None:
    import litellm

    from litespan import LiteLLMInstrumentor
    from litespan.instrumentation.signals import Live, Signals
    from litespan.settings import Settings

    text = prose(MEGABYTE)
    image = base64.b64encode(random.Random(1).randbytes(7_500_000)).decode()
    shown = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{image}"}}
    error = "Error code: 400 - {'error': {'message': 'Invalid value', 'param': None}} " * 5
    failing = False

    def result(_stream: bool) -> Any:
        if failing:
            raise Refused(error)
        return response

    response = _call.ready_response()
    provider, _ = _call.traced()
    rounds = QUICK if quick else ROUNDS
    print("| call | content | ms, minimum | ms, median |\n|---|---|---|---|")
    with _call.ready_litellm(result):
        LiteLLMInstrumentor().instrument(tracer_provider=provider)
        signals = {
            "off": Signals(Settings(), provider),
            "on": Signals(Settings(content="SPAN_ONLY", content_limit=2**31), provider),
        }
        many = [{"role": "user", "content": text[:1000]}] * 1000
        for title, content, fails in (
            ("1 MB of messages", text, False),
            ("1 MB in 1,000 messages", many, False),
            ("a 10 MB image", [shown], False),
            ("failing, 1 MB of messages", text, True),
            ("failing, 1 MB in 1,000 messages", many, True),
            ("failing, a 10 MB image", [shown], True),
        ):
            failing = fails
            messages = content if content is many else [{"role": "user", "content": content}]
            arguments = {**_call.ARGUMENTS, "messages": messages}
            for mode, chosen in signals.items():
                Live.signals = chosen
                took = times(partial(attempt, litellm.completion, arguments), rounds)
                print(
                    f"| {title} | {mode} | {min(took):.1f} | {statistics.median(took):.1f} |",
                    flush=True,
                )
        LiteLLMInstrumentor().uninstrument()


def attempt(completion: Any, arguments: dict[str, Any]) -> None:
    """Make one call, which may fail."""
    with suppress(Refused):
        completion(**arguments)


def times(call: Callable[[], None], rounds: int) -> list[float]:
    """The CPU time of each call, in ms."""
    call()
    took = []
    for _ in range(rounds):
        time.sleep(PAUSE)  # the pool converts what the call before left to it
        start = time.thread_time()
        call()
        took.append((time.thread_time() - start) * 1e3)
    return took
