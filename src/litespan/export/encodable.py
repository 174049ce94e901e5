"""Copies of spans that OTLP can encode: no lone surrogates, no integers beyond 64 bits."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.trace import Status

from litespan import semconv as s
from litespan.genai.copying import changed
from litespan.objects import INT64, encoded, plain, utf8, whole

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
    """A copy of a finished span with other attributes, and other fields where given.

    It does not end before it starts: services that subtract unsigned numbers show 500 years.
    """
    start, end = span.start_time, span.end_time
    return changed(
        span,
        name=encodable(span.name if name is None else name),
        resource=span.resource if resource is None else resource,
        attributes=encodable_attributes(attributes),
        events=_events(span, content=content),
        status=span.status if status is None else status,
        end_time=start if start and end and end < start else end,
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
    kept: dict[str, Any] = {}
    texts = []
    for name, value in (attributes or {}).items():
        kind = type(value)
        if kind is str:
            texts.append(value)
        elif value is None:
            continue
        elif kind not in _CLEAN and not (kind is int and -INT64 <= value < INT64):
            value = encodable(value)  # noqa: PLW2901
        kept[name] = value
    try:
        ascii_only = "".join((*kept, *texts)).isascii()  # the usual case, checked once
    except TypeError:  # a name that is not a string
        ascii_only = False
    return kept if ascii_only else {encodable(k): encodable(v) for k, v in kept.items()}


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
