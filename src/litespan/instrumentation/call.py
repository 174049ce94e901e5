"""One LiteLLM call in progress: one GenAI span, which ends exactly once."""

import asyncio
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.context import Context
from opentelemetry.trace import INVALID_SPAN, SpanKind

from litespan import semconv as s
from litespan.errors import record_error
from litespan.instrumentation import call_end
from litespan.instrumentation.call_tracer import CURRENT_SPAN
from litespan.instrumentation.custom_provider import caller_of, without_usage
from litespan.instrumentation.deferred_answer import UnreadAnswer, defer_answer
from litespan.instrumentation.remote_client import CLIENT_KEY
from litespan.instrumentation.signals import Signals
from litespan.instrumentation.span import CallSpan
from litespan.instrumentation.stages import StagedCall, Watchers, notify_watchers
from litespan.instrumentation.state import (
    CALL_KEY,
    NOWHERE,
    OWNER,
    STREAM_ENDS,
    ContextScope,
    Outcome,
)
from litespan.instrumentation.stream import is_stream, wrap_stream
from litespan.instrumentation.stream_end import read_end
from litespan.instrumentation.suppression import suppressing
from litespan.mapping.failures import Failure
from litespan.mapping.request import Attributes, Request
from litespan.mapping.response import Answer, hidden_params, read_answer

if TYPE_CHECKING:
    from litespan.instrumentation.router_call import RouterCall

_NONE: Final[frozenset[str]] = frozenset()


class Call(StagedCall, ContextScope):
    """One provider call, from the call of LiteLLM's function to the end of its result.

    The OpenTelemetry context holds it under `CALL_KEY`: a `SpanProcessor` gets it in
    `on_start(span, parent_context)` with `current(parent_context)`.
    """

    keeps_chunks = True
    _on_end: "Callable[[Outcome, Failure | None], None] | None" = None

    def __init__(
        self,
        signals: Signals,
        request: Request,
        attributes: Attributes,
        *,
        parent: "RouterCall | None" = None,
        silent: bool = False,
        record_content: bool = False,
    ) -> None:
        self.signals = signals
        self.request = request
        self.attributes = attributes
        self.parent = parent
        self.silent = silent
        self.record_content = record_content
        # Python stores attributes that the first calls do not have in a slower way.
        self.view, self.listeners, self.needed = None, (), _NONE
        if parent is not None:
            self.attempt = attributes[s.ATTEMPT] = parent.next_attempt()

    def start(self, ctx: Context) -> None:
        """Start the span under `ctx` and create the context for code that runs inside."""
        client: Any = ctx.get(CLIENT_KEY)
        if client is not None:
            client.called = True
        outer: Any = ctx.get(CALL_KEY)
        if outer is not None:
            self.outer_call = caller_of(outer)
            if self.outer_call is not None:
                self.outer_call.inner_calls += 1
        ctx = Context({**ctx, CALL_KEY: self})
        self.started_ns = time.time_ns()
        self.started = time.perf_counter()
        self.span = INVALID_SPAN
        signals = self.signals
        if not self.silent:
            try:
                span: Any = signals.tracer.start_call(
                    self.request.called.span_name,
                    ctx,
                    SpanKind.CLIENT,
                    self.attributes,
                    self.started_ns,
                )
                if signals.stages_on_span:
                    self._add_event = span.note if type(span) is CallSpan else span.add_event
                self.span = span
                ctx = Context({**ctx, CURRENT_SPAN: span})
            except Exception as error:  # noqa: BLE001 - of a sampler; handlers still get the call
                record_error("starting a span", error)
        self.context = suppressing(ctx) if signals.settings.suppress_nested else ctx
        if Watchers.all and not self.silent:
            notify_watchers(self)

    def result(self, value: Any) -> Any:
        """Return what the caller receives: `value`, or a proxy if `value` is a stream."""
        if self.ended:
            return value
        try:
            hidden = hidden_params(value)
            if is_stream(value):
                self.stage(s.EVENT_POST, call_end.post_attributes(hidden))
                return wrap_stream(value, self)
            time_ns = time.time_ns()
            unread = defer_answer(self, value, hidden)
            if unread is not None:
                self.stage(s.EVENT_POST, unread.post, value, time_ns)
                self.report_failure(None)
                self.end("success", {}, answer=unread)
                return value
            post = call_end.post_attributes(hidden)
            self.stage(s.EVENT_POST, post, value)
            answer = read_answer(self.request, value, hidden)
            attributes = call_end.answered_attributes(self, answer, post)
            failure = None if answer.error is None else call_end.to_failure(self, answer.error)
            self.report_failure(failure)
            outcome: Outcome = "success" if failure is None else "failure"
            self.end(outcome, attributes, answer=answer, failure=failure)
        except Exception as error:  # noqa: BLE001 - the caller must get its result
            record_error("reading a result", error)
            self.end("success", {}, answer=Answer(value, {}, (), None, {}))
        return value

    def streamed(
        self, how: str, stream: Any, chunks: list[Any], error: BaseException | None = None
    ) -> None:
        """End with the chunks that a stream produced; `how` is a key of `STREAM_ENDS`."""
        if self.ended:
            return
        end = read_end(self, how, stream, chunks, error)
        outcome = STREAM_ENDS[end.how]
        self.report_failure(end.failure if outcome == "failure" else None)
        if error is not None and self.parent is not None:
            self.parent.stream_broke(error)
        self.end(
            outcome,
            end.attributes,
            answer=end.answer,
            failure=end.failure,
            chunks=len(chunks),
        )

    def report_failure(self, failure: Failure | None) -> None:
        """Report the failure of an answer, or None, to the router call and the proxy request.

        They may see no exception: a stream can end with an error event, or without a finish
        reason.
        """
        client: Any = self.context.get(CLIENT_KEY)
        if client is not None:
            client.failure = failure
        if self.parent is not None:
            self.parent.failure = failure

    def fail(self, error: BaseException) -> None:
        """End with an exception, which propagates to the caller."""
        if self.ended:
            return
        failure = call_end.to_failure(self, error)
        where: Attributes = {}
        try:
            where = call_end.failed_server_attributes(self)
            if failure.code is not None:
                self.stage(s.EVENT_POST, call_end.refusal_attributes(failure))
        except Exception as problem:  # noqa: BLE001
            record_error("reading a failure", problem)
        cancelled = isinstance(error, (asyncio.CancelledError, GeneratorExit))
        self.end("cancelled" if cancelled else "failure", where, failure=failure)

    def end(
        self,
        outcome: Outcome,
        attributes: Attributes,
        *,
        answer: Answer | UnreadAnswer | None = None,
        failure: Failure | None = None,
        chunks: int = 0,
    ) -> None:
        """End the span, once; an unread answer has the attributes."""
        if self.ended:
            return
        self.ended = True
        if self.outer_call is not None and outcome == "failure":
            self.outer_call.inner_calls -= 1
        if self.inner_calls:
            attributes = without_usage(attributes)
        try:
            if outcome == "failure":
                self.announce(self.started_ns)
            if isinstance(answer, UnreadAnswer):
                call_end.measure(self, answer.attributes)
            else:
                call_end.record_end(
                    self, outcome, attributes, answer=answer, failure=failure, chunks=chunks
                )
        except Exception as error:  # noqa: BLE001
            record_error("reporting the end of a call", error)
        try:
            if failure is None:
                success = call_end.success_attributes(attributes)
                own = answer.success if isinstance(answer, UnreadAnswer) else success
                self.stage(s.EVENT_SUCCESS, own, answer)
            else:
                self.stage(s.EVENT_FAILURE, {s.ERROR_TYPE: failure.type}, failure)
        except Exception as error:  # noqa: BLE001
            record_error("noting the end of a call", error)
        finally:  # KeyboardInterrupt may occur in an inline handler
            self._end_span()
        if self._on_end is not None:
            self._on_end(outcome, failure)

    def _end_span(self) -> None:
        try:
            self.span.end(self.end_ns)
        except Exception as error:  # noqa: BLE001 - the application's span processors may raise
            record_error("ending a span", error)
        self._release()

    def _release(self) -> None:
        """Break reference cycles, so that messages and answer are freed without the collector."""
        if self.listeners:
            self.listeners = ()
        self.context = NOWHERE
        self.outer_call = self.view = None
        if self.logging is not None:
            setattr(self.logging, OWNER, self.parent)

    def then(self, after: "Callable[[Outcome, Failure | None], None]") -> None:
        """Call `after(outcome, failure)` when the span has ended."""
        self._on_end = after
