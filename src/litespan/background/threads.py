"""Daemon threads, also while the process ends."""

import queue
import sys
import threading
from collections.abc import Callable
from typing import Final

from litespan.background import fork

_STANDING_BY: Final = 8
_NEEDED: Final = (3, 12) <= sys.version_info[:3] < (3, 12, 2)


class _StandBy:
    """Threads that were started beforehand, and wait for work.

    Python 3.12.0 and 3.12.1 start no thread once the interpreter is ending, which is when a
    short program exports its spans.
    """

    def __init__(self) -> None:
        self.work: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()

    def start(self) -> None:
        for _ in range(_STANDING_BY):
            threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            self.work.get()()


_stand_by: Final = _StandBy()
if _NEEDED:
    _stand_by.start()
    fork.register(_stand_by, after_in_child=_StandBy.start)


def start(function: Callable[[], None], name: str | None = None) -> None:
    """Run `function` in a thread that does not keep the process alive."""
    try:
        threading.Thread(target=function, name=name, daemon=True).start()
    except RuntimeError:  # the interpreter is ending
        _stand_by.work.put(function)
