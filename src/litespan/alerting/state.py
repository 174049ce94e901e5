"""Where the state of alerts is: this process's memory, or what several processes share.

All there is to do is `change(key, step)`: `step` takes the record under a key and returns the
new one (None to forget it) and a result. In a shared state that is one transaction, so of all
processes exactly one gets the result that says "tell it".
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
"""Plain JSON, with `due`: when it is to be looked at again, s since the epoch."""
Step = Callable[[Record | None], tuple[Record | None, T]]
MOST: Final = 10_000  # records in memory; beyond, the one that was used longest ago goes
_AWAY: Final = 30.0  # s until a shared state that failed is tried again
_AT_ONCE: Final = 500  # due records that are looked at in one go

_TABLE: Final = (
    "create table if not exists {table} "
    "(key text primary key, due double precision not null, record text not null)"
)
_INDEX: Final = "create index if not exists litespan_alerts_due on {table} (due)"


class State(Protocol):
    """Records by key."""

    @property
    def shared(self) -> bool:
        """Do other processes see it?"""

    def change(self, key: str, step: "Step[T]") -> T:
        """Replace the record under `key` by what `step` makes of it; returns its result."""

    def due(self, prefix: str, now: float) -> list[str]:
        """Keys that begin with `prefix`, of records that are due."""

    def close(self) -> None:
        """Close what is open; a later `change` opens it again."""


class Memory:
    """The state of one process."""

    shared = False

    def __init__(self) -> None:
        self._records: OrderedDict[str, Record] = OrderedDict()
        self._lock = threading.Lock()

    def change(self, key: str, step: "Step[T]") -> T:
        """As of `State`."""
        with self._lock:
            new, result = step(self._records.pop(key, None))
            if new is not None:
                self._records[key] = new
                if len(self._records) > MOST:
                    self._records.popitem(last=False)
            return result

    def due(self, prefix: str, now: float) -> list[str]:
        """As of `State`."""
        with self._lock:
            return [
                key
                for key, record in self._records.items()
                if record["due"] <= now and key.startswith(prefix)
            ]

    def close(self) -> None:
        """Nothing is open."""


class SQLite:
    """The state of processes that see one file. It may be a file of its own or not exist yet."""

    shared = True

    def __init__(self, path: str) -> None:
        self._file = SQLiteFile(Path(path).expanduser().absolute(), _prepare)

    def change(self, key: str, step: "Step[T]") -> T:
        """As of `State`. Raises sqlite3.Error."""
        with self._file.changing() as connection:
            found = connection.execute(
                "select record from litespan_alerts where key = ?", (key,)
            ).fetchone()
            new, result = step(json.loads(found[0]) if found else None)
            if new is None:
                connection.execute("delete from litespan_alerts where key = ?", (key,))
            else:
                connection.execute(
                    "insert into litespan_alerts (key, due, record) values (?, ?, ?) on conflict "
                    "(key) do update set due = excluded.due, record = excluded.record",
                    (key, new["due"], json.dumps(new)),
                )
        return result

    def due(self, prefix: str, now: float) -> list[str]:
        """As of `State`."""
        with self._file.changing() as connection:
            found = connection.execute(
                "select key from litespan_alerts where due <= ? and substr(key, 1, ?) = ? limit ?",
                (now, len(prefix), prefix, _AT_ONCE),
            )
            return [key for (key,) in found]

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _prepare(connection: Any) -> None:
    connection.execute(_TABLE.format(table="litespan_alerts"))
    connection.execute(_INDEX.format(table="litespan_alerts"))


class Postgres:
    """The state of processes that see one database: table `litespan.alerts`."""

    shared = True

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection: Connection[Any] | None = None
        self._of_parents: list[Connection[Any]] = []  # kept: closing one here would end it there
        self._pid = os.getpid()

    def change(self, key: str, step: "Step[T]") -> T:
        """As of `State`. Raises psycopg.Error."""
        connection = self._connected()
        with connection.transaction():
            connection.execute("select pg_advisory_xact_lock(hashtext(%s))", (key,))
            found = connection.execute(
                "select record from litespan.alerts where key = %s", (key,)
            ).fetchone()
            new, result = step(json.loads(found[0]) if found else None)
            if new is None:
                connection.execute("delete from litespan.alerts where key = %s", (key,))
            else:
                connection.execute(
                    "insert into litespan.alerts (key, due, record) values (%s, %s, %s) on "
                    "conflict (key) do update set due = excluded.due, record = excluded.record",
                    (key, new["due"], json.dumps(new)),
                )
        return result

    def due(self, prefix: str, now: float) -> list[str]:
        """As of `State`."""
        found = self._connected().execute(
            "select key from litespan.alerts where due <= %s and starts_with(key, %s) limit %s",
            (now, prefix, _AT_ONCE),
        )
        return [key for (key,) in found.fetchall()]

    def close(self) -> None:
        """Close the connection."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(Exception):
                connection.close()

    def _connected(self) -> "Connection[Any]":
        if self._connection is not None and self._pid != os.getpid():
            self._of_parents.append(self._connection)
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


class Careful:
    """A shared state while it can be reached, this process's memory while it can not."""

    shared = True

    def __init__(self, shared: State) -> None:
        self._shared = shared
        self._memory = Memory()
        self._again = 0.0  # monotonic: when to try the shared one again

    def change(self, key: str, step: "Step[T]") -> T:
        """As of `State`; never raises for the place's sake."""
        key = clean(key)  # names in it are the caller's: no database takes NUL
        return self._try(lambda state: state.change(key, step))

    def due(self, prefix: str, now: float) -> list[str]:
        """As of `State`; never raises for the place's sake."""
        return self._try(lambda state: state.due(prefix, now))

    def close(self) -> None:
        """Close the shared one."""
        self._shared.close()

    def _try(self, ask: Callable[[State], T]) -> T:
        if time.monotonic() >= self._again:
            try:
                return ask(self._shared)
            except Exception as error:  # noqa: BLE001 - alerts go on without it
                self._again = time.monotonic() + _AWAY
                count("alerts.state.away")
                log_once(
                    f"alerts.state.{type(error).__name__}",
                    "LITESPAN_ALERTS_STATE can not be used (%s): until it can, each process "
                    "alerts by itself; check the place and the rights to it",
                    type(error).__name__,
                )
                self._shared.close()
        return ask(self._memory)


def state_at(place: str) -> State:
    """The state that `LITESPAN_ALERTS_STATE` names."""
    if not place:
        return Memory()
    if place.startswith(("postgresql://", "postgres://", "postgresql+")):
        return Careful(Postgres(for_libpq(place)))
    return Careful(SQLite(place))
