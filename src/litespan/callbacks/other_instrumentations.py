"""GenAI spans of other instrumentations: handlers receive their start and end."""

from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span
from opentelemetry.trace import NonRecordingSpan, set_span_in_context

from litespan.background import process_exit
from litespan.callbacks.call_queue import CallQueue, running_loop
from litespan.callbacks.dispatcher import Dispatcher
from litespan.callbacks.handler import STAGE_ROWS, StageName
from litespan.callbacks.span_view import SpanView
from litespan.callbacks.view import Receipt
from litespan.counters import count
from litespan.genai.span import GenAISpan, is_genai
from litespan.instrumentation.stages import Stage
from litespan.mapping.targets import TARGETS

if TYPE_CHECKING:
    from litespan.callbacks.callback import Callback

MAX_SPANS: Final = 10_000  # that have not ended; beyond it the oldest is given up
_FAILED: Final = frozenset({"cancelled", "failure"})
_ASYNC: Final = frozenset(target.call_type for target in TARGETS if target.asynchronous)


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
            stage = _stage("failure" if failed else "success", read, span)
            self._callback.dispatcher.dispatch(queue, stage)

    def _open_queue(self, read: GenAISpan, ctx: Context) -> CallQueue | None:
        process_exit.arm()
        view = SpanView(read, asynchronous=running_loop() is not None)
        queue = self._callback.dispatcher.open_queue(view, ctx)
        if queue is not None:
            self._callback.dispatcher.dispatch(queue, _stage("pre", read))
        return queue


def deliver_late(dispatcher: Dispatcher, span: ReadableSpan, receipt: Receipt) -> bool:
    """Deliver the end of a call of a process that has ended. False if that is not possible now."""
    read = GenAISpan.read(span)
    stage = _end_of(read) if read is not None else None
    asynchronous = read is not None and read.call.type in _ASYNC
    if (
        read is None
        or stage is None
        or dispatcher.handler.method(stage, asynchronous=asynchronous) is None
    ):
        receipt.delivered()  # there is nothing to deliver
        return True
    if span.context is None or not dispatcher.is_ready(asynchronous=asynchronous):
        return False
    process_exit.arm()
    ctx = set_span_in_context(NonRecordingSpan(span.context))
    queue = dispatcher.open_queue(SpanView(read, asynchronous=asynchronous), ctx)
    if queue is None:
        return False
    queue.home = dispatcher.home if asynchronous else None
    queue.receipt = receipt
    dispatcher.dispatch(queue, _stage(stage, read))
    return True


def _end_of(read: GenAISpan) -> StageName:
    stages = {stage.name for stage in read.stages}
    if "success" in stages:  # also of a stream that the caller has abandoned
        return "success"
    return "failure" if "failure" in stages or read.call.outcome in _FAILED else "success"


def _stage(name: StageName, read: GenAISpan, span: ReadableSpan | None = None) -> Stage:
    time_ns = read.end_ns if name != "pre" and read.end_ns is not None else read.start_ns
    return Stage(STAGE_ROWS[name].event, time_ns, {}, read, {}, span)


def _key(span: ReadableSpan) -> tuple[int, int]:
    context = span.context
    return (context.trace_id, context.span_id) if context is not None else (0, 0)
