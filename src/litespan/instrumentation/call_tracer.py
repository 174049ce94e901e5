"""Starts the spans of calls: `CallSpan`s if litespan knows the SDK, else ordinary spans."""

import logging
import time
from typing import Any, Final

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk import trace as sdk
from opentelemetry.sdk.resources import Resource
from opentelemetry.trace import (
    INVALID_SPAN,
    INVALID_SPAN_CONTEXT,
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    TraceFlags,
    Tracer,
    get_current_span,
    set_span_in_context,
)

from litespan.errors import log_once
from litespan.instrumentation.ended_span import Limits, OrdinarySpan, Origin, is_clean, origin_of
from litespan.instrumentation.span import new_span

# What the methods that a `CallSpan` replaces refer to, and what a span consists of, in the SDKs
# that it was checked against, 1.33.1 to 1.45.2. Anything else is behaviour that it may lack.
_KNOWN: Final = frozenset(
    """
    trace_api get_current_span get_span_context isinstance SpanContext TypeError is_valid
    id_generator generate_trace_id trace_id sampler should_sample TraceFlags SAMPLED DEFAULT
    decision is_sampled generate_span_id trace_state is_recording _Span resource attributes copy
    span_processor instrumentation_info _span_limits _instrumentation_scope start start_span
    NonRecordingSpan _is_enabled is_trace_id_random trace_flags random_trace_id RANDOM_TRACE_ID
    _tracer_metrics

    logger warning time_ns RuntimeError on_start _on_ending on_end _readable_span ReadableSpan
    __name__ items set_attributes _set_items _immutable BoundedAttributes max_event_attributes
    max_attribute_length _add_event Event kind

    _name _context _kind _instrumentation_info _parent _start_time _end_time _attributes _events
    _links _resource _status _sampler _trace_config _record_exception _set_status_on_exception
    _span_processor _limits _lock _record_end_metrics
    """.split()  # noqa: SIM905
)
CURRENT_SPAN: Final = next(iter(set_span_in_context(INVALID_SPAN, Context())))
"""The context key of the current span."""
_FLAGS: Final = tuple(TraceFlags(number) for number in range(4))
_ENDLESS: Final = 2**31
_OWN_EVENT: Final = 16  # more attributes than any event of litespan's own has


def _methods() -> tuple[Any, ...]:
    """Return the SDK's methods that a `CallSpan` replaces, as they are now."""
    span = sdk.Span
    return (
        sdk.Tracer.start_span,
        span.start,
        span.set_attributes,
        span.set_attribute,
        span.add_event,
        span.update_name,
        span.end,
        span._readable_span,  # noqa: SLF001
    )


_METHODS: Final = _methods()
_CAN_BE_OFF: Final = hasattr(sdk.Tracer, "_is_enabled")
_MARKS_RANDOM: Final = hasattr(TraceFlags, "RANDOM_TRACE_ID")


def unknown_parts() -> set[str]:
    """Return what the SDK's spans refer to or consist of that litespan does not know."""
    names: set[str] = set()
    for method in _methods():
        code = getattr(method, "__code__", None)
        names |= {str(method)} if code is None else {*code.co_names}
    context = SpanContext(1, 1, is_remote=False)
    nothing = Resource.get_empty()  # without one, older SDKs detect the process's
    names |= vars(OrdinarySpan("probe", context, limits=sdk.SpanLimits(), resource=nothing)).keys()
    return names - _KNOWN


def _limits(tracer: Any) -> Limits | None:
    """Return the limits of the spans of an SDK tracer; None if a `CallSpan` cannot keep them."""
    limits = tracer._span_limits  # noqa: SLF001
    if limits.max_span_attribute_length is not None or limits.max_attribute_length is not None:
        return None
    counts = (limits.max_span_attributes, limits.max_events, limits.max_event_attributes)
    most = Limits(*[_ENDLESS if count is None else count for count in counts])
    return most if most.event_attributes >= _OWN_EVENT else None


class CallTracer(Tracer):
    """Starts spans of `tracer` that cost as little as possible.

    Attributes:
        length_limit: the maximum length of an attribute of its spans, in characters.
    """

    length_limit = _ENDLESS

    def __init__(self, tracer: Tracer) -> None:
        self._tracer: Any = tracer
        self._origin: Origin | None = None
        self._proxy = isinstance(tracer, trace.ProxyTracer)
        if not self._proxy:
            self._choose()

    def _choose(self) -> None:
        """Find out whether the tracer's spans can be `CallSpan`s."""
        tracer = self._tracer
        if type(tracer) is not sdk.Tracer:
            return
        try:
            unknown = unknown_parts()
            metrics = getattr(tracer, "_tracer_metrics", None)
            if metrics is not None and type(metrics).__name__ != "NoOpTracerMetrics":
                unknown.add("OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED")
            length = tracer._span_limits.max_span_attribute_length  # noqa: SLF001
            self.length_limit = _ENDLESS if length is None else length
            most = None if unknown else _limits(tracer)
            self._origin = None if most is None else origin_of(tracer, most)
        except Exception as error:  # noqa: BLE001 - whatever a changed SDK raises
            unknown = {type(error).__name__}
        if unknown:
            log_once(
                "span",
                "spans of calls are created by the OpenTelemetry SDK, because litespan does not "
                "know %s; they are the same but cost more",
                ", ".join(sorted(unknown)),
                level=logging.DEBUG,
            )

    def start_span(
        self,
        name: str,
        context: Context | None = None,
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: Any = None,
        links: Any = None,
        start_time: int | None = None,
        record_exception: bool = True,
        set_status_on_exception: bool = True,
    ) -> Span:
        """Start a span, as the SDK's tracer does."""
        unusual = links or not record_exception or not set_status_on_exception
        if unusual or not (attributes is None or is_clean(attributes)):
            if self._proxy:
                self._resolve()
            span: Span = self._tracer.start_span(
                name,
                context,
                kind,
                attributes,
                links or (),
                start_time,
                record_exception,
                set_status_on_exception,
            )
            return span
        return self.start_call(name, context, kind, attributes, start_time)

    def start_call(
        self,
        name: str,
        context: Context | None,
        kind: SpanKind,
        attributes: Any,
        start_time: int | None,
    ) -> Span:
        """The same for attributes of litespan's own, which are checked when the span is read."""
        if self._proxy:
            self._resolve()
        tracer, origin = self._tracer, self._origin
        changed = _methods() != _METHODS or "start_span" in tracer.__dict__
        if context is not None and CURRENT_SPAN not in context:
            parent: Any = INVALID_SPAN_CONTEXT
        else:
            parent = get_current_span(context).get_span_context()
        if origin is None or changed or type(parent) is not SpanContext:
            span: Span = tracer.start_span(name, context, kind, attributes, (), start_time)
            return span
        # From here on, this is what the SDK does.
        if _CAN_BE_OFF and not tracer._is_enabled():  # noqa: SLF001
            return NonRecordingSpan(parent)
        ids = tracer.id_generator
        if parent is not INVALID_SPAN_CONTEXT and parent.is_valid:
            trace_id = parent.trace_id
            random = _MARKS_RANDOM and parent.trace_flags.random_trace_id
        else:
            parent = None
            trace_id = ids.generate_trace_id()
            random = _MARKS_RANDOM and ids.is_trace_id_random()
        sampled = tracer.sampler.should_sample(context, trace_id, name, kind, attributes, ())
        decision = sampled.decision
        flags = _FLAGS[(1 if decision.is_sampled() else 0) + (2 if random else 0)]
        span_id = ids.generate_span_id()
        own = SpanContext(trace_id, span_id, False, flags, sampled.trace_state)
        if not decision.is_recording():
            return NonRecordingSpan(own)
        at = time.time_ns() if start_time is None else start_time
        unchanged = sampled.attributes == attributes
        kept = {**attributes} if unchanged else {**sampled.attributes}
        if tracer.resource is not origin.parts["_resource"]:
            origin = self._origin = origin_of(tracer, origin.most)
        call_span = new_span(origin, name, own, parent, kind, kept, at)
        if len(kept) > origin.most.attributes or not (unchanged or is_clean(kept)):
            call_span.become_ordinary()
        tracer.span_processor.on_start(call_span, parent_context=context)
        return call_span

    def _resolve(self) -> None:
        """Use the tracer of the application's provider, once it is set."""
        if not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
            self._proxy = False
            self._tracer = getattr(self._tracer, "_tracer", self._tracer)
            self._choose()

    def start_as_current_span(self, *args: Any, **kwargs: Any) -> Any:
        """Start a span and make it current; an ordinary span of the SDK."""
        return self._tracer.start_as_current_span(*args, **kwargs)
