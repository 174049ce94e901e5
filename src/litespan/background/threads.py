"""Daemon threads, also while the process ends.

Python 3.12.0 and 3.12.1 start no thread once the interpreter is ending, which is when a short
program exports its spans: there, some are started beforehand, and wait.
"""

import os
import queue
import sys
import threading
from collections.abc import Callable
from typing import Final

_STANDING_BY: Final = 8
_NEEDED: Final = (3, 12) <= sys.version_info[:3] < (3, 12, 2)
_work: Final["queue.SimpleQueue[Callable[[], None]]"] = queue.SimpleQueue()


def start(function: Callable[[], None]) -> None:
    """Run `function` in a thread that does not keep the process alive."""
    try:
        threading.Thread(target=function, daemon=True).start()
    except RuntimeError:
        _work.put(function)


def _serve() -> None:
    while True:
        _work.get()()


def _stand_by() -> None:
    for _ in range(_STANDING_BY):
        start(_serve)


if _NEEDED:
    _stand_by()
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_stand_by)
