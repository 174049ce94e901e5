"""Attributes → the groups of a `GenAISpan`: one pure function for each group."""

from collections.abc import Callable, Mapping
from typing import TypeVar

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


def identity(a: Attributes) -> Identity:
    """User, session and tenant of the call."""
    return Identity(
        user=string(a, s.USER_ID),
        session=string(a, s.SESSION_ID) or string(a, s.CONVERSATION_ID),
        tags=strings(a, s.TAGS),
        metadata=_metadata(a),
        team_id=string(a, s.TEAM_ID),
        team_alias=string(a, s.TEAM_ALIAS),
        organization_id=string(a, s.ORGANIZATION_ID),
        project_id=string(a, s.PROJECT_ID),
        end_user_id=string(a, s.END_USER_ID),
        api_key_hash=string(a, s.API_KEY_HASH),
        api_key_alias=string(a, s.API_KEY_ALIAS),
        route=string(a, s.REQUEST_ROUTE),
        user_agent=string(a, s.USER_AGENT),
    )


def _metadata(a: Attributes) -> Mapping[str, Scalar | tuple[Scalar, ...]]:
    prefix = len(s.METADATA_PREFIX)
    found = {key[prefix:]: scalar(a[key]) for key in a if key.startswith(s.METADATA_PREFIX)}
    return {key: value for key, value in found.items() if value is not None}


def request(a: Attributes) -> Request:
    """The request."""
    return Request(
        model=string(a, s.REQUEST_MODEL),
        stream=boolean(a, s.REQUEST_STREAM) is True,
        server_address=string(a, s.SERVER_ADDRESS),
        server_port=integer(a, s.SERVER_PORT),
        parameters={
            plain: value
            for plain, name in conventions.PARAMETERS.items()
            if name in a and (value := _parameter(a, name)) is not None
        },
        output_type=string(a, s.OUTPUT_TYPE),
        dimensions=integer(a, s.EMBEDDINGS_DIMENSIONS),
        prompt_name=string(a, s.PROMPT_NAME),
        prompt_version=string(a, s.PROMPT_VERSION),
    )


def _parameter(a: Attributes, name: str) -> Scalar | tuple[Scalar, ...] | None:
    return integer(a, name) if type(a[name]) is int else scalar(a[name])


def response(a: Attributes) -> Response:
    """The response."""
    return Response(
        id=string(a, s.RESPONSE_ID),
        model=string(a, s.RESPONSE_MODEL),
        finish_reasons=strings(a, s.RESPONSE_FINISH_REASONS),
        time_to_first_chunk=quantity(a, s.TIME_TO_FIRST_CHUNK),
        service_tier=string(a, s.OPENAI_RESPONSE_SERVICE_TIER),
        system_fingerprint=string(a, s.OPENAI_SYSTEM_FINGERPRINT),
    )


def usage(a: Attributes) -> Usage:
    """Token counts."""
    return Usage(
        input=tokens(a, s.INPUT_TOKENS),
        output=tokens(a, s.OUTPUT_TOKENS),
        cache_read=tokens(a, s.CACHE_READ_TOKENS),
        cache_creation=_first(tokens, a, s.CACHE_CREATION_TOKENS, s.CACHE_WRITE_TOKENS),
        reasoning=tokens(a, s.REASONING_TOKENS),
        source=string(a, s.USAGE_SOURCE),
        audio_input=tokens(a, s.AUDIO_INPUT_TOKENS),
        audio_output=tokens(a, s.AUDIO_OUTPUT_TOKENS),
        cache_creation_5m=tokens(a, s.CACHE_CREATION_5M_TOKENS),
        cache_creation_1h=tokens(a, s.CACHE_CREATION_1H_TOKENS),
    )


def cost(a: Attributes) -> Cost:
    """Cost in USD."""
    return Cost(
        total=_first(money, a, s.COST, s.COST_TOTAL),
        input=money(a, s.COST_INPUT),
        output=money(a, s.COST_OUTPUT),
        cache_read=money(a, s.COST_CACHE_READ),
        cache_creation=money(a, s.COST_CACHE_CREATION),
        reasoning=money(a, s.COST_REASONING),
        tool_usage=money(a, s.COST_TOOL_USAGE),
        saved=money(a, s.COST_SAVED),
        source=string(a, s.COST_SOURCE),
    )


def error(span: ReadableSpan, a: Attributes, events: tuple[Event, ...]) -> Error | None:
    """The error; None unless the span's status is ERROR."""
    if span.status.status_code is not StatusCode.ERROR:
        return None
    exception: Attributes = {}
    for event in events:
        if event.name == s.EVENT_EXCEPTION:
            exception = event.attributes or {}
    return Error(
        type=string(a, s.ERROR_TYPE) or string(exception, s.EXCEPTION_TYPE) or "_OTHER",
        message=span.status.description or string(exception, s.EXCEPTION_MESSAGE),
        code=integer(a, s.ERROR_CODE),
    )


def call(span: ReadableSpan, a: Attributes) -> Call:
    """The LiteLLM call and its outcome."""
    failed = span.status.status_code is StatusCode.ERROR
    outcome = string(a, s.OUTCOME) or ("failure" if failed else "success")
    return Call(
        id=string(a, s.CALL_ID),
        type=string(a, s.CALL_TYPE),
        attempt=integer(a, s.ATTEMPT),
        model_group=string(a, s.MODEL_GROUP),
        deployment_id=string(a, s.DEPLOYMENT_ID),
        fallback_from=string(a, s.FALLBACK_FROM),
        fallback_to=string(a, s.FALLBACK_TO),
        provider_model=string(a, s.PROVIDER_MODEL),
        provider_request_id=string(a, s.PROVIDER_REQUEST_ID),
        outcome=outcome if span.end_time is not None else "started",
        cache_hit=boolean(a, s.CACHE_HIT),
        stream_end=string(a, s.STREAM_END),
        chunks=integer(a, s.STREAM_CHUNKS),
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
            environment=_first(string, a, s.ENVIRONMENT, s.ENVIRONMENT_OLD),
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


def _first(
    read: Callable[[Attributes, str], T | None], a: Attributes, name: str, other: str
) -> T | None:
    value = read(a, name)
    return value if value is not None else read(a, other)
