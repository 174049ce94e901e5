"""Only the owner can read the files that litespan creates, with or without content."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from litespan.alerting.state import state_at
from litespan.cli.replay_notes import Notes
from litespan.offload import Store
from litespan.stores.rows import rows
from litespan_exporters.csv_file import CsvExporter
from litespan_exporters.duckdb_file import DuckDBExporter
from litespan_exporters.jsonl import JsonlExporter
from litespan_exporters.parquet import ParquetExporter
from litespan_exporters.sqlite import SQLiteExporter
from tests.stores.places import calls

Held = list[Any]
"""What must live until the files have been looked at."""


def exported(kind: Any, path: Path, **more: Any) -> Held:
    """An exporter of this kind, after two batches."""
    exporter = kind(path, **more)
    for number in (1, 2):
        exporter.export(calls([number]))
        exporter.force_flush()
    return [exporter]


def while_open(path: Path) -> Held:
    """A DuckDB file between two writes, with its write-ahead log."""
    store = DuckDBExporter(path).connect()
    store.write(list(rows(calls([1]))))
    return [store]


def offloaded(path: Path) -> Held:
    """A folder of content."""
    store = Store(str(path / "deep" / "down"))
    assert len(store.put_all([b"a prompt"])) == 1
    return [store]


def alerted(path: Path) -> Held:
    """The shared state of alerts."""
    state = state_at(str(path))
    state.change("key", lambda _: ({"due": 1.0}, None))
    return [state]


MADE: dict[str, Callable[[Path], Held]] = {
    "sqlite": lambda folder: exported(SQLiteExporter, folder / "calls.db"),
    "jsonl": lambda folder: exported(JsonlExporter, folder / "c.jsonl", rotate="1B,gzip"),
    "csv": lambda folder: exported(CsvExporter, folder / "c.csv", rotate="1B,gzip"),
    "duckdb": lambda folder: exported(DuckDBExporter, folder / "calls.duckdb"),
    "duckdb, open": lambda folder: while_open(folder / "calls.duckdb"),
    "parquet": lambda folder: exported(ParquetExporter, folder / "new" / "calls"),
    "offload": lambda folder: offloaded(folder / "new"),
    "alerts": lambda folder: alerted(folder / "alerts.db"),
    "replay": lambda folder: [Notes(folder / "replayed.db")],
}


@pytest.fixture
def anyone() -> Iterator[None]:
    """The most generous umask."""
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.mark.usefixtures("anyone")
@pytest.mark.parametrize("what", MADE)
def test_only_the_owner_may_read_new_files(what: str, tmp_path: Path) -> None:
    """Files are 0600 and folders 0700, including logs, rotated and compressed files."""
    tmp_path.chmod(0o755)
    held = MADE[what](tmp_path)
    made = {str(path.relative_to(tmp_path)): path.stat() for path in tmp_path.rglob("*")}
    assert any((tmp_path / name).is_file() for name in made)
    for name, found in made.items():
        folder = (tmp_path / name).is_dir()
        assert (name, oct(found.st_mode & 0o777)) == (name, oct(0o700 if folder else 0o600))
    assert held
    assert tmp_path.stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize("what", ["sqlite", "jsonl", "csv", "duckdb"])
def test_the_mode_of_an_existing_file_is_kept(what: str, tmp_path: Path) -> None:
    """Also if rotation compresses it."""
    MADE[what](tmp_path)
    names = ("calls.db", "calls.duckdb", f"c.{what}")
    (file,) = [path for path in tmp_path.iterdir() if path.name in names]
    file.chmod(0o640)
    inode = file.stat().st_ino
    MADE[what](tmp_path)
    kept = [path for path in tmp_path.iterdir() if path.stat().st_mode & 0o777 == 0o640]
    assert kept
    assert file.stat().st_ino != inode or file in kept
