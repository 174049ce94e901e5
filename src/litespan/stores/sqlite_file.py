"""A SQLite file that several processes and threads write to.

The file is in WAL mode. Each process has one connection, opened for the first write, after a fork,
and after the file was removed.
See https://www.sqlite.org/wal.html and https://www.sqlite.org/howtocorrupt.html.
"""

import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Any, Final

from litespan.background import fork
from litespan.stores import private_files

BUSY_S: Final = 2.0  # s that a write waits for other writers
_FORK_WAIT_S: Final = BUSY_S + 1  # longer than a write waits


class SQLiteFile:
    """A file and this process's connection to it.

    Args:
        path: The file; created if missing. Its folder must exist.
        prepare: Updates the schema of a new connection; may run on any write.
        sync: `normal`: data survives a crash of the process. `full`: also of the machine.
    """

    def __init__(
        self, path: Path, prepare: Callable[[sqlite3.Connection], None], sync: str = "normal"
    ) -> None:
        self.path: Final = path
        self._prepare = prepare
        self._sync = sync
        self._lock = Lock()
        self._connection: sqlite3.Connection | None = None
        self._opened: tuple[int, int] | None = None  # device and inode of the open file
        self._paused = False
        fork.register(
            self,
            before=SQLiteFile._pause,
            after_in_parent=SQLiteFile._resume,
            after_in_child=SQLiteFile._reset,
        )

    def write(self, statement: str, rows: Iterable[Sequence[Any]]) -> None:
        """Run `statement` for every row in one transaction.

        Raises sqlite3.Error or OSError; UnicodeEncodeError for a lone surrogate.
        """
        with self.changing() as connection:
            connection.executemany(statement, rows)

    @contextmanager
    def changing(self) -> Iterator[sqlite3.Connection]:
        """A transaction around the block. Raises as `write`."""
        with self._lock:
            connection = self._connect()
            with transaction(connection):
                yield connection

    def close(self) -> None:
        """Close the connection. A later write opens it again."""
        with self._lock:
            self._disconnect()

    def _connect(self) -> sqlite3.Connection:
        if self._connection is not None and self._opened == _identity(self.path):
            return self._connection
        self._disconnect()
        private_files.make_file(self.path)  # SQLite gives -wal and -shm the same mode
        connection = sqlite3.connect(
            self.path, timeout=BUSY_S, isolation_level=None, check_same_thread=False
        )
        try:
            self._prepare(connection)  # first, because it rejects other applications' files
            _to_wal(connection)
            connection.execute(f"pragma synchronous = {self._sync}")
        except BaseException:
            connection.close()
            raise
        self._connection, self._opened = connection, _identity(self.path)
        return connection

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    # A child must not use or close an open SQLite connection: both processes would assume that they
    # hold its locks. So it is closed before a fork. `subprocess` does not run these hooks.
    def _pause(self) -> None:
        """Before a fork: wait for the running write, and close."""
        self._paused = self._lock.acquire(timeout=_FORK_WAIT_S)
        if self._paused:
            self._disconnect()

    def _resume(self) -> None:
        """After a fork, in the parent."""
        if self._paused:
            self._lock.release()

    def _reset(self) -> None:
        """After a fork, in the child: replace the lock, whose owner is in the parent."""
        self._lock = Lock()
        if self._connection is not None:
            _orphans.append(self._connection)
            self._connection = None


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Run the body in a transaction. Waits up to `BUSY_S` for other writers."""
    connection.execute("begin immediate")
    try:
        yield
        connection.execute("commit")
    except BaseException:
        if connection.in_transaction:  # a full disk rolls back by itself
            connection.execute("rollback")
        raise


def _to_wal(connection: sqlite3.Connection) -> None:
    """Switch to WAL mode. SQLite does not wait for other processes here."""
    deadline = time.monotonic() + BUSY_S
    while True:
        try:
            connection.execute("pragma journal_mode = wal")
        except sqlite3.OperationalError as error:
            if time.monotonic() > deadline or "locked" not in str(error):
                raise
            time.sleep(0.01)
        else:
            return


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


_orphans: Final[list[sqlite3.Connection]] = []  # kept, so that a child does not close them
