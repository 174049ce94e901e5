"""Base class of stores that write files, one folder per day: Parquet and object stores."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime, timezone
from typing import Any, Final

from litespan.parsers import number
from litespan.stores.buffer import NAMES, Limits, Row
from litespan.stores.exporter import StoreExporter

_START: Final = NAMES.index("start_time")


class DailyFilesExporter(StoreExporter):
    """Collects rows for some time, to write few large files."""

    limits = Limits(
        max_rows=50_000,
        max_bytes=64_000_000,
        keep_rows=100_000,
        patience=30.0,  # its libraries take seconds to import on a busy machine
        exit_patience=30.0,
    )

    def __init__(
        self, interval: float | None, variable: str, *, content: bool, **limits: Any
    ) -> None:
        """Read `interval`, in seconds, or the environment variable. Sets `problem` if invalid."""
        given = None if interval is None else str(interval)
        text = self.setting(given, variable, default="60")
        linger = number(text)
        super().__init__(content=content, **{"linger": max(linger, 0.0), **limits})
        if not 0 <= linger <= 86_400:
            self.disable(f"{variable}={text!r} is not a number of seconds", "fix it or unset it")


def by_day(rows: Sequence[Row]) -> Iterator[tuple[str, list[Row]]]:
    """The folder of each day, `date=YYYY-MM-DD` by the start of the call in UTC, and its rows."""
    days = defaultdict(list)
    for row in rows:
        days[row[_START].date()].append(row)
    return ((f"date={day}", of_day) for day, of_day in days.items())


def file_name(unique: str, suffix: str) -> str:
    """The name of a new file: `calls-…`, the time, `unique` and the suffix."""
    return f"calls-{datetime.now(timezone.utc):%Y%m%dT%H%M%S.%fZ}-{unique}.{suffix}"
