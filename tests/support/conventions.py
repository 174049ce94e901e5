"""The GenAI conventions v0.1.0 and what litespan still writes of 1.41, as data: facts, restated.

https://github.com/open-telemetry/semantic-conventions-genai/tree/v0.1.0/docs
"""

from typing import Any, NamedTuple

SECONDS = [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92]
TOKENS = [4.0**power for power in range(14)]

# --- attributes: name → type -------------------------------------------------------------
# `json` is `any` in the conventions: a structured value, or JSON text on spans.
ATTRIBUTES: dict[str, str] = {
    "gen_ai.agent.description": "string",
    "gen_ai.agent.id": "string",
    "gen_ai.agent.name": "string",
    "gen_ai.agent.version": "string",
    "gen_ai.conversation.compacted": "boolean",
    "gen_ai.conversation.id": "string",
    "gen_ai.data_source.id": "string",
    "gen_ai.embeddings.dimension.count": "int",
    "gen_ai.evaluation.explanation": "string",
    "gen_ai.evaluation.name": "string",
    "gen_ai.evaluation.score.label": "string",
    "gen_ai.evaluation.score.value": "double",
    "gen_ai.input.messages": "json",
    "gen_ai.operation.name": "string",
    "gen_ai.output.messages": "json",
    "gen_ai.output.type": "string",
    "gen_ai.prompt.name": "string",
    "gen_ai.prompt.version": "string",
    "gen_ai.provider.name": "string",
    "gen_ai.request.choice.count": "int",
    "gen_ai.request.encoding_formats": "string[]",
    "gen_ai.request.frequency_penalty": "double",
    "gen_ai.request.max_tokens": "int",
    "gen_ai.request.model": "string",
    "gen_ai.request.presence_penalty": "double",
    "gen_ai.request.previous_response.id": "string",
    "gen_ai.request.reasoning.level": "string",
    "gen_ai.request.seed": "int",
    "gen_ai.request.stop_sequences": "string[]",
    "gen_ai.request.stream": "boolean",
    "gen_ai.request.temperature": "double",
    "gen_ai.request.top_k": "int",
    "gen_ai.request.top_p": "double",
    "gen_ai.response.finish_reasons": "string[]",
    "gen_ai.response.id": "string",
    "gen_ai.response.model": "string",
    "gen_ai.response.time_to_first_chunk": "double",
    "gen_ai.retrieval.documents": "json",
    "gen_ai.retrieval.query.text": "string",
    "gen_ai.retrieval.top_k": "int",
    "gen_ai.system_instructions": "json",
    "gen_ai.token.modality": "string",
    "gen_ai.tool.call.arguments": "json",
    "gen_ai.tool.call.id": "string",
    "gen_ai.tool.call.result": "json",
    "gen_ai.tool.definitions": "json",
    "gen_ai.tool.description": "string",
    "gen_ai.tool.name": "string",
    "gen_ai.tool.type": "string",
    "gen_ai.usage.audio.cache_read.input_tokens": "int",
    "gen_ai.usage.audio.input_tokens": "int",
    "gen_ai.usage.audio.output_tokens": "int",
    "gen_ai.usage.cache_read.input_tokens": "int",
    "gen_ai.usage.cache_write.input_tokens": "int",
    "gen_ai.usage.image.cache_read.input_tokens": "int",
    "gen_ai.usage.image.input_tokens": "int",
    "gen_ai.usage.image.output_tokens": "int",
    "gen_ai.usage.input_tokens": "int",
    "gen_ai.usage.output_tokens": "int",
    "gen_ai.usage.reasoning.output_tokens": "int",
    "gen_ai.usage.text.cache_read.input_tokens": "int",
    "gen_ai.usage.text.input_tokens": "int",
    "gen_ai.usage.text.output_tokens": "int",
    "error.type": "string",
    "exception.message": "string",
    "exception.stacktrace": "string",
    "exception.type": "string",
    "openai.request.service_tier": "string",
    "openai.response.service_tier": "string",
    "openai.response.system_fingerprint": "string",
    "server.address": "string",
    "server.port": "int",
}
OLD_ATTRIBUTES = {
    "gen_ai.usage.cache_creation.input_tokens": "int",
    "gen_ai.token.type": "string",
}
"""Of 1.41 only."""

# --- values ------------------------------------------------------------------------------
VALUES: dict[str, frozenset[str]] = {
    # `video` is ours: where none of the others applies, another value is permitted.
    "gen_ai.output.type": frozenset({"text", "json", "image", "speech", "video"}),
    "gen_ai.token.modality": frozenset({"text", "image", "audio", "unknown"}),
    "gen_ai.token.type": frozenset({"input", "output"}),
}
"""Attributes whose values the conventions limit."""

OPERATIONS = frozenset(
    {
        *("chat", "text_completion", "generate_content", "embeddings"),
        *("retrieval", "fetch_response", "execute_tool", "plan"),
        *("create_agent", "invoke_agent", "invoke_workflow"),
        *(f"{verb}_memory" for verb in ("create", "update", "upsert", "delete", "search")),
        *(f"{verb}_memory_store" for verb in ("create", "delete")),
    }
)
"""`gen_ai.operation.name`; others are allowed where none of these applies."""

INFERENCE = frozenset({"chat", "text_completion", "generate_content"})

# --- spans -------------------------------------------------------------------------------


class Span(NamedTuple):
    """What the conventions say about the span of an operation."""

    kinds: frozenset[str]
    keyed: str
    """The attribute after the operation in the span's name, if the span has it."""
    required: frozenset[str]


_CLIENT = frozenset({"CLIENT"})
_INTERNAL = frozenset({"INTERNAL"})
_CALL = frozenset({"gen_ai.operation.name", "gen_ai.provider.name"})
_MODEL_CALL = Span(_CLIENT, "gen_ai.request.model", _CALL)
SPANS: dict[str, Span] = {
    "chat": _MODEL_CALL,
    "text_completion": _MODEL_CALL,
    "generate_content": _MODEL_CALL,
    "embeddings": _MODEL_CALL,
    "fetch_response": Span(_CLIENT, "gen_ai.request.model", _CALL),
    "retrieval": Span(_CLIENT | _INTERNAL, "", frozenset({"gen_ai.operation.name"})),
    "execute_tool": Span(
        _INTERNAL, "gen_ai.tool.name", frozenset({"gen_ai.operation.name", "gen_ai.tool.name"})
    ),
    "invoke_agent": Span(
        _CLIENT | _INTERNAL, "gen_ai.agent.name", frozenset({"gen_ai.operation.name"})
    ),
    "create_agent": Span(_CLIENT, "gen_ai.agent.name", _CALL),
}

# --- metrics -----------------------------------------------------------------------------


class Metric(NamedTuple):
    """One metric: its unit, buckets (None: a counter) and labels besides error.type."""

    unit: str
    bounds: list[float] | None
    labels: frozenset[str]
    required: frozenset[str] = _CALL


_LABELS = _CALL | {
    "gen_ai.request.model",
    "gen_ai.response.model",
    "server.address",
    "server.port",
}
_DURATION = Metric("s", SECONDS, _LABELS | {"error.type"})
_CHUNKS = Metric("s", SECONDS, _LABELS)
_PER_CALL = Metric("{token}", TOKENS, _LABELS | {"error.type"})
_COUNTER = Metric(
    "{token}", None, _LABELS | {"gen_ai.token.modality"}, _CALL | {"gen_ai.token.modality"}
)
METRICS: dict[str, Metric] = {
    "gen_ai.client.inference.duration": _DURATION,
    "gen_ai.client.inference.time_to_first_chunk": _CHUNKS,
    "gen_ai.client.inference.time_per_output_chunk": _CHUNKS,
    "gen_ai.client.inference.operation.input_tokens": _PER_CALL,
    "gen_ai.client.inference.operation.output_tokens": _PER_CALL,
    "gen_ai.client.inference.usage.input_tokens": _COUNTER,
    "gen_ai.client.inference.usage.output_tokens": _COUNTER,
    "gen_ai.client.inference.usage.cache_read.input_tokens": _COUNTER,
    "gen_ai.client.inference.usage.cache_write.input_tokens": _COUNTER,
    "gen_ai.client.inference.usage.reasoning.output_tokens": _COUNTER,
    "gen_ai.client.embeddings.duration": _DURATION,
    "gen_ai.client.embeddings.operation.input_tokens": _PER_CALL,
    "gen_ai.client.operation.duration": _DURATION,
}
OLD_METRICS: dict[str, Metric] = {
    "gen_ai.client.operation.time_to_first_chunk": _CHUNKS,
    "gen_ai.client.operation.time_per_output_chunk": _CHUNKS,
    "gen_ai.client.token.usage": Metric(
        "{token}", TOKENS, _LABELS | {"gen_ai.token.type"}, _CALL | {"gen_ai.token.type"}
    ),
}
"""Of 1.41 only."""

# --- events ------------------------------------------------------------------------------


class Event(NamedTuple):
    """One log event: the severity that the conventions name, and its attributes."""

    severity: str
    attributes: frozenset[str]
    required: frozenset[str] = frozenset()


_EXCEPTION = Event(
    "WARN",
    frozenset({"exception.type", "exception.message", "exception.stacktrace"}),
    frozenset({"exception.type"}),
)
EVENTS: dict[str, Event] = {
    "gen_ai.client.inference.operation.details": Event(
        "DEBUG", frozenset(ATTRIBUTES), frozenset({"gen_ai.operation.name"})
    ),
    "gen_ai.client.inference.exception": _EXCEPTION,
    "gen_ai.client.operation.exception": _EXCEPTION,
    "gen_ai.evaluation.result": Event(
        "", frozenset(ATTRIBUTES), frozenset({"gen_ai.evaluation.name"})
    ),
}

# --- gaps --------------------------------------------------------------------------------
GAPS: dict[str, str] = {
    "unknown attribute gen_ai.usage.cost": (
        "the conventions have no cost; this is the name that Langfuse and OpenLIT read"
    ),
    "unknown metric gen_ai.client.operation.cost": "the conventions have no cost",
    "severity INFO of gen_ai.client.inference.operation.details": (
        "1.41 names no severity; v0.1.0's DEBUG comes with the opt-in"
    ),
    "text instead of a structured gen_ai.input.messages in an event": (
        "1.41's form, kept for consumers of today; v0.1.0's comes with the opt-in"
    ),
    "text instead of a structured gen_ai.output.messages in an event": "the same",
    "text instead of a structured gen_ai.system_instructions in an event": "the same",
    "text instead of a structured gen_ai.tool.definitions in an event": "the same",
    "text instead of a structured gen_ai.input.messages on a span": (
        "allowed; SDKs before 1.36 drop structured values of spans"
    ),
    "text instead of a structured gen_ai.output.messages on a span": "the same",
    "text instead of a structured gen_ai.system_instructions on a span": "the same",
    "text instead of a structured gen_ai.tool.definitions on a span": "the same",
    "one time per output chunk for a stream": (
        "the mean of a stream: a clock per chunk would slow down every stream"
    ),
    "no stack trace in gen_ai.client.inference.exception": (
        "recommended, but a trace of the program's own code can quote secrets"
    ),
    "no stack trace in gen_ai.client.operation.exception": "the same",
}
"""Declared differences and their reasons. A test fails if one is never seen."""

ELSEWHERE: dict[str, str] = {
    "usage on fetch_response": (
        "a background response is charged on the request that fetches it finished, as no other "
        "span has its tokens: tests/instrumentation/test_jobs.py"
    ),
}
"""Gaps that the scenarios of test_conventions.py do not show, their reasons, and what does."""

FOR_SERVICES = ("gen_ai.usage.total_tokens", "gen_ai.cost.estimated_total")
"""Attributes that exporters add to the copies of single services."""


def of_type(value: Any, kind: str) -> bool:
    """Whether a decoded OTLP value has a type of the conventions."""
    if kind == "json":
        return isinstance(value, (str, list, dict))
    if kind == "string[]":
        return isinstance(value, list) and all(isinstance(item, str) for item in value)
    types: dict[str, type] = {"string": str, "int": int, "double": float, "boolean": bool}
    return type(value) is types[kind]
