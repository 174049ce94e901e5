"""OpenTelemetry-native callbacks for LiteLLM.

    from litespan import LiteLLMInstrumentor

    LiteLLMInstrumentor().instrument()

or, without a line of code, `opentelemetry-instrument python app.py`.
"""

from importlib.metadata import version as _version

from litespan.counters import stats
from litespan.identity import context
from litespan.instrumentor import LiteLLMInstrumentor

__version__ = _version("litespan")
__all__ = ["LiteLLMInstrumentor", "context", "stats"]
