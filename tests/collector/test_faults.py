"""The collector down, slow, restarting, rejecting, out of disk; a giant message; a burst.

Seen from the application: what a call costs, how large the process gets, what arrives. These
are the short versions; `make soak` runs them for ten minutes and prints the figures.
"""

import json
import os
import re
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
from tests.collector.load import Sender, requests
from tests.collector.running import BASE, Collector, collector, wait_for
from tests.collector.spans import by_id, call
from tests.collector.test_redaction import said
from tests.support.program import PYTHON, environment
from tests.support.server import Reply
from tests.support.server import running as serving

SECONDS = float(os.environ.get("LITESPAN_SOAK", "6"))  # how long a fault lasts
PROGRAM = """
    import json, resource, sys, time

    import litellm
    from litespan import stats

    until = time.monotonic() + float(sys.argv[1])
    took, cpu = [], []
    while time.monotonic() < until:
        begun, used = time.perf_counter(), time.thread_time()
        litellm.completion("openai/gpt-4o-mini", [{"role": "user", "content": "Hi"}])
        took.append(time.perf_counter() - begun)
        cpu.append(time.thread_time() - used)
        time.sleep(0.02)
        if len(took) == 10:
            early = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
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
        told = time.monotonic()
        assert process.wait(60) == 0
        found = json.loads(line)
        took = sorted(found["took"][10:])  # LiteLLM warms up in the first ones
        growth = (found["late"] - found["early"]) / 1024
        return Seen(
            calls=len(found["took"]),
            median=statistics.median(took),
            cpu=statistics.median(found["cpu"][10:]),
            worst=took[int(len(took) * 0.99)],
            growth=growth,
            end=time.monotonic() - told,
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
        application(loopback, running.url, SECONDS) as finish,
    ):
        seen: Seen = finish()
        assert len(running.wait_spans(seen.calls)) == seen.calls
    return seen


def tell(what: str, seen: Seen, arrived: int) -> None:
    """The figures of one fault, for the capacity page."""
    sys.stderr.write(
        f"\n{what}: {seen.calls} calls, median {seen.median * 1000:.1f} ms, "
        f"p99 {seen.worst * 1000:.1f} ms, +{seen.growth:.1f} MiB, end {seen.end:.1f} s, "
        f"delivered {arrived} ({arrived / seen.calls:.1%})\n"
    )


def unharmed(seen: Seen, undisturbed: Seen) -> None:
    """Calls took what they take anyway, and the process did not grow.

    No call waits for the collector: that would be the 2 s of the exporter's timeout, or the 3 s of
    a slow answer. The rest is compared by CPU time of the
    calling thread, which other load on the machine does not change.
    """
    assert seen.cpu < undisturbed.cpu * 1.5 + 0.001
    assert seen.worst < 1.0
    assert seen.growth < 60
    assert seen.end < 15


def test_down_all_the_time(loopback: LoopbackProvider, undisturbed: Seen) -> None:
    """Nobody listens: calls are as fast as ever, and the process ends."""
    with application(loopback, "http://127.0.0.1:9", SECONDS) as finish:
        seen = finish()
    tell("down", seen, 0)
    unharmed(seen, undisturbed)


@pytest.mark.parametrize(
    ("what", "reply"),
    [("slow", Reply(200, delay=3.0)), ("rejecting", Reply(400)), ("overloaded", Reply(503))],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_answers_badly(
    loopback: LoopbackProvider, undisturbed: Seen, what: str, reply: Reply
) -> None:
    """Slow answers, refusals and overload cost the calls nothing."""
    with (
        serving(lambda _: reply) as server,
        application(loopback, server.url, SECONDS) as finish,
    ):
        seen = finish()
    tell(what, seen, 0)
    unharmed(seen, undisturbed)


def test_restarting(loopback: LoopbackProvider, undisturbed: Seen, tmp_path: Path) -> None:
    """Down for a third of the time: the SDK's retries bring every call that its queue holds."""
    running = Collector(tmp_path)
    running.start()
    with application(loopback, running.url, SECONDS, timeout=10) as finish:
        wait_for(running.spans, "the first calls", 60)
        assert running.stop(signal.SIGTERM) == 0
        time.sleep(min(SECONDS / 3, 2.0))
        running.start()
        seen = finish()
        wait_for(lambda: len(running.spans()) >= seen.calls * 0.5, "the calls")
        time.sleep(2)
    arrived = len(by_id(running.spans()))
    running.stop()
    tell("restarting", seen, arrived)
    unharmed(seen, undisturbed)
    assert arrived >= seen.calls * 0.95


def test_a_message_of_five_megabytes(tmp_path: Path) -> None:
    """It arrives whole, by HTTP, past every limit on the way."""
    with collector(tmp_path) as running:
        running.send([call({"gen_ai.input.messages": said("lorem ipsum " * 437_000)})])
        (got,) = running.wait_spans(1)
    message = json.loads(str((got.attributes or {})["gen_ai.input.messages"]))
    assert len(message[0]["parts"][0]["content"]) == 12 * 437_000


def test_a_burst_of_100_000(tmp_path: Path) -> None:
    """All at once, in requests of 500: nothing is lost, memory stays under its limit."""
    with collector(tmp_path, env={"OTELCOL_TRACES_IN_MEMORY": "200000"}) as running:
        sender = Sender(running.url)
        begun = time.monotonic()
        for body, _ in requests(200, 500):
            assert sender.post(body)
        seconds = time.monotonic() - begun
        sender.close()
        wait_for(lambda: running.total("genai_calls_total") == 100_000, "the metrics", 60)
        kept = lambda: _sum(running, "otelcol_exporter_sent_spans", "file/traces")  # noqa: E731
        wait_for(lambda: kept() == 100_000, "the file", 60)
        assert running.process is not None
        status = Path(f"/proc/{running.process.pid}/status").read_text()
        peak = int(status.split("VmHWM:")[1].split()[0]) / 1024
        sys.stderr.write(f"\nburst: 100,000 in {seconds:.1f} s, peak {peak:.0f} MiB\n")
        assert peak < 1024


def _sum(running: Collector, name: str, exporter: str) -> float:
    return sum(
        value
        for found, labels, value in running.samples(running.self_metrics)
        if found == name and labels.get("exporter") == exporter
    )


def test_out_of_memory_refuses_and_loses_nothing(tmp_path: Path) -> None:
    """Over its limit it answers 503 and the sender comes back; every call arrives in the end."""
    env = {
        "OTELCOL_MEMORY_MIB": "80",
        "OTELCOL_MEMORY_SPIKE_MIB": "20",
        "OTELCOL_DECISION_WAIT": "3s",
        "OTELCOL_TRACES_IN_MEMORY": "200000",
    }
    with collector(tmp_path, env=env) as running:
        sender = Sender(running.url)
        made = list(requests(30, 200, content=20_000))
        for body, _ in made:
            assert sender.post(body)
        sender.close()
        assert sender.refusals > 0
        sent = {span_id for _, ids in made for span_id in ids}
        wait_for(lambda: sent <= ids_in(running), "all calls", 60)


def ids_in(running: Collector) -> set[bytes]:
    """Span ids in the files, quickly."""
    return {
        bytes.fromhex(found.decode())
        for path in running.data.glob("traces*.jsonl")
        for found in re.findall(rb'"spanId":"([0-9a-f]{16})"', path.read_bytes())
    }


def test_a_full_queue_is_counted(tmp_path: Path) -> None:
    """A vendor that is down longer than the queue is large: the loss shows in its metric."""
    with (
        serving(lambda _: Reply(503)) as vendor,
        collector(
            tmp_path,
            "langfuse",
            env={"LANGFUSE_BASE_URL": vendor.url, "OTELCOL_QUEUE_BYTES": "300000"},
        ) as running,
    ):
        sender = Sender(running.url)
        for body, _ in requests(20, 100):
            assert sender.post(body)
        sender.close()
        lost = lambda: _sum(  # noqa: E731
            running, "otelcol_exporter_enqueue_failed_spans", "otlp_http/langfuse"
        )
        wait_for(lambda: lost() > 0, "the metric")
        assert 0 < lost() < 2000


def test_a_full_disk(tmp_path: Path) -> None:
    """No room for queue or file: it goes on taking calls in, measuring them and saying so."""
    running = Collector(tmp_path, [BASE, tmp_path / "full.yaml"])
    (tmp_path / "full.yaml").write_text(
        "exporters: {file/traces: {path: /dev/full, rotation: null}}"
    )
    running.start()
    running.send([call() for _ in range(50)])
    wait_for(lambda: running.total("genai_calls_total") == 50, "the metrics")
    running.send([call() for _ in range(50)])
    wait_for(lambda: running.total("genai_calls_total") == 100, "the metrics")
    wait_for(lambda: "no space left on device" in running.log.read_text(), "a word in the log")
    running.stop()
