"""Delivering the stages of calls to one handler: off the caller's thread, in order, bounded.

A handler has an event loop in a thread of its own, started with its first call. Each call is a
queue: its stages run one after another, those of different calls side by side. Async methods run
on that loop (or on the caller's), sync ones in threads beside it, so that a handler that blocks
holds up nobody but itself.

What waits is bounded by `max_pending` stages. Beyond it, whole calls are refused as they start,
and chunks of streams; a call that was accepted keeps its other stages. Nobody ever waits for a
handler but `drain`.
"""

import threading
import time
from collections import deque
from typing import Final

from opentelemetry.context import Context

from litespan.background import fork
from litespan.callbacks.call_queue import CallQueue, running_loop
from litespan.callbacks.handler import Handler
from litespan.callbacks.invoke import invoke, invoke_inline
from litespan.callbacks.stage_event import StageEvent, View
from litespan.callbacks.threads import Threads, Workers
from litespan.counters import count
from litespan.errors import log_once

MAX_PENDING: Final = 20_000  # stages
TASKS: Final = 200  # calls at once
THREADS: Final = 16


class Dispatcher:
    """What one handler has still to be told, and the threads that tell it."""

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
        self._most = max_pending
        self._most_tasks = concurrency or TASKS
        self._most_threads = min(concurrency or THREADS, THREADS)
        self._generation = 0
        self._closing = False
        self._renew()
        fork.register(self, after_in_child=Dispatcher._renew)

    def _renew(self) -> None:
        """Also in a forked child: the threads, and what waits, are the parent's."""
        self._generation += 1
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._queues: dict[CallQueue, None] = {}  # those that are not finished, oldest first
        self._ready: deque[CallQueue] = deque()
        self._pending = 0
        self._running = 0
        self._went_well = 0.0  # when a method last returned, monotonic
        self._awake = False
        self._threads: Threads | None = None

    # --- on the caller's thread -------------------------------------------------------

    def begin(self, view: View, ctx: Context, *, asynchronous: bool) -> CallQueue | None:
        """A queue for a call that starts in `ctx`; None if the call is refused."""
        queue = CallQueue(view, ctx, asynchronous=asynchronous)
        if self._on_callers_loop and asynchronous:
            queue.home = running_loop()
        with self._lock:
            if self._closing:
                return None
            refused = self._pending >= self._most
            if not refused:
                if self._threads is None and not self._inline:
                    self._threads = Threads(f"litespan-{self.name}", self._most_threads)
                queue.generation = self._generation
                self._queues[queue] = None
        if refused:
            self._behind("calls", "new calls are")
            return None
        return queue

    def put(self, queue: CallQueue, event: StageEvent, *, last: bool = False) -> None:
        """Deliver `event`, some time; the `last` one ends the queue."""
        if queue.generation != self._generation:  # it began in the parent, before a fork
            return
        if self._inline:
            try:
                queue.context.copy().run(invoke_inline, self.handler, queue, event)
            finally:
                if last:
                    self.end(queue)
            return
        wake = False
        with self._lock:
            refused = event.stage == "stream" and self._pending >= self._most
            if not refused:
                self._pending += 1
                queue.waiting.append(event)
                if not queue.busy:
                    queue.busy = True
                    self._ready.append(queue)
                    wake, self._awake = not self._awake, True
            if last:
                queue.open = False
        if refused:
            self._behind("chunks", "chunks of streams are")
        if wake and self._threads is not None:
            self._threads.call(self._go_on)

    def end(self, queue: CallQueue) -> None:
        """End a queue whose call has ended with a stage that the handler has no method for."""
        with self._lock:
            queue.open = False
            if not queue.busy:
                self._finish(queue)

    def _finish(self, queue: CallQueue) -> None:
        self._queues.pop(queue, None)
        if self._closing and not self._queues:
            self._stop()
        self._changed.notify_all()

    def _behind(self, what: str, dropped: str) -> None:
        counter = f"callbacks.{self.name}.dropped_{what}"
        count(counter)
        log_once(
            f"{counter}:{id(self)}",  # two handlers of one class have one name
            "handler %s is %d stages behind: %s not delivered to it until it catches up; "
            "litespan.stats() counts them as %s",
            self.name,
            self._most,
            dropped,
            counter,
        )

    # --- on the handler's own loop ----------------------------------------------------

    def _go_on(self) -> None:
        """Start as many queues as may run at once."""
        threads = self._threads
        while threads is not None:
            with self._lock:
                if not self._ready or self._running >= self._most_tasks:
                    self._awake = self._running >= self._most_tasks
                    return
                queue = self._ready.popleft()
                self._running += 1
            # A task takes a copy of the context in which it is made.
            queue.context.copy().run(threads.loop.create_task, self._run(queue, threads.workers))

    async def _run(self, queue: CallQueue, workers: Workers) -> None:
        """Deliver what waits in one queue."""
        well = False
        while True:
            with self._lock:
                if queue.current is not None:
                    self._pending -= 1
                    if well:
                        self._went_well = time.monotonic()
                queue.current = queue.waiting.popleft() if queue.waiting else None
                if queue.current is None:
                    queue.busy = False
                    self._running -= 1
                    if not queue.open:
                        self._finish(queue)
                    self._changed.notify_all()
                    break
            well = await invoke(self.handler, queue, queue.current, workers)
        self._go_on()

    # --- waiting ----------------------------------------------------------------------

    def drain(
        self, deadline: float, *, patience: float | None = None, since: float | None = None
    ) -> bool:
        """Wait until everything that has begun is delivered; whether it is.

        No longer than until `deadline` (monotonic), and with `patience` only as long as the
        handler's methods return: so many seconds after the last one did (or after `since`, by
        default now), it is given up. A call that began on this very thread can not end
        meanwhile: only what it has told so far is waited for.
        """
        here = threading.get_ident()

        def settled(queue: CallQueue) -> bool:
            if queue not in self._queues:
                return True
            return queue.open and queue.thread == here and not queue.busy

        begun = time.monotonic() if since is None else since
        with self._changed:
            waiting = list(self._queues)
            while waiting:
                if settled(waiting[-1]):
                    waiting.pop()
                    continue
                until = deadline
                if patience is not None:
                    until = min(until, max(begun, self._went_well) + patience)
                rest = until - time.monotonic()
                if rest <= 0:
                    return False
                self._changed.wait(rest)
            return not self._queues

    def left(self) -> tuple[list[CallQueue], list[CallQueue]]:
        """The calls with stages that have not been delivered, and those that have not ended."""
        with self._lock:
            queues = list(self._queues)
        return [queue for queue in queues if queue.busy], [queue for queue in queues if queue.open]

    @property
    def over(self) -> bool:
        """Whether it is closed and has nothing left to deliver."""
        return self._closing and not self._queues

    def close(self) -> None:
        """Take no more calls, and end the threads once those that there are have been told."""
        with self._lock:
            self._closing = True
            if not self._queues:
                self._stop()

    def _stop(self) -> None:
        if self._threads is not None:
            self._threads.stop()
            self._threads = None
