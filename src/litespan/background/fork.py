"""Fork handling: the only module that calls `os.register_at_fork`.

A forked child process has only the thread that forked. Other threads, the locks that they held
and open connections belong to the parent. Objects that own such resources register here a
function that creates them again.
"""

import os
import threading
import weakref
from collections.abc import Callable
from typing import Any, Final, NamedTuple, TypeVar

from litespan import counters
from litespan.errors import suppress_errors

T = TypeVar("T")

TIMEOUT: Final = 5.0
"""Seconds that a fork waits for `import_lock`; its holder may be waiting for the forking thread."""


class _Hook(NamedTuple):
    owner: "weakref.ref[Any]"
    before: Callable[[Any], object] | None
    after_in_parent: Callable[[Any], object] | None
    after_in_child: Callable[[Any], object] | None


_hooks: list[_Hook] = []


def register(
    owner: T,
    *,
    before: Callable[[T], object] | None = None,
    after_in_parent: Callable[[T], object] | None = None,
    after_in_child: Callable[[T], object] | None = None,
) -> None:
    """Call functions around each fork, with `owner` as argument, while `owner` is alive.

    As with `os.register_at_fork`, `before` functions run in reverse order of registration and
    the others in order. An exception is logged and does not stop the other functions.
    """
    _hooks[:] = [hook for hook in _hooks if hook.owner() is not None]
    _hooks.append(_Hook(weakref.ref(owner), before, after_in_parent, after_in_child))


def _run(step: str, hooks: list[_Hook]) -> None:
    for hook in hooks:
        function = getattr(hook, step)
        owner = hook.owner()
        if function is not None and owner is not None:
            with suppress_errors(f"the fork hook {step}"):
                function(owner)


def _after_in_child() -> None:
    counters.after_fork()  # first, because an exception is counted
    _run("after_in_child", _hooks)


class _ImportLock:
    """A lock that delays forks: `with import_lock: import something`.

    If a thread is importing a module while the process forks, the module stays locked in the
    child, and importing it there hangs. litespan's threads therefore import under this lock.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._held = False  # whether the forking thread acquired the lock

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def before(self) -> None:
        self._held = self._lock.acquire(timeout=TIMEOUT)

    def after_in_parent(self) -> None:
        if self._held:
            self._held = False
            self._lock.release()

    def after_in_child(self) -> None:
        if not self._held:  # held by a thread that does not exist in the child
            self._lock = threading.RLock()
        self.after_in_parent()


import_lock: Final = _ImportLock()
register(
    import_lock,
    before=_ImportLock.before,
    after_in_parent=_ImportLock.after_in_parent,
    after_in_child=_ImportLock.after_in_child,
)

if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(
        before=lambda: _run("before", _hooks[::-1]),
        after_in_parent=lambda: _run("after_in_parent", _hooks),
        after_in_child=_after_in_child,
    )
