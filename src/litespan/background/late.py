"""Values of large content, which take milliseconds: computed off the caller's thread.

That thread may run an event loop. A pool computes them once the span has ended; exporters read
them on their own threads.
"""

from collections.abc import Callable
from functools import partial
from threading import Lock
from typing import Any, Final, Generic, TypeVar

from litespan.background import fork
from litespan.background.pool import Pool

T = TypeVar("T")
LARGE: Final = 256 * 1024
"""Characters of content from which values are computed late; less takes below 1 ms."""
_MOST: Final = 64 * 1024 * 1024  # characters that may wait: each keeps its content in memory


class Late(Generic[T]):
    """The result of `compute`, computed when it is first called or by a pool after `start`.

    There is no lock, which a fork could leave locked: two threads that call it at the same time
    may both compute it.
    """

    __slots__ = ("_compute", "_value", "size")

    def __init__(self, compute: Callable[[], T], size: int) -> None:
        """`compute` must not raise, and reads only what nobody changes; `size` in characters."""
        self._compute: Callable[[], T] | None = compute
        self.size = size

    def __call__(self) -> T:
        """Return the value."""
        compute = self._compute
        if compute is not None:
            self._value = compute()
            self._compute = None
        return self._value

    def start(self) -> None:
        """Have a pool compute the value; compute it now if too much waits."""
        if self._compute is not None:
            _waiting.add(self)


class _Waiting:
    """What waits for the pool."""

    def __init__(self) -> None:
        self._pool = Pool("litespan-content")
        self._lock = Lock()
        self._size = 0

    def add(self, late: Late[Any]) -> None:
        with self._lock:
            fits = self._size + late.size <= _MOST
            if fits:
                self._size += late.size
        if fits:
            self._pool.submit(partial(self._run, late))
        else:
            late()

    def _run(self, late: Late[Any]) -> None:
        try:
            late()
        finally:
            with self._lock:
                self._size -= late.size


_waiting: Final = _Waiting()
fork.register(_waiting, after_in_child=_Waiting.__init__)
