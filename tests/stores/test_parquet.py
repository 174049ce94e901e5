"""The Parquet store: whole files only, by day, not too many."""

import random
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet
import pytest
from opentelemetry.sdk.trace.export import SpanExportResult

from litespan.stores.columns import COLUMNS
from litespan_exporters.parquet import ParquetExporter
from tests.cases import CASES, STARTED
from tests.stores.disks import small_disk
from tests.stores.places import calls, expected, in_parquet

OK, FAILED = SpanExportResult.SUCCESS, SpanExportResult.FAILURE
ROOT = Path(__file__).parents[2]
QUICK: dict[str, Any] = {"backoff": 0.02, "max_backoff": 0.05}


def program(body: str, *arguments: object) -> "subprocess.Popen[str]":
    """A process of its own that has the exporter and spans at hand."""
    head = """
        import sys
        from litespan_exporters.parquet import ParquetExporter
        from tests.stores.places import calls
    """
    source = textwrap.dedent(head) + textwrap.dedent(body)
    command = [sys.executable, "-c", source, *map(str, arguments)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def files(folder: Path) -> list[str]:
    """All files in the folder, hidden ones too."""
    return sorted(str(f.relative_to(folder)) for f in folder.rglob("*") if f.is_file())


def test_the_files_have_the_documented_columns_and_types(tmp_path: Path) -> None:
    """Money as decimals, times in UTC; the files are small."""
    exporter = ParquetExporter(tmp_path, interval=0)
    exporter.export(list(CASES.values()))
    exporter.shutdown()
    (file,) = tmp_path.glob("date=2026-11-20/calls-*.parquet")
    schema = pa.parquet.read_schema(file)
    assert schema.names == [column.name for column in COLUMNS]
    assert schema.field("cost_usd").type == pa.decimal128(18, 10)
    assert schema.field("start_time").type == pa.timestamp("us", "UTC")
    assert file.stat().st_size < 100_000


def test_the_documented_query_reads_each_call_once(tmp_path: Path) -> None:
    """Its clause leaves out duplicates and started calls."""
    exporter = ParquetExporter(tmp_path / "calls", interval=0)
    exporter.export_started([STARTED])
    exporter.force_flush()
    for _ in range(2):
        exporter.export([CASES["chat"], CASES["stream"]])
    exporter.shutdown()
    with duckdb.connect() as connection:
        found = connection.execute(
            f"select count(*), sum(cost_usd)::varchar from (from '{tmp_path}/calls/*/*.parquet' "
            "qualify row_number() over (partition by key order by outcome = 'started') = 1)"
        ).fetchall()
    assert found == [(2, "0.0000180000")]


def test_exports_within_an_interval_are_one_file(tmp_path: Path) -> None:
    """The end of the interval, and shutdown, write one."""
    exporter = ParquetExporter(tmp_path, interval=2.0)
    exporter.export_started([STARTED])
    for n in range(1000, 1050):
        assert exporter.export(calls([n])) is OK
    exporter.export([CASES["chat"]])
    assert files(tmp_path) == []
    deadline = time.monotonic() + 60
    while not list(tmp_path.rglob("*.parquet")) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert len(files(tmp_path)) == 1
    assert in_parquet(tmp_path).read() == expected([CASES["chat"], *calls(range(1000, 1050))])
    exporter.export(calls([1]))
    exporter.shutdown()
    assert len(files(tmp_path)) == 2


@pytest.mark.parametrize("bound", [{"max_rows": 20}, {"max_bytes": 100_000}])
def test_a_large_number_of_rows_or_bytes_is_written_early(
    bound: dict[str, Any], tmp_path: Path
) -> None:
    """Before the end of the interval."""
    exporter = ParquetExporter(tmp_path, interval=3600, **bound)
    for start in range(1000, 1100, 20):
        exporter.export(calls(range(start, start + 20)))
    deadline = time.monotonic() + 60
    while not files(tmp_path) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert files(tmp_path) != []
    exporter.shutdown()
    assert in_parquet(tmp_path).read() == expected(calls(range(1000, 1100)))


@pytest.mark.slow
def test_many_processes_write_into_one_folder(tmp_path: Path) -> None:
    """Each has its own files."""
    body = """
        exporter = ParquetExporter(sys.argv[1], interval=0)
        first = int(sys.argv[2])
        batches = [calls(range(n, n + 10)) for n in range(first, first + 100, 10)]
        done = [exporter.export(batch).name for batch in batches]
        exporter.shutdown()
        sys.exit(done != ["SUCCESS"] * 10)
    """
    processes = [program(body, tmp_path, start) for start in (1000, 2000, 3000)]
    assert [process.wait(60) for process in processes] == [0, 0, 0]
    wanted = [n for start in (1000, 2000, 3000) for n in range(start, start + 100)]
    assert in_parquet(tmp_path).read() == expected(calls(wanted))
    assert len(files(tmp_path)) == 30


@pytest.mark.slow
def test_files_are_complete_after_sigkill(tmp_path: Path) -> None:
    """Every file can be read, and has the exported rows."""
    body = """
        exporter = ParquetExporter(sys.argv[1], interval=0)
        for start in range(1000, 90000, 100):
            print(exporter.export(calls(range(start, start + 100))).name, flush=True)
    """
    process = program(body, tmp_path)
    assert process.stdout is not None
    lines = [process.stdout.readline() for _ in range(5)]
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert lines == ["SUCCESS\n"] * 5
    found = in_parquet(tmp_path).read()
    assert found[: len(found)] == expected(calls(range(1000, 1000 + len(found))))
    assert len(found) >= 500


def test_a_full_disk_leaves_no_partial_file_and_loses_no_row(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Rows are kept, and written when there is space."""
    with small_disk(tmp_path / "disk", 150_000) as disk:
        folder = disk.folder / "calls"
        exporter = ParquetExporter(folder, interval=0, **QUICK)
        noise = random.Random(1)
        long = [{"user.id": noise.randbytes(300).hex()} for _ in range(800)]
        batches = [
            [c for n in range(s, s + 800) for c in calls([n], **long[n - s])] for s in (0, 800)
        ]
        assert [exporter.export(batch) for batch in batches] == [FAILED, FAILED]
        assert not list(folder.glob("*/calls-*"))  # readers see nothing; the next try may be on
        disk.grow()
        assert exporter.force_flush(20_000)
        exporter.shutdown()
        assert [name for name in files(folder) if not name.endswith(".parquet")] == []
        assert in_parquet(folder).read() == expected([c for batch in batches for c in batch])
        (line,) = [r.getMessage() for r in caplog.records if r.name == "litespan"]
        assert line.startswith(f"parquet: cannot write {folder}: {disk.complaint}; ")


@pytest.mark.parametrize("interval", ["soon", "-1", "nan", "1e9"])
def test_an_invalid_interval_turns_the_exporter_off(
    interval: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """One line has the reason."""
    monkeypatch.setenv("LITESPAN_PARQUET_INTERVAL", interval)
    exporter = ParquetExporter()
    assert exporter.export([CASES["chat"]]) is FAILED
    (line,) = [r.getMessage() for r in caplog.records if r.name == "litespan"]
    assert line == (
        f"LITESPAN_PARQUET_INTERVAL='{interval}' is not a number of seconds: parquet export is "
        "off; fix it or unset it"
    )


def test_the_variable_sets_the_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """`LITESPAN_PARQUET` names the folder; the default is in the working folder."""
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        exporter = ParquetExporter()
        exporter.export([CASES["chat"]])
        exporter.shutdown()
        monkeypatch.setenv("LITESPAN_PARQUET", str(tmp_path / "other"))
    assert sorted(folder.name for folder in tmp_path.iterdir()) == ["litespan-parquet", "other"]
