"""Keeps the ends of calls on disk until a handler has received them, if the spool is on."""

import time
from collections.abc import Callable
from typing import Final
from weakref import WeakSet

from litespan.callbacks import draining
from litespan.callbacks.dispatcher import Dispatcher
from litespan.callbacks.view import Keeper
from litespan.errors import suppress_errors

NewKeeper = Callable[[Dispatcher], Keeper]
_EXIT: Final = 10.0  # s for the last writes


_dispatchers: Final["WeakSet[Dispatcher]"] = WeakSet()


class _Spool:
    new: NewKeeper | None = None  # None: it is off


def add(dispatcher: Dispatcher) -> None:
    """Keep the ends of the calls of a handler, now or once `start` is called."""
    _dispatchers.add(dispatcher)
    _attach(dispatcher)


def start(new: NewKeeper) -> None:
    """Keep the ends of calls with keepers that `new` makes."""
    _Spool.new = new
    for dispatcher in list(_dispatchers):
        _attach(dispatcher)


def stop() -> None:
    """Keep no more; what was kept and is not delivered stays on disk."""
    _Spool.new = None
    finish()


def finish() -> None:
    """Write what is kept, and release it for other processes."""
    until = time.monotonic() + _EXIT
    for dispatcher in list(_dispatchers):
        keeper, dispatcher.keeper = dispatcher.keeper, None
        if keeper is not None:
            with suppress_errors("closing the spool of a handler"):
                keeper.close(until)


def _attach(dispatcher: Dispatcher) -> None:
    if _Spool.new is not None and dispatcher.keeper is None and not dispatcher.closed:
        with suppress_errors("opening the spool of a handler"):
            dispatcher.keeper = _Spool.new(dispatcher)


draining.when_drained.append(finish)
