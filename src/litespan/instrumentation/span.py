"""Spans that are equal to the SDK's own, but cost less.

The SDK checks, copies and locks every attribute and event as it arrives. litespan's own values need
no check, so a `CallSpan` keeps them in a dict and a list. When anything else about it is used, such
as a private name, a link or the attributes of a running span, the SDK's own methods build an
ordinary span from what was kept, and the `CallSpan` becomes that span.

`CallTracer` creates them, if it knows the SDK.
"""

import time
from collections.abc import Mapping
from threading import Lock
from typing import Any, Final

from opentelemetry.sdk import trace as sdk
from opentelemetry.trace import SpanContext, SpanKind

from litespan import semconv as s
from litespan.background.deferred import Deferred
from litespan.instrumentation.ended_span import (
    MOST_DEFERRED,
    NOT_FAILED,
    SCALARS,
    DeferredPart,
    EndedSpan,
    Origin,
    Part,
    is_clean,
    ordinary_parts,
)

_ENDING: Final = hasattr(sdk.SpanProcessor, "_on_ending")
_new: Final = object.__new__


class CallSpan(sdk.Span):
    """A span that keeps clean attributes and events until it must become an ordinary span.

    The parts that the SDK's methods use, such as `_lock`, do not exist before that. Methods that
    are not overridden here read one of them, which makes the span ordinary (`Part`).
    """

    _guard: Any
    _kept: dict[str, Any]
    _noted: list[tuple[str, Mapping[str, Any], int]]
    _origin: Origin
    _is_ordinary = False
    _answer: Any = None
    _content: Any = None
    _failed: Any = NOT_FAILED

    _attributes: Any = Part()
    _events: Any = Part()
    _instrumentation_info: Any = Part()
    _instrumentation_scope: Any = Part()
    _limits: Any = Part()
    _links: Any = Part()
    _lock: Any = Part()
    _record_end_metrics: Any = Part()
    _record_exception: Any = Part()
    _resource: Any = Part()
    _sampler: Any = Part()
    _set_status_on_exception: Any = Part()
    _span_processor: Any = Part()
    _status: Any = Part()
    _trace_config: Any = Part()

    def build(self, name: str) -> None:
        """Add the part `name` of the SDK's span; become ordinary for parts that vary by span."""
        if name in self._origin.parts:
            self.__dict__.update(self._origin.parts)
        else:
            self.become_ordinary()

    def become_ordinary(self) -> None:
        """Become the SDK's span with what was kept, once."""
        kept = self.__dict__
        with self._guard:
            if not self._is_ordinary:
                processor = self._origin.tracer.span_processor
                parts = {**ordinary_parts(kept), "_span_processor": processor}
                for part, value in parts.items():
                    kept.setdefault(part, value)
                self._is_ordinary = True

    def keep(self, attributes: Mapping[str, Any]) -> None:
        """Set attributes of litespan's own, which are checked when the ended span is read."""
        with self._guard:
            kept = self._kept
            room = self._origin.most.attributes - len(kept)
            if (
                len(attributes) <= room
                and not self._is_ordinary
                and self._end_time is None
                and self._answer is None  # whose attributes come before any that are set now
            ):
                if not kept.keys().isdisjoint(attributes):
                    for name in kept.keys() & attributes.keys():  # the last one set comes last
                        del kept[name]
                kept.update(attributes)
                return
        super().set_attributes(attributes)

    def note(self, name: str, attributes: Mapping[str, Any], timestamp: int) -> None:
        """Add an event of litespan's own, which is checked when the ended span is read.

        `attributes` must not change any more, and must be within the limits.
        """
        with self._guard:
            noted = self._noted
            if (
                len(noted) < self._origin.most.events
                and self._end_time is None
                and not self._is_ordinary
            ):
                noted.append((name, attributes, timestamp))
                return
        super().add_event(name, attributes, timestamp)

    def defer(self, part: DeferredPart, attributes: Deferred[dict[str, Any]]) -> bool:
        """Add attributes when the span is read. False if that is not possible."""
        with self._guard:
            if self._is_ordinary or len(self._kept) + MOST_DEFERRED > self._origin.most.attributes:
                return False
            self.__dict__[part] = attributes
            return True

    def fail(self, kind: str, text: str | Deferred[str], *, event: bool) -> bool:
        """Set the status, and add the exception as an event. False if that is not possible.

        Args:
            kind: the type of the error.
            text: the error's message; a deferred one is computed when the span is read.
            event: whether to add the event.
        """
        own = {s.EXCEPTION_TYPE: kind, s.EXCEPTION_MESSAGE: ""}
        with self._guard:
            kept, most = self.__dict__, self._origin.most
            if self._is_ordinary or len(self._noted) >= most.events:
                return False
            kept["_failed"] = (text, own)
            if event:
                self._noted.append((s.EVENT_EXCEPTION, own, time.time_ns()))
            return True

    def set_attributes(self, attributes: Mapping[str, Any]) -> None:
        """Set attributes, as the SDK's span does."""
        if is_clean(attributes):
            self.keep(attributes)
        else:
            super().set_attributes(attributes)

    def set_attribute(self, key: str, value: Any) -> None:
        """Set one attribute, as the SDK's span does."""
        if type(key) is str and key and type(value) in SCALARS and not self._is_ordinary:
            self.keep({key: value})
        else:
            super().set_attribute(key, value)

    def add_event(self, name: str, attributes: Any = None, timestamp: int | None = None) -> None:
        """Add an event, as the SDK's span does."""
        own = {} if attributes is None else attributes
        room = self._origin.most.event_attributes
        if type(name) is str and is_clean(own) and len(own) <= room and not self._is_ordinary:
            self.note(name, {**own}, time.time_ns() if timestamp is None else timestamp)
        else:
            super().add_event(name, attributes, timestamp)

    def update_name(self, name: str) -> None:
        """Set the name, as the SDK's span does."""
        with self._guard:
            if not self._is_ordinary and self._end_time is None:
                self._name = name
                return
        super().update_name(name)

    def end(self, end_time: int | None = None) -> None:
        """End the span, as the SDK's span does."""
        with self._guard:
            kept_until_now = not self._is_ordinary and self._end_time is None
            if kept_until_now:
                self._end_time = time.time_ns() if end_time is None else end_time
        if not kept_until_now:
            super().end(end_time)
            return
        processor = self._origin.tracer.span_processor
        if _ENDING:
            processor._on_ending(self)  # noqa: SLF001
        processor.on_end(self._readable_span())
        content, text = self._content, self._failed[0]
        if content is not None:
            content.start()
        if text is not None and type(text) is not str:
            text.start()

    def _readable_span(self) -> Any:
        if self._is_ordinary:
            return super()._readable_span()
        ended = _new(EndedSpan)
        ended.__dict__ = {**self.__dict__}
        return ended


def new_span(
    origin: Origin,
    name: str,
    context: SpanContext,
    parent: SpanContext | None,
    kind: SpanKind,
    attributes: dict[str, Any],
    start_time: int,
) -> CallSpan:
    """Create a `CallSpan`, which keeps `attributes`."""
    span = _new(CallSpan)
    span.__dict__ = {  # ten names at most: a larger dict takes longer to build
        "_name": name,
        "_context": context,
        "_parent": parent,
        "_kind": kind,
        "_start_time": start_time,
        "_end_time": None,
        "_origin": origin,
        "_kept": attributes,
        "_noted": [],
        "_guard": Lock(),
    }
    return span
