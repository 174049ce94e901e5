"""LiteLLM's arguments → the attributes that are known when a call starts."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from litespan import semconv as s
from litespan.mapping.provider import provider_name, resolve, server
from litespan.mapping.values import as_float, as_int, as_text, as_texts, get
from litespan.patch.targets import Target

Attributes = dict[str, Any]
Reader = Callable[[Any], Any]


def _choice_count(value: Any) -> int | None:
    count = as_int(value)
    return None if count == 1 else count


def _output_type(form: Any) -> str:
    """The form of the answer: a dict that names it, or a class whose JSON it is to be."""
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
    "prompt_version": (s.PROMPT_VERSION, str),
    "n": (s.REQUEST_CHOICE_COUNT, _choice_count),
    "response_format": (s.OUTPUT_TYPE, _output_type),
    "reasoning": (s.REQUEST_REASONING_LEVEL, lambda value: as_text(get(value, "effort"))),
}


class Request:
    """What the caller asked for: a snapshot made before LiteLLM sees the arguments.

    Attributes:
        target: the function called.
        arguments: every argument by its name (a shallow copy; content is not copied).
        model: the model's name without LiteLLM's provider prefix, "" if none was given.
        provider: LiteLLM's name of the provider, "" if not known.
        streaming: whether a stream was asked for.
    """

    __slots__ = ("arguments", "metadata", "model", "provider", "streaming", "target")

    def __init__(self, target: Target, arguments: dict[str, Any]) -> None:
        self.target = target
        self.arguments = arguments
        self.metadata = _metadata(arguments)
        model = arguments.get("model")
        base = arguments.get("api_base") or arguments.get("base_url")
        self.model, self.provider = resolve(
            model if isinstance(model, str) else "",
            as_text(arguments.get("custom_llm_provider")),
            base if isinstance(base, str) else None,
        )
        self.streaming = arguments.get("stream") is True

    @property
    def span_name(self) -> str:
        """`{operation} {model}`, the operation alone if no model is known."""
        operation = self.target.operation.name
        return f"{operation} {self.model}" if self.model else operation


def _metadata(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The caller's metadata, copied: LiteLLM writes into the caller's own dict."""
    merged: dict[str, Any] = {}
    for given in (arguments.get("litellm_metadata"), arguments.get("metadata")):
        if given and isinstance(given, Mapping):
            merged.update(given)
    return merged


def request_attributes(request: Request) -> Attributes:
    """The attributes of a span at its start, those that samplers may look at first."""
    target, arguments = request.target, request.arguments
    attributes: Attributes = {
        s.OPERATION: target.operation.name,
        s.PROVIDER: provider_name(request.provider) or "unknown",
        s.CALL_TYPE: target.call_type,
    }
    if request.model:
        attributes[s.REQUEST_MODEL] = request.model
    base = arguments.get("api_base") or arguments.get("base_url")
    if base:
        attributes.update(server_attributes(str(base)))
    if request.streaming:
        attributes[s.REQUEST_STREAM] = True
    for name, given in arguments.items():
        if given is not None and name in _PARAMETERS:
            attribute, read = _PARAMETERS[name]
            value = read(given)
            if value is not None:
                attributes[attribute] = value
    if target.operation.output:
        attributes[s.OUTPUT_TYPE] = target.operation.output
    tier = arguments.get("service_tier")
    if tier is not None and request.provider == "openai":
        attributes[s.OPENAI_REQUEST_SERVICE_TIER] = str(tier)
    return attributes


def server_attributes(api_base: str) -> Attributes:
    """`server.address` and `server.port` of an API base URL."""
    found = server(api_base)
    return {} if found is None else {s.SERVER_ADDRESS: found[0], s.SERVER_PORT: found[1]}
