"""`GenAISpan` of a failed call → an error event of Sentry. Pure.

Payload: https://develop.sentry.dev/sdk/foundations/transport/event-payloads/ (seen
2026-11-20). Names that its default scrubbing treats as secrets (with "token", "auth" or
"api_key"; also such words in contexts and breadcrumbs) are renamed or left out. The tests check
this with Sentry's own code.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from litespan import semconv as s
from litespan.export import JSON, VERSION, GenAISpan, Stage, known, openai, to_scalar, to_text

LONGEST: Final = 8192  # characters of a message; Sentry's limit
LONGEST_TAG: Final = 200
MOST_CRUMBS: Final = 100

RENAMED: Final = {
    s.API_KEY_HASH: s.FOR_KEY_HASH,
    s.API_KEY_ALIAS: s.FOR_KEY_ALIAS,
    s.AUDIO_INPUT_TOKENS: s.FOR_AUDIO_INPUT,
    s.AUDIO_OUTPUT_TOKENS: s.FOR_AUDIO_OUTPUT,
    s.CACHE_CREATION_5M_TOKENS: s.FOR_CACHE_WRITE_5M,
    s.CACHE_CREATION_1H_TOKENS: s.FOR_CACHE_WRITE_1H,
    s.RATE_LIMIT_TOKENS: s.FOR_RATE_LIMIT_USAGE,
    s.COUNTED_TOKENS: s.FOR_COUNTED,
    s.RATE_LIMIT_MAX_TOKENS: s.FOR_RATE_LIMIT_MAX_USAGE,
    s.RATE_LIMIT_RESET_TOKENS: s.FOR_RATE_LIMIT_RESET_USAGE,
}
"""New names for attributes that Sentry would scrub as secrets."""

PERSON: Final = (s.USER_ID, s.END_USER_ID, s.FOR_USER)
"""Attributes that identify a person."""


def names_person(span: GenAISpan, value: object) -> bool:
    """Whether `value` is the id of the call's user, or JSON with that id."""
    people = filter(None, (span.identity.user, span.identity.end_user_id))
    return isinstance(value, str) and any(each == value or f'"{each}"' in value for each in people)


_STATUS: Final = {
    400: "invalid_argument",
    401: "unauthenticated",
    403: "permission_denied",
    404: "not_found",
    408: "deadline_exceeded",
    409: "already_exists",
    413: "failed_precondition",
    422: "invalid_argument",
    429: "resource_exhausted",
    499: "cancelled",
    500: "internal_error",
    501: "unimplemented",
    503: "unavailable",
    504: "deadline_exceeded",
}


def to_event(
    span: GenAISpan,
    environment: str | None,
    release: str | None,
    before: Iterable[JSON] = (),
    *,
    person: bool = True,
) -> dict[str, JSON]:
    """The event of a failed call.

    Args:
        span: a span with an `error`.
        environment: from `environment_name`.
        release: from `release_name`.
        before: breadcrumbs from before the call's own, oldest first.
        person: whether to include the user's id.
    """
    error = span.error
    kind = error.type if error else "_OTHER"
    message = (error and error.message) or kind
    user, ended = span.identity.user, span.end_ns or span.start_ns
    crumbs: list[JSON] = [*before, *[crumb(span, stage) for stage in span.stages]]
    event: dict[str, JSON] = {
        "event_id": span.key.hex,
        "timestamp": _seconds(ended),
        "platform": "python",
        "level": "error",
        "logger": "litellm",
        "transaction": _short(span.name or span.operation or "call"),
        "environment": environment,
        "release": release,
        "sdk": {"name": "litespan", "version": VERSION},
        "exception": {
            "values": [
                {
                    "type": kind[:LONGEST_TAG],
                    "value": _cut(message),
                    "mechanism": {"type": "litellm", "handled": True},
                }
            ]
        },
        "tags": {**tags(span)},
        "user": {"id": _cut(user)} if user and person else None,
        "fingerprint": ["litellm", kind, span.provider or "", span.request.model or ""],
        "contexts": {"trace": trace(span, person=person), "gen_ai": _context(span)},
        "breadcrumbs": {"values": crumbs[-MOST_CRUMBS:]} if crumbs else None,
    }
    return known(event)


def tags(span: GenAISpan) -> dict[str, str]:
    """Tags for search, of at most 200 characters each."""
    error, call = span.error, span.call
    fields = {
        s.PROVIDER: span.provider,
        s.OPERATION: span.operation,
        s.REQUEST_MODEL: span.request.model,
        s.ERROR_TYPE: error and error.type,
        "http.status_code": str(error.code) if error and error.code is not None else None,
        s.CALL_ID: call.id,
        s.MODEL_GROUP: call.model_group,
        s.TEAM_ID: span.identity.team_id,
    }
    return {name: short for name, value in fields.items() if value and (short := _short(value))}


def trace(span: GenAISpan, *, person: bool = True) -> dict[str, JSON]:
    """The trace context, which links the event to its span, with the span's attributes."""
    fields: dict[str, JSON] = {
        "type": "trace",
        "trace_id": span.trace_id,
        "span_id": span.span_id,
        "parent_span_id": span.parent_span_id,
        "op": op(span),
        "status": status(span),
        "origin": "auto.ai.litellm",
        "data": {
            RENAMED.get(name, name): _cut(value) if isinstance(value, str) else value
            for name, fact in span.facts.items()
            if (value := to_scalar(fact)) is not None
            and (person or not (name in PERSON or names_person(span, value)))
        },
    }
    return known(fields)


def op(span: GenAISpan) -> str:
    """Sentry's operation: `gen_ai.chat`, `gen_ai.embeddings` and so on."""
    return f"{_FAMILY}.{span.operation}" if span.operation else _FAMILY


_FAMILY: Final = s.OPERATION.partition(".")[0]


def status(span: GenAISpan) -> str:
    """The status in Sentry's terms."""
    if span.error is None:
        return "cancelled" if span.call.outcome in ("cancelled", "abandoned") else "ok"
    code = span.error.code
    if code is None:
        return "unknown"
    return _STATUS.get(code, "internal_error" if code >= 500 else "invalid_argument")


def crumb(span: GenAISpan, stage: Stage) -> JSON:
    """A stage as a breadcrumb. The error message is in the exception instead."""
    failed = stage.name == "failure"
    data: dict[str, JSON] = {
        RENAMED.get(name, name): to_scalar(value) for name, value in stage.attributes.items()
    }
    return _crumb(s.STAGE_PREFIX + stage.name, span, stage.time_ns, data, failed)


def input_crumb(span: GenAISpan, content: bool) -> JSON:
    """A started call as a breadcrumb for a later error event."""
    data: dict[str, JSON] = {
        "provider": span.provider,
        "model": span.request.model,
        "call_id": span.call.id,
        "stream": span.request.stream or None,
    }
    for name, value in openai.parameters(span).items():
        data[_PARAMETERS.get(name, name)] = to_scalar(value)
    if content and (messages := openai.sent(span)) is not None:
        data["messages"] = _cut(to_text(messages))
    return _crumb(_INPUT, span, span.start_ns, known(data))


_INPUT: Final = s.STAGE_PREFIX + "input"
_PARAMETERS: Final = {"max_tokens": "max_output"}  # not a secret


def _crumb(
    category: str, span: GenAISpan, ns: int, data: Mapping[str, JSON], failed: bool = False
) -> JSON:
    fields: dict[str, JSON] = {
        "timestamp": _seconds(ns),
        "type": "error" if failed else "default",
        "category": category,
        "level": "error" if failed else "info",
        "message": _cut(span.name),
    }
    return {**fields, "data": {**data}} if data else fields


def _context(span: GenAISpan) -> JSON:
    call, identity = span.call, span.identity
    fields: dict[str, Any] = {
        "type": _FAMILY,
        "operation": span.operation,
        "provider": span.provider,
        "request_model": span.request.model,
        "response_model": span.response.model,
        "server_address": span.request.server_address,
        "stream": span.request.stream,
        "duration_s": span.duration,
        "call_id": call.id,
        "attempt": call.attempt,
        "model_group": call.model_group,
        "deployment_id": call.deployment_id,
        "fallback_from": call.fallback_from,
        "fallback_to": call.fallback_to,
        "provider_request_id": call.provider_request_id,
        "stream_end": call.stream_end,
        "chunks": call.chunks,
        "session_id": identity.session,
        "team": identity.team_alias or identity.team_id,
        "key_alias": identity.api_key_alias,
        "labels": ", ".join(identity.tags) or None,
    }
    return {k: _cut(v) if isinstance(v, str) else v for k, v in known(fields).items()}


def _seconds(ns: int) -> float:
    return round(max(ns, 0) / 1e9, 6)


def _cut(value: str) -> str:
    return value if len(value) <= LONGEST else value[: LONGEST - 1] + "…"


def _short(value: str) -> str:
    return " ".join(re.sub(r"[\x00-\x1f\x7f]+", " ", value).split())[:LONGEST_TAG].strip()
