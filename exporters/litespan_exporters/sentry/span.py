"""`GenAISpan` → attributes of Sentry's copy of the span. Pure."""

from typing import Any

from litespan import semconv as s
from litespan.export import JSON, GenAISpan, renamed_attributes, to_text
from litespan.export.presets import scalars
from litespan_exporters.sentry.event import RENAMED, op


def attributes(span: GenAISpan) -> dict[str, Any]:
    """Attributes of Sentry's copy of the span that differ. Pure."""
    cost, own = span.cost, {**span.attributes, **renamed_attributes(span)}
    return {
        **scalars(own),
        **dict.fromkeys(RENAMED),
        **scalars({new: own[old] for old, new in RENAMED.items() if old in own}),
        "http.request.method": None,  # would make it an HTTP call
        "sentry.op": op(span),
        "sentry.origin": "auto.ai.litellm",
        s.CONVERSATION_ID: span.identity.session,
        s.TOTAL_TOKENS: span.usage.total,
        **legacy_tokens(span),
        s.FOR_STREAMING: span.request.stream,
        s.FOR_EMBEDDINGS_INPUT: _embedded(span),
        s.FOR_COST_TOTAL: cost.total,
        s.FOR_COST_INPUT: cost.input,
        s.FOR_COST_OUTPUT: cost.output,
        **stages(span),
    }


def legacy_tokens(span: GenAISpan) -> dict[str, int | None]:
    """Token details under the names that older versions of Relay read.

    These versions replace our costs with their own, computed from these attributes.
    """
    used = span.usage
    return {
        s.FOR_CACHED: used.cache_read,
        s.FOR_CACHE_WRITE: used.cache_creation,
        s.FOR_REASONING: used.reasoning,
    }


def _embedded(span: GenAISpan) -> str | None:
    """Input texts of an embedding, for which Sentry shows no messages."""
    if span.operation != "embeddings" or span.input_messages is None:
        return None
    return to_text([message.text for message in span.input_messages])


def stages(span: GenAISpan) -> dict[str, Any]:
    """Stage offsets in ms after the start, and the stages with their attributes."""
    first: dict[str, float] = {}
    fields: list[JSON] = []
    for stage in span.stages:
        offset = round((stage.time_ns - span.start_ns) / 1e6, 3)
        if stage.name not in first:  # only the first chunk
            first[stage.name] = offset
            attributes = scalars({RENAMED.get(k, k): v for k, v in stage.attributes.items()})
            fields.append({"stage": stage.name, "offset_ms": offset, **attributes})
    offsets = {s.FOR_STAGE_OFFSET.format(name): offset for name, offset in first.items()}
    return {**offsets, s.FOR_STAGES: to_text(fields) if fields else None}
