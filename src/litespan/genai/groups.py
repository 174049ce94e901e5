"""Groups of fields of a finished GenAI span, as frozen records.

A field is None (or empty) if the span has no value; 0 is a measured 0. Times are in nanoseconds
since the epoch, durations in seconds, costs in USD. A type names the attribute of its field;
`readers` computes the other fields.
Names: https://github.com/open-telemetry/semantic-conventions-genai and, for LiteLLM's own,
https://docs.litellm.ai/docs/observability/opentelemetry_integration.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated

from litespan import semconv as s
from litespan.genai.values import Attributes, Scalar


@dataclass(frozen=True)
class Identity:
    """The user, session and tenant of the call."""

    user: Annotated[str | None, s.USER_ID]  # the application's user
    session: Annotated[str | None, s.SESSION_ID]  # conversation or session
    tags: tuple[str, ...]
    metadata: Mapping[str, Scalar | tuple[Scalar, ...]]  # the caller's own keys, no prefix
    team_id: Annotated[str | None, s.TEAM_ID]
    team_alias: Annotated[str | None, s.TEAM_ALIAS]
    organization_id: Annotated[str | None, s.ORGANIZATION_ID]
    project_id: Annotated[str | None, s.PROJECT_ID]
    end_user_id: Annotated[str | None, s.END_USER_ID]  # the proxy's end user
    api_key_hash: Annotated[str | None, s.API_KEY_HASH]
    api_key_alias: Annotated[str | None, s.API_KEY_ALIAS]
    route: Annotated[str | None, s.REQUEST_ROUTE]  # the proxy's route, e.g. /chat/completions
    user_agent: Annotated[str | None, s.USER_AGENT]


@dataclass(frozen=True)
class Request:
    """The request."""

    model: Annotated[str | None, s.REQUEST_MODEL]  # as the caller named it
    stream: bool
    server_address: Annotated[str | None, s.SERVER_ADDRESS]
    server_port: int | None
    parameters: Mapping[str, Scalar | tuple[Scalar, ...]]
    """Only those that were set: max_tokens, temperature, top_p, top_k, seed, choice_count,
    frequency_penalty, presence_penalty, stop_sequences, encoding_formats, reasoning_level,
    previous_response_id, service_tier."""
    output_type: Annotated[str | None, s.OUTPUT_TYPE]  # text, json, image, speech
    dimensions: int | None  # of an embedding
    prompt_name: Annotated[str | None, s.PROMPT_NAME]  # of a named prompt template
    prompt_version: Annotated[str | None, s.PROMPT_VERSION]


@dataclass(frozen=True)
class Response:
    """The response."""

    id: Annotated[str | None, s.RESPONSE_ID]  # the provider's id of the response
    model: Annotated[str | None, s.RESPONSE_MODEL]  # as the provider named it
    finish_reasons: tuple[str, ...]  # one for each choice, as the provider named them
    time_to_first_chunk: float | None  # s, streams only
    service_tier: Annotated[str | None, s.OPENAI_RESPONSE_SERVICE_TIER]
    system_fingerprint: Annotated[str | None, s.OPENAI_SYSTEM_FINGERPRINT]


@dataclass(frozen=True)
class Usage:
    """Token counts. `input` includes cached tokens, `output` reasoning tokens."""

    input: Annotated[int | None, s.INPUT_TOKENS]
    output: Annotated[int | None, s.OUTPUT_TOKENS]
    cache_read: Annotated[int | None, s.CACHE_READ_TOKENS]  # part of input
    cache_creation: Annotated[int | None, s.CACHE_CREATION_TOKENS]  # part of input
    reasoning: Annotated[int | None, s.REASONING_TOKENS]  # part of output
    source: str | None  # provider, litellm, estimated
    audio_input: Annotated[int | None, s.AUDIO_INPUT_TOKENS] = None  # part of input
    audio_output: Annotated[int | None, s.AUDIO_OUTPUT_TOKENS] = None  # part of output
    cache_creation_5m: Annotated[int | None, s.CACHE_CREATION_5M_TOKENS] = None  # of cache_creation
    cache_creation_1h: Annotated[int | None, s.CACHE_CREATION_1H_TOKENS] = None  # of cache_creation

    @property
    def total(self) -> int | None:
        """Input plus output tokens; None when neither is known."""
        if self.input is None and self.output is None:
            return None
        return (self.input or 0) + (self.output or 0)


@dataclass(frozen=True)
class Cost:
    """Cost in USD. `total` includes the others except `saved`."""

    total: Annotated[float | None, s.COST]  # None: unknown; 0.0: free, such as a response-cache hit
    input: Annotated[float | None, s.COST_INPUT]
    output: Annotated[float | None, s.COST_OUTPUT]
    cache_read: Annotated[float | None, s.COST_CACHE_READ]
    cache_creation: Annotated[float | None, s.COST_CACHE_CREATION]
    reasoning: Annotated[float | None, s.COST_REASONING]
    tool_usage: Annotated[float | None, s.COST_TOOL_USAGE]
    saved: Annotated[float | None, s.COST_SAVED]  # what a response-cache hit would have cost
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

    id: Annotated[str | None, s.CALL_ID]  # litellm_call_id; attempts of one call can share it
    type: Annotated[str | None, s.CALL_TYPE]  # completion, acompletion, embedding, …
    attempt: int | None  # 1, 2, …
    model_group: Annotated[str | None, s.MODEL_GROUP]  # the Router's name for the model
    deployment_id: Annotated[str | None, s.DEPLOYMENT_ID]
    fallback_from: Annotated[str | None, s.FALLBACK_FROM]
    fallback_to: Annotated[str | None, s.FALLBACK_TO]
    provider_model: Annotated[str | None, s.PROVIDER_MODEL]  # what LiteLLM sent to the provider
    provider_request_id: Annotated[str | None, s.PROVIDER_REQUEST_ID]
    outcome: str  # success, failure, cancelled, abandoned; started: not ended
    cache_hit: bool | None  # LiteLLM's response cache
    stream_end: Annotated[str | None, s.STREAM_END]
    """complete, abandoned, closed, cancelled, dropped, error"""
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
