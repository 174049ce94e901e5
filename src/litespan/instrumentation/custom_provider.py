"""Providers of the application's own (`litellm.CustomLLM`) that themselves call LiteLLM.

The model is called once, by the inner call, so the outer call states neither tokens nor cost:
sums over GenAI spans count each token once.
"""

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from opentelemetry import context as otel_context

from litespan import semconv as s
from litespan.mapping.request import Attributes, Request

if TYPE_CHECKING:
    from litespan.instrumentation.call import Call

COUNTED: Final = ("gen_ai.usage.", "litellm.usage.", s.COST_PREFIX)


def is_custom(request: Request) -> bool:
    """Whether the application itself is the provider."""
    litellm = sys.modules.get("litellm")
    return request.provider in getattr(litellm, "_custom_providers", ())


def caller_of(outer: Any) -> "Call | None":
    """The call whose custom provider makes a call inside of `outer`, a call or router call."""
    if not hasattr(outer, "delegated"):
        found: Call | None = outer.within
        return found
    return outer if not outer.ended and is_custom(outer.request) else None


def without_usage(attributes: Attributes) -> Attributes:
    """`attributes` without tokens and cost, which inner calls state."""
    return {name: value for name, value in attributes.items() if not name.startswith(COUNTED)}


def stepping(step: Any, call: "Call", *, is_async: bool) -> Callable[[], Any]:
    """`step`, which gets the next chunk from a custom provider's code, run inside `call`.

    The context is attached for one step only, never across a `yield`.
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
