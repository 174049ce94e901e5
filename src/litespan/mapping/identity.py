"""Arguments, metadata and `litespan.context(...)` → user, session, tags, metadata."""

import json
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
from litespan.objects import as_texts, get, utf8
from litespan.redaction.text import is_secret_name, scrub

_NONE: Final[Mapping[str, Any]] = {}
MAX_METADATA: Final = 32
MAX_LENGTH: Final = 1024  # characters of one metadata value, user, session or tag
MAX_TAGS: Final = 64

_LANGFUSE: Final = "langfuse_"  # request headers that LiteLLM takes for metadata
_OF_KEY: Final = "user_api_key"  # begins the names of what the proxy says of a key
_PRIVATE: Final = "_litellm_"  # begins names that LiteLLM keeps for itself
_SPEND: Final = "spend_logs_metadata"  # metadata that operators give keys, teams and requests
# What the caller's metadata says under a name of its own, and the attribute for it.
_PROMOTED: Final = frozenset(
    {"user_id", "trace_user_id", "session_id", "litellm_session_id", "tags", "litespan"}
)
# What LiteLLM's router writes into the caller's dict, where the next call finds it again.
_INJECTED: Final = frozenset(
    {
        "model_group",
        "model_group_alias",
        "model_group_size",
        "deployment",
        "deployment_model_name",
        "api_base",
        "caching_groups",
        "attempted_retries",
        "attempted_fallbacks",
        "max_retries",
        "request_retry_count",
        "original_model_group",
        "queue_time_seconds",
        "litellm_api_version",
        "global_max_parallel_requests",
        "user_api_key",
        "endpoint",
        "requester_ip_address",
        "litellm_roi_estimator",
        "client_disconnected",
    }
)
# What the proxy writes beside the client's own metadata: only these go on.
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
    """Who the call is for. Free metadata comes first: the SDK drops the oldest attributes."""
    metadata = request.metadata
    from_proxy = "user_api_key" in metadata or "user_api_key_hash" in metadata
    own: Mapping[str, Any] = _of_client(request) if from_proxy else metadata
    free = {**identity.metadata, **own} if identity.metadata else own
    spend = metadata.get(_SPEND) or own.get(_SPEND)
    if isinstance(spend, Mapping):  # first of all, so that there is room for it
        free = {**spend, **free, **spend}
    attributes = free_metadata(free)
    user, session = _user_and_session(request, identity, own, from_proxy=from_proxy)
    if user:
        attributes[s.USER_ID] = _short(user)
    if session:
        attributes[s.SESSION_ID] = attributes[s.CONVERSATION_ID] = _short(session)
    given = metadata.get("tags")
    if given or identity.tags or from_proxy:
        tags = (*identity.tags, *(as_texts(given) or ()), *_header_tags(request))
        if tags:
            different = list(dict.fromkeys(tags))[:MAX_TAGS]
            attributes[s.TAGS] = tuple([_short(tag) for tag in different])
    if from_proxy:
        attributes.update(_of_key(metadata))
    return attributes


def hides_keys() -> bool:
    """Whether the operator keeps everything about keys out of logs by LiteLLM's setting."""
    return getattr(sys.modules.get("litellm"), "redact_user_api_key_info", None) is True


def _user_and_session(
    request: Request, identity: Identity, own: Mapping[str, Any], *, from_proxy: bool
) -> tuple[Any, Any]:
    """The first of each that is there; `own` is what the caller has written."""
    arguments, metadata = request.arguments, request.metadata
    asked = arguments.get("user")
    if from_proxy and asked == metadata.get("user_api_key_user_id"):
        asked = None  # LiteLLM fills it in for some routes
    user = asked or own.get("user_id") or own.get("trace_user_id")
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
    return user or identity.user or (_user_by_proxy(metadata) if from_proxy else None), session


def _of_key(metadata: Mapping[str, Any]) -> Attributes:
    """What LiteLLM says of the proxy's key and its request."""
    attributes: Attributes = {}
    hidden = hides_keys()
    for name, attribute in _PROXY.items():
        value = None if hidden and name.startswith(_OF_KEY) else metadata.get(name)
        if value and attribute == s.END_USER_ID:
            value = person(value)
        if value:
            attributes[attribute] = _short(value)
    return attributes


def _user_by_proxy(metadata: Mapping[str, Any]) -> Any:
    """The user that LiteLLM has put beside its own: from `litellm_metadata`, or the key's."""
    user = person(metadata.get("user_id"))
    return user if user or hides_keys() else metadata.get("user_api_key_user_id")


def _of_client(request: Request) -> Mapping[str, Any]:
    """What a client of the proxy has written: in the body under either name, or in headers."""
    asked = request.arguments.get("proxy_server_request")
    own: dict[str, Any] = {}
    for given in (
        get(get(asked, "body"), "litellm_metadata"),
        request.metadata.get("requester_metadata"),
    ):
        stated = _json(given) if isinstance(given, str) else given  # text in a form
        if isinstance(stated, Mapping):
            own.update(stated)
    for name, value in _headers(asked).items():
        if isinstance(name, str) and name.startswith(_LANGFUSE):
            own[name.removeprefix(_LANGFUSE)] = value
    # LiteLLM writes what it finds in headers among them.
    headers = _headers(asked)
    traceparent = headers.get("traceparent")
    if isinstance(traceparent, str) and own.get("trace_id") in traceparent.lower().split("-")[1:2]:
        del own["trace_id"]
    if "user_agent" in own and own["user_agent"] == headers.get("user-agent"):
        del own["user_agent"]
    return own


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


def _headers(asked: Any) -> Mapping[Any, Any]:
    found = get(asked, "headers")
    return found if isinstance(found, Mapping) else {}


def _header_tags(request: Request) -> tuple[str, ...]:
    """Tags from the headers that the operator names in LiteLLM's `extra_spend_tag_headers`."""
    names = getattr(sys.modules.get("litellm"), "extra_spend_tag_headers", None)
    if not names or not isinstance(names, (list, tuple)):
        return ()
    headers = _headers(request.arguments.get("proxy_server_request"))
    lower = {str(name).lower(): value for name, value in headers.items()}
    return tuple(
        f"{name}: {value}"
        for name in names
        if (value := lower.get(str(name).lower())) and not is_secret_name(str(name))
    )


def deployment_attributes(request: Request) -> Attributes:
    """What the router chose for this attempt."""
    metadata = request.metadata
    group = metadata.get("model_group")
    if not group:
        return {}
    attributes: Attributes = {s.MODEL_GROUP: _short(group)}
    info = metadata.get("model_info") or request.arguments.get("model_info")
    if isinstance(info, Mapping) and info.get("id"):
        attributes[s.DEPLOYMENT_ID] = _short(info["id"])
    return attributes


def wishes(request: Request) -> Mapping[str, Any]:
    """What a call asks of litespan itself, in `metadata={"litespan": {…}}`."""
    metadata = request.metadata
    given = metadata.get("litespan")
    if given is None and "requester_metadata" in metadata:  # of the proxy's clients
        client = metadata["requester_metadata"]
        given = client.get("litespan") if isinstance(client, Mapping) else None
    return given if given is not None and isinstance(given, Mapping) else _NONE


def wish_attributes(request: Request) -> Attributes:
    """Which exporters are not to have the call."""
    wished = wishes(request)
    muted = as_texts(wished["mute"]) if "mute" in wished else None
    return {s.MUTE: muted[:MAX_TAGS]} if muted else {}


def free_metadata(given: Mapping[Any, Any]) -> Attributes:
    """The caller's own metadata: scalars, bounded in number and length, no secrets."""
    attributes: Attributes = {}
    for name, value in given.items():
        attribute = _attribute(name)
        if attribute is None and isinstance(value, (int, float)):
            attribute = _attribute(name, number=True)
        if attribute is not None and isinstance(value, (str, bool, int, float)):
            attributes[attribute] = _value(value)
            if len(attributes) == MAX_METADATA:
                break
    return attributes


@lru_cache(maxsize=1024)
def _attribute(name: Any, *, number: bool = False) -> str | None:
    """The attribute of a caller's metadata, if it may leave. A program has few such names."""
    if not isinstance(name, str) or name in _PROMOTED or name in _INJECTED:
        return None
    if name.startswith(_PRIVATE):
        return None
    if is_secret_name(name, 0 if number else None):
        return None
    return s.METADATA_PREFIX + utf8(name[:128])


def with_baggage(identity: Identity, names: tuple[str, ...], ctx: Context | None) -> Identity:
    """`identity`, filled up from the baggage entries that the user has allowed."""
    found = {name: str(value) for name in names if (value := baggage.get_baggage(name, ctx))}
    if not found:
        return identity
    return Identity(
        user=identity.user or found.pop(s.USER_ID, None),
        session=identity.session or found.pop(s.SESSION_ID, None),
        tags=identity.tags,
        metadata={**found, **identity.metadata},
    )


def _short(value: Any) -> str:
    return utf8(scrub(str(value)[:MAX_LENGTH]))


def _value(value: Scalar) -> Scalar:
    if isinstance(value, str):
        return utf8(scrub(value[:MAX_LENGTH]))
    # OTLP carries 64-bit integers; a larger one is kept as text.
    return value if not isinstance(value, int) or -(2**63) <= value < 2**63 else str(value)
