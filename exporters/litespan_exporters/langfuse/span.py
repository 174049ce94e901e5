"""`GenAISpan` → what Langfuse is told of it in its own words. Pure.

https://langfuse.com/integrations/native/opentelemetry (seen 2026-11-20). Langfuse reads the
GenAI conventions, but not the cost split, the first chunk's time, tags, tool calls in
message parts; those travel in its own `langfuse.*` attributes.
"""

import re
from typing import Any, Final

from litespan import semconv as s
from litespan.export import JSON, GenAISpan, Usage, iso, openai, to_text
from litespan.genai.conventions import PARAMETERS

TYPES: Final = {
    "embeddings": "embedding",
    "execute_tool": "tool",
    "invoke_agent": "agent",
    "create_agent": "agent",
    "invoke_workflow": "chain",
    "plan": "chain",
    "retrieval": "retriever",
}
"""Operation → observation type; other calls of a model are generations, the rest spans."""

INPUT: Final = "langfuse.observation.input"
OUTPUT: Final = "langfuse.observation.output"

_AGE: Final = 1e9  # s; nobody waited longer
_VERSION: Final = re.compile("[0-9]{1,9}")  # of a prompt: a number, by Langfuse


def attributes(span: GenAISpan) -> dict[str, Any]:
    """What Langfuse is told of a GenAI span beyond what it reads by itself. Pure."""
    who, call = span.identity, span.call
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
        "langfuse.trace.name": who.metadata.get("trace_name"),
        "langfuse.trace.tags": list(who.tags) or None,
        **{f"langfuse.trace.metadata.{k}": v for k, v in who.metadata.items()},
        s.USER_ID: who.user,
        s.SESSION_ID: who.session,
        **_level(span),
    }
    if not span.is_call:  # the calls below it carry usage and cost
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
        *(s.CACHE_READ_TOKENS, s.CACHE_CREATION_TOKENS, s.CACHE_WRITE_TOKENS),
        *(s.CACHE_CREATION_5M_TOKENS, s.CACHE_CREATION_1H_TOKENS),
        *(s.AUDIO_INPUT_TOKENS, s.AUDIO_OUTPUT_TOKENS),
        *(s.COST, s.COST_TOTAL, s.COST_INPUT, s.COST_OUTPUT),
        *(s.TAGS, s.CALL_ID, s.PROVIDER, s.CONVERSATION_ID),
        *PARAMETERS.values(),
    }
)
"""What `attributes` says in Langfuse's own words travels once; metadata do, too."""


def usage_details(usage: Usage) -> dict[str, JSON]:
    """Tokens that add up to the total: Langfuse's `input` has no cached tokens in it.

    Its prices for `input_cache_creation` are those of five minutes.
    """
    cached, written = usage.cache_read or 0, usage.cache_creation or 0
    hour = min(usage.cache_creation_1h or 0, written)
    fresh = max((usage.input or 0) - cached - written, 0)
    heard = min(usage.audio_input or 0, fresh)
    reasoning = usage.reasoning or 0
    answered = max((usage.output or 0) - reasoning, 0)
    spoken = min(usage.audio_output or 0, answered)
    details = {
        "input": None if usage.input is None else fresh - heard,
        "input_audio_tokens": heard or None,
        "input_cached_tokens": cached or None,
        "input_cache_creation": written - hour or None,
        "input_cache_creation_1h": hour or None,
        "output": None if usage.output is None else answered - spoken,
        "output_reasoning_tokens": reasoning or None,
        "output_audio_tokens": spoken or None,
    }
    known = {name: tokens for name, tokens in details.items() if tokens is not None}
    return {**known, "total": sum(known.values())} if known else {}


def cost_details(span: GenAISpan) -> dict[str, JSON]:
    """USD as JSON numbers; a string would be dropped without a word.

    A call that failed before it used anything cost nothing. Without a cost Langfuse counts the
    tokens of its input, and charges them.
    """
    costs = {"input": span.cost.input, "output": span.cost.output, "total": span.cost.total}
    known: dict[str, JSON] = {name: usd for name, usd in costs.items() if usd is not None}
    free = span.error is not None and not known and not span.usage.total
    return {"total": 0.0} if free else known


def completion_start_time(span: GenAISpan) -> str | None:
    """When the first chunk came, as ISO 8601 in UTC; None unless it is a stream."""
    wait = span.response.time_to_first_chunk
    return None if wait is None else iso(span.start_ns + round(min(wait, _AGE) * 1e9))


def environment(name: str) -> str | None:
    """`name` as Langfuse takes it: lower case, `a-z0-9-_`, 40 characters, not `langfuse…`."""
    shaped = re.sub(r"[^a-z0-9_-]", "-", name.lower())
    while (bare := shaped.removeprefix("langfuse").lstrip("-_")) != shaped:
        shaped = bare
    return shaped[:40] or None


def _input(span: GenAISpan) -> JSON:
    asked, tools = openai.input_of(span), openai.tools(span)
    return {"messages": asked, "tools": tools} if tools else asked


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
