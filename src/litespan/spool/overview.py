"""What waits in a spool, for people. Reads files that other processes use, and changes none."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from litespan.spool.file import CORRUPT, files
from litespan.spool.lock import is_in_use

_BUSY_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class Waiting:
    """The calls that wait for one exporter in one file."""

    file: str
    in_use: bool  # by a running process, which delivers them
    exporter: str
    calls: int
    bytes: int
    oldest: float  # s since the epoch


@dataclass(frozen=True, slots=True)
class Overview:
    """A spool's folder."""

    waiting: list[Waiting]
    aside: list[str]  # files that SQLite could not read

    @property
    def free(self) -> list[Waiting]:
        """What no running process has."""
        return [each for each in self.waiting if not each.in_use]


def overview(folder: Path) -> Overview:
    """Read a spool's folder. Raises OSError."""
    waiting, aside = [], [path.name for path in folder.iterdir() if path.suffix == CORRUPT]
    for path in files(folder):
        in_use = is_in_use(path)
        try:
            waiting += [Waiting(path.name, in_use, *row) for row in _read(path)]
        except sqlite3.DatabaseError:
            aside.append(path.name)
    return Overview(waiting, sorted(aside))


def _read(path: Path) -> Iterator[tuple[str, int, int, float]]:
    uri = f"{path.absolute().as_uri()}?mode=ro"
    with closing(sqlite3.connect(uri, uri=True, timeout=_BUSY_S)) as file:
        yield from file.execute(
            "select exporter, count(*), sum(size), min(time) from calls group by exporter"
        )
