"""Warnings about other instrumentations of the same calls, with the line that turns them off."""

import sys
from typing import Any, Final

from opentelemetry import metrics, trace

from litespan.errors import log_once

# Instrumentor classes, as (module, name) → (description, how to turn it off).
_CONFLICTS: Final = {
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
    # The key that suppresses OpenInference also suppresses HTTP spans, so litespan only warns.
    ("openinference.instrumentation.openai", "OpenAIInstrumentor"): (
        "OpenInference's OpenAI instrumentation, below LiteLLM,",
        "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS=openai",
    ),
    ("openinference.instrumentation.anthropic", "AnthropicInstrumentor"): (
        "OpenInference's Anthropic instrumentation, below LiteLLM,",
        "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS=anthropic",
    ),
}
# SDKs that turn one of them on: (module, attribute that is set once in use) → how to turn it off.
_ENABLED_BY: Final = {
    ("traceloop.sdk.tracing.tracing", "TracerWrapper.instance"): {
        "opentelemetry.instrumentation.litellm": (
            "Traceloop.init(block_instruments={Instruments.LITELLM})"
        ),
    },
    ("logfire", "DEFAULT_LOGFIRE_INSTANCE.config._initialized"): {
        "openinference.instrumentation.litellm": "remove logfire.instrument_litellm()",
    },
}
_AUTO: Final = "opentelemetry.instrumentation.auto_instrumentation"
LISTS: Final = ("callbacks", "success_callback", "failure_callback", "_async_success_callback")
_OTEL_MODULES: Final = ("litellm.integrations.opentelemetry", "litellm.integrations.otel")
# Those whose calls litespan can send itself: `otel` as OTLP, `langfuse_otel` as langfuse.
_OTEL: Final = {"otel": "otlp", "langfuse_otel": "langfuse"}
# Each list at its last check, and its length then.
_checked_lists: Final[dict[str, tuple[Any, int]]] = {}


def check_provider(tracer_provider: Any = None) -> None:
    """Warn if there is no tracer provider, so that no span is recorded.

    Only under `opentelemetry-instrument`, which has configured the SDK by now; other programs
    may still set a provider later.
    """
    if tracer_provider is not None or _AUTO not in sys.modules:
        return
    if isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
        log_once(
            "no provider",
            "opentelemetry-instrument has set no tracer provider, so no span is recorded: "
            "pip install 'litespan[auto]'",
        )


def watch_recording(*, on: bool = True) -> None:
    """Check at the first call whether something can receive it."""
    from litespan.instrumentation.stages import replace_watcher  # not for a start without LiteLLM

    replace_watcher(_check_recording, *([_check_recording] if on else []))


def _check_recording(call: Any, _ctx: Any) -> None:
    """Warn at the first call if nothing can receive it: no provider and no handler."""
    from litespan.instrumentation.stages import Watchers

    watch_recording(on=False)
    signals = call.signals
    nothing = (
        signals.providers[:2] == (None, None)
        and isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)
        and type(metrics.get_meter_provider()).__name__ == "_ProxyMeterProvider"
    )
    if nothing and not Watchers.all:
        log_once(
            "no provider",
            "LiteLLM is instrumented, but no OpenTelemetry tracer provider is set, so no call is "
            "recorded: call litespan.start(), or start the program with litespan run",
        )


def check_instrumentations() -> None:
    """Warn, once each, about active instrumentations of the same calls."""
    for (module, name), (other, remedy) in _CONFLICTS.items():
        kind = getattr(sys.modules.get(module), name, None)
        instance = getattr(kind, "_instance", None)
        if getattr(instance, "is_instrumented_by_opentelemetry", False):
            log_once(
                f"conflict:{module}",
                "%s reports the same calls as litespan, so each call appears twice. "
                "Turn it off: %s",
                other,
                _remedy(module, remedy),
            )


def _remedy(other: str, remedy: str) -> str:
    """Return the instruction that matches how the other instrumentation was turned on."""
    for (module, used), remedies in _ENABLED_BY.items():
        found: Any = sys.modules.get(module)
        for name in used.split("."):
            found = getattr(found, name, None)
        if found and other in remedies:
            return remedies[other]
    return remedy


def check_callbacks(litellm: Any) -> None:
    """Warn, once, if LiteLLM's own OpenTelemetry callback is in one of its lists.

    Its callbacks for services that litespan does not serve, such as Arize, are left alone.

    Runs at every call, and scans a list only when it has changed.
    """
    listed = vars(litellm)
    for name in LISTS:
        callbacks = listed[name] if name in listed else None  # noqa: SIM401 - faster than `get`
        if not callbacks:
            continue
        seen, length = _checked_lists.get(name, (None, 0))
        if callbacks is seen and len(callbacks) == length:
            continue
        _checked_lists[name] = (callbacks, len(callbacks))
        for callback in callbacks:
            known = _litellm_callback(callback)
            if known:
                log_once(
                    f"conflict:callback:{known}",
                    "LiteLLM's own %r callback reports the same calls as litespan, so each call "
                    "appears twice where both send. Use litespan's exporter %s, and remove %r from "
                    "litellm.callbacks and litellm.success_callback",
                    known,
                    _OTEL[known],
                    known,
                )


def _litellm_callback(callback: Any) -> str | None:
    """Return the name of `callback` if it is LiteLLM's own OpenTelemetry callback."""
    if isinstance(callback, str):
        return callback if callback in _OTEL else None
    if type(callback).__module__.startswith(_OTEL_MODULES):
        name = getattr(callback, "callback_name", None) or "otel"
        return name if name in _OTEL else None
    return None
