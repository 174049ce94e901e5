"""Calls that end because the garbage collector frees their stream or coroutine.

The collector runs wherever something is allocated, possibly while the thread holds a lock that
ending the call needs: ours, the SDK's, or a span processor's. Such ends run on a thread of their
own, which lives only while there is work.
"""

import _thread
import gc
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from litespan.background import fork, process_exit
from litespan.errors import record_error

_EXIT_TIMEOUT: Final = 5.0  # seconds that the process waits at exit
_POLL_INTERVAL: Final = 0.002  # seconds

_deferred: Final[deque[Callable[[], Any]]] = deque()


class _State:
    collecting = 0  # id of the thread that is collecting garbage, 0 if none is
    running = False  # whether a thread runs deferred functions

    def forked(self) -> None:
        _deferred.clear()
        self.running = False


_state: Final = _State()


def call_outside_collection(function: Callable[..., Any], *args: Any) -> None:
    """Call `function(*args)` now, or on another thread during a garbage collection."""
    if _state.collecting != _thread.get_ident():
        function(*args)
        return
    _deferred.append(lambda: function(*args))
    if not _state.running:
        _state.running = True
        try:
            # `threading.Thread` takes locks that this thread may already hold.
            _thread.start_new_thread(_run_deferred, ())
        except RuntimeError:  # the interpreter is shutting down, or there are too many threads
            _run_deferred()


def wait_until_done(deadline: float) -> bool:
    """Wait for the deferred functions; return whether they finished before `deadline`.

    Args:
        deadline: on the clock of `time.monotonic()`, in seconds.
    """
    while (_deferred or _state.running) and time.monotonic() < deadline:
        time.sleep(_POLL_INTERVAL)
    return not (_deferred or _state.running)


def _run_deferred() -> None:
    while _deferred:
        with suppress(IndexError):  # another such thread may have started in the meantime
            while True:
                function = _deferred.popleft()
                try:
                    function()
                except BaseException as error:  # noqa: BLE001 - also a handler's SystemExit
                    record_error("reporting the end of a call", error)
                del function  # it references the call
        _state.running = False  # work that arrives from here on starts another thread


def _track_collection(phase: str, _info: dict[str, int]) -> None:
    _state.collecting = _thread.get_ident() if phase == "start" else 0


def _wait_at_exit() -> None:
    wait_until_done(time.monotonic() + _EXIT_TIMEOUT)


gc.callbacks.append(_track_collection)
fork.register(_state, after_in_child=_State.forked)
process_exit.when_all_ended.insert(0, _wait_at_exit)
