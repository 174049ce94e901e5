"""Finished calls whose metrics wait to be recorded."""

from collections import deque
from collections.abc import Callable
from threading import RLock
from typing import Final

from litespan import counters
from litespan.background import fork
from litespan.background.pool import Pool
from litespan.errors import suppress_errors
from litespan.instrumentation.aggregation import Batch
from litespan.instrumentation.finished_call import Finished

Divide = Callable[[Finished, Batch], None]
MANY: Final = 256
"""A thread records the waiting calls whenever this many more wait."""


class Queue:
    """Finished calls whose values wait to be recorded.

    They are recorded before each collection, before a fork, and by a thread when many wait. So
    values are never late, and a child process starts with the sums of its parent.
    """

    def __init__(self) -> None:
        self._calls: deque[tuple[Divide, Finished]] = deque()
        self._lock = RLock()  # a signal handler may collect
        self._pool = Pool("litespan-metrics")

    def add(self, divide: Divide, call: Finished) -> None:
        """Add a call whose values `divide` will add to a batch."""
        self._calls.append((divide, call))
        if len(self._calls) % MANY == 0:
            self._pool.submit(self.record)

    def record(self) -> None:
        """Record all values that wait."""
        with self._lock:
            batch = Batch()
            while self._calls:
                with suppress_errors("measuring a call"):
                    divide, call = self._calls.popleft()
                    divide(call, batch)
            batch.flush()

    def start_again(self) -> None:
        """Forget, in a forked child process, the calls that the parent will record."""
        self._calls.clear()
        self._lock = RLock()
        self._pool = Pool("litespan-metrics")


queue: Final = Queue()
counters.before_collection.append(queue.record)
fork.register(queue, before=Queue.record, after_in_child=Queue.start_again)
