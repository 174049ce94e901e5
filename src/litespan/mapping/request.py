"""Converts LiteLLM's arguments to the attributes at the start of a call."""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final, NamedTuple

from litespan import semconv as s
from litespan.mapping.provider import provider_name, resolve, server_attributes
from litespan.mapping.resources import ARGUMENTS, Reader, read_by
from litespan.mapping.targets import AGENT, CONTENT, TOOL, Target
from litespan.objects import as_float, as_int, as_text, as_texts, contents, get, safe_str, utf8

Attributes = dict[str, Any]


def _choice_count(value: Any) -> int | None:
    count = as_int(value)
    return None if count == 1 else count


def _output_type(form: Any) -> str:
    """Return the output type for `response_format`, a dict or a class with a JSON schema."""
    text = not isinstance(form, type) and get(form, "type") == "text"
    return "text" if text else "json"


_PARAMETERS: Final[Mapping[str, tuple[str, Reader]]] = {
    "max_tokens": (s.REQUEST_MAX_TOKENS, as_int),
    "max_completion_tokens": (s.REQUEST_MAX_TOKENS, as_int),
    "max_output_tokens": (s.REQUEST_MAX_TOKENS, as_int),
    "temperature": (s.REQUEST_TEMPERATURE, as_float),
    "top_p": (s.REQUEST_TOP_P, as_float),
    "top_k": (s.REQUEST_TOP_K, as_int),
    "frequency_penalty": (s.REQUEST_FREQUENCY_PENALTY, as_float),
    "presence_penalty": (s.REQUEST_PRESENCE_PENALTY, as_float),
    "stop": (s.REQUEST_STOP_SEQUENCES, as_texts),
    "stop_sequences": (s.REQUEST_STOP_SEQUENCES, as_texts),
    "seed": (s.REQUEST_SEED, as_int),
    "reasoning_effort": (s.REQUEST_REASONING_LEVEL, as_text),
    "previous_response_id": (s.REQUEST_PREVIOUS_RESPONSE_ID, as_text),
    "encoding_format": (s.REQUEST_ENCODING_FORMATS, as_texts),
    "dimensions": (s.EMBEDDINGS_DIMENSIONS, as_int),
    "prompt_id": (s.PROMPT_NAME, as_text),
    "prompt_version": (s.PROMPT_VERSION, lambda value: utf8(safe_str(value))),
    "n": (s.REQUEST_CHOICE_COUNT, _choice_count),
    "candidate_count": (s.REQUEST_CHOICE_COUNT, _choice_count),
    "response_format": (s.OUTPUT_TYPE, _output_type),
    "reasoning": (s.REQUEST_REASONING_LEVEL, lambda value: as_text(get(value, "effort"))),
}


_CONFIGURATIONS: Final = ("config", "generationConfig", "generation_config")
_CAMEL: Final = re.compile("[A-Z]")
_new: Final = object.__new__
_MAX_MODEL: Final = 1024  # characters of a model's name, which a client of the proxy may choose
_METADATA: Final = ("litellm_metadata", "metadata")  # the latter takes precedence


class Called(NamedTuple):
    """The properties of a call that depend only on function, model and API base.

    Attributes:
        model: the model's name without LiteLLM's provider prefix, "" if none was given.
        provider: LiteLLM's name of the provider, "" if unknown.
        span_name: `{operation} {model}`, the operation alone if no model is known.
        attributes: their span attributes.
    """

    model: str
    provider: str
    span_name: str
    attributes: Mapping[str, Any]


@lru_cache(maxsize=1024)
def called(target: Target, model: str, provider: str | None, api_base: str | None) -> Called:
    """Return the properties for these arguments; cached, because programs use few models."""
    name, found = resolve(utf8(model), provider, api_base) if model else ("", provider or "")
    operation = target.operation.name
    attributes: Attributes = {
        s.OPERATION: operation,
        s.PROVIDER: provider_name(found) or "unknown",
        s.CALL_TYPE: target.call_type,
    }
    if target.operation is TOOL:
        del attributes[s.PROVIDER]  # tools run no model
    if name:
        attributes[s.AGENT_NAME if target.operation is AGENT else s.REQUEST_MODEL] = name
    if api_base:
        attributes.update(server_attributes(api_base))
    return Called(name, found, f"{operation} {name}" if name else operation, attributes)


class Request:
    """A snapshot of a call's arguments, made before LiteLLM modifies them.

    Attributes:
        target: the function called.
        arguments: all arguments by name; a shallow copy.
        metadata: a copy of the caller's metadata, because LiteLLM writes into the original.
        called: the model, its provider, and their attributes.
        streaming: whether the call has `stream=True`.
    """

    __slots__ = ("arguments", "called", "metadata", "streaming", "target")

    def __init__(self, target: Target, arguments: dict[str, Any]) -> None:
        self.target = target
        self.arguments = arguments
        self.metadata: dict[str, Any] = {}
        for name in _METADATA:
            if name in arguments and isinstance(arguments[name], (dict, Mapping)):
                self.metadata.update(arguments[name])
        model, provider = arguments.get("model"), arguments.get("custom_llm_provider")
        if provider is None and not model:
            provider = arguments.get("search_provider") or target.provider or None
        if type(model) is not str:  # a string enum equals its value, also for the cache
            model = as_text(model) or ""
        base = arguments.get("api_base") or arguments.get("base_url")
        self.called = called(
            target,
            model[:_MAX_MODEL],
            None if provider is None else as_text(provider),
            safe_str(base) if base else None,
        )
        self.streaming = arguments.get("stream") is True or (
            (target.operation is CONTENT or target.operation is AGENT) and target.streams
        )

    def without_arguments(self) -> "Request":
        """Return the request without arguments and metadata, which may be large."""
        request = _new(Request)
        request.target, request.called = self.target, self.called
        request.arguments, request.metadata = {}, {}
        request.streaming = self.streaming
        return request

    @property
    def model(self) -> str:
        """The model's name without LiteLLM's provider prefix, "" if none was given."""
        return self.called.model

    @property
    def provider(self) -> str:
        """LiteLLM's name of the provider, "" if unknown."""
        return self.called.provider


def _configuration(arguments: Mapping[str, Any]) -> Attributes:
    """Return the parameters in the configuration object of Google's APIs."""
    attributes: Attributes = {}
    for name in _CONFIGURATIONS:
        given = contents(arguments.get(name)).items()
        snake = {_CAMEL.sub(r"_\g<0>", safe_str(key)).lower(): value for key, value in given}
        attributes.update(read_by(_PARAMETERS, snake))
    return attributes


def request_attributes(request: Request) -> Attributes:
    """Return the parameters of a call; `request.called.attributes` has model and provider."""
    attributes: Attributes = {}
    if request.streaming:
        attributes[s.REQUEST_STREAM] = True
    for name, given in request.arguments.items():
        if name in _PARAMETERS and given is not None:
            attribute, read = _PARAMETERS[name]
            value = read(given)
            if value is not None:
                attributes[attribute] = value
    operation = request.target.operation
    if operation.detailed:
        attributes.update(read_by(ARGUMENTS, request.arguments))
        if operation is CONTENT:
            attributes.update(_configuration(request.arguments))
    if operation.output:
        attributes[s.OUTPUT_TYPE] = operation.output
    tier = request.arguments.get("service_tier")
    if tier is not None and request.provider == "openai":
        attributes[s.OPENAI_REQUEST_SERVICE_TIER] = utf8(safe_str(tier))
    return attributes
