"""The files of a spool that this process has: its own, and those of processes that have ended."""

import os
import sqlite3
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import RLock
from typing import Final, TypeVar

from litespan.background import fork
from litespan.counters import count
from litespan.errors import log_once
from litespan.spool.file import HANDLER, SpoolFile, Waiting, files, is_corrupt
from litespan.spool.limits import FREE, LEAST_FREED, Limits, report
from litespan.spool.record import Record
from litespan.stores import private_files

T = TypeVar("T")

DISK_ERRORS: Final = (sqlite3.Error, OSError)
_LARGE: Final = 8_000_000  # bytes; a larger file is removed when it is empty
_BATCH_BYTES: Final = 4_000_000


@dataclass(frozen=True, slots=True)
class Taken:
    """Records of one file, for one exporter."""

    file: SpoolFile
    records: Sequence[Waiting]
    more: bool  # whether others wait that need not wait for more to come


class Directory:
    """A spool's folder. Thread-safe; methods raise no error of the disk unless they say so."""

    def __init__(self, folder: Path, limits: Limits) -> None:
        self.folder: Final = folder
        self.limits: Final = limits
        self._reset()
        fork.register(self, after_in_child=Directory._reset)

    def _reset(self) -> None:
        """Also runs in a forked child: the files are the parent's."""
        self._guard = RLock()
        self._own: SpoolFile | None = None
        self._adopted: list[SpoolFile] = []
        self._known: set[str] = set()  # exporters that this process has, or had

    @property
    def _files(self) -> list[SpoolFile]:
        """The oldest first."""
        return [*self._adopted, *([self._own] if self._own is not None else [])]

    def put(self, records: Sequence[Record]) -> tuple[SpoolFile, Sequence[int]]:
        """Commit records. Returns their file and ids.

        Raises sqlite3.Error or OSError: then none of them is on disk.
        """
        with self._guard:
            file = self._opened()
            try:
                ids = file.put(records)
            except sqlite3.DatabaseError as error:
                if not is_corrupt(error):
                    raise
                self._move_aside(file)
                file = self._opened()
                ids = file.put(records)
            count("spool.written", len(records))
            self._trim()
            return file, ids

    def take(
        self, exporter: str, most: int, skipped: Collection[str] = (), *, left: bool = False
    ) -> Taken | None:
        """The next records for an exporter; None if there are none, or the disk fails.

        Args:
            exporter: its name in the spool.
            most: records.
            skipped: keys of records to leave out.
            left: whether to take only what processes that have ended have left.
        """
        with self._guard:
            for file in self._adopted if left else self._files:
                found = self._try(
                    file, lambda file: file.take(exporter, most, _BATCH_BYTES, skipped)
                )
                if found:
                    large = sum(len(record.data) for record in found) > _BATCH_BYTES // 2
                    more = file is not self._own or len(found) == most or large
                    return Taken(file, found, more)
        return None

    def settle(self, file: SpoolFile, accepted: Iterable[int], later: Iterable[int] = ()) -> None:
        """Delete what the destination has, and let records that failed wait for others."""
        with self._guard:
            if file not in self._files:  # released, so it may belong to another process
                return
            self._try(file, lambda file: file.accepted(accepted))
            if later := list(later):
                self._try(file, lambda file: file.later(later))

    def set_aside(self, taken: Taken, ids: Sequence[int]) -> None:
        """Keep damaged records without sending them."""
        count("spool.damaged", len(ids))
        log_once(
            "spool.damaged",
            "LITESPAN_SPOOL: %d record(s) in %s are damaged and are not sent: check the disk "
            "(logged once)",
            len(ids),
            taken.file.path,
        )
        self._try(taken.file, lambda file: file.set_aside(ids))

    def adopt(self, exporters: Iterable[str]) -> None:
        """Take the files of processes that have ended, if they have records for these exporters."""
        wanted = set(exporters)
        with self._guard:
            own = {file.path for file in self._files}
            try:
                for path in files(self.folder):
                    file = SpoolFile.adopt(path, self.limits.sync) if path not in own else None
                    if file is not None:
                        self._adopted.append(file)
                        self._release(file, wanted)
            except FileNotFoundError:  # nothing was written yet
                pass
            except OSError as error:
                self.report(error)
            self._adopted.sort(key=lambda file: file.path)

    def release(self, exporters: Iterable[str]) -> None:
        """Release adopted files that have nothing for these exporters; delete empty ones."""
        wanted = set(exporters)
        with self._guard:
            self._settle_again()
            for file in list(self._adopted):
                self._release(file, wanted)
            own = self._own
            with suppress(OSError):
                if own is not None and own.path.stat().st_size > _LARGE and not own.total():
                    self._own = None
                    own.remove()

    def drop_old(self, exporter: str) -> None:
        """Delete the exporter's records that are too old."""
        with self._guard:
            for file in self._files:
                self._drop_old(file, exporter)

    def report(self, error: Exception) -> None:
        """Count an error of the disk, and log it once."""
        known = isinstance(error, OSError) and error.errno
        reason = os.strerror(known) if known else str(error)
        count("spool.errors")
        log_once(
            f"spool.{reason}",
            "LITESPAN_SPOOL: cannot use %s: %s; until this is fixed, calls wait in memory only, "
            "as without a spool (logged once)",
            self.folder,
            reason,
        )

    def close(self) -> None:
        """Release all files; delete empty ones."""
        with self._guard:
            self._settle_again()
            for file in self._files:
                left = self._try(file, SpoolFile.total)
                with suppress(*DISK_ERRORS):
                    file.close() if left or left is None else file.remove()
            self._reset()

    # --- with the lock held --------------------------------------------------------------

    def _opened(self) -> SpoolFile:
        if self._own is None:
            private_files.make_folder(self.folder)
            self._own = SpoolFile.create(self.folder, self.limits.sync)
        return self._own

    def _release(self, file: SpoolFile, wanted: set[str]) -> None:
        self._known |= wanted
        found = self._try(file, SpoolFile.count)
        if found is None or wanted & found.keys():
            return
        for name in found.keys() - self._known:
            if name.startswith(HANDLER):  # it may never be registered again
                self._drop_old(file, name)
        left = self._try(file, SpoolFile.total)
        if file in self._adopted:
            self._adopted.remove(file)
            with suppress(*DISK_ERRORS):
                file.close() if left or left is None else file.remove()

    def _settle_again(self) -> None:
        """Delete what was accepted while the disk failed."""
        for file in self._files:
            self._try(file, lambda file: file.accepted(()))

    def _drop_old(self, file: SpoolFile, exporter: str) -> None:
        before = time.time() - self.limits.max_age
        dropped = self._try(file, lambda file: file.drop_old(exporter, before))
        report("age", dropped or 0)

    def _try(self, file: SpoolFile, function: Callable[[SpoolFile], T]) -> T | None:
        """Call `function`; None if the disk fails. A corrupt file is moved aside."""
        try:
            return function(file)
        except DISK_ERRORS as error:
            if is_corrupt(error):
                self._move_aside(file)
            else:
                self.report(error)
        return None

    def _move_aside(self, file: SpoolFile) -> None:
        with self._guard, suppress(OSError):
            if file is self._own:
                self._own = None
            elif file in self._adopted:
                self._adopted.remove(file)
            count("spool.corrupt")
            log_once(
                "spool.corrupt",
                "LITESPAN_SPOOL: SQLite cannot read a file, so its calls are not sent; it is now "
                "%s: recover them with `sqlite3 FILE .recover`, and check the disk (logged once)",
                file.move_aside(),
            )

    def _trim(self) -> None:
        """Remove the oldest content, then the oldest records, beyond the limit."""
        most = self.limits.max_bytes
        excess = sum(self._try(file, SpoolFile.total) or 0 for file in self._files) - most
        if excess > 0:
            excess += int(most * LEAST_FREED)
        for how, cause in FREE:
            for file in self._files:
                if excess > 0:
                    free = partial(SpoolFile.free, how=how, excess=excess)
                    number, freed = self._try(file, free) or (0, 0)
                    excess -= freed
                    report(cause, number)
