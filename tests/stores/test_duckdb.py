"""The DuckDB store: one process at a time, crashes, full disks."""

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import pytest
from opentelemetry.sdk.trace.export import SpanExportResult

from litespan.stores.columns import COLUMNS
from litespan_exporters.duckdb_file import TYPES, DuckDBExporter
from tests.cases import CASES
from tests.stores.disks import small_disk
from tests.stores.places import calls, expected, in_duckdb

pytestmark = pytest.mark.slow

OK, FAILED = SpanExportResult.SUCCESS, SpanExportResult.FAILURE
ROOT = Path(__file__).parents[2]
QUICK: dict[str, Any] = {"backoff": 0.02, "max_backoff": 0.05, "patience": 2.0}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the store goes."""
    return tmp_path / "calls.duckdb"


def program(body: str, *arguments: object) -> "subprocess.Popen[str]":
    """A process of its own that has the exporter and spans at hand."""
    head = """
        import os, sys, time
        import duckdb
        from litespan_exporters.duckdb_file import DuckDBExporter
        from tests.stores.places import calls
    """
    source = textwrap.dedent(head) + textwrap.dedent(body)
    return subprocess.Popen(
        [sys.executable, "-c", source, *map(str, arguments)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


@contextmanager
def held_by_another(path: Path) -> Iterator[None]:
    """Another process has the file open, as `duckdb FILE` in a terminal has."""
    process = program("c = duckdb.connect(sys.argv[1]); print(1, flush=True); input()", path)
    assert process.stdout is not None
    process.stdout.readline()
    try:
        yield
    finally:
        process.communicate("\n", timeout=30)


def logged(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What litespan has logged."""
    return [r.getMessage() for r in caplog.records if r.name == "litespan"]


def test_the_table_has_the_documented_columns_and_types(path: Path) -> None:
    """Including an exact cost and the key."""
    exporter = DuckDBExporter(path)
    assert exporter.export([CASES["chat"]]) is OK
    exporter.shutdown()
    with duckdb.connect(path) as connection:
        described = connection.execute("describe llm_calls").fetchall()
        total = connection.execute("select sum(cost_usd)::varchar from llm_calls").fetchone()
    assert [(name, kind) for name, kind, *_ in described] == [
        (c.name, TYPES[c.kind]) for c in COLUMNS
    ]
    assert [name for name, _, _, key, *_ in described if key == "PRI"] == ["key"]
    assert total == ("0.0000090000",)


def test_missing_columns_are_added_to_an_older_table(path: Path) -> None:
    """Its rows and the user's own columns stay."""
    with duckdb.connect(path) as connection:
        connection.execute("create table llm_calls (mine int, key uuid primary key, outcome text)")
        connection.execute("insert into llm_calls values (1, gen_random_uuid(), 'success')")
    exporter = DuckDBExporter(path)
    assert exporter.export([CASES["chat"]]) is OK
    exporter.shutdown()
    with duckdb.connect(path) as connection:
        found = connection.execute("select mine, user_id from llm_calls order by mine").fetchall()
    assert found == [(1, None), (None, "user-42")]


def test_a_column_of_another_type_is_refused(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """No inexact cost is written; one line has the column."""
    with duckdb.connect(path) as connection:
        connection.execute("create table llm_calls (key uuid primary key, cost_usd double)")
    exporter = DuckDBExporter(path, **QUICK)
    assert exporter.export([CASES["chat"]]) is FAILED
    exporter.shutdown()
    assert f"llm_calls.cost_usd in {path} is DOUBLE, not DECIMAL(18,10)" in logged(caplog)[0]


def test_rows_are_kept_while_another_process_has_the_file_open(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """One line has the fix, and all rows are written afterwards."""
    exporter = DuckDBExporter(path, **QUICK)
    assert exporter.export(calls([1])) is OK
    assert exporter.force_flush()
    exporter.shutdown()
    exporter = DuckDBExporter(path, **QUICK)
    with held_by_another(path):
        assert exporter.export(calls([2])) is FAILED
        assert exporter.export(calls([3])) is FAILED
    assert exporter.force_flush(10_000)
    exporter.shutdown()
    assert in_duckdb(path).read() == expected(calls([1, 2, 3]))
    (line,) = logged(caplog)
    assert "another process has it open; use one file for each process" in line


def test_processes_take_turns_to_write_one_file(path: Path) -> None:
    """Three processes write small batches; every row is there."""
    body = """
        exporter = DuckDBExporter(sys.argv[1])
        first = int(sys.argv[2])
        for start in range(first, first + 50, 10):
            exporter.export(calls(range(start, start + 10)))
            time.sleep(0.3)
        sys.exit(not exporter.force_flush())
    """
    processes = [program(body, path, start) for start in (1000, 2000, 3000)]
    assert [process.wait(60) for process in processes] == [0, 0, 0]
    wanted = [n for start in (1000, 2000, 3000) for n in range(start, start + 50)]
    assert in_duckdb(path).read() == expected(calls(wanted))


def test_a_script_without_shutdown_ends_cleanly(path: Path) -> None:
    """DuckDB would complain or abort at exit if its file were open."""
    body = """
        from litespan_exporters.duckdb_file import DuckDBExporter
        from tests.stores.places import calls
        exporter = DuckDBExporter(sys.argv[1], patience=60.0)
        exporter.export(calls([1]))
    """
    source = "import sys\n" + textwrap.dedent(body)
    command = [sys.executable, "-c", source, str(path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert in_duckdb(path).read() == expected(calls([1]))


def test_each_process_can_have_its_own_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`{pid}` in the name is the process id, also in a forked child."""
    monkeypatch.setenv("LITESPAN_DUCKDB", str(tmp_path / "calls-{pid}.duckdb"))
    exporter = DuckDBExporter()
    exporter.export(calls([1]))
    child = os.fork()
    if child == 0:
        exporter.export(calls([2]))
        exporter.shutdown()
        os._exit(0)
    os.waitpid(child, 0)
    exporter.shutdown()
    mine, childs = (tmp_path / f"calls-{pid}.duckdb" for pid in (os.getpid(), child))
    assert in_duckdb(mine).read() == expected(calls([1]))
    assert in_duckdb(childs).read() == expected(calls([2]))


def test_exported_rows_survive_sigkill(path: Path) -> None:
    """Rows that were exported with SUCCESS are there, and the file is intact."""
    body = """
        exporter = DuckDBExporter(sys.argv[1])
        for start in range(1000, 9000, 10):
            print(exporter.export(calls(range(start, start + 10))).name, flush=True)
    """
    process = program(body, path)
    assert process.stdout is not None
    lines = [process.stdout.readline() for _ in range(5)]
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert lines == ["SUCCESS\n"] * 5
    exporter = DuckDBExporter(path)
    assert exporter.export(calls([1])) is OK
    exporter.shutdown()
    found = in_duckdb(path).read()
    assert [row for row in expected(calls([1, *range(1000, 1050)])) if row not in found] == []


def test_parent_and_child_write_after_a_fork_while_open(path: Path) -> None:
    """The fork happens while the file is open, for a tenth of a second."""
    exporter = DuckDBExporter(path, idle=60.0)
    assert exporter.export(calls([1])) is OK
    child = os.fork()
    if child == 0:
        code = 1
        try:
            code = 0 if exporter.export(calls([2])) is OK else 2
            exporter.shutdown()
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert exporter.export(calls([3])) is OK
    exporter.shutdown()
    assert in_duckdb(path).read() == expected(calls([1, 2, 3]))


def test_a_full_disk_delays_rows_and_loses_none(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Rows are kept, the file stays intact, and all rows are written when there is space."""
    with small_disk(tmp_path / "disk", 3_000_000) as disk:
        path = disk.folder / "calls.duckdb"
        exporter = DuckDBExporter(path, **QUICK)
        batches = [calls(range(n, n + 200)) for n in range(1000, 7000, 200)]
        results = [exporter.export(batch) for batch in batches]
        assert (results[0], results[-1]) == (OK, FAILED)
        disk.grow()
        assert exporter.force_flush(20_000)
        exporter.shutdown()
        assert in_duckdb(path).read() == expected(calls(range(1000, 7000)))
    assert [line.split(" (")[0] for line in logged(caplog)] != []


def test_a_file_of_another_program_is_unchanged(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """One line has the reason."""
    path.write_text("dear diary" * 1000)
    exporter = DuckDBExporter(path, **QUICK)
    assert exporter.export([CASES["chat"]]) is FAILED
    exporter.shutdown()
    assert path.read_text() == "dear diary" * 1000
    assert "use a DuckDB file or a new one" in logged(caplog)[0]
