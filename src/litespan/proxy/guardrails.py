"""Finds the guardrail that raised an exception in the proxy."""

import sys
from collections.abc import Mapping
from typing import Any, Final

from litespan.instrumentation.stream import Stream
from litespan.objects import as_text

_MODULE: Final = "litellm.integrations.custom_guardrail"
_ERRORS: Final = frozenset(
    {"GuardrailRaisedException", "BlockedPiiEntityError", "ModifyResponseException"}
)


def is_guardrails(error: BaseException) -> bool:
    """Whether a guardrail rejected the request or failed itself."""
    return guardrail_of(error) is not None or type(error).__name__ in _ERRORS


def guardrail_of(error: BaseException) -> str | None:
    """The configured name of the guardrail that raised `error`, or None.

    A guardrail may raise any exception: LiteLLM's documented example raises a `ValueError`. So
    the traceback is checked first, then the exception's attributes.
    """
    guardrail = raised_by(error)
    if guardrail is not None:
        return as_text(getattr(guardrail, "guardrail_name", None)) or type(guardrail).__name__
    found = as_text(getattr(error, "guardrail_name", None))
    if found is None:
        detail = getattr(error, "detail", None)
        if isinstance(detail, Mapping):
            found = as_text(detail.get("guardrail_name")) or as_text(detail.get("guardrail"))
    return found


def raised_by(error: BaseException) -> Any:
    """The guardrail object whose method raised `error`."""
    kind = getattr(sys.modules.get(_MODULE), "CustomGuardrail", None)
    found = None
    trace = error.__traceback__
    while kind is not None and trace is not None:
        frame = trace.tb_frame
        if frame.f_code.co_varnames[:1] == ("self",):
            owner = frame.f_locals.get("self")
            if issubclass(type(owner), Stream):
                found = None  # the provider's stream failed while a guardrail read it
            elif issubclass(type(owner), kind):
                found = owner
        trace = trace.tb_next
    return found
