"""The file in which `litespan replay` records accepted calls."""

import sqlite3
from collections.abc import Sequence
from pathlib import Path

from litespan.cli import CommandError
from litespan.stores import private_files


class Notes:
    """The calls that each destination has accepted, in a SQLite file that one process locks."""

    def __init__(self, path: Path) -> None:
        try:
            private_files.make_file(path)
            self._file = sqlite3.connect(path, timeout=0.0, isolation_level=None)
            self._file.execute("pragma locking_mode = exclusive")
            self._file.execute("begin exclusive")
            self._file.execute(
                "create table if not exists taken (place text, key text, primary key (place, key)) "
                "without rowid"
            )
            self._file.execute("commit")
        except sqlite3.Error as error:
            busy = "locked" in str(error)
            fix = "another replay uses it: wait until it ends" if busy else "set another --state"
            raise CommandError(f"cannot use {path}: {error}; {fix}") from error

    def missing(self, place: str, keys: Sequence[str]) -> set[str]:
        """The keys that the destination `place` has not accepted yet."""
        marks = ", ".join("?" * len(keys))
        sql = f"select key from taken where place = ? and key in ({marks})"  # noqa: S608 - marks
        return set(keys) - {key for (key,) in self._file.execute(sql, (place, *keys))}

    def add(self, place: str, keys: Sequence[str]) -> None:
        """Record that the destination `place` has accepted these calls."""
        self._file.execute("begin")
        rows = [(place, key) for key in keys]
        self._file.executemany("insert or ignore into taken values (?, ?)", rows)
        self._file.execute("commit")

    def close(self) -> None:
        """Close and unlock the file."""
        self._file.close()
