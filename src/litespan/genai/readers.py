"""Attributes → the groups of a `GenAISpan`: one pure function for each group."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.trace import StatusCode

from litespan import semconv as s
from litespan.genai import conventions
from litespan.genai import groups as g
from litespan.genai import values as v

T = TypeVar("T")


def _texts(a: v.Attributes, fields: Mapping[str, str]) -> dict[str, Any]:
    """Each field's non-empty string, or None, by the field's name: one pass instead of calls."""
    get = a.get
    return {
        field: value if (value := get(name)) and isinstance(value, str) else None
        for field, name in fields.items()
    }


def _read(
    read: Callable[[v.Attributes, str], Any], a: v.Attributes, fields: Mapping[str, str]
) -> dict[str, Any]:
    """Each field that has an attribute, read by `read`, and None for the others."""
    return {field: read(a, name) if name in a else None for field, name in fields.items()}


def construct(kind: type[T], **fields: Any) -> T:
    """A frozen dataclass with all its `fields`, in less time than its own `__init__` takes."""
    new = object.__new__(kind)
    object.__setattr__(new, "__dict__", fields)
    return new


def _attributes(kind: type) -> dict[str, str]:
    """The name of each field whose type names an attribute, and that attribute."""
    hints = kind.__annotations__.items()
    return {name: hint.__metadata__[0] for name, hint in hints if hasattr(hint, "__metadata__")}


_IDENTITY: Final = _attributes(g.Identity)


def identity(a: v.Attributes) -> g.Identity:
    """User, session and tenant of the call."""
    texts = _texts(a, _IDENTITY)
    texts["session"] = texts["session"] or v.string(a, s.CONVERSATION_ID)
    return construct(g.Identity, tags=v.strings(a, s.TAGS), metadata=_metadata(a), **texts)


def _metadata(a: v.Attributes) -> Mapping[str, v.Scalar | tuple[v.Scalar, ...]]:
    prefix = len(s.METADATA_PREFIX)
    return {
        key[prefix:]: value
        for key in a
        if key.startswith(s.METADATA_PREFIX) and (value := v.scalar(a[key])) is not None
    }


_REQUEST: Final = _attributes(g.Request)


def request(a: v.Attributes) -> g.Request:
    """The request."""
    return construct(
        g.Request,
        stream=v.boolean(a, s.REQUEST_STREAM) is True,
        server_port=v.integer(a, s.SERVER_PORT),
        parameters={
            plain: value
            for plain, name in conventions.PARAMETERS.items()
            if name in a and (value := _parameter(a, name)) is not None
        },
        dimensions=v.integer(a, s.EMBEDDINGS_DIMENSIONS),
        **_texts(a, _REQUEST),
    )


def _parameter(a: v.Attributes, name: str) -> v.Scalar | tuple[v.Scalar, ...] | None:
    return v.integer(a, name) if type(a[name]) is int else v.scalar(a[name])


_RESPONSE: Final = _attributes(g.Response)


def response(a: v.Attributes) -> g.Response:
    """The response."""
    return construct(
        g.Response,
        finish_reasons=v.strings(a, s.RESPONSE_FINISH_REASONS),
        time_to_first_chunk=v.quantity(a, s.TIME_TO_FIRST_CHUNK),
        **_texts(a, _RESPONSE),
    )


_USAGE: Final = _attributes(g.Usage)


def usage(a: v.Attributes) -> g.Usage:
    """Token counts."""
    counts = _read(v.tokens, a, _USAGE)
    if counts["cache_creation"] is None:
        counts["cache_creation"] = v.tokens(a, s.CACHE_WRITE_TOKENS)
    return construct(g.Usage, source=v.string(a, s.USAGE_SOURCE), **counts)


_COST: Final = _attributes(g.Cost)


def cost(a: v.Attributes) -> g.Cost:
    """Cost in USD."""
    costs = _read(v.money, a, _COST)
    if costs["total"] is None:
        costs["total"] = v.money(a, s.COST_TOTAL)
    return construct(g.Cost, source=v.string(a, s.COST_SOURCE), **costs)


def error(
    span: ReadableSpan, a: v.Attributes, events: Sequence[Event], *, own: bool
) -> g.Error | None:
    """The error, if the status is ERROR, or unset on another instrumentation's `error.type`."""
    status, kind = span.status.status_code, v.string(a, s.ERROR_TYPE)
    if status is not StatusCode.ERROR and (own or status is StatusCode.OK or kind is None):
        return None
    exception: v.Attributes = {}
    for event in events:
        if event.name == s.EVENT_EXCEPTION:
            exception = event.attributes or {}
    return g.Error(
        type=kind or v.string(exception, s.EXCEPTION_TYPE) or "_OTHER",
        message=span.status.description or v.string(exception, s.EXCEPTION_MESSAGE),
        code=v.integer(a, s.ERROR_CODE),
    )


_CALL: Final = _attributes(g.Call)


def call(span: ReadableSpan, a: v.Attributes, *, failed: bool) -> g.Call:
    """The LiteLLM call and its outcome."""
    outcome = v.string(a, s.OUTCOME) or ("failure" if failed else "success")
    return construct(
        g.Call,
        attempt=v.integer(a, s.ATTEMPT),
        outcome=outcome if span.end_time is not None else "started",
        cache_hit=v.boolean(a, s.CACHE_HIT),
        chunks=v.integer(a, s.STREAM_CHUNKS),
        **_texts(a, _CALL),
    )


def service(resource: Resource) -> g.Service:
    """The service that made the call."""
    global _last_service  # noqa: PLW0603 - a cache of one entry, set atomically
    last, service = _last_service
    if resource is not last:  # all spans of a provider share one resource
        a = resource.attributes
        service = g.Service(
            name=v.string(a, s.SERVICE_NAME),
            version=v.string(a, s.SERVICE_VERSION),
            environment=v.string(a, s.ENVIRONMENT) or v.string(a, s.ENVIRONMENT_OLD),
            attributes=a,
        )
        _last_service = (resource, service)
    return service


_last_service: tuple[Resource | None, g.Service] = (None, g.Service(None, None, None, {}))


def stages(events: tuple[Event, ...]) -> tuple[g.Stage, ...]:
    """The `litellm.*` events, ordered by time."""
    stages = [
        g.Stage(event.name[len(s.STAGE_PREFIX) :], event.timestamp, dict(event.attributes or {}))
        for event in events
        if event.name.startswith(s.STAGE_PREFIX)
    ]
    return tuple(sorted(stages, key=lambda stage: stage.time_ns))
