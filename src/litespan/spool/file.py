"""One file of the spool: a SQLite database that only the process with its lock writes to.

The operating system releases the lock when the process ends, however it ends. So a file whose lock
is free belongs to nobody, and the next process may take it.
"""

import os
import re
import sqlite3
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from threading import RLock
from typing import Final
from zlib import crc32

from litespan.background import fork
from litespan.spool.lock import lock_file, lock_path
from litespan.spool.record import Record
from litespan.stores.sqlite_file import SQLiteFile

SUFFIX: Final = ".spool"
CORRUPT: Final = ".corrupt"
DAMAGED: Final = "damaged"
"""In place of the exporter's name, for records that cannot be read."""
HANDLER: Final = "handler:"
"""Before the name of a handler, in place of an exporter's name."""
ALERTS: Final = ":alerts"
"""After the name of an alert destination, for messages that it has not accepted."""
_FORMAT: Final = 1
_NAME: Final = re.compile(rf"\d+-.*\{SUFFIX}")
_SCHEMA: Final = """
create table if not exists calls (
    id integer primary key autoincrement, exporter text not null, key text not null,
    time real not null, size integer not null, tries integer not null default 0,
    stripped integer not null default 0, checksum integer not null, data blob not null
);
create index if not exists due on calls (exporter, tries, id, size);
"""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A record of the file."""

    id: int
    key: str
    checksum: int
    data: bytes


class SpoolFile:
    """Records in the order in which they were put. Methods raise sqlite3.Error or OSError."""

    def __init__(self, path: Path, lock: int, sync: str = "normal") -> None:
        self.path: Final = path
        self._lock_file = lock
        self._file = SQLiteFile(path, _prepare, sync)
        self._guard = RLock()
        self._accepted: set[int] = set()  # records that are not deleted yet
        self.size: int | None = None  # bytes of all records; None: not read yet
        fork.register(self, after_in_child=SpoolFile._leave)

    @classmethod
    def create(cls, folder: Path, sync: str) -> "SpoolFile":
        """A new file of this process, after all others: the clock may have been set back."""
        number = max([int(path.name.partition("-")[0]) for path in files(folder)], default=0) + 1
        path = folder / f"{number:010d}-{os.getpid()}-{token_hex(3)}{SUFFIX}"
        lock = lock_file(path)
        if lock is None:  # only another process with the same number, id and luck
            raise OSError(f"{path.name} is locked")
        return cls(path, lock, sync)

    @classmethod
    def adopt(cls, path: Path, sync: str) -> "SpoolFile | None":
        """The file of a process that has ended; None if it is in use."""
        lock = lock_file(path)
        if lock is None:
            return None
        file = cls(path, lock, sync)
        if not path.exists():  # another process has just delivered and removed it
            file.remove()
            return None
        return file

    def put(self, records: Iterable[Record]) -> range:
        """Add records in one transaction. Returns their ids, in order."""
        now = time.time()
        rows = [(r.exporter, r.key, now, len(r.data), crc32(r.data), r.data) for r in records]
        with self._guard:
            before = self.total()
            with self._file.changing() as connection:
                connection.executemany(
                    "insert into calls (exporter, key, time, size, checksum, data) "
                    "values (?, ?, ?, ?, ?, ?)",
                    rows,
                )
                (last,) = connection.execute("select last_insert_rowid()").fetchone()
            self.size = before + sum(row[3] for row in rows)
            return range(last - len(rows) + 1, last + 1)

    def take(
        self, exporter: str, most: int, max_bytes: int, skipped: Collection[str] = ()
    ) -> list[Waiting]:
        """The next records for an exporter: at least one if there is any.

        Args:
            exporter: its name in the spool.
            most: records.
            max_bytes: of all records but the first.
            skipped: keys of records to leave out.
        """
        with self._guard, self._file.changing() as connection:
            rows = connection.execute(
                "select id, cast(key as blob), checksum, cast(data as blob), size "
                "from calls where exporter = ? "
                "order by tries, id limit ?",
                (exporter, most + len(self._accepted) + len(skipped)),
            )
            found: list[Waiting] = []
            for number, key, checksum, data, size in rows:
                name = key.decode("utf-8", "replace")
                if number in self._accepted or name in skipped:
                    continue
                max_bytes -= size
                if found and (max_bytes < 0 or len(found) == most):
                    break
                found.append(Waiting(number, name, checksum, data))
            return found

    def accepted(self, ids: Iterable[int]) -> None:
        """Delete records that their destination has. This process never takes them again."""
        with self._guard:
            self._accepted.update(ids)
            if not self._accepted:
                return
            size, freed = self.total(), 0
            with self._file.changing() as connection:
                for each in [(number,) for number in self._accepted]:
                    found = connection.execute("select size from calls where id = ?", each)
                    freed += sum(found.fetchone() or (0,))
                    connection.execute("delete from calls where id = ?", each)
            self.size = size - freed
            self._accepted.clear()

    def later(self, ids: Iterable[int]) -> None:
        """Let other records of the exporter go first."""
        self._file.write(
            "update calls set tries = tries + 1 where id = ?", [(number,) for number in ids]
        )

    def set_aside(self, ids: Iterable[int]) -> None:
        """Keep damaged records, but never take them again."""
        self._file.write(
            "update calls set exporter = ? where id = ?", [(DAMAGED, number) for number in ids]
        )

    def count(self) -> dict[str, int]:
        """The number of records by exporter."""
        with self._guard, self._file.changing() as connection:
            found = connection.execute("select exporter, count(*) from calls group by exporter")
            return dict(found.fetchall())

    def free(
        self, how: Callable[[sqlite3.Connection, int], tuple[int, int]], excess: int
    ) -> tuple[int, int]:
        """Free bytes with a function of `litespan.spool.limits`. Returns (records, bytes)."""
        with self._guard, self._file.changing() as connection:
            self.size = None
            return how(connection, excess)

    def drop_old(self, exporter: str, before: float) -> int:
        """Delete the exporter's records from before a time, s since the epoch."""
        with self._guard, self._file.changing() as connection:
            found = connection.execute(
                "delete from calls where exporter = ? and time < ?", (exporter, before)
            )
            self.size = None
            return found.rowcount

    def total(self) -> int:
        """The bytes of all records."""
        with self._guard:
            if self.size is None:
                with self._file.changing() as connection:
                    found = connection.execute("select ifnull(sum(size), 0) from calls")
                    (self.size,) = found.fetchone()
            return self.size

    def move_aside(self) -> Path:
        """Close and rename a file that SQLite cannot read. Returns its new path."""
        aside = self.path.with_suffix(CORRUPT)
        self._file.close()
        for end in ("-wal", "-shm", ""):
            with suppress(FileNotFoundError):
                Path(f"{self.path}{end}").rename(f"{aside}{end}")
        self._unlock()
        return aside

    def close(self) -> None:
        """Close the file and release it, for any process."""
        self._file.close()
        self._unlock(remove=False)

    def remove(self) -> None:
        """Delete the file, which must be empty."""
        self._file.close()
        for end in ("-wal", "-shm", ""):
            with suppress(FileNotFoundError):
                Path(f"{self.path}{end}").unlink()
        self._unlock()

    def _unlock(self, *, remove: bool = True) -> None:
        lock, self._lock_file = self._lock_file, -1
        if lock < 0:
            return
        if remove:
            with suppress(OSError):
                lock_path(self.path).unlink()
        os.close(lock)

    def _leave(self) -> None:
        """In a forked child: the file and its lock are the parent's."""
        self._unlock(remove=False)


def files(folder: Path) -> Sequence[Path]:
    """The files of a spool, the oldest first. Raises OSError."""
    return sorted(path for path in folder.iterdir() if _NAME.fullmatch(path.name))


def is_corrupt(error: Exception) -> bool:
    """Whether SQLite cannot read the file: no problem of the disk, its mode or a lock."""
    return isinstance(error, sqlite3.DatabaseError) and (
        "malformed" in str(error) or "not a database" in str(error)
    )


def _prepare(connection: sqlite3.Connection) -> None:
    (found,) = connection.execute("pragma user_version").fetchone()
    if found != _FORMAT:
        connection.executescript(f"begin; {_SCHEMA} pragma user_version = {_FORMAT}; commit;")
