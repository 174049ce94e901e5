"""Attributes → the groups of a `GenAISpan`: one pure function for each group."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.trace import StatusCode

from litespan import semconv as s
from litespan.genai import conventions
from litespan.genai.groups import (
    Call,
    Cost,
    Error,
    Identity,
    Request,
    Response,
    Service,
    Stage,
    Usage,
)
from litespan.genai.values import (
    Attributes,
    Scalar,
    boolean,
    integer,
    money,
    quantity,
    scalar,
    string,
    strings,
    tokens,
)

T = TypeVar("T")


def _texts(a: Attributes, fields: Mapping[str, str]) -> dict[str, Any]:
    """Each field's non-empty string, or None, by the field's name: one pass instead of calls."""
    get = a.get
    return {
        field: value if (value := get(name)) and isinstance(value, str) else None
        for field, name in fields.items()
    }


def _read(
    read: Callable[[Attributes, str], Any], a: Attributes, fields: Mapping[str, str]
) -> dict[str, Any]:
    """Each field that has an attribute, read by `read`, and None for the others."""
    return {field: read(a, name) if name in a else None for field, name in fields.items()}


def construct(kind: type[T], **fields: Any) -> T:
    """A frozen dataclass with all its `fields`, in less time than its own `__init__` takes."""
    new = object.__new__(kind)
    object.__setattr__(new, "__dict__", fields)
    return new


_IDENTITY: Final = {
    "user": s.USER_ID,
    "session": s.SESSION_ID,
    "team_id": s.TEAM_ID,
    "team_alias": s.TEAM_ALIAS,
    "organization_id": s.ORGANIZATION_ID,
    "project_id": s.PROJECT_ID,
    "end_user_id": s.END_USER_ID,
    "api_key_hash": s.API_KEY_HASH,
    "api_key_alias": s.API_KEY_ALIAS,
    "route": s.REQUEST_ROUTE,
    "user_agent": s.USER_AGENT,
}


def identity(a: Attributes) -> Identity:
    """User, session and tenant of the call."""
    texts = _texts(a, _IDENTITY)
    texts["session"] = texts["session"] or string(a, s.CONVERSATION_ID)
    return construct(Identity, tags=strings(a, s.TAGS), metadata=_metadata(a), **texts)


def _metadata(a: Attributes) -> Mapping[str, Scalar | tuple[Scalar, ...]]:
    prefix = len(s.METADATA_PREFIX)
    return {
        key[prefix:]: value
        for key in a
        if key.startswith(s.METADATA_PREFIX) and (value := scalar(a[key])) is not None
    }


_REQUEST: Final = {
    "model": s.REQUEST_MODEL,
    "server_address": s.SERVER_ADDRESS,
    "output_type": s.OUTPUT_TYPE,
    "prompt_name": s.PROMPT_NAME,
    "prompt_version": s.PROMPT_VERSION,
}


def request(a: Attributes) -> Request:
    """The request."""
    return construct(
        Request,
        stream=boolean(a, s.REQUEST_STREAM) is True,
        server_port=integer(a, s.SERVER_PORT),
        parameters={
            plain: value
            for plain, name in conventions.PARAMETERS.items()
            if name in a and (value := _parameter(a, name)) is not None
        },
        dimensions=integer(a, s.EMBEDDINGS_DIMENSIONS),
        **_texts(a, _REQUEST),
    )


def _parameter(a: Attributes, name: str) -> Scalar | tuple[Scalar, ...] | None:
    return integer(a, name) if type(a[name]) is int else scalar(a[name])


_RESPONSE: Final = {
    "id": s.RESPONSE_ID,
    "model": s.RESPONSE_MODEL,
    "service_tier": s.OPENAI_RESPONSE_SERVICE_TIER,
    "system_fingerprint": s.OPENAI_SYSTEM_FINGERPRINT,
}


def response(a: Attributes) -> Response:
    """The response."""
    return construct(
        Response,
        finish_reasons=strings(a, s.RESPONSE_FINISH_REASONS),
        time_to_first_chunk=quantity(a, s.TIME_TO_FIRST_CHUNK),
        **_texts(a, _RESPONSE),
    )


_USAGE: Final = {
    "input": s.INPUT_TOKENS,
    "output": s.OUTPUT_TOKENS,
    "cache_read": s.CACHE_READ_TOKENS,
    "cache_creation": s.CACHE_CREATION_TOKENS,
    "reasoning": s.REASONING_TOKENS,
    "audio_input": s.AUDIO_INPUT_TOKENS,
    "audio_output": s.AUDIO_OUTPUT_TOKENS,
    "cache_creation_5m": s.CACHE_CREATION_5M_TOKENS,
    "cache_creation_1h": s.CACHE_CREATION_1H_TOKENS,
}


def usage(a: Attributes) -> Usage:
    """Token counts."""
    counts = _read(tokens, a, _USAGE)
    if counts["cache_creation"] is None:
        counts["cache_creation"] = tokens(a, s.CACHE_WRITE_TOKENS)
    return construct(Usage, source=string(a, s.USAGE_SOURCE), **counts)


_COST: Final = {
    "total": s.COST,
    "input": s.COST_INPUT,
    "output": s.COST_OUTPUT,
    "cache_read": s.COST_CACHE_READ,
    "cache_creation": s.COST_CACHE_CREATION,
    "reasoning": s.COST_REASONING,
    "tool_usage": s.COST_TOOL_USAGE,
    "saved": s.COST_SAVED,
}


def cost(a: Attributes) -> Cost:
    """Cost in USD."""
    costs = _read(money, a, _COST)
    if costs["total"] is None:
        costs["total"] = money(a, s.COST_TOTAL)
    return construct(Cost, source=string(a, s.COST_SOURCE), **costs)


def error(span: ReadableSpan, a: Attributes, events: Sequence[Event], *, own: bool) -> Error | None:
    """The error, if the status is ERROR, or unset on another instrumentation's `error.type`."""
    status, kind = span.status.status_code, string(a, s.ERROR_TYPE)
    if status is not StatusCode.ERROR and (own or status is StatusCode.OK or kind is None):
        return None
    exception: Attributes = {}
    for event in events:
        if event.name == s.EVENT_EXCEPTION:
            exception = event.attributes or {}
    return Error(
        type=kind or string(exception, s.EXCEPTION_TYPE) or "_OTHER",
        message=span.status.description or string(exception, s.EXCEPTION_MESSAGE),
        code=integer(a, s.ERROR_CODE),
    )


_CALL: Final = {
    "id": s.CALL_ID,
    "type": s.CALL_TYPE,
    "model_group": s.MODEL_GROUP,
    "deployment_id": s.DEPLOYMENT_ID,
    "fallback_from": s.FALLBACK_FROM,
    "fallback_to": s.FALLBACK_TO,
    "provider_model": s.PROVIDER_MODEL,
    "provider_request_id": s.PROVIDER_REQUEST_ID,
    "stream_end": s.STREAM_END,
}


def call(span: ReadableSpan, a: Attributes, *, failed: bool) -> Call:
    """The LiteLLM call and its outcome."""
    outcome = string(a, s.OUTCOME) or ("failure" if failed else "success")
    return construct(
        Call,
        attempt=integer(a, s.ATTEMPT),
        outcome=outcome if span.end_time is not None else "started",
        cache_hit=boolean(a, s.CACHE_HIT),
        chunks=integer(a, s.STREAM_CHUNKS),
        **_texts(a, _CALL),
    )


def service(resource: Resource) -> Service:
    """The service that made the call."""
    global _last_service  # noqa: PLW0603 - a cache of one entry, set atomically
    last, service = _last_service
    if resource is not last:  # all spans of a provider share one resource
        a = resource.attributes
        service = Service(
            name=string(a, s.SERVICE_NAME),
            version=string(a, s.SERVICE_VERSION),
            environment=string(a, s.ENVIRONMENT) or string(a, s.ENVIRONMENT_OLD),
            attributes=a,
        )
        _last_service = (resource, service)
    return service


_last_service: tuple[Resource | None, Service] = (None, Service(None, None, None, {}))


def stages(events: tuple[Event, ...]) -> tuple[Stage, ...]:
    """The `litellm.*` events, ordered by time."""
    stages = [
        Stage(event.name[len(s.STAGE_PREFIX) :], event.timestamp, dict(event.attributes or {}))
        for event in events
        if event.name.startswith(s.STAGE_PREFIX)
    ]
    return tuple(sorted(stages, key=lambda stage: stage.time_ns))
