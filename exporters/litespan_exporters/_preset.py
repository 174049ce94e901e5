"""What the OTLP presets share: spans by others under the current names, values as text."""

from collections.abc import Mapping
from typing import Any

from litespan import semconv as s
from litespan.export import GenAISpan
from litespan.export.batching import dumps
from litespan.export.values import JSON, plain


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
    return told


def text(value: JSON) -> str:
    """`value` as compact JSON."""
    return dumps(value).decode()


def flat(value: object) -> Any:
    """A scalar as it is, anything else as JSON: for services that index scalars only."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return text(plain(value)) if isinstance(value, list | tuple | Mapping) else value
