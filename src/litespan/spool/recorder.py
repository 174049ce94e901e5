"""Writes finished spans to the spool in groups, on one thread for all exporters."""

import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, Protocol

from opentelemetry.sdk.trace import ReadableSpan

from litespan.background import fork
from litespan.background.pool import Pool
from litespan.counters import count
from litespan.errors import log_once, suppress_errors
from litespan.genai.span import is_genai, is_router
from litespan.spool.directory import DISK_ERRORS, Directory
from litespan.spool.file import SpoolFile
from litespan.spool.record import Record, encode

WINDOW: Final = 0.05  # s that a span waits for others to be committed with
MOST_WAITING: Final = 10_000  # spans in memory, before they are written
_MOST_COMMITTED: Final = 500  # records of one transaction


class Receiver(Protocol):
    """What a recorder needs of the processor of one exporter."""

    key: str

    def narrow(self, span: ReadableSpan) -> ReadableSpan | None:
        """The span as the exporter receives it; None if it does not."""

    def committed(self, file: SpoolFile, ids: Sequence[int]) -> None:
        """Records are on disk."""

    def hold(self, span: ReadableSpan) -> None:
        """Keep a span in memory that is not on disk."""


class Recorder:
    """A queue of ended spans, and the thread that writes them."""

    def __init__(self, directory: Directory) -> None:
        self.directory: Final = directory
        self.keys: set[str] = set()  # the exporters that this process has
        self._reset()
        fork.register(self, after_in_child=Recorder._reset)

    def _reset(self) -> None:
        """Also runs in a forked child: what is queued is the parent's."""
        self.queue: deque[tuple[Receiver, ReadableSpan]] = deque()
        self._pool = Pool("litespan-spool")
        self._scheduled = False
        self._writing = False

    def add(self, receiver: Receiver, span: ReadableSpan) -> None:
        """Queue a span. This is all that runs on the caller's thread."""
        self.queue.append((receiver, span))
        if not self._scheduled:
            self._scheduled = True
            self._pool.submit(self._write, time.monotonic() + WINDOW)
        elif len(self.queue) > MOST_WAITING:
            self._overflow()

    def wait(self, until: float) -> bool:
        """Wait until everything that was queued is on disk or held in memory.

        Returns False if that is not so at `until` (monotonic, s).
        """
        self._pool.submit(self._write)
        return self._pool.wait_for(lambda: not self.queue and not self._writing, until)

    def join(self, name: str) -> str:
        """Register an exporter. Returns its name in the spool, which no other has."""
        key, number = name, 1
        while key in self.keys:
            number += 1
            key = f"{name}#{number}"
        self.keys.add(key)
        return key

    def leave(self, key: str) -> None:
        """Unregister an exporter. After the last one, release the files."""
        self.keys.discard(key)
        if not self.keys:
            self.directory.close()

    def _overflow(self) -> None:
        with suppress_errors("spool"):
            receiver, span = self.queue.popleft()
            receiver.hold(span)
            count("spool.overflow")
            log_once(
                "spool.overflow",
                "LITESPAN_SPOOL: the disk is slower than calls end: some are kept in memory only "
                "(logged once)",
            )

    def _write(self) -> None:
        self._writing = True
        self._scheduled = False
        try:
            while self.queue:
                self._commit(_drain(self.queue))
        finally:
            self._writing = False

    def _commit(self, group: Iterable[tuple[Receiver, ReadableSpan]]) -> None:
        """Write one group, or hold its spans in memory."""
        spooled = _encoded(group)
        if not spooled:
            return
        try:
            file, ids = self.directory.put([record for *_, record in spooled])
        except DISK_ERRORS as error:
            self.directory.report(error)
            count("spool.unwritten", len(spooled))
            for receiver, span, _ in spooled:
                receiver.hold(span)
            return
        committed: dict[Receiver, list[int]] = {}
        for (receiver, *_), number in zip(spooled, ids, strict=True):
            committed.setdefault(receiver, []).append(number)
        for receiver, numbers in committed.items():
            receiver.committed(file, numbers)


def _encoded(
    group: Iterable[tuple[Receiver, ReadableSpan]],
) -> list[tuple[Receiver, ReadableSpan, Record]]:
    """The records to write; spans that cannot be written are held in memory."""
    found: list[tuple[Receiver, ReadableSpan, Record]] = []
    encoded: dict[int, tuple[str, bytes]] = {}
    for receiver, given in group:
        with suppress_errors("spool"):
            span = receiver.narrow(given)
            if span is None:
                continue
            if is_genai(span) or is_router(span):
                with suppress_errors("spool.encoding"):
                    if id(span) not in encoded:
                        encoded[id(span)] = encode(span)
                    record = Record(receiver.key, *encoded[id(span)])
                    found.append((receiver, span, record))
                    continue
            receiver.hold(span)
    return found


def _drain(queue: deque[tuple[Receiver, ReadableSpan]]) -> Iterator[tuple[Receiver, ReadableSpan]]:
    """Remove the oldest, at most as many as fit in one transaction."""
    for _ in range(min(len(queue), _MOST_COMMITTED)):
        yield queue.popleft()
