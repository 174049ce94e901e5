"""Spans that are equal to the SDK's own, but cost less.

The SDK checks, copies and locks every attribute and event as it arrives. litespan's own values need
no check, so a `CallSpan` keeps them in a dict and a list. When anything else about it is used, such
as a private name, a link or the attributes of a running span, the SDK's own methods build an
ordinary span from what was kept, and the `CallSpan` becomes that span.

Values of large content are added when the span is read, which exporters do on their own threads.

`CallTracer` creates them, if it knows the SDK.
"""

import time
from collections.abc import Mapping, Sequence
from threading import Lock
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from opentelemetry.sdk import trace as sdk
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode

from litespan import semconv as s
from litespan.background.deferred import Deferred

_SCALARS: Final = frozenset({str, int, float, bool})
_UNSET: Final = Status()
_NOT_FAILED: Final = (None, None)
_ENDING: Final = hasattr(sdk.SpanProcessor, "_on_ending")
_new: Final = object.__new__


class Limits(NamedTuple):
    """The maximum numbers of attributes and events of a span, and of attributes of an event."""

    attributes: int
    events: int
    event_attributes: int


def is_clean(attributes: Any) -> bool:
    """Whether the SDK would keep `attributes` as they are."""
    if type(attributes) is not dict or "" in attributes:
        return False
    for name, value in attributes.items():  # without function calls: it runs for every call
        kind = type(value)
        if kind not in _SCALARS:
            if kind is not tuple:
                return False
            for item in value:
                if type(item) is not str:
                    return False
        if type(name) is not str:
            return False
    return True


class OrdinarySpan(sdk.Span):
    """A span of the SDK, which lets only subclasses be created without its tracer."""


def _complete(kept: dict[str, Any]) -> None:
    """Add the deferred values to `kept`; two threads may do so at the same time."""
    content = kept["_deferred"]
    if content is not None:
        kept["_kept"] = {**kept["_kept"], **content()}
        kept["_deferred"] = None
    if "_status" not in kept:
        text, own = kept["_failed"]
        message = text if isinstance(text, str) else text()
        own[s.EXCEPTION_MESSAGE] = message
        kept["_status"] = Status(StatusCode.ERROR, message or own[s.EXCEPTION_TYPE])


def _ordinary(kept: dict[str, Any]) -> Mapping[str, Any]:
    """Return the parts of the SDK's span with what `kept`, the parts of one of ours, holds."""
    _complete(kept)
    tracer = kept["_tracer"]
    span = OrdinarySpan(
        name=kept["_name"],
        context=kept["_context"],
        parent=kept["_parent"],
        sampler=tracer.sampler,
        resource=kept["_resource"],
        attributes=kept["_kept"],
        kind=kept["_kind"],
        instrumentation_info=kept["_instrumentation_info"],
        limits=tracer._span_limits,  # noqa: SLF001
        instrumentation_scope=kept["_instrumentation_scope"],
    )
    span.start(kept["_start_time"])
    for name, attributes, timestamp in kept["_noted"]:
        span.add_event(name, attributes, timestamp)
    if kept["_end_time"] is not None:
        span.end(kept["_end_time"])
    return vars(span)


class EndedSpan(sdk.ReadableSpan):
    """The finished span that span processors receive, if the `CallSpan` was not used otherwise."""

    def __getattr__(self, name: str) -> Any:
        kept = self.__dict__
        if name[:1] != "_" or name[:2] == "__" or "_kept" not in kept:
            raise AttributeError(name)
        if name == "_status":
            _complete(kept)
        elif "_events" not in kept:
            parts = _ordinary(kept)
            for part in ("_attributes", "_links", "_events"):
                kept.setdefault(part, parts[part])
        return object.__getattribute__(self, name)

    @property
    def early(self) -> "EndedSpan":
        """The span without deferred content, which can be read on the caller's thread."""
        if self._deferred is None:
            return self
        ended = _new(EndedSpan)
        ended.__dict__ = {**self.__dict__, "_deferred": None}
        return ended

    def _as_kept(self) -> bool:
        """Whether the kept parts are unchanged, and the SDK would have kept all of them."""
        kept = self.__dict__
        if "_clean" not in kept:  # on the first read, so not on the caller's thread
            _complete(kept)
            noted = [own for _, own, _ in kept["_noted"]]
            kept["_clean"] = all(map(is_clean, [kept["_kept"], *noted]))
        return kept["_clean"] and "_events" not in kept

    @property
    def attributes(self) -> Any:
        """The attributes; read-only."""
        return MappingProxyType(self._kept) if self._as_kept() else super().attributes

    @property
    def events(self) -> Sequence[Any]:
        """The events; each has read-only attributes."""
        if not self._as_kept():
            return super().events
        kept = self.__dict__
        if "_shown" not in kept:
            kept["_shown"] = tuple(
                [sdk.Event(name, MappingProxyType(own), at) for name, own, at in kept["_noted"]]
            )
        shown: Sequence[Any] = kept["_shown"]
        return shown

    @property
    def links(self) -> Sequence[Any]:
        """The links."""
        return () if self._as_kept() else super().links

    @property
    def dropped_attributes(self) -> int:
        """The number of attributes beyond the limit."""
        return 0 if self._as_kept() else super().dropped_attributes

    @property
    def dropped_events(self) -> int:
        """The number of events beyond the limit."""
        return 0 if self._as_kept() else super().dropped_events

    @property
    def dropped_links(self) -> int:
        """The number of links beyond the limit."""
        return 0 if self._as_kept() else super().dropped_links


class CallSpan(sdk.Span):
    """A span that keeps clean attributes and events until it must become an ordinary span.

    The parts that the SDK's methods use, such as `_lock`, do not exist before that. Methods that
    are not overridden here read one of them, which makes the span ordinary.
    """

    _is_ordinary = False

    def __getattr__(self, name: str) -> Any:
        if name[:1] != "_" or name[:2] == "__" or "_guard" not in self.__dict__:
            raise AttributeError(name)
        self.become_ordinary()
        return object.__getattribute__(self, name)

    def become_ordinary(self) -> None:
        """Become the SDK's span with what was kept, once."""
        kept = self.__dict__
        with self._guard:
            if not self._is_ordinary:
                parts = {**_ordinary(kept), "_span_processor": self._tracer.span_processor}
                for part, value in parts.items():
                    kept.setdefault(part, value)
                self._is_ordinary = True

    def keep(self, attributes: Mapping[str, Any]) -> None:
        """Set attributes of litespan's own, which are checked when the ended span is read."""
        with self._guard:
            kept = self._kept
            room = self._most.attributes - len(kept)
            if len(attributes) <= room and not self._is_ordinary and self._end_time is None:
                if not kept.keys().isdisjoint(attributes):
                    for name in attributes:  # the last one set comes last
                        kept.pop(name, None)
                kept.update(attributes)
                return
        super().set_attributes(attributes)

    def note(self, name: str, attributes: Mapping[str, Any], timestamp: int) -> None:
        """Add an event of litespan's own, which is checked when the ended span is read."""
        most = self._most
        with self._guard:
            noted = self._noted
            room = len(noted) < most.events and len(attributes) <= most.event_attributes
            if room and not self._is_ordinary and self._end_time is None:
                noted.append((name, {**attributes}, timestamp))
                return
        super().add_event(name, attributes, timestamp)

    def defer(self, content: Deferred[dict[str, Any]], most: int) -> bool:
        """Add at most `most` attributes when the span is read. False if that is not possible."""
        with self._guard:
            if self._is_ordinary or len(self._kept) + most > self._most.attributes:
                return False
            self._deferred = content
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
            kept, most = self.__dict__, self._most
            room = len(self._noted) < most.events and len(own) <= most.event_attributes
            if self._is_ordinary or not room:
                return False
            del kept["_status"]
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
        if type(key) is str and key and type(value) in _SCALARS and not self._is_ordinary:
            self.keep({key: value})
        else:
            super().set_attribute(key, value)

    def add_event(self, name: str, attributes: Any = None, timestamp: int | None = None) -> None:
        """Add an event, as the SDK's span does."""
        own = {} if attributes is None else attributes
        if type(name) is str and is_clean(own):
            self.note(name, own, time.time_ns() if timestamp is None else timestamp)
        else:
            super().add_event(name, attributes, timestamp)

    def end(self, end_time: int | None = None) -> None:
        """End the span, as the SDK's span does."""
        with self._guard:
            kept_until_now = not self._is_ordinary and self._end_time is None
            if kept_until_now:
                self._end_time = time.time_ns() if end_time is None else end_time
        if not kept_until_now:
            super().end(end_time)
            return
        processor = self._tracer.span_processor
        if _ENDING:
            processor._on_ending(self)  # noqa: SLF001
        processor.on_end(self._readable_span())
        content, text = self._deferred, self._failed[0]
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
    tracer: Any,
    name: str,
    context: SpanContext,
    parent: SpanContext | None,
    kind: SpanKind,
    attributes: Mapping[str, Any],
    start_time: int,
    most: Limits,
) -> CallSpan:
    """Create a `CallSpan` of `tracer`, an SDK tracer; `attributes` are clean and within limits."""
    span = _new(CallSpan)
    span.__dict__ = {
        "_name": name,
        "_context": context,
        "_parent": parent,
        "_kind": kind,
        "_resource": tracer.resource,
        "_instrumentation_info": tracer.instrumentation_info,
        "_instrumentation_scope": tracer._instrumentation_scope,  # noqa: SLF001
        "_status": _UNSET,
        "_start_time": start_time,
        "_end_time": None,
        "_tracer": tracer,
        "_most": most,
        "_kept": {**attributes},
        "_noted": [],
        "_deferred": None,
        "_failed": _NOT_FAILED,
        "_guard": Lock(),
    }
    return span
