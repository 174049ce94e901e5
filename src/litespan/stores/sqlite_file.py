"""A SQLite file that any number of processes and threads write to.

The file is in WAL mode; each process has one connection, made when it is needed: at the first
write, after a fork, and after somebody removed the file.
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

BUSY_S: Final = 2.0  # how long a write waits for other writers
_FORK_WAIT_S: Final = BUSY_S + 1  # longer than a write can wait for its turn


class SQLiteFile:
    """One file and this process's connection to it.

    Args:
        path: The file; made when missing. Its folder must exist.
        prepare: Brings a new connection's schema up to date; may run at any write.
    """

    def __init__(self, path: Path, prepare: Callable[[sqlite3.Connection], None]) -> None:
        self.path: Final = path
        self._prepare = prepare
        self._lock = Lock()
        self._connection: sqlite3.Connection | None = None
        self._opened: tuple[int, int] | None = None  # device and inode of the open file
        self._paused = False
        fork.register(
            self,
            before=SQLiteFile._pause,
            after_in_parent=SQLiteFile._resume,
            after_in_child=SQLiteFile._renew,
        )

    def write(self, statement: str, rows: Iterable[Sequence[Any]]) -> None:
        """Run `statement` for every row, all or none.

        Raises sqlite3.Error or OSError; UnicodeEncodeError for half of a surrogate pair.
        """
        with self.changing() as connection:
            connection.executemany(statement, rows)

    @contextmanager
    def changing(self) -> Iterator[sqlite3.Connection]:
        """A transaction: all that the block does, or nothing. Raises as `write`."""
        with self._lock:
            connection = self._connect()
            with transaction(connection):
                yield connection

    def close(self) -> None:
        """Close the connection; a later write opens another."""
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
            self._prepare(connection)  # first: it refuses files that are not ours
            _to_wal(connection)
            connection.execute("pragma synchronous = normal")  # nothing is lost by kill -9
        except BaseException:
            connection.close()
            raise
        self._connection, self._opened = connection, _identity(self.path)
        return connection

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    # An open SQLite connection must not cross a fork, not even to be closed in the child: both
    # processes would believe that they hold its locks. So it is closed before a fork.
    # `subprocess` does not come here: it forks and executes at once.
    def _pause(self) -> None:
        """Before a fork: wait for the write that is under way, and close."""
        self._paused = self._lock.acquire(timeout=_FORK_WAIT_S)
        if self._paused:
            self._disconnect()

    def _resume(self) -> None:
        """After a fork, in the parent."""
        if self._paused:
            self._lock.release()

    def _renew(self) -> None:
        """After a fork, in the child: the lock's owner is not here."""
        self._lock = Lock()
        if self._connection is not None:
            _orphans.append(self._connection)
            self._connection = None


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All or nothing of what the body executes; waits up to `BUSY_S` for other writers."""
    connection.execute("begin immediate")
    try:
        yield
        connection.execute("commit")
    except BaseException:
        if connection.in_transaction:  # a full disk has rolled back already
            connection.execute("rollback")
        raise


def _to_wal(connection: sqlite3.Connection) -> None:
    """Switch to WAL; SQLite itself does not wait for others here."""
    deadline = time.monotonic() + BUSY_S
    while not _switched(connection, last_try=time.monotonic() > deadline):
        time.sleep(0.01)


def _switched(connection: sqlite3.Connection, *, last_try: bool) -> bool:
    try:
        connection.execute("pragma journal_mode = wal")
    except sqlite3.OperationalError as error:
        if last_try or "locked" not in str(error):
            raise
        return False
    return True


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


_orphans: Final[list[sqlite3.Connection]] = []  # kept, so that nothing closes them in a child
