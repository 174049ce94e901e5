"""Reading files that are truncated, damaged, or written by other programs."""

import gzip
import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pytest
from pyarrow import parquet

from litespan.cli import main
from litespan.stores.columns import COLUMNS
from litespan.stores.reading import records
from litespan.stores.records import Unreadable
from litespan_exporters.csv_file import CsvExporter
from litespan_exporters.jsonl import JsonlExporter
from tests.cases import CASES
from tests.stores.places import calls

EXPORTERS: Final = {"jsonl": JsonlExporter, "csv": CsvExporter}
COST: Final = Decimal("0.000009")  # of each of `calls`


def written(path: Path, number: int) -> bytes:
    """What the file holds after that many calls."""
    exporter = EXPORTERS[path.suffix[1:]](path)
    exporter.export(calls(range(1, number + 1)))
    exporter.shutdown()
    return path.read_bytes()


def numbers(path: Path | str) -> tuple[int, Decimal]:
    """How many calls there are, and what they cost."""
    found = list(records(str(path)))
    return len(found), sum((record["cost_usd"] for record in found), Decimal())


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("length", [120, -30])  # the latter is within quotes
@pytest.mark.parametrize("kind", EXPORTERS)
def test_a_line_cut_within_a_character_is_a_broken_line(
    kind: str, length: int, packed: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Only that line is lost, whether it is the last one or not."""
    path = tmp_path / f"calls.{kind}"
    whole = written(path, 3)
    first, *rest = whole.splitlines(keepends=True)
    cut = rest[0][:length] + "世".encode()[:2] + b"\n"
    damaged = b"".join([first, cut, *rest, cut])
    if packed:
        aside = f"calls-20261120T091307.000000Z-1.{kind}.gz"
        (tmp_path / aside).write_bytes(gzip.compress(damaged))
    else:
        path.write_bytes(damaged)
    assert numbers(path) == (3, 3 * COST)
    assert (
        capsys.readouterr().err
        == f"litespan: 2 line(s) of {path} cannot be read and are left out\n"
    )


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        (
            lambda whole: whole[: len(whole) // 2],
            "Compressed file ended before the end-of-stream marker was reached",
        ),
        (
            lambda whole: whole[: len(whole) // 2] + b"\xff" * 3000,
            "Error -3 while decompressing data: ",
        ),
        (lambda whole: whole[:-8] + bytes(8), "CRC check failed "),
    ],
)
@pytest.mark.parametrize("kind", EXPORTERS)
def test_a_truncated_gzip_file_is_read_up_to_the_damage(
    kind: str,
    damage: Callable[[bytes], bytes],
    why: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The calls before it count, and those of all other files; one line has the file."""
    path = tmp_path / f"calls.{kind}"
    aside = tmp_path / f"calls-20261120T091307.000000Z-1.{kind}.gz"
    aside.write_bytes(damage(gzip.compress(written(path, 3000))))
    path.unlink()
    live = tmp_path / f"more.{kind}"
    written(live, 3010)  # of which the last ten are nowhere else
    head, *lines = live.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([head, *lines[-10:]]))
    found = {record["key"] for record in records(str(path))}
    last = {record["key"] for record in list(records(str(live)))[-10:]}
    assert last < found
    assert 500 < len(found) <= 3011
    output = [line for line in capsys.readouterr().err.splitlines() if "line(s)" not in line]
    assert [
        line.startswith(f"litespan: {aside} cannot be read to its end: {why}") for line in output
    ]
    assert len(output) == 1
    assert main(["report", str(path)]) == 0


def test_a_gzip_file_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    """If it is named itself."""
    path = tmp_path / "calls.jsonl.gz"
    path.write_bytes(b"\x1f\x8b\x08")
    with pytest.raises(Unreadable, match=r"^cannot read .*: Compressed file ended before"):
        numbers(path)


@pytest.mark.parametrize(
    "odd",
    [
        {"start_time": None},
        {"start_time": 7},
        {"start_time": "yesterday"},
        {"trace_id": None},
        {"trace_id": 7},
        {"span_id": "none"},
        {"outcome": None},
        {"key": "1234"},
        {"user_id": 7},
        {"input_tokens": "20"},
        {"output_tokens": 1.5},
        {"duration_s": True},
        {"first_chunk_s": float("nan")},
        {"cost_usd": [1]},
        {"cost_usd": "NaN"},
        {"stream": "yes"},
        {"tags": [1]},
        {"tags": "beta"},
        {"metadata": []},
        {"attributes": "{}"},
        {"input_messages": {}},
    ],
)
def test_a_line_with_a_value_of_a_wrong_type_is_skipped(
    odd: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Only that line is lost."""
    path = tmp_path / "calls.jsonl"
    first, second = written(path, 2).splitlines()
    path.write_bytes(json.dumps({**json.loads(first), **odd}).encode() + b"\n" + second + b"\n")
    assert main(["report", str(path), "--json"]) == 0
    output = capsys.readouterr()
    assert json.loads(output.out)["total"]["calls"] == 1
    assert output.err == f"litespan: 1 line(s) of {path} cannot be read and are left out\n"


def test_endless_nesting_is_a_broken_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Brackets deeper than Python reads."""
    path = tmp_path / "calls.jsonl"
    path.write_bytes(written(path, 1) + b"[" * 200_000 + b"\n")
    assert numbers(path) == (1, COST)
    assert "1 line(s)" in capsys.readouterr().err


@pytest.mark.parametrize(
    "damage",
    [
        lambda row: row[: row.index(b"gpt-4o")],  # before the cost
        lambda row: row[:-30],  # within quotes, which then go on to the next row
        lambda row: row + b",more",
    ],
)
def test_csv_rows_with_a_wrong_number_of_cells_are_skipped(
    damage: Callable[[bytes], bytes], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Their cells may belong to other columns."""
    path = tmp_path / "calls.csv"
    lines = written(path, 3).splitlines()
    lines[2] = damage(lines[2])
    path.write_bytes(b"\r\n".join(lines) + b"\r\n")
    assert numbers(path) == (2, 2 * COST)
    assert (
        capsys.readouterr().err
        == f"litespan: 1 line(s) of {path} cannot be read and are left out\n"
    )


@pytest.mark.parametrize("kind", EXPORTERS)
def test_an_empty_file_has_no_calls(
    kind: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Unless rotated files exist; the suffix or the store's name gives the format."""
    path = tmp_path / f"calls.{kind}"
    path.touch()
    other = tmp_path / "calls.log"
    other.touch()
    monkeypatch.setenv(f"LITESPAN_{kind.upper()}", str(other))
    for source in (str(path), kind):
        assert main(["report", source, "--json"]) == 0, capsys.readouterr().err
        assert json.loads(capsys.readouterr().out)["total"]["calls"] == 0
    written(path, 2)
    path.rename(tmp_path / f"calls-20261120T091307.000000Z-1.{kind}")
    path.touch()
    assert numbers(path) == (2, 2 * COST)


@pytest.mark.parametrize(
    "columns",
    [
        {"key": [1, 2]},
        {"key": [123456789, 2]},
        {"key": ["a", "b"], "outcome": ["x", "y"]},
        {
            "key": ["3f2b2d3e-8a0f-5c53-9d2a-0a1b2c3d4e5f"] * 2,
            "outcome": ["success"] * 2,
            "start_time": ["2026", "2027"],
        },
        {"id": [1, 2]},
    ],
)
def test_a_parquet_file_of_another_program_is_refused_in_one_line(
    columns: dict[str, list[Any]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Even if its columns have the same names."""
    path = tmp_path / "orders.parquet"
    parquet.write_table(pa.table(columns), path)
    assert main(["report", str(path)]) == 2
    output = capsys.readouterr().err
    assert output == f"litespan report: {path} was not written by litespan\n"


@pytest.mark.parametrize("kind", EXPORTERS)
def test_intact_files_have_no_damaged_lines(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every canonical call is read, with every column."""
    path = tmp_path / f"calls.{kind}"
    exporter = EXPORTERS[kind](path)
    exporter.export(list(CASES.values()))
    exporter.shutdown()
    found = list(records(str(path)))
    assert len(found) == len(CASES)
    assert {*found[0]} == {column.name for column in COLUMNS}
    assert capsys.readouterr().err == ""
