"""Converts LiteLLM's results to span attributes."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from litespan import semconv as s
from litespan.mapping import a2a, google
from litespan.mapping.provider import provider_name, server_attributes
from litespan.mapping.request import Attributes, Request
from litespan.mapping.resources import result_attributes
from litespan.mapping.targets import AGENT, CONTENT, TASKS
from litespan.mapping.usage import Usage, read_usage
from litespan.objects import as_list, as_text, contents, first, get, parsed, utf8

_PREFIX: Final = "llm_provider-"  # LiteLLM's prefix of the provider's response headers
# Headers with the provider's request id.
_REQUEST_ID: Final = tuple(
    prefix + name
    for name in ("x-request-id", "request-id", "apim-request-id", "x-amzn-requestid")
    for prefix in (_PREFIX, "")
)
# LiteLLM's own names of these headers take precedence over the prefixed ones, so they come last.
_RATE_LIMITS: Final = tuple(
    (prefix + name, attribute)
    for prefix in (_PREFIX, "")
    for name, attribute in {
        "x-ratelimit-remaining-requests": s.RATE_LIMIT_REQUESTS,
        "x-ratelimit-remaining-tokens": s.RATE_LIMIT_TOKENS,
        "x-ratelimit-limit-requests": s.RATE_LIMIT_MAX_REQUESTS,
        "x-ratelimit-limit-tokens": s.RATE_LIMIT_MAX_TOKENS,
        "x-ratelimit-reset-requests": s.RATE_LIMIT_RESET_REQUESTS,
        "x-ratelimit-reset-tokens": s.RATE_LIMIT_RESET_TOKENS,
    }.items()
)
# Field of the answer, or of its hidden parameters → attribute.
_FIELDS: Final = (("id", s.RESPONSE_ID), ("model", s.RESPONSE_MODEL))
_OPENAI_FIELDS: Final = (
    *_FIELDS,
    ("service_tier", s.OPENAI_RESPONSE_SERVICE_TIER),
    ("system_fingerprint", s.OPENAI_SYSTEM_FINGERPRINT),
)
_NATIVE: Final = re.compile(r'"(?:stop_reason|stopReason|finishReason)"')
_MAX_RAW: Final = 2**18  # characters of a raw answer that is parsed again
_UNFINISHED: Final = frozenset({"queued", "in_progress"})  # not finish reasons
_HIDDEN: Final = (("litellm_model_name", s.PROVIDER_MODEL), ("model_id", s.DEPLOYMENT_ID))


@dataclass(slots=True)  # not frozen, which would slow down every call
class Answer:
    """The result of a finished call, in one shape for all LiteLLM functions.

    Attributes:
        raw: LiteLLM's result object; for a stream, the assembled answer, or None.
        fields: the fields of the provider's answer by name: id, model, ….
        finish_reasons: one per choice: the provider's if LiteLLM keeps them, else LiteLLM's.
        usage: token counts, None if unknown.
        hidden: LiteLLM's `_hidden_params`: cost, call id, API base, response headers.
        error: the provider's error object, if the answer reports a failure.
    """

    raw: Any
    fields: Mapping[str, Any]
    finish_reasons: tuple[str, ...]
    usage: Usage | None
    hidden: Mapping[str, Any]
    error: Any = None

    @property
    def cache_hit(self) -> bool:
        """Whether LiteLLM answered from its own response cache."""
        return self.hidden.get("cache_hit") is True


def read_answer(request: Request, raw: Any, hidden: Mapping[str, Any]) -> Answer:
    """Convert a chat, text, responses, messages, embedding, … result to an `Answer`."""
    if request.target.passed_on and hasattr(raw, "json"):
        raw = json_of(raw)
    stated = contents(raw)
    operation = request.target.operation
    if operation is AGENT:
        return Answer(raw, a2a.fields(raw), (), None, hidden, a2a.error(raw))
    if not operation.model:
        if request.target.call_type in TASKS:
            error = a2a.error(raw, of_task=False)
            return Answer(raw, a2a.fields(raw), (), None, hidden, error)
        return Answer(raw, stated, (), None, hidden)
    if operation is CONTENT:
        return google_answer(raw, hidden)
    anthropic = request.target.call_type == "anthropic_messages"
    # Rerank answers have their token counts in `meta`.
    usage = stated.get("usage") or get(stated.get("meta"), "tokens")
    return Answer(
        raw,
        stated,
        finish_reasons(stated),
        read_usage(usage, input_excludes_cache=anthropic),
        hidden,
        stated_error(stated),
    )


def google_answer(raw: Any, hidden: Mapping[str, Any]) -> Answer:
    """Convert a result of `generateContent` or of the Interactions API to an `Answer`."""
    stated = contents(raw)
    usage = google.usage(stated)
    if google.is_native(stated):
        reasons = google.finish_reasons(stated)
        return Answer(raw, google.normalized(stated), reasons, usage, hidden, stated.get("error"))
    usage = usage or read_usage(stated.get("usage"))
    return Answer(raw, stated, finish_reasons(stated), usage, hidden, stated_error(stated))


def stated_error(stated: Mapping[str, Any]) -> Any:
    """Return the error object of a failed response, or of an Anthropic error with status 200."""
    if stated.get("status") == "failed" or stated.get("type") == "error":
        return stated.get("error") or {"message": "the provider reports a failure"}
    return None


def error_in_body(body: Any) -> Any:
    """Return the error object in the JSON of an answer's body; None if it reports no failure."""
    if not isinstance(body, bytes) or len(body) > _MAX_RAW:
        return None
    if b'"failed"' not in body and b'"error"' not in body:
        return None
    return stated_error(contents(parsed(body)))


def json_of(response: Any) -> Any:
    """Return the JSON of an HTTP response; {} if it is not an object."""
    try:
        found = response.json()
    except Exception:  # noqa: BLE001 - a provider may send anything
        return {}
    return found if isinstance(found, Mapping) else {}


def hidden_params(raw: Any) -> Mapping[str, Any]:
    """Return the hidden parameters of a result or stream: cost, call id, API base, headers."""
    private = getattr(raw, "__pydantic_private__", None)
    found = private.get("_hidden_params") if private else get(raw, "_hidden_params")
    return found if isinstance(found, dict) else contents(found)


def response_headers(hidden: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the provider's response headers, which LiteLLM prefixes with `llm_provider-`."""
    headers = hidden.get("additional_headers")
    return headers if type(headers) is dict else contents(headers)


def finish_reasons(stated: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the finish reason of each choice in LiteLLM's answer."""
    choices = stated.get("choices")
    if choices and isinstance(choices, (list, tuple)):
        found = [choice_reason(choice) for choice in choices]
        return tuple([reason for each in found if (reason := as_text(each))])
    incomplete = stated.get("incomplete_details")
    if incomplete is not None:
        reason = as_text(get(incomplete, "reason"))
    else:
        reason = as_text(stated.get("stop_reason") or stated.get("status"))
        if reason in _UNFINISHED:
            reason = None
    return (reason,) if reason else ()


def choice_reason(choice: Any) -> Any:
    """Return the finish reason of a choice: the provider's, if LiteLLM keeps it beside its own."""
    own = get(choice, "provider_specific_fields")
    return (own and get(own, "native_finish_reason")) or get(choice, "finish_reason")


def native_finish_reasons(text: Any) -> tuple[str, ...]:
    """Return the provider's own finish reasons from its raw JSON answer `text`.

    LiteLLM converts those of Anthropic, Google, Bedrock and others to OpenAI's.
    """
    if not isinstance(text, str) or len(text) > _MAX_RAW or not _NATIVE.search(text):
        return ()
    stated = contents(parsed(text))
    if "candidates" in stated:
        return google.finish_reasons(stated)
    choices = as_list(stated.get("results")) or [stated]  # watsonx has a list
    found = [as_text(first(contents(each), "stop_reason", "stopReason")) for each in choices]
    return tuple([reason for reason in found if reason])


def answer_attributes(request: Request, answer: Answer, logging: Any = None) -> Attributes:
    """Return the attributes of an answer except tokens, cost, content and headers.

    `logging` is LiteLLM's logging object, which knows the provider if the caller named none.
    """
    attributes: Attributes = {}
    openai = request.called.provider == "openai"
    fields, hidden = answer.fields, answer.hidden
    for source, table in ((fields, _OPENAI_FIELDS if openai else _FIELDS), (hidden, _HIDDEN)):
        for name, attribute in table:
            if name in source:
                value = source[name]
                if value and isinstance(value, str):
                    plain = type(value) is str and value.isascii()
                    attributes[attribute] = value if plain else utf8(value)
    if answer.finish_reasons:
        attributes[s.RESPONSE_FINISH_REASONS] = answer.finish_reasons
    base = hidden.get("api_base")
    if base and isinstance(base, str):
        attributes.update(server_attributes(base))
    if hidden.get("cache_hit") is True:
        attributes[s.CACHE_HIT] = True
    if not request.called.provider:  # LiteLLM has chosen it, for example by an alias
        found = as_text(get(getattr(logging, "model_call_details", None), "custom_llm_provider"))
        attributes.update({s.PROVIDER: provider_name(found)} if found else {})
    if request.target.operation.detailed:
        _add_details(attributes, request, answer)
    return attributes


def _add_details(attributes: Attributes, request: Request, answer: Answer) -> None:
    """Add the ids and counts of files, batches, …."""
    identifier = request.target.operation.id
    if identifier != s.RESPONSE_ID and s.RESPONSE_ID in attributes:
        attributes[identifier] = attributes.pop(s.RESPONSE_ID)
    if identifier not in (s.RESPONSE_ID, s.VIDEO_ID, s.BATCH_ID):
        attributes.pop(s.RESPONSE_MODEL, None)  # the model of a job or an assistant
    attributes.update(result_attributes(answer.raw, answer.fields))


def provider_request_id(headers: Mapping[str, Any]) -> str | None:
    """Return the provider's request id from its response headers."""
    for name in _REQUEST_ID:
        if name in headers and headers[name] and isinstance(headers[name], str):
            return utf8(headers[name][:128])
    return None


def header_attributes(status: int | None, headers: Mapping[str, Any]) -> Attributes:
    """Return the attributes of a response's status and headers: request id and rate limits."""
    attributes: Attributes = {s.HTTP_STATUS: status}
    request_id = provider_request_id(headers)
    if request_id:
        attributes[s.PROVIDER_REQUEST_ID] = request_id
    for name, attribute in _RATE_LIMITS:
        if name in headers:
            value = headers[name]
            if value is not None:
                attributes[attribute] = str(value)[:64]
    return attributes
