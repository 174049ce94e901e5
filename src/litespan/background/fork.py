"""Forks: what no fork may cut in two.

A forked child has the forking thread alone. What another thread was importing at that moment
stays locked in the child for ever, and whoever imports it there hangs. So litespan's own threads
import, and call what may import, under `undivided`, and a fork waits for that.
"""

import os
import threading
from typing import Final

PATIENCE: Final = 5.0
"""Seconds that a fork waits: a thread that imports may itself wait for the one that forks."""


class _Undivided:
    """A context that a fork waits for."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._held = False  # by the thread that forks, around its fork

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def before(self) -> None:
        self._held = self._lock.acquire(timeout=PATIENCE)

    def after_in_parent(self) -> None:
        if self._held:
            self._held = False
            self._lock.release()

    def after_in_child(self) -> None:
        if not self._held:  # then a thread holds it that is not there
            self._lock = threading.RLock()
        self.after_in_parent()


undivided: Final = _Undivided()

if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(
        before=undivided.before,
        after_in_parent=undivided.after_in_parent,
        after_in_child=undivided.after_in_child,
    )
