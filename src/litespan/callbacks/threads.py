"""The threads of one handler: one with an event loop, and workers."""

import asyncio
import contextvars
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from queue import SimpleQueue
from typing import Any, TypeVar

T = TypeVar("T")
Work = tuple["Future[Any]", Callable[..., Any], tuple[Any, ...], dict[str, Any]]


class Workers(ThreadPoolExecutor):
    """A thread pool that does not delay process exit, and works until then.

    At exit the standard pool accepts no work and joins its threads however long they take, and
    Python 3.12 starts no threads. So these are daemon threads, and the first starts at once.
    (A subclass, since `asyncio` accepts no other executor.)
    """

    def __init__(self, name: str, max_workers: int) -> None:
        super().__init__(max_workers=max_workers)
        self._name = name
        self._work: SimpleQueue[Work | None] = SimpleQueue()
        self._count = 0
        self._idle = 0
        self._guard = threading.Lock()
        self._start()

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> "Future[T]":
        """Run `fn` in a thread of the pool."""
        future: Future[T] = Future()
        with self._guard:
            if self._idle <= self._work.qsize() and self._count < self._max_workers:
                self._start()
        self._work.put((future, fn, args, kwargs))
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the threads once their work is done, without waiting for them."""
        with self._guard:
            for _ in range(self._count):
                self._work.put(None)

    def _start(self) -> None:
        thread = threading.Thread(target=self._run, name=f"{self._name}-worker", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # the interpreter is ending: the existing threads must do
            if not self._count:
                raise
        else:
            self._count += 1

    def _run(self) -> None:
        while True:
            with self._guard:
                self._idle += 1
            work = self._work.get()
            with self._guard:
                self._idle -= 1
            if work is None:
                return
            future, function, args, kwargs = work
            if not future.set_running_or_notify_cancel():
                continue
            try:
                result = function(*args, **kwargs)
            except BaseException as error:  # noqa: BLE001 - raised where the future is awaited
                future.set_exception(error)
            else:
                future.set_result(result)
            del work, future, function, args, kwargs


class Threads:
    """An event loop in its own thread, and workers for what would block it.

    Raises RuntimeError if no thread can be started, for example while the interpreter ends.
    """

    def __init__(self, name: str, max_workers: int) -> None:
        self.workers = Workers(name, max_workers)
        self.loop = asyncio.new_event_loop()
        self.loop.set_default_executor(self.workers)
        threading.Thread(target=self._serve, name=name, daemon=True).start()

    def _serve(self) -> None:
        loop = self.loop
        try:
            loop.run_forever()
            left = asyncio.all_tasks(loop)  # started by handlers that did not await them
            for task in left:
                task.cancel()
            if left:
                loop.run_until_complete(asyncio.wait(left))
            loop.run_until_complete(loop.shutdown_asyncgens())
        finally:
            self.workers.shutdown()
            loop.close()

    def call(self, function: Callable[[], None]) -> None:
        """Call `function` on the loop, in an empty context."""
        self.loop.call_soon_threadsafe(function, context=contextvars.Context())

    def stop(self) -> None:
        """End the threads."""
        self.call(self.loop.stop)
