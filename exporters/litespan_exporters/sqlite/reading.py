"""Reads the SQLite file of the exporter."""

import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from litespan.stores.columns import Kind
from litespan.stores.records import (
    BROKEN,
    IDS,
    KINDS,
    Reader,
    Record,
    Unreadable,
    checked,
    report_broken,
)
from litespan.stores.schema import TABLE

VARIABLE: Final = "LITESPAN_SQLITE"
DEFAULT: Final = "litespan.db"
APPLICATION: Final = int.from_bytes(b"lspn", "big")  # the file's `application_id`


def columns_of(connection: sqlite3.Connection) -> set[str]:
    """The columns that the table has; an older file lacks some."""
    return {name for _, name, *_ in connection.execute(f"pragma table_info({TABLE})")}


def read(place: str, columns: Sequence[str], since: str) -> Iterator[Record]:
    """The rows of a SQLite file."""
    return _select(place, columns, "where start_time >= ? order by start_time", (since,))


def newest(place: str, columns: Sequence[str], since: str) -> Iterator[Record]:
    """The rows of a SQLite file, newest first."""
    return _select(place, columns, "where start_time >= ? order by start_time desc", (since,))


def find(place: str, columns: Sequence[str], prefix: str) -> Iterator[Record]:
    """The rows whose key, call id or trace id begins with `prefix`, by the indexes."""
    where = " or ".join(f"({name} >= ? and {name} < ?)" for name in IDS)
    return _select(place, columns, f"where {where}", (prefix, f"{prefix}\U0010ffff") * len(IDS))


def _select(
    place: str, columns: Sequence[str], where: str, values: Sequence[str]
) -> Iterator[Record]:
    path = Path(place).expanduser()
    try:
        connection = _open(path)
        try:
            present = columns_of(connection)
            names = [f"{n}_e10" if KINDS[n] == "money" else n for n in columns]
            # An older file lacks columns until this version writes to it.
            chosen = ", ".join(name if name in present else "null" for name in names)
            sql = f"select {chosen} from {TABLE} {where}"  # noqa: S608 - our own names
            convert = {n: _READ[KINDS[n]] for n in columns if KINDS[n] in _READ}
            stored = [n for n, name in zip(columns, names, strict=True) if name in present]
            broken = 0
            for row in connection.execute(sql, values):
                record = _record(dict(zip(columns, row, strict=True)), convert, stored)
                if record is None:
                    broken += 1
                else:
                    yield record
            report_broken(broken, "row", path)
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise Unreadable(f"cannot read {path}: {error}") from error


def _record(
    row: Record, convert: Mapping[str, Callable[[Any], Any]], stored: Sequence[str]
) -> Record | None:
    """The row as a record; None if a value of a stored column is damaged."""
    try:
        for name, to_value in convert.items():
            if row[name] is not None:
                row[name] = to_value(row[name])
        checked(row if len(stored) == len(row) else {name: row[name] for name in stored})
    except BROKEN:
        return None
    return row


_READ: Final[dict[Kind, Callable[[Any], Any]]] = {
    "money": lambda e10: Decimal(e10).scaleb(-10),
    "flag": bool,
    "list": json.loads,
    "json": json.loads,
}
"""Kind → conversion of values that are not None; the other kinds are stored as in records."""


def _open(path: Path) -> sqlite3.Connection:
    place = f"file:{quote(str(path))}?"
    try:
        # Only for reading, but "mode=ro" would leave WAL files behind.
        return _ours(sqlite3.connect(place + "mode=rw", uri=True), path)
    except sqlite3.OperationalError:  # SQLite must not create these files in the folder
        return _ours(sqlite3.connect(place + "immutable=1", uri=True), path)


def _ours(connection: sqlite3.Connection, path: Path) -> sqlite3.Connection:
    try:
        connection.execute("pragma query_only = on")
        (application,) = connection.execute("pragma application_id").fetchone()
    except sqlite3.Error:
        connection.close()
        raise
    if application != APPLICATION:
        connection.close()
        raise Unreadable(f"{path} is a database that litespan did not write")
    return connection


READER: Final = Reader(
    read,
    (VARIABLE,),
    DEFAULT,
    is_one=lambda head: head.startswith(b"SQLite format 3\0"),
    newest=newest,
    find=find,
)
