"""One row a call: the same columns, by the same names, in every store.

`COLUMNS` is the whole definition: name, kind, where the value comes from, what it means.
A store maps the nine kinds to its own types and leaves the rest to this module.

Amounts of money are `Decimal` US dollars with ten places (1e-10 USD), rounded half to even,
so that sums in a store with exact numbers are exact.
"""

import json
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from decimal import ROUND_HALF_EVEN, Decimal
from types import MappingProxyType
from typing import Any, Final, Literal

from opentelemetry.sdk.trace import ReadableSpan

from litespan.errors import suppress_errors
from litespan.genai.span import GenAISpan
from litespan.genai.values import plain

Kind = Literal["key", "text", "integer", "real", "money", "flag", "time", "list", "json"]
"""key: UUID · time: aware datetime, UTC · list: list of str · json: JSON text · money: Decimal."""

PLACES: Final = Decimal("1e-10")
"""Resolution of money, in USD."""
_MOST: Final = Decimal("1e8")  # numeric(18,10) of the stores holds less than this


@dataclass(frozen=True, slots=True)
class Column:
    """One column of every store."""

    name: str
    kind: Kind
    read: Callable[[GenAISpan], Any]
    """The value as a plain Python one of the kind, or None."""
    meaning: str
    content: bool = False
    """Does it hold what people and models said?"""


def _money(usd: float | None) -> Decimal | None:
    exact = None if usd is None else Decimal(repr(usd))
    if exact is None or abs(exact) >= _MOST:
        return None
    return exact.quantize(PLACES, ROUND_HALF_EVEN)


def _time(ns: int | None) -> datetime | None:
    if ns is None:
        return None
    return datetime.fromtimestamp(ns // 10**9, timezone.utc).replace(microsecond=ns % 10**9 // 1000)


_encode: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode


def _dump(value: object) -> str:
    try:
        return _encode(value)
    except ValueError:  # JSON has no infinity and no NaN
        return _encode(_finite(value))


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _stages(span: GenAISpan) -> str | None:
    made = [
        {"name": stage.name, "time_ns": stage.time_ns, "attributes": plain(stage.attributes)}
        for stage in span.stages
    ]
    return _dump(made) if made else None


def _dump_all(items: Iterable[Any] | None) -> str | None:
    return None if items is None else _dump([item.to_json() for item in items])


COLUMNS: Final = (
    Column("key", "key", lambda s: s.key, "uuid5 of trace id and span id: the primary key"),
    Column("trace_id", "text", lambda s: s.trace_id, "32 hex digits"),
    Column("span_id", "text", lambda s: s.span_id, "16 hex digits"),
    Column("parent_span_id", "text", lambda s: s.parent_span_id, "16 hex digits"),
    Column("call_id", "text", lambda s: s.call.id, "litellm_call_id; attempts can share it"),
    Column("start_time", "time", lambda s: _time(s.start_ns), "when the call began"),
    Column("end_time", "time", lambda s: _time(s.end_ns), "when it ended; null: not yet"),
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
        "success, failure, cancelled, abandoned; started = no end on record",
    ),
    Column("error_type", "text", lambda s: s.error and s.error.type, "why it failed"),
    Column("error_message", "text", lambda s: s.error and s.error.message, "as scrubbed"),
    Column("http_status", "integer", lambda s: s.error and s.error.code, "of a failure"),
    Column("operation", "text", lambda s: s.operation, "chat, embeddings, …"),
    Column("call_type", "text", lambda s: s.call.type, "LiteLLM's: completion, aembedding, …"),
    Column("provider", "text", lambda s: s.provider, "openai, anthropic, …"),
    Column("model", "text", lambda s: s.model, "the one that answered, else the one asked for"),
    Column("request_model", "text", lambda s: s.request.model, "as the caller named it"),
    Column("response_model", "text", lambda s: s.response.model, "as the provider named it"),
    Column("response_id", "text", lambda s: s.response.id, "the provider's"),
    Column("provider_request_id", "text", lambda s: s.call.provider_request_id, "a header"),
    Column("model_group", "text", lambda s: s.call.model_group, "the Router's name"),
    Column("deployment_id", "text", lambda s: s.call.deployment_id, "the Router's choice"),
    Column("attempt", "integer", lambda s: s.call.attempt, "1, 2, …"),
    Column("fallback_from", "text", lambda s: s.call.fallback_from, "model group"),
    Column("fallback_to", "text", lambda s: s.call.fallback_to, "model group"),
    Column("server_address", "text", lambda s: s.request.server_address, "the provider's host"),
    Column("user_id", "text", lambda s: s.identity.user, "the application's user"),
    Column("session_id", "text", lambda s: s.identity.session, "conversation or session"),
    Column("team_id", "text", lambda s: s.identity.team_id, "the proxy's team"),
    Column("team_alias", "text", lambda s: s.identity.team_alias, "its name"),
    Column("organization_id", "text", lambda s: s.identity.organization_id, "the proxy's"),
    Column("project_id", "text", lambda s: s.identity.project_id, "the proxy's"),
    Column("end_user_id", "text", lambda s: s.identity.end_user_id, "the proxy's end user"),
    Column("api_key_hash", "text", lambda s: s.identity.api_key_hash, "of the proxy's key"),
    Column("api_key_alias", "text", lambda s: s.identity.api_key_alias, "name of that key"),
    Column("route", "text", lambda s: s.identity.route, "the proxy's, /chat/completions"),
    Column("tags", "list", lambda s: list(s.identity.tags), "in the caller's order"),
    Column("metadata", "json", lambda s: _dump(dict(s.identity.metadata)), "object of scalars"),
    Column("input_tokens", "integer", lambda s: s.usage.input, "cached ones included"),
    Column("output_tokens", "integer", lambda s: s.usage.output, "reasoning ones included"),
    Column("cache_read_tokens", "integer", lambda s: s.usage.cache_read, "part of input"),
    Column("cache_creation_tokens", "integer", lambda s: s.usage.cache_creation, "part of input"),
    Column("reasoning_tokens", "integer", lambda s: s.usage.reasoning, "part of output"),
    Column("usage_source", "text", lambda s: s.usage.source, "provider, litellm, estimated"),
    Column("cost_usd", "money", lambda s: _money(s.cost.total), "all of it; null: unknown"),
    Column("input_cost_usd", "money", lambda s: _money(s.cost.input), "part of the cost"),
    Column("output_cost_usd", "money", lambda s: _money(s.cost.output), "part of the cost"),
    Column("saved_usd", "money", lambda s: _money(s.cost.saved), "by the response cache"),
    Column("cost_source", "text", lambda s: s.cost.source, "litellm, provider, estimated"),
    Column("cache_hit", "flag", lambda s: s.call.cache_hit, "LiteLLM's response cache"),
    Column("stream", "flag", lambda s: s.request.stream, "asked for as a stream?"),
    Column("stream_end", "text", lambda s: s.call.stream_end, "complete, abandoned, dropped, …"),
    Column("chunks", "integer", lambda s: s.call.chunks, "received"),
    Column("finish_reasons", "list", lambda s: list(s.response.finish_reasons), "a choice each"),
    Column("service_name", "text", lambda s: s.service.name, "the program"),
    Column("service_version", "text", lambda s: s.service.version, "its version"),
    Column("environment", "text", lambda s: s.service.environment, "production, …"),
    Column("span_name", "text", lambda s: s.name, "as in the trace"),
    Column("scope", "text", lambda s: s.scope, "the instrumentation that made the span"),
    Column("attributes", "json", lambda s: _dump(s.facts), "all attributes but content"),
    Column("stages", "json", _stages, "LiteLLM's: list of name, time_ns, attributes"),
    Column(
        "input_messages",
        "json",
        lambda s: _dump_all(s.input_messages),
        "in the GenAI conventions' parts schema",
        content=True,
    ),
    Column(
        "output_messages",
        "json",
        lambda s: _dump_all(s.output_messages),
        "in the parts schema",
        content=True,
    ),
    Column(
        "system_instructions",
        "json",
        lambda s: _dump_all(s.system_instructions),
        "parts",
        content=True,
    ),
    Column(
        "tool_definitions",
        "json",
        lambda s: _dump_all(s.tool_definitions),
        "as offered to the model",
        content=True,
    ),
)
"""Every column, in the order of the tables."""


def rows(
    spans: Iterable[ReadableSpan],
    convert: Mapping[Kind, Callable[[Any], Any]] = MappingProxyType({}),
    *,
    content: bool = True,
) -> list[list[Any]]:
    """The rows of those spans that are calls of a model, values in the order of `COLUMNS`.

    Each call once: of several spans with one key the last. A span that cannot become a row
    is left out, logged and counted, and never costs the others. Text can hold NUL characters
    and halves of surrogate pairs: see `clean`.

    Args:
        spans: Any spans.
        convert: How the store wants the (not None) values of a kind.
        content: False leaves columns of content None.
    """
    found = {}
    cells = [
        (column.read if content or not column.content else _nothing, convert.get(column.kind))
        for column in COLUMNS
    ]
    for span in spans:
        with suppress_errors("making a row"):
            call = GenAISpan.read(span)
            if call is not None and call.is_call:
                found[call.key] = [
                    value
                    if (value := read(call)) is None or converted is None
                    else converted(value)
                    for read, converted in cells
                ]
    return list(found.values())


def _nothing(_call: GenAISpan) -> None:
    return None


def clean(value: Any) -> Any:
    """`value`, and text in lists and objects, without what UTF-8 and databases refuse.

    Halves of surrogate pairs become "?" (replacement by the codec), NUL becomes U+FFFD.
    """
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode("utf-8").replace("\0", "\ufffd")
    if isinstance(value, list):
        return [clean(item) for item in value]
    if isinstance(value, dict):
        return {clean(name): clean(item) for name, item in value.items()}
    return value
