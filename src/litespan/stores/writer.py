"""Writes rows to a store on one thread for each process, and buffers rows that cannot be written.

A store (a database or file) can be slow or unavailable, or reject a row. The exporting thread only
adds rows to a bounded buffer and waits for a bounded time. Unwritten rows stay in the buffer until
the store is available again.
"""

import threading
import time
from collections.abc import Callable, Sequence
from random import uniform
from typing import Final, Protocol

from opentelemetry.instrumentation.utils import suppress_instrumentation

from litespan.background.pool import Pool
from litespan.errors import suppress_errors
from litespan.stores.buffer import Buffer, Entry, Limits, Row, Ticket
from litespan.stores.store import Away, Store

THREAD: Final = "litespan-store"
"""Name of the writing threads."""
_INTERRUPTS: Final = (KeyboardInterrupt, SystemExit)
_EXIT_BACKOFF: Final = 0.1  # s between the attempts at exit


class Observer(Protocol):
    """Receives events of a writer, which holds its lock meanwhile: return quickly."""

    def written(self, rows: int) -> None:
        """`rows` rows were written."""

    def retrying(self, away: Away, rows: int) -> None:
        """A write of `rows` rows failed; they are kept."""

    def dropped(self, cause: str, rows: int) -> None:
        """`rows` rows were dropped."""

    def refused(self, error: BaseException) -> None:
        """The store rejected a row."""


class Writer:
    """Writes rows to a store that `connect` opens when needed."""

    def __init__(self, connect: Callable[[], Store], limits: Limits, observer: Observer) -> None:
        self._connect = connect
        self._limits = limits
        self._observer = observer
        self._pool = Pool(THREAD)
        self._changed = self._pool.changed  # guards everything except the store
        self._buffer = Buffer(limits)
        self._tries = 0  # failures since the last successful write
        self._not_before = 0.0  # monotonic s of the next attempt
        self._closing = False  # write what is buffered, then stop
        self._closed = False  # stop immediately
        self.away = False  # whether the store is unavailable or too slow
        self._use = threading.Lock()  # held while the store is used
        self._store: Store | None = None

    def put(self, rows: Sequence[Row]) -> Ticket:
        """Add rows. A newer row of a call replaces one that still waits."""
        ticket = Ticket()
        with self._changed:
            if self._closing:
                ticket.lost["shutdown"] = len(rows)
                self._observer.dropped("shutdown", len(rows))
                return ticket
            if not len(self._buffer):
                self._not_before = max(self._not_before, _later(self._limits.linger))
            self._buffer.add(rows, ticket)
            self._schedule()
        return ticket

    def offer(self, rows: Sequence[Row]) -> None:
        """Add rows without waiting for them, if the buffer has room."""
        with self._changed:
            if len(self._buffer) + len(rows) > self._limits.keep_rows:
                self._observer.dropped("buffer_full", len(rows))
                return
        self.put(rows)

    def wait(self, ticket: Ticket) -> bool:
        """Wait until the rows of `ticket` are written; False if they are not written in time.

        Does not wait for an unavailable store. With `linger`, rows count as written while the
        store is available.
        """
        lingers = bool(self._limits.linger)
        until = _later(self._limits.patience)
        written = self._pool.wait_for(lambda: not ticket.pending or self.away or lingers, until)
        with self._changed:
            self.away = self.away or not written
            self._trim()
            return not ticket.lost and not (ticket.pending and self.away)

    def flush(self, seconds: float) -> bool:
        """Wait until the buffer is empty; False if that takes longer than `seconds`."""
        with self._changed:
            if not self.away:
                self._not_before = 0.0
            self._schedule()
        self._pool.wait_for(lambda: self._buffer.empty or self._closed, _later(seconds))
        return self._buffer.empty

    def close(self) -> None:
        """Write what is left within a bounded time, and close the store."""
        with self._changed:
            if self._closing:
                return
            self._closing = True
            self._not_before = 0.0
            seconds = self._limits.hung_patience if self.away else self._limits.exit_patience
        until = _later(seconds)
        self.flush(seconds)
        with self._changed:
            self._closed = True
            self._drop("shutdown", self._buffer.clear())
            if self._store is not None or self._pool.has_threads:
                self._pool.submit(self._work)  # closes the store, unless a write hangs
        self._pool.close(max(until, time.monotonic()) + self._limits.hung_patience)

    def pause(self, seconds: float) -> bool:
        """Close the store and block its use until `resume`; False if a write takes longer."""
        if not self._use.acquire(timeout=seconds):
            return False
        self._close_store()
        return True

    def resume(self) -> None:
        """Continue after a `pause` that returned True."""
        self._use.release()

    # --- on the thread ---------------------------------------------------------------

    def _work(self) -> None:
        """Write the rows that are due. If there are none, close the idle store."""
        with self._changed:
            rows_wait = len(self._buffer) > 0 and not self._closed
            if rows_wait and not self._is_full() and self._not_before > time.monotonic():
                self._schedule()
                return
            entries = self._buffer.take() if rows_wait else []
        with suppress_instrumentation(), self._use:
            if entries:
                self._write(entries)
            else:
                self._close_store()
        with self._changed:
            if self._store is not None and not len(self._buffer):
                self._pool.submit(self._work, _later(self._limits.idle))
            self._schedule()

    def _write(self, entries: list[Entry]) -> None:
        """Write `entries`; if one is rejected, write halves separately."""
        parts = [entries]
        while parts:
            part = parts.pop()
            try:
                self._opened().write([entry.row for entry in part])
            except Away as away:
                self._retry(away)
                return
            except _INTERRUPTS:
                with self._changed:
                    self._buffer.put_back()
                raise
            except BaseException as error:  # noqa: BLE001 - any library's, also a panic of Rust code
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
            except (Away, *_INTERRUPTS):
                raise
            except BaseException as error:
                raise Away(type(error).__name__) from error
        return self._store

    def _close_store(self) -> None:
        store, self._store = self._store, None
        if store is not None:
            with suppress_errors("closing a store"):
                store.close()

    def _settle(self, entries: list[Entry], error: BaseException | None = None) -> None:
        with self._changed:
            self.away = False
            self._tries = 0
            if self._closed:  # too late: already counted as dropped
                return
            if error is not None:
                self._observer.refused(error)
                self._drop("refused", entries)
            else:
                self._buffer.settle(entries)
                self._observer.written(len(entries))
            self._changed.notify_all()

    def _retry(self, away: Away) -> None:
        """Return the rows to the buffer, and schedule the next attempt."""
        stale = self._store is not None and self._tries == 0
        self._close_store()
        with self._changed:
            if self._closed:
                return
            self._observer.retrying(away, len(self._buffer.writing))
            self._buffer.put_back()
            self._tries += 1
            wait = min(self._limits.backoff * 2.0 ** (self._tries - 1), self._limits.max_backoff)
            if self._closing:  # little time is left
                wait = min(wait, _EXIT_BACKOFF)
            # An open connection that fails was most likely closed while it was idle.
            self._not_before = 0.0 if stale else _later(wait * uniform(0.8, 1.2))  # noqa: S311
            self.away = self.away or self._tries >= self._limits.tries
            self._trim()
            self._changed.notify_all()

    # --- with the lock held ------------------------------------------------------------

    def _schedule(self) -> None:
        """Write waiting rows when they are due."""
        if len(self._buffer):
            self._pool.submit(self._work, 0.0 if self._is_full() else self._not_before)

    def _is_full(self) -> bool:
        """Whether to write although the rows are not due."""
        return self._buffer.full and not self.away

    def _trim(self) -> None:
        if self.away:
            self._drop("buffer_full", self._buffer.trim())

    def _drop(self, cause: str, entries: Sequence[Entry]) -> None:
        if entries:
            self._buffer.settle(entries, cause)
            self._observer.dropped(cause, len(entries))


def _later(seconds: float) -> float:
    return time.monotonic() + seconds
