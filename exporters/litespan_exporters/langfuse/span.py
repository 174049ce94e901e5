"""`GenAISpan` → `langfuse.*` attributes. Pure.

https://langfuse.com/integrations/native/opentelemetry (seen 2026-11-20). Langfuse reads the
GenAI conventions, except for split costs, time to the first chunk, tags, and tool calls in
message parts.
"""

import re
from typing import Any, Final

from litespan import semconv as s
from litespan.export import JSON, GenAISpan, Usage, iso, known, openai, to_text
from litespan.genai.conventions import PARAMETERS
from litespan.generations import ATTRIBUTES

TYPES: Final = {
    "embeddings": "embedding",
    "execute_tool": "tool",
    "invoke_agent": "agent",
    "create_agent": "agent",
    "invoke_workflow": "chain",
    "plan": "chain",
    "retrieval": "retriever",
}
"""Operation → observation type; `generation` for other model calls, else `span`."""

INPUT: Final = "langfuse.observation.input"
OUTPUT: Final = "langfuse.observation.output"

_AGE: Final = 1e9  # s; limits implausible values
_VERSION: Final = re.compile("[0-9]{1,9}")  # Langfuse's prompt versions are numbers


def attributes(span: GenAISpan) -> dict[str, Any]:
    """Attributes to add to Langfuse's copy of the span. Pure."""
    identity, call = span.identity, span.call
    kind = TYPES.get(span.operation, "generation" if span.is_call else "span")
    added: dict[str, Any] = {
        "langfuse.observation.type": kind,
        "langfuse.observation.model.name": span.model,
        "langfuse.observation.model.parameters": _json(openai.parameters(span)),
        "langfuse.observation.usage_details": _json(usage_details(span.usage)),
        "langfuse.observation.cost_details": _json(cost_details(span)),
        "langfuse.observation.completion_start_time": completion_start_time(span),
        INPUT: _json(_input(span)),
        OUTPUT: _json(openai.output_of(span)),
        "langfuse.observation.metadata.litellm_call_id": call.id,
        "langfuse.observation.metadata.provider": span.provider,
        "langfuse.trace.name": identity.metadata.get("trace_name"),
        "langfuse.trace.tags": list(identity.tags) or None,
        **{f"langfuse.trace.metadata.{k}": v for k, v in identity.metadata.items()},
        s.USER_ID: identity.user,
        s.SESSION_ID: identity.session,
        **_level(span),
    }
    if not span.is_call:  # the calls below it have usage and cost
        for name in ("model.name", "usage_details", "cost_details"):
            del added[f"langfuse.observation.{name}"]
    if kind == "generation" and _VERSION.fullmatch(span.request.prompt_version or ""):
        added["langfuse.observation.prompt.name"] = span.request.prompt_name
        added["langfuse.observation.prompt.version"] = int(span.request.prompt_version or 0)
    return added


REPLACED: Final = frozenset(
    {
        *(s.INPUT_MESSAGES, s.OUTPUT_MESSAGES, s.SYSTEM_INSTRUCTIONS, s.TOOL_DEFINITIONS),
        *(s.INPUT_TOKENS, s.OUTPUT_TOKENS, s.REASONING_TOKENS),
        *(s.CACHE_READ_TOKENS, s.CACHE_CREATION_TOKENS),
        *(s.CACHE_CREATION_5M_TOKENS, s.CACHE_CREATION_1H_TOKENS),
        *(s.AUDIO_INPUT_TOKENS, s.AUDIO_OUTPUT_TOKENS),
        *(names.new for names in ATTRIBUTES.values() if names.new),
        *(s.COST, s.COST_TOTAL, s.COST_INPUT, s.COST_OUTPUT),
        *(s.TAGS, s.CALL_ID, s.PROVIDER, s.CONVERSATION_ID),
        *PARAMETERS.values(),
    }
)
"""Attributes that those of `attributes` replace."""


def usage_details(usage: Usage) -> dict[str, JSON]:
    """Tokens that add up to the total: Langfuse's `input` excludes cached tokens.

    Langfuse prices `input_cache_creation` as five-minute writes.
    """
    cached, written = usage.cache_read or 0, usage.cache_creation or 0
    hour = min(usage.cache_creation_1h or 0, written)
    fresh = max((usage.input or 0) - cached - written, 0)
    audio = min(usage.audio_input or 0, fresh)
    reasoning = usage.reasoning or 0
    visible = max((usage.output or 0) - reasoning, 0)
    audio_output = min(usage.audio_output or 0, visible)
    details = {
        "input": None if usage.input is None else fresh - audio,
        "input_audio_tokens": audio or None,
        "input_cached_tokens": cached or None,
        "input_cache_creation": written - hour or None,
        "input_cache_creation_1h": hour or None,
        "output": None if usage.output is None else visible - audio_output,
        "output_reasoning_tokens": reasoning or None,
        "output_audio_tokens": audio_output or None,
    }
    counts = known(details)
    return {**counts, "total": sum(counts.values())} if counts else {}


def cost_details(span: GenAISpan) -> dict[str, JSON]:
    """USD as JSON numbers; Langfuse silently drops strings.

    A call that failed without usage costs 0. Without a cost, Langfuse would estimate one from the
    input.
    """
    cost = span.cost
    costs = known({"input": cost.input, "output": cost.output, "total": cost.total})
    free = span.error is not None and not costs and not span.usage.total
    return {"total": 0.0} if free else costs


def completion_start_time(span: GenAISpan) -> str | None:
    """The time of the first chunk, as ISO 8601 in UTC; None unless it is a stream."""
    wait = span.response.time_to_first_chunk
    return None if wait is None else iso(span.start_ns + round(min(wait, _AGE) * 1e9))


def environment(name: str) -> str | None:
    """A valid Langfuse environment: lower case, `a-z0-9-_`, 40 characters, not `langfuse…`."""
    shaped = re.sub(r"[^a-z0-9_-]", "-", name.lower())
    while (bare := shaped.removeprefix("langfuse").lstrip("-_")) != shaped:
        shaped = bare
    return shaped[:40] or None


def _input(span: GenAISpan) -> JSON:
    messages, tools = openai.input_of(span), openai.tools(span)
    return {"messages": messages, "tools": tools} if tools else messages


def _level(span: GenAISpan) -> dict[str, Any]:
    if span.error is not None:
        level, message = "ERROR", span.error.message or span.error.type
    elif span.call.outcome in ("cancelled", "abandoned"):
        level, message = "WARNING", span.call.outcome
    else:
        return {}
    return {
        "langfuse.observation.level": level,
        "langfuse.observation.status_message": message,
    }


def _json(value: JSON) -> str | None:
    return to_text(value) if value else None
