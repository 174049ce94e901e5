"""Copies of spans without content, for exporters that are not to have it."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.trace import Status

from litespan import semconv as s
from litespan.genai.conventions import CONTENT
from litespan.genai.span import GenAISpan
from litespan.redaction.text import scrub_error

_RATIO_BITS: Final = (1 << 64) - 1


def stripped(span: ReadableSpan, read: GenAISpan) -> ReadableSpan:
    """The span without messages, instructions and tools, whoever recorded it.

    Of litespan's own spans all other attributes stay; of those by others, what litespan knows
    by name. Echoes of the request in the text of an error are masked.
    """
    attributes: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in read.facts.items()
        if name != s.CONTENT_ORIGINAL_LENGTH and not isinstance(value, dict)
    }
    texts = list(_texts(read))
    description = span.status.description
    if description:
        description = scrub_error(description, {}, texts)
    return ReadableSpan(
        name=span.name,
        context=span.context,
        parent=span.parent,
        resource=span.resource,
        attributes=attributes,
        events=[_event(event, texts) for event in span.events if _is_plain(event)],
        links=span.links,
        kind=span.kind,
        status=Status(span.status.status_code, description),
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
    )


def has_content(read: GenAISpan) -> bool:
    """Whether the span carries any."""
    return any(
        content is not None
        for content in (
            read.input_messages,
            read.output_messages,
            read.system_instructions,
            read.tool_definitions,
        )
    )


def sampled(span: ReadableSpan, ratio: float) -> bool:
    """Whether this trace is among the share `ratio` whose content is kept: all of it or none."""
    context = span.context
    return context is not None and (context.trace_id & _RATIO_BITS) < ratio * (_RATIO_BITS + 1)


def _is_plain(event: Event) -> bool:
    """Whether it is one of the events that hold no content."""
    return event.name == s.EVENT_EXCEPTION or event.name.startswith(s.STAGE_PREFIX)


def _event(event: Event, texts: list[str]) -> Event:
    """The event, without echoes of the request in what it says of an exception."""
    given = event.attributes or {}
    if event.name != s.EVENT_EXCEPTION:
        return event
    kept = {
        s.EXCEPTION_TYPE: given.get(s.EXCEPTION_TYPE) or "",
        s.EXCEPTION_MESSAGE: scrub_error(str(given.get(s.EXCEPTION_MESSAGE) or ""), {}, texts),
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


__all__ = ["CONTENT", "has_content", "sampled", "stripped"]
