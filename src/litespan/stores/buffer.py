"""The buffer of a store writer: waiting rows and rows being written. Not thread-safe."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final, TypeAlias

from litespan.stores.columns import COLUMNS

Row: TypeAlias = list[Any]
"""The values of `columns.COLUMNS`, in order."""

NAMES: Final = tuple([column.name for column in COLUMNS])
KEY: Final = NAMES.index("key")
OUTCOME: Final = NAMES.index("outcome")
STARTED: Final = "started"
_TEXTS: Final = [index for index, column in enumerate(COLUMNS) if column.kind == "json"]


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of a writer. Times in seconds, sizes in approximate bytes."""

    max_rows: int = 2_000  # in one write
    max_bytes: int = 64_000_000  # waiting rows that trigger a write
    linger: float = 0.0  # how long rows may wait to be written together
    keep_rows: int = 10_000  # kept while the store is unavailable
    keep_bytes: int = 64_000_000
    patience: float = 5.0  # how long an export waits for its rows to be written
    exit_patience: float = 5.0  # how long shutdown waits
    hung_patience: float = 1.0  # `exit_patience` for an unavailable store
    tries: int = 3  # consecutive failures after which a store is unavailable
    backoff: float = 0.5  # before the second retry, the first is immediate; doubles, with jitter
    max_backoff: float = 30.0
    idle: float = 60.0  # without work, after which the store is closed


@dataclass(slots=True)
class Ticket:
    """Counts of the pending and lost rows of one export."""

    pending: int = 0
    lost: Counter[str] = field(default_factory=Counter)  # cause → rows


@dataclass(slots=True, eq=False)
class Entry:
    """A row and the export that it belongs to."""

    row: Row
    ticket: Ticket
    size: int = 0  # approximate bytes; 0: not computed


class Buffer:
    """Rows by key in order of arrival; only the newest of each call."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._waiting: dict[int, Entry] = {}
        self._size = 0  # approximate bytes that wait; only computed with `linger`
        self.writing: list[Entry] = []  # rows of the current write

    def __len__(self) -> int:
        """The number of waiting rows."""
        return len(self._waiting)

    @property
    def empty(self) -> bool:
        """Whether everything is written."""
        return not self._waiting and not self.writing

    @property
    def full(self) -> bool:
        """Whether to write now instead of waiting for more rows."""
        enough = len(self._waiting) >= self._limits.max_rows
        return enough or self._size >= self._limits.max_bytes

    def add(self, rows: Iterable[Row], ticket: Ticket) -> None:
        """Add rows. A finished call replaces the started one, never vice versa."""
        for row in rows:
            ticket.pending += 1
            self._add(Entry(row, ticket))

    def take(self) -> list[Entry]:
        """Start a write: returns the oldest rows."""
        if len(self._waiting) <= self._limits.max_rows:
            self.writing = list(self._waiting.values())
            self._waiting, self._size = {}, 0
        else:
            self.writing = list(islice(self._waiting.values(), self._limits.max_rows))
            for entry in self.writing:
                self._remove(entry)
        return self.writing

    def settle(self, entries: Sequence[Entry], lost: str = "") -> None:
        """Mark entries as written, or as lost for a cause."""
        settled = set(entries)
        self.writing = [entry for entry in self.writing if entry not in settled]
        for entry in entries:
            entry.ticket.pending -= 1
            if lost:
                entry.ticket.lost[lost] += 1

    def put_back(self) -> None:
        """Return the rows of the current write to the front of the buffer."""
        again, newer = self.writing, list(self._waiting.values())
        self.writing, self._waiting, self._size = [], {}, 0
        for entry in (*again, *newer):
            self._add(entry)

    def trim(self) -> Sequence[Entry]:
        """Remove and return the oldest rows beyond the limits."""
        rows, room = len(self._waiting), sum(map(_size_of, self._waiting.values()))
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
        """Remove and return all rows."""
        left = [*self.writing, *self._waiting.values()]
        self.writing, self._waiting, self._size = [], {}, 0
        return left

    def _add(self, entry: Entry) -> None:
        key = entry.row[KEY].int  # hashed faster than the UUID
        older = self._waiting.pop(key, None)
        if older is not None:
            self._size -= older.size
            if entry.row[OUTCOME] == STARTED and older.row[OUTCOME] != STARTED:
                older, entry = entry, older
            older.ticket.pending -= 1
        self._waiting[key] = entry
        if self._limits.linger:
            self._size += _size_of(entry)

    def _remove(self, entry: Entry) -> None:
        del self._waiting[entry.row[KEY].int]
        self._size -= entry.size


def _size_of(entry: Entry) -> int:
    """The approximate memory of a row in bytes: mostly its JSON."""
    if not entry.size:
        texts = [entry.row[i] for i in _TEXTS]
        entry.size = 2_000 + sum([len(text) for text in texts if text is not None])
    return entry.size
