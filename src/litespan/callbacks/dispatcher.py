"""Delivers the stages of calls to one handler: off the caller's thread, in order, bounded.

A handler has an event loop in its own thread, which starts with the first call. The caller's
thread only appends a stage to one deque, and wakes the loop if it sleeps. Each call has a queue:
its stages are delivered one after another, those of different calls concurrently. Async methods
run on that loop (or the caller's), sync methods in worker threads, so that a handler that blocks
delays only itself. (`litespan.callbacks.inline` delivers on the caller's thread.) At most
`max_pending` stages wait. Beyond that, new calls and chunks of streams are dropped; calls that were
accepted keep their other stages.
"""

import asyncio
import threading
import time
from collections import deque
from typing import Final

from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan

from litespan import semconv as s
from litespan.background import fork
from litespan.callbacks.call_queue import CallQueue, running_loop
from litespan.callbacks.handler import Handler
from litespan.callbacks.invoke import invoke, report_dropped
from litespan.callbacks.threads import Threads, Workers
from litespan.callbacks.view import Keeper, View
from litespan.errors import suppress_errors
from litespan.instrumentation.stages import ENDS, Stage

MAX_PENDING: Final = 20_000  # stages
MAX_TASKS: Final = 200  # calls at once
MAX_THREADS: Final = 16
_REST: Final = 0.005  # s; to wake the loop costs the caller a system call and a thread switch


class Dispatcher:
    """The queues of one handler, and the threads that deliver them.

    Attributes:
        queues: oldest first, until they are closed and delivered; `changed` guards what is in them.
        last_success: when a method last returned, monotonic, s.
        closed: whether it accepts no more calls.
        keeper: keeps the ends of calls on disk, or None.
        home: the event loop of the last async call, if methods run on the caller's.
    """

    def __init__(
        self,
        handler: Handler,
        *,
        on_callers_loop: bool = False,
        concurrency: int | None = None,
        max_pending: int = MAX_PENDING,
    ) -> None:
        self.handler = handler
        self.name = handler.name
        self._on_callers_loop = on_callers_loop
        self._max_pending = max_pending
        self._max_tasks = concurrency or MAX_TASKS
        self._max_threads = min(concurrency or MAX_THREADS, MAX_THREADS)
        self.keeper: Keeper | None = None
        self.closed = False
        self._reset()
        fork.register(self, after_in_child=Dispatcher._reset)

    def _reset(self) -> None:
        """Start empty, also in a forked child: threads and waiting stages are the parent's."""
        self._lock = threading.Lock()
        self.changed = threading.Condition(self._lock)
        self.queues: dict[CallQueue, None] = {}
        self._incoming: deque[tuple[CallQueue, Stage]] = deque()
        self._ready: deque[CallQueue] = deque()
        self._pending = 0  # stages that wait in queues, and those that are being delivered
        self._running = 0
        self.last_success = 0.0
        self.home: asyncio.AbstractEventLoop | None = None
        self._scheduled = False  # whether the loop will look at `_incoming` and `_ready`
        self._resting = False
        self._threads: Threads | None = None

    # --- on the caller's thread -------------------------------------------------------

    def open_queue(self, view: View, ctx: Context) -> CallQueue | None:
        """Open a queue for a call that starts in `ctx`; None if the call is dropped."""
        if self.closed:
            return None
        if self._is_full():
            report_dropped(self.handler, "calls", "new calls are", self._max_pending)
            return None
        if self._threads is None:
            self._start_threads()
        queue = CallQueue(view, ctx)
        if self._on_callers_loop and view.asynchronous:
            queue.home = self.home = running_loop()
        self.queues[queue] = None
        if self.closed:  # in the meantime
            self.close_queue(queue)
            return None
        return queue

    def dispatch(self, queue: CallQueue, stage: Stage) -> None:
        """Have a stage delivered; that of the end closes the queue."""
        name = stage.name
        if name == s.EVENT_CHUNK and self._is_full():
            report_dropped(self.handler, "chunks", "chunks of streams are", self._max_pending)
        else:
            if self.keeper is not None and name in ENDS:
                self._keep(self.keeper, queue, stage)
            self._incoming.append((queue, stage))
            if not self._scheduled:
                self._wake()

    def _keep(self, keeper: Keeper, queue: CallQueue, stage: Stage) -> None:
        wanted = stage.name in self.handler.events[queue.view.asynchronous]
        if wanted and isinstance(stage.span, ReadableSpan):  # else it is not sampled
            with suppress_errors("keeping the end of a call"):
                queue.receipt = keeper.keep(stage.span)

    def _wake(self) -> None:
        """Wake the loop, if there is something to deliver."""
        with self._lock:
            self.sort()
            threads = self._threads
            if threads is None or not self._ready:
                return
            self._scheduled = True
        threads.call(self._start_deliveries)

    def close_queue(self, queue: CallQueue) -> None:
        """Close a queue that gets no more stages."""
        with self._lock:
            self.sort()
            self._close(queue)

    def sort(self) -> None:
        """Put the incoming stages into the queues of their calls. The caller holds the lock."""
        incoming, ready = self._incoming, self._ready
        while incoming:
            self._pending += 1  # before it leaves `_incoming`: `_is_full` has no lock
            queue, stage = incoming.popleft()
            known = queue in self.queues  # else opened in the parent, before a fork
            if not known or stage.name not in self.handler.events[queue.view.asynchronous]:
                self._pending -= 1
            elif queue.busy:
                queue.waiting.append(stage)
            else:
                queue.busy, queue.waiting = True, deque((stage,))
                ready.append(queue)
            if known and stage.name in ENDS:
                self._close(queue)

    def _is_full(self) -> bool:
        if len(self._incoming) + self._pending < self._max_pending:
            return False
        with self._lock:
            self.sort()
            return self._pending >= self._max_pending

    def _start_threads(self) -> None:
        with self._lock:
            if self._threads is None:
                self._threads = Threads(f"litespan-{self.name}", self._max_threads)

    def _close(self, queue: CallQueue) -> None:
        queue.open = False
        if not queue.busy:
            self._remove(queue)

    def _remove(self, queue: CallQueue) -> None:
        self.queues.pop(queue, None)
        if self.closed and not self.queues:
            self._stop()
        self.changed.notify_all()

    # --- on the handler's own loop ----------------------------------------------------

    def _start_deliveries(self) -> None:
        """Start delivering as many queues as may run concurrently, then rest.

        What is dispatched during the rest needs no wake-up.
        """
        threads = self._threads
        while threads is not None:
            with self._lock:
                self._scheduled = True
                self.sort()
                if self._running >= self._max_tasks or self._resting:
                    return
                if not self._ready:
                    self._resting = True
                    threads.loop.call_later(_REST, self._look)
                    return
                queue = self._ready.popleft()
                self._running += 1
            # A task copies the context in which it is created.
            queue.context.run(threads.loop.create_task, self._deliver(queue, threads.workers))

    def _look(self) -> None:
        """After a rest, deliver what has come; if nothing has, sleep until a wake-up."""
        with self._lock:
            self._resting = False
            self._scheduled = False  # before it looks: what comes after that wakes the loop
            if not self._ready and not self._incoming:
                return
        self._start_deliveries()

    async def _deliver(self, queue: CallQueue, workers: Workers) -> None:
        """Deliver the waiting stages of one queue."""
        succeeded = False
        while True:
            with self._lock:
                if queue.current is not None:
                    self._pending -= 1
                    if succeeded:
                        self.last_success = time.monotonic()
                queue.current = queue.waiting.popleft() if queue.waiting else None
                if queue.current is None:
                    queue.busy = False
                    self._running -= 1
                    if not queue.open:
                        self._remove(queue)
                    self.changed.notify_all()
                    break
            succeeded = await invoke(self.handler, queue, queue.current, workers)
            if queue.receipt is not None and queue.current.name in ENDS:
                queue.receipt.delivered()
        self._start_deliveries()

    def is_ready(self, *, asynchronous: bool) -> bool:
        """Whether it can deliver the end of a call of another process."""
        if self.closed or self._is_full():
            return False
        if not (self._on_callers_loop and asynchronous):
            return True
        return self.home is not None and not self.home.is_closed()

    def close(self) -> None:
        """Accept no more calls; the threads end once all open queues are delivered."""
        with self._lock:
            self.closed = True
            if not self.queues:
                self._stop()

    def _stop(self) -> None:
        if self._threads is not None:
            self._threads.stop()
            self._threads = None
        if self.keeper is not None:
            self.keeper.close_soon()
