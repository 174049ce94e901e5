"""Delivers the stages of calls to one handler: off the caller's thread, in order, bounded.

A handler has an event loop in its own thread, which starts with the first call. Each call has a
queue: its stages are delivered one after another, those of different calls concurrently. Async
methods run on that loop (or the caller's), sync methods in worker threads, so that a handler
that blocks delays only itself.

At most `max_pending` stages wait. Beyond that, new calls and chunks of streams are dropped; calls
that were accepted keep their other stages. Only `litespan.callbacks.draining` waits for a handler.
"""

import asyncio
import threading
import time
from collections import deque
from typing import Final

from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import Span

from litespan.background import fork
from litespan.callbacks.call_queue import CallQueue, running_loop
from litespan.callbacks.handler import Handler
from litespan.callbacks.invoke import invoke, invoke_inline
from litespan.callbacks.stage_event import ENDS, Keeper, StageEvent, View
from litespan.callbacks.threads import Threads, Workers
from litespan.counters import count
from litespan.errors import log_once, suppress_errors

MAX_PENDING: Final = 20_000  # stages
MAX_TASKS: Final = 200  # calls at once
MAX_THREADS: Final = 16
_REST: Final = 0.005  # s; to wake the loop costs the caller a system call and a thread switch


class Dispatcher:
    """The queues of one handler, and the threads that deliver them.

    Attributes:
        queues: oldest first, until they are closed and delivered; `changed` guards them.
        last_success: when a method last returned, monotonic, s.
        closed: whether it accepts no more calls.
        keeper: keeps the ends of calls on disk, or None.
        home: the event loop of the last async call, if methods run on the caller's.
    """

    def __init__(
        self,
        handler: Handler,
        *,
        inline: bool = False,
        on_callers_loop: bool = False,
        concurrency: int | None = None,
        max_pending: int = MAX_PENDING,
    ) -> None:
        self.handler = handler
        self.name = handler.name
        self._inline = inline
        self._on_callers_loop = on_callers_loop
        self._max_pending = max_pending
        self._max_tasks = concurrency or MAX_TASKS
        self._max_threads = min(concurrency or MAX_THREADS, MAX_THREADS)
        self.keeper: Keeper | None = None
        self.home: asyncio.AbstractEventLoop | None = None
        self._generation = 0
        self.closed = False
        self._reset()
        fork.register(self, after_in_child=Dispatcher._reset)

    def _reset(self) -> None:
        """Start empty, also in a forked child: threads and waiting stages are the parent's."""
        self._generation += 1
        self._lock = threading.Lock()
        self.changed = threading.Condition(self._lock)
        self.queues: dict[CallQueue, None] = {}
        self._ready: deque[CallQueue] = deque()
        self._pending = 0
        self._running = 0
        self.last_success = 0.0
        self._scheduled = False  # whether the loop will look at `_ready`
        self._resting = False
        self._threads: Threads | None = None

    # --- on the caller's thread -------------------------------------------------------

    def open_queue(self, view: View, ctx: Context, *, asynchronous: bool) -> CallQueue | None:
        """Open a queue for a call that starts in `ctx`; None if the call is dropped."""
        queue = CallQueue(view, ctx, asynchronous=asynchronous)
        if self._on_callers_loop and asynchronous:
            queue.home = self.home = running_loop()
        with self._lock:
            if self.closed:
                return None
            full = self._pending >= self._max_pending
            if not full:
                if self._threads is None and not self._inline:
                    self._threads = Threads(f"litespan-{self.name}", self._max_threads)
                queue.generation = self._generation
                self.queues[queue] = None
        if full:
            self._count_dropped("calls", "new calls are")
            return None
        return queue

    def dispatch(
        self,
        queue: CallQueue,
        event: StageEvent,
        *,
        last: bool = False,
        span: Span | ReadableSpan | None = None,
    ) -> None:
        """Queue `event` for delivery; the `last` one closes the queue, and may have the `span`."""
        if queue.generation != self._generation:  # opened in the parent, before a fork
            return
        if self._inline:
            try:
                queue.context.run(invoke_inline, self.handler, queue, event)
            finally:
                if last:
                    self.close_queue(queue)
            return
        keeper = self.keeper
        if keeper is not None and isinstance(span, ReadableSpan):  # else it is not sampled
            with suppress_errors("keeping the end of a call"):
                queue.receipt = keeper.keep(span)
        wake = False
        with self._lock:
            full = event.stage == "stream" and self._pending >= self._max_pending
            if not full:
                self._pending += 1
                queue.waiting.append(event)
                if not queue.busy:
                    queue.busy = True
                    self._ready.append(queue)
                    wake, self._scheduled = not self._scheduled, True
            if last:
                queue.open = False
        if full:
            self._count_dropped("chunks", "chunks of streams are")
        if wake and self._threads is not None:
            self._threads.call(self._start_deliveries)

    def close_queue(self, queue: CallQueue) -> None:
        """Close a queue whose call ended with a stage that the handler has no method for."""
        with self._lock:
            queue.open = False
            if not queue.busy:
                self._remove(queue)

    def _remove(self, queue: CallQueue) -> None:
        self.queues.pop(queue, None)
        if self.closed and not self.queues:
            self._stop()
        self.changed.notify_all()

    def _count_dropped(self, what: str, dropped: str) -> None:
        counter = f"callbacks.{self.name}.dropped_{what}"
        count(counter)
        log_once(
            f"{counter}:{id(self)}",  # two handlers of one class share a name
            "handler %s is %d stages behind: %s not delivered to it until it catches up; "
            "litespan.stats() counts them as %s",
            self.name,
            self._max_pending,
            dropped,
            counter,
        )

    # --- on the handler's own loop ----------------------------------------------------

    def _start_deliveries(self) -> None:
        """Start delivering as many queues as may run concurrently, then rest.

        What is dispatched during the rest needs no wake-up.
        """
        threads = self._threads
        while threads is not None:
            with self._lock:
                self._scheduled = True
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
            self._scheduled = bool(self._ready)
            if not self._scheduled:
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
            if queue.receipt is not None and queue.current.stage in ENDS:
                queue.receipt.delivered()
        self._start_deliveries()

    def is_ready(self, *, asynchronous: bool) -> bool:
        """Whether it can deliver the end of a call of another process."""
        if self.closed or self._pending >= self._max_pending:
            return False
        if not (self._on_callers_loop and asynchronous):
            return True
        return self.home is not None and not self.home.is_closed()

    @property
    def drained(self) -> bool:
        """Whether it is closed and everything is delivered."""
        return self.closed and not self.queues

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
