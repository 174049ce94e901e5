"""Times as services want them."""

from datetime import datetime, timedelta, timezone
from typing import Final

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=timezone.utc)


def iso(ns: int) -> str:
    """Nanoseconds since the epoch as ISO 8601 in UTC with microseconds, ending in Z."""
    at = _EPOCH + timedelta(microseconds=max(ns, 0) // 1000)
    return at.isoformat(timespec="microseconds").replace("+00:00", "Z")
