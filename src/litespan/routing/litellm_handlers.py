"""Handlers in LiteLLM's callback lists: which of them litespan can call, and for which stages."""

import sys
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, Final

from litespan.callbacks.handler import BadHandler, Handler, defines, name_of
from litespan.errors import log_once

METHODS: Final[Mapping[str, tuple[str, ...]]] = {
    "input_callback": ("log_pre_api_call", "log_post_api_call"),
    "success_callback": ("log_success_event", "log_stream_event"),
    "failure_callback": ("log_failure_event",),
}
_ALL: Final = tuple(name for names in METHODS.values() for name in names)
_LOGGING: Final = frozenset([*_ALL, *(f"async_{name}" for name in _ALL)])
_LITELLM: Final = ("litellm.", "litellm_enterprise.", "litellm_proxy_extras.")


def only_logs(handler: Any) -> bool:
    """Whether it is a user's `CustomLogger` that overrides logging methods only.

    Other methods (proxy hooks, guardrails, changes to the request) can only be called by
    LiteLLM. A handler that wants redacted messages also stays with LiteLLM, which redacts them.
    """
    base: Any = getattr(sys.modules.get("litellm.integrations.custom_logger"), "CustomLogger", None)
    if base is None or not isinstance(handler, base):
        return False
    defined = set(vars(handler))
    for kind in type(handler).__mro__:
        if kind is base:
            break
        if f"{kind.__module__}.".startswith(_LITELLM):
            return False
        defined |= set(vars(kind))
    names = (name for name in defined if not name.startswith("__"))
    hooks = {name for name in names if callable(getattr(base, name, None))}
    redacted = (
        getattr(handler, "turn_off_message_logging", False) is True
        or getattr(handler, "message_logging", True) is False
    )
    return bool(hooks) and hooks <= _LOGGING and not redacted


def has_stages_of(handler: Any, list_: str) -> bool:
    """Whether it has a method for the stages of LiteLLM's list `list_`."""
    try:
        Handler(of_stages(handler, frozenset({list_})), {}, name_of(type(handler)))
    except BadHandler as error:
        log_once(
            f"adopt:{list_}:{type(handler)!r}",
            "a callback in litellm.%s is left to LiteLLM: %s",
            list_,
            error,
        )
        return False
    return True


def of_stages(handler: Any, lists: frozenset[str]) -> SimpleNamespace:
    """A handler with the methods for the stages of these lists."""
    names = _ALL if "callbacks" in lists else [n for each in lists for n in METHODS[each]]
    wanted = [each for name in names for each in (name, f"async_{name}")]
    return SimpleNamespace(
        **{name: getattr(handler, name) for name in wanted if defines(handler, name)}
    )
