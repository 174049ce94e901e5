"""The finished span that processors receive, and its conversion to an ordinary span of the SDK.

A `CallSpan` keeps its attributes and events in a dict and a list. Everything else that the SDK's
span consists of is built from them when something reads it (`Part`), and values of large content
are added when the span is read, which exporters do on their own threads.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, Literal, NamedTuple

from opentelemetry.sdk import trace as sdk
from opentelemetry.trace import Status, StatusCode

from litespan import semconv as s

DeferredPart = Literal["_content", "_answer"]
DEFERRED: Final[tuple[DeferredPart, ...]] = ("_content", "_answer")
MOST_DEFERRED: Final = 64
"""More attributes than an answer and its content have."""
SCALARS: Final = frozenset({str, int, float, bool})
NOT_FAILED: Final = (None, None)
_UNSET: Final = Status()
_new: Final = object.__new__


class Limits(NamedTuple):
    """The maximum numbers of attributes and events of a span, and of attributes of an event."""

    attributes: int
    events: int
    event_attributes: int


class Origin(NamedTuple):
    """What the spans of one tracer have in common.

    Attributes:
        tracer: a tracer of the SDK.
        most: the limits of its spans.
        parts: the parts of the SDK's span that have the same value in all of them.
    """

    tracer: Any
    most: Limits
    parts: dict[str, Any]


def origin_of(tracer: Any, most: Limits) -> Origin:
    """Return the origin of spans that `tracer` starts now; its resource changes after a fork."""
    return Origin(
        tracer,
        most,
        {
            "_resource": tracer.resource,
            "_instrumentation_info": tracer.instrumentation_info,
            "_instrumentation_scope": tracer._instrumentation_scope,  # noqa: SLF001
        },
    )


def is_clean(attributes: Any) -> bool:
    """Whether the SDK would keep `attributes` as they are."""
    if type(attributes) is not dict or "" in attributes:
        return False
    for name, value in attributes.items():  # without function calls: it runs for every call
        kind = type(value)
        if kind not in SCALARS:
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
    for part in DEFERRED:
        deferred = kept.get(part)
        if deferred is not None:
            early, late = kept["_kept"], deferred()
            if not early.keys().isdisjoint(late):  # the last one set comes last
                early = {name: value for name, value in early.items() if name not in late}
            kept["_kept"] = {**early, **late}
            kept[part] = None
    if "_status" not in kept:
        text, own = kept.get("_failed", NOT_FAILED)
        status = _UNSET
        if own is not None:
            message = text if isinstance(text, str) else text()
            own[s.EXCEPTION_MESSAGE] = message
            status = Status(StatusCode.ERROR, message or own[s.EXCEPTION_TYPE])
        kept["_status"] = status


def ordinary_parts(kept: dict[str, Any]) -> Mapping[str, Any]:
    """Return the parts of the SDK's span with what `kept`, the parts of one of ours, holds."""
    _complete(kept)
    origin: Origin = kept["_origin"]
    span = OrdinarySpan(
        name=kept["_name"],
        context=kept["_context"],
        parent=kept["_parent"],
        sampler=origin.tracer.sampler,
        resource=origin.parts["_resource"],
        attributes=kept["_kept"],
        kind=kept["_kind"],
        instrumentation_info=origin.parts["_instrumentation_info"],
        limits=origin.tracer._span_limits,  # noqa: SLF001
        instrumentation_scope=origin.parts["_instrumentation_scope"],
    )
    span.start(kept["_start_time"])
    for name, attributes, timestamp in kept["_noted"]:
        span.add_event(name, attributes, timestamp)
    if kept["_end_time"] is not None:
        span.end(kept["_end_time"])
    return vars(span)


class Part:
    """A part of the SDK's span that exists only once something reads it.

    `__getattr__` would do the same, but makes Python slower in reading all other attributes.
    """

    def __set_name__(self, _owner: Any, name: str) -> None:
        self._name = name

    def __get__(self, span: Any, _owner: Any = None) -> Any:
        if span is None:
            return self
        parts = span.__dict__
        if "_kept" in parts:
            span.build(self._name)
        if self._name not in parts:  # not in this version of the SDK
            raise AttributeError(self._name)
        return parts[self._name]


class EndedSpan(sdk.ReadableSpan):
    """The finished span that span processors receive, if the `CallSpan` was not used otherwise."""

    _kept: dict[str, Any]
    _content: Any = None
    _answer: Any = None

    _attributes: Any = Part()
    _events: Any = Part()
    _instrumentation_info: Any = Part()
    _instrumentation_scope: Any = Part()
    _links: Any = Part()
    _resource: Any = Part()
    _status: Any = Part()

    def build(self, name: str) -> None:
        """Add the part `name` of the SDK's span."""
        kept = self.__dict__
        if name == "_status":
            _complete(kept)
        elif name in kept["_origin"].parts:
            kept.update(kept["_origin"].parts)
        else:
            parts = ordinary_parts(kept)
            for part in ("_attributes", "_links", "_events"):
                kept.setdefault(part, parts[part])

    @property
    def early(self) -> "EndedSpan":
        """The span without deferred attributes, which can be read on the caller's thread.

        A span whose answer is deferred has succeeded.
        """
        if self._content is None and self._answer is None:
            return self
        ended = _new(EndedSpan)
        ended.__dict__ = {**self.__dict__, "_content": None, "_answer": None}
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
