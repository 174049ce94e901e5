"""OpenTelemetry-native callbacks for LiteLLM.

    import litespan

    litespan.start()

or, without code changes: `litespan run app.py`.
"""

from importlib import import_module as _import_module
from typing import TYPE_CHECKING

from litespan.counters import stats
from litespan.identity import context
from litespan.instrumentor import LiteLLMInstrumentor
from litespan.version import VERSION

if TYPE_CHECKING:
    from litespan._api import add_callback, adopt, configure
    from litespan.callbacks.flush import flush
    from litespan.callbacks.processor import CallbackSpanProcessor
    from litespan.dataframe import report
    from litespan.routing.destinations import Route
    from litespan.starting import start

__version__ = VERSION
__all__ = [
    "CallbackSpanProcessor",
    "LiteLLMInstrumentor",
    "Route",
    "add_callback",
    "adopt",
    "configure",
    "context",
    "flush",
    "report",
    "start",
    "stats",
]
# Imported on first use: a start under `opentelemetry-instrument` does not need them.
_LATER = {
    "CallbackSpanProcessor": "litespan.callbacks.processor",
    "Route": "litespan.routing.destinations",
    "add_callback": "litespan._api",
    "adopt": "litespan._api",
    "configure": "litespan._api",
    "flush": "litespan.callbacks.flush",
    "report": "litespan.dataframe",
    "start": "litespan.starting",
}


def __getattr__(name: str) -> object:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = globals()[name] = getattr(_import_module(_LATER[name]), name)
    return found
