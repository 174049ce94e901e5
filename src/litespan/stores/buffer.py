"""Rows on their way to a store: what waits, what is being written, whose they are. No threads."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final, TypeAlias

from litespan.stores.columns import COLUMNS

Row: TypeAlias = list[Any]
"""The values of `rows.COLUMNS`, in their order."""

NAMES: Final = tuple([column.name for column in COLUMNS])
KEY: Final = NAMES.index("key")
OUTCOME: Final = NAMES.index("outcome")
STARTED: Final = "started"


@dataclass(frozen=True, slots=True)
class Limits:
    """What a writer is bounded by. Times are seconds, sizes approximate bytes."""

    max_rows: int = 2_000  # in one write
    max_bytes: int = 64_000_000  # that may linger before a write
    linger: float = 0.0  # that rows may wait for others to be written with
    keep_rows: int = 10_000  # kept while the store is away
    keep_bytes: int = 64_000_000
    patience: float = 5.0  # that an export waits for its rows to be written
    exit_patience: float = 5.0  # that shutdown waits
    hung_patience: float = 1.0  # that shutdown waits for a store that is already away
    tries: int = 3  # failed writes, one after another, of a store that is away
    backoff: float = 0.5  # before the second retry, the first is at once; doubles, with jitter
    max_backoff: float = 30.0
    idle: float = 60.0  # after that, a store without work is closed


@dataclass(slots=True)
class Ticket:
    """The rows that one export has handed over: how many are open, how many were lost."""

    open: int = 0
    lost: int = 0


@dataclass(slots=True, eq=False)
class Entry:
    """A row, and the export that it came by."""

    row: Row
    ticket: Ticket
    size: int = 0  # bytes, about; 0: not looked at yet


class Buffer:
    """Rows by key, in order of arrival; of one call only the newest."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._waiting: dict[int, Entry] = {}
        self._size = 0  # bytes that wait, about; looked after only where rows linger
        self.under_way: list[Entry] = []  # in the write that is going on

    def __len__(self) -> int:
        """How many rows wait."""
        return len(self._waiting)

    @property
    def empty(self) -> bool:
        """Is everything written?"""
        return not self._waiting and not self.under_way

    @property
    def full(self) -> bool:
        """Is it time for a write, whatever may come?"""
        enough = len(self._waiting) >= self._limits.max_rows
        return enough or self._size >= self._limits.max_bytes

    def add(self, rows: Iterable[Row], ticket: Ticket) -> None:
        """Let rows wait. A finished call's takes the place of the started one's, never back."""
        for row in rows:
            ticket.open += 1
            self._add(Entry(row, ticket))

    def take(self) -> list[Entry]:
        """Begin a write: the oldest rows are under way now."""
        if len(self._waiting) <= self._limits.max_rows:
            self.under_way = list(self._waiting.values())
            self._waiting, self._size = {}, 0
        else:
            self.under_way = list(islice(self._waiting.values(), self._limits.max_rows))
            for entry in self.under_way:
                self._remove(entry)
        return self.under_way

    def done(self, entries: Sequence[Entry]) -> None:
        """These are written."""
        if len(entries) == len(self.under_way):
            self.under_way = []
        else:
            settled = set(entries)
            self.under_way = [entry for entry in self.under_way if entry not in settled]
        for entry in entries:
            entry.ticket.open -= 1

    def lose(self, entries: Sequence[Entry]) -> None:
        """These will never be."""
        settled = set(entries)
        self.under_way = [entry for entry in self.under_way if entry not in settled]
        for entry in entries:
            entry.ticket.open -= 1
            entry.ticket.lost += 1

    def put_back(self) -> None:
        """What is under way waits again, before what came since."""
        again, newer = self.under_way, list(self._waiting.values())
        self.under_way, self._waiting, self._size = [], {}, 0
        for entry in (*again, *newer):
            self._add(entry)

    def trim(self) -> Sequence[Entry]:
        """Take out, and give back, the oldest rows beyond what may be kept."""
        rows, room = len(self._waiting), sum(map(_weighed, self._waiting.values()))
        excess = []
        for entry in self._waiting.values():
            if rows <= self._limits.keep_rows and room <= self._limits.keep_bytes:
                break
            rows, room = rows - 1, room - entry.size
            excess.append(entry)
        for entry in excess:
            self._remove(entry)
        return excess

    def clear(self) -> Sequence[Entry]:
        """Take out everything."""
        left = [*self.under_way, *self._waiting.values()]
        self.under_way, self._waiting, self._size = [], {}, 0
        return left

    def _add(self, entry: Entry) -> None:
        key = entry.row[KEY].int  # hashed faster than the UUID
        older = self._waiting.pop(key, None)
        if older is not None:
            self._size -= older.size
            if entry.row[OUTCOME] == STARTED and older.row[OUTCOME] != STARTED:
                older, entry = entry, older
            older.ticket.open -= 1
        self._waiting[key] = entry
        if self._limits.linger:
            self._size += _weighed(entry)

    def _remove(self, entry: Entry) -> None:
        del self._waiting[entry.row[KEY].int]
        self._size -= entry.size


def _weighed(entry: Entry) -> int:
    entry.size = entry.size or size_of(entry.row)
    return entry.size


_TEXTS: Final = [i for i, c in enumerate(COLUMNS) if c.kind == "json"]


def size_of(row: Row) -> int:
    """About how many bytes of memory a row takes: mostly what is in its JSON."""
    return 2_000 + sum([len(row[i]) for i in _TEXTS if row[i] is not None])
