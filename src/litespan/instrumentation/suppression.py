"""Keeping a provider SDK's instrumentation from reporting the same generation again.

The keys are those that the official GenAI utilities and OpenLLMetry honour; each is set only
where the package is loaded. HTTP instrumentations know neither, so HTTP spans and
`traceparent` stay. OpenInference honours only the SDK's general key, which would silence
HTTP as well: `litespan.instrumentation.conflicts` warns about it instead.
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
    """`ctx`, in which instrumentations of provider SDKs keep still."""
    if _OPENLLMETRY in sys.modules:
        ctx = otel_context.set_value(OPENLLMETRY_KEY, True, ctx)
    genai = sys.modules.get(_GENAI)
    if genai is not None:
        ctx = otel_context.set_value(GENAI_KEY, genai.InferenceData(), ctx)
    return ctx


def suppressed(ctx: Context, *, nested: bool) -> bool:
    """Whether instrumentation is off in `ctx`.

    With `nested`, also where a framework above LiteLLM reports this generation itself.
    """
    if ctx.get(_general):
        return True
    return nested and bool(ctx.get(OPENLLMETRY_KEY) or ctx.get(GENAI_KEY))


def silenced(ctx: Context) -> Context:
    """`ctx`, in which no instrumentation at all reports anything."""
    return otel_context.set_value(_general, True, ctx)
