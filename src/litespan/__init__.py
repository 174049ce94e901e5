"""OpenTelemetry-native callbacks for LiteLLM.

    from litespan import LiteLLMInstrumentor

    LiteLLMInstrumentor().instrument()

or, without a line of code, `opentelemetry-instrument python app.py`.
"""

from importlib import import_module as _import_module
from importlib.metadata import version as _version
from typing import TYPE_CHECKING

from litespan.counters import stats
from litespan.identity import context
from litespan.instrumentor import LiteLLMInstrumentor

if TYPE_CHECKING:
    from litespan.callbacks.flush import flush
    from litespan.callbacks.processor import CallbackSpanProcessor
    from litespan.callbacks.registration import add_callback
    from litespan.routing.configuration import configure
    from litespan.routing.destinations import Route
    from litespan.routing.takeover import adopt

__version__ = _version("litespan")
__all__ = [
    "CallbackSpanProcessor",
    "LiteLLMInstrumentor",
    "Route",
    "add_callback",
    "adopt",
    "configure",
    "context",
    "flush",
    "stats",
]
# What a start under `opentelemetry-instrument` does not need is imported when it is used.
_LATER = {
    "CallbackSpanProcessor": "litespan.callbacks.processor",
    "Route": "litespan.routing.destinations",
    "add_callback": "litespan.callbacks.registration",
    "adopt": "litespan.routing.takeover",
    "configure": "litespan.routing.configuration",
    "flush": "litespan.callbacks.flush",
}


def __getattr__(name: str) -> object:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = globals()[name] = getattr(_import_module(_LATER[name]), name)
    return found
