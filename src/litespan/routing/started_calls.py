"""Records calls when they start, so that a call that hangs or dies is visible.

A snapshot of the span is built before the request is sent, and exported on a separate thread to
exporters that have `export_started(spans)`. Span processors and OTLP know finished spans only.
"""

from typing import TYPE_CHECKING, Any, Final

from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import Status

from litespan import semconv as s
from litespan.callbacks import draining
from litespan.callbacks.copying import copied
from litespan.callbacks.dispatcher import Dispatcher
from litespan.callbacks.handler import Handler
from litespan.callbacks.view import HandlerArguments, local_time
from litespan.genai.copying import changed
from litespan.genai.values import strings
from litespan.instrumentation.recorded_content import content_attributes
from litespan.instrumentation.stages import ENDS, Stage
from litespan.mapping.content import input_content
from litespan.mapping.request import Request
from litespan.offload.process import offload_spans
from litespan.routing.destinations import Destination
from litespan.routing.processor import Narrowing

if TYPE_CHECKING:
    from litespan.instrumentation.call import Call

_STARTS: Final = frozenset({s.EVENT_PRE})


class StartedCalls:
    """Sends the calls that start to one exporter."""

    def __init__(self, destination: Destination) -> None:
        self._name = destination.name
        self._narrowing = Narrowing(destination)
        self._exporter: Any = destination.exporter
        # Exporters that detect hanging calls need every end, even of calls that they do not export.
        self._needs_ends = hasattr(self._exporter, "export_ended")
        handler = Handler(
            None, {"pre": self._export, "success": self._end}, f"{destination.name}.started"
        )
        # One at a time, so that no end overtakes its start.
        self.dispatcher = Dispatcher(handler, concurrency=1)
        draining.register(self.dispatcher)

    def watch(self, call: "Call", ctx: Context) -> None:
        """Follow a call until its request is sent, or to its end if the exporter needs that."""
        if not call.span.is_recording() or self._name in strings(call.attributes, s.MUTE):
            return

        def listener(stage: Stage) -> None:
            first = stage.name == s.EVENT_PRE
            snapshot = Snapshot(call, content=first and call.record_content)
            queue = self.dispatcher.open_queue(snapshot, ctx)
            if queue is not None:
                name = s.EVENT_PRE if first else s.EVENT_SUCCESS
                self.dispatcher.dispatch(queue, Stage(name, 0, {}, None, {}, None))
                self.dispatcher.close_queue(queue)

        call.subscribe(listener, _STARTS | ENDS if self._needs_ends else _STARTS)

    def _export(self, kwargs: dict[str, Any]) -> None:
        span = self._narrowing.narrow(kwargs["snapshot"])
        if span is not None:
            self._exporter.export_started(offload_spans([span]))

    def _end(self, kwargs: dict[str, Any], *_: Any) -> None:
        self._exporter.export_ended([kwargs["snapshot"]])


class Snapshot:
    """A call before its request is sent."""

    asynchronous = False

    def __init__(self, call: "Call", *, content: bool) -> None:
        self._call = call
        self.call_id = call.call_id or ""
        self._arguments = copied(call.request.arguments) if content else None

    def keywords(self) -> dict[str, Any]:
        """See `View.keywords`: the span as a snapshot."""
        return {"snapshot": self._span(), "model": "", "messages": [], "litellm_params": {}}

    def arguments(self, stage: Stage) -> HandlerArguments:
        """See `View.arguments`: nothing more."""
        time = local_time(stage.time_ns)
        return HandlerArguments({}, {}, None, time, time)

    def _span(self) -> ReadableSpan:
        """The span without an end time, with the recorded attributes of the request."""
        call = self._call
        span: Any = call.span
        attributes = dict(call.attributes)
        if self.call_id:
            attributes[s.CALL_ID] = self.call_id
        if self._arguments is not None:
            content = input_content(Request(call.request.target, self._arguments))
            attributes.update(content_attributes(call.signals, content, attributes))
        return changed(
            span, attributes=attributes, events=(), links=(), status=Status(), end_time=None
        )
