"""The end of the process: what is done before it.

No signal handler is installed. A process that is told to end by a signal ends in order if the
application says so: `signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))`.
"""

import atexit
import concurrent.futures.thread  # noqa: F401 - its end is registered before ours: it runs later
import threading
from collections.abc import Callable
from typing import Any, Final

from litespan.errors import suppress_errors

when_main_thread_ended: Final[list[Callable[[], None]]] = []
"""Called when the main thread has ended, others may go on, and executors still take work."""
when_all_ended: Final[list[Callable[[], None]]] = []
"""Called when only daemon threads are left, and executors take no more work."""
_armed: Final[list[bool]] = []


def arm() -> None:
    """Register with the interpreter's end; to be called when a first call is made.

    That late, because what was registered last runs first: the end of the tracer provider,
    registered when that was made, must run after ours.
    """
    if _armed:
        return
    _armed.append(True)
    register: Any = getattr(threading, "_register_atexit", None)
    with suppress_errors("registering with the end of the process"):
        if register is not None:
            register(_run, when_main_thread_ended)
    atexit.register(_run, when_all_ended)


def _run(functions: list[Callable[[], None]]) -> None:
    for function in functions:
        with suppress_errors("ending the process"):
            function()
