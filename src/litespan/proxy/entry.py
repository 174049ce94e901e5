"""`litespan.proxy.handler`: asked for by the proxy as it reads its config, it sets litespan up."""

import logging
import os
import sys
from threading import Lock
from typing import Any, Final

from litespan.errors import log_once, logger, suppress_errors
from litespan.export import provider
from litespan.instrumentation.signals import Live
from litespan.proxy import hooks, server

_lock: Final = Lock()
_made: Final[dict[int, Any]] = {}  # by process: a forked worker sets itself up


def handler(name: str = "handler") -> Any:
    """The object for LiteLLM's `callbacks`; the first time in a process, sets litespan up.

    `name` is what the config calls it: what is nearly right works, with a line that says so.
    """
    if name != "handler":
        log_once(
            f"proxy:{name}",
            "litellm_settings.callbacks: litespan.proxy.%s is taken for litespan.proxy.handler: "
            "write that",
            name,
        )
    with _lock:
        if os.getpid() not in _made:
            _made.clear()
            _made[os.getpid()] = _make()
            with suppress_errors("setting up litespan in the proxy"):
                set_up()
        return _made[os.getpid()]


def _make() -> Any:
    from litellm.integrations.custom_logger import CustomLogger

    class LitespanHandler(CustomLogger):  # type: ignore[misc]
        """Stands for litespan in LiteLLM's list of callbacks.

        It has no methods: what litespan sees, it sees from its own hooks, which are there once
        however often and whichever way the proxy loads it.
        """

        def __repr__(self) -> str:
            return "<litespan.proxy.handler>"

    return LitespanHandler()


def set_up() -> None:
    """Provider, instrumentation, server spans and the status line."""
    from litespan.instrumentor import LiteLLMInstrumentor

    module = sys.modules.get(hooks.SERVER)
    if provider.missing():
        exporters = provider.set_up()
        server.mute_fastapi(getattr(module, "app", None))
    else:
        exporters = provider.goes_to("the tracer provider that was there")
    instrumentor = LiteLLMInstrumentor()
    if not instrumentor.is_instrumented_by_opentelemetry:
        instrumentor.instrument()
    if module is not None:
        hooks.install(module)
    if Live.signals is None:
        return
    say(status(exporters))


def status(exporters: str) -> str:
    """What the operator should know at the start, in one line."""
    from importlib.metadata import version

    signals = Live.signals
    content = signals.settings.content if signals is not None else "NO_CONTENT"
    return (
        f"litespan {version('litespan')} on LiteLLM {version('litellm')}: "
        f"spans go to {exporters}; content {'off' if content == 'NO_CONTENT' else content}; "
        "all routes but those that OTEL_PYTHON_EXCLUDED_URLS excludes"
    )


def say(line: str) -> None:
    """Write `line` where the server says that it has started."""
    uvicorn = logging.getLogger("uvicorn.error")
    if uvicorn.isEnabledFor(logging.INFO) and uvicorn.hasHandlers():
        uvicorn.info("%s", line)
    else:
        logger.warning("%s", line)
