"""The time that a request waits for the proxy's own services: authentication, database, cache."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import litespan.proxy.request as requests
from litespan import semconv as s
from litespan.errors import suppress_errors
from litespan.instrumentation.signals import Live
from litespan.objects import as_float, get
from litespan.redaction.text import scrub

_HOOKS: Final = ("async_service_success_hook", "async_service_failure_hook")
Args = tuple[Any, ...]
Kwargs = dict[str, Any]


def hooks(modules: Mapping[str, Any]) -> Iterator[tuple[Any, str, Any]]:
    """(owner, name, wrapper) of LiteLLM's reports; the owner is None if LiteLLM lacks it."""
    owner = getattr(modules.get("litellm._service_logger"), "ServiceLogging", None)
    for name in _HOOKS:
        yield owner, name, _reported


def _reported(wrapped: Any, _instance: Any, args: Args, kwargs: Kwargs) -> Any:
    """LiteLLM reports that a service has answered, or failed."""
    signals = Live.signals
    if signals is not None and signals.settings.proxy_services:
        with suppress_errors("recording a service of the proxy"):
            _record(kwargs, wrapped.__name__)  # LiteLLM names all arguments
    return wrapped(*args, **kwargs)


def _record(given: Mapping[str, Any], hook: str) -> None:
    request = requests.current()
    service = given.get("service")
    if request is None or service is None or not request.span.is_recording():
        return
    attributes: dict[str, Any] = {
        s.SERVICE: str(get(service, "value") or service)[:128],
        s.SERVICE_OPERATION: scrub(str(given.get("call_type") or "")[: requests.MAX_LENGTH]),
        s.SERVICE_FAILED: hook == _HOOKS[1],
    }
    seconds = as_float(given.get("duration"))
    if seconds is not None:
        attributes[s.SERVICE_DURATION] = seconds
    request.span.add_event(s.EVENT_SERVICE, attributes)
