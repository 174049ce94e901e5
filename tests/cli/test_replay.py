"""`litespan replay`: whole programs, real files, vendors that fail, processes that are killed."""

import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan

from litespan.export.http import HttpExporter
from litespan.stores.reading import records
from litespan_exporters.datadog import DatadogExporter
from litespan_exporters.helicone import HeliconeExporter
from litespan_exporters.jsonl import JsonlExporter
from litespan_exporters.langfuse import LangfuseExporter
from litespan_exporters.sqlite import SQLiteExporter
from tests.cases import CASES, CHAT, STARTED, span
from tests.stores.places import calls, expected, in_jsonl
from tests.support.program import environment
from tests.support.server import Received, Reply, Vendor, running
from tests.support.vendors import SECRET, VENDORS, Anyone
from tests.support.vendors.datadog import Datadog

pytestmark = pytest.mark.slow

EXPORTERS: dict[str, type[HttpExporter]] = {
    "helicone": HeliconeExporter,
    "langfuse": LangfuseExporter,
    "datadog": DatadogExporter,
}
MAIN = "import sys; from litespan.cli import main; sys.exit(main())"
STORES = {"jsonl": JsonlExporter, "sqlite": SQLiteExporter}


def stored(kind: str, folder: Path, spans: list[ReadableSpan]) -> Path:
    """A file of that kind with these calls in it."""
    path = folder / f"calls.{kind}"
    exporter = STORES[kind](path)
    exporter.export(spans)
    exporter.shutdown()
    return path


def variables(**vendors: Vendor) -> dict[str, str]:
    """What points the exporters to the vendors."""
    found = (EXPORTERS[name].variables_for(v.url, SECRET) for name, v in vendors.items())
    return {name: value for each in found for name, value in each.items()}


def command(*arguments: object) -> list[str]:
    """`litespan replay …`."""
    return [sys.executable, "-c", MAIN, "replay", *map(str, arguments)]


def replay(env: Mapping[str, str], *arguments: object) -> "subprocess.CompletedProcess[str]":
    """Run it to its end."""
    return subprocess.run(
        command(*arguments), env=environment(env), capture_output=True, text=True, check=False
    )


class Quick(Datadog):
    """The vendor without a look at each span, for thousands of them."""

    def rules(self, span: dict[str, Any]) -> None:
        """Take it as it is."""


@contextmanager
def vendor(name: str, rules: Anyone | None = None) -> Iterator[tuple[Vendor, Anyone]]:
    """The vendor on loopback, and what it has taken."""
    rules = rules or VENDORS[name]()
    with running(rules) as server:
        yield server, rules


@pytest.mark.parametrize("kind", STORES)
def test_each_call_reaches_each_exporter(kind: str, tmp_path: Path) -> None:
    """Each vendor receives every call once, in its own format; a second run sends nothing."""
    path = stored(kind, tmp_path, list(CASES.values()))
    with vendor("helicone") as (helicone, logs), vendor("langfuse") as (langfuse, spans):
        env = variables(helicone=helicone, langfuse=langfuse)
        done = replay(env, path, "--to", "helicone,langfuse")
        number = len(CASES)
        assert (done.stdout, done.returncode) == (
            f"helicone: {number} sent\nlangfuse: {number} sent\n",
            0,
        ), done.stderr
        assert (helicone.wrong, langfuse.wrong) == ([], [])
        assert [len(logs.taken), len(spans.taken)] == [number, number]
        again = replay(env, path, "--to", "helicone,langfuse")
        assert again.stdout == (
            f"helicone: 0 sent, {number} already delivered\n"
            f"langfuse: 0 sent, {number} already delivered\n"
        )
        assert {*logs.taken.values(), *spans.taken.values()} == {1}


@pytest.mark.parametrize("name", ["helicone", "datadog"])
def test_replay_sends_the_same_records_as_the_application(name: str, tmp_path: Path) -> None:
    """The records equal those of the application's spans."""
    whole = [case for c, case in CASES.items() if c not in ("unicode", "surrogate")]
    path = stored("jsonl", tmp_path, whole)
    with vendor(name) as (direct, wanted), vendor(name) as (replayed, found):
        env = variables(**{name: direct})
        program = "\n".join(
            (
                "from tests.cases import CASES",
                f"from {EXPORTERS[name].__module__} import {EXPORTERS[name].__name__} as Exporter",
                "exporter = Exporter()",
                "whole = [c for n, c in CASES.items() if n not in ('unicode', 'surrogate')]",
                "exporter.export(whole)",
                "exporter.shutdown()",
            )
        )
        root = Path(__file__).parents[2]
        subprocess.run([sys.executable, "-c", program], env=environment(env), cwd=root, check=True)
        assert replay(variables(**{name: replayed}), path, "--to", name).returncode == 0
    assert set(found.records) == set(wanted.records)
    for key, record in wanted.records.items():
        assert found.records[key] == record


def test_replay_stops_during_an_outage_and_continues_later(tmp_path: Path) -> None:
    """It stops soon, prints how to continue, and continues: each call is sent once."""
    path = stored("jsonl", tmp_path, calls(range(1000, 2600)))
    with vendor("datadog", Quick()) as (datadog, spans):
        up = [True]

        def fault(request: Received) -> Reply | None:
            up[0] = up[0] and len(spans.taken) < 700
            return None if up[0] else Reply(400)

        datadog.fault = fault
        env = variables(datadog=datadog)
        done = replay(env, path, "--to", "datadog")
        assert done.returncode == 1
        taken = len(spans.taken)
        assert 500 <= taken < 1600
        assert done.stdout == (
            f"datadog: {taken:,} sent, {1600 - taken:,} not accepted: run the same command again "
            "to continue\n"
        )
        assert "stopped: no exporter accepts calls at the moment" in done.stderr
        datadog.fault = None
        again = replay(env, path, "--to", "datadog")
        assert again.stdout == f"datadog: {1600 - taken:,} sent, {taken:,} already delivered\n"
        assert (len(spans.taken), {*spans.taken.values()}) == (1600, {1})


def test_after_a_stop_only_undelivered_calls_count_as_not_accepted(tmp_path: Path) -> None:
    """An earlier run has delivered one of the calls that follow the stop."""
    path = stored("jsonl", tmp_path, calls(range(1000, 1600)))
    *_, last = (record["key"] for record in records(str(path)))
    with vendor("datadog", Quick()) as (datadog, _):
        env = variables(datadog=datadog)
        assert replay(env, path, "--to", "datadog", "--call", last).stdout == "datadog: 1 sent\n"
        datadog.fault = lambda _: Reply(403)
        assert replay(env, path, "--to", "datadog").stdout == (
            "datadog: 0 sent, 1 already delivered, 599 not accepted: run the same command again to "
            "continue\n"
        )


def test_a_rejected_call_does_not_affect_the_others(tmp_path: Path) -> None:
    """The next run retries it."""
    bad = span(500, "chat", {**CHAT, "user.id": "mallory"})
    path = stored("jsonl", tmp_path, [*calls(range(1000, 1030)), bad, *calls(range(1030, 1060))])
    with vendor("helicone") as (helicone, logs):
        helicone.fault = lambda request: Reply(400) if b"mallory" in request.body else None
        env = variables(helicone=helicone)
        done = replay(env, path, "--to", "helicone")
        assert (done.returncode, len(logs.taken)) == (1, 60)
        assert done.stdout.startswith("helicone: 60 sent, 1 not accepted")
        helicone.fault = None
        assert replay(env, path, "--to", "helicone").stdout == (
            "helicone: 1 sent, 60 already delivered\n"
        )
        assert {*logs.taken.values()} == {1}


def test_the_next_run_continues_after_sigkill(tmp_path: Path) -> None:
    """After SIGKILL, the next run delivers every remaining call, with the same keys."""
    path = stored("sqlite", tmp_path, calls(range(1000, 4000)))
    with vendor("datadog", Quick()) as (datadog, spans):
        env = variables(datadog=datadog)
        enough, killed = threading.Event(), threading.Event()

        def hold(_: Received) -> None:
            if len(spans.taken) >= 1000:
                enough.set()
                killed.wait(60)

        datadog.fault = hold
        process = subprocess.Popen(command(path, "--to", "datadog"), env=environment(env))
        assert enough.wait(120)
        process.send_signal(signal.SIGKILL)
        process.wait()
        killed.set()
        datadog.fault = None
        before = len(spans.taken)
        done = replay(env, path, "--to", "datadog")
        assert done.returncode == 0, done.stderr
        assert before < len(spans.taken) == 3000
        twice = [key for key, times in spans.taken.items() if times > 1]
        assert len(twice) <= 500  # what was under way, with the same keys


def test_unfinished_calls_are_skipped_and_counted(tmp_path: Path) -> None:
    """Exporters accept only finished calls."""
    path = tmp_path / "calls.jsonl"
    exporter = JsonlExporter(path)
    exporter.export_started([STARTED, span(2, "chat", CHAT, end_ms=None)])
    exporter.export([CASES["chat"]])
    exporter.shutdown()
    done = replay({"LITESPAN_CSV": str(tmp_path / "out.csv")}, path, "--to", "csv")
    assert (done.stdout, done.returncode) == ("csv: 1 sent\n", 0)
    assert "1 unfinished call(s) skipped" in done.stderr


def test_calls_can_be_copied_between_any_two_stores(tmp_path: Path) -> None:
    """With `--since`, and a record file that the user names."""
    path = stored("sqlite", tmp_path, calls(range(1000, 1700)))
    env = {"LITESPAN_JSONL": str(tmp_path / "out.jsonl"), "LITESPAN_SQLITE": str(path)}
    notes = tmp_path / "notes"
    late = replay(env, "sqlite", "--to", "jsonl", "--since", "2026-12-01", "--state", notes)
    assert late.stdout == "jsonl: 0 sent\n"
    assert replay(env, "sqlite", "--to", "jsonl", "--state", notes).stdout == "jsonl: 700 sent\n"
    assert in_jsonl(tmp_path / "out.jsonl").read() == expected(calls(range(1000, 1700)))
    assert sorted(f.name for f in tmp_path.iterdir()) == ["calls.sqlite", "notes", "out.jsonl"]


def test_exporters_of_the_sdk_can_be_used(tmp_path: Path) -> None:
    """Here the SDK's console exporter."""
    path = stored("jsonl", tmp_path, [CASES["chat"]])
    done = replay({}, path, "--to", "console")
    assert '"name": "chat gpt-4o-mini"' in done.stdout
    assert done.stdout.endswith("console: 1 sent\n")


def test_a_second_replay_with_the_same_record_file_is_refused(tmp_path: Path) -> None:
    """Two runs with the same file would send calls twice."""
    path = stored("jsonl", tmp_path, calls([1]))
    holder = sqlite3.connect(f"{path}.replay", isolation_level=None)
    holder.execute("begin exclusive")
    done = replay({"LITESPAN_CSV": str(tmp_path / "x.csv")}, path, "--to", "csv")
    assert done.returncode == 2
    assert done.stderr == (
        f"litespan replay: cannot use {path}.replay: database is locked; another replay uses it: "
        "wait until it ends\n"
    )
    holder.close()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["calls.jsonl", "--to", "nobody"], "no exporter is called 'nobody'; installed are "),
        (["calls.jsonl", "--to", "helicone"], "HELICONE_API_KEY is not set: helicone export is"),
        (["calls.jsonl", "--to", " ,"], "argument --to: name at least one exporter, such as "),
        (["missing.jsonl", "--to", "csv"], "there is no file missing.jsonl"),
        (["calls.jsonl"], "the following arguments are required: --to"),
        (["calls.jsonl", "--to", "csv", "--since", "soon"], "argument --since: cannot read 'soon'"),
        (["calls.jsonl", "--to", "csv", "--state", "no/folder"], "cannot use no/folder: unable"),
    ],
)
def test_bad_input_is_one_line_and_status_2(
    arguments: list[str], said: str, tmp_path: Path
) -> None:
    """One line has the mistake; nothing is sent."""
    stored("jsonl", tmp_path, calls([1]))
    env = environment({"LITESPAN_CSV": str(tmp_path / "out.csv")})
    env = {name: value for name, value in env.items() if not name.startswith("HELICONE")}
    done = subprocess.run(
        command(*arguments), env=env, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert f"litespan replay: {said}" in done.stderr
    assert [file.name for file in tmp_path.iterdir()] == ["calls.jsonl"]
