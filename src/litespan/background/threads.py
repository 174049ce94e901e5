"""Daemon threads that can also be started while the process exits."""

import queue
import sys
import threading
from collections.abc import Callable
from typing import Final

from litespan.background import fork

_RESERVE: Final = 8
_NEEDED: Final = (3, 12) <= sys.version_info[:3] < (3, 12, 2)


class _ReserveThreads:
    """Threads that are started in advance and wait for work.

    Python 3.12.0 and 3.12.1 cannot start threads during interpreter shutdown, which is when a
    short program exports its spans.
    """

    def __init__(self) -> None:
        self.work: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()

    def start(self) -> None:
        for _ in range(_RESERVE):
            threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            self.work.get()()


_reserve: Final = _ReserveThreads()
if _NEEDED:
    _reserve.start()
    fork.register(_reserve, after_in_child=_ReserveThreads.start)


def start(function: Callable[[], None], name: str | None = None) -> None:
    """Run `function` in a daemon thread. Raises RuntimeError if none can be started."""
    try:
        threading.Thread(target=function, name=name, daemon=True).start()
    except RuntimeError:  # the interpreter is shutting down, or there are too many threads
        if not _NEEDED:
            raise
        _reserve.work.put(function)
