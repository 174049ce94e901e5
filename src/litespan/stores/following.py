"""Follows a store: reads new calls repeatedly."""

import time
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta, timezone
from typing import Final

from litespan.stores.reading import records
from litespan.stores.records import TIME, Record, moment

SOON: Final = timedelta(minutes=5)
"""Each read finds calls that started up to this long ago."""
LATE: Final = timedelta(hours=2)
"""`SOON` for one read in `EVERY_S`, which finds long calls and rows that were written late."""
EVERY_S: Final = 60.0


class Follower:
    """Reads the calls of a store that it has not read before.

    Stores have no order of arrival, so each read goes back in time and skips known calls.

    Args:
        source, columns, since: as for `reading.records`.
    """

    def __init__(self, source: str, columns: Sequence[str], since: str = "") -> None:
        self.source: Final = source
        self._columns = columns
        self._since = since
        self._newest = ""  # start of the newest call
        self._running: dict[str, str] = {}  # key → start
        self._ended: dict[str, str] = {}
        self._looked_back = 0.0  # monotonic s

    def read(self) -> Iterator[Record]:
        """New calls, and those that have ended since. Raises Unreadable."""
        for record in records(self.source, self._columns, self._start()):
            key, start = record["key"], record["start_time"]
            ended = record["outcome"] != "started"
            if key in self._ended or (key in self._running and not ended):
                continue
            self._running.pop(key, None)
            (self._ended if ended else self._running)[key] = start
            self._newest = max(self._newest, start)
            yield record
        self._forget()

    def _start(self) -> str:
        if not self._newest:
            return self._since
        if time.monotonic() - self._looked_back > EVERY_S:
            self._looked_back = time.monotonic()
            return max(self._since, self._before(LATE))
        running = min(self._running.values(), default=self._newest)
        return max(self._since, self._before(LATE), min(self._before(SOON), running))

    def _before(self, ago: timedelta) -> str:
        """A time before the newest call, or before now: a clock may be wrong."""
        now = datetime.now(timezone.utc)
        return (min(moment(self._newest), now) - ago).strftime(TIME)

    def _forget(self) -> None:
        """Forget calls that started before all that a later read can find."""
        if self._newest:
            oldest = self._before(LATE)
            for known in (self._ended, self._running):
                for key in [key for key, start in known.items() if start < oldest]:
                    del known[key]
