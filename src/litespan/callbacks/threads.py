"""The threads of one handler: one with an event loop, and workers."""

import asyncio
import contextvars
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

from litespan.background.pool import Pool, start_thread

T = TypeVar("T")


class Workers(ThreadPoolExecutor):
    """A thread pool that does not delay process exit, and works until then.

    At exit the standard pool accepts no work and joins its threads however long they take. (A
    subclass, since `asyncio` accepts no other executor.)
    """

    def __init__(self, name: str, max_workers: int) -> None:
        super().__init__(max_workers=max_workers)
        self._pool = Pool(f"{name}-worker", max_workers)

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> "Future[T]":
        """Run `fn` in a thread of the pool."""
        future: Future[T] = Future()
        self._pool.submit(partial(_run, future, partial(fn, *args, **kwargs)))
        if not self._pool.has_threads:
            raise RuntimeError("no thread can be started")
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the threads once their work is done, without waiting for them."""
        self._pool.close()


def _run(future: "Future[T]", function: Callable[[], T]) -> None:
    if future.set_running_or_notify_cancel():
        try:
            result = function()
        except BaseException as error:  # noqa: BLE001 - raised where the future is awaited
            future.set_exception(error)
        else:
            future.set_result(result)


class Threads:
    """An event loop in its own thread, and workers for what would block it.

    Raises RuntimeError if no thread can be started, for example while the interpreter ends.
    """

    def __init__(self, name: str, max_workers: int) -> None:
        self.workers = Workers(name, max_workers)
        self.loop = asyncio.new_event_loop()
        self.loop.set_default_executor(self.workers)
        start_thread(self._serve, name)

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
