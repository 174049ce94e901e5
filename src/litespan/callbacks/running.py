"""Running a handler's method: what it raises, returns or blocks stays with it."""

import asyncio
import contextvars
import inspect
import re
import threading
from collections.abc import Callable
from typing import Any, Final

from litespan.callbacks.handler import Handler, Method
from litespan.callbacks.lane import Lane
from litespan.callbacks.moments import Moment
from litespan.callbacks.threads import Workers
from litespan.counters import count
from litespan.forking import undivided
from litespan.quiet import log_once

_LOOK: Final = 0.2  # s between two looks at whether the caller's loop is still there
# What asyncio says of a lock, a queue or a connection that was made on another loop.
_OTHER_LOOP: Final = re.compile("(?:attached to|bound to) a different (?:event )?loop")


async def tell(handler: Handler, lane: Lane, moment: Moment, workers: Workers) -> bool:
    """Run the handler's method for a stage, on the running loop or in a thread; did it go well?"""
    method = handler.method(moment.stage, asynchronous=lane.asynchronous)
    with undivided:  # LiteLLM imports some of what it needs to show a call
        run = lane.prepared(method, moment) if method is not None else None
    if method is None or run is None:
        return False
    try:
        if method.asynchronous:
            await _run_async(lane, run)
        else:
            context = contextvars.copy_context()
            loop = asyncio.get_running_loop()
            result = await loop.run_in_executor(workers, context.run, run)
            if inspect.isawaitable(result):
                await result
    except GeneratorExit:
        raise
    except BaseException as error:  # noqa: BLE001 - whatever it is, it is the handler's
        failed(handler, method, error)
        return False
    count(f"callbacks.{handler.name}.delivered")
    return True


def tell_inline(handler: Handler, lane: Lane, moment: Moment) -> None:
    """Run the handler's sync method here and now."""
    method = handler.method(moment.stage, asynchronous=False)
    run = lane.prepared(method, moment) if method is not None else None
    if method is None or run is None:
        return
    try:
        run()
    except Exception as error:  # noqa: BLE001 - KeyboardInterrupt and SystemExit pass
        failed(handler, method, error)
    else:
        count(f"callbacks.{handler.name}.delivered")


async def _run_async(lane: Lane, run: Callable[[], Any]) -> None:
    """Run an async method, on the caller's loop if that is wanted and still there."""
    home = lane.home
    if home is None:
        await run()
        return
    begun = threading.Event()

    async def there() -> None:
        begun.set()
        await run()

    coroutine = there()
    try:
        future = asyncio.wrap_future(asyncio.run_coroutine_threadsafe(coroutine, home))
    except RuntimeError:  # closed already
        coroutine.close()
        await run()
        return
    while not future.done() and not home.is_closed():
        await asyncio.wait({future}, timeout=_LOOK)
    if future.done():
        future.result()
    elif begun.is_set():
        raise RuntimeError("the caller's event loop was closed meanwhile")
    else:
        coroutine.close()
        await run()


def failed(handler: Handler, method: Method, error: BaseException) -> None:
    """Count what a handler has raised, and log it once for each of its methods."""
    counter = f"callbacks.{handler.name}.failed"
    count(counter)
    hint = ""
    if isinstance(error, RuntimeError) and _OTHER_LOOP.search(str(error)):
        hint = "; it is tied to the application's event loop: register it with loop='caller'"
    log_once(
        f"{counter}.{method.name}:{id(handler)}",  # two of one class have one name
        "%s of handler %s failed: %s: %s%s (logged once; litespan.stats() counts it as %s)",
        method.name,
        handler.name,
        type(error).__name__,
        error,
        hint,
        counter,
        error=error,
    )
