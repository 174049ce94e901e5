"""Copies of finished spans with other fields, or without content."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.trace import SpanContext, Status

from litespan import semconv as s
from litespan.genai.content import is_content
from litespan.genai.conventions import CONTENT
from litespan.genai.span import GenAISpan
from litespan.redaction.text import scrub_error

_RATIO_BITS: Final = (1 << 64) - 1
_KEPT: Final = (s.STAGE_PREFIX, s.EVENT_EXCEPTION)  # names of events without content
_NAMES: Final = ("type", "role", "id", "name", "finish_reason", "modality")  # of no content
_FIELDS: Final = (
    *("name", "context", "parent", "resource", "attributes", "events", "links", "kind", "status"),
    *("start_time", "end_time", "instrumentation_scope"),
)


def changed(span: ReadableSpan, **fields: Any) -> ReadableSpan:
    """A copy of `span` with other `fields`, by the names of `ReadableSpan`'s arguments."""
    same = {name: getattr(span, name) for name in _FIELDS if name not in fields}
    return ReadableSpan(**same, **fields)


def at_top(span: ReadableSpan) -> ReadableSpan:
    """A copy with a remote parent, for an exporter that does not receive the parent."""
    above = span.parent
    if above is not None:
        above = SpanContext(
            above.trace_id, above.span_id, True, above.trace_flags, above.trace_state
        )
    return changed(span, parent=above)


def stripped(span: ReadableSpan, read: GenAISpan) -> ReadableSpan:
    """A copy of the span without messages, instructions and tools.

    Spans of litespan keep all other attributes; spans of other instrumentations keep those that
    litespan knows by name. Parts of the request in error messages are masked.
    """
    attributes: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in read.facts.items()
        if name != s.CONTENT_ORIGINAL_LENGTH and not isinstance(value, dict)
    }
    texts = list(_texts(read))
    description = span.status.description
    if description:
        description = scrub_error(description, (), texts)
    return changed(
        span,
        attributes=attributes,
        events=[_event(event, texts) for event in span.events if event.name.startswith(_KEPT)],
        status=Status(span.status.status_code, description),
    )


def has_content(read: GenAISpan) -> bool:
    """Whether the span has content, even if it cannot be read, such as truncated JSON."""
    if read.scope == s.SCOPE:
        return not CONTENT.isdisjoint(read.attributes)
    if any(map(is_content, read.attributes)):
        return True
    return read.input_messages is not None or read.output_messages is not None  # in events


def sampled(span: ReadableSpan, ratio: float) -> bool:
    """Whether this trace is in the share `ratio`: the same for all spans of a trace."""
    context = span.context
    return context is not None and (context.trace_id & _RATIO_BITS) < ratio * (_RATIO_BITS + 1)


def _event(event: Event, texts: list[str]) -> Event:
    """The event, with parts of the request masked in the exception message."""
    given = event.attributes or {}
    if event.name != s.EVENT_EXCEPTION:
        return event
    kept = {
        s.EXCEPTION_TYPE: given.get(s.EXCEPTION_TYPE) or "",
        s.EXCEPTION_MESSAGE: scrub_error(str(given.get(s.EXCEPTION_MESSAGE) or ""), (), texts),
    }
    return Event(event.name, kept, event.timestamp)


def _texts(read: GenAISpan) -> Iterator[str]:
    """The texts of the content, which may be nested more deeply than Python's stack allows."""
    messages = (*(read.input_messages or ()), *(read.output_messages or ()))
    waiting: list[Any] = [message.to_json() for message in messages]
    waiting += [part.to_json() for part in read.system_instructions or ()]
    while waiting:
        value = waiting.pop()
        if isinstance(value, str):
            yield value
        elif isinstance(value, Mapping):
            waiting += [inner for name, inner in value.items() if name not in _NAMES]
        elif isinstance(value, (list, tuple)):
            waiting += value
