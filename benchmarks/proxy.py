"""LiteLLM's proxy under load, without litespan, with it, and with LiteLLM's own integrations.

All proxies run at once, each one worker, in front of one loopback provider; blocks of requests
over HTTP, short ones, take turns among them in random order. CPU is user and system time of the
proxy's process, from the start of one of its blocks to the start of its next, so that what it
exports later is counted, too. Each round gives a ratio to the bare proxy; the median and the
quartiles of the rounds are printed. Delivered: received spans of calls divided by requests.

With `--instructions`, it counts those instead, of fewer proxies and requests.
"""

import asyncio
import json
import os
import random
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack, ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from benchmarks import _instructions, _paired

ROUNDS, QUICK, COUNTED = 40, 8, 2  # of each kind
REQUESTS = 24  # a block
WARM_UP = 4  # blocks
AT_ONCE = 8
START = 300.0  # s
DRAIN = 90.0  # s
BARE = "bare"
KEY = "sk-" + "7f3a9c5e" * 8
KINDS = ("plain", "streamed")
HERE = Path(sys.executable).parent
OURS = {"callbacks": "litespan.proxy.handler"}
SPANS = {"OTEL_METRICS_EXPORTER": "none", "OTEL_LOGS_EXPORTER": "none"}
BODY = {
    "model": "chat",
    "messages": [
        {"role": "system", "content": "You are a helpful assistant of a shop."},
        {"role": "user", "content": "Which of your bicycles suits a person of 1.90 m? " * 8},
    ],
    "user": "ada",
}


@dataclass(frozen=True)
class Way:
    """How a proxy is observed: its `litellm_settings`, its variables, who starts it.

    `{sink}` in a value is the address of the sink.
    """

    settings: Mapping[str, Any] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)
    instrument: bool = False


LANGFUSE = {"LANGFUSE_PUBLIC_KEY": "pk-lf-benchmark", "LANGFUSE_SECRET_KEY": "sk-lf-benchmark"}
WAYS = {
    BARE: Way(),
    "litespan": Way(OURS, SPANS),
    "its spans, by hand": Way(
        {"callbacks": "benchmarks._by_hand.handler"},
        {**SPANS, "PYTHONPATH": str(Path(__file__).parent.parent)},
    ),
    "litespan, under opentelemetry-instrument": Way({}, SPANS, instrument=True),
    "litespan, with metrics": Way(OURS, {"OTEL_LOGS_EXPORTER": "none"}),
    "litespan, and a vendor that hangs": Way(
        OURS,
        {
            **SPANS,
            **LANGFUSE,
            "OTEL_TRACES_EXPORTER": "otlp,langfuse",
            "LANGFUSE_BASE_URL": "{sink}/hangs",
        },
    ),
    "LiteLLM's `otel`": Way(
        {"callbacks": ["otel"]}, {"OTEL_EXPORTER": "otlp_http", "OTEL_ENDPOINT": "{sink}/{name}"}
    ),
    "LiteLLM's `langfuse_otel`": Way(
        {"callbacks": ["langfuse_otel"]}, {**LANGFUSE, "LANGFUSE_OTEL_HOST": "{sink}/{name}"}
    ),
}


# Measured with `--instructions`, under which a proxy takes twenty times as long.
FEWER = (BARE, "litespan", "its spans, by hand")
ONCE_A_BLOCK = {"OTEL_BSP_SCHEDULE_DELAY": "45000"}  # ms
EXPORTED = 50.0  # s, by when all spans of a block are


@dataclass
class Proxy:
    """A running proxy and its measurements by kind of request."""

    url: str
    process: "subprocess.Popen[bytes]"
    log: Path
    sent: int = 0
    begun: tuple[str, float] | None = None  # kind and CPU at the start of its last block
    cpu: dict[str, list[float]] = field(default_factory=dict)  # s a request, by round
    latency: dict[str, list[float]] = field(default_factory=dict)  # s, of every request
    rate: dict[str, list[float]] = field(default_factory=dict)  # requests a second, by round
    counter: _instructions.Counter | None = None
    threads: dict[str, int] = field(default_factory=dict)  # ns of CPU, of those that ended, too

    def seconds(self) -> float:
        """CPU of its process so far; finer than the hundredths of `/proc/…/stat`."""
        for task in Path(f"/proc/{self.process.pid}/task").iterdir():
            with suppress(OSError):  # it has just ended
                self.threads[task.name] = int((task / "schedstat").read_text().split()[0])
        return sum(self.threads.values()) / 1e9

    def next_block(self, kind: str) -> None:
        """End the window of the last block, and start one."""
        now = self.seconds() if self.counter is None else self.counter.read() / 1e9
        if self.begun is not None:
            last, before = self.begun
            self.cpu.setdefault(last, []).append((now - before) / REQUESTS)
        self.begun = (kind, now)
        if self.counter is not None:
            self.counter.start()
            self.begun = (kind, 0.0)


def run(*, quick: bool) -> None:
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        provider = stack.enter_context(helper("litespan.testing.provider"))
        sink = stack.enter_context(helper("benchmarks._sink"))
        proxies = {
            name: stack.enter_context(started(Path(folder), name, way, provider, sink))
            for name, way in WAYS.items()
            if name in FEWER or not _instructions.wanted()
        }
        for proxy in proxies.values():
            ready(proxy)
        rounds = COUNTED if _instructions.wanted() else QUICK if quick else ROUNDS
        asyncio.run(_load(proxies, rounds))
        counts = {name: delivered(proxy, name, sink) for name, proxy in proxies.items()}
        for kind in KINDS:
            show(kind, proxies, counts)


@contextmanager
def helper(module: str) -> Iterator[str]:
    """A server in a separate process, which prints its address first."""
    process = subprocess.Popen([sys.executable, "-m", module], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
    finally:
        process.kill()
        process.wait()


def slug(name: str) -> str:
    """A name as a segment of a path."""
    return "".join(c if c.isalnum() else "-" for c in name)


@contextmanager
def started(folder: Path, name: str, way: Way, provider: str, sink: str) -> Iterator[Proxy]:
    """A proxy that is starting."""
    place = folder / slug(name)
    place.mkdir()
    deployment = {"model": "openai/gpt-4o-mini", "api_base": provider, "api_key": "sk-provider"}
    config = {
        "model_list": [{"model_name": "chat", "litellm_params": deployment}],
        "litellm_settings": dict(way.settings),
    }
    (place / "config.yaml").write_text(json.dumps(config))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [str(HERE / "opentelemetry-instrument"), "--"] if way.instrument else []
    command += [str(HERE / "litellm"), "--config", "config.yaml", "--host", "127.0.0.1"]
    command += ["--port", str(port), "--telemetry", "False"]
    if _instructions.wanted():
        command = [*_instructions.command(place), sys.executable, *command]
    env = {k: v for k, v in os.environ.items() if not k.startswith(("OTEL_", "LITESPAN_"))}
    env |= {
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "LITELLM_MASTER_KEY": KEY,
        "LITELLM_LOG": "ERROR",
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"{sink}/{slug(name)}",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
    }
    env |= {k: v.format(sink=sink, name=slug(name)) for k, v in way.env.items()}
    if _instructions.wanted():
        env |= ONCE_A_BLOCK  # as at full speed
    log = place / "proxy.log"
    with log.open("wb") as out:
        process = subprocess.Popen(command, cwd=place, env=env, stdout=out, stderr=out)
    try:
        yield Proxy(f"http://127.0.0.1:{port}", process, log)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(DRAIN)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def ready(proxy: Proxy) -> None:
    """Wait until it serves."""
    deadline = time.monotonic() + START
    while True:
        if proxy.process.poll() is not None or time.monotonic() > deadline:
            raise SystemExit(f"a proxy did not start:\n{proxy.log.read_text()[-3000:]}")
        try:
            if httpx.get(f"{proxy.url}/health/liveliness", timeout=5).status_code == 200:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.5)


async def _load(proxies: Mapping[str, Proxy], rounds: int) -> None:
    """Alternating blocks of both kinds, after a warm-up."""
    headers = {"authorization": f"Bearer {KEY}"}
    # uvicorn closes idle connections after 5 s, maybe just as a request comes
    limits = httpx.Limits(max_connections=AT_ONCE, keepalive_expiry=2)
    async with AsyncExitStack() as stack:
        clients = {
            name: await stack.enter_async_context(
                httpx.AsyncClient(base_url=p.url, headers=headers, limits=limits, timeout=120)
            )
            for name, p in proxies.items()
        }
        for kind in KINDS * (1 if _instructions.wanted() else WARM_UP):
            for name, proxy in proxies.items():
                await _block(proxy, clients[name], kind)
        if _instructions.wanted():
            await asyncio.sleep(EXPORTED)
        for proxy in proxies.values():
            proxy.cpu, proxy.latency, proxy.rate, proxy.begun = {}, {}, {}, None
            if _instructions.wanted():
                proxy.counter = _instructions.Counter(proxy.process.pid, proxy.log.parent)
        names = list(proxies)
        shuffle = random.Random(1).shuffle
        for kind in KINDS * rounds:
            shuffle(names)
            if _instructions.wanted():  # one does not affect the others
                await asyncio.gather(*[_block(proxies[n], clients[n], kind) for n in names])
                await asyncio.sleep(EXPORTED)
                continue
            for name in names:
                await _block(proxies[name], clients[name], kind)
        for proxy in proxies.values():
            proxy.next_block("end")


async def _block(proxy: Proxy, client: httpx.AsyncClient, kind: str) -> None:
    proxy.next_block(kind)
    took: list[float] = []
    left = iter(range(REQUESTS))
    body = {**BODY, "stream": True} if kind == "streamed" else BODY

    async def one_client() -> None:
        for _ in left:
            begun = time.perf_counter()
            headers = {"traceparent": f"00-{os.urandom(16).hex()}-b7ad6b7169203331-01"}
            answer = await client.post("/v1/chat/completions", json=body, headers=headers)
            assert answer.status_code == 200, answer.text
            took.append(time.perf_counter() - begun)

    begun = time.perf_counter()
    await asyncio.gather(*(one_client() for _ in range(AT_ONCE)))
    proxy.rate.setdefault(kind, []).append(REQUESTS / (time.perf_counter() - begun))
    proxy.latency.setdefault(kind, []).extend(took)
    proxy.sent += REQUESTS


def delivered(proxy: Proxy, name: str, sink: str) -> float:
    """Spans of calls ÷ requests, after the last one arrives."""
    deadline = time.monotonic() + DRAIN
    while True:
        calls = int(httpx.get(f"{sink}/{slug(name)}", timeout=60).json()["calls"])
        if calls >= proxy.sent or name == BARE or time.monotonic() > deadline:
            return calls / proxy.sent
        time.sleep(1)


def show(kind: str, proxies: Mapping[str, Proxy], counts: Mapping[str, float]) -> None:
    """A table of one kind of requests."""
    bare = proxies[BARE]
    unit = "millions of instructions" if _instructions.wanted() else "ms CPU"
    print(
        f"| {kind} | CPU, to bare | quartiles | {unit} | p50, to bare | p99, to bare "
        "| requests/s | delivered |\n|---|---|---|---|---|---|---|---|"
    )
    for name, proxy in proxies.items():
        ratios = [a / b for a, b in zip(proxy.cpu[kind], bare.cpu[kind], strict=True)]
        middle, low, high = _paired.quartiles(ratios)
        p50, p99 = (
            _percentile(proxy.latency[kind], share) / _percentile(bare.latency[kind], share)
            for share in (0.5, 0.99)
        )
        came = "" if name == BARE else f"{counts[name]:.1%}"
        print(
            f"| {name} | {middle:.2f} | {low:.2f} to {high:.2f} "
            f"| {statistics.median(proxy.cpu[kind]) * 1e3:.1f} | {p50:.2f} | {p99:.2f} "
            f"| {statistics.median(proxy.rate[kind]):.0f} | {came} |",
            flush=True,
        )
    print()


def _percentile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
