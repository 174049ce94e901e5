"""JSONL and CSV files: several writers, rotation, full disks, spreadsheets."""

import csv
import gzip
import io
import json
import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace.export import SpanExportResult

from litespan.counters import stats
from litespan.stores.append_file import Rotation
from litespan.stores.line_exporter import LinesExporter
from litespan.stores.spreadsheet import guarded, unguarded
from litespan_exporters.csv_file import CsvExporter
from litespan_exporters.jsonl import JsonlExporter
from tests.cases import CASES, CHAT, span
from tests.stores.disks import small_disk
from tests.stores.places import NAMES, by_key, calls, expected, in_csv, in_jsonl
from tests.support.hostile import FORMULAS, HARMLESS

OK, FAILED = SpanExportResult.SUCCESS, SpanExportResult.FAILURE
ROOT = Path(__file__).parents[2]
KINDS: dict[str, type[LinesExporter]] = {"jsonl": JsonlExporter, "csv": CsvExporter}

each_kind = pytest.mark.parametrize("kind", KINDS)


def program(body: str, *arguments: object) -> "subprocess.Popen[str]":
    """A process of its own that has exporters and canonical spans at hand."""
    head = """
        import os, sys, time
        from litespan.stores.spreadsheet import guarded, unguarded
        from litespan_exporters.csv_file import CsvExporter
        from litespan_exporters.jsonl import JsonlExporter
        from tests.stores.places import calls
    """
    source = textwrap.dedent(head) + textwrap.dedent(body)
    command = [sys.executable, "-c", source, *map(str, arguments)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def rows(files: Iterator[Path]) -> list[dict[str, Any]]:
    """The rows in whole files of JSON lines, compressed or not."""
    found = []
    for file in files:
        packed = file.suffix == ".gz"
        text = gzip.decompress(file.read_bytes()) if packed else file.read_bytes()
        found += [json.loads(line) for line in text.splitlines()]
    return found


@pytest.mark.slow
@each_kind
def test_several_processes_write_one_file(kind: str, tmp_path: Path) -> None:
    """Four processes: one line for each call, none truncated or lost."""
    path = tmp_path / f"calls.{kind}"
    body = f"""
        exporter = {KINDS[kind].__name__}(sys.argv[1])
        first = int(sys.argv[2])
        for start in range(first, first + 500, 10):
            exporter.export(calls(range(start, start + 10)))
        exporter.shutdown()
    """
    processes = [program(body, path, start) for start in (1000, 2000, 3000, 4000)]
    assert [process.wait(60) for process in processes] == [0] * 4
    place = (in_jsonl if kind == "jsonl" else in_csv)(path)
    wanted = [n for start in (1000, 2000, 3000, 4000) for n in range(start, start + 500)]
    assert place.read() == expected(calls(wanted))
    lines = path.read_text().splitlines()
    assert len(lines) == 2000 + (kind == "csv")


@pytest.mark.slow
def test_several_processes_rotate_a_full_file_once(tmp_path: Path) -> None:
    """The first process that finds the file full rotates it; no line is lost or truncated."""
    path = tmp_path / "calls.jsonl"
    body = """
        exporter = JsonlExporter(sys.argv[1], rotate="100kB,gzip")
        first = int(sys.argv[2])
        for start in range(first, first + 500, 5):
            exporter.export(calls(range(start, start + 5)))
        exporter.shutdown()
    """
    processes = [program(body, path, start) for start in (1000, 2000, 3000)]
    assert [process.wait(60) for process in processes] == [0] * 3
    aside = sorted(tmp_path.glob("calls-*.jsonl.gz"))
    assert len(aside) >= 10
    assert [f.name for f in tmp_path.iterdir() if f not in aside] == ["calls.jsonl"]
    assert path.stat().st_size <= 100_000
    found = rows(iter([*aside, path]))
    wanted = [n for start in (1000, 2000, 3000) for n in range(start, start + 500)]
    assert sorted(row["key"] for row in found) == sorted(by_key(expected(calls(wanted))))


@pytest.mark.parametrize(("period", "age"), [("day", 86_400), ("hour", 3_600)])
def test_a_file_of_another_period_is_rotated(period: str, age: int, tmp_path: Path) -> None:
    """A file that was last written on another day (or hour, UTC)."""
    path = tmp_path / "calls.jsonl"
    exporter = JsonlExporter(path, rotate=period)
    exporter.export(calls([1]))
    exporter.export(calls([2]))
    assert list(tmp_path.iterdir()) == [path]
    then = time.time() - age
    os.utime(path, (then, then))
    exporter.export(calls([3]))
    exporter.shutdown()
    (aside,) = tmp_path.glob("calls-*.jsonl")
    assert [len(rows(iter([file]))) for file in (aside, path)] == [2, 1]


@pytest.mark.parametrize(
    ("text", "rotation"),
    [
        ("", Rotation()),
        ("64MB", Rotation(size=64_000_000)),
        ("10k, DAY ,gzip", Rotation(10_000, "%Y-%m-%d", gzip=True)),
        ("hour", Rotation(period="%Y-%m-%d %H")),
    ],
)
def test_rotation_takes_a_size_a_period_and_gzip(text: str, rotation: Rotation) -> None:
    """A list of a size, a period and `gzip`."""
    assert Rotation.parse(text) == rotation


def test_an_invalid_rotation_turns_the_exporter_off(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """One line has the invalid word."""
    monkeypatch.setenv("LITESPAN_JSONL_ROTATE", "64MB,weekly")
    exporter = JsonlExporter(tmp_path / "calls.jsonl")
    assert exporter.export(calls([1])) is FAILED
    (record,) = caplog.records
    assert record.getMessage() == (
        "LITESPAN_JSONL_ROTATE: 'weekly' is not a size (64MB), hour, day or gzip: "
        "jsonl export is off; fix it or unset it"
    )


@each_kind
def test_the_variable_sets_the_file(
    kind: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """`LITESPAN_JSONL` and `LITESPAN_CSV` name the file; the default is in the working folder."""
    monkeypatch.chdir(tmp_path)
    KINDS[kind]().export(calls([1]))
    monkeypatch.setenv(f"LITESPAN_{kind.upper()}", str(tmp_path / "other"))
    KINDS[kind]().export(calls([1]))
    assert sorted(f.name for f in tmp_path.iterdir()) == [f"litespan.{kind}", "other"]


@each_kind
def test_a_moved_or_removed_file_is_created_again(kind: str, tmp_path: Path) -> None:
    """After `mv` (logrotate) or `rm`, the next call begins a new file."""
    path = tmp_path / f"calls.{kind}"
    exporter = KINDS[kind](path)
    exporter.export(calls([1]))
    path.rename(tmp_path / "old")
    exporter.export(calls([2]))
    path.unlink()
    exporter.export(calls([3]))
    exporter.shutdown()
    place = (in_jsonl if kind == "jsonl" else in_csv)(path)
    assert place.read() == expected(calls([3]))


def test_an_unfinished_line_of_a_crash_is_the_only_loss(tmp_path: Path) -> None:
    """As after a power failure."""
    path = tmp_path / "calls.jsonl"
    path.write_text('{"key":"0')
    exporter = JsonlExporter(path)
    exporter.export(calls([1]))
    exporter.shutdown()
    broken, whole = path.read_text().splitlines()
    assert broken == '{"key":"0'
    assert json.loads(whole)["key"] in by_key(expected(calls([1])))


@each_kind
def test_a_full_disk_truncates_no_line_and_loses_none(
    kind: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """One line is logged, and all lines are written when there is space."""
    with small_disk(tmp_path / "disk", 98_304) as disk:
        path = disk.folder / f"calls.{kind}"
        exporter = KINDS[kind](path, backoff=0.05, max_backoff=0.1)
        before = stats().get(f"export.{kind}.sent", 0)
        results = [exporter.export(calls(range(n, n + 20))) for n in range(1000, 1100, 20)]
        assert (results[0], results[-1]) == (OK, FAILED)
        assert path.read_bytes().endswith(b"\n")
        disk.grow()
        assert exporter.force_flush(10_000)
        exporter.shutdown()
        place = (in_jsonl if kind == "jsonl" else in_csv)(path)
        assert place.read() == expected(calls(range(1000, 1100)))
        assert stats()[f"export.{kind}.sent"] - before == 100
        lines = [record.getMessage().split("; ")[0] for record in caplog.records]
        assert lines == [f"{kind}: cannot write {path}: {disk.complaint}"]


@each_kind
def test_rows_are_kept_until_a_missing_folder_is_back(
    kind: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """As for a disk that is not mounted yet."""
    path = tmp_path / "later" / f"calls.{kind}"
    exporter = KINDS[kind](path, backoff=0.05, max_backoff=0.1)
    assert exporter.export(calls([1])) is FAILED
    assert exporter.export(calls([2])) is FAILED
    path.parent.mkdir()
    assert exporter.force_flush(10_000)
    assert exporter.export(calls([3])) is OK
    exporter.shutdown()
    place = (in_jsonl if kind == "jsonl" else in_csv)(path)
    assert place.read() == expected(calls([1, 2, 3]))
    assert ["its folder must exist" in record.getMessage() for record in caplog.records] == [True]


def test_the_number_of_kept_rows_is_bounded(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The newest rows stay; the others are counted, and logged once."""
    path = tmp_path / "later" / "calls.jsonl"
    exporter = JsonlExporter(path, backoff=0.05, max_backoff=0.1, keep_rows=50)
    before = stats().get("export.jsonl.dropped.buffer_full", 0)
    for start in range(1000, 1200, 20):
        assert exporter.export(calls(range(start, start + 20))) is FAILED
    path.parent.mkdir()
    assert exporter.force_flush(10_000)
    exporter.shutdown()
    assert in_jsonl(path).read() == expected(calls(range(1150, 1200)))
    assert stats()["export.jsonl.dropped.buffer_full"] - before == 150
    lines = [record.getMessage() for record in caplog.records]
    assert sum("the store was unavailable for too long" in line for line in lines) == 1


def test_the_bytes_of_kept_rows_are_bounded(tmp_path: Path) -> None:
    """Long content counts with its size."""
    path = tmp_path / "later" / "calls.jsonl"
    exporter = JsonlExporter(path, backoff=0.05, max_backoff=0.1, keep_bytes=6_000_000)
    assert exporter.export([CASES["chat"], CASES["huge"], *calls([1000])]) is FAILED
    assert exporter.export([CASES["stream"]]) is FAILED
    exporter.export([span(700, "chat", dict(CASES["huge"].attributes or {}))])
    path.parent.mkdir()
    assert exporter.force_flush(10_000)
    exporter.shutdown()
    kept = {row["span_id"][-3:] for row in rows(iter([path]))}
    assert kept == {"3e8", "004", "2bc"}  # without `huge`, and without what was before it


@pytest.mark.slow
def test_shutdown_with_an_unavailable_store_is_bounded(tmp_path: Path) -> None:
    """It logs what is lost."""
    body = """
        import logging
        logging.basicConfig(stream=sys.stdout, format="%(message)s")
        exporter = JsonlExporter(sys.argv[1])
        exporter.export(calls(range(100)))
        begun = time.monotonic()
        exporter.shutdown()
        print(time.monotonic() - begun < 10)
    """
    path = tmp_path / "nowhere" / "calls.jsonl"
    lines = (program(body, path).communicate(timeout=60)[0]).splitlines()
    assert lines[1:] == [
        (
            "jsonl: 100 row(s) dropped: the process ended before they were written: cannot write "
            f"{path}: No such file or directory (its folder must exist) (logged once)"
        ),
        "True",
    ]


@pytest.mark.slow
def test_exit_writes_pending_rows(tmp_path: Path) -> None:
    """A script that ends right after its call loses nothing, on any thread."""
    body = """
        import atexit
        exporter = JsonlExporter(sys.argv[1])
        atexit.register(lambda: (exporter.export(calls([1, 2])), exporter.shutdown()))
    """
    path = tmp_path / "calls.jsonl"
    assert program(body, path).wait(30) == 0
    assert in_jsonl(path).read() == expected(calls([1, 2]))


@pytest.mark.parametrize("text", [*FORMULAS, "=cmd|' /C calc'!A0"])
def test_formulas_are_written_as_text(text: str, tmp_path: Path) -> None:
    """No cell begins like a formula; without the apostrophe, the text is the same."""
    path = tmp_path / "calls.csv"
    attributes = {
        **CHAT,
        "user.id": text,
        "litellm.metadata.k": text,
        "litellm.tags": (text,),
        "gen_ai.request.model": text,
    }
    exporter = CsvExporter(path)
    exporter.export([span(1, "chat", attributes)])
    exporter.shutdown()
    head, cells = csv.reader(io.StringIO(path.read_text(), newline=""))
    assert head == NAMES
    assert [cell for cell in cells if cell.startswith(text)] == []
    (row,) = in_csv(path).read()
    assert (row["user_id"], row["request_model"], row["tags"]) == (text, text, [text])


def test_a_file_with_other_columns_is_moved_aside(tmp_path: Path) -> None:
    """Rows are never mixed with those of an older version or of something else."""
    path = tmp_path / "calls.csv"
    path.write_text("key,trace_id\r\n1,2\r\n")
    exporter = CsvExporter(path)
    exporter.export(calls([1]))
    exporter.shutdown()
    assert in_csv(path).read() == expected(calls([1]))
    (aside,) = tmp_path.glob("calls-*.csv")
    assert aside.read_bytes() == b"key,trace_id\r\n1,2\r\n"


@pytest.mark.slow
def test_each_line_is_one_write(tmp_path: Path) -> None:
    """A reader with `tail -f` never sees half a line."""
    path = tmp_path / "calls.jsonl"
    body = """
        written = []
        true_write = os.write
        os.write = lambda fd, data: (written.append(bytes(data)), true_write(fd, data))[1]
        exporter = JsonlExporter(sys.argv[1])
        exporter.export(calls(range(5)))
        exporter.shutdown()
        print([(w.count(b"\\n"), w[-1:]) for w in written] == [(1, b"\\n")] * 5)
    """
    assert program(body, path).communicate(timeout=60)[0] == "True\n"


@pytest.mark.parametrize("text", HARMLESS)
def test_text_that_is_no_formula_is_unchanged(text: str) -> None:
    """Only a possible formula gets an apostrophe."""
    assert guarded(text) == text
    assert unguarded(guarded(f"={text}")) == f"={text}"
