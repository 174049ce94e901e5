"""State of a call in progress; found through the context or LiteLLM's logging object."""

from abc import abstractmethod
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Literal

from opentelemetry import context as otel_context
from opentelemetry.context import Context
from opentelemetry.trace import Span

from litespan.background.garbage_collection import call_outside_collection
from litespan.instrumentation.signals import Signals
from litespan.mapping.failures import Failure
from litespan.mapping.request import Attributes, Request
from litespan.objects import as_text

OWNER: Final = "_litespan_call"
"""The attribute of LiteLLM's logging object that references its call."""
CALL_KEY: Final = otel_context.create_key("litespan-call")
NOWHERE: Final = Context()
"""The context of a call that has ended. The former one references the call: a reference cycle."""
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
    """The state of one call in progress.

    Attributes:
        signals: tracer, metrics, logger and settings.
        request: the arguments of the call.
        attributes: the span attributes at the start.
        context: the context for code that runs inside the call.
        span: its span; not recording if the call is not sampled or is silent.
        parent: the router call of which this is an attempt, or None.
        attempt: 1 for the first attempt.
        logging: LiteLLM's logging object, or None until LiteLLM has created it.
        called_url: the URL that LiteLLM called last, or None if it states none.
        started_ns: ns since the epoch. `started` and `first_chunk` are monotonic, in seconds.
        ended: whether the span has ended.
        listeners: what receives the stages of the call, each with the names of its stages.
        needed: the names of the stages that any of them receives.
        chunks_left_out: number of chunk events that exceeded the span's limit.
        silent: whether nothing is recorded for this call (`no-log`).
        record_content: whether messages may be recorded.
        view: the handlers' view of the call, created for the first handler.
        whole: the answer that LiteLLM assembled from a stream, or translated; or None.
        failure: the failure that a pass-through answer reports, or None.
        uncached_answer: the provider's part of an answer that LiteLLM's response cache had in part.
        end_ns: end time in ns since the epoch if it is known only later, else None.
        outer_call: the custom provider's call that made this call, or None.
        inner_calls: number of calls, without failed ones, that this custom provider has made.
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
    called_url: Any = None
    first_chunk: float | None = None
    view: Any = None
    whole: Any = None
    failure: Failure | None = None
    uncached_answer: Any = None
    outer_call: "CallState | None" = None
    inner_calls = 0
    end_ns: int | None = None
    chunks_left_out = 0
    listeners: tuple[tuple[frozenset[str], Callable[[Any], None]], ...] = ()
    needed: frozenset[str] = frozenset()

    @property
    def call_id(self) -> str | None:
        """LiteLLM's id of the call."""
        return as_text(getattr(self.logging, "litellm_call_id", None)) or as_text(
            self.request.arguments.get("litellm_call_id")
        )


class ContextScope:
    """A context manager that attaches `context`, and ends a call with the exception of its block.

    Attributes:
        context: the context for code that runs inside the call.
    """

    __slots__ = ()
    if TYPE_CHECKING:
        context: Context
        _token: Any

    def __enter__(self) -> None:
        self._token = otel_context.attach(self.context)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # A discarded coroutine is closed in the context of the garbage collection.
        if kind is not GeneratorExit:
            otel_context.detach(self._token)
            self._token = None
        if error is not None:
            call_outside_collection(self.fail, error)

    @abstractmethod
    def fail(self, error: BaseException) -> None:
        """End with an exception, which propagates to the caller."""


def current(ctx: Context | None = None) -> Any:
    """Return the call or router call in `ctx`, by default the current context, or None."""
    return otel_context.get_value(CALL_KEY, ctx)
