"""`litespan forward` as a process, for tests."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path

from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.trace import ReadableSpan

from litespan_exporters.helicone import HeliconeExporter
from tests.collector.running import get
from tests.support.program import environment
from tests.support.vendors import SECRET

PROTOBUF = "application/x-protobuf"
COMMAND = [sys.executable, "-c", "import sys; from litespan.cli import main; sys.exit(main())"]


@dataclass
class Forwarder:
    """A running `litespan forward`."""

    process: subprocess.Popen[str]
    port: int

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def post(
        self, body: bytes, kind: str = PROTOBUF, path: str = "/v1/traces", **headers: str
    ) -> tuple[HTTPResponse, bytes]:
        """One request; the answer and its body."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=30)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request("POST", path, body, {"Content-Type": kind, **named})
        answer = connection.getresponse()
        said = answer.read()
        connection.close()
        return answer, said

    def memory(self) -> int:
        """Resident bytes, at their highest."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        (line,) = [line for line in status.splitlines() if line.startswith("VmHWM")]
        return int(line.split()[1]) * 1024

    def stats(self) -> dict[str, int]:
        """Its own counts."""
        found: dict[str, int] = json.loads(get(f"{self.url}/healthz") or "{}")
        return found


@contextmanager
def forwarding(*arguments: str, **env: str) -> Iterator[Forwarder]:
    """The command, until the block ends; it must then end well."""
    process = subprocess.Popen(
        [*COMMAND, "forward", "--port", "0", *arguments],
        env=environment(env),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    if "/v1/traces" not in line:
        raise AssertionError(process.communicate(timeout=10))
    running = Forwarder(process, int(line.split("/v1/traces")[0].rsplit(":", 1)[1]))
    try:
        yield running
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)


def helicone(url: str) -> dict[str, str]:
    """The variables that point Helicone's exporter to `url`."""
    return {**HeliconeExporter.variables_for(url, SECRET)}


def body_of(spans: Sequence[ReadableSpan]) -> bytes:
    """An OTLP request."""
    encoded: bytes = encode_spans(spans).SerializeToString()
    return encoded
