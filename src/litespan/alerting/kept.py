"""The notices of one destination on disk, until it has accepted them."""

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Final
from zlib import crc32

from litespan.alerting.alert import Notice
from litespan.alerting.episodes import to_finding
from litespan.background import fork
from litespan.errors import suppress_errors
from litespan.objects import json_bytes
from litespan.spool.directory import DISK_ERRORS
from litespan.spool.file import ALERTS, SpoolFile
from litespan.spool.record import Record
from litespan.spool.recorder import Recorder

_LOOK: Final = 30.0  # s between searches for the files of processes that have ended
_MOST: Final = 100  # notices that are read at once
Place = tuple[Notice, SpoolFile, int]  # and the id of the record


class KeptNotices:
    """What waits in the outbox of an engine, on disk. Used on the engine's thread."""

    def __init__(self, recorder: Recorder, exporter: str) -> None:
        """Keep the notices of an exporter, by its name in the spool."""
        self.key: Final = recorder.join(exporter + ALERTS)
        self._recorder = recorder
        self._directory = recorder.directory
        self._reset()
        fork.register(self, after_in_child=KeptNotices._reset)

    def _reset(self) -> None:
        """Also runs in a forked child: what is on disk is the parent's."""
        self._places: dict[str, Place] = {}  # by the alert's key
        self._merged: list[Place] = []  # records that others replace
        self._look_at = 0.0  # monotonic s

    def write(self, waiting: Mapping[str, Notice]) -> bool:
        """Write new and changed notices, and remove others, which were sent.

        Returns False if the disk fails, which is counted and logged once: they wait in memory only.
        """
        places = self._places
        new = [
            (key, notice)
            for key, notice in waiting.items()
            if key not in places or places[key][0] != notice
        ]
        gone = [places[key] for key, _ in new if key in places] + self._merged
        gone += [places[key] for key in places.keys() - waiting.keys()]
        if new:
            try:
                file, ids = self._directory.put(
                    [Record(self.key, _version(each), json_bytes(asdict(each))) for _, each in new]
                )
            except DISK_ERRORS as error:
                self._directory.report(error)
                return False
            for (key, notice), number in zip(new, ids, strict=True):
                places[key] = (notice, file, number)
        self._merged.clear()
        for key in places.keys() - waiting.keys():
            del places[key]
        for file in {file for _, file, _ in gone}:
            self._directory.settle(file, [number for _, at, number in gone if at is file])
        return True

    def left(self, most: int) -> Iterator[Notice]:
        """The notices that processes left unsent when they ended. Looks every 30 s at most.

        Args:
            most: notices; others are returned later.
        """
        if time.monotonic() < self._look_at:
            return
        self._look_at = time.monotonic() + _LOOK
        self._directory.adopt(self._recorder.keys)
        known = {_version(place[0]) for place in self._places.values()}
        while most > 0 and (
            taken := self._directory.take(self.key, min(_MOST, most), known, left=True)
        ):
            most -= len(taken.records)
            for record in taken.records:
                known.add(record.key)
                notice = _read(record.data) if crc32(record.data) == record.checksum else None
                if notice is None:
                    self._directory.set_aside(taken, [record.id])
                    continue
                key = notice.finding.key
                if key in self._places:
                    self._merged.append(self._places[key])
                self._places[key] = (notice, taken.file, record.id)
                yield notice

    def failed(self) -> None:
        """The destination has accepted no message: drop what is too old."""
        self._directory.drop_old(self.key)

    def close(self) -> None:
        """Release the files, for other processes."""
        self._recorder.leave(self.key)


def _version(notice: Notice) -> str:
    """A key: a process can end before it has removed the version that another one replaces."""
    return f"{notice.id}:{notice.turn}:{notice.count}"


def _read(data: bytes) -> Notice | None:
    with suppress_errors("reading an alert from the spool"):
        found = json.loads(data)
        return Notice(**{**found, "finding": to_finding(found["finding"])})
    return None
