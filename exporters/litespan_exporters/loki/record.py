"""`GenAISpan` → Loki records, as OTLP logs or lines of its push API. Pure.

Limits: https://grafana.com/docs/loki/latest/configure/#limits_config, and which attributes
become labels: https://grafana.com/docs/loki/latest/send-data/otel/ (seen 2026-11-20).
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from litespan import semconv as s
from litespan.export import JSON, GenAISpan, dumps, known, openai, shrink, to_scalar
from litespan.export.vendor_attributes import scalars
from litespan.objects import utf8
from litespan.stores.columns import exact_usd

MAX_LINE: Final = 240_000  # bytes; Loki drops lines above 256 KB
MAX_METADATA: Final = 120  # entries of structured metadata; Loki's limit is 128
MAX_METADATA_BYTES: Final = 60_000  # bytes; Loki's limit is 64 KB
_MAX_VALUE: Final = 2_000  # characters
_MAX_LABEL: Final = 2_048  # bytes
_LAST: Final = 2**63 - 1  # ns; Loki's own limit


class Record(NamedTuple):
    """One log record."""

    time_ns: int
    event: str
    level: str  # info, warn, error
    labels: Mapping[str, str]  # low-cardinality values that Loki indexes
    line: dict[str, JSON]
    metadata: Mapping[str, Any]  # scalars under OpenTelemetry names
    trace_id: str
    span_id: str


def to_record(span: GenAISpan) -> Record:
    """A finished call."""
    used, error, cost = span.usage, span.error, money(span)
    line: dict[str, JSON] = {
        "message": summary(span, cost),
        "event": "llm_call",
        "status": span.call.outcome,
        "operation": span.operation,
        "model": span.model,
        "call_id": span.call.id,
        "duration_s": span.duration,
        "first_chunk_s": span.response.time_to_first_chunk,
        "input_tokens": used.input,
        "output_tokens": used.output,
        "cost_usd": cost,
        "error_type": error.type if error else None,
        "error": error.message if error else None,
        "http_status": error.code if error else None,
        "tags": [*span.identity.tags] or None,
        "messages": openai.sent(span),
        "response": openai.received(span),
        "tools": openai.tools(span),
    }
    return _record(span, span.end_ns or span.start_ns, s.EVENT_DETAILS, level(span), line)


def started(span: GenAISpan) -> Record:
    """A started call."""
    line: dict[str, JSON] = {
        "message": f"{span.name} started",
        "event": "llm_call_started",
        "status": span.call.outcome,
        "operation": span.operation,
        "model": span.model,
        "call_id": span.call.id,
        "messages": openai.sent(span),
        "tools": openai.tools(span),
    }
    return _record(span, span.start_ns, s.EVENT_PRE, "info", line)


def stage_records(span: GenAISpan) -> Iterator[Record]:
    """One for each stage of a finished call except chunks."""
    for stage in span.stages:
        name = s.STAGE_PREFIX + stage.name
        if name != s.EVENT_CHUNK:
            failed = name == s.EVENT_FAILURE
            fields = {key: to_scalar(value) for key, value in stage.attributes.items()}
            line: dict[str, JSON] = {
                "message": f"{span.name} {stage.name}",
                "event": stage.name,
                "call_id": span.call.id,
                "offset_ms": round((stage.time_ns - span.start_ns) / 1e6, 3),
                **fields,
            }
            yield _record(span, stage.time_ns, name, "error" if failed else "info", line)


def summary(span: GenAISpan, cost: str | None) -> str:
    """A short summary of a call: `chat gpt-4o-mini success 1.25s 30 tok $0.000009`."""
    words = [span.name or span.operation, span.call.outcome]
    if span.duration is not None:
        words.append(f"{span.duration:.3g}s")
    if span.usage.total is not None:
        words.append(f"{span.usage.total} tok")
    if cost is not None:
        words.append(f"${cost.rstrip('0').rstrip('.')}")
    if span.error is not None:
        words.append(span.error.type)
    return " ".join(words)


def money(span: GenAISpan) -> str | None:
    """The cost in USD with ten decimal places."""
    exact = exact_usd(span.cost.total)
    return None if exact is None else f"{exact:f}"


def level(span: GenAISpan) -> str:
    """The log level."""
    if span.error is not None:
        return "error"
    return "warn" if span.call.outcome in ("cancelled", "abandoned") else "info"


def _record(span: GenAISpan, time_ns: int, event: str, level: str, line: dict[str, JSON]) -> Record:
    service = span.service
    labels = {
        s.SERVICE_NAME: service.name or "unknown_service",
        s.ENVIRONMENT: service.environment,
        "level": level,
        s.OPERATION: span.operation,
        s.PROVIDER: span.provider,
    }
    metadata = {
        "event.name": event,
        "call_id": span.call.id,
        **span.facts,
        s.SERVICE_VERSION: service.version,
        s.COST: line["cost_usd"] if "cost_usd" in line else money(span),
    }
    return Record(
        time_ns=min(max(time_ns, 0), _LAST),
        event=event,
        level=level,
        labels={name: value for name, value in labels.items() if value},
        line=known(line),
        metadata=_bounded(metadata),
        trace_id=span.trace_id,
        span_id=span.span_id,
    )


def _bounded(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Metadata within Loki's limits; the first entries take precedence."""
    kept = {name: value for name, value in scalars(metadata).items() if value != ""}
    text = "".join([*kept, *[value for value in kept.values() if type(value) is str]])
    if len(text) <= _MAX_VALUE and len(kept) <= MAX_METADATA:
        return kept
    found: dict[str, Any] = {}
    size = 0
    for name, value in kept.items():
        short = value[:_MAX_VALUE] if isinstance(value, str) else value
        size += _bytes(name) + (_bytes(short) if isinstance(short, str) else 24)
        if len(found) >= MAX_METADATA or size > MAX_METADATA_BYTES:
            break
        found[name] = short
    return found


def _bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "replace"))


def line_of(record: Record) -> bytes:
    """The line as JSON, truncated to Loki's limit."""
    line = dumps(record.line)
    if len(line) > MAX_LINE:
        smaller = shrink({**record.line}, MAX_LINE)
        line = dumps(smaller or {"message": record.line["message"], "event": record.event})
    return line


def to_labels(record: Record) -> dict[str, str]:
    """Labels of the stream, by Loki's rules for names and sizes."""
    return {
        _name(name): utf8(value).encode()[:_MAX_LABEL].decode("utf-8", "ignore")
        for name, value in record.labels.items()
    }


def to_entry(record: Record) -> list[JSON]:
    """Time in nanoseconds, line and structured metadata, all as strings."""
    ids = {"trace_id": record.trace_id, "span_id": record.span_id}
    metadata: dict[str, JSON] = {
        _name(name): _text(value) for name, value in {**record.metadata, **ids}.items()
    }
    return [str(record.time_ns), line_of(record).decode(), metadata]


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return utf8(str(value))


def _name(name: str) -> str:
    shaped = re.sub(r"[^a-zA-Z0-9_]", "_", name)
    return f"_{shaped}" if shaped[:1].isdigit() else shaped
