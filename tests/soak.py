"""`python -m tests.soak [CALLS]` shows memory, threads and files over calls with mixed faults."""

import logging
import os
import random
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, NamedTuple

import litellm
import openai
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

import litespan
from litespan import LiteLLMInstrumentor
from litespan.testing import LoopbackProvider
from litespan_exporters.datadog import DatadogExporter
from tests.support.calls import KEY, MESSAGES
from tests.support.server import Received, Reply, running
from tests.support.vendors import SECRET

MANNERS: Final[tuple[dict[str, Any], ...]] = (
    {},
    {},
    {"status": 429},
    {"status": 500},
    {"reset": True},
    {"break_after": 2},
)
BAD: Final = (
    Reply(500),
    Reply(429, headers={"Retry-After": "0.05"}),
    Reply(reset=True),
    Reply(401),
)
THREADS: Final = 8
STEPS: Final = 4


class Held(NamedTuple):
    """What the process holds."""

    calls: int
    resident: int  # MiB
    threads: int
    files: int  # sockets included


def soak(calls: int) -> Iterator[Held]:
    """What the process holds after a warm-up, and after each quarter of the calls."""
    chance = random.Random(7)

    def fault(_: Received) -> Reply | None:
        return chance.choice(BAD) if chance.random() < 0.2 else None

    def call(number: int) -> None:
        manners = MANNERS[number % len(MANNERS)]
        stream = bool(number % 2)
        try:
            result = litellm.completion(
                "openai/gpt-4o-mini",
                MESSAGES,
                api_base=provider.url_for(**manners),
                api_key=KEY,
                max_retries=0,
                stream=stream,
                user=f"user-{number}",
            )
            if stream:
                list(result)
        except openai.OpenAIError:  # the base class of LiteLLM's
            pass

    tracer_provider = TracerProvider(shutdown_on_exit=False)
    with LoopbackProvider() as provider, running(lambda _: Reply(202), fault) as vendor:
        exporter = DatadogExporter(SECRET, base_url=vendor.url, backoff=0.05)
        tracer_provider.add_span_processor(BatchSpanProcessor(exporter))
        instrumentor = LiteLLMInstrumentor()
        instrumentor.instrument(tracer_provider=tracer_provider)
        with ThreadPoolExecutor(THREADS) as pool:
            made = 0
            for size in (max(calls // 10, 100), *[calls // STEPS] * STEPS):
                list(pool.map(call, range(made, made + size)))
                made += size
                tracer_provider.force_flush(60_000)
                provider.clear()
                vendor.received.clear()
                yield held(made)
        instrumentor.uninstrument()
        tracer_provider.shutdown()


def held(made: int) -> Held:
    """What this process holds now."""
    status = Path("/proc/self/status").read_text().splitlines()
    found = {line.split(":")[0]: line.split()[1] for line in status if len(line.split()) > 1}
    files = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    return Held(made, int(found["VmRSS"]) // 1024, int(found["Threads"]), files)


def main() -> None:
    """Print a table."""
    logging.disable(logging.CRITICAL)
    litellm.suppress_debug_info = True
    calls = int(sys.argv[1]) if len(sys.argv) > 1 else 200_000
    sys.stdout.write("| calls | resident MiB | threads | files and sockets |\n|---|---|---|---|\n")
    for row in soak(calls):
        sys.stdout.write(f"| {row.calls:,} | {row.resident} | {row.threads} | {row.files} |\n")
        sys.stdout.flush()
    sent = {n: v for n, v in litespan.stats().items() if n.startswith(("export.", "errors."))}
    sys.stdout.write(f"\n{sent}\n")


if __name__ == "__main__":
    main()
