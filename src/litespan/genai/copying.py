"""Copies of finished spans with other fields, or without content."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.trace import SpanContext, Status

from litespan import semconv as s
from litespan.genai.span import GenAISpan
from litespan.redaction.text import scrub_error

_RATIO_BITS: Final = (1 << 64) - 1
_KEPT: Final = (s.STAGE_PREFIX, s.EVENT_EXCEPTION)  # names of events without content
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
    """Whether the span has content."""
    messages = (read.input_messages, read.output_messages)
    return any(
        each is not None for each in (*messages, read.system_instructions, read.tool_definitions)
    )


def sampled(span: ReadableSpan, ratio: float) -> bool:
    """Whether this trace is in the share `ratio` that keeps its content."""
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
    for messages in (read.input_messages, read.output_messages):
        for message in messages or ():
            yield from _strings(message.to_json())
    for part in read.system_instructions or ():
        yield from _strings(part.to_json())


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            if name not in ("type", "role", "id", "name", "finish_reason", "modality"):
                yield from _strings(inner)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from _strings(inner)
