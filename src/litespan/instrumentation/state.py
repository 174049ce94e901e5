"""What is known of one live call, and how it is found: by context, or from LiteLLM's objects."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Literal

from opentelemetry import context as otel_context
from opentelemetry.context import Context
from opentelemetry.trace import Span

from litespan.instrumentation.signals import Signals
from litespan.mapping.failures import Failure
from litespan.mapping.request import Attributes, Request
from litespan.objects import as_text

OWNER: Final = "_litespan_call"
"""The attribute of LiteLLM's logging object that holds the live call it belongs to."""
CALL_KEY: Final = otel_context.create_key("litespan-call")
Outcome = Literal["success", "failure", "cancelled", "abandoned"]
STREAM_ENDS: Final[dict[str, Outcome]] = {
    "complete": "success",
    "abandoned": "abandoned",
    "closed": "abandoned",
    "cancelled": "cancelled",
    "dropped": "failure",
    "error": "failure",
}
"""How a stream ended → the outcome of its call."""


class CallState:
    """The state of one live call.

    Attributes:
        signals: where its telemetry goes.
        request: what was asked for.
        attributes: the attributes that its span has at the start.
        context: the context of what runs inside the call.
        span: its span; not recording if the call is not sampled or must not be seen.
        parent: the router call that this is an attempt of, or None.
        attempt: 1 for the first attempt.
        logging: LiteLLM's logging object, once LiteLLM has made it.
        started_ns: ns since the epoch; `started` and `first_chunk` are on the monotonic
            clock, in seconds.
        ended: whether the span has ended.
        chunk_listeners: listeners that get each chunk of a stream.
        chunks_left_out: how many chunks the span had no room for, where it was to have all.
        silent: whether the user asked for no trace of this call (`no-log`).
        record_content: whether messages may be recorded.
        view: what handlers see of the call, made for the first of them.
        whole: the answer that LiteLLM has made of a stream's chunks, once it has.
        failure: why an answer that is passed through failed, as the provider states it in it.
        fresh: the provider's answer where LiteLLM's response cache had a part of it already.
        end_ns: when it ended, ns since the epoch, where that becomes known later; else None.
        within: the call of a custom provider that makes this one, or None.
        delegated: how many calls this one's custom provider has made that did not fail.
    """

    if TYPE_CHECKING:
        signals: Signals
        request: Request
        attributes: Attributes
        context: Context
        span: Span
        parent: Any
        silent: bool
        record_content: bool
        started_ns: int
        started: float

    attempt = 1
    ended = False
    logging: Any = None
    first_chunk: float | None = None
    view: Any = None
    whole: Any = None
    failure: Failure | None = None
    fresh: Any = None
    within: "CallState | None" = None
    delegated = 0
    end_ns: int | None = None
    chunks_left_out = 0
    chunk_listeners: tuple[Callable[[Any], None], ...] = ()

    @property
    def call_id(self) -> str | None:
        """LiteLLM's id of this call."""
        return as_text(getattr(self.logging, "litellm_call_id", None)) or as_text(
            self.request.arguments.get("litellm_call_id")
        )


def current(ctx: Context | None = None) -> Any:
    """The call or router call of `ctx` (default: the current context), or None."""
    return otel_context.get_value(CALL_KEY, ctx)
