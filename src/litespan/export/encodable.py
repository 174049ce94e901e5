"""Copies of spans that OTLP can encode: no lone surrogates, no integers beyond 64 bits."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.trace import Status

from litespan import semconv as s
from litespan.genai.copying import changed
from litespan.objects import encoded, plain, utf8, whole

_CLEAN: Final = frozenset({str, float, bool})


def copy_of(
    span: ReadableSpan,
    attributes: Mapping[str, Any],
    *,
    name: str | None = None,
    status: Status | None = None,
    resource: Resource | None = None,
    content: bool = True,
) -> ReadableSpan:
    """A copy of a finished span with other attributes, and other fields where given."""
    return changed(
        span,
        name=encodable(span.name if name is None else name),
        resource=span.resource if resource is None else resource,
        attributes=encodable_attributes(attributes),
        events=_events(span, content=content),
        status=span.status if status is None else status,
    )


def _events(span: ReadableSpan, *, content: bool) -> Sequence[Event]:
    """The events without lone surrogates; events of stages have no free text."""
    events = span.events
    if all(event.name.startswith(s.STAGE_PREFIX) for event in events):
        return events
    if not content:
        kept = (s.STAGE_PREFIX, s.EVENT_EXCEPTION)
        events = [event for event in events if event.name.startswith(kept)]
    return [
        Event(encodable(event.name), encodable_attributes(event.attributes), event.timestamp)
        for event in events
    ]


def encodable_attributes(attributes: Mapping[str, Any] | None) -> dict[str, Any]:
    """The attributes that are not None, with encodable names and values."""
    kept = {k: v for k, v in (attributes or {}).items() if v is not None}
    # One check of all text, which is nearly always ASCII.
    texts = [v for v in kept.values() if type(v) is str]
    if {*map(type, kept)} <= {str} and "".join((*kept, *texts)).isascii():
        kept.update({k: encodable(v) for k, v in kept.items() if type(v) not in _CLEAN})
        return kept
    return {encodable(k): encodable(v) for k, v in kept.items()}


def encodable(value: Any) -> Any:
    """`value` without lone surrogates and integers beyond 64 bits, which protobuf rejects."""
    if type(value) is str:
        return utf8(value)
    if type(value) is int:
        return whole(value)
    if type(value) is float or type(value) is bool:
        return value
    if isinstance(value, list | tuple):
        return [encodable(item) for item in value]
    if isinstance(value, Mapping):
        # Not every service reads maps, and SDKs before 1.40 do not send them.
        return encodable(encoded(plain(value)))
    return value
