"""A writer: one thread a process that brings rows to a store, and keeps what it cannot bring.

A store is a database or a file. It can be slow, go away and come back, or refuse a row. The
thread that exports only hands rows over and waits for a bounded time; what is not written by
then stays in a bounded buffer and is written when the store is back.
"""

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from random import uniform
from typing import Final, Protocol

from opentelemetry.instrumentation.utils import suppress_instrumentation

from litespan.errors import suppress_errors
from litespan.stores.buffer import Buffer, Entry, Limits, Row, Ticket

THREAD: Final = "litespan-store"
"""Name of the threads that write."""


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


class Observer(Protocol):
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

    def __init__(self, connect: Callable[[], Store], limits: Limits, tell: Observer) -> None:
        self._connect = connect
        self._limits = limits
        self._tell = tell
        self._change = threading.Condition()  # guards all but the store
        self._kept = Buffer(limits)
        self._thread: threading.Thread | None = None
        self._tries = 0  # failed ones since the last write that succeeded
        self._not_before = 0.0  # monotonic s: when the next try is due
        self._closing = False  # write what is there, then stop
        self._closed = False  # stop at once
        self.away = False  # did the last tries fail, or take longer than anybody waits?
        self._use = threading.Lock()  # held by the one who uses the store
        self._store: Store | None = None

    def put(self, rows: Iterable[Row]) -> Ticket:
        """Hand rows over. A newer row of a call replaces the one that still waits."""
        ticket = Ticket()
        with self._change:
            if self._closing:
                ticket.lost = len(list(rows))
                self._tell.dropped("shutdown", ticket.lost)
                return ticket
            if not len(self._kept):
                self._not_before = max(self._not_before, _later(self._limits.linger))
            self._kept.add(rows, ticket)
            self._change.notify_all()
        self._start()
        return ticket

    def offer(self, rows: Sequence[Row]) -> None:
        """Hand over rows that nobody waits for, if there is room for them."""
        with self._change:
            if len(self._kept) + len(rows) > self._limits.keep_rows:
                self._tell.dropped("buffer full", len(rows))
                return
        self.put(rows)

    def wait(self, ticket: Ticket) -> bool:
        """Wait until the rows of `ticket` are written; False if they are not, in time.

        A store that is known to be away is not waited for, and rows that linger count as
        written as long as the store is not away.
        """
        until = _later(self._limits.patience)
        with self._change:
            while ticket.open and not self.away and not self._limits.linger:
                if (left := until - time.monotonic()) <= 0:
                    self.away = True
                    break
                self._change.wait(left)
            self._trim()
            return not ticket.lost and not (ticket.open and self.away)

    def flush(self, seconds: float) -> bool:
        """Wait until nothing is left to write; False if that takes longer than `seconds`."""
        until = _later(seconds)
        with self._change:
            if not self.away:
                self._not_before = 0.0
            self._change.notify_all()
            while not self._kept.empty and not self._closed:
                if (left := until - time.monotonic()) <= 0:
                    break
                self._change.wait(left)
            return self._kept.empty

    def close(self) -> None:
        """Write what is left, within a bounded time, and close the store."""
        with self._change:
            if self._closing:
                return
            self._closing = True
            self._not_before = 0.0
            seconds = self._limits.hung_patience if self.away else self._limits.exit_patience
        until = _later(seconds)
        self.flush(seconds)
        with self._change:
            self._closed = True
            self._drop("shutdown", self._kept.clear())
            self._change.notify_all()
        if self._thread is None:
            self._close_store()
        else:  # it closes the store, unless it hangs
            self._thread.join(max(until - time.monotonic(), 0.0) + self._limits.hung_patience)

    def pause(self, seconds: float) -> bool:
        """Close the store and let nobody use it until `resume`; False if a write takes longer."""
        if not self._use.acquire(timeout=seconds):
            return False
        self._close_store()
        return True

    def resume(self) -> None:
        """After a `pause` that said True: write on."""
        self._use.release()

    # --- on the thread ---------------------------------------------------------------

    def _start(self) -> None:
        with self._change:
            if self._thread is not None:
                return
            self._thread = threading.Thread(target=self._work, name=THREAD, daemon=True)
            try:
                self._thread.start()
            except RuntimeError:  # the interpreter is ending and starts no more threads
                self._thread = None
            else:
                return
        self._work(_later(self._limits.exit_patience))

    def _work(self, until: float | None = None) -> None:
        """Write what there is and what comes; with `until`, only what there is by then."""
        with suppress_instrumentation():
            while (entries := self._next(until)) is not None:
                with self._use:
                    if entries:
                        self._write(entries)
                    else:
                        self._close_store()
            if until is None:
                with self._use:
                    self._close_store()

    def _next(self, until: float | None) -> list[Entry] | None:
        """What to write next, waiting for it; an empty list after idle time, None at the end."""
        with self._change:
            while not self._closed and (len(self._kept) or not self._closing):
                now = time.monotonic()
                if until is not None and (now > until or not len(self._kept)):
                    break
                if not len(self._kept):
                    idle = self._limits.idle if self._store is not None else None
                    if not self._change.wait(idle):
                        return []
                elif now >= self._not_before or (self._kept.full and not self.away):
                    return self._kept.take()
                else:
                    self._change.wait(self._not_before - now)
            return None

    def _write(self, entries: list[Entry]) -> None:
        """Write `entries`; halves of them apart when a row among them is refused."""
        parts = [entries]
        while parts:
            part = parts.pop()
            try:
                self._opened().write([entry.row for entry in part])
            except Away as away:
                self._retry(away)
                return
            except Exception as error:  # noqa: BLE001 - any library's; the exporter is told
                if len(part) == 1:
                    self._settle(part, error)
                else:
                    middle = len(part) // 2
                    parts += [part[middle:], part[:middle]]
            else:
                self._settle(part)

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
            with suppress_errors("closing a store"):
                store.close()

    def _settle(self, entries: list[Entry], error: Exception | None = None) -> None:
        with self._change:
            self.away = False
            self._tries = 0
            if self._closed:  # too late: they are counted as dropped
                return
            if error is not None:
                self._tell.refused(error)
                self._drop("refused", entries)
            else:
                self._kept.done(entries)
                self._tell.written(len(entries))
            self._change.notify_all()

    def _retry(self, away: Away) -> None:
        """Keep what could not be written, before what came since, and wait a little."""
        stale = self._store is not None and self._tries == 0
        self._close_store()
        with self._change:
            if self._closed:
                return
            self._tell.retrying(away, len(self._kept.under_way))
            self._kept.put_back()
            self._tries += 1
            wait = min(self._limits.backoff * 2.0 ** (self._tries - 1), self._limits.max_backoff)
            # An open connection that fails has most likely been closed while it was idle.
            self._not_before = 0.0 if stale else _later(wait * uniform(0.8, 1.2))  # noqa: S311
            self.away = self.away or self._tries >= self._limits.tries
            self._trim()
            self._change.notify_all()

    # --- with the lock held ------------------------------------------------------------

    def _trim(self) -> None:
        if self.away:
            self._drop("buffer full", self._kept.trim())

    def _drop(self, cause: str, entries: Sequence[Entry]) -> None:
        self._kept.lose(entries)
        if entries:
            self._tell.dropped(cause, len(entries))


def _later(seconds: float) -> float:
    return time.monotonic() + seconds
