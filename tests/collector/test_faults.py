"""The effects of a collector that is down, slow, restarting or rejecting on an application.

What a call costs, how large the process gets, what arrives. These are the short versions;
`make soak` runs them for ten minutes and prints the figures of docs/capacity.md.
"""

import json
import os
import signal
import statistics
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from litespan.testing import LoopbackProvider
from tests.collector.load import ids_in
from tests.collector.running import ROOT, Collector, collector, wait_for
from tests.support.program import PYTHON, environment
from tests.support.server import Reply
from tests.support.server import running as serving

SECONDS = float(os.environ.get("TEST_SOAK", "4"))  # how long a fault lasts
PROGRAM = """
    import json, resource, sys, time

    import litellm

    took, cpu = [], []

    def call():
        begun, used = time.perf_counter(), time.thread_time()
        litellm.completion("openai/gpt-4o-mini", [{"role": "user", "content": "Hi"}])
        took.append(time.perf_counter() - begun)
        cpu.append(time.thread_time() - used)
        time.sleep(0.02)

    for _ in range(10):  # LiteLLM warms up: on a busy machine that takes seconds
        call()
    early = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    until = time.monotonic() + float(sys.argv[1])
    while time.monotonic() < until:
        call()
    late = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps({"took": took, "cpu": cpu, "early": early, "late": late}))
"""


@dataclass(frozen=True)
class Seen:
    """What an application went through."""

    calls: int
    median: float  # s, of a call
    cpu: float  # s of the calling thread's CPU time, the median of a call
    worst: float  # s, the 99th percentile
    growth: float  # MiB, of the process after its first ten calls
    end: float  # s, from the last call to the end of the process


@contextmanager
def application(
    provider: LoopbackProvider, endpoint: str, seconds: float, timeout: int = 2
) -> Iterator[Any]:
    """An instrumented program that calls and calls; yields a function that waits for its end."""
    env = {
        "OPENAI_BASE_URL": provider.url,
        "OPENAI_API_KEY": "sk-loopback",
        "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_EXPORTER_OTLP_TIMEOUT": str(timeout),
        "OTEL_BSP_SCHEDULE_DELAY": "500",
        "OTEL_METRICS_EXPORTER": "none",
        "OTEL_LOGS_EXPORTER": "none",
    }
    command = [str(PYTHON.with_name("opentelemetry-instrument")), str(PYTHON), "-c"]
    process = subprocess.Popen(
        [*command, textwrap.dedent(PROGRAM), str(seconds)],
        env=environment(env),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )

    def finish() -> Seen:
        assert process.stdout is not None
        line = next(line for line in process.stdout if line.startswith("{"))
        shown = time.monotonic()
        assert process.wait(60) == 0
        found = json.loads(line)
        took = sorted(found["took"][10:])
        growth = (found["late"] - found["early"]) / 1024
        return Seen(
            calls=len(found["took"]),
            median=statistics.median(took),
            cpu=statistics.median(found["cpu"][10:]),
            worst=took[int(len(took) * 0.99)],
            growth=growth,
            end=time.monotonic() - shown,
        )

    try:
        yield finish
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


@pytest.fixture(scope="module")
def undisturbed(loopback: LoopbackProvider, tmp_path_factory: pytest.TempPathFactory) -> Seen:
    """The same program with a healthy collector: what the others are compared with."""
    with (
        collector(tmp_path_factory.mktemp("healthy")) as running,
        application(loopback, running.url, min(SECONDS, 60)) as finish,
    ):
        seen: Seen = finish()
        wait_for(lambda: len(running.span_ids()) == seen.calls, "every call", 60)
    send("healthy", seen, seen.calls)
    return seen


def send(what: str, seen: Seen, arrived: int) -> None:
    """The figures of one fault, for the capacity page."""
    sys.stderr.write(
        f"\n{what}: {seen.calls} calls, median {seen.median * 1000:.1f} ms "
        f"({seen.cpu * 1000:.1f} ms CPU), p99 {seen.worst * 1000:.1f} ms, "
        f"+{seen.growth:.1f} MiB, end {seen.end:.1f} s, "
        f"delivered {arrived} ({arrived / seen.calls:.1%})\n"
    )


def unharmed(seen: Seen, undisturbed: Seen) -> None:
    """Calls took what they take anyway, and the process did not grow.

    No call waits for the collector: that would be the 2 s of the exporter's timeout, or the 3 s of
    a slow answer. The rest is compared by CPU time of the
    calling thread, which other load on the machine does not change.
    """
    assert seen.cpu < undisturbed.cpu * 2 + 0.001
    assert seen.worst < 1.8
    assert seen.growth < 60
    assert seen.end < 45


def test_calls_do_not_wait_for_a_collector_that_is_down(
    loopback: LoopbackProvider, undisturbed: Seen
) -> None:
    """Calls are as fast as ever, and the process ends."""
    with application(loopback, "http://127.0.0.1:9", SECONDS) as finish:
        seen = finish()
    send("down", seen, 0)
    unharmed(seen, undisturbed)


@pytest.mark.parametrize(
    ("what", "reply"),
    [("rejecting", Reply(400)), ("overloaded", Reply(503)), ("hanging", Reply(200, delay=60.0))],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_calls_do_not_wait_for_a_collector_that_refuses_or_hangs(
    loopback: LoopbackProvider, undisturbed: Seen, what: str, reply: Reply
) -> None:
    """Refusals, overload and no answer at all."""
    with (
        serving(lambda _: reply) as server,
        application(loopback, server.url, SECONDS) as finish,
    ):
        seen = finish()
    send(what, seen, 0)
    unharmed(seen, undisturbed)


def test_a_slow_collector_gets_every_call(loopback: LoopbackProvider, undisturbed: Seen) -> None:
    """Each answer takes three seconds, within the exporter's timeout."""
    with (
        serving(lambda _: Reply(200, delay=3.0)) as server,
        application(loopback, server.url, SECONDS, timeout=10) as finish,
    ):
        seen = finish()
        arrived = len(ids_in(server.received))
    send("slow", seen, arrived)
    unharmed(seen, undisturbed)
    assert arrived == seen.calls


def test_a_restarting_collector_gets_every_call(
    loopback: LoopbackProvider, undisturbed: Seen, tmp_path: Path
) -> None:
    """It is repeatedly down for 2 s: the SDK's retries deliver every call in its queue."""
    running = Collector(tmp_path)
    running.start()
    until = time.monotonic() + SECONDS
    with application(loopback, running.url, SECONDS, timeout=10) as finish:
        wait_for(running.span_ids, "the first calls", 60)
        while True:
            assert running.stop(signal.SIGTERM) == 0
            time.sleep(2)
            running.start()
            if time.monotonic() + 15 > until:
                break
            time.sleep(10)
        seen = finish()
    wait_for(lambda: len(running.span_ids()) >= seen.calls * 0.95, "the calls")
    running.stop()
    arrived = len(running.span_ids())
    send("restarting", seen, arrived)
    unharmed(seen, undisturbed)


def test_an_agent_keeps_every_call_while_its_gateway_is_down(
    loopback: LoopbackProvider, undisturbed: Seen, tmp_path: Path
) -> None:
    """The gateway is down all the time, and up afterwards."""
    gateway = Collector(tmp_path / "gateway")
    env = {
        "OTELCOL_GATEWAYS": json.dumps([gateway.grpc]),
        "OTELCOL_GATEWAY": gateway.grpc,
        "OTELCOL_GATEWAY_INSECURE": "true",
    }
    agent = Collector(tmp_path / "agent", [ROOT / "collector/agent.yaml"], env)
    agent.start()
    try:
        with application(loopback, agent.url, SECONDS) as finish:
            seen = finish()
        gateway.start()
        wait_for(lambda: len(gateway.span_ids()) == seen.calls, "every call", 120)
        gateway.stop()
    finally:
        agent.stop()
    send("gateway down behind an agent", seen, seen.calls)
    unharmed(seen, undisturbed)
