"""One live LiteLLM call: one GenAI span, which ends exactly once."""

import asyncio
import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final

from opentelemetry import context as otel_context
from opentelemetry.context import Context
from opentelemetry.trace import INVALID_SPAN, SpanKind, set_span_in_context

from litespan import semconv as s
from litespan.background.garbage_collection import outside_collection
from litespan.errors import record_error
from litespan.instrumentation import call_end
from litespan.instrumentation.custom_provider import caller_of, without_usage
from litespan.instrumentation.remote_client import CLIENT_KEY
from litespan.instrumentation.signals import Signals
from litespan.instrumentation.stages import Listener, Stage, Watchers, log, show, tell
from litespan.instrumentation.state import CALL_KEY, OWNER, STREAM_ENDS, CallState, Outcome
from litespan.instrumentation.stream import is_stream, wrap_stream
from litespan.instrumentation.suppression import suppressing
from litespan.mapping.failures import Failure, is_cut_off
from litespan.mapping.request import Attributes, Request
from litespan.mapping.response import Answer, hidden_params, read_answer

if TYPE_CHECKING:
    from litespan.instrumentation.router_call import RouterCall

_NOWHERE: Final = Context()


class Call(CallState):
    """One provider call, from the call of LiteLLM's function to the end of its result.

    It travels in the OpenTelemetry context under `CALL_KEY`, so that a `SpanProcessor` finds
    it in `on_start(span, parent_context)` with `current(parent_context)`.
    """

    keeps_chunks = True
    _listeners: tuple[Listener, ...] = ()
    _announced = False
    _after: "Callable[[Outcome, Failure | None], None] | None" = None

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
        if parent is not None:
            self.attempt = attributes[s.ATTEMPT] = parent.next_attempt()

    def start(self, ctx: Context) -> None:
        """Start the span under `ctx` and make the context for what runs inside."""
        client: Any = ctx.get(CLIENT_KEY)
        if client is not None:
            client.called = True
        outer: Any = ctx.get(CALL_KEY)
        if outer is not None:
            self.within = caller_of(outer)
            if self.within is not None:
                self.within.delegated += 1
        ctx = otel_context.set_value(CALL_KEY, self, ctx)
        self.started_ns = time.time_ns()
        self.started = time.perf_counter()
        self.span = INVALID_SPAN
        if not self.silent:
            self.span = self.signals.tracer.start_span(
                self.request.called.span_name,
                ctx,
                SpanKind.CLIENT,
                self.attributes,
                start_time=self.started_ns,
            )
            ctx = set_span_in_context(self.span, ctx)
        self.context = suppressing(ctx) if self.signals.settings.suppress_nested else ctx
        if Watchers.all and not self.silent:
            show(self)

    # --- between start and end ----------------------------------------------------

    def __enter__(self) -> "Call":
        self._token = otel_context.attach(self.context)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # A coroutine that is thrown away is closed in whatever context collects it.
        if kind is not GeneratorExit:
            otel_context.detach(self._token)
        if error is not None:
            outside_collection(self.fail, error)

    def result(self, value: Any) -> Any:
        """What the caller gets: `value`, or a stream that looks and acts like it."""
        if self.ended:
            return value
        try:
            hidden = hidden_params(value)
            streaming = is_stream(value)
            post = call_end.post_attributes(hidden)
            self.stage(s.EVENT_POST, post, None if streaming else value)
            if streaming:
                return wrap_stream(value, self)
            answer = read_answer(self.request, value, hidden)
            attributes = call_end.answered(self, answer, post)
            failure = None if answer.error is None else call_end.failed(self, answer.error)
            self.answered(failure)
            outcome: Outcome = "success" if failure is None else "failure"
            self.end(outcome, attributes, answer=answer, failure=failure)
        except Exception as error:  # noqa: BLE001 - the result is the caller's whatever happens
            record_error("reading a result", error)
            self.end("success", {}, answer=Answer(value, {}, (), None, {}))
        return value

    # --- who looks on ---------------------------------------------------------------

    def subscribe(self, listener: Listener, *, chunks: bool = False) -> None:
        """Tell `listener` every stage from now on, on the thread where it happens.

        The chunks of a stream are among them with `chunks`, if it has not begun yet.
        """
        self._listeners = (*self._listeners, listener)
        if chunks:
            self.chunk_listeners = (*self.chunk_listeners, listener)

    def announce(self, time_ns: int) -> None:
        """The stage before the provider is called: once, at the first of LiteLLM's signs."""
        if not self._announced:
            self._announced = True
            self._note(s.EVENT_PRE, {s.ATTEMPT: self.attempt}, None, time_ns)

    def stage(self, name: str, attributes: Attributes, payload: Any = None) -> None:
        """Note that a stage was reached now."""
        if not self._announced:
            self.announce(self.started_ns)
        self._note(name, attributes, payload, self.end_ns or time.time_ns())

    def _note(self, name: str, attributes: Attributes, payload: Any, time_ns: int) -> None:
        if self.silent:
            return
        signals = self.signals
        try:
            if signals.stages_on_span:
                self.span.add_event(name, attributes, time_ns)
            if signals.stages_on_log:
                log(self, name, attributes, time_ns)
        except Exception as error:  # noqa: BLE001
            record_error(f"noting {name}", error)
        if self._listeners:
            tell(Stage(name, self, time_ns, attributes, payload), self._listeners)

    # --- the ends -------------------------------------------------------------------

    def streamed(
        self, how: str, stream: Any, chunks: list[Any], error: BaseException | None = None
    ) -> None:
        """End with what a stream brought until it ended; `how` is one of `STREAM_ENDS`."""
        if self.ended:
            return
        answer: Answer | None = None
        attributes: Attributes = {}
        try:
            answer, finished, attributes = call_end.streamed(self, stream, chunks)
            if answer.error is not None:  # whatever the reader did then
                how = "error"
            elif not finished and (how == "complete" or (how == "error" and is_cut_off(error))):
                how = "dropped"
        except Exception as problem:  # noqa: BLE001
            record_error("reading a stream", problem)
        client: Any = self.context.get(CLIENT_KEY)
        if client is not None and client.gone and STREAM_ENDS[how] == "abandoned":
            how = "cancelled"
        attributes[s.STREAM_END] = how
        if self.chunks_left_out:
            attributes[s.STREAM_CHUNKS_LEFT_OUT] = self.chunks_left_out
        failure = call_end.why(self, how, answer, error)
        self.answered(failure if STREAM_ENDS[how] == "failure" else None)
        if error is not None and self.parent is not None:
            self.parent.stream_broke(error)
        self.end(STREAM_ENDS[how], attributes, answer=answer, failure=failure, chunks=len(chunks))

    def answered(self, failure: Failure | None) -> None:
        """Tell the request and the router call above how an answer ended.

        They may see no exception: a stream can end with an error event, or without an end.
        """
        client: Any = self.context.get(CLIENT_KEY)
        if client is not None:
            client.failure = failure
        if self.parent is not None:
            self.parent.failure = failure

    def fail(self, error: BaseException) -> None:
        """End with an exception, which goes on to the caller."""
        if self.ended:
            return
        failure = call_end.failed(self, error)
        where: Attributes = {}
        try:
            where = call_end.where_it_failed(self)
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
        answer: Answer | None = None,
        failure: Failure | None = None,
        chunks: int = 0,
    ) -> None:
        """End the span, once."""
        if self.ended:
            return
        self.ended = True
        if self.within is not None and outcome == "failure":
            self.within.delegated -= 1
        if self.delegated:
            attributes = without_usage(attributes)
        try:
            if outcome == "failure":
                self.announce(self.started_ns)
            call_end.tell_end(
                self, outcome, attributes, answer=answer, failure=failure, chunks=chunks
            )
        except Exception as error:  # noqa: BLE001
            record_error("telling the end of a call", error)
        try:
            if failure is None:
                self.stage(s.EVENT_SUCCESS, call_end.success_attributes(attributes), answer)
            else:
                self.stage(s.EVENT_FAILURE, {s.ERROR_TYPE: failure.type}, failure)
        except Exception as error:  # noqa: BLE001
            record_error("noting the end of a call", error)
        finally:  # Ctrl-C may come while a handler is told inline
            try:
                self.span.end(self.end_ns)
            except Exception as error:  # noqa: BLE001 - a span processor of the application's
                record_error("ending a span", error)
            self._let_go()
        if self._after is not None:
            self._after(outcome, failure)

    def _let_go(self) -> None:
        """Let go of all that holds the call: messages and answer go without the collector."""
        if self._listeners:
            self._listeners = self.chunk_listeners = ()
        self.context = _NOWHERE
        self.within = None
        if self.logging is not None:
            setattr(self.logging, OWNER, self.parent)

    def then(self, after: "Callable[[Outcome, Failure | None], None]") -> None:
        """Call `after(outcome, failure)` when the span has ended."""
        self._after = after
