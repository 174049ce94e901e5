"""What the OTLP presets share: spans by others under the current names, values as text."""

from collections.abc import Mapping
from typing import Any, Final

from litespan import semconv as s
from litespan.export import GenAISpan
from litespan.genai.content import is_content
from litespan.genai.conventions import CONTENT
from litespan.genai.json_text import dumps
from litespan.genai.values import JSON, plain

_SCALARS: Final = frozenset({str, int, float, bool})


def translated(span: GenAISpan) -> dict[str, Any]:
    """What a span by another instrumentation says, under the current names; of ours nothing."""
    if span.scope == s.SCOPE:
        return {}
    told: dict[str, Any] = {**span.facts}
    if s.RESPONSE_FINISH_REASONS in told:  # some write one, as text
        told[s.RESPONSE_FINISH_REASONS] = list(span.response.finish_reasons)
    for name, messages in (
        (s.INPUT_MESSAGES, span.input_messages),
        (s.OUTPUT_MESSAGES, span.output_messages),
    ):
        if messages is not None:
            told[name] = text([message.to_json() for message in messages])
    if span.system_instructions is not None:
        told[s.SYSTEM_INSTRUCTIONS] = text([part.to_json() for part in span.system_instructions])
    if span.tool_definitions is not None:
        told[s.TOOL_DEFINITIONS] = text([tool.to_json() for tool in span.tool_definitions])
    return told


def silence(span: GenAISpan) -> dict[str, None]:
    """What removes the content from a copy of the span, under whatever names it is there."""
    return dict.fromkeys((*CONTENT, *filter(is_content, span.attributes)))


def text(value: JSON) -> str:
    """`value` as compact JSON."""
    return dumps(value).decode()


def scalars(span: GenAISpan) -> dict[str, Any]:
    """The span's facts and the call's own metadata, on one level: what is unknown is absent."""
    given = {**span.facts, **span.identity.metadata}
    return {name: flat(value) for name, value in given.items() if value is not None}


def flat(value: object) -> Any:
    """A scalar as it is, anything else as JSON: for services that index scalars only."""
    if type(value) in _SCALARS:  # most are, and asking for a Mapping is slow
        return value
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return text(plain(value)) if isinstance(value, list | tuple | Mapping) else value
