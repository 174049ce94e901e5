"""Reads user, session, tags and metadata from arguments and `litespan.context(...)`."""

import sys
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

from opentelemetry import baggage
from opentelemetry.context import Context

from litespan import semconv as s
from litespan.identity import Identity, Scalar
from litespan.mapping.agents import person, read_agent
from litespan.mapping.request import Attributes, Request
from litespan.objects import as_texts, get, parsed, safe_str, utf8, whole
from litespan.redaction.text import is_plain, is_secret_name, scrub, scrub_name

MAX_METADATA: Final = 32
MAX_LENGTH: Final = 1024  # characters of one metadata value, user, session or tag, and of a name
MAX_TAGS: Final = 64

_LANGFUSE: Final = "langfuse_"  # prefix of request headers that LiteLLM treats as metadata
_OF_KEY: Final = "user_api_key"  # prefix of metadata that the proxy adds about a key
_PRIVATE: Final = "_litellm_"  # prefix of names that LiteLLM uses internally
_SPEND: Final = "spend_logs_metadata"  # metadata that operators set on keys, teams and requests
# Metadata with its own attribute.
_PROMOTED: Final = frozenset(
    {"user_id", "trace_user_id", "session_id", "litellm_session_id", "tags", "litespan"}
)
# Written by LiteLLM's router into the caller's dict, so that later calls would contain it.
_INJECTED: Final = frozenset(
    {
        *("model_group", "model_group_alias", "model_group_size", "original_model_group"),
        *("deployment", "deployment_model_name", "api_base", "caching_groups", "endpoint"),
        *("attempted_retries", "attempted_fallbacks", "max_retries", "request_retry_count"),
        *("queue_time_seconds", "global_max_parallel_requests", "requester_ip_address"),
        *("user_api_key", "litellm_api_version", "litellm_roi_estimator", "client_disconnected"),
    }
)
# Metadata added by the proxy that is recorded → attribute.
_PROXY: Final[Mapping[str, str]] = {
    "user_api_key_team_id": s.TEAM_ID,
    "user_api_key_team_alias": s.TEAM_ALIAS,
    "user_api_key_org_id": s.ORGANIZATION_ID,
    "user_api_key_project_id": s.PROJECT_ID,
    "user_api_key_end_user_id": s.END_USER_ID,
    "user_api_key_hash": s.API_KEY_HASH,
    "user_api_key_alias": s.API_KEY_ALIAS,
    "user_api_key_request_route": s.REQUEST_ROUTE,
    "user_agent": s.USER_AGENT,
}


def identity_attributes(request: Request, identity: Identity) -> Attributes:
    """Return identity attributes. Metadata comes first: the SDK drops the oldest attributes."""
    metadata = request.metadata
    from_proxy = "user_api_key" in metadata or "user_api_key_hash" in metadata
    own: Mapping[str, Any] = _client_metadata(request) if from_proxy else metadata
    free = {**identity.metadata, **own} if identity.metadata else own
    if _SPEND in metadata or _SPEND in own:
        spend = metadata.get(_SPEND) or own.get(_SPEND)
        if isinstance(spend, Mapping):  # first, so that it fits into the limit
            free = {**spend, **free, **spend}
    attributes = free_metadata(free) if free else {}
    user, session = _user_and_session(request, identity, own, from_proxy=from_proxy)
    if user:
        attributes[s.USER_ID] = _short(user)
    if session:
        attributes[s.SESSION_ID] = attributes[s.CONVERSATION_ID] = _short(session)
    given = metadata.get("tags")
    if given or identity.tags or from_proxy:
        tags = (*identity.tags, *(as_texts(given) or ()))
        if from_proxy:  # which keeps the tags of key and team apart from the client's metadata
            added = get(request.arguments.get("litellm_metadata"), "tags")
            tags = (*tags, *(as_texts(added) or ()), *_header_tags(request))
        if tags:
            different = list(dict.fromkeys(tags))[:MAX_TAGS]
            attributes[s.TAGS] = tuple([_short(tag) for tag in different])
    if from_proxy:
        attributes.update(_key_attributes(metadata))
    return attributes


def hides_keys() -> bool:
    """Whether the operator keeps everything about keys out of logs by LiteLLM's setting."""
    return getattr(sys.modules.get("litellm"), "redact_user_api_key_info", None) is True


def _user_and_session(
    request: Request, identity: Identity, own: Mapping[str, Any], *, from_proxy: bool
) -> tuple[Any, Any]:
    """Return (user, session), each from its first source; `own` is the caller's metadata."""
    arguments, metadata = request.arguments, request.metadata
    client_request = arguments.get("user")
    if from_proxy and client_request == metadata.get("user_api_key_user_id"):
        client_request = None  # LiteLLM fills it in for some routes
    user = client_request or own.get("user_id") or own.get("trace_user_id")
    agent = None
    if user and (type(user) is not str or user[0] == "{" or "_session_" in user):
        agent = read_agent(user)
    session = (
        own.get("session_id")
        or arguments.get("litellm_session_id")
        or own.get("litellm_session_id")
        or identity.session
        or (metadata.get("session_id") if from_proxy else None)
    )
    if agent is not None:
        user, session = agent.user, session or agent.session
    return user or identity.user or (_proxy_user(metadata) if from_proxy else None), session


def _key_attributes(metadata: Mapping[str, Any]) -> Attributes:
    """Return what LiteLLM's proxy knows about the API key and the request."""
    attributes: Attributes = {}
    hidden = hides_keys()
    for name, attribute in _PROXY.items():
        value = None if hidden and name.startswith(_OF_KEY) else metadata.get(name)
        value = person(value) if attribute == s.END_USER_ID else value
        if value:
            attributes[attribute] = _short(value)
    return attributes


def _proxy_user(metadata: Mapping[str, Any]) -> Any:
    """Return the user that the proxy set: from `litellm_metadata`, or the API key's."""
    user = person(metadata.get("user_id"))
    return user if user or hides_keys() else metadata.get("user_api_key_user_id")


def _client_metadata(request: Request) -> Mapping[str, Any]:
    """Return the metadata that a proxy client sent in the body or in headers."""
    client_request = request.arguments.get("proxy_server_request")
    body = get(client_request, "body")
    own: dict[str, Any] = {}
    for given in (get(body, "litellm_metadata"), request.metadata.get("requester_metadata")):
        stated = parsed(given) if isinstance(given, str) else given  # text in a multipart form
        if isinstance(stated, Mapping):
            own.update(stated)
    headers = _headers(client_request)
    for name in headers:
        if type(name) is str and name[: len(_LANGFUSE)] == _LANGFUSE:
            own[name.removeprefix(_LANGFUSE)] = headers[name]
    # LiteLLM adds the trace id of the client's `traceparent`, and its user agent.
    traceparent = headers.get("traceparent")
    if isinstance(traceparent, str) and own.get("trace_id") in traceparent.lower().split("-")[1:2]:
        del own["trace_id"]
    if "user_agent" in own and own["user_agent"] == headers.get("user-agent"):
        del own["user_agent"]
    return own


def _headers(client_request: Any) -> Mapping[Any, Any]:
    found = get(client_request, "headers")
    return found if isinstance(found, Mapping) else {}


def _header_tags(request: Request) -> tuple[str, ...]:
    """Return tags from the headers in LiteLLM's `extra_spend_tag_headers`."""
    names = getattr(sys.modules.get("litellm"), "extra_spend_tag_headers", None)
    if not names or not isinstance(names, (list, tuple)):
        return ()
    headers = _headers(request.arguments.get("proxy_server_request"))
    lower = {safe_str(name).lower(): value for name, value in headers.items()}
    return tuple(
        f"{name}: {value}"
        for name in names
        if (value := lower.get(safe_str(name).lower())) and not is_secret_name(str(name))
    )


def deployment_attributes(request: Request) -> Attributes:
    """Return the model group and deployment of this attempt."""
    metadata = request.metadata
    group = metadata.get("model_group")
    if not group:
        return {}
    attributes: Attributes = {s.MODEL_GROUP: _short(group)}
    info = metadata.get("model_info") or request.arguments.get("model_info")
    if isinstance(info, Mapping) and info.get("id"):
        attributes[s.DEPLOYMENT_ID] = _short(info["id"])
    return attributes


def request_options(request: Request) -> Mapping[str, Any]:
    """Return the caller's litespan options: `metadata={"litespan": {…}}`."""
    metadata = request.metadata
    given = metadata.get("litespan")
    if given is None and "requester_metadata" in metadata:  # from a proxy client
        given = get(metadata["requester_metadata"], "litespan")
    return given if given is not None and isinstance(given, Mapping) else {}


def mute_attributes(request: Request) -> Attributes:
    """Return the exporters that must not receive the call."""
    options = request_options(request)
    muted = as_texts(options["mute"]) if "mute" in options else None
    return {s.MUTE: muted[:MAX_TAGS]} if muted else {}


def free_metadata(given: Mapping[Any, Any]) -> Attributes:
    """Return the caller's scalar metadata, limited in number and length, without secrets."""
    attributes: Attributes = {}
    for key, value in given.items():
        name = key[:MAX_LENGTH] if type(key) is str else key  # the cache keeps it
        attribute = _attribute(name)
        if attribute is None and isinstance(value, (int, float)):
            attribute = _attribute(name, number=True)
        if attribute is not None and isinstance(value, (str, bool, int, float)):
            attributes[attribute] = scalar(value)
            if len(attributes) == MAX_METADATA:
                break
    return attributes


@lru_cache(maxsize=1024)
def _attribute(name: Any, *, number: bool = False) -> str | None:
    """Return the attribute name for a metadata key, or None if it must not be recorded."""
    if not isinstance(name, str) or name in _PROMOTED or name in _INJECTED:
        return None
    if name.startswith(_PRIVATE) or is_secret_name(name, 0 if number else None):
        return None
    return s.METADATA_PREFIX + utf8(name[:128])


def with_baggage(identity: Identity, names: tuple[str, ...], ctx: Context | None) -> Identity:
    """Complete `identity` from the allowed baggage entries."""
    found = {name: safe_str(value) for name in names if (value := baggage.get_baggage(name, ctx))}
    if not found:
        return identity
    user, session = found.pop(s.USER_ID, None), found.pop(s.SESSION_ID, None)
    return Identity(
        user=identity.user or user,
        session=identity.session or session,
        tags=identity.tags,
        metadata={**found, **identity.metadata},
    )


def _short(value: Any) -> str:
    text = value if type(value) is str else safe_str(value)
    return text if is_plain(text) else scrub_name(text[:MAX_LENGTH])


def scalar(value: Scalar) -> Scalar:
    """Return a value without credentials, of limited length, as OTLP can encode it."""
    if isinstance(value, str):
        plain = type(value) is str and is_plain(value)  # of an enum only its text is kept
        return value if plain else utf8(scrub(value[:MAX_LENGTH]))
    return whole(value) if isinstance(value, int) else value
