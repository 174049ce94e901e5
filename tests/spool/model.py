"""A world with a disk, a clock and destinations, and the book of what the spool has promised there.

Nothing here runs in threads: the pools run their functions on the test's thread, so that a history
can be repeated.
"""

import json
import random
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from copy import deepcopy
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import pytest

from litespan.alerting import engine, kept
from litespan.background.pool import Pool
from litespan.callbacks import dispatcher, other_instrumentations
from litespan.spool import directory, file, handlers, processor, recorder
from litespan.spool.directory import Directory
from litespan.spool.file import ALERTS, HANDLER, SpoolFile
from litespan.spool.record import Record
from litespan.stores.sqlite_file import SQLiteFile

Row = tuple[str, str]  # a destination and a call
Known = tuple[Row, str, float]  # what a record stands for, its name in the spool, its time
Files = dict[str, bytes]
EXPORTERS: Final = ("a", "b")
DESK: Final = "desk"  # receives alerts
AUDIT: Final = "audit"  # a handler
MAX_AGE: Final = 1_000.0  # s
MEMORY: Final = Path("/dev/shm")  # if there is one: it is fast
_SECTOR: Final = 512  # bytes that a disk writes whole


@dataclass
class Book:
    """What is on disk, and what the destinations have."""

    records: dict[tuple[str, int], Known] = field(default_factory=dict)
    """By file and id."""
    promised: dict[Row, float] = field(default_factory=dict)
    """On disk since a time of the clock, and not accepted."""
    had: set[Row] = field(default_factory=set)
    """Accepted or refused for good, and a process knows it."""
    heard: set[tuple[int, Row]] = field(default_factory=set)
    """The same, with the process that knows it."""
    arrived: dict[Row, None] = field(default_factory=dict)
    """In the order of first arrivals."""
    repeated: set[Row] = field(default_factory=set)
    """Delivered after the acknowledgement."""
    strange: set[str] = field(default_factory=set)
    """Alerts that ended before they began, and calls that a handler takes for live or late ones."""
    reordered: bool = False
    """Whether a fault allows another order."""

    @property
    def on_disk(self) -> set[Row]:
        """What the records stand for."""
        return {row for row, *_ in self.records.values()}


@dataclass(frozen=True)
class Crash:
    """The machine or the process stops."""

    after: int  # SQL statements, exports and methods of handlers
    written: float | None = None
    """The part of the last write that has reached the disk, in any order; None: all of it. With
    `normal` synchronization, the part of the log."""
    seed: int = 0


@dataclass(frozen=True)
class Fault:
    """The disk fails."""

    first: int  # transaction
    number: int  # of transactions
    reads: bool  # whether it can be read


class World:
    """The disk, the clock and how the destinations answer."""

    def __init__(self) -> None:
        self.root = Path(tempfile.mkdtemp(dir=MEMORY if MEMORY.is_dir() else None))
        self.folder = Path(tempfile.mkdtemp(dir=self.root))
        self.sync = "normal"
        self.ahead = 0.0  # s
        self.answers = dict.fromkeys((*EXPORTERS, DESK, AUDIT), "accept")
        self.calls: dict[str, str] = {}  # by the span's key
        self.alerted: set[str] = set()  # calls with an alert that has begun at the desk
        self.on_loop = False  # whether the next call is made on an event loop
        self.book = Book()
        self.fault: Fault | None = None
        self.transactions = 0  # of this step
        self.failed: set[str] = set()  # names in the spool of destinations that accepted nothing
        self.crash: Crash | None = None
        self.stopped = False  # whether there was a crash, after which alerts may be sent again
        self.crashed: tuple[Files, Book] | None = None
        self.steps = 0

    @property
    def now(self) -> float:
        """The time of the clock, s."""
        return time.time() + self.ahead

    def begin(self, fault: Fault | None, crash: Crash | None) -> None:
        """Begin a step of the history."""
        self.fault, self.crash, self.crashed = fault, crash, None
        self.transactions = self.steps = 0
        self.failed.clear()

    # --- what a destination reports --------------------------------------------------------

    def arrive(self, name: str, calls: Sequence[str]) -> None:
        """A destination receives calls."""
        self.book.arrived.update(dict.fromkeys((name, call) for call in calls))

    def settle(self, name: str, calls: Sequence[str], life: int) -> None:
        """A process knows that calls were accepted, or refused for good."""
        book = self.book
        for row in [(name, call) for call in calls]:
            # An alert that waits and its call, which is examined again, can be in one message.
            heard = name != DESK and (life, row) in book.heard
            again = row in book.had and row not in book.on_disk
            if heard or (again and not (name == DESK and self.stopped)):
                book.repeated.add(row)
            book.had.add(row)
            book.heard.add((life, row))
            book.promised.pop(row, None)

    # --- crashes ---------------------------------------------------------------------------

    def step(self, _statement: str = "") -> None:
        """Called before each SQL statement, and in each export and method of a handler."""
        self.steps += 1
        if self.crash is None:
            return
        if self.steps == self.crash.after:
            self.crashed = self.files(), deepcopy(self.book)
        elif self.crashed is not None and self.steps == self.crash.after + 1:
            self._tear(self.crashed[0])

    def _tear(self, before: Files) -> None:
        """Let a part of what was written since reach the disk."""
        crash = self.crash
        if crash is None or crash.written is None or self.sync == "normal":
            return
        chance, now = random.Random(crash.seed), self.files()
        for name, old in before.items():
            if name.endswith("-wal") and name in now:
                new = now[name]
                torn = bytearray(old.ljust(len(new), b"\0"))
                for at in range(0, len(new), _SECTOR):
                    if chance.random() < crash.written:
                        torn[at : at + _SECTOR] = new[at : at + _SECTOR]
                before[name] = bytes(torn)

    def files(self) -> Files:
        """The files as a crash would leave them."""
        return {path.name: path.read_bytes() for path in self.folder.iterdir()}

    def restart(self) -> bool:
        """Undo what happened after a crash. Returns whether there was one."""
        if self.crash is None:
            return False
        self.stopped = True
        if self.crashed is None:
            self.crashed = self.files(), self.book
        files, self.book = self.crashed
        self.folder = Path(tempfile.mkdtemp(dir=self.root))
        cut = self.crash.written if self.sync == "normal" else None  # the log is not synchronized
        for name, data in files.items():
            kept = len(data) if cut is None or not name.endswith("-wal") else int(len(data) * cut)
            (self.folder / name).write_bytes(data[:kept])
        if cut is not None:
            self.book.promised.clear()
            self.book.records = self.read()
            self.book.reordered = True
        return True

    def read(self) -> dict[tuple[str, int], Known]:
        """The records that are on disk."""
        found = {}
        with tempfile.TemporaryDirectory(dir=self.root) as copy:
            shutil.copytree(self.folder, copy, dirs_exist_ok=True)
            for path in file.files(Path(copy)):
                with closing(sqlite3.connect(path)) as connection, suppress(sqlite3.Error):
                    for number, at, *rest in connection.execute(
                        "select id, time, exporter, key, data from calls"
                    ):
                        found[path.name, number] = self.row_of(Record(*rest)), rest[0], at
        return found

    # --- what the spool does ---------------------------------------------------------------

    def wrote(self, path: Path, ids: Sequence[int], records: Sequence[Record]) -> None:
        """Records are on disk."""
        for number, record in zip(ids, records, strict=True):
            row = self.row_of(record)
            self.book.records[path.name, number] = row, record.exporter, self.now
            if row not in self.book.had:
                self.book.promised.setdefault(row, self.now)

    def row_of(self, record: Record) -> Row:
        """What a record stands for."""
        if record.exporter.endswith(ALERTS):
            return DESK, dict(json.loads(record.data)["finding"]["labels"])["model"]
        return record.exporter.removeprefix(HANDLER), self.calls[record.key]

    def dropped(self, file: str, exporter: str, before: float) -> None:
        """Old records were deleted: of a destination that fails, or that no process has."""
        for place, (row, of, at) in list(self.book.records.items()):
            if place[0] == file and of == exporter and at < before:
                del self.book.records[place]
                if exporter in self.failed:
                    self.book.promised.pop(row, None)


@contextmanager
def patched(world: World) -> Iterator[None]:
    """Pools without threads, the world's disk and clock, and its book."""
    clock = SimpleNamespace(time=lambda: world.now)
    with pytest.MonkeyPatch.context() as patch:
        for module in (recorder, processor, handlers, engine):
            patch.setattr(module, "Pool", partial(Pool, max_threads=0))
        for module in (file, directory):
            patch.setattr(module, "time", clock)
        patch.setattr(other_instrumentations, "running_loop", lambda: world.on_loop or None)
        patch.setattr(handlers, "WINDOW", 0.0)
        patch.setattr(kept, "_LOOK", 0.0)
        patch.setattr(dispatcher, "_REST", 0.0)
        patch.setattr(SQLiteFile, "changing", watched_changing(world))
        watch(world, patch)
        yield
    shutil.rmtree(world.root)


def watched_changing(world: World) -> Any:
    """Transactions on a disk that fails as the world says, and of which each statement is seen."""
    changing = SQLiteFile.changing

    @contextmanager
    def watched(self: SQLiteFile) -> Iterator[sqlite3.Connection]:
        world.transactions += 1
        fault = world.fault
        if fault is not None and not 0 <= world.transactions - fault.first < fault.number:
            fault = None
        if fault is not None and not fault.reads:
            raise sqlite3.OperationalError("disk I/O error")
        with changing(self) as connection:
            connection.set_trace_callback(world.step)
            if fault is None:
                yield connection
                return
            connection.execute("pragma query_only = 1")  # a full disk
            try:
                yield connection
            finally:
                connection.execute("pragma query_only = 0")

    return watched


def watch(world: World, patch: pytest.MonkeyPatch) -> None:
    """Keep the book of the records that are written and deleted."""
    put, write = Directory.put, SpoolFile.put
    accepted, drop_old = SpoolFile.accepted, SpoolFile.drop_old

    def watched_put(self: Directory, records: Sequence[Record]) -> Any:
        try:
            return put(self, records)
        except directory.DISK_ERRORS:
            world.book.reordered = True  # what is in memory does not wait for what is on disk
            raise

    def watched_write(self: SpoolFile, records: Sequence[Record]) -> Any:
        ids = write(self, records)
        world.wrote(self.path, ids, records)
        return ids

    def watched_accepted(self: SpoolFile, ids: Sequence[int]) -> None:
        every = {*ids} | self._accepted
        accepted(self, every)
        for number in every:
            world.book.records.pop((self.path.name, number), None)

    def watched_drop_old(self: SpoolFile, exporter: str, before: float) -> int:
        number = drop_old(self, exporter, before)
        world.dropped(self.path.name, exporter, before)
        return number

    patch.setattr(Directory, "put", watched_put)
    patch.setattr(SpoolFile, "put", watched_write)
    patch.setattr(SpoolFile, "accepted", watched_accepted)
    patch.setattr(SpoolFile, "drop_old", watched_drop_old)
