"""Draining handlers: at `flush()` and at process exit, and reporting what was not delivered."""

import logging
import time
from collections.abc import Callable, Iterable
from threading import get_ident
from typing import Final
from weakref import WeakSet

from litespan.background import process_exit
from litespan.callbacks.call_queue import CallQueue
from litespan.callbacks.dispatcher import Dispatcher
from litespan.callbacks.handler import STAGES
from litespan.counters import count
from litespan.errors import logger

PATIENCE: Final = 5.0
"""Seconds that process exit waits for a handler none of whose methods returns."""
LIMIT: Final = 60.0
"""Seconds that process exit waits for all handlers together."""
_MAX_IDS: Final = 5  # call ids in one log line
_NEXT: Final = "; the next process that registers it delivers success and failure"

when_drained: Final[list[Callable[[], None]]] = []
"""Called at process exit, after the handlers."""
_dispatchers: tuple[Dispatcher, ...] = ()
_stuck: "WeakSet[Dispatcher]" = WeakSet()


def register(dispatcher: Dispatcher) -> None:
    """Drain `dispatcher` at process exit."""
    global _dispatchers  # noqa: PLW0603 - replaced as a whole: other threads may iterate over it
    _dispatchers = (*(each for each in _dispatchers if not _is_drained(each)), dispatcher)


def drain(
    dispatcher: Dispatcher,
    deadline: float,
    *,
    patience: float | None = None,
    since: float | None = None,
) -> bool:
    """Wait until all open queues are delivered. Returns whether none is left.

    Calls that this thread started cannot end while it waits here, so only the stages that they
    have dispatched so far count.

    Args:
        dispatcher: whose queues.
        deadline: monotonic, seconds.
        patience: seconds to wait after a method last returned (or after `since`); None waits
            until the deadline.
        since: monotonic, seconds; default now.
    """
    here, started = get_ident(), time.monotonic() if since is None else since
    with dispatcher.changed:
        dispatcher.sort()
        waiting = list(dispatcher.queues)
        while waiting:
            queue = waiting[-1]
            mine = queue.open and queue.thread == here and not queue.busy
            if mine or queue not in dispatcher.queues:
                waiting.pop()
                continue
            until = deadline
            if patience is not None:
                until = min(until, max(started, dispatcher.last_success) + patience)
            remaining = until - time.monotonic()
            if remaining <= 0:
                return False
            dispatcher.changed.wait(remaining)
        return not dispatcher.queues


def undelivered(dispatcher: Dispatcher) -> tuple[list[CallQueue], list[CallQueue]]:
    """(the queues with stages that are not delivered, those whose call has not ended)."""
    with dispatcher.changed:
        dispatcher.sort()
        queues = list(dispatcher.queues)
    return [queue for queue in queues if queue.busy], [queue for queue in queues if queue.open]


def _is_drained(dispatcher: Dispatcher) -> bool:
    return dispatcher.closed and not dispatcher.queues


def _all_ended() -> None:
    _drain_all()
    for dispatcher in _dispatchers:
        if not _is_drained(dispatcher):
            report_undelivered(dispatcher)
            dispatcher.close()
    for finish in when_drained:
        finish()


def _drain_all() -> None:
    started = time.monotonic()
    for dispatcher in _dispatchers:
        patience = 0.0 if dispatcher in _stuck else PATIENCE
        drain(dispatcher, started + LIMIT, patience=patience, since=started)
        if undelivered(dispatcher)[0]:
            _stuck.add(dispatcher)


def shut_down(dispatcher: Dispatcher) -> None:
    """Drain one dispatcher and close it before the process ends."""
    drain(dispatcher, time.monotonic() + LIMIT, patience=PATIENCE)
    report_undelivered(dispatcher)
    dispatcher.close()
    _stuck.add(dispatcher)


def report_undelivered(dispatcher: Dispatcher) -> None:
    """Count and log the stages that were not delivered and the calls that did not end."""
    late, unfinished = undelivered(dispatcher)
    names = [STAGES[stage.name] for queue in late for stage in queue.undelivered]
    if names:
        count(f"callbacks.{dispatcher.name}.undelivered", len(names))
        stages = ", ".join(f"{names.count(stage)} {stage}" for stage in dict.fromkeys(names))
        logger.warning(
            "handler %s: %d stages were not delivered (%s), of %s%s",
            dispatcher.name,
            len(names),
            stages,
            call_list(late),
            _NEXT if dispatcher.keeper is not None else "",
        )
    if unfinished:
        count(f"callbacks.{dispatcher.name}.unfinished", len(unfinished))
        logger.warning(
            "handler %s: %d calls did not end, so it did not receive their outcome: %s",
            dispatcher.name,
            len(unfinished),
            call_list(unfinished),
        )


def flush_handlers(deadline: float) -> bool:
    """Drain every handler until `deadline` (monotonic, s). Returns whether nothing is left."""
    done = [flush_handler(dispatcher, deadline) for dispatcher in _dispatchers]
    return all(done)


def flush_handler(dispatcher: Dispatcher, deadline: float) -> bool:
    """Drain one handler until `deadline` (monotonic, s); log what is left, if anything."""
    if drain(dispatcher, deadline):
        return True
    late, unfinished = undelivered(dispatcher)
    logger.log(
        logging.WARNING if late else logging.INFO,
        "flush: handler %s: %d stages of %d calls are not delivered yet, and %d calls have "
        "not ended: %s",
        dispatcher.name,
        sum(len(queue.undelivered) for queue in late),
        len(late),
        len(unfinished),
        call_list([*late, *unfinished]),
    )
    return False


def call_list(queues: Iterable[CallQueue]) -> str:
    """The ids of the first few calls, for a log line."""
    ids = list(dict.fromkeys(queue.view.call_id for queue in queues))
    more = f" and {len(ids) - _MAX_IDS} more" if len(ids) > _MAX_IDS else ""
    return ("call " if len(ids) == 1 else "calls ") + ", ".join(ids[:_MAX_IDS]) + more


process_exit.when_main_thread_ended.append(_drain_all)
process_exit.when_all_ended.append(_all_ended)
