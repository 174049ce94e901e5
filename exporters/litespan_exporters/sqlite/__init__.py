"""The default store: one row for each call in a SQLite file. Standard library only.

    OTEL_TRACES_EXPORTER=sqlite LITESPAN_SQLITE=calls.db opentelemetry-instrument python app.py
    sqlite3 calls.db 'select model, count(*), sum(cost_usd) from calls group by model'

Table `llm_calls` has the columns of `litespan.stores.columns`. Money is an integer of 1e-10 USD in
columns with the suffix `_e10`, so that `sum()` is exact (up to 900 million USD). The view `calls`
has the same rows with money in USD as floating-point numbers, to read and plot.
Times are ISO 8601 text in UTC, flags 0 and 1, lists and objects JSON.

Several processes and threads may write concurrently, also after a fork.
"""

import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from litespan.objects import encoded
from litespan.stores.buffer import Limits, Row
from litespan.stores.columns import COLUMNS, PLACES, Kind, time_text
from litespan.stores.exporter import StoreExporter
from litespan.stores.schema import TABLE
from litespan.stores.sqlite_file import BUSY_S, SQLiteFile, transaction
from litespan.stores.store import Away, Store
from litespan_exporters.sqlite.reading import APPLICATION, DEFAULT, READER, VARIABLE, columns_of

__all__ = ["APPLICATION", "READER", "SQLiteExporter"]

VERSION: Final = 1
"""Schema version, in the file's `user_version`. Increase it with each new column: opening an
older file for writing adds the columns (empty) and indexes."""

_TYPES: Final[dict[Kind, str]] = {
    "integer": "integer",
    "real": "real",
    "money": "integer",
    "flag": "integer",
}
_VALUES: Final[dict[Kind, Callable[[Any], Any]]] = {
    "key": str,
    "money": lambda usd: int(usd / PLACES),
    "time": time_text,
    "list": encoded,
    "flag": int,
}
_CONVERSIONS: Final = [(i, _VALUES[c.kind]) for i, c in enumerate(COLUMNS) if c.kind in _VALUES]
_NAMES: Final = [f"{c.name}_e10" if c.kind == "money" else c.name for c in COLUMNS]
_NEWS: Final = ", ".join(f"{name}=excluded.{name}" for name in _NAMES[1:])
_UPSERT: Final = (  # every name in it is from `COLUMNS`
    f"insert into {TABLE} ({', '.join(_NAMES)}) values ({', '.join('?' * len(_NAMES))}) "  # noqa: S608
    f"on conflict (key) do update set {_NEWS} where excluded.outcome <> 'started'"
)
_OF_A_ROW: Final = (
    sqlite3.DataError,
    sqlite3.IntegrityError,
    sqlite3.InterfaceError,
    sqlite3.ProgrammingError,
)
"""Errors that concern a row; all others concern the file."""

_FIXES: Final = (
    ("unable to open", "its folder must exist and be writable"),
    ("readonly", "make the file and its folder writable"),
    ("is full", "free some disk space"),
    ("locked", f"another process has locked it for {BUSY_S:.0f} s; end that transaction"),
    ("not a database", "this is not a SQLite file; use another one"),
    ("malformed", "the file is damaged; move it away, or repair it with sqlite3's .recover"),
    ("I/O error", "check the disk and its free space"),
)


class Unusable(sqlite3.Error):
    """The file is another database; the message says why it cannot be used."""


class SQLiteExporter(StoreExporter):
    """Writes one row per call to a SQLite file, which `litespan report` reads.

    Reads LITESPAN_SQLITE.

    Spans that are not model calls (of the application, HTTP, tools, agents, routers) are left out.

    Args:
        path: The file; default `LITESPAN_SQLITE`, else `./litespan.db`. Created for the
            first call; its folder must exist.
        content: False excludes messages, instructions and tools.
        limits: see `StoreExporter`.
    """

    name = "sqlite"
    limits = Limits(max_backoff=2.0)  # each attempt already waits for other writers

    def __init__(
        self, path: str | os.PathLike[str] | None = None, *, content: bool = True, **limits: Any
    ) -> None:
        super().__init__(content=content, **limits)
        self.path: Final = self.file(path, VARIABLE, DEFAULT)
        self.turn_on(self.path.as_uri())

    def connect(self) -> Store:
        """The file, not opened yet."""
        return _File(self.path)


class _File:
    def __init__(self, path: Path) -> None:
        self._file = SQLiteFile(path, _prepare)

    def write(self, rows: Sequence[Row]) -> None:
        """Upsert all rows in one transaction."""
        try:
            self._file.write(_UPSERT, map(_values, rows))
        except _OF_A_ROW:
            raise
        except (sqlite3.Error, OSError) as error:
            raise _away(self._file.path, error) from error

    def close(self) -> None:
        """Close the connection."""
        self._file.close()


def _values(row: Row) -> Row:
    values = row.copy()
    for index, convert in _CONVERSIONS:
        if (value := values[index]) is not None:
            values[index] = convert(value)
    return values


def _away(path: Path, error: Exception) -> Away:
    fixes = [f"{fix}; " for words, fix in _FIXES if words in str(error)]
    fix = f"{fixes[0] if fixes else ''}{VARIABLE} sets the path"
    return Away(f"cannot write {path}: {error} ({fix})", str(error))


def _prepare(connection: sqlite3.Connection) -> None:
    """Update the schema of the file, in one process at a time."""
    if _versions(connection) == (APPLICATION, VERSION):
        return
    with transaction(connection):
        application, version = _versions(connection)
        tables = connection.execute("select name from sqlite_master").fetchall()
        if application != APPLICATION and tables:
            raise Unusable("it is another application's database; use another file")
        if version > VERSION:
            raise Unusable(
                f"a newer litespan wrote it (schema {version}, this one knows {VERSION}); "
                "upgrade litespan"
            )
        for statement in _migration(connection):
            connection.execute(statement)


def _migration(connection: sqlite3.Connection) -> Iterator[str]:
    yield f"create table if not exists {TABLE} (key text primary key)"
    present = columns_of(connection)
    for name, column in zip(_NAMES, COLUMNS, strict=True):
        if name not in present:
            yield f"alter table {TABLE} add column {name} {_TYPES.get(column.kind, 'text')}"
    for columns in ("start_time", "user_id, start_time", "trace_id", "call_id"):
        index = f"{TABLE}_{columns.replace(', ', '_')}"
        yield f"create index if not exists {index} on {TABLE} ({columns})"
    shown = [
        f"{name} / 1e10 as {column.name}" if column.kind == "money" else name
        for name, column in zip(_NAMES, COLUMNS, strict=True)
    ]
    yield "drop view if exists calls"
    yield f"create view calls as select {', '.join(shown)} from {TABLE}"  # noqa: S608
    yield f"pragma application_id = {APPLICATION}"
    yield f"pragma user_version = {VERSION}"


def _versions(connection: sqlite3.Connection) -> tuple[int, int]:
    (application,) = connection.execute("pragma application_id").fetchone()
    (version,) = connection.execute("pragma user_version").fetchone()
    return application, version
