"""Supabase: one row for each call, upserted through its REST API (PostgREST).

https://docs.postgrest.org/en/v12/references/api/tables_views.html#upsert (seen 2026-11-20).
The table has the columns of LiteLLM's own callback, or those of `litespan.stores.columns`.
"""

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, ClassVar, Final
from urllib.parse import quote

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult

from litespan.export import (
    JSON,
    GenAISpan,
    HttpExporter,
    Item,
    Policy,
    Variables,
    iso,
    known,
    openai,
    parse,
    plain,
)
from litespan.stores.columns import COLUMNS, Kind, to_clean_json
from litespan.stores.schema import INDEXED, MAX_INDEXED

TABLE: Final = "SUPABASE_TABLE"
"""`table` or `schema.table`; `request_logs` has LiteLLM's columns, others have litespan's."""

LITELLM_TABLE: Final = "request_logs"

STATUS: Final = {
    "started": "initiated",  # as in LiteLLM
    "success": "success",
    "abandoned": "success",
    "failure": "failure",
    "cancelled": "failure",
}

_FINISHED: Final = "return=minimal,resolution=merge-duplicates,missing=default"
_STARTED: Final = "return=minimal,resolution=ignore-duplicates,missing=default"
_JSON: Final[Mapping[Kind, Callable[[Any], JSON]]] = {
    "key": str,
    "money": lambda amount: float(Decimal(amount)),  # prints the exact digits
    "time": lambda at: at.isoformat().replace("+00:00", "Z"),
    "json": parse,
}


def request_log(span: GenAISpan) -> dict[str, JSON]:
    """A row of LiteLLM's `request_logs`. Pure."""
    used, error, answers = span.usage, span.error, openai.received(span)
    details: dict[str, JSON] = {
        **span.facts,
        "key": span.key_text,
        "trace_id": span.trace_id,
        "span_id": span.span_id,
        "parent_span_id": span.parent_span_id,
        "operation": span.operation,
        "provider": span.provider,
        "outcome": span.call.outcome,
        "start_time": iso(span.start_ns),
        "end_time": None if span.end_ns is None else iso(span.end_ns),
        "input_tokens": used.input,
        "output_tokens": used.output,
        "total_tokens": used.total,
        "cache_read_tokens": used.cache_read,
        "cache_creation_tokens": used.cache_creation,
        "reasoning_tokens": used.reasoning,
        "tools": openai.tools(span),
        "service": span.service.name,
        "service_version": span.service.version,
        "environment": span.service.environment,
    }
    return {
        "litellm_call_id": span.call.id or span.key_text,
        "model": span.model,
        "messages": openai.sent(span),
        "response": answers[0] if answers else None,
        "end_user": span.identity.user or span.identity.end_user_id,
        "status": STATUS.get(span.call.outcome, span.call.outcome),
        "error": None
        if error is None
        else {"type": error.type, "message": error.message, "code": error.code},
        "response_time": span.duration,
        "total_cost": span.cost.total,
        "additional_details": known(details),
    }


def row(span: GenAISpan) -> dict[str, JSON]:
    """A row of a table with litespan's columns. Pure."""
    values: dict[str, JSON] = {}
    for column in COLUMNS:
        value = column.read(span)
        if value is not None and column.kind in _JSON:
            value = _JSON[column.kind](value)
        if column.name in INDEXED and isinstance(value, str):
            value = value[:MAX_INDEXED]
        values[column.name] = plain(value)
    return values


class SupabaseExporter(HttpExporter):
    """Sends model calls to a table of a Supabase project.

    Reads SUPABASE_URL, SUPABASE_KEY, SUPABASE_TABLE.
    """

    name: ClassVar[str] = "supabase"
    variables = Variables(keys=("SUPABASE_KEY",), url=("SUPABASE_URL",))
    policy = Policy(max_items=500, split=frozenset({400, 409, 413}))
    hints: ClassVar[Mapping[str, str]] = {
        "400": f"the table rejects the row: compare its columns with those of {TABLE}",
        "401": "unauthorized: check SUPABASE_KEY and its permission to write (row level security)",
        "403": "forbidden: check SUPABASE_KEY and its permission to write (row level security)",
        "404": f"table not found: create it, or set its name in {TABLE}",
        "409": "the row violates another constraint of the table",
    }

    def __init__(
        self,
        url: str | None = None,
        key: str | None = None,
        *,
        table: str | None = None,
        **limits: Any,
    ) -> None:
        """Arguments take precedence over the environment.

        Args:
            url: `https://{project}.supabase.co`, else SUPABASE_URL.
            key: a secret key or the service role key; default SUPABASE_KEY.
            table: `table` or `schema.table`, else SUPABASE_TABLE, else `request_logs`.
            limits: fields of `Policy`.
        """
        super().__init__(**limits)
        named = table or self.variable(TABLE) or LITELLM_TABLE
        schema, _, self.table = named.rpartition(".")
        self.litellm_table = self.table == LITELLM_TABLE
        keys = self.credentials(key=key)
        if keys and (base := self.base_url(url, name="url")):
            path = f"/rest/v1/{quote(self.table, safe='')}"
            self.connect(
                base.removesuffix("/rest/v1") + path,
                {
                    "apikey": keys[0],
                    "Authorization": keys[0].bearer(),
                    "Content-Profile": schema or "public",
                },
            )

    def item(self, span: GenAISpan) -> Item | None:
        """One row for each model call; none for agents and tools."""
        if not span.is_call:
            return None
        values = request_log(span) if self.litellm_table else row(span)
        unique = "litellm_call_id" if self.litellm_table else "key"
        columns = quote(",".join(f'"{name}"' for name in values), safe="")
        started = span.call.outcome == "started"
        return Item(
            # By the unique column: a statement must not contain a row twice.
            str(values[unique]),
            to_clean_json(values),
            path=f"?on_conflict={unique}&columns={columns}",
            headers=(("Prefer", _STARTED if started else _FINISHED),),
        )

    def export_started(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Write started calls, unless their finished rows exist. Never raises."""
        return self.export(spans)
