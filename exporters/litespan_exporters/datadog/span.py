"""`GenAISpan` → a span of Datadog LLM Observability. Pure.

Fields: https://docs.datadoghq.com/llm_observability/instrumentation/api/ (seen 2026-11-20);
details as in ddtrace 4.16.0.
"""

import re
from dataclasses import dataclass
from typing import Final

from opentelemetry.trace import SpanContext

from litespan.export import JSON, VERSION, GenAISpan, known, openai, to_scalar
from litespan_exporters.datadog.messages import answered, given

KINDS: Final = {
    "embeddings": "embedding",
    "execute_tool": "tool",
    "invoke_agent": "agent",
    "create_agent": "agent",
    "invoke_workflow": "workflow",
    "plan": "task",
    "retrieval": "retrieval",
}
"""Operation → span kind; `llm` for other model calls, `task` for other spans."""

RESERVED: Final = frozenset({"model_name", "model_provider"})
"""Keys of metadata that Datadog uses itself."""

_LONGEST_TAG: Final = 200  # characters
_LONGEST_APP: Final = 193


@dataclass(frozen=True, slots=True)
class Program:
    """Datadog's unified service tags and application name; None: from the resource."""

    ml_app: str | None = None
    service: str | None = None
    env: str | None = None
    version: str | None = None


def ml_app(name: str) -> str:
    """`name` by Datadog's rules: lower case, `a-z0-9_-:./`, no `__`, no `_` at the end."""
    shaped = re.sub(r"_+", "_", re.sub(r"[^a-z0-9_\-:./]", "_", name.lower()))
    return shaped[:_LONGEST_APP].strip("_") or "unknown"


def to_span(
    span: GenAISpan, program: Program, parent: SpanContext | None = None
) -> dict[str, JSON]:
    """The span in the format of the HTTP API.

    Args:
        span: the span.
        program: the service and application.
        parent: the nearest ancestor that Datadog receives; None for a root.
    """
    service = program.service or span.service.name
    shaped = {
        "name": span.name or span.operation,
        "span_id": decimal(span.span_id),
        "trace_id": span.trace_id,
        "apm_trace_id": span.trace_id,
        "parent_id": str(parent.span_id) if parent is not None else "undefined",
        "start_ns": max(span.start_ns, 0),
        "duration": (span.end_ns or span.start_ns) - span.start_ns,
        "status": "ok" if span.error is None else "error",
        "meta": _meta(span),
        "metrics": {**metrics(span)} if span.is_call else None,  # parents would count them twice
        "tags": [*tags(span, program)],
        "session_id": span.identity.session,
        "service": service,
        "ml_app": ml_app(program.ml_app or service or ""),
    }
    return known(shaped)


def to_event(shaped: dict[str, JSON]) -> dict[str, JSON]:
    """The span in the format of the agent, as ddtrace sends it."""
    meta = shaped["meta"]
    own = dict(meta) if isinstance(meta, dict) else {}
    own["span"] = {"kind": own.pop("kind", "llm")}
    event = {k: v for k, v in shaped.items() if k not in ("ml_app", "apm_trace_id", "tags")}
    tagged = shaped["tags"] if isinstance(shaped["tags"], list) else []
    ids: dict[str, JSON] = {name: shaped[name] for name in ("span_id", "trace_id", "apm_trace_id")}
    more: list[JSON] = [f"ml_app:{shaped['ml_app']}"]
    if "session_id" in shaped:
        more.append(f"session_id:{shaped['session_id']}")
    event |= {"meta": own, "tags": [*more, *tagged], "_dd": ids}
    return {
        "_dd.stage": "raw",
        "_dd.tracer_version": VERSION,
        "event_type": "span",
        "spans": [event],
    }


def decimal(span_id: str) -> str:
    """A span id of 16 hex digits as a decimal number, which evaluations use."""
    return str(int(span_id, 16))


def metrics(span: GenAISpan) -> dict[str, float]:
    """Tokens, USD and seconds as floats; negative values are left out."""
    used, cost = span.usage, span.cost
    found = {
        "input_tokens": used.input,
        "output_tokens": used.output,
        "total_tokens": used.total,
        "cache_read_input_tokens": used.cache_read,
        "cache_write_input_tokens": used.cache_creation,
        "ephemeral_5m_input_tokens": used.cache_creation_5m,
        "ephemeral_1h_input_tokens": used.cache_creation_1h,
        "non_cached_input_tokens": _without(used.input, used.cache_read, used.cache_creation),
        "reasoning_output_tokens": used.reasoning,
        "input_cost": cost.input,
        "output_cost": cost.output,
        "total_cost": cost.total,
        "cache_read_input_cost": cost.cache_read,
        "cache_write_input_cost": cost.cache_creation,
        "non_cached_input_cost": _without(cost.input, cost.cache_read, cost.cache_creation),
        "reasoning_output_cost": cost.reasoning,
        "time_to_first_token": span.response.time_to_first_chunk,
        "time_per_output_token": _pace(span),
    }
    return {name: float(value) for name, value in found.items() if value is not None and value >= 0}


def tags(span: GenAISpan, program: Program) -> list[str]:
    """Tags as `name:value`. The caller's tags do not add values to those of the span."""
    identity, call = span.identity, span.call
    named = {
        "env": program.env or span.service.environment,
        "service": program.service or span.service.name,
        "version": program.version or span.service.version,
        "language": "python",
        "source": "litespan",
        "error": "0" if span.error is None else "1",
        "error_type": span.error.type if span.error else None,
        "user_id": identity.user,
        "litellm_call_id": call.id,
        "outcome": call.outcome,
        "model_group": call.model_group,
        "cache_hit": None if call.cache_hit is None else str(call.cache_hit).lower(),
        "team": identity.team_alias or identity.team_id,
        "organization": identity.organization_id,
        "project": identity.project_id,
        "end_user": identity.end_user_id,
        "api_key": identity.api_key_alias,
    }
    named = {name: value for name, value in named.items() if value}
    taken = {*named, "ml_app", "session_id"}
    shaped = [f"{name}:{value}" for name, value in named.items()]
    for tag in identity.tags:
        name, colon, _ = tag.partition(":")
        shaped.append(tag if colon and name.strip().lower() not in taken else f"tag:{tag}")
    return [" ".join(tag.split())[:_LONGEST_TAG] for tag in shaped]


def _meta(span: GenAISpan) -> dict[str, JSON]:
    kind = KINDS.get(span.operation, "llm" if span.is_call else "task")
    meta: dict[str, JSON] = {
        "kind": kind,
        "model_name": span.model,
        "model_provider": (span.provider or "unknown").lower(),
        "metadata": _metadata(span),
        "input": given(kind, span),
        "output": answered(kind, span),
        "error": _error(span),
        "tool_definitions": _tools(span),
    }
    return {name: value for name, value in meta.items() if value not in (None, {})}


def _metadata(span: GenAISpan) -> dict[str, JSON]:
    call, response, request = span.call, span.response, span.request
    own = {
        **openai.parameters(span),
        "stream": True if request.stream else None,
        "output_type": request.output_type,
        "finish_reasons": [*response.finish_reasons] or None,
        "response_id": response.id,
        "request_model": request.model,
        "operation": span.operation,
        "prompt_name": request.prompt_name,
        "prompt_version": request.prompt_version,
        "litellm_call_id": call.id,
        "attempt": call.attempt,
        "deployment_id": call.deployment_id,
        "fallback_from": call.fallback_from,
        "stream_end": call.stream_end,
        "provider_request_id": call.provider_request_id,
        "server_address": request.server_address,
        "route": span.identity.route,
        "http_status": span.error.code if span.error else None,
        "usage_source": span.usage.source,
        "cost_source": span.cost.source,
    }
    metadata = {k: v for k, v in span.identity.metadata.items() if k not in RESERVED}
    return {name: to_scalar(value) for name, value in {**metadata, **known(own)}.items()}


def _tools(span: GenAISpan) -> JSON:
    found: list[JSON] = []
    for tool in span.tool_definitions or ():
        shaped: dict[str, JSON] = {"name": tool.name}
        if tool.description is not None:
            shaped["description"] = tool.description
        if isinstance(tool.parameters, dict):
            shaped["schema"] = tool.parameters
        found.append(shaped)
    return found or None


def _error(span: GenAISpan) -> JSON:
    if span.error is None:
        return None
    return {"message": span.error.message or span.error.type, "type": span.error.type}


def _without(whole: float | None, *parts: float | None) -> float | None:
    if whole is None or all(part is None for part in parts):
        return None
    return max(whole - sum(part or 0 for part in parts), 0)


def _pace(span: GenAISpan) -> float | None:
    first, tokens, duration = span.response.time_to_first_chunk, span.usage.output, span.duration
    if first is None or not tokens or duration is None:
        return None
    return max(duration - first, 0.0) / tokens
