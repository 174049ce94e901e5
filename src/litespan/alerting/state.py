"""The state of alerts: in this process's memory, or in a SQLite file that processes share.

All changes go through `change(key, step)`: `step` receives the record under a key and returns the
new record (None to delete it) and a result. A shared state runs it in one transaction, so exactly
one process gets the result "send a notice". Processes on several machines send to Alertmanager,
which merges their alerts.
"""

import json
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

from litespan.background import fork
from litespan.counters import count
from litespan.errors import log_once
from litespan.stores.columns import clean
from litespan.stores.sqlite_file import SQLiteFile

T = TypeVar("T")
Record = Mapping[str, Any]
"""A JSON object. Its `due` says when to check it next, in s since the epoch."""
Step = Callable[[Record | None], tuple[Record | None, T]]
MAX_RECORDS: Final = 10_000  # in memory; the least recently used one is evicted
_RETRY_AFTER: Final = 30.0  # s until a file that could not be used is opened again
_MAX_DUE: Final = 500  # due records in one query


class State:
    """Records by key, in the memory of this process."""

    shared = False
    """Whether other processes share the records."""

    def __init__(self) -> None:
        self._records: OrderedDict[str, Record] = OrderedDict()
        self._reset()
        fork.register(self, after_in_child=State._reset)

    def _reset(self) -> None:
        """Also runs in a forked child: a thread of the parent can hold the lock."""
        self._lock = threading.Lock()

    def change(self, key: str, step: "Step[T]") -> T:
        """Replace the record under `key` with the one that `step` returns; returns its result."""
        with self._lock:
            new, result = step(self._records.pop(key, None))
            if new is not None:
                self._records[key] = new
                if len(self._records) > MAX_RECORDS:
                    self._records.popitem(last=False)
            return result

    def due(self, prefix: str, now: float) -> list[str]:
        """Keys of the records that begin with `prefix` and are due at `now` (s since the epoch)."""
        with self._lock:
            return [
                key
                for key, record in self._records.items()
                if record["due"] <= now and key.startswith(prefix)
            ]

    def close(self) -> None:
        """Close files; the next `change` opens them again."""


class SharedFile(State):
    """State in a SQLite file, created if it is missing; this process's memory while it fails."""

    shared = True

    def __init__(self, path: str) -> None:
        super().__init__()
        self._file = SQLiteFile(Path(path).expanduser().absolute(), _prepare)
        self._retry_at = 0.0  # monotonic s

    def change(self, key: str, step: "Step[T]") -> T:
        """See `State`."""
        key = clean(key)  # it contains names from calls

        def run(connection: Any) -> T:
            found = "select record from litespan_alerts where key = ?"
            row = connection.execute(found, (key,)).fetchone()
            new, result = step(json.loads(row[0]) if row else None)
            if new is None:
                connection.execute("delete from litespan_alerts where key = ?", (key,))
            else:
                connection.execute(
                    "insert or replace into litespan_alerts (key, due, record) values (?, ?, ?)",
                    (key, new["due"], json.dumps(new)),
                )
            return result

        return self._run(run, partial(super().change, key, step))

    def due(self, prefix: str, now: float) -> list[str]:
        """See `State`."""

        def run(connection: Any) -> list[str]:
            rows = connection.execute(
                "select key from litespan_alerts where due <= ? and substr(key, 1, ?) = ? limit ?",
                (now, len(prefix), prefix, _MAX_DUE),
            )
            return [key for (key,) in rows]

        return self._run(run, partial(super().due, prefix, now))

    def close(self) -> None:
        """See `State`."""
        self._file.close()

    def _run(self, on_file: Callable[[Any], T], in_memory: Callable[[], T]) -> T:
        """Run a transaction on the file; the same in memory if the file cannot be used."""
        if time.monotonic() >= self._retry_at:
            try:
                with self._file.changing() as connection:
                    return on_file(connection)
            except Exception as error:  # noqa: BLE001 - alerts continue without it
                self._retry_at = time.monotonic() + _RETRY_AFTER
                count("alerts.state.away")
                log_once(
                    f"alerts.state.{type(error).__name__}",
                    "LITESPAN_ALERTS_STATE cannot be used (%s): until it can, each process sends "
                    "alerts independently; check the path and the access rights",
                    type(error).__name__,
                )
                self._file.close()
        return in_memory()


def _prepare(connection: Any) -> None:
    connection.execute(
        "create table if not exists litespan_alerts "
        "(key text primary key, due double precision not null, record text not null)"
    )
    connection.execute("create index if not exists litespan_alerts_due on litespan_alerts (due)")


def state_at(place: str) -> State:
    """The state that a value of LITESPAN_ALERTS_STATE names."""
    if "://" in place:
        log_once(
            "alerts.state.url",
            "LITESPAN_ALERTS_STATE must be the path of a file, not a URL: each process sends "
            "alerts independently; for processes on several machines, use the alertmanager "
            "exporter",
        )
        place = ""
    return SharedFile(place) if place else State()
