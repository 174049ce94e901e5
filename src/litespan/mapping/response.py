"""LiteLLM's results → what the span says of the answer."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from litespan import semconv as s
from litespan.mapping.request import Attributes, Request, server_attributes
from litespan.mapping.usage import Usage, read_usage
from litespan.mapping.values import as_text, contents, get

_PREFIX: Final = "llm_provider-"  # which LiteLLM gives the provider's response headers
# Headers that name the request at the provider.
_REQUEST_ID: Final = tuple(
    prefix + name
    for name in ("x-request-id", "request-id", "apim-request-id", "x-amzn-requestid")
    for prefix in (_PREFIX, "")
)
_RATE_LIMITS: Final = {
    "x-ratelimit-remaining-requests": s.RATE_LIMIT_REQUESTS,
    "x-ratelimit-remaining-tokens": s.RATE_LIMIT_TOKENS,
    "x-ratelimit-limit-requests": s.RATE_LIMIT_MAX_REQUESTS,
    "x-ratelimit-limit-tokens": s.RATE_LIMIT_MAX_TOKENS,
    "x-ratelimit-reset-requests": s.RATE_LIMIT_RESET_REQUESTS,
    "x-ratelimit-reset-tokens": s.RATE_LIMIT_RESET_TOKENS,
}
_HIDDEN: Final = {"litellm_model_name": s.PROVIDER_MODEL, "model_id": s.DEPLOYMENT_ID}


class Answer(NamedTuple):
    """What a finished call returned, in one shape for all of LiteLLM's results.

    Attributes:
        raw: LiteLLM's object, whole; for a stream what it stands for, if there is one.
        id, model: as the provider states them.
        finish_reasons: the provider's strings, by choice.
        usage: tokens, None if not known.
        service_tier, system_fingerprint: as OpenAI states them.
        hidden: LiteLLM's `_hidden_params`: cost, call id, API base, response headers.
    """

    raw: Any
    id: str | None = None
    model: str | None = None
    finish_reasons: tuple[str, ...] = ()
    usage: Usage | None = None
    service_tier: str | None = None
    system_fingerprint: str | None = None
    hidden: Mapping[str, Any] = MappingProxyType({})

    @property
    def cache_hit(self) -> bool:
        """Whether LiteLLM answered from its own response cache."""
        return self.hidden.get("cache_hit") is True


def read_answer(request: Request, raw: Any, hidden: Mapping[str, Any]) -> Answer:
    """One shape for a chat, text, responses, messages, embedding, … result."""
    stated = contents(raw)
    anthropic = request.target.call_type == "anthropic_messages"
    # Rerank answers count their tokens in `meta`.
    usage = stated.get("usage") or get(stated.get("meta"), "tokens")
    return Answer(
        raw=raw,
        id=as_text(stated.get("id")),
        model=as_text(stated.get("model")),
        finish_reasons=finish_reasons(stated),
        usage=read_usage(usage, input_excludes_cache=anthropic),
        service_tier=as_text(stated.get("service_tier")),
        system_fingerprint=as_text(stated.get("system_fingerprint")),
        hidden=hidden,
    )


def hidden_params(raw: Any) -> Mapping[str, Any]:
    """What LiteLLM hides in its results and streams: cost, call id, API base, headers."""
    return contents(get(raw, "_hidden_params"))


def response_headers(hidden: Mapping[str, Any]) -> Mapping[str, Any]:
    """The provider's response headers, prefixed by LiteLLM with `llm_provider-`."""
    return contents(hidden.get("additional_headers"))


def finish_reasons(stated: Mapping[str, Any]) -> tuple[str, ...]:
    """Why the model stopped, by choice, in the provider's words."""
    choices = stated.get("choices")
    if choices and isinstance(choices, (list, tuple)):
        found = [get(choice, "finish_reason") for choice in choices]
        return tuple([reason for reason in found if reason and isinstance(reason, str)])
    incomplete = stated.get("incomplete_details")
    if incomplete is not None:
        reason = as_text(get(incomplete, "reason"))
    else:
        reason = as_text(stated.get("stop_reason") or stated.get("status"))
    return (reason,) if reason else ()


def answer_attributes(request: Request, answer: Answer) -> Attributes:
    """Everything of the answer but tokens, cost and content."""
    attributes: Attributes = {}
    if answer.id:
        attributes[s.RESPONSE_ID] = answer.id
    if answer.model:
        attributes[s.RESPONSE_MODEL] = answer.model
    if answer.finish_reasons:
        attributes[s.RESPONSE_FINISH_REASONS] = answer.finish_reasons
    if answer.hidden:
        _hidden_attributes(attributes, answer.hidden)
    if request.provider == "openai":
        if answer.service_tier:
            attributes[s.OPENAI_RESPONSE_SERVICE_TIER] = answer.service_tier
        if answer.system_fingerprint:
            attributes[s.OPENAI_SYSTEM_FINGERPRINT] = answer.system_fingerprint
    return attributes


def _hidden_attributes(attributes: Attributes, hidden: Mapping[str, Any]) -> None:
    for name, attribute in _HIDDEN.items():
        value = hidden.get(name)
        if value and isinstance(value, str):
            attributes[attribute] = value
    base = hidden.get("api_base")
    if base and isinstance(base, str):
        attributes.update(server_attributes(base))
    headers = response_headers(hidden)
    if headers:
        request_id = provider_request_id(headers)
        if request_id:
            attributes[s.PROVIDER_REQUEST_ID] = request_id
    if hidden.get("cache_hit") is True:
        attributes[s.CACHE_HIT] = True


def provider_request_id(headers: Mapping[str, Any]) -> str | None:
    """The provider's own id of the request, from its response headers."""
    for name in _REQUEST_ID:
        value = headers.get(name)
        if value and isinstance(value, str):
            return value[:128]
    return None


def rate_limits(headers: Mapping[str, Any]) -> Attributes:
    """The provider's request id and what its headers say of rate limits."""
    attributes: Attributes = {}
    request_id = provider_request_id(headers)
    if request_id:
        attributes[s.PROVIDER_REQUEST_ID] = request_id
    for name, attribute in _RATE_LIMITS.items():
        value = headers.get(name) or headers.get(_PREFIX + name)
        if value is not None:
            attributes[attribute] = str(value)[:64]
    return attributes
