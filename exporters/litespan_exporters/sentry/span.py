"""`GenAISpan` → attributes of Sentry's copy of the span. Pure."""

from typing import Any

from litespan import semconv as s
from litespan.export import JSON, GenAISpan, renamed_attributes, to_text
from litespan.export.vendor_attributes import scalars
from litespan_exporters.sentry.event import RENAMED, op


def attributes(span: GenAISpan) -> dict[str, Any]:
    """All attributes of Sentry's copy of the span; those that are None are left out. Pure."""
    named = {**span.attributes, **renamed_attributes(span)}
    for old, new in RENAMED.items():
        if old in named:
            named[new] = named.pop(old)
    found = scalars(named)
    found |= {
        "http.request.method": None,  # would make it an HTTP call
        "sentry.op": op(span),
        "sentry.origin": "auto.ai.litellm",
        s.CONVERSATION_ID: span.identity.session,
        s.TOTAL_TOKENS: span.usage.total,
        s.FOR_STREAMING: span.request.stream,
        s.FOR_EMBEDDINGS_INPUT: _embedded(span),
        s.FOR_COST_TOTAL: span.cost.total,
        s.FOR_COST_INPUT: span.cost.input,
        s.FOR_COST_OUTPUT: span.cost.output,
        # Names that older versions of Relay read. These replace our costs with their own,
        # computed from these attributes.
        s.FOR_CACHED: span.usage.cache_read,
        s.FOR_CACHE_WRITE: span.usage.cache_creation,
        s.FOR_REASONING: span.usage.reasoning,
    }
    found |= stages(span)
    return found


def _embedded(span: GenAISpan) -> str | None:
    """Input texts of an embedding, for which Sentry shows no messages."""
    if span.operation != "embeddings" or span.input_messages is None:
        return None
    return to_text([message.text for message in span.input_messages])


def stages(span: GenAISpan) -> dict[str, Any]:
    """Offsets of the stages in ms after the start, and the stages with their attributes.

    Of the chunks of a stream, only the first.
    """
    offsets: dict[str, Any] = {}
    fields: list[JSON] = []
    for stage in span.stages:
        name = s.FOR_STAGE_OFFSET.format(stage.name)
        if name not in offsets:
            offset = offsets[name] = round((stage.time_ns - span.start_ns) / 1e6, 3)
            attributes = scalars({RENAMED.get(k, k): v for k, v in stage.attributes.items()})
            fields.append({"stage": stage.name, "offset_ms": offset, **attributes})
    return {**offsets, s.FOR_STAGES: to_text(fields)} if fields else {}
