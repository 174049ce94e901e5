"""The parent of a call's attempts: LiteLLM's router, retries and fallbacks."""

import asyncio
from types import TracebackType
from typing import Any
from weakref import WeakValueDictionary

from opentelemetry import context as otel_context
from opentelemetry.context import Context
from opentelemetry.trace import (
    INVALID_SPAN,
    Span,
    SpanKind,
    Status,
    StatusCode,
    set_span_in_context,
)

from litespan import semconv as s
from litespan.background.garbage_collection import outside_collection
from litespan.errors import record_error
from litespan.instrumentation.call_end import failed
from litespan.instrumentation.custom_provider import caller_of
from litespan.instrumentation.signals import Signals
from litespan.instrumentation.state import CALL_KEY, OWNER, STREAM_ENDS, Outcome
from litespan.instrumentation.stream import Stream, is_stream, wrap_stream
from litespan.mapping.failures import Failure
from litespan.mapping.request import Attributes, Request


class RouterCall:
    """One call of the user's that LiteLLM may try several times.

    Its span is structure: INTERNAL, without operation, tokens or cost, so that sums over
    GenAI spans are right. Each attempt is a `Call` under it.
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
        "request",
        "signals",
        "silent",
        "span",
        "within",
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
        """Start the span under `ctx` and make the context for the attempts."""
        outer: Any = ctx.get(CALL_KEY)
        self.within = None if outer is None else caller_of(outer)
        ctx = otel_context.set_value(CALL_KEY, self, ctx)
        self.span: Span = INVALID_SPAN
        if not self.silent:
            self.span = self.signals.tracer.start_span(
                f"{s.ROUTER_SPAN} {self.model}".strip(),
                ctx,
                SpanKind.INTERNAL,
                {s.CALL_TYPE: self.request.target.call_type, s.MODEL_GROUP: self.model},
            )
            ctx = set_span_in_context(self.span, ctx)
        self.context = ctx

    @property
    def awaits_logging(self) -> bool:
        """Whether a LiteLLM function, not a `Router`, was called and has not set up yet."""
        return self.logging is None and self.request.target.call_type != s.ROUTER_SPAN

    def next_attempt(self) -> int:
        """The number of the attempt that is about to start, from 1."""
        self._attempts += 1
        self._broke_with = None
        return self._attempts

    def stream_broke(self, error: BaseException) -> None:
        """An attempt's stream broke with `error`: LiteLLM may fall back because of it."""
        if not self.ended:
            self._broke_with = error
            _broken[id(error)] = self

    def broke_with(self, error: Any) -> bool:
        """Whether `error` is what the last attempt's stream broke with."""
        return self._broke_with is error

    def fallback_attributes(self, request: Request) -> Attributes:
        """From what to what an attempt of another model or model group fell back."""
        tried = str(request.metadata.get("model_group") or request.arguments.get("model") or "")
        if not self.model or not tried or tried == self.model:
            return {}
        return {s.FALLBACK_FROM: self.model, s.FALLBACK_TO: tried}

    def __enter__(self) -> "RouterCall":
        self._token = otel_context.attach(self.context)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is not GeneratorExit:
            otel_context.detach(self._token)
        if error is not None:
            outside_collection(self.fail, error)

    def result(self, value: Any) -> Any:
        """`value`; if it is a stream, the span stays open until the stream has ended."""
        try:
            if issubclass(type(value), Stream):  # an attempt's own: it ends when that ends
                value.call_of_stream.then(self.end)
            elif is_stream(value):
                owner = getattr(value, OWNER, None)
                if owner is None:
                    return wrap_stream(value, self)
                owner.then(self.end)  # a stream that is passed through
            else:
                self.end("success")
        except Exception as error:  # noqa: BLE001 - the result is the caller's whatever happens
            record_error("reading a router's result", error)
            self.end("success")
        return value

    def streamed(
        self, how: str, stream: Any, chunks: list[Any], error: BaseException | None = None
    ) -> None:
        """End as the stream did."""
        self.end(STREAM_ENDS[how], None if error is None else failed(self, error))

    def fail(self, error: BaseException) -> None:
        """End with an exception, which goes on to the caller."""
        cancelled = isinstance(error, (asyncio.CancelledError, GeneratorExit))
        self.end("cancelled" if cancelled else "failure", failed(self, error))

    def end(self, outcome: Outcome, failure: Failure | None = None) -> None:
        """End the span, once."""
        if self.ended:
            return
        self.ended = True
        self._broke_with = None  # its traceback holds the application's frames
        if outcome == "success" and self.failure is not None:
            outcome, failure = "failure", self.failure
        try:
            self.span.set_attributes({s.OUTCOME: outcome, s.ATTEMPTS: self._attempts})
            if outcome == "failure" and failure is not None:
                self.span.set_attribute(s.ERROR_TYPE, failure.type)
                self.span.set_status(Status(StatusCode.ERROR, failure.message or failure.type))
            self.span.end()
        except Exception as error:  # noqa: BLE001
            record_error("ending a router's span", error)


# Routers by the id of the exception that a stream broke with. Built-in exceptions take no weak
# references, and some exceptions cannot be hashed.
_broken: "WeakValueDictionary[int, RouterCall]" = WeakValueDictionary()


def broken_stream_of(error: Any) -> RouterCall | None:
    """The router call whose attempt's stream broke with `error`, if it has not ended."""
    router = _broken.get(id(error))
    return router if router is not None and router.broke_with(error) else None
