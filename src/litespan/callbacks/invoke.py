"""Runs a handler's method. Its exceptions, return value and blocking do not affect the call."""

import asyncio
import contextvars
import inspect
import re
import threading
from collections.abc import Callable
from typing import Any, Final

from litespan.background.fork import import_lock
from litespan.callbacks.call_queue import CallQueue
from litespan.callbacks.handler import STAGES, Handler, Method
from litespan.callbacks.threads import Workers
from litespan.counters import count
from litespan.errors import log_once
from litespan.instrumentation.stages import Stage
from litespan.objects import safe_str

_POLL: Final = 0.2  # s between checks whether the caller's loop was closed
# asyncio's message for a lock, queue or connection that was created on another loop.
_OTHER_LOOP: Final = re.compile("(?:attached to|bound to) a different (?:event )?loop")


async def invoke(handler: Handler, queue: CallQueue, stage: Stage, workers: Workers) -> bool:
    """Run the handler's method for a stage, on this loop or in a worker. Returns its success."""
    method = handler.method(STAGES[stage.name], asynchronous=queue.view.asynchronous)
    with import_lock:  # building the arguments may import parts of LiteLLM
        run = queue.bind(method, stage) if method is not None else None
    if method is None or run is None:
        count(f"callbacks.{handler.name}.undelivered")
        return False
    try:
        if method.asynchronous:
            await _run_async(queue, run)
        else:
            context = contextvars.copy_context()
            loop = asyncio.get_running_loop()
            result, error = await loop.run_in_executor(workers, context.run, attempt, run)
            if error is not None:
                report_failure(handler, method, error)
                return False
            if inspect.isawaitable(result):
                await result
    except GeneratorExit:
        raise
    except BaseException as error:  # noqa: BLE001 - any error is the handler's own
        report_failure(handler, method, error)
        return False
    count(f"callbacks.{handler.name}.delivered")
    return True


def attempt(run: Callable[[], Any]) -> tuple[Any, BaseException | None]:
    """(the result, the exception): a future cannot carry every exception."""
    try:
        return run(), None
    except BaseException as error:  # noqa: BLE001 - any error is the handler's own
        return None, error


async def _run_async(queue: CallQueue, run: Callable[[], Any]) -> None:
    """Run an async method, on the caller's loop if the queue has one that is still open."""
    home = queue.home
    if home is None:
        await run()
        return
    started = threading.Event()
    results: list[BaseException | None] = []  # a loop that is closed leaves the future pending
    coroutine = _attempt_there(run, started, results)
    try:
        future = asyncio.wrap_future(asyncio.run_coroutine_threadsafe(coroutine, home))
    except RuntimeError:  # the loop is closed
        coroutine.close()
        await run()
        return
    while not future.done() and not home.is_closed():
        await asyncio.wait({future}, timeout=_POLL)
    if not started.is_set():  # `asyncio.run` cancels tasks at its end, started or not
        coroutine.close()
        await run()
    elif not results:
        raise RuntimeError("the caller's event loop was closed before the method returned")
    elif results[0] is not None:
        raise results[0]


async def _attempt_there(
    run: Callable[[], Any], started: threading.Event, results: list[BaseException | None]
) -> None:
    started.set()
    try:
        await run()
    except asyncio.CancelledError:  # the loop ends
        raise
    except BaseException as error:  # noqa: BLE001 - a SystemExit would stop the caller's loop
        results.append(error)
    else:
        results.append(None)


def report_dropped(handler: Handler, what: str, dropped: str, max_pending: int) -> None:
    """Count what a handler does not receive because too much waits for it, and log it once."""
    counter = f"callbacks.{handler.name}.dropped_{what}"
    count(counter)
    log_once(
        f"{counter}:{id(handler)}",  # two handlers of one class share a name
        "handler %s is %d stages behind: %s not delivered to it until it catches up; "
        "litespan.stats() counts them as %s",
        handler.name,
        max_pending,
        dropped,
        counter,
    )


def report_failure(handler: Handler, method: Method, error: BaseException) -> None:
    """Count what a handler raised, and log it once per method."""
    counter = f"callbacks.{handler.name}.failed"
    count(counter)
    hint = ""
    if isinstance(error, RuntimeError) and _OTHER_LOOP.search(safe_str(error)):
        hint = "; it uses the application's event loop: register it with loop='caller'"
    log_once(
        f"{counter}.{method.name}:{id(handler)}",  # two handlers of one class share a name
        "%s of handler %s failed: %s: %s%s (logged once; litespan.stats() counts it as %s)",
        method.name,
        handler.name,
        type(error).__name__,
        safe_str(error),
        hint,
        counter,
        error=error,
    )
