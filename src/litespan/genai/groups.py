"""The parts of a finished GenAI span, as frozen records.

A field is None (or empty) when the span does not say: nothing is invented, and 0 is a
measured 0. Times are nanoseconds since the epoch, durations seconds, money US dollars.
Names are explained at https://github.com/open-telemetry/semantic-conventions-genai and,
for what LiteLLM adds, at https://docs.litellm.ai/docs/observability/opentelemetry_integration.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from litespan.genai.values import Attributes, Scalar


@dataclass(frozen=True, slots=True)
class Identity:
    """Who made the call."""

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


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked for."""

    model: str | None  # as the caller named it
    stream: bool
    server_address: str | None
    server_port: int | None
    parameters: Mapping[str, Scalar | tuple[Scalar, ...]]
    """By plain name, only those given: max_tokens, temperature, top_p, top_k, seed, choice_count,
    frequency_penalty, presence_penalty, stop_sequences, encoding_formats, reasoning_level,
    previous_response_id, service_tier."""
    output_type: str | None  # text, json, image, speech
    dimensions: int | None  # of an embedding
    prompt_name: str | None  # of a named prompt template
    prompt_version: str | None


@dataclass(frozen=True, slots=True)
class Response:
    """What came back."""

    id: str | None  # the provider's id of the response
    model: str | None  # as the provider named it
    finish_reasons: tuple[str, ...]  # one a choice, the provider's words
    time_to_first_chunk: float | None  # s, streams only
    service_tier: str | None
    system_fingerprint: str | None


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens. `input` includes the cached ones, `output` the reasoning ones."""

    input: int | None
    output: int | None
    cache_read: int | None  # part of input
    cache_creation: int | None  # part of input
    reasoning: int | None  # part of output
    source: str | None  # provider, litellm, estimated
    audio_input: int | None = None  # part of input
    audio_output: int | None = None  # part of output
    cache_creation_5m: int | None = None  # part of cache_creation, kept for five minutes
    cache_creation_1h: int | None = None  # part of cache_creation, kept for an hour

    @property
    def total(self) -> int | None:
        """Input plus output tokens; None when neither is known."""
        if self.input is None and self.output is None:
            return None
        return (self.input or 0) + (self.output or 0)


@dataclass(frozen=True, slots=True)
class Cost:
    """What it cost, in USD. `total` includes the others, except `saved`."""

    total: float | None  # None = unknown; 0.0 = free, e.g. a response-cache hit
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
        """`total` as the decimal number that its shortest notation says, for exact sums."""
        return None if self.total is None else Decimal(repr(self.total))


@dataclass(frozen=True, slots=True)
class Error:
    """Why it failed. Present if and only if the span's status is ERROR or it was cancelled."""

    type: str  # exception or provider error name; `_OTHER` if unknown
    message: str | None
    code: int | None  # HTTP status


@dataclass(frozen=True, slots=True)
class Call:
    """Which LiteLLM call this was, and how it ended. Foreign spans fill `outcome` only."""

    id: str | None  # litellm_call_id; attempts of one call can share it
    type: str | None  # completion, acompletion, embedding, …
    attempt: int | None  # 1, 2, …
    model_group: str | None  # the Router's name for the model
    deployment_id: str | None
    fallback_from: str | None
    fallback_to: str | None
    provider_model: str | None  # what LiteLLM sent to the provider
    provider_request_id: str | None
    outcome: str  # success, failure, cancelled, abandoned; started = not ended yet
    cache_hit: bool | None  # LiteLLM's response cache
    stream_end: str | None  # complete, abandoned, closed, cancelled, dropped, error
    chunks: int | None  # stream chunks received


@dataclass(frozen=True, slots=True)
class Stage:
    """A moment of the call: one `litellm.*` span event."""

    name: str  # pre_api_call, post_api_call, stream_chunk, success, failure
    time_ns: int
    attributes: Attributes


@dataclass(frozen=True, slots=True)
class Service:
    """The program that made the call: the span's resource."""

    name: str | None
    version: str | None
    environment: str | None  # deployment.environment.name
    attributes: Attributes
