"""Computes values of large content off the caller's thread, which may run an event loop.

Such values take milliseconds. A pool computes them once the span has ended, or an exporter that
reads the span earlier computes them on its own thread.
"""

from collections.abc import Callable
from functools import partial
from threading import Lock
from typing import Any, Final, Generic, TypeVar

from litespan.background import fork
from litespan.background.pool import Pool

T = TypeVar("T")
LARGE: Final = 256 * 1024
"""Characters of content from which values are deferred; smaller content takes less than 1 ms."""
_MOST: Final = 64 * 1024 * 1024  # characters that may wait: each keeps its content in memory

_PATIENCE: Final = 2.0  # s that one thread waits for another, which a fork may have ended


class Deferred(Generic[T]):
    """The result of `compute`, computed when it is first called or by a pool after `start`."""

    __slots__ = ("_compute", "_lock", "_value", "size")

    def __init__(self, compute: Callable[[], T], size: int) -> None:
        """Defer `compute`.

        Args:
            compute: must not raise, and must read only objects that do not change.
            size: of large content, in characters; 0 if only a call may compute the value.
        """
        self._compute: Callable[[], T] | None = compute
        self._lock = Lock()
        self.size = size

    def __call__(self) -> T:
        """Return the value. If another thread is computing it, wait for that."""
        if self._compute is not None:
            locked = self._lock.acquire(timeout=_PATIENCE)
            try:
                if (compute := self._compute) is not None:
                    self._value = compute()
                    self._compute = None
            finally:
                if locked:
                    self._lock.release()
        return self._value

    def start(self) -> None:
        """Have a pool compute a value with a size; compute it now if too much waits."""
        if self._compute is not None and self.size:
            _waiting.add(self)


class _Waiting:
    """The values that wait for the pool."""

    def __init__(self) -> None:
        self._pool = Pool("litespan-content")
        self._lock = Lock()
        self._size = 0

    def add(self, value: Deferred[Any]) -> None:
        with self._lock:
            fits = self._size + value.size <= _MOST
            if fits:
                self._size += value.size
        if fits:
            self._pool.submit(partial(self._run, value))
        else:
            value()

    def _run(self, value: Deferred[Any]) -> None:
        try:
            value()
        finally:
            with self._lock:
                self._size -= value.size


_waiting: Final = _Waiting()
fork.register(_waiting, after_in_child=_Waiting.__init__)
