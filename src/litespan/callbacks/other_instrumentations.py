"""GenAI spans of other instrumentations: handlers receive their start and end."""

from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span
from opentelemetry.trace import NonRecordingSpan, set_span_in_context

from litespan.background import process_exit
from litespan.callbacks.call_queue import CallQueue, running_loop
from litespan.callbacks.handler import StageName
from litespan.callbacks.response import response_of
from litespan.callbacks.stage_event import HandlerArguments, StageEvent, local_time
from litespan.counters import count
from litespan.genai import openai
from litespan.genai.span import GenAISpan, is_genai

if TYPE_CHECKING:
    from litespan.callbacks.callback import Callback

MAX_SPANS: Final = 10_000  # that have not ended; beyond it the oldest is given up
_FAILED: Final = frozenset({"cancelled", "failure"})


class ExternalCalls:
    """The calls of other instrumentations that one handler follows."""

    def __init__(self, callback: "Callback") -> None:
        self._callback = callback
        # By trace and span id; None for spans that are not delivered.
        self._queues: OrderedDict[tuple[int, int], CallQueue | None] = OrderedDict()

    def on_start(self, span: Span, parent: Context | None, *, inside: bool) -> None:
        """Follow a span that starts, if its attributes already show that it is a call.

        A span that is `inside` a LiteLLM call duplicates that call and is not delivered.
        """
        queue: CallQueue | None = None
        if not inside:
            read = GenAISpan.read(span) if is_genai(span) else None
            if read is None or not read.is_call:
                return
            queue = self._open_queue(read, set_span_in_context(span, parent))
        self._queues[_key(span)] = queue
        if len(self._queues) > MAX_SPANS:
            _, oldest = self._queues.popitem(last=False)
            if oldest is not None:
                self._callback.dispatcher.close_queue(oldest)
                count(f"callbacks.{self._callback.handler.name}.given_up")

    def on_end(self, span: ReadableSpan) -> None:
        """Deliver the end of a span; also its start, if only its end shows that it is a call."""
        key = _key(span)
        known = key in self._queues
        queue = self._queues.pop(key, None)
        if known and queue is None:
            return
        read = GenAISpan.read(span) if known or is_genai(span) else None
        if read is None or not read.is_call:
            if queue is not None:
                self._callback.dispatcher.close_queue(queue)
            return
        if queue is None and span.context is not None:
            queue = self._open_queue(read, set_span_in_context(NonRecordingSpan(span.context)))
        if queue is not None:
            failed = read.call.outcome in _FAILED
            self._dispatch(queue, "failure" if failed else "success", read)

    def _open_queue(self, read: GenAISpan, ctx: Context) -> CallQueue | None:
        process_exit.arm()
        asynchronous = running_loop() is not None
        queue = self._callback.dispatcher.open_queue(SpanView(read), ctx, asynchronous=asynchronous)
        if queue is not None:
            self._dispatch(queue, "pre", read)
        return queue

    def _dispatch(self, queue: CallQueue, stage: StageName, read: GenAISpan) -> None:
        dispatcher = self._callback.dispatcher
        wanted = self._callback.handler.method(stage, asynchronous=queue.asynchronous) is not None
        last = stage != "pre"
        if wanted:
            time_ns = read.end_ns if last and read.end_ns is not None else read.start_ns
            dispatcher.dispatch(queue, StageEvent(stage, time_ns, {}, read, {}), last=last)
        elif last:
            dispatcher.close_queue(queue)


def _key(span: ReadableSpan) -> tuple[int, int]:
    context = span.context
    return (context.trace_id, context.span_id) if context is not None else (0, 0)


class SpanView:
    """A call that is known only by its span."""

    def __init__(self, span: GenAISpan) -> None:
        self.call_id = span.call.id or str(span.key)

    def keywords(self) -> dict[str, Any]:
        """See `View.keywords`: only the id, since attributes may still change."""
        return {"litellm_call_id": self.call_id, "litellm_params": {"model_info": {}}}

    def arguments(self, event: StageEvent) -> HandlerArguments:
        """See `View.arguments`: what the attributes state at that stage."""
        span: GenAISpan = event.payload
        start, end = local_time(span.start_ns), local_time(event.time_ns)
        parameters = openai.parameters(span)
        added: dict[str, Any] = {
            **parameters,
            "model": span.request.model or span.model or "",
            "messages": openai.sent(span) or [],
            "user": span.identity.user,
            "stream": span.request.stream,
            "call_type": span.operation,
            "custom_llm_provider": span.provider,
            "optional_params": dict(parameters),
            "start_time": start,
        }
        metadata = {"metadata": dict(span.identity.metadata)}
        if event.stage == "pre":
            return HandlerArguments(added, metadata, None, start, end)
        added["end_time"] = end
        if event.stage == "failure":
            error = span.error
            text = (error.message or error.type) if error is not None else "cancelled"
            added["exception"] = SpanError(text)
            added["traceback_exception"] = text
            added["response_cost"] = 0.0
            return HandlerArguments(added, metadata, None, start, end)
        if span.cost.total is not None:
            added["response_cost"] = span.cost.total
        return HandlerArguments(added, metadata, response_of(span), start, end)


class SpanError(Exception):
    """The error that a span states."""
