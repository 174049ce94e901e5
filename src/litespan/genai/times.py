"""Time formats."""

from datetime import datetime, timedelta, timezone
from typing import Final

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=timezone.utc)
_LAST: Final = 253_402_300_799_000_000  # µs: the last second of 9999


def iso(ns: int) -> str:
    """Nanoseconds since the epoch as ISO 8601 in UTC with microseconds, ending in Z.

    Times are clamped to the years 1970 to 9999.
    """
    at = _EPOCH + timedelta(microseconds=min(max(ns, 0) // 1000, _LAST))
    return at.isoformat(timespec="microseconds").replace("+00:00", "Z")
