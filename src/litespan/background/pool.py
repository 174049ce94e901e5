"""A queue of functions and the daemon threads that run them: the engine of all background work.

Requests to services, writes to stores, alerts, offloaded content, `litespan.flush` and sync methods
of handlers run on pools. What is queued differs, so the owner of a pool limits its amount.
"""

import queue
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, Final

from litespan.background import fork
from litespan.errors import suppress_errors

Task = Callable[[], Any]
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


def start_thread(function: Callable[[], None], name: str | None = None) -> None:
    """Run `function` in a daemon thread. Raises RuntimeError if none can be started."""
    try:
        threading.Thread(target=function, name=name, daemon=True).start()
    except RuntimeError:  # the interpreter is shutting down, or there are too many threads
        if not _NEEDED:
            raise
        _reserve.work.put(function)


class Pool:
    """Runs functions on at most `max_threads` daemon threads, now or at a later time.

    The earliest function runs first; functions of the same time run in the order of `submit`. A
    function that is already waiting is not added again, but may become due earlier. Exceptions are
    logged and counted.

    Threads start when there is work, and wait for more until `close`. They do not delay process
    exit: the owner waits, with `wait_for` or `close`. If no thread can be started, the waiting
    thread itself runs the functions. In a forked child the owner creates a new pool.

    Attributes:
        changed: guards the pool. Owners may guard their own state with it; it is notified after
            each function.
    """

    def __init__(self, name: str, max_threads: int = 1) -> None:
        lock = threading.RLock()
        self.changed: Final = threading.Condition(lock)
        self._submitted: Final = threading.Condition(lock)  # what idle threads wait for
        self._name = name
        self._max_threads = max_threads
        self._waiting: dict[Task, float] = {}  # when each function is due, monotonic s
        self._threads = 0
        self._idle = 0
        self._closed = False

    @property
    def has_threads(self) -> bool:
        """Whether a thread runs the functions."""
        return self._threads > 0

    def submit(self, function: Task, at: float = 0.0) -> None:
        """Run `function` at `at` (monotonic, s), or as soon as possible. Does not wait."""
        with self.changed:
            if self._closed:
                return
            self._waiting[function] = min(at, self._waiting.get(function, at))
            if self._idle < len(self._waiting) and self._threads < self._max_threads:
                try:
                    start_thread(self._run, self._name)
                    self._threads += 1
                except RuntimeError:  # the interpreter is ending, or there are too many threads
                    pass
            self._submitted.notify()

    def wait_for(self, done: Callable[[], object], until: float) -> bool:
        """Wait until `done()`, which is called with the lock held. False after `until`.

        Args:
            done: whether to stop waiting.
            until: monotonic, s.
        """
        while True:
            with self.changed:
                if done():
                    return True
                left = until - time.monotonic()
                if left <= 0:
                    return False
                if self._threads:
                    self.changed.wait(left)
                    continue
                function, due_in = self._take()
                if function is None:
                    self._submitted.wait(left if due_in is None else min(left, due_in))
                    continue
            self._call(function)

    def close(self, until: float = 0.0) -> bool:
        """Run what is due, drop the rest, end the threads. Returns whether they ended by `until`.

        Args:
            until: how long to wait for the threads, monotonic, s.
        """
        with self.changed:
            self._closed = True
            now = time.monotonic()
            self._waiting = {each: due for each, due in self._waiting.items() if due <= now}
            self._submitted.notify_all()
        return self.wait_for(lambda: not self._threads and not self._waiting, until)

    def _run(self) -> None:
        try:
            while (function := self._next()) is not None:
                self._call(function)
                del function  # it may reference a call
        finally:  # also after a SystemExit
            with self.changed:
                self._threads -= 1
                self.changed.notify_all()

    def _call(self, function: Task) -> None:
        with suppress_errors(self._name):
            function()
        with self.changed:
            self.changed.notify_all()

    def _next(self) -> Task | None:
        """Wait for the next function; None once the pool is closed."""
        with self.changed:
            while True:
                function, due_in = self._take()
                if function is not None or self._closed:
                    return function
                self._idle += 1
                self._submitted.wait(due_in)
                self._idle -= 1

    def _take(self) -> tuple[Task | None, float | None]:
        """Remove and return a function that is due; else None, and s until one is due."""
        function = min(self._waiting, key=self._waiting.__getitem__, default=None)
        if function is None:
            return None, None
        due_in = self._waiting[function] - time.monotonic()
        if due_in > 0:
            return None, due_in
        del self._waiting[function]
        if self._waiting and self._idle:
            self._submitted.notify()
        return function, None
