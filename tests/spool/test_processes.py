"""Processes that die: the next one delivers what they have written to the spool."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from litespan.cli import main
from litespan.spool.overview import overview
from litespan.testing import LoopbackProvider
from litespan_exporters.helicone import HeliconeExporter
from tests.spool.calls import Destination, destination
from tests.support.program import PYTHON, environment
from tests.support.vendors import SECRET

pytestmark = pytest.mark.slow

CALLS = """
    import time
    import litellm

    for _ in range(30):
        litellm.completion("openai/gpt-4o-mini", [{"role": "user", "content": "Hello"}])
    time.sleep(600)
"""
FORKS = """
    import os, sys, time
    from opentelemetry.sdk.trace import TracerProvider
    from litespan.spool import batches
    from litespan_exporters.helicone import HeliconeExporter

    provider = TracerProvider()
    provider.add_span_processor(batches(HeliconeExporter()))
    tracer = provider.get_tracer("spooled")

    def call(number):
        for _ in range(number):
            tracer.start_span("chat m", attributes={"gen_ai.operation.name": "chat"}).end()

    call(20)
    os.fork()
    print(os.getpid(), flush=True)
    call(20)
    time.sleep(600)
"""

HANDLER = """
    import json, os, time
    import litellm
    import litespan

    class Audit:
        def log_success_event(self, kwargs, response_obj, start_time, end_time):
            print(json.dumps({"id": kwargs["litellm_call_id"], **kwargs["litespan"]}), flush=True)
            if "STUCK" in os.environ:
                time.sleep(600)

    litespan.add_callback(Audit(), concurrency=1)
    if "STUCK" in os.environ:
        for number in range(3):
            messages = [{"role": "user", "content": "Hello"}]
            litellm.completion("openai/gpt-4o-mini", messages, litellm_call_id=f"call-{number}")
        time.sleep(600)
    for _ in range(1200):
        if litespan.stats().get("callbacks.__main__.Audit.delivered") == 3:
            break
        time.sleep(0.05)
"""


def started(
    program: str, env: Mapping[str, str], *, instrument: bool = False
) -> subprocess.Popen[str]:
    """A running program."""
    command = [str(PYTHON.with_name("opentelemetry-instrument"))] if instrument else []
    command += [str(PYTHON), "-c", textwrap.dedent(program)]
    return subprocess.Popen(command, env=environment(env), stdout=subprocess.PIPE, text=True)


def line(program: subprocess.Popen[str]) -> str:
    """The next line that a program prints."""
    assert program.stdout is not None
    return program.stdout.readline()


def litespan(*arguments: str, env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """One command, run to its end."""
    command = "import sys; from litespan.cli import main; sys.exit(main())"
    return subprocess.run(
        [sys.executable, "-c", command, *arguments],
        env=environment(env),
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )


def eventually(done: Callable[[], object]) -> None:
    """Wait until `done()`."""
    until = time.monotonic() + 120
    while not done():
        assert time.monotonic() < until
        time.sleep(0.02)


def waiting(folder: Path) -> dict[str, int]:
    """The number of calls by exporter."""
    found: dict[str, int] = {}
    for each in overview(folder).waiting if folder.exists() else ():
        found[each.exporter] = found.get(each.exporter, 0) + each.calls
    return found


def variables(vendor: Destination, folder: Path) -> dict[str, str]:
    """The environment of a program that sends to the vendor through the spool."""
    return {
        "OTEL_TRACES_EXPORTER": "helicone",
        "OTEL_METRICS_EXPORTER": "none",
        "OTEL_LOGS_EXPORTER": "none",
        "LITESPAN_SPOOL": str(folder),
        **HeliconeExporter.variables_for(vendor.vendor.url, SECRET),
    }


def test_kill_9_loses_no_call_that_was_written(
    loopback: LoopbackProvider, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Another process delivers each call to each exporter, once."""
    folder, rows = tmp_path / "spool", tmp_path / "calls.jsonl"
    with destination() as vendor:
        env = {
            **variables(vendor, folder),
            "OTEL_TRACES_EXPORTER": "helicone,jsonl",
            "OTEL_BSP_SCHEDULE_DELAY": "600000",  # nothing is delivered before the end
            "OPENAI_BASE_URL": loopback.url,
            "OPENAI_API_KEY": "sk-loopback",
            "LITESPAN_JSONL": str(rows),
        }
        program = started(CALLS, env, instrument=True)
        eventually(lambda: waiting(folder) == {"helicone": 30, "jsonl": 30})
        os.kill(program.pid, signal.SIGKILL)
        program.communicate()
        assert main(["spool", "--json", str(folder)]) == 0
        assert {row["calls"] for row in json.loads(capsys.readouterr().out)["waiting"]} == {30}
        drained = litespan("spool", "--drain", env=env)
    assert (drained.returncode, drained.stdout) == (0, "no calls are waiting\n"), drained.stderr
    assert (len(vendor.taken), set(vendor.taken.values())) == (30, {1})
    assert len({json.loads(line)["key"] for line in rows.read_text().splitlines()}) == 30
    assert len(rows.read_text().splitlines()) == 30


def test_processes_and_forks_share_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A forked child has a file of its own; what they leave is delivered once."""
    folder = tmp_path / "spool"
    with destination() as vendor:
        vendor.status = 401
        env = {**variables(vendor, folder), "OTEL_BSP_SCHEDULE_DELAY": "600000"}
        programs = [started(FORKS, env) for _ in range(2)]
        ids = [int(line(program)) for program in programs for _ in range(2)]
        eventually(lambda: waiting(folder) == {"helicone": 120})
        files = overview(folder).waiting
        assert sorted(each.calls for each in files) == [20, 20, 40, 40]
        for name, value in env.items():
            monkeypatch.setenv(name, value)
        assert main(["spool", "--drain"]) == 0  # there is nothing that it may take
        assert capsys.readouterr().out.count("in use by a running process") == 4
        for number in ids:
            os.kill(number, signal.SIGKILL)
        for program in programs:
            program.communicate()
        assert (main(["spool", "--drain"]), waiting(folder)) == (1, {"helicone": 120})
        vendor.status = 200
        assert main(["spool", "--drain"]) == 0
    assert (len(vendor.taken), set(vendor.taken.values())) == (120, {1})


def test_kill_9_loses_no_end_that_a_handler_has_not_received(
    loopback: LoopbackProvider,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The next program with the handler delivers all, also the one during which it was killed."""
    env = {
        "OTEL_TRACES_EXPORTER": "none",
        "OTEL_METRICS_EXPORTER": "none",
        "OTEL_LOGS_EXPORTER": "none",
        "OPENAI_BASE_URL": loopback.url,
        "OPENAI_API_KEY": "sk-loopback",
        "LITESPAN_SPOOL": str(tmp_path),
    }
    name = "handler:__main__.Audit"
    program = started(HANDLER, {**env, "STUCK": "1"}, instrument=True)
    first = json.loads(line(program))
    eventually(lambda: waiting(tmp_path) == {name: 3})
    os.kill(program.pid, signal.SIGKILL)
    program.communicate()
    monkeypatch.setenv("LITESPAN_SPOOL", str(tmp_path))
    assert main(["spool", "--drain"]) == 1  # a handler exists in its program only
    assert f"litespan spool: {name}: only a program that registers" in capsys.readouterr().err
    program = started(HANDLER, env, instrument=True)
    late = [json.loads(each) for each in program.communicate(timeout=120)[0].splitlines()]
    assert [each["id"] for each in late] == ["call-0", "call-1", "call-2"]
    assert (first["late"], [each["late"] for each in late]) == (False, [True] * 3)
    assert late[0]["key"] == first["key"]
    assert list(tmp_path.iterdir()) == []
