"""Attributes for vendors: other instrumentations' spans renamed, and values as scalars."""

from collections.abc import Mapping
from typing import Any, Final

from litespan import semconv as s
from litespan.genai.content import is_content
from litespan.genai.conventions import CONTENT, TOTALS
from litespan.genai.span import GenAISpan
from litespan.objects import encoded, plain

_SCALARS: Final = frozenset({str, int, float, bool})


def renamed_attributes(span: GenAISpan) -> dict[str, Any]:
    """Attributes of another instrumentation's span under the current names; none for our own.

    Agents, tools and workflows lose tokens and costs: services add them to those of the calls.
    """
    if span.scope == s.SCOPE:
        return {}
    totals = () if span.is_call else [n for n in span.attributes if n.startswith(TOTALS)]
    named: dict[str, Any] = {**dict.fromkeys(totals), **span.facts}
    if s.RESPONSE_FINISH_REASONS in named:  # some write one, as text
        named[s.RESPONSE_FINISH_REASONS] = list(span.response.finish_reasons)
    for name, items in (
        (s.INPUT_MESSAGES, span.input_messages),
        (s.OUTPUT_MESSAGES, span.output_messages),
        (s.SYSTEM_INSTRUCTIONS, span.system_instructions),
        (s.TOOL_DEFINITIONS, span.tool_definitions),
    ):
        if items is not None:
            named[name] = encoded([item.to_json() for item in items])
    return named


def without_content(span: GenAISpan) -> dict[str, None]:
    """None for each attribute that holds content, which removes it from a copy of the span."""
    return dict.fromkeys((*CONTENT, *filter(is_content, span.attributes)))


def scalar_attributes(span: GenAISpan, more: Mapping[str, Any]) -> dict[str, Any]:
    """The span's facts, the call's metadata and `more` as one flat mapping, without None."""
    return scalars({**span.facts, **span.identity.metadata, **known(more)})


def known(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that are not None."""
    return {name: value for name, value in fields.items() if value is not None}


def scalars(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """`to_scalar` of each value; None is left out."""
    return {
        name: value if type(value) in _SCALARS else to_scalar(value)
        for name, value in attributes.items()
        if value is not None
    }


def to_scalar(value: object) -> Any:
    """Scalars unchanged, anything else as JSON: for services that index scalars only."""
    if type(value) in _SCALARS:  # the usual case; isinstance(…, Mapping) is slow
        return value
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return encoded(plain(value)) if isinstance(value, (list, tuple, Mapping)) else value
