"""Calls that have only started, put on record: one that hangs, or dies, leaves a trace.

A snapshot of the span is built before the request is sent and given to exporters that have
`export_started(spans)`, from a thread of their own; never through a span processor or OTLP,
which know finished spans only.
"""

from typing import TYPE_CHECKING, Any

from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan

from litespan import semconv as s
from litespan.callbacks import draining
from litespan.callbacks.callback import LAST
from litespan.callbacks.copying import copied
from litespan.callbacks.dispatcher import Dispatcher
from litespan.callbacks.handler import Handler, StageName
from litespan.callbacks.stage_event import HandlerArguments, StageEvent, local_time
from litespan.instrumentation.recorded_content import content_attributes
from litespan.instrumentation.stages import Stage
from litespan.mapping.content import input_content
from litespan.mapping.request import Request
from litespan.offload.process import prepared
from litespan.routing.destinations import Destination
from litespan.routing.processor import Narrowing, is_muted

if TYPE_CHECKING:
    from litespan.instrumentation.call import Call


class StartedCalls:
    """Tells one exporter of the calls that start."""

    def __init__(self, destination: Destination) -> None:
        self._name = destination.name
        self._narrowed = Narrowing(destination)
        self._exporter: Any = destination.exporter
        # For exporters that are not shown all finished calls, and yet watch out for those that
        # hang: one by one, so that no call ends before it has started.
        self._hears_ends = hasattr(self._exporter, "export_ended")
        handler = Handler(
            None, {"pre": self._export, "success": self._end}, f"{destination.name}.started"
        )
        self.delivery = Dispatcher(handler, concurrency=1)
        draining.watch(self.delivery)

    def watch(self, call: "Call", ctx: Context) -> None:
        """Follow a call to the event before its request is sent, or to its end."""
        if not call.span.is_recording() or is_muted(self._name, call.attributes.get(s.MUTE)):
            return

        def listener(stage: Stage) -> None:
            if stage.name == s.EVENT_PRE:
                self._tell("pre", Snapshot(call, content=call.record_content), ctx)
            elif self._hears_ends and stage.name in LAST:
                self._tell("success", Snapshot(call, content=False), ctx)

        call.subscribe(listener)

    def _tell(self, stage: StageName, snapshot: "Snapshot", ctx: Context) -> None:
        queue = self.delivery.begin(snapshot, ctx, asynchronous=False)
        if queue is not None:
            self.delivery.put(queue, StageEvent(stage, 0, {}, None, {}), last=True)

    def _export(self, kwargs: dict[str, Any]) -> None:
        span = self._narrowed.narrow(kwargs["snapshot"])
        if span is not None:
            self._exporter.export_started(prepared([span]))

    def _end(self, kwargs: dict[str, Any], *_: Any) -> None:
        self._exporter.export_ended([kwargs["snapshot"]])


class Snapshot:
    """A call as it stands before its request is sent."""

    def __init__(self, call: "Call", *, content: bool) -> None:
        self._call = call
        self.call_id = call.call_id or ""
        self._arguments = copied(call.request.arguments) if content else None

    def keywords(self) -> dict[str, Any]:
        """The snapshot, as the only keyword that matters."""
        span = self.span()
        return {"snapshot": span, "model": "", "messages": [], "litellm_params": {}}

    def show(self, event: StageEvent) -> HandlerArguments:
        """Nothing more."""
        time = local_time(event.time_ns)
        return HandlerArguments({}, {}, None, time, time)

    def span(self) -> ReadableSpan:
        """The span without an end, with what has been recorded of the request."""
        call = self._call
        span: Any = call.span
        attributes = dict(call.attributes)
        if self.call_id:
            attributes[s.CALL_ID] = self.call_id
        if self._arguments is not None:
            content = input_content(Request(call.request.target, self._arguments))
            attributes.update(content_attributes(call.signals, content, attributes))
        return ReadableSpan(
            name=span.name,
            context=span.get_span_context(),
            parent=span.parent,
            resource=span.resource,
            attributes=attributes,
            kind=span.kind,
            start_time=span.start_time,
            instrumentation_scope=span.instrumentation_scope,
        )
