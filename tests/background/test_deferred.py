"""Values of large content are computed once, and never wait for a thread that a fork has ended."""

import threading
from typing import Any

import pytest

from litespan.background import deferred
from litespan.background.deferred import Deferred


class Watched:
    """A lock that says when a second thread wants it."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.wanted = threading.Event()

    def acquire(self, timeout: float) -> bool:
        """See `threading.Lock`."""
        if self.lock.locked():
            self.wanted.set()
        return self.lock.acquire(timeout=timeout)

    def release(self) -> None:
        """See `threading.Lock`."""
        self.lock.release()


def test_an_exporter_that_reads_a_value_while_it_is_computed_waits() -> None:
    """It does not convert the same megabytes again."""
    lock, computed = Watched(), list[int]()

    def compute() -> int:
        computed.append(1)
        if len(computed) == 1:
            exporter.start()
            assert lock.wanted.wait(60)
        return 7

    value: Any = Deferred(compute, 1)
    value._lock = lock
    read: list[int] = []
    exporter = threading.Thread(target=lambda: read.append(value()))
    assert value() == 7
    exporter.join(60)
    assert (read, computed) == ([7], [1])


def test_a_value_that_a_thread_of_the_parent_was_computing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The child has the locked lock, and not the thread."""
    monkeypatch.setattr(deferred, "_PATIENCE", 0.01)
    value: Any = Deferred(lambda: 7, 1)
    value._lock.acquire()
    assert value() == 7
