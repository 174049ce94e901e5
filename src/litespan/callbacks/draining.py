"""Waiting for handlers: at `flush()`, at the end of the process; and what a fork leaves behind."""

import logging
import time
from collections.abc import Iterable
from typing import Final
from weakref import WeakSet

from litespan.background import process_exit
from litespan.callbacks.call_queue import CallQueue
from litespan.callbacks.dispatcher import Dispatcher
from litespan.counters import count
from litespan.errors import logger

PATIENCE: Final = 5.0
"""Seconds that the end of the process waits for a handler none of whose methods returns."""
LIMIT: Final = 60.0
"""Seconds that it waits for handlers that do return, all in all."""
_NAMED: Final = 5  # calls that a log line names

_deliveries: tuple[Dispatcher, ...] = ()
_stuck: "WeakSet[Dispatcher]" = WeakSet()


def watch(delivery: Dispatcher) -> None:
    """Look after `delivery` at the end, until it is closed and empty."""
    global _deliveries  # noqa: PLW0603 - replaced as a whole: others may be going through it
    _deliveries = (*(each for each in _deliveries if not each.over), delivery)


def _main_thread_ended() -> None:
    _drain_all(time.monotonic() + LIMIT)


def _all_ended() -> None:
    _drain_all(time.monotonic() + LIMIT)
    for delivery in _deliveries:
        if not delivery.over:
            report_undelivered(delivery)
            delivery.close()


def _drain_all(deadline: float) -> None:
    begun = time.monotonic()
    for delivery in _deliveries:
        rest = 0.0 if delivery in _stuck else PATIENCE
        delivery.drain(deadline, patience=rest, since=begun)
        if delivery.left()[0]:
            _stuck.add(delivery)


def shut_down(delivery: Dispatcher) -> None:
    """Drain one delivery and close it, before the process ends."""
    delivery.drain(time.monotonic() + LIMIT, patience=PATIENCE)
    report_undelivered(delivery)
    delivery.close()
    _stuck.add(delivery)


def report_undelivered(delivery: Dispatcher) -> None:
    """Count and name what was not delivered."""
    late, unfinished = delivery.left()
    owed = [event.stage for queue in late for event in queue.owed]
    if owed:
        count(f"callbacks.{delivery.name}.undelivered", len(owed))
        stages = ", ".join(f"{owed.count(stage)} {stage}" for stage in dict.fromkeys(owed))
        logger.warning(
            "handler %s: %d stages were not delivered (%s), of %s",
            delivery.name,
            len(owed),
            stages,
            named(late),
        )
    if unfinished:
        count(f"callbacks.{delivery.name}.unfinished", len(unfinished))
        logger.warning(
            "handler %s: %d calls had not ended, so that it was not told how: %s",
            delivery.name,
            len(unfinished),
            named(unfinished),
        )


def flush_handlers(deadline: float) -> bool:
    """Drain every handler until `deadline` (monotonic); whether nothing is left."""
    done = [flush_handler(delivery, deadline) for delivery in _deliveries]
    return all(done)


def flush_handler(delivery: Dispatcher, deadline: float) -> bool:
    """Drain one handler until `deadline` (monotonic); says so if something is left."""
    if delivery.drain(deadline):
        return True
    late, unfinished = delivery.left()
    logger.log(
        logging.WARNING if late else logging.INFO,
        "flush: handler %s has still to be told %d stages of %d calls, and %d calls have "
        "not ended: %s",
        delivery.name,
        sum(len(queue.owed) for queue in late),
        len(late),
        len(unfinished),
        named([*late, *unfinished]),
    )
    return False


def named(queues: Iterable[CallQueue]) -> str:
    """The calls by their ids, the first few of them."""
    ids = list(dict.fromkeys(queue.view.call_id for queue in queues))
    more = f" and {len(ids) - _NAMED} more" if len(ids) > _NAMED else ""
    return ("call " if len(ids) == 1 else "calls ") + ", ".join(ids[:_NAMED]) + more


process_exit.when_main_thread_ended.append(_main_thread_ended)
process_exit.when_all_ended.append(_all_ended)
