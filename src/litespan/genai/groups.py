"""Groups of fields of a finished GenAI span, as frozen records.

A field is None (or empty) if the span has no value; 0 is a measured 0. Times are in nanoseconds
since the epoch, durations in seconds, costs in USD.
Names: https://github.com/open-telemetry/semantic-conventions-genai and, for LiteLLM's own,
https://docs.litellm.ai/docs/observability/opentelemetry_integration.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from litespan.genai.values import Attributes, Scalar


@dataclass(frozen=True)
class Identity:
    """The user, session and tenant of the call."""

    user: str | None  # the application's user
    session: str | None  # conversation or session
    tags: tuple[str, ...]
    metadata: Mapping[str, Scalar | tuple[Scalar, ...]]  # the caller's own keys, no prefix
    team_id: str | None
    team_alias: str | None
    organization_id: str | None
    project_id: str | None
    end_user_id: str | None  # the proxy's end user
    api_key_hash: str | None
    api_key_alias: str | None
    route: str | None  # the proxy's route, e.g. /chat/completions
    user_agent: str | None


@dataclass(frozen=True)
class Request:
    """The request."""

    model: str | None  # as the caller named it
    stream: bool
    server_address: str | None
    server_port: int | None
    parameters: Mapping[str, Scalar | tuple[Scalar, ...]]
    """Only those that were set: max_tokens, temperature, top_p, top_k, seed, choice_count,
    frequency_penalty, presence_penalty, stop_sequences, encoding_formats, reasoning_level,
    previous_response_id, service_tier."""
    output_type: str | None  # text, json, image, speech
    dimensions: int | None  # of an embedding
    prompt_name: str | None  # of a named prompt template
    prompt_version: str | None


@dataclass(frozen=True)
class Response:
    """The response."""

    id: str | None  # the provider's id of the response
    model: str | None  # as the provider named it
    finish_reasons: tuple[str, ...]  # one for each choice, as the provider named them
    time_to_first_chunk: float | None  # s, streams only
    service_tier: str | None
    system_fingerprint: str | None


@dataclass(frozen=True)
class Usage:
    """Token counts. `input` includes cached tokens, `output` reasoning tokens."""

    input: int | None
    output: int | None
    cache_read: int | None  # part of input
    cache_creation: int | None  # part of input
    reasoning: int | None  # part of output
    source: str | None  # provider, litellm, estimated
    audio_input: int | None = None  # part of input
    audio_output: int | None = None  # part of output
    cache_creation_5m: int | None = None  # part of cache_creation, cached for 5 minutes
    cache_creation_1h: int | None = None  # part of cache_creation, cached for 1 hour

    @property
    def total(self) -> int | None:
        """Input plus output tokens; None when neither is known."""
        if self.input is None and self.output is None:
            return None
        return (self.input or 0) + (self.output or 0)


@dataclass(frozen=True)
class Cost:
    """Cost in USD. `total` includes the others except `saved`."""

    total: float | None  # None: unknown; 0.0: free, such as a response-cache hit
    input: float | None
    output: float | None
    cache_read: float | None
    cache_creation: float | None
    reasoning: float | None
    tool_usage: float | None
    saved: float | None  # what a response-cache hit would have cost
    source: str | None  # litellm, provider, estimated, unknown

    @property
    def exact(self) -> Decimal | None:
        """`total` as its shortest decimal number, for exact sums."""
        return None if self.total is None else Decimal(repr(self.total))


@dataclass(frozen=True, slots=True)
class Error:
    """The error. Present if the span's status is ERROR, or unset with an `error.type`."""

    type: str  # exception or provider error name; `_OTHER` if unknown
    message: str | None
    code: int | None  # HTTP status


@dataclass(frozen=True)
class Call:
    """The LiteLLM call and its outcome. Spans of other instrumentations only have `outcome`."""

    id: str | None  # litellm_call_id; attempts of one call can share it
    type: str | None  # completion, acompletion, embedding, …
    attempt: int | None  # 1, 2, …
    model_group: str | None  # the Router's name for the model
    deployment_id: str | None
    fallback_from: str | None
    fallback_to: str | None
    provider_model: str | None  # what LiteLLM sent to the provider
    provider_request_id: str | None
    outcome: str  # success, failure, cancelled, abandoned; started: not ended
    cache_hit: bool | None  # LiteLLM's response cache
    stream_end: str | None  # complete, abandoned, closed, cancelled, dropped, error
    chunks: int | None  # stream chunks received


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage of the call: one `litellm.*` span event."""

    name: str  # pre_api_call, post_api_call, stream_chunk, success, failure
    time_ns: int
    attributes: Attributes


@dataclass(frozen=True, slots=True)
class Service:
    """The service that made the call: the span's resource."""

    name: str | None
    version: str | None
    environment: str | None  # deployment.environment.name
    attributes: Attributes
