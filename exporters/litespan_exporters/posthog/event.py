"""`GenAISpan` → an event of PostHog's capture API. Pure.

https://posthog.com/docs/ai-engineering/traces-generations/manual (seen 2026-11-20); details as
in the posthog SDK 7.91.1.
"""

from typing import Any, Final
from uuid import uuid5

from litespan.export import JSON, VERSION, GenAISpan, iso, known, openai
from litespan.genai.keys import NAMESPACE
from litespan.objects import utf8

EVENTS: Final = {"embeddings": "$ai_embedding"}
"""Operation → event; generation for other model calls, else span."""


def to_event(span: GenAISpan) -> dict[str, JSON]:
    """One event of a batch."""
    kind = EVENTS.get(span.operation, "$ai_generation") if span.is_call else "$ai_span"
    return {
        "event": kind,
        "distinct_id": distinct_id(span),
        "timestamp": iso(span.start_ns),
        "uuid": span.key_text,
        "properties": _properties(span),
    }


def distinct_id(span: GenAISpan) -> str:
    """The user, else a stable id of the session or trace; at most 200 characters."""
    identity = span.identity
    if identity.user:
        return identity.user[:200]
    return str(uuid5(NAMESPACE, utf8(identity.session or span.trace_id)))


def costs(span: GenAISpan) -> dict[str, float | None]:
    """Input, output and total cost in USD. Unless all are set, PostHog uses its own prices.

    A total of 0, as for a cache hit, sets all to 0.
    """
    cost = span.cost
    sent, received, total = cost.input, cost.output, cost.total
    if total == 0:
        sent = received = 0.0
    elif total is not None and sent is None and received is not None:
        sent = max(total - received, 0.0)
    elif total is not None and received is None and sent is not None:
        received = max(total - sent, 0.0)
    elif total is None and sent is not None and received is not None:
        total = sent + received
    return {
        "$ai_input_cost_usd": sent,
        "$ai_output_cost_usd": received,
        "$ai_total_cost_usd": total,
    }


def common(span: GenAISpan) -> dict[str, Any]:
    """Properties that PostHog does not read from the GenAI conventions."""
    parameters = openai.parameters(span)
    error, used = span.error, span.usage
    return {
        "$ai_session_id": span.identity.session,
        "$ai_stream": span.request.stream,
        "$ai_temperature": parameters.get("temperature"),
        "$ai_max_tokens": parameters.get("max_tokens"),
        "$ai_time_to_first_token": span.response.time_to_first_chunk,
        "$ai_reasoning_tokens": used.reasoning,
        "$ai_audio_input_tokens": used.audio_input,
        "$ai_audio_output_tokens": used.audio_output,
        "$ai_cache_creation_5m_input_tokens": used.cache_creation_5m,
        "$ai_cache_creation_1h_input_tokens": used.cache_creation_1h,
        # The input includes cached tokens; for Anthropic, PostHog assumes the opposite.
        "$ai_cache_reporting_exclusive": False,
        "$ai_stop_reason": openai.finish_reason(span, 0),
        "$ai_http_status": error.code if error else 200,
        **costs(span),
    }


def _properties(span: GenAISpan) -> dict[str, JSON]:
    used, error, host = span.usage, span.error, span.request.server_address
    fields: dict[str, Any] = {
        **span.facts,
        **common(span),
        "$ai_trace_id": span.trace_id,
        "$ai_span_id": span.span_id,
        "$ai_parent_id": span.parent_span_id,
        "$ai_span_name": span.name,
        "$ai_model": span.model,
        "$ai_provider": span.provider,
        "$ai_base_url": f"https://{host}" if host else None,
        "$ai_model_parameters": openai.parameters(span) or None,
        "$ai_input": openai.sent(span),
        "$ai_output_choices": openai.received(span),
        "$ai_tools": openai.tools(span),
        "$ai_input_tokens": used.input,
        "$ai_output_tokens": used.output,
        "$ai_cache_read_input_tokens": used.cache_read,
        "$ai_cache_creation_input_tokens": used.cache_creation,
        "$ai_latency": span.duration,
        "$ai_is_error": error is not None,
        "$ai_error": (error.message or error.type) if error else None,
        "$process_person_profile": None if span.identity.user else False,
        "$geoip_disable": True,
        "$lib": "litespan",
        "$lib_version": VERSION,
        "service": span.service.name,
        "service_version": span.service.version,
        "environment": span.service.environment,
    }
    return known(fields)
