"""`litespan.flush`, for short programs and platforms that freeze the process."""

import time
from collections.abc import Callable
from threading import TIMEOUT_MAX
from typing import Any, Final

from opentelemetry import _logs, metrics, trace

from litespan.background import garbage_collection
from litespan.background.pool import Pool
from litespan.callbacks import draining
from litespan.errors import log_once, suppress_errors
from litespan.instrumentation.signals import Live

_LEAST: Final = 0.1  # s that exporters get even if the handlers took all the time


def flush(timeout: float) -> bool:
    """Deliver everything that was recorded so far.

    First the handlers receive every stage of the calls that have started, including their end.
    Then `force_flush` of the tracer, meter and logger providers flushes the exporters. Do not
    call it on an event loop that calls or handlers still need; there, use
    `await asyncio.to_thread(litespan.flush, timeout)`.

    Args:
        timeout: seconds for all of this.

    Returns:
        True if everything was delivered in time. False if something is left (a log line names
        the calls) or an exporter failed; what is left is delivered later if the process goes on.
    """
    deadline = time.monotonic() + min(max(0.0, timeout), TIMEOUT_MAX)
    done = False
    with suppress_errors("flushing handlers"):
        collected = garbage_collection.wait_until_done(deadline)
        done = draining.flush_handlers(deadline) and collected
    for provider in _providers():
        force_flush = getattr(provider, "force_flush", None)
        if force_flush is not None:
            done = _within(deadline, force_flush) and done
    return done


def _providers() -> list[Any]:
    signals = Live.signals
    given = signals.providers if signals is not None else (None, None, None)
    default = (trace.get_tracer_provider, metrics.get_meter_provider, _logs.get_logger_provider)
    return [provider or found() for provider, found in zip(given, default, strict=True)]


def _within(deadline: float, force_flush: Callable[[int], Any]) -> bool:
    """Run `force_flush` until the deadline: not every processor observes its timeout."""
    results: list[bool] = []

    def run() -> None:
        with suppress_errors("flushing exporters"):
            left = max(1, int((deadline - time.monotonic()) * 1000))
            results.append(force_flush(left) is not False)

    pool = Pool("litespan-flush")
    pool.submit(run)
    pool.close(max(deadline, time.monotonic() + _LEAST))
    if not results:
        log_once("flush timeout", "flush: an exporter did not finish before the timeout")
    return results == [True]
