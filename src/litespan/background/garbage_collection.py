"""Ends of calls that the garbage collector brings: streams and coroutines that nobody has any more.

The collector runs wherever something is allocated, also while a lock is held that telling an end
needs: ours, the SDK's, that of a span processor of the application's. What it brings is told by
a thread, which lives for as long as there is something to tell.
"""

import _thread
import gc
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from litespan.background import fork, process_exit
from litespan.errors import suppress_errors

_PATIENCE: Final = 5.0  # s that the end of the process waits
_LOOK: Final = 0.002  # s between two looks

_ends: Final[deque[Callable[[], Any]]] = deque()


class _State:
    collecting = 0  # the thread that the collector is at work on
    telling = False  # is there a thread that tells?

    def forked(self) -> None:
        _ends.clear()
        self.telling = False


_state: Final = _State()


def outside_collection(function: Callable[..., Any], *args: Any) -> None:
    """Call `function(*args)`: now, or on another thread if the collector has brought us here."""
    if _state.collecting != _thread.get_ident():
        function(*args)
        return
    _ends.append(lambda: function(*args))
    if not _state.telling:
        _state.telling = True
        try:
            # Not `threading`'s: that takes locks, which may be held here.
            _thread.start_new_thread(_tell, ())
        except RuntimeError:  # the interpreter is ending, or there are too many
            _tell()


def told(deadline: float) -> bool:
    """Wait until all of it is told, until `deadline` (monotonic); whether it is."""
    while (_ends or _state.telling) and time.monotonic() < deadline:
        time.sleep(_LOOK)
    return not (_ends or _state.telling)


def _tell() -> None:
    while _ends:
        with suppress(IndexError):  # another such thread may have begun meanwhile
            while True:
                end = _ends.popleft()
                with suppress_errors("telling the end of a call"):
                    end()
                del end  # it holds the call
        _state.telling = False  # what comes from now on starts another thread


def _watch(phase: str, _info: dict[str, int]) -> None:
    _state.collecting = _thread.get_ident() if phase == "start" else 0


def _wait() -> None:
    told(time.monotonic() + _PATIENCE)


gc.callbacks.append(_watch)
fork.register(_state, after_in_child=_State.forked)
process_exit.when_all_ended.insert(0, _wait)
