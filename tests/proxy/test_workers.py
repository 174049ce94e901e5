"""Several workers: each exports its own spans once, and none is lost at exit."""

import os
import signal
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from litespan.testing import LoopbackProvider, OtlpReceiver
from tests.proxy.conftest import FILES, config
from tests.proxy.running import GUARDRAIL, KEY, Proxy, proxy, stop, until
from tests.support.program import run

CHAT: Final = {"model": "chat", "messages": [{"role": "user", "content": "Hi"}]}
DELAY: Final = 4.0  # s between exports: long enough to end the proxy in between
ENV: Final = {
    "OTEL_BSP_SCHEDULE_DELAY": str(int(DELAY * 1000)),
    "OTEL_EXPERIMENTAL_RESOURCE_DETECTORS": "process",
    "OTEL_METRICS_EXPORTER": "none",
}
OURS: Final = 2  # spans of litespan below the server span: router and call


def ask(running: Proxy, count: int) -> list[str]:
    """Make requests, eight at once, each on a connection of its own; their trace ids."""

    def one(_: int) -> str:
        trace_id = os.urandom(16).hex()
        headers = {
            "authorization": f"Bearer {KEY}",
            "traceparent": f"00-{trace_id}-b7ad6b7169203331-01",
        }
        url = f"{running.url}/v1/chat/completions"
        assert httpx.post(url, json=CHAT, headers=headers, timeout=60).status_code == 200
        return trace_id

    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(one, range(count)))


def delivered(running: Proxy, trace_ids: Iterable[str]) -> "Counter[str]":
    """How many spans below the server span have come, by trace."""
    wanted = set(trace_ids)
    return Counter(
        span["trace_id"]
        for span in running.receiver.spans
        if span["trace_id"] in wanted
        and span["scope"] == "litespan"
        and span["kind"] != "SERVER"
        and GUARDRAIL not in span["name"]
    )


def arrive(running: Proxy, trace_ids: list[str], seconds: float = 3 * DELAY) -> None:
    """Every request's spans come, each once."""
    until(
        lambda: sum(delivered(running, trace_ids).values()) >= OURS * len(trace_ids),
        f"spans of {len(trace_ids)} requests, but {sum(delivered(running, trace_ids).values())}",
        seconds,
    )
    time.sleep(0.3)
    counts = delivered(running, trace_ids)
    assert {trace: counts[trace] for trace in trace_ids if counts[trace] != OURS} == {}


def children(pid: int) -> set[int]:
    """The processes below `pid`, all the way down."""
    below: set[int] = set()
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            below |= {int(child)} | children(int(child))
    return below


def ended(pid: int) -> bool:
    """Whether a process has, though its parent may not have looked at it yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def exporting(running: Proxy) -> set[int]:
    """The processes that have exported spans."""
    return {int(resource.get("process.pid", 0)) for resource in running.receiver.resources}


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    """A process that does nothing meanwhile."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


WAYS: Any = [
    pytest.param(
        ("--num_workers", "2", "--timeout_worker_healthcheck", "120"), False, id="uvicorn"
    ),
    pytest.param(("--num_workers", "2", "--run_gunicorn"), False, id="gunicorn"),
    pytest.param(("--num_workers", "2", "--run_gunicorn"), True, id="gunicorn, instrumented"),
]


@pytest.mark.parametrize(("arguments", "instrument"), WAYS)
def test_two_workers_export_each_span_once(
    loopback: LoopbackProvider, tmp_path: Path, arguments: tuple[str, ...], instrument: bool
) -> None:
    """A killed worker is replaced, and no span is lost at exit."""
    settings = config(loopback)
    if instrument:
        settings["litellm_settings"] = {}
    with (
        OtlpReceiver() as receiver,
        proxy(
            tmp_path / "gateway",
            settings,
            loopback,
            receiver,
            *arguments,
            files=FILES,
            env=ENV,
            instrument=instrument,
        ) as running,
    ):
        arrive(running, ask(running, 16))
        until(lambda: len(running.said("Application startup complete")) == 2, "second worker")
        with stopped(min(exporting(running))):  # an idle worker may take all connections
            seen = ask(running, 16)
        arrive(running, seen)
        assert len(exporting(running)) == 2
        killed = min(exporting(running) & children(running.process.pid))
        os.kill(killed, signal.SIGKILL)
        until(lambda: ended(killed), "end of the killed worker")
        until(lambda: _serves(running), "answer after a worker was killed", 120)
        arrive(running, ask(running, 16))
        last = ask(running, 16)
        stop(running.process)
        arrive(running, last, 1)


def test_codecs_are_imported_before_gunicorn_forks() -> None:
    """A LiteLLM thread opens files as ASCII while gunicorn forks: a worker could hang."""
    program = "import litellm.proxy.proxy_server, sys; print('encodings.ascii' in sys.modules)"
    env = {"OTEL_TRACES_EXPORTER": "none", "OTEL_METRICS_EXPORTER": "none"}
    ran = run(program, env=env, instrument=True)
    assert ran.stdout.splitlines()[-1:] == ["True"], ran.stderr


def _serves(running: Proxy) -> bool:
    try:
        for _ in range(8):
            ask(running, 1)
    except httpx.HTTPError:
        return False
    return True
