"""Functions that run before the process exits.

litespan installs no signal handler. An application that should exit cleanly on a signal needs
its own: `signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))`.
"""

import atexit
import concurrent.futures.thread  # noqa: F401 - registers its exit function first, so that it runs after ours
import threading
from collections.abc import Callable
from functools import cache
from typing import Any, Final

from litespan.errors import suppress_errors

when_main_thread_ended: Final[list[Callable[[], None]]] = []
"""Called after the main thread has ended: other threads may run, executors accept work."""
when_all_ended: Final[list[Callable[[], None]]] = []
"""Called when only daemon threads are left and executors accept no more work."""


@cache
def arm() -> None:
    """Register the exit functions, once; call this at the first LiteLLM call.

    Exit functions run in reverse order of registration. Ours must run before that of the tracer
    provider, so they are registered after the provider was created.
    """
    register: Any = getattr(threading, "_register_atexit", None)
    with suppress_errors("registering with the end of the process"):
        if register is not None:
            register(_run, when_main_thread_ended)
    atexit.register(_run, when_all_ended)


def _run(functions: list[Callable[[], None]]) -> None:
    for function in functions:
        with suppress_errors("ending the process"):
            function()
