"""The parent span of attempts: LiteLLM's router, retries and fallbacks."""

import asyncio
from typing import Any
from weakref import WeakValueDictionary

from opentelemetry import context as otel_context
from opentelemetry.context import Context
from opentelemetry.trace import INVALID_SPAN, Span, SpanKind, set_span_in_context

from litespan import semconv as s
from litespan.errors import record_error
from litespan.instrumentation.call_end import set_failure, to_failure
from litespan.instrumentation.custom_provider import caller_of
from litespan.instrumentation.signals import Signals
from litespan.instrumentation.state import (
    CALL_KEY,
    NOWHERE,
    OWNER,
    STREAM_ENDS,
    ContextScope,
    Outcome,
)
from litespan.instrumentation.stream import Stream, is_stream, wrap_stream
from litespan.mapping.failures import Failure
from litespan.mapping.request import Attributes, Request


class RouterCall(ContextScope):
    """One call by the application that LiteLLM may attempt several times.

    Its span is INTERNAL and has no operation, tokens or cost, so that sums over GenAI spans are
    correct. Each attempt is a child `Call`.
    """

    __slots__ = (
        "__weakref__",
        "_attempts",
        "_broke_with",
        "_token",
        "context",
        "ended",
        "failure",
        "logging",
        "model",
        "outer_call",
        "request",
        "signals",
        "silent",
        "span",
    )
    parent: "RouterCall | None" = None
    keeps_chunks = False
    record_content = False

    def __init__(self, signals: Signals, request: Request, *, silent: bool) -> None:
        self.signals = signals
        self.request = request
        self.model = str(request.arguments.get("model") or "")
        self.silent = silent
        self.logging: Any = None
        self.ended = False
        self.failure: Failure | None = None  # of the last attempt, if its answer failed
        self._attempts = 0
        self._broke_with: BaseException | None = None
        self._token: Any = None

    def start(self, ctx: Context) -> None:
        """Start the span under `ctx` and create the context for the attempts."""
        outer: Any = ctx.get(CALL_KEY)
        self.outer_call = None if outer is None else caller_of(outer)
        attributes = {s.CALL_TYPE: self.request.target.call_type, s.MODEL_GROUP: self.model}
        self.start_span(f"{s.ROUTER_SPAN} {self.model}".strip(), ctx, SpanKind.INTERNAL, attributes)

    def start_span(self, name: str, ctx: Context, kind: SpanKind, attributes: Attributes) -> None:
        """Start the span, unless nothing is recorded, and create the context inside it."""
        ctx = otel_context.set_value(CALL_KEY, self, ctx)
        self.span: Span = INVALID_SPAN
        if not self.silent:
            try:
                self.span = self.signals.tracer.start_span(name, ctx, kind, attributes)
                ctx = set_span_in_context(self.span, ctx)
            except Exception as error:  # noqa: BLE001 - of a sampler; its attempts are recorded
                record_error("starting a span", error)
        self.context = ctx

    @property
    def awaits_logging(self) -> bool:
        """Whether this is a LiteLLM function, not a `Router`, without a logging object so far."""
        return self.logging is None and self.request.target.call_type != s.ROUTER_SPAN

    def next_attempt(self) -> int:
        """Return the number of the next attempt, starting at 1."""
        self._attempts += 1
        self._broke_with = None
        return self._attempts

    def stream_broke(self, error: BaseException) -> None:
        """Remember that an attempt's stream failed with `error`; LiteLLM may fall back."""
        if not self.ended:
            self._broke_with = error
            _broken[id(error)] = self

    def broke_with(self, error: Any) -> bool:
        """Whether the last attempt's stream failed with `error`."""
        return self._broke_with is error

    def fallback_attributes(self, request: Request) -> Attributes:
        """Return the fallback attributes if an attempt uses another model or model group."""
        tried = str(request.metadata.get("model_group") or request.arguments.get("model") or "")
        if not self.model or not tried or tried == self.model:
            return {}
        return {s.FALLBACK_FROM: self.model, s.FALLBACK_TO: tried}

    def result(self, value: Any) -> Any:
        """Return `value`; for a stream, the span stays open until the stream ends."""
        try:
            if issubclass(type(value), Stream):  # of an attempt: end together
                value.call_of_stream.then(self.end)
            elif is_stream(value):
                owner = getattr(value, OWNER, None)
                if owner is None:
                    return wrap_stream(value, self)
                owner.then(self.end)  # a pass-through stream
            else:
                self.end("success")
        except Exception as error:  # noqa: BLE001 - the caller must get its result
            record_error("reading a router's result", error)
            self.end("success")
        return value

    def streamed(
        self, how: str, stream: Any, chunks: list[Any], error: BaseException | None = None
    ) -> None:
        """End with the outcome of the stream."""
        self.end(STREAM_ENDS[how], None if error is None else to_failure(self, error))

    def fail(self, error: BaseException) -> None:
        """End with an exception, which propagates to the caller."""
        cancelled = isinstance(error, (asyncio.CancelledError, GeneratorExit))
        self.end("cancelled" if cancelled else "failure", to_failure(self, error))

    def end(self, outcome: Outcome, failure: Failure | None = None) -> None:
        """End the span, once."""
        if self.ended:
            return
        self.ended = True
        self._broke_with = None  # its traceback references the application's frames
        if outcome == "success" and self.failure is not None:
            outcome, failure = "failure", self.failure
        try:
            self.span.set_attributes(self.end_attributes(outcome, failure))
            if outcome == "failure" and failure is not None:
                set_failure(self.span, failure, event=False)
            self.span.end()
        except Exception as error:  # noqa: BLE001
            record_error("ending a router's span", error)
        # Break reference cycles, so that the request's data is freed without the collector.
        self.context, self.request = NOWHERE, self.request.without_arguments()
        self.logging = None

    def end_attributes(self, outcome: Outcome, failure: Failure | None) -> Attributes:
        """Return the attributes of a span that ends."""
        attributes: Attributes = {s.OUTCOME: outcome, s.ATTEMPTS: self._attempts}
        if outcome == "failure" and failure is not None:
            attributes[s.ERROR_TYPE] = failure.type
        return attributes


# `id()` of the exception that a stream failed with → router call. Built-in exceptions do not
# support weak references, and some exceptions are not hashable.
_broken: "WeakValueDictionary[int, RouterCall]" = WeakValueDictionary()


def broken_stream_of(error: Any) -> RouterCall | None:
    """Return the open router call whose attempt's stream failed with `error`, or None."""
    router = _broken.get(id(error))
    return router if router is not None and router.broke_with(error) else None
