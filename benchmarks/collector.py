"""The cost of the collector: bytes per call, calls per second and core, memory.

    make collector && python -m benchmarks collector [--quick]

Calls as litespan writes them go over OTLP/HTTP into a real collector on our configurations; its
CPU time is read from /proc, so other load on the machine changes the figures little. From them
the capacity page (docs/capacity.md) reckons cores, memory, disk and egress for a day's calls.
"""

import gzip
import os
import tempfile
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random
from uuid import UUID

from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.collector.load import Sender, requests, span_bytes, template
from tests.collector.running import BASE, BINARY, OVERLAYS, ROOT, Collector
from tests.support.server import Reply
from tests.support.server import running as serving

SIZES = {"no content": 0, "4 KB": 4096, "20 KB": 20_480}


@dataclass(frozen=True)
class Cost:
    """One run."""

    spans: int
    cpu: float  # s
    memory: float  # MiB, at its highest
    seconds: float

    @property
    def per_core(self) -> float:
        """Spans per second and core."""
        return self.spans / self.cpu


def cpu_of(pid: int) -> float:
    """Seconds of CPU time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_of(pid: int) -> float:
    """Peak resident memory of a process in MiB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def measure(
    configs: list[Path], env: Mapping[str, str], total: int, content: int, batch: int = 200
) -> Cost:
    """Send `total` spans, wait until the collector is idle, and measure."""
    bodies = [body for body, _ in requests(total // batch, batch, content)]
    with tempfile.TemporaryDirectory() as folder:
        running = Collector(Path(folder), configs, {"OTELCOL_MEMORY_MIB": "6000", **env})
        running.start()
        assert running.process is not None
        pid = running.process.pid
        begun, cpu = time.monotonic(), cpu_of(pid)

        def send(part: list[bytes]) -> None:
            sender = Sender(running.url)
            for body in part:
                assert sender.post(body)
            sender.close()

        threads = [threading.Thread(target=send, args=(bodies[n::2],)) for n in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        seconds = time.monotonic() - begun
        now = cpu_of(pid)
        for _ in range(10):  # the sampling window, the file's flush; an agent tries for ever
            last = now
            time.sleep(1.5)
            if (now := cpu_of(pid)) - last < 0.02:
                break
        cost = Cost(total, now - cpu, memory_of(pid), seconds)
        running.stop()
    return cost


def sizes() -> dict[str, tuple[int, int]]:
    """Bytes of a call, encoded, and in a compressed batch of 200 with different words."""
    random = Random(1)
    words = ["".join(random.choices("etaoinshrdlu", k=random.randint(2, 9))) for _ in range(3000)]
    found = {}
    for name, content in SIZES.items():
        request = template(200, content)
        for span in request.resource_spans[0].scope_spans[0].spans:
            _vary(span, random, words, content)
        body = request.SerializeToString()
        found[name] = (span_bytes(content), len(gzip.compress(body, 6)) // 200)
    return found


def _vary(span: Span, random: Random, words: list[str], content: int) -> None:
    """Make the call unique, because copies compress too well."""
    span.trace_id, span.span_id = random.randbytes(16), random.randbytes(8)
    span.start_time_unix_nano += random.randrange(10**12)
    span.end_time_unix_nano = span.start_time_unix_nano + random.randrange(10**10)
    for event in span.events:
        event.time_unix_nano = span.start_time_unix_nano + random.randrange(10**10)
    for pair in span.attributes:
        if pair.key == "gen_ai.input.messages":
            pair.value.string_value = " ".join(random.choices(words, k=content // 6))
        elif pair.key.endswith(("call_id", "response.id", "request_id", "user.id", "session.id")):
            pair.value.string_value = str(UUID(bytes=random.randbytes(16)))
        elif pair.value.HasField("double_value"):
            pair.value.double_value = random.random() / 1000
        elif pair.key.endswith("tokens"):
            pair.value.int_value = random.randrange(10_000)


def run(*, quick: bool) -> None:
    """Print the tables of docs/capacity.md; `quick` with a tenth of the load."""
    if not BINARY.exists():
        print(f"{BINARY} is missing: run `make collector`")
        return
    scale = 10 if quick else 1
    spans = {"no content": 60_000 // scale, "4 KB": 20_000 // scale, "20 KB": 6_000 // scale}
    print(f"{os.cpu_count()} cores\n")
    print("| content | bytes a call | compressed |\n|---|---|---|")
    for name, (raw, packed) in sizes().items():
        print(f"| {name} | {raw:,} | {packed:,} |")
    print("\n| config | content | calls/s and core | MB/s and core | peak memory, MiB |")
    print("|---|---|---|---|---|")
    with serving(lambda _: Reply(200)) as sink:
        ways: dict[str, tuple[list[Path], dict[str, str]]] = {
            "base, all kept": ([BASE], {}),
            "base, 10 % kept": ([BASE], {"OTELCOL_SHARE_PERCENT": "10"}),
            "base + one vendor, 10 % kept": (
                [BASE, OVERLAYS / "langfuse.yaml"],
                {"OTELCOL_SHARE_PERCENT": "10", "LANGFUSE_BASE_URL": sink.url},
            ),
            "agent": (
                [ROOT / "collector/agent.yaml"],
                {"OTELCOL_GATEWAYS": "[127.0.0.1:9]", "OTELCOL_GATEWAY_INSECURE": "true"},
            ),
        }
        for way, (configs, env) in ways.items():
            for name, content in SIZES.items():
                cost = measure(configs, env, spans[name], content)
                rate = cost.per_core * span_bytes(content) / 1e6
                print(
                    f"| {way} | {name} | {cost.per_core:,.0f} | {rate:,.1f} | {cost.memory:,.0f} |",
                    flush=True,
                )
