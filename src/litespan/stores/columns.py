"""One row for each call: the same columns in every store.

`COLUMNS` defines them: name, kind, source of the value, meaning. A store maps the nine kinds to its
own types.

Amounts of money are `Decimal` US dollars with ten places (1e-10 USD), rounded half to even,
so that sums in a store with exact numbers are exact.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any, Final, Literal

from litespan.genai.span import GenAISpan
from litespan.objects import JSON, encoded, json_bytes, plain, utf8

Kind = Literal["key", "text", "integer", "real", "money", "flag", "time", "list", "json"]
"""key: UUID · time: aware datetime, UTC · list: list of str · json: JSON text · money: Decimal."""

PLACES: Final = Decimal("1e-10")
"""Resolution of money, in USD."""
_MAX_USD: Final = Decimal("1e8")  # the limit of numeric(18,10)


@dataclass(frozen=True, slots=True)
class Column:
    """One column of every store."""

    name: str
    kind: Kind
    read: Callable[[GenAISpan], Any]
    """Reads the value as a Python value of the kind, or None."""
    meaning: str
    content: bool = False
    """Whether it contains content."""


def exact_usd(usd: float | None) -> Decimal | None:
    """US dollars with ten decimal places; None if unknown, or 100 million USD or more."""
    exact = None if usd is None else Decimal(repr(usd))
    if exact is None or abs(exact) >= _MAX_USD:
        return None
    return exact.quantize(PLACES, ROUND_HALF_EVEN)


def time_text(at: datetime) -> str:
    """A time in UTC as ISO 8601 with microseconds and Z, as records have it."""
    return f"{at.isoformat(timespec='microseconds')[:26]}Z"  # strftime takes five times as long


def _time(ns: int | None) -> datetime | None:
    if ns is None:
        return None
    return datetime.fromtimestamp(ns // 10**9, timezone.utc).replace(microsecond=ns % 10**9 // 1000)


def _stages(span: GenAISpan) -> str | None:
    stages: list[JSON] = [
        {"name": stage.name, "time_ns": stage.time_ns, "attributes": plain(stage.attributes)}
        for stage in span.stages
    ]
    return encoded(stages) if stages else None


def _content(name: str, meaning: str) -> Column:
    """The column of a field of `GenAISpan` that is a tuple of messages, parts or tools."""

    def read(span: GenAISpan) -> str | None:
        items = getattr(span, name)
        return None if items is None else encoded([item.to_json() for item in items])

    return Column(name, "json", read, meaning, content=True)


COLUMNS: Final = (
    Column("key", "key", lambda s: s.key, "uuid5 of trace id and span id: the primary key"),
    Column("trace_id", "text", lambda s: s.trace_id, "32 hex digits"),
    Column("span_id", "text", lambda s: s.span_id, "16 hex digits"),
    Column("parent_span_id", "text", lambda s: s.parent_span_id, "16 hex digits"),
    Column("call_id", "text", lambda s: s.call.id, "litellm_call_id; attempts can share it"),
    Column("start_time", "time", lambda s: _time(s.start_ns), "start of the call"),
    Column("end_time", "time", lambda s: _time(s.end_ns), "end of the call; null: not ended"),
    Column("duration_s", "real", lambda s: s.duration, "seconds"),
    Column(
        "first_chunk_s",
        "real",
        lambda s: s.response.time_to_first_chunk,
        "seconds to the first chunk of a stream",
    ),
    Column(
        "outcome",
        "text",
        lambda s: s.call.outcome,
        "success, failure, cancelled, abandoned; started: no end recorded",
    ),
    Column("error_type", "text", lambda s: s.error and s.error.type, "type of the error"),
    Column(
        "error_message",
        "text",
        lambda s: s.error and s.error.message,
        "message of the error, scrubbed",
    ),
    Column(
        "http_status", "integer", lambda s: s.error and s.error.code, "HTTP status of the error"
    ),
    Column("operation", "text", lambda s: s.operation, "chat, embeddings, …"),
    Column("call_type", "text", lambda s: s.call.type, "LiteLLM's: completion, aembedding, …"),
    Column("provider", "text", lambda s: s.provider, "openai, anthropic, …"),
    Column("model", "text", lambda s: s.model, "response model, else requested model"),
    Column("request_model", "text", lambda s: s.request.model, "as the caller named it"),
    Column("response_model", "text", lambda s: s.response.model, "as the provider named it"),
    Column("response_id", "text", lambda s: s.response.id, "response id of the provider"),
    Column(
        "provider_request_id",
        "text",
        lambda s: s.call.provider_request_id,
        "request id of the provider, from a header",
    ),
    Column("model_group", "text", lambda s: s.call.model_group, "model group of the Router"),
    Column(
        "deployment_id", "text", lambda s: s.call.deployment_id, "deployment that the Router chose"
    ),
    Column("attempt", "integer", lambda s: s.call.attempt, "1, 2, …"),
    Column("fallback_from", "text", lambda s: s.call.fallback_from, "model group"),
    Column("fallback_to", "text", lambda s: s.call.fallback_to, "model group"),
    Column("server_address", "text", lambda s: s.request.server_address, "the provider's host"),
    Column("user_id", "text", lambda s: s.identity.user, "the application's user"),
    Column("session_id", "text", lambda s: s.identity.session, "conversation or session"),
    Column("team_id", "text", lambda s: s.identity.team_id, "the proxy's team"),
    Column("team_alias", "text", lambda s: s.identity.team_alias, "alias of the team"),
    Column(
        "organization_id", "text", lambda s: s.identity.organization_id, "the proxy's organization"
    ),
    Column("project_id", "text", lambda s: s.identity.project_id, "the proxy's project"),
    Column("end_user_id", "text", lambda s: s.identity.end_user_id, "the proxy's end user"),
    Column("api_key_hash", "text", lambda s: s.identity.api_key_hash, "hash of the proxy's key"),
    Column("api_key_alias", "text", lambda s: s.identity.api_key_alias, "alias of the proxy's key"),
    Column("route", "text", lambda s: s.identity.route, "route of the proxy, /chat/completions"),
    Column("tags", "list", lambda s: list(s.identity.tags), "in the caller's order"),
    Column("metadata", "json", lambda s: encoded(plain(s.identity.metadata)), "object of scalars"),
    Column("input_tokens", "integer", lambda s: s.usage.input, "including cached tokens"),
    Column("output_tokens", "integer", lambda s: s.usage.output, "including reasoning tokens"),
    Column("cache_read_tokens", "integer", lambda s: s.usage.cache_read, "part of input"),
    Column("cache_creation_tokens", "integer", lambda s: s.usage.cache_creation, "part of input"),
    Column("reasoning_tokens", "integer", lambda s: s.usage.reasoning, "part of output"),
    Column("usage_source", "text", lambda s: s.usage.source, "provider, litellm, estimated"),
    Column("cost_usd", "money", lambda s: exact_usd(s.cost.total), "total cost; null: unknown"),
    Column("input_cost_usd", "money", lambda s: exact_usd(s.cost.input), "part of the cost"),
    Column("output_cost_usd", "money", lambda s: exact_usd(s.cost.output), "part of the cost"),
    Column("saved_usd", "money", lambda s: exact_usd(s.cost.saved), "saved by the response cache"),
    Column("cost_source", "text", lambda s: s.cost.source, "litellm, provider, estimated"),
    Column("cache_hit", "flag", lambda s: s.call.cache_hit, "LiteLLM's response cache"),
    Column("stream", "flag", lambda s: s.request.stream, "whether a stream was requested"),
    Column("stream_end", "text", lambda s: s.call.stream_end, "complete, abandoned, dropped, …"),
    Column("chunks", "integer", lambda s: s.call.chunks, "number of received chunks"),
    Column(
        "finish_reasons", "list", lambda s: list(s.response.finish_reasons), "one for each choice"
    ),
    Column("service_name", "text", lambda s: s.service.name, "name of the service"),
    Column("service_version", "text", lambda s: s.service.version, "version of the service"),
    Column("environment", "text", lambda s: s.service.environment, "production, …"),
    Column("span_name", "text", lambda s: s.name, "name of the span"),
    Column("scope", "text", lambda s: s.scope, "the instrumentation that made the span"),
    Column("attributes", "json", lambda s: encoded(s.facts), "all attributes except content"),
    Column("stages", "json", _stages, "LiteLLM's: list of name, time_ns, attributes"),
    _content("input_messages", "in the GenAI conventions' parts schema"),
    _content("output_messages", "in the parts schema"),
    _content("system_instructions", "in the parts schema"),
    _content("tool_definitions", "tools that the model may call"),
)
"""All columns in table order."""


def to_clean_json(value: Any) -> bytes:
    """`json_bytes(clean(value))`, without a walk through values that are clean, as most are."""
    written = json_bytes(value)  # without lone surrogates
    return json_bytes(clean(value)) if b"\\u0000" in written else written


def clean(value: Any) -> Any:
    """`value` without lone surrogates and NUL, including in lists and dicts.

    Lone surrogates become "?", NUL becomes U+FFFD: UTF-8 and databases reject them.
    """
    if isinstance(value, str):
        return utf8(value).replace("\0", "\ufffd")
    if isinstance(value, list):
        return [clean(item) for item in value]
    if isinstance(value, dict):
        return {clean(name): clean(item) for name, item in value.items()}
    return value
