"""Where the state of alerts is: in this process's memory, or shared between processes.

All changes go through `change(key, step)`: `step` receives the record under a key and returns the
new record (None to delete it) and a result. A shared state runs it in one transaction, so exactly
one process gets the result "send a notice".
"""

import json
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from litespan.background.fork import import_lock
from litespan.counters import count
from litespan.errors import log_once
from litespan.stores.columns import clean
from litespan.stores.libpq import for_libpq
from litespan.stores.sqlite_file import SQLiteFile

if TYPE_CHECKING:
    from psycopg import Connection

T = TypeVar("T")
Record = Mapping[str, Any]
"""A JSON object. Its `due` says when to check it next, in s since the epoch."""
Step = Callable[[Record | None], tuple[Record | None, T]]
MAX_RECORDS: Final = 10_000  # in memory; the least recently used one is evicted
_RETRY_AFTER: Final = 30.0  # s until a shared state that failed is tried again
_MAX_DUE: Final = 500  # due records in one query

_TABLE: Final = (
    "create table if not exists {table} "
    "(key text primary key, due double precision not null, record text not null)"
)
_INDEX: Final = "create index if not exists litespan_alerts_due on {table} (due)"


class State(Protocol):
    """Records by key."""

    @property
    def shared(self) -> bool:
        """Whether other processes use it too."""

    def change(self, key: str, step: "Step[T]") -> T:
        """Replace the record under `key` with the one that `step` returns; returns its result."""

    def due(self, prefix: str, now: float) -> list[str]:
        """Keys of the records that begin with `prefix` and are due at `now` (s since the epoch)."""

    def close(self) -> None:
        """Close files and connections; the next `change` opens them again."""


class Memory:
    """The state of one process."""

    shared = False

    def __init__(self) -> None:
        self._records: OrderedDict[str, Record] = OrderedDict()
        self._lock = threading.Lock()

    def change(self, key: str, step: "Step[T]") -> T:
        """See `State`."""
        with self._lock:
            new, result = step(self._records.pop(key, None))
            if new is not None:
                self._records[key] = new
                if len(self._records) > MAX_RECORDS:
                    self._records.popitem(last=False)
            return result

    def due(self, prefix: str, now: float) -> list[str]:
        """See `State`."""
        with self._lock:
            return [
                key
                for key, record in self._records.items()
                if record["due"] <= now and key.startswith(prefix)
            ]

    def close(self) -> None:
        """Nothing is open."""


def _change(connection: Any, table: str, mark: str, key: str, step: "Step[T]") -> T:
    """`State.change` on a database connection, in a transaction of the caller's."""
    row = connection.execute(f"select record from {table} where key = {mark}", (key,)).fetchone()  # noqa: S608 - constants
    new, result = step(json.loads(row[0]) if row else None)
    if new is None:
        connection.execute(f"delete from {table} where key = {mark}", (key,))  # noqa: S608
    else:
        connection.execute(
            f"insert into {table} (key, due, record) values ({mark}, {mark}, {mark}) "  # noqa: S608
            "on conflict (key) do update set due = excluded.due, record = excluded.record",
            (key, new["due"], json.dumps(new)),
        )
    return result


class _SQLite:
    """State in a SQLite file, which is created if it is missing. Methods raise sqlite3.Error."""

    shared = True

    def __init__(self, path: str) -> None:
        self._file = SQLiteFile(Path(path).expanduser().absolute(), _prepare)

    def change(self, key: str, step: "Step[T]") -> T:
        with self._file.changing() as connection:
            return _change(connection, "litespan_alerts", "?", key, step)

    def due(self, prefix: str, now: float) -> list[str]:
        with self._file.changing() as connection:
            rows = connection.execute(
                "select key from litespan_alerts where due <= ? and substr(key, 1, ?) = ? limit ?",
                (now, len(prefix), prefix, _MAX_DUE),
            )
            return [key for (key,) in rows]

    def close(self) -> None:
        self._file.close()


def _prepare(connection: Any) -> None:
    connection.execute(_TABLE.format(table="litespan_alerts"))
    connection.execute(_INDEX.format(table="litespan_alerts"))


class _Postgres:
    """State in a PostgreSQL table, `litespan.alerts`. Methods raise psycopg.Error."""

    shared = True

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection: Connection[Any] | None = None
        # Kept referenced: closing the parent's connection in a fork would close it in the parent.
        self._inherited: list[Connection[Any]] = []
        self._pid = os.getpid()

    def change(self, key: str, step: "Step[T]") -> T:
        connection = self._connected()
        with connection.transaction():
            connection.execute("select pg_advisory_xact_lock(hashtext(%s))", (key,))
            return _change(connection, "litespan.alerts", "%s", key, step)

    def due(self, prefix: str, now: float) -> list[str]:
        rows = self._connected().execute(
            "select key from litespan.alerts where due <= %s and starts_with(key, %s) limit %s",
            (now, prefix, _MAX_DUE),
        )
        return [key for (key,) in rows.fetchall()]

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(Exception):
                connection.close()

    def _connected(self) -> "Connection[Any]":
        if self._connection is not None and self._pid != os.getpid():
            self._inherited.append(self._connection)
            self._connection = None
        if self._connection is not None and not self._connection.closed:
            return self._connection
        with import_lock:
            import psycopg

        connection = psycopg.connect(
            self._url, autocommit=True, connect_timeout=5, prepare_threshold=None
        )
        present = connection.execute("select to_regclass('litespan.alerts')").fetchone()
        if present == (None,):
            with connection.transaction():
                connection.execute("select pg_advisory_xact_lock(hashtext('litespan'))")
                connection.execute("create schema if not exists litespan")
                connection.execute(_TABLE.format(table="litespan.alerts"))
                connection.execute(_INDEX.format(table="litespan.alerts"))
        self._connection, self._pid = connection, os.getpid()
        return connection


class _Fallback:
    """A shared state, or this process's memory while the shared state fails. Never raises."""

    shared = True

    def __init__(self, shared: State) -> None:
        self._shared = shared
        self._memory = Memory()
        self._retry_at = 0.0  # monotonic s

    def change(self, key: str, step: "Step[T]") -> T:
        key = clean(key)  # it contains names from calls; PostgreSQL accepts no NUL
        return self._run(lambda state: state.change(key, step))

    def due(self, prefix: str, now: float) -> list[str]:
        return self._run(lambda state: state.due(prefix, now))

    def close(self) -> None:
        self._shared.close()

    def _run(self, operation: Callable[[State], T]) -> T:
        if time.monotonic() >= self._retry_at:
            try:
                return operation(self._shared)
            except Exception as error:  # noqa: BLE001 - alerts continue without it
                self._retry_at = time.monotonic() + _RETRY_AFTER
                count("alerts.state.away")
                log_once(
                    f"alerts.state.{type(error).__name__}",
                    "LITESPAN_ALERTS_STATE cannot be used (%s): until it can, each process sends "
                    "alerts independently; check the path or URL and the access rights",
                    type(error).__name__,
                )
                self._shared.close()
        return operation(self._memory)


def state_at(place: str) -> State:
    """The state that a value of LITESPAN_ALERTS_STATE names."""
    if not place:
        return Memory()
    if place.startswith(("postgresql://", "postgres://", "postgresql+")):
        return _Fallback(_Postgres(for_libpq(place)))
    return _Fallback(_SQLite(place))
