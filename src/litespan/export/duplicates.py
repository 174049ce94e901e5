"""Others who send the same calls to the same service: named once, with the line to change.

Instrumentations of the same calls, whatever service they send to, are named by
`litespan.instrumentation.conflicts`; here are those that an exporter's own users have set up before.
"""

import sys
from collections.abc import Callable, Iterator
from typing import Any, Final

from litespan.errors import log_once

_LISTS: Final = (
    "callbacks",
    "input_callback",
    "success_callback",
    "failure_callback",
    "_async_success_callback",
    "_async_failure_callback",
)
_NAMES: Final = {"datadog": "datadog_llm_observability"}
"""Exporter → LiteLLM's name for the same, where it is another."""
_INTEGRATIONS: Final = {
    "litellm.integrations.posthog": "posthog",
    "litellm.integrations.datadog.datadog_llm_obs": "datadog_llm_observability",
}
"""Module of a callback object that LiteLLM has put in place of a name."""


def check_service(exporter: str) -> None:
    """Warn, once each, of whoever else sends calls where `exporter` sends them. Cheap."""
    for rival, cure in (*_in_lists(exporter), *_RIVALS.get(exporter, _nobody)()):
        log_once(
            f"rival:{exporter}:{rival}",
            "%s sends the same calls as litespan's %s exporter: each shows up twice. %s",
            rival,
            exporter,
            cure,
        )


def _in_lists(exporter: str) -> Iterator[tuple[str, str]]:
    """LiteLLM's own callback for the service, by name or already as an object."""
    litellm, wanted = sys.modules.get("litellm"), _NAMES.get(exporter, exporter)
    for name in _LISTS:
        for callback in tuple(getattr(litellm, name, None) or ()):
            if _name_of(callback) == wanted:
                where = "callbacks" if name.startswith("_") else name
                cure = f"Take {wanted!r} out of litellm.{where}"
                yield f"LiteLLM's own {wanted!r} callback", cure


def _name_of(callback: Any) -> str | None:
    if isinstance(callback, str):
        return callback
    known = getattr(callback, "callback_name", None)  # of LiteLLM's OpenTelemetry
    return known if isinstance(known, str) else _INTEGRATIONS.get(type(callback).__module__)


def _sentry() -> Iterator[tuple[str, str]]:
    """sentry-sdk's integrations, if its client has them."""
    get_client = getattr(sys.modules.get("sentry_sdk"), "get_client", None)
    client = get_client() if get_client is not None else None
    find = getattr(client, "get_integration", lambda _: None)
    if find("litellm") is not None:
        yield (
            "sentry-sdk's LiteLLMIntegration",
            "Switch it off: sentry_sdk.init(disabled_integrations=[LiteLLMIntegration()])",
        )
    if getattr(find("otlp"), "setup_otlp_traces_exporter", False):
        yield (
            "sentry-sdk's OTLPIntegration",
            "Switch it off: OTLPIntegration(setup_otlp_traces_exporter=False)",
        )


def _nobody() -> Iterator[tuple[str, str]]:
    yield from ()


_RIVALS: Final[dict[str, Callable[[], Iterator[tuple[str, str]]]]] = {"sentry": _sentry}
