"""GenAI spans of other instrumentations, as calls that handlers see at their start and end."""

from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span
from opentelemetry.trace import NonRecordingSpan, set_span_in_context

from litespan.background import process_exit
from litespan.callbacks.call_queue import Lane, running_loop
from litespan.callbacks.handler import StageName
from litespan.callbacks.response import response_of
from litespan.callbacks.stage_event import Moment, Shown, local_time
from litespan.counters import count
from litespan.genai import openai
from litespan.genai.span import GenAISpan, is_genai

if TYPE_CHECKING:
    from litespan.callbacks.callback import Callback

MOST: Final = 10_000  # spans that have started and not ended; then the oldest is given up
_FAILED: Final = frozenset({"cancelled", "failure"})


class ForeignCalls:
    """Those that one handler follows."""

    def __init__(self, callback: "Callback") -> None:
        self._callback = callback
        # By trace and span id; None for those that are not to be told.
        self._lanes: OrderedDict[tuple[int, int], Lane | None] = OrderedDict()

    def started(self, span: Span, parent: Context | None, *, inside: bool) -> None:
        """A span has started; what its attributes say so far may not be much.

        `inside` a call of LiteLLM's it is that call, or a part of it: not to be told.
        """
        lane: Lane | None = None
        if not inside:
            read = GenAISpan.read(span) if is_genai(span) else None
            if read is None or not read.is_call:
                return
            lane = self._begin(read, set_span_in_context(span, parent))
        self._lanes[_key(span)] = lane
        if len(self._lanes) > MOST:
            _, oldest = self._lanes.popitem(last=False)
            if oldest is not None:
                self._callback.delivery.end(oldest)
                count(f"callbacks.{self._callback.handler.name}.given_up")

    def ended(self, span: ReadableSpan) -> None:
        """A span has ended: if only now it shows that it is a call's, it has started, too."""
        key = _key(span)
        known = key in self._lanes
        lane = self._lanes.pop(key, None)
        if known and lane is None:
            return
        read = GenAISpan.read(span) if known or is_genai(span) else None
        if read is None or not read.is_call:
            if lane is not None:
                self._callback.delivery.end(lane)
            return
        if lane is None and span.context is not None:
            lane = self._begin(read, set_span_in_context(NonRecordingSpan(span.context)))
        if lane is not None:
            failed = read.call.outcome in _FAILED
            self._put(lane, "failure" if failed else "success", read)

    def _begin(self, read: GenAISpan, ctx: Context) -> Lane | None:
        process_exit.arm()
        asynchronous = running_loop() is not None
        lane = self._callback.delivery.begin(SpanView(read), ctx, asynchronous=asynchronous)
        if lane is not None:
            self._put(lane, "pre", read)
        return lane

    def _put(self, lane: Lane, stage: StageName, read: GenAISpan) -> None:
        delivery = self._callback.delivery
        wanted = self._callback.handler.method(stage, asynchronous=lane.asynchronous) is not None
        last = stage != "pre"
        if wanted:
            time_ns = read.end_ns if last and read.end_ns is not None else read.start_ns
            delivery.put(lane, Moment(stage, time_ns, {}, read, {}), last=last)
        elif last:
            delivery.end(lane)


def _key(span: ReadableSpan) -> tuple[int, int]:
    context = span.context
    return (context.trace_id, context.span_id) if context is not None else (0, 0)


class SpanView:
    """A call of which there is only the span."""

    def __init__(self, span: GenAISpan) -> None:
        self.call_id = span.call.id or str(span.key)

    def keywords(self) -> dict[str, Any]:
        """What does not come from attributes, which may still change."""
        return {"litellm_call_id": self.call_id, "litellm_params": {"model_info": {}}}

    def show(self, moment: Moment) -> Shown:
        """What the attributes say by then."""
        span: GenAISpan = moment.payload
        start, end = local_time(span.start_ns), local_time(moment.time_ns)
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
        if moment.stage == "pre":
            return Shown(added, metadata, None, start, end)
        added["end_time"] = end
        if moment.stage == "failure":
            error = span.error
            text = (error.message or error.type) if error is not None else "cancelled"
            added["exception"] = SpanError(text)
            added["traceback_exception"] = text
            added["response_cost"] = 0.0
            return Shown(added, metadata, None, start, end)
        if span.cost.total is not None:
            added["response_cost"] = span.cost.total
        return Shown(added, metadata, response_of(span), start, end)


class SpanError(Exception):
    """What a span says of the error that its call ended with."""
