"""A writer: one thread a process that brings rows to a store, and keeps what it cannot bring.

A store is a database or a file. It can be slow, go away and come back, or refuse a row. The
thread that exports only hands rows over and waits for a bounded time; what is not written by
then stays in a bounded buffer and is written when the store is back.
"""

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from random import uniform
from typing import Any, Final, Protocol, TypeAlias

from opentelemetry.instrumentation.utils import suppress_instrumentation

from litespan.quiet import quiet
from litespan_exporters.rows import COLUMNS

THREAD: Final = "litespan-store"
"""Name of the threads that write."""

Row: TypeAlias = list[Any]
"""The values of `rows.COLUMNS`, in their order."""

NAMES: Final = tuple([column.name for column in COLUMNS])
KEY: Final = NAMES.index("key")
OUTCOME: Final = NAMES.index("outcome")
STARTED: Final = "started"


class Away(Exception):
    """The store takes nothing at the moment; the same rows may be written later.

    The message says why and how to mend it, without secrets. `cause` is one word for it.
    """

    def __init__(self, message: str, cause: str = "away") -> None:
        super().__init__(message)
        self.cause = cause


class Refused(Exception):
    """The store does not take a row. The message holds nothing of the row."""


class Store(Protocol):
    """An open database or file. Used by one thread at a time."""

    def write(self, rows: Sequence[Row]) -> None:
        """Upsert `rows` by key, each key at most once; a started row never over a finished one.

        Raises `Away` if the store takes nothing, any other exception if it is the rows'
        fault. What a failed write has left behind may be written again.
        """

    def close(self) -> None:
        """Let go of connections and files."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a writer is bounded by. Times are seconds, sizes approximate bytes."""

    max_rows: int = 2_000  # in one write
    linger: float = 0.0  # that rows may wait for others to be written with
    keep_rows: int = 10_000  # kept while the store is away
    keep_bytes: int = 64_000_000
    patience: float = 5.0  # that an export waits for its rows to be written
    exit_patience: float = 5.0  # that shutdown waits
    hung_patience: float = 1.0  # that shutdown waits for a store that is already away
    backoff: float = 0.5  # before the second retry, the first is at once; doubles, with jitter
    max_backoff: float = 30.0


@dataclass(slots=True)
class Ticket:
    """The rows that one export has handed over: how many are open, how many were lost."""

    open: int = 0
    lost: int = 0


@dataclass(slots=True)
class _Entry:
    row: Row
    ticket: Ticket
    size: int = 0  # bytes, about; 0 = not looked at yet


class Telling(Protocol):
    """Whom a writer tells what it does, while it holds its lock: be short."""

    def written(self, rows: int) -> None:
        """So many rows are in the store."""

    def retrying(self, away: Away, rows: int) -> None:
        """A write of so many rows has failed; they are kept."""

    def dropped(self, cause: str, rows: int) -> None:
        """So many rows are given up."""

    def refused(self, error: Exception) -> None:
        """Why the store did not take a row."""


class Writer:
    """Brings rows to a store that `connect` opens when there are some."""

    def __init__(self, connect: Callable[[], Store], limits: Limits, tell: Telling) -> None:
        self._connect = connect
        self._limits = limits
        self._tell = tell
        self._change = threading.Condition()
        self._work = threading.Lock()  # held by the one who uses the store
        self._waiting: dict[Any, _Entry] = {}  # by key, in order of arrival
        self._under_way: list[_Entry] = []  # in the write that is going on
        self._store: Store | None = None
        self._thread: threading.Thread | None = None
        self._tries = 0  # failed ones since the last write that succeeded
        self._not_before = 0.0  # monotonic s: when the next try is due
        self._closing = False  # write what is there, then stop
        self._closed = False  # stop at once
        self.away = False  # did the last tries fail, or take longer than anybody waits?

    def put(self, rows: Iterable[Row]) -> Ticket:
        """Hand rows over. A newer row of a call replaces the one that still waits."""
        ticket = Ticket()
        with self._change:
            for row in rows:
                if self._closing:
                    ticket.lost += 1
                    continue
                if not self._waiting:
                    self._not_before = max(self._not_before, self._later(self._limits.linger))
                ticket.open += 1
                self._add(_Entry(row, ticket))
            if ticket.lost:
                self._tell.dropped("shutdown", ticket.lost)
            self._change.notify_all()
        if ticket.open:
            self._start()
        return ticket

    def wait(self, ticket: Ticket) -> bool:
        """Wait until the rows of `ticket` are written; False if they are not, in time.

        A store that is known to be away is not waited for, and rows that linger count as
        written as long as the store is not away.
        """
        until = self._later(self._limits.patience)
        with self._change:
            while ticket.open and not self.away and not self._limits.linger:
                if (left := until - time.monotonic()) <= 0:
                    self.away = True
                    break
                self._change.wait(left)
            self._trim()
            return not ticket.lost and not (ticket.open and self.away)

    def offer(self, rows: Sequence[Row]) -> bool:
        """Hand over rows that nobody waits for; False if there is no room for them."""
        with self._change:
            if len(self._waiting) + len(rows) > self._limits.keep_rows:
                self._tell.dropped("buffer full", len(rows))
                return False
        return not self.put(rows).lost

    def flush(self, seconds: float) -> bool:
        """Wait until nothing is left to write; False if that takes longer than `seconds`."""
        until = self._later(seconds)
        with self._change:
            if not self.away:
                self._not_before = 0.0
            self._change.notify_all()
            while (self._waiting or self._under_way) and not self._closed:
                if (left := until - time.monotonic()) <= 0:
                    break
                self._change.wait(left)
            return not self._waiting and not self._under_way

    def close(self) -> None:
        """Write what is left, within a bounded time, and close the store."""
        with self._change:
            if self._closing:
                return
            self._closing = True
            self._not_before = 0.0
            seconds = self._limits.hung_patience if self.away else self._limits.exit_patience
        self.flush(seconds)
        with self._change:
            self._closed = True
            left = [*self._under_way, *self._waiting.values()]
            self._under_way, self._waiting = [], {}
            self._drop("shutdown", left)
            self._change.notify_all()
        if self._thread is None:
            self._close_store()
        else:  # it closes the store, unless it hangs
            self._thread.join(self._limits.hung_patience)

    # --- on the thread ---------------------------------------------------------------

    def _start(self) -> None:
        with self._change:
            if self._thread is not None:
                return
            self._thread = threading.Thread(target=self._run, name=THREAD, daemon=True)
            try:
                self._thread.start()
            except RuntimeError:  # the interpreter is ending and starts no more threads
                self._thread = None
            else:
                return
        self._work_off(self._later(self._limits.exit_patience))

    def _run(self) -> None:
        self._work_off(None)
        self._close_store()

    def _work_off(self, until: float | None) -> None:
        """Write what there is and what comes; with `until`, only what there is by then."""
        with self._work, suppress_instrumentation():
            while entries := self._next(until):
                self._write(entries)

    def _opened(self) -> Store:
        if self._store is None:
            try:
                self._store = self._connect()
            except Away:
                raise
            except Exception as error:
                raise Away(type(error).__name__) from error
        return self._store

    def _close_store(self) -> None:
        store, self._store = self._store, None
        if store is not None:
            with quiet("closing a store"):
                store.close()

    def _next(self, until: float | None) -> list[_Entry]:
        """What to write next, waiting for it; nothing when there is no more to come."""
        with self._change:
            while not self._closed and (self._waiting or not self._closing):
                now = time.monotonic()
                if until is not None and (now > until or not self._waiting):
                    break
                full = not self.away and len(self._waiting) >= self._limits.max_rows
                if self._waiting and (full or now >= self._not_before):
                    keys = list(islice(self._waiting, self._limits.max_rows))
                    self._under_way = [self._waiting.pop(key) for key in keys]
                    return self._under_way
                self._change.wait(self._not_before - now if self._waiting else None)
            return []

    def _write(self, entries: list[_Entry]) -> None:
        """Write `entries`; halves of them apart when a row among them is refused."""
        parts = [entries]
        while parts:
            part = parts.pop()
            try:
                self._opened().write([entry.row for entry in part])
            except Away as away:
                self._put_back([entry for rest in (part, *parts) for entry in rest], away)
                return
            except Exception as error:  # noqa: BLE001 - any library's; the exporter is told
                if len(part) > 1:
                    middle = len(part) // 2
                    parts += [part[middle:], part[:middle]]
                else:
                    self._settle(part, error)
            else:
                self._settle(part)
        with self._change:
            self._under_way = []
            self._change.notify_all()

    def _settle(self, entries: list[_Entry], error: Exception | None = None) -> None:
        with self._change:
            self.away = False
            self._tries = 0
            if self._closed:  # too late: they are counted as dropped
                return
            if error is not None:
                self._tell.refused(error)
                self._drop("refused", entries)
            else:
                for entry in entries:
                    entry.ticket.open -= 1
                self._tell.written(len(entries))
            settled = {id(entry) for entry in entries}
            self._under_way = [e for e in self._under_way if id(e) not in settled]
            self._change.notify_all()

    def _put_back(self, entries: list[_Entry], away: Away) -> None:
        """Keep what could not be written, before what came since, and wait a little."""
        stale = self._store is not None and self._tries == 0
        self._close_store()
        with self._change:
            if self._closed:
                return
            self._under_way = []
            self._tell.retrying(away, len(entries))
            newer, self._waiting = self._waiting, {}
            for entry in (*entries, *newer.values()):
                self._add(entry)
            self._tries += 1
            wait = min(self._limits.backoff * 2.0 ** (self._tries - 1), self._limits.max_backoff)
            # An open connection that fails has most likely been closed while it was idle.
            self._not_before = 0.0 if stale else self._later(wait * uniform(0.8, 1.2))  # noqa: S311
            self.away = self.away or self._tries > 2
            self._trim()
            self._change.notify_all()

    # --- with the lock held ------------------------------------------------------------

    def _later(self, seconds: float) -> float:
        return time.monotonic() + seconds

    def _add(self, entry: _Entry) -> None:
        """Let `entry` wait for its turn, in place of an older row of the same call."""
        older = self._waiting.pop(entry.row[KEY], None)
        if older is not None:
            if entry.row[OUTCOME] == STARTED and older.row[OUTCOME] != STARTED:
                older, entry = entry, older
            older.ticket.open -= 1
        self._waiting[entry.row[KEY]] = entry

    def _trim(self) -> None:
        """Drop the oldest rows, while the store is away, beyond what may be kept."""
        if not self.away:
            return
        rows = room = 0
        excess = []
        for key in reversed(list(self._waiting)):
            entry = self._waiting[key]
            entry.size = entry.size or size_of(entry.row)
            rows, room = rows + 1, room + entry.size
            if rows > self._limits.keep_rows or room > self._limits.keep_bytes:
                excess.append(self._waiting.pop(key))
        self._drop("buffer full", excess)

    def _drop(self, cause: str, entries: Sequence[_Entry]) -> None:
        for entry in entries:
            entry.ticket.open -= 1
            entry.ticket.lost += 1
        if entries:
            self._tell.dropped(cause, len(entries))


def size_of(row: Row) -> int:
    """About how many bytes of memory a row takes."""
    return 1_000 + sum(len(value) for value in row if isinstance(value, str))
