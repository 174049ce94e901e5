"""Counters of what litespan sent, dropped and suppressed.

`litespan.stats()` returns them. The meter exports them as one counter, `litespan.counter`, with
the attribute `litespan.counter.name`.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from threading import RLock
from typing import Any, Final
from weakref import WeakSet

from opentelemetry.metrics import CallbackOptions, Observation, get_meter, get_meter_provider

from litespan import semconv as s

MAX_NAMES: Final = 512
"""The maximum number of counter names; further ones are counted as `other`."""
OTHER: Final = "other"

before_collection: Final[list[Callable[[], None]]] = []
"""Called before a meter provider collects its metrics."""

_lock = RLock()  # a signal handler may count
_counts: Counter[str] = Counter()
_observers: Final[WeakSet[Any]] = WeakSet()


class _Global:
    """Represents the global meter provider, which may be set later."""


def count(name: str, by: int = 1) -> None:
    """Add `by` to the counter `name`, a dotted name such as `export.helicone.sent`."""
    with _lock:
        if len(_counts) >= MAX_NAMES and name not in _counts:
            name = OTHER
        _counts[name] += by


def after_fork() -> None:
    """Replace the lock in a forked child: a thread of the parent may have held it."""
    global _lock  # noqa: PLW0603
    _lock = RLock()


def stats() -> dict[str, int]:
    """Return a copy of all counters since the process started, by dotted name."""
    with _lock:
        return dict(_counts)


def observe(meter_provider: Any = None) -> None:
    """Export the counters through a meter provider, by default the global one.

    Further calls with the same provider have no effect.
    """
    ours = meter_provider is None or meter_provider is get_meter_provider()
    observer = _Global if ours else meter_provider
    with _lock:
        if observer in _observers:
            return
        _observers.add(observer)
    get_meter(s.SCOPE, meter_provider=meter_provider).create_observable_counter(
        s.METRIC_COUNTER,
        [_observations],
        "{event}",
        "Items that litespan has sent, dropped or suppressed, by reason.",
    )


def _observations(_options: CallbackOptions) -> Iterable[Observation]:
    for function in before_collection:
        function()
    return [Observation(value, {s.COUNTER_NAME: name}) for name, value in stats().items()]
