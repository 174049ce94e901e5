"""A real collector in a process of its own, and what it wrote, as spans."""

import json
import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar
from urllib.error import URLError
from urllib.request import urlopen

import pytest
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult

from litespan.export.decode import read_request, to_spans
from tests.support.needs import missing

ROOT = Path(__file__).parents[2]
BASE = ROOT / "collector-config.yaml"
OVERLAYS = ROOT / "collector/overlays"
BINARY = Path(os.environ.get("TEST_COLLECTOR") or ROOT / "build/collector/otelcol")
T = TypeVar("T")


def binary() -> str:
    """The collector."""
    if not BINARY.exists():
        missing(str(BINARY), "run `make collector`, which needs Go 1.25 or newer")
    return str(BINARY)


def free_ports(count: int) -> list[int]:
    """Unused ports."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [server.getsockname()[1] for server in sockets]
    for server in sockets:
        server.close()
    return ports


def wait_for(look: Callable[[], T | None], what: str = "it", timeout: float = 30) -> T:
    """The first truthy value that `look` gives; fails after `timeout` seconds."""
    until = time.monotonic() + timeout
    while not (value := look()):
        if time.monotonic() > until:
            pytest.fail(f"waited {timeout:g} s for {what}")
        time.sleep(0.05)
    return value


def get(url: str) -> str | None:
    """The body at `url`, or None while there is no answer."""
    try:
        with urlopen(url, timeout=5) as answer:
            return str(answer.read().decode())
    except (URLError, OSError):
        return None


class Collector:
    """`with collector(tmp_path) as running:` send to `running.url`, read `running.spans()`."""

    def __init__(
        self, data: Path, configs: Sequence[Path] = (BASE,), env: Mapping[str, str] | None = None
    ) -> None:
        grpc, http, health, metrics, own = free_ports(5)
        self.data = data
        self.grpc = f"127.0.0.1:{grpc}"
        self.url = f"http://127.0.0.1:{http}"
        self.health = f"http://127.0.0.1:{health}"
        self.prometheus = f"http://127.0.0.1:{metrics}/metrics"
        self.self_metrics = f"http://127.0.0.1:{own}/metrics"
        self.command = [binary(), *(f"--config={path}" for path in configs)]
        self.env = {
            "PATH": os.environ["PATH"],
            "OTELCOL_DATA": str(data),
            "OTELCOL_GRPC": self.grpc,
            "OTELCOL_HTTP": f"127.0.0.1:{http}",
            "OTELCOL_HEALTH": f"127.0.0.1:{health}",
            "OTELCOL_PROMETHEUS": f"127.0.0.1:{metrics}",
            "OTELCOL_SELF_PORT": str(own),
            "OTELCOL_DECISION_WAIT": "1s",
            "OTELCOL_METRICS_INTERVAL": "1s",
            "OTELCOL_SHARE_PERCENT": "100",
            **(env or {}),
        }
        self.log = data / "otelcol.log"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Run, and wait until it is ready."""
        self.data.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command, env=self.env, cwd=self.data, stdout=log, stderr=log
            )
        wait_for(self._ready, f"the collector, see {self.log}", 60)

    def _ready(self) -> bool:
        assert self.process is not None
        if self.process.poll() is not None:
            pytest.fail(f"the collector ended:\n{self.log.read_text()[-3000:]}", pytrace=False)
        return get(self.health) is not None

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        """End the process; its exit status."""
        assert self.process is not None
        self.process.send_signal(how)
        return self.process.wait(60)

    def send(self, spans: Sequence[ReadableSpan]) -> None:
        """By the SDK's own OTLP exporter, all in one request."""
        exporter = OTLPSpanExporter(endpoint=f"{self.url}/v1/traces")
        assert exporter.export(spans) is SpanExportResult.SUCCESS
        exporter.shutdown()

    def spans(self, file: str = "traces") -> list[ReadableSpan]:
        """What the file exporter has written so far, rotated files included."""
        return [
            span
            for path in sorted(self.data.glob(f"{file}*.jsonl"))
            for line in path.read_bytes().splitlines(keepends=True)
            if line.endswith(b"\n")
            for span in to_spans(read_request(line, "application/json"))
        ]

    def span_ids(self, file: str = "traces") -> set[bytes]:
        """Ids of the spans in those files, found quickly."""
        return {
            bytes.fromhex(found.decode())
            for path in self.data.glob(f"{file}*.jsonl")
            for found in re.findall(rb'"spanId":"([0-9a-f]{16})"', path.read_bytes())
        }

    def wait_spans(
        self, count: int, file: str = "traces", timeout: float = 30
    ) -> list[ReadableSpan]:
        """The same, once there are `count` or more."""
        return wait_for(
            lambda: found if len(found := self.spans(file)) >= count else None,
            f"{count} spans in {file}.jsonl",
            timeout,
        )

    def samples(self, url: str | None = None) -> list[tuple[str, dict[str, str], float]]:
        """Prometheus samples: name, labels, value. By default those of the pipelines."""
        return list(parse_samples(get(url or self.prometheus) or ""))

    def total(self, name: str, **labels: str) -> float:
        """The sum of the samples `name` that have these labels."""
        return sum(
            value
            for found, has, value in self.samples()
            if found == name and labels.items() <= has.items()
        )


@contextmanager
def collector(
    data: Path, *overlays: str, base: Path = BASE, env: Mapping[str, str] | None = None
) -> Iterator[Collector]:
    """A running collector on the base configuration and these overlays."""
    running = Collector(data, [base, *(OVERLAYS / f"{name}.yaml" for name in overlays)], env)
    running.start()
    try:
        yield running
    finally:
        if running.process is not None and running.process.poll() is None:
            assert running.stop() == 0


def validate(*configs: Path) -> str:
    """What `otelcol validate` says against these files together; empty if nothing."""
    done = subprocess.run(
        [binary(), "validate", *(f"--config={path}" for path in configs)],
        env={"PATH": os.environ["PATH"], "GOGC": "off"},  # it lives half a second: half the CPU
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return done.stderr if done.returncode else ""


def parse_samples(text: str) -> Iterator[tuple[str, dict[str, str], float]]:
    """Lines of Prometheus' text format."""
    for line in text.splitlines():
        matched = re.fullmatch(r"(\w+)(?:\{(.*)\})? (\S+)(?: \d+)?", line)
        if matched and not line.startswith("#"):
            name, labels, value = matched.groups()
            yield name, dict(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', labels or "")), float(value)


def json_of(span: ReadableSpan, name: str) -> Any:
    """An attribute that holds JSON, parsed."""
    return json.loads((span.attributes or {})[name])  # type: ignore[arg-type]
