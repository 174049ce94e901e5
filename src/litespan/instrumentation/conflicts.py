"""Others who report the same calls: named once, with the line that switches them off."""

import sys
from typing import Any, Final

from opentelemetry import trace

from litespan.errors import log_once

# Instrumentors that are active in this process: class, as (module, name) → the cure.
_RIVALS: Final = {
    ("opentelemetry.instrumentation.litellm", "LiteLLMInstrumentor"): (
        "OpenLLMetry's LiteLLM instrumentation",
        "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS=litellm",
    ),
    ("openinference.instrumentation.litellm", "LiteLLMInstrumentor"): (
        "OpenInference's LiteLLM instrumentation",
        "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS=litellm",
    ),
    ("openlit.instrumentation.litellm", "LiteLLMInstrumentor"): (
        "OpenLIT's LiteLLM instrumentation",
        'openlit.init(disabled_instrumentors=["litellm"])',
    ),
    # OpenInference's own suppression would silence HTTP spans as well: it can only be named.
    ("openinference.instrumentation.openai", "OpenAIInstrumentor"): (
        "OpenInference's OpenAI instrumentation, below LiteLLM,",
        "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS=openai",
    ),
    ("openinference.instrumentation.anthropic", "AnthropicInstrumentor"): (
        "OpenInference's Anthropic instrumentation, below LiteLLM,",
        "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS=anthropic",
    ),
}
# Who may have switched one of them on: (module, what is there once it is in use) → the cure.
_SWITCHED_ON_BY: Final = {
    ("traceloop.sdk.tracing.tracing", "TracerWrapper.instance"): {
        "opentelemetry.instrumentation.litellm": (
            "Traceloop.init(block_instruments={Instruments.LITELLM})"
        ),
    },
    ("logfire", "DEFAULT_LOGFIRE_INSTANCE.config._initialized"): {
        "openinference.instrumentation.litellm": "take logfire.instrument_litellm() out",
    },
}
_AUTO: Final = "opentelemetry.instrumentation.auto_instrumentation"
_LISTS: Final = ("callbacks", "success_callback", "failure_callback", "_async_success_callback")
_OTEL_MODULES: Final = ("litellm.integrations.opentelemetry", "litellm.integrations.otel")
_OTEL: Final = frozenset({"otel", "langfuse_otel", "arize", "arize_phoenix"})
# Each list as it was last looked through, and its length then.
_looked_through: Final[dict[str, tuple[Any, int]]] = {}


def check_provider(tracer_provider: Any = None) -> None:
    """Say so if spans would go nowhere: nobody has set up a tracer provider.

    Only under `opentelemetry-instrument`, where the set-up is over by now; in a program the
    provider may still come.
    """
    if tracer_provider is not None or _AUTO not in sys.modules:
        return
    if isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
        log_once(
            "no provider",
            "opentelemetry-instrument has set up no tracer provider, so no span is recorded: "
            "pip install 'litespan[auto]'",
        )


def check_instrumentations() -> None:
    """Warn, once each, about active instrumentations of the same calls."""
    for (module, name), (rival, cure) in _RIVALS.items():
        kind = getattr(sys.modules.get(module), name, None)
        instance = getattr(kind, "_instance", None)
        if getattr(instance, "is_instrumented_by_opentelemetry", False):
            log_once(
                f"rival:{module}",
                "%s reports the same calls as litespan: each shows up twice. Switch it off: %s",
                rival,
                _cure(module, cure),
            )


def _cure(rival: str, cure: str) -> str:
    """The line to change where the rival was switched on."""
    for (module, used), cures in _SWITCHED_ON_BY.items():
        found: Any = sys.modules.get(module)
        for name in used.split("."):
            found = getattr(found, name, None)
        if found and rival in cures:
            return cures[rival]
    return cure


def check_callbacks(litellm: Any) -> None:
    """Warn, once, if LiteLLM's own OpenTelemetry callback is in one of its lists.

    For every call; a list, which may be long, is looked through when it has changed.
    """
    listed = vars(litellm)
    for name in _LISTS:
        callbacks = listed.get(name)
        if not callbacks:
            continue
        seen, length = _looked_through.get(name, (None, 0))
        if callbacks is seen and len(callbacks) == length:
            continue
        _looked_through[name] = (callbacks, len(callbacks))
        for callback in callbacks:
            known = _own(callback)
            if known:
                log_once(
                    f"rival:callback:{known}",
                    "LiteLLM's own %r callback reports the same calls as litespan: each shows up "
                    "twice. Take %r out of litellm.callbacks and litellm.success_callback",
                    known,
                    known,
                )


def _own(callback: Any) -> str | None:
    """The name of LiteLLM's own OpenTelemetry callback, in either of its forms."""
    if isinstance(callback, str):
        return callback if callback in _OTEL else None
    if type(callback).__module__.startswith(_OTEL_MODULES):
        return getattr(callback, "callback_name", None) or "otel"
    return None
