"""Calls as Parquet files by day, for DuckDB, Spark, pandas and others (extra `parquet`).

    OTEL_TRACES_EXPORTER=parquet LITESPAN_PARQUET=calls opentelemetry-instrument python app.py
    duckdb -c "select model, sum(cost_usd) from 'calls/*/*.parquet' group by all"

Files go to `date=YYYY-MM-DD/` by the start of the call in UTC. They are written under a temporary
name and then renamed, so readers only see complete files, and several processes may write.

Small files are inefficient. So rows are kept in memory for up to `LITESPAN_PARQUET_INTERVAL`
seconds (default 60) or until there are enough for a file; the rest is written at exit. SIGKILL
loses these rows: use 0 or another store if that matters.

Files are never changed. A call that is exported again is in two files: of the rows of a key, one
whose outcome is not `started` is valid; if there are several, they are equal.
"""

import itertools
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from litespan.stores import arrow, private_files
from litespan.stores.append_file import away
from litespan.stores.buffer import Row
from litespan.stores.daily_files import DailyFilesExporter, by_day, file_name
from litespan.stores.records import (
    FETCH,
    Reader,
    Record,
    Unreadable,
    checked,
    converted,
    later,
    missing,
    once,
)

VARIABLE: Final = "LITESPAN_PARQUET"
INTERVAL: Final = "LITESPAN_PARQUET_INTERVAL"
DEFAULT: Final = "litespan-parquet"

_number: Final = itertools.count()


class ParquetExporter(DailyFilesExporter):
    """Writes calls to Parquet files, one folder per day.

    Reads LITESPAN_PARQUET. Also LITESPAN_PARQUET_INTERVAL.

    Args:
        path: The folder; default `LITESPAN_PARQUET`, else `./litespan-parquet`. Created if missing.
        interval: Seconds that rows may wait to be written together; default
            `LITESPAN_PARQUET_INTERVAL`, else 60. With 0 every export writes a file.
        content: False excludes messages, instructions and tools.
        limits: see `StoreExporter`.
    """

    name = "parquet"
    needs = ("pyarrow.parquet",)

    def __init__(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        interval: float | None = None,
        content: bool = True,
        **limits: Any,
    ) -> None:
        super().__init__(interval, INTERVAL, content=content, **limits)
        self.path: Final = self.file(path, VARIABLE, DEFAULT)
        if not self.problem:
            self.turn_on(self.path.as_uri())

    def connect(self) -> "Folder":
        """The folder, which needs no connection."""
        return Folder(self.path)


class Folder:
    """The folder of the files."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def write(self, rows: Sequence[Row]) -> None:
        """Write one new file for each day of the rows; all files or none."""
        written: list[tuple[Path, Path]] = []
        try:
            try:
                for folder, of_day in by_day(rows):
                    written.append(self._write(self._path / folder, of_day))
                for unfinished, whole in written:
                    unfinished.replace(whole)
            except BaseException:
                for path in itertools.chain.from_iterable(written):
                    path.unlink(missing_ok=True)
                raise
        except OSError as error:
            raise away(self._path, error) from error

    def close(self) -> None:
        """Do nothing: no file is open."""

    def _write(self, folder: Path, rows: list[Row]) -> tuple[Path, Path]:
        """Write a file under a temporary name. Returns this and the final name."""
        from pyarrow import parquet

        private_files.make_folder(folder)
        name = file_name(f"{os.getpid()}-{next(_number)}", "parquet")
        unfinished = folder / f".{name}.part"
        try:
            with private_files.write(unfinished) as file:
                parquet.write_table(arrow.table(rows), file, compression="zstd")
        except BaseException:
            with suppress(OSError):
                unfinished.unlink(missing_ok=True)
            raise
        return unfinished, folder / name


def read(place: str, columns: Sequence[str], since: str) -> Iterator[Record]:
    """The rows of a Parquet file, or of all files below a folder, oldest file first."""
    return once(later(_rows(Path(place).expanduser(), columns), since))


def _rows(path: Path, columns: Sequence[str]) -> Iterator[Record]:
    try:
        from pyarrow import ArrowException, parquet
    except ImportError:
        raise missing("pyarrow", "parquet") from None
    files = [path] if path.is_file() else sorted(path.rglob("*.parquet"), key=lambda f: f.name)
    if not files:
        raise Unreadable(f"there is no Parquet file in {path}")
    for file in files:
        try:
            opened = parquet.ParquetFile(file)
            present = [name for name in columns if name in opened.schema_arrow.names]
            if "key" not in present:
                raise Unreadable(f"{file} was not written by litespan")
            for batch in opened.iter_batches(FETCH, columns=present):
                for row in batch.to_pylist():
                    yield _record(file, {name: row.get(name) for name in columns})
        except (OSError, ArrowException, UnicodeDecodeError) as error:
            message = str(error).partition("\n")[0]
            raise Unreadable(f"cannot read {file}: {message}") from error


def _record(file: Path, row: Record) -> Record:
    try:
        return checked({name: converted(name, value) for name, value in row.items()})
    except (ValueError, AttributeError) as error:  # same column names with other types
        raise Unreadable(f"{file} was not written by litespan") from error


READER: Final = Reader(read, (VARIABLE,), DEFAULT, is_one=lambda head: head.startswith(b"PAR1"))
