"""Forks: the one place that registers with `os.register_at_fork`.

A forked child has the forking thread alone. Threads, the locks they held and open connections
belong to the parent; each owner of such things registers here what renews them.
"""

import os
import threading
import weakref
from collections.abc import Callable
from typing import Any, Final, NamedTuple, TypeVar

from litespan.errors import suppress_errors

T = TypeVar("T")

PATIENCE: Final = 5.0
"""Seconds that a fork waits: a thread that imports may itself wait for the one that forks."""


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
    """Call functions around each fork, with `owner`, for as long as it lives.

    As with `os.register_at_fork`, what was registered last runs first before the fork, and last
    after it. A function that raises is logged and keeps none of the others from running.
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


class _Undivided:
    """A context that a fork waits for: `with undivided: import something`.

    What another thread was importing while the process forked stays locked in the child for
    ever, and an import of it there hangs. So litespan's own threads import under this.
    """

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
register(
    undivided,
    before=_Undivided.before,
    after_in_parent=_Undivided.after_in_parent,
    after_in_child=_Undivided.after_in_child,
)

if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(
        before=lambda: _run("before", _hooks[::-1]),
        after_in_parent=lambda: _run("after_in_parent", _hooks),
        after_in_child=lambda: _run("after_in_child", _hooks),
    )
