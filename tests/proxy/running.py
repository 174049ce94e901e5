"""The real proxy, in its own process on loopback, and the spans that it exports."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx

from litespan.testing import LoopbackProvider, OtlpReceiver
from litespan.testing.decode import Record
from tests.support.program import environment

HERE: Final = Path(__file__).parent
LITELLM: Final = Path(sys.executable).with_name("litellm")
INSTRUMENT: Final = Path(sys.executable).with_name("opentelemetry-instrument")
GUARDRAIL: Final = "litellm.guardrail"
START: Final = 120.0  # s
MASTER: Final = "sk-" + "7f3a9c5e" * 8  # LiteLLM does not start with a weak one
KEY: Final = "sk-team-blue-0123456789"
FAST: Final = {
    "OTEL_BSP_SCHEDULE_DELAY": "100",
    "OTEL_METRIC_EXPORT_INTERVAL": "1000",
    "OTEL_LOGS_EXPORTER": "none",
    "OTEL_SERVICE_NAME": "gateway",
    "LITELLM_MASTER_KEY": MASTER,
}


@dataclass
class Proxy:
    """A proxy that serves.

    Attributes:
        url: its address.
        process: the command that was started; workers may be below it.
        log: what it has printed.
    """

    url: str
    process: "subprocess.Popen[bytes]"
    log: Path
    receiver: OtlpReceiver
    provider: LoopbackProvider
    clients: list[httpx.Client] = field(default_factory=list)

    def client(self, key: str = KEY, **headers: str) -> httpx.Client:
        """An HTTP client with a key."""
        client = httpx.Client(
            base_url=self.url,
            headers={"authorization": f"Bearer {key}", **headers},
            timeout=60,
        )
        self.clients.append(client)
        return client

    def said(self, words: str) -> list[str]:
        """The lines of its log that hold `words`."""
        return [line for line in self.log.read_text().splitlines() if words in line]

    def trace(self, call: Callable[[str], Any], count: int) -> list[Record]:
        """The spans of the trace that `call(traceparent)` makes, as soon as there are `count`.

        By their start. A moment longer is waited, so that one too many is seen.
        """
        trace_id = os.urandom(16).hex()
        call(f"00-{trace_id}-{'b7ad6b7169203331'}-01")
        return self.spans_of(trace_id, count)

    def spans_of(self, trace_id: str, count: int) -> list[Record]:
        """The spans of one trace without those of guardrails, as soon as there are `count`."""

        def found() -> list[Record]:
            spans = [span for span in self.of_trace(trace_id) if GUARDRAIL not in span["name"]]
            return sorted(spans, key=lambda span: (span["start"], span["end"]))

        until(lambda: len(found()) >= count, f"{count} spans of one trace")
        time.sleep(0.25)
        return found()

    def guardrails(self, trace_id: str) -> list[Record]:
        """The spans of the guardrails in a trace that has ended, by their start."""
        found = [span for span in self.of_trace(trace_id) if GUARDRAIL in span["name"]]
        return sorted(found, key=lambda span: span["start"])

    def of_trace(self, trace_id: str) -> list[Record]:
        """The spans of one trace so far."""
        return [span for span in self.receiver.spans if span["trace_id"] == trace_id]


def until(condition: Callable[[], Any], what: str, seconds: float = 60) -> None:
    """Wait for something that happens in another process."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"no {what} in {seconds} s"
        time.sleep(0.05)


def free_port() -> int:
    """An unused port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def proxy(
    folder: Path,
    config: Mapping[str, Any],
    provider: LoopbackProvider,
    receiver: OtlpReceiver,
    *arguments: str,
    env: Mapping[str, str] | None = None,
    instrument: bool = False,
    files: Mapping[str, str] | None = None,
    wait: bool = True,
) -> Iterator[Proxy]:
    """Start `litellm --config config.yaml` in `folder`; end it by SIGTERM and wait.

    `files` are written beside the config; `instrument`: under `opentelemetry-instrument`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.yaml").write_text(json.dumps(config, indent=1))
    for name, text in (files or {}).items():
        (folder / name).write_text(text)
    port = free_port()
    command = [str(INSTRUMENT), "--"] if instrument else []
    command += [str(LITELLM), "--config", "config.yaml", "--host", "127.0.0.1"]
    command += ["--port", str(port), "--telemetry", "False", *arguments]
    log = folder / "proxy.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=environment({**FAST, **receiver.env, **(env or {})}),
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    running = Proxy(f"http://127.0.0.1:{port}", process, log, receiver, provider)
    try:
        if wait:
            ready(running)
        yield running
    finally:
        for client in running.clients:
            client.close()
        stop(process)


def ready(running: Proxy) -> None:
    """Wait until the proxy serves."""
    deadline = time.monotonic() + START
    while True:
        assert running.process.poll() is None, running.log.read_text()[-4000:]
        assert time.monotonic() < deadline, running.log.read_text()[-4000:]
        try:
            if httpx.get(f"{running.url}/health/liveliness", timeout=5).status_code == 200:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.3)


def stop(process: "subprocess.Popen[bytes]", seconds: float = 30) -> None:
    """End a process group: SIGTERM to the leader, and SIGKILL to what is left."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def model(name: str, provider: LoopbackProvider, as_: str = "", **given: Any) -> dict[str, Any]:
    """A row of `model_list`, on the loopback provider. `behaviour` is that of its address."""
    behaviour = given.pop("behaviour", {})
    info = given.pop("info", None)
    row: dict[str, Any] = {
        "model_name": as_ or name.partition("/")[2] or name,
        "litellm_params": {
            "model": name,
            "api_base": provider.url_for(**behaviour),
            "api_key": "sk-provider-secret-0123456789",
            **given,
        },
    }
    if info is not None:
        row["model_info"] = info
    return row


def by_name(spans: Sequence[Record]) -> dict[str, Record]:
    """Spans by their names, which must differ."""
    found = {span["name"]: span for span in spans}
    assert len(found) == len(spans), [span["name"] for span in spans]
    return found
