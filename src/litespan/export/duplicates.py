"""Warns about other code that sends the same calls to the same service.

`litespan.instrumentation.conflicts` warns about other instrumentations of the same calls,
independent of services.
"""

import sys
from collections.abc import Iterator
from typing import Any, Final

from litespan.errors import log_once

_LISTS: Final = (
    *("callbacks", "input_callback", "success_callback", "failure_callback"),
    *("_async_success_callback", "_async_failure_callback"),
)
_NAMES: Final = {
    "datadog": "datadog_llm_observability",
    "phoenix": "arize_phoenix",
    "weave": "weave_otel",
}
"""Exporter → LiteLLM's name of the service, if it differs."""
_INTEGRATIONS: Final = {
    "litellm.integrations.posthog": "posthog",
    "litellm.integrations.datadog.datadog_llm_obs": "datadog_llm_observability",
}
"""Module of a callback object → the name that LiteLLM has replaced with it."""


def check_service(exporter: str) -> None:
    """Warn once about each other sender to the service of `exporter`. Cheap."""
    others = _sentry() if exporter == "sentry" else ()
    for sender, fix in (*_in_lists(exporter), *others):
        log_once(
            f"duplicate:{exporter}:{sender}",
            "%s sends the same calls as litespan's %s exporter, so each appears twice. %s",
            sender,
            exporter,
            fix,
        )


def _in_lists(exporter: str) -> Iterator[tuple[str, str]]:
    """LiteLLM's own callback for the service, by name or as an object."""
    litellm, wanted = sys.modules.get("litellm"), _NAMES.get(exporter, exporter)
    for name in _LISTS:
        for callback in tuple(getattr(litellm, name, None) or ()):
            if _name_of(callback) == wanted:
                option = "callbacks" if name.startswith("_") else name
                fix = f"Remove {wanted!r} from litellm.{option}"
                yield f"LiteLLM's own {wanted!r} callback", fix


def _name_of(callback: Any) -> str | None:
    if isinstance(callback, str):
        return callback
    known = getattr(callback, "callback_name", None)  # of LiteLLM's OpenTelemetry
    return known if isinstance(known, str) else _INTEGRATIONS.get(type(callback).__module__)


def _sentry() -> Iterator[tuple[str, str]]:
    """Integrations of sentry-sdk that are active."""
    get_client = getattr(sys.modules.get("sentry_sdk"), "get_client", None)
    client = get_client() if get_client is not None else None
    find = getattr(client, "get_integration", lambda _: None)
    if find("litellm") is not None:
        yield (
            "sentry-sdk's LiteLLMIntegration",
            "Disable it: sentry_sdk.init(disabled_integrations=[LiteLLMIntegration()])",
        )
    if getattr(find("otlp"), "setup_otlp_traces_exporter", False):
        yield (
            "sentry-sdk's OTLPIntegration",
            "Disable it: OTLPIntegration(setup_otlp_traces_exporter=False)",
        )
