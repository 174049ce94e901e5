"""`litespan.proxy.handler`: sets up litespan when the proxy reads its config."""

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
_handlers: Final[dict[int, Any]] = {}  # by process id: a forked worker sets up its own


def handler(name: str = "handler") -> Any:
    """The object for LiteLLM's `callbacks`. The first call in a process sets up litespan.

    `name` is the attribute in the config; a misspelled one is logged.
    """
    if name != "handler":
        log_once(
            f"proxy:{name}",
            "litellm_settings.callbacks: there is no litespan.proxy.%s; litespan.proxy.handler is "
            "used: correct the name",
            name,
        )
    with _lock:
        if os.getpid() not in _handlers:
            _handlers.clear()
            _handlers[os.getpid()] = _create()
            with suppress_errors("setting up litespan in the proxy"):
                set_up()
        return _handlers[os.getpid()]


def _create() -> Any:
    from litellm.integrations.custom_logger import CustomLogger

    class LitespanHandler(CustomLogger):  # type: ignore[misc]
        """Represents litespan in LiteLLM's list of callbacks.

        It has no methods: litespan's own hooks observe the proxy, and they are installed once,
        however the proxy loads this object.
        """

        def __repr__(self) -> str:
            return "<litespan.proxy.handler>"

    return LitespanHandler()


def set_up() -> None:
    """Set up provider, instrumentation and server spans, and log the status."""
    from litespan.instrumentor import LiteLLMInstrumentor

    module = sys.modules.get(hooks.SERVER)
    if provider.missing():
        exporters = provider.set_up()
        server.mute_fastapi(getattr(module, "app", None))
    else:
        exporters = provider.goes_to("the existing tracer provider")
    instrumentor = LiteLLMInstrumentor()
    if not instrumentor.is_instrumented_by_opentelemetry:
        instrumentor.instrument()
    if module is not None:
        hooks.install(module)
    if Live.signals is None:
        return
    log_status(status(exporters))


def status(exporters: str) -> str:
    """The line that is logged at start."""
    from importlib.metadata import version

    signals = Live.signals
    content = signals.settings.content if signals is not None else "NO_CONTENT"
    return (
        f"litespan {version('litespan')} on LiteLLM {version('litellm')}: "
        f"spans go to {exporters}; content {'off' if content == 'NO_CONTENT' else content}; "
        "all routes except those in OTEL_PYTHON_EXCLUDED_URLS"
    )


def log_status(line: str) -> None:
    """Log `line` where the server logs that it has started."""
    uvicorn = logging.getLogger("uvicorn.error")
    if uvicorn.isEnabledFor(logging.INFO) and uvicorn.hasHandlers():
        uvicorn.info("%s", line)
    else:
        logger.warning("%s", line)
