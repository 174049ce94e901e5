"""Suppresses instrumentations of provider SDKs that would report the same call again.

Uses the context keys of OpenTelemetry's GenAI utilities and of OpenLLMetry, each only if the
package is imported. HTTP instrumentations ignore both, so HTTP spans and `traceparent` remain.
OpenInference honours only the SDK's general key, which would also suppress HTTP spans:
`litespan.instrumentation.conflicts` warns about it instead.
"""

import sys
from typing import Any, Final

from opentelemetry import context as otel_context
from opentelemetry.context import Context

OPENLLMETRY_KEY: Final = "suppress_language_model_instrumentation"
GENAI_KEY: Final = "opentelemetry.genai.client.inference.context"
_OPENLLMETRY: Final = "opentelemetry.semconv_ai"
_GENAI: Final = "opentelemetry.util.genai.invocation"
_general: Any = getattr(otel_context, "_SUPPRESS_INSTRUMENTATION_KEY", "suppress_instrumentation")


def suppressing(ctx: Context) -> Context:
    """Return `ctx` with the suppression keys of provider SDK instrumentations set."""
    if _OPENLLMETRY in sys.modules:
        ctx = otel_context.set_value(OPENLLMETRY_KEY, True, ctx)
    genai = sys.modules.get(_GENAI)
    if genai is not None:
        ctx = otel_context.set_value(GENAI_KEY, genai.InferenceData(), ctx)
    return ctx


def suppressed(ctx: Context, *, nested: bool) -> bool:
    """Whether instrumentation is suppressed in `ctx`.

    With `nested`, also if a framework above LiteLLM reports the call itself.
    """
    if ctx.get(_general):
        return True
    return nested and bool(ctx.get(OPENLLMETRY_KEY) or ctx.get(GENAI_KEY))


def silenced(ctx: Context) -> Context:
    """Return `ctx` with all instrumentation suppressed."""
    return otel_context.set_value(_general, True, ctx)
