"""Counters of what litespan did: sent, dropped, swallowed, and why.

`litespan.stats()` returns them; nothing else in the process reads them.
"""

from collections import Counter
from threading import Lock

_lock = Lock()
_counts: Counter[str] = Counter()


def count(name: str, by: int = 1) -> None:
    """Add `by` to the counter `name`, a dotted path such as `export.helicone.sent`."""
    with _lock:
        _counts[name] += by


def stats() -> dict[str, int]:
    """A copy of all counters since the process started, by dotted name."""
    with _lock:
        return dict(_counts)
