"""Records calls when they start, so that a call that hangs or dies is visible.

A snapshot of the span is built before the request is sent, and exported on a separate thread to
exporters that have `export_started(spans)`. Span processors and OTLP know finished spans only.
"""

from typing import TYPE_CHECKING, Any

from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import Status

from litespan import semconv as s
from litespan.callbacks import draining
from litespan.callbacks.callback import LAST
from litespan.callbacks.copying import copied
from litespan.callbacks.dispatcher import Dispatcher
from litespan.callbacks.handler import Handler, StageName
from litespan.callbacks.stage_event import HandlerArguments, StageEvent, local_time
from litespan.genai.copying import changed
from litespan.genai.values import strings
from litespan.instrumentation.recorded_content import content_attributes
from litespan.instrumentation.stages import Stage
from litespan.mapping.content import input_content
from litespan.mapping.request import Request
from litespan.offload.process import offload_spans
from litespan.routing.destinations import Destination
from litespan.routing.processor import Narrowing

if TYPE_CHECKING:
    from litespan.instrumentation.call import Call


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
            if stage.name == s.EVENT_PRE:
                self._dispatch("pre", Snapshot(call, content=call.record_content), ctx)
            elif self._needs_ends and stage.name in LAST:
                self._dispatch("success", Snapshot(call, content=False), ctx)

        call.subscribe(listener)

    def _dispatch(self, stage: StageName, snapshot: "Snapshot", ctx: Context) -> None:
        queue = self.dispatcher.open_queue(snapshot, ctx, asynchronous=False)
        if queue is not None:
            self.dispatcher.dispatch(queue, StageEvent(stage, 0, {}, None, {}), last=True)

    def _export(self, kwargs: dict[str, Any]) -> None:
        span = self._narrowing.narrow(kwargs["snapshot"])
        if span is not None:
            self._exporter.export_started(offload_spans([span]))

    def _end(self, kwargs: dict[str, Any], *_: Any) -> None:
        self._exporter.export_ended([kwargs["snapshot"]])


class Snapshot:
    """A call before its request is sent."""

    def __init__(self, call: "Call", *, content: bool) -> None:
        self._call = call
        self.call_id = call.call_id or ""
        self._arguments = copied(call.request.arguments) if content else None

    def keywords(self) -> dict[str, Any]:
        """See `View.keywords`: the snapshot."""
        span = self.span()
        return {"snapshot": span, "model": "", "messages": [], "litellm_params": {}}

    def arguments(self, event: StageEvent) -> HandlerArguments:
        """See `View.arguments`: nothing more."""
        time = local_time(event.time_ns)
        return HandlerArguments({}, {}, None, time, time)

    def span(self) -> ReadableSpan:
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
