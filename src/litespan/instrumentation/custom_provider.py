"""Custom providers (`litellm.CustomLLM`) that themselves call LiteLLM.

Only the inner call reaches the model, so the outer call reports neither tokens nor cost. Sums over
GenAI spans then count each token once.
"""

import sys
from collections.abc import Callable
from typing import Any, Final

from opentelemetry import context as otel_context

from litespan import semconv as s
from litespan.instrumentation.state import CallState
from litespan.mapping.request import Attributes, Request
from litespan.mapping.targets import AGENT

COUNTED: Final = ("gen_ai.usage.", "litellm.usage.", s.COST_PREFIX)


def is_custom(request: Request) -> bool:
    """Whether a `CustomLLM` of the application serves the request."""
    litellm = sys.modules.get("litellm")
    return request.provider in getattr(litellm, "_custom_providers", ())


def calls_while_read(request: Request) -> bool:
    """Whether reading the stream of `request` can make other calls: LiteLLM calls agents then."""
    return request.target.operation is AGENT or is_custom(request)


def caller_of(outer: Any) -> CallState | None:
    """Return the call of a custom provider that a new call inside `outer` belongs to."""
    if not hasattr(outer, "inner_calls"):
        found: CallState | None = outer.outer_call
        return found
    return outer if not outer.ended and is_custom(outer.request) else None


def without_usage(attributes: Attributes) -> Attributes:
    """Return `attributes` without tokens and cost, which the inner calls report."""
    return {name: value for name, value in attributes.items() if not name.startswith(COUNTED)}


def stepping(step: Any, call: CallState, *, is_async: bool) -> Callable[[], Any]:
    """Wrap `step`, which gets the next chunk from a custom provider, to run inside `call`.

    The context is attached during each step only, never across a `yield`.
    """
    if is_async:

        async def astep() -> Any:
            token = otel_context.attach(call.context)
            try:
                return await step()
            finally:
                otel_context.detach(token)

        return astep

    def sync_step() -> Any:
        token = otel_context.attach(call.context)
        try:
            return step()
        finally:
            otel_context.detach(token)

    return sync_step
