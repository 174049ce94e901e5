"""The threads of one handler: an event loop, and workers beside it."""

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
    """A pool whose threads do not hold up the end of the process, and work until then.

    The standard pool's threads are joined at exit, however long they take, and it takes no work
    from then on; Python 3.12 starts no thread at all by then. So these are daemons, and one is
    there from the start. (A subclass because `asyncio` takes no other kind of executor.)
    """

    def __init__(self, name: str, most: int) -> None:
        super().__init__(max_workers=most)
        self._name = name
        self._most = most
        self._work: SimpleQueue[Work | None] = SimpleQueue()
        self._count = 0
        self._idle = 0
        self._guard = threading.Lock()
        self._start()

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> "Future[T]":
        """Run `fn` in a thread of the pool."""
        future: Future[T] = Future()
        with self._guard:
            if self._idle <= self._work.qsize() and self._count < self._most:
                self._start()
        self._work.put((future, fn, args, kwargs))
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the threads once they have done what they were given; nobody waits for them."""
        with self._guard:
            for _ in range(self._count):
                self._work.put(None)

    def _start(self) -> None:
        thread = threading.Thread(target=self._run, name=f"{self._name}-worker", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # the interpreter is ending: those that there are must do
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
            except BaseException as error:  # noqa: BLE001 - it is raised where it is awaited
                future.set_exception(error)
            else:
                future.set_result(result)
            del work, future, function, args, kwargs


class Threads:
    """An event loop in a thread of its own, and workers for what would block it.

    Raises RuntimeError where no thread can be started, as when the interpreter is ending.
    """

    def __init__(self, name: str, most: int) -> None:
        self.workers = Workers(name, most)
        self.loop = asyncio.new_event_loop()
        self.loop.set_default_executor(self.workers)
        threading.Thread(target=self._serve, name=name, daemon=True).start()

    def _serve(self) -> None:
        loop = self.loop
        try:
            loop.run_forever()
            left = asyncio.all_tasks(loop)  # what handlers have started and not waited for
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
