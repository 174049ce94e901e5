"""Running a handler's method: what it raises, returns or blocks stays with it."""

import asyncio
import contextvars
import inspect
import re
import threading
from collections.abc import Callable
from typing import Any, Final

from litespan.background.fork import import_lock
from litespan.callbacks.call_queue import CallQueue
from litespan.callbacks.handler import Handler, Method
from litespan.callbacks.stage_event import StageEvent
from litespan.callbacks.threads import Workers
from litespan.counters import count
from litespan.errors import log_once

_LOOK: Final = 0.2  # s between two looks at whether the caller's loop is still there
# What asyncio says of a lock, a queue or a connection that was made on another loop.
_OTHER_LOOP: Final = re.compile("(?:attached to|bound to) a different (?:event )?loop")


async def invoke(handler: Handler, queue: CallQueue, event: StageEvent, workers: Workers) -> bool:
    """Run the handler's method for a stage, on the running loop or in a thread; did it go well?"""
    method = handler.method(event.stage, asynchronous=queue.asynchronous)
    with import_lock:  # LiteLLM imports some of what it needs to show a call
        run = queue.prepared(method, event) if method is not None else None
    if method is None or run is None:
        count(f"callbacks.{handler.name}.undelivered")
        return False
    try:
        if method.asynchronous:
            await _run_async(queue, run)
        else:
            context = contextvars.copy_context()
            loop = asyncio.get_running_loop()
            result, error = await loop.run_in_executor(workers, context.run, _attempt, run)
            if error is not None:
                failed(handler, method, error)
                return False
            if inspect.isawaitable(result):
                await result
    except GeneratorExit:
        raise
    except BaseException as error:  # noqa: BLE001 - whatever it is, it is the handler's
        failed(handler, method, error)
        return False
    count(f"callbacks.{handler.name}.delivered")
    return True


def _attempt(run: Callable[[], Any]) -> tuple[Any, BaseException | None]:
    """What `run` returned, and what it raised: no future takes every exception."""
    try:
        return run(), None
    except BaseException as error:  # noqa: BLE001 - whatever it is, it is the handler's
        return None, error


def invoke_inline(handler: Handler, queue: CallQueue, event: StageEvent) -> None:
    """Run the handler's sync method here and now."""
    method = handler.method(event.stage, asynchronous=False)
    run = queue.prepared(method, event) if method is not None else None
    if method is None or run is None:
        count(f"callbacks.{handler.name}.undelivered")
        return
    _, error = _attempt(run)
    if isinstance(error, KeyboardInterrupt):  # the user's, who means the program
        raise error
    if error is not None:
        failed(handler, method, error)
    else:
        count(f"callbacks.{handler.name}.delivered")


async def _run_async(queue: CallQueue, run: Callable[[], Any]) -> None:
    """Run an async method, on the caller's loop if that is wanted and still there."""
    home = queue.home
    if home is None:
        await run()
        return
    begun = threading.Event()
    ended: list[BaseException | None] = []  # kept here: a loop that ends brings no result

    async def there() -> None:
        begun.set()
        try:
            await run()
        except (Exception, SystemExit, KeyboardInterrupt) as error:  # noqa: BLE001 - raised below
            ended.append(error)  # the last two would end the caller's loop
        else:
            ended.append(None)

    coroutine = there()
    try:
        future = asyncio.wrap_future(asyncio.run_coroutine_threadsafe(coroutine, home))
    except RuntimeError:  # closed already
        coroutine.close()
        await run()
        return
    while not future.done() and not home.is_closed():
        await asyncio.wait({future}, timeout=_LOOK)
    if not begun.is_set():  # `asyncio.run` cancels at its end what has not begun, too
        coroutine.close()
        await run()
    elif not ended:
        raise RuntimeError("the caller's event loop was closed meanwhile")
    elif ended[0] is not None:
        raise ended[0]


def failed(handler: Handler, method: Method, error: BaseException) -> None:
    """Count what a handler has raised, and log it once for each of its methods."""
    counter = f"callbacks.{handler.name}.failed"
    count(counter)
    hint = ""
    if isinstance(error, RuntimeError) and _OTHER_LOOP.search(_text(error)):
        hint = "; it is tied to the application's event loop: register it with loop='caller'"
    log_once(
        f"{counter}.{method.name}:{id(handler)}",  # two of one class have one name
        "%s of handler %s failed: %s: %s%s (logged once; litespan.stats() counts it as %s)",
        method.name,
        handler.name,
        type(error).__name__,
        _text(error),
        hint,
        counter,
        error=error,
    )


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - it is the handler's, too
        return "(what it says can not be read)"
