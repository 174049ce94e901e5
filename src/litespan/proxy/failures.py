"""Why a request to the proxy failed: the kind of failure and the HTTP status."""

from collections.abc import Mapping
from typing import Any, Final

from litespan.objects import as_int
from litespan.proxy.guardrails import is_guardrails

# Prefix of LiteLLM's error type → kind of failure.
_KINDS: Final[Mapping[str, str]] = {
    "budget_exceeded": "budget",
    "auth_error": "auth",
    "token_not_found": "auth",
    "expired_key": "auth",
    "no_db_connection": "auth",
}


def kind_of(error: BaseException, reported: Any, *, called: bool) -> str:
    """The kind of failure of a request, for `litellm.request.failure`.

    Args:
        error: the exception.
        reported: LiteLLM's error type, or None.
        called: whether the request has called a provider.
    """
    if is_guardrails(error):
        return "guardrail"
    if called:
        return "provider"
    if type(error).__name__ == "BudgetExceededError":
        return "budget"
    types = (getattr(error, "type", None), reported)
    texts = [str(getattr(each, "value", each) or "") for each in types]
    for text in texts:
        kind = next((kind for start, kind in _KINDS.items() if text.startswith(start)), None)
        if kind:
            return kind
        if text.endswith("_access_denied"):
            return "access"
    return kind_of_status(status_of(error))


def status_of(error: BaseException) -> int | None:
    """The HTTP status in an exception of LiteLLM or FastAPI, or None."""
    for name in ("status_code", "code"):
        value = getattr(error, name, None)
        if isinstance(value, str) and value.isdecimal():
            value = int(value)
        if found := as_int(value):
            return found
    return None


def kind_of_status(status: int | None) -> str:
    """The kind of failure that follows from the HTTP status alone."""
    if status is None or status >= 500:
        return "internal"
    if status in (401, 403):
        return "auth"
    return "rate_limit" if status == 429 else "bad_request"
