"""Every attribute, event and metric name that litespan writes or reads.

`gen_ai.*` names follow the OpenTelemetry GenAI semantic conventions
(https://github.com/open-telemetry/semantic-conventions-genai): those of 1.41, and those of the
release v0.1.0 where they differ; `generations` has them side by side. `litellm.*` names follow
LiteLLM's own OpenTelemetry integration where it has a name for the same value, so that existing
dashboards keep working. No other module contains these strings.
"""

from typing import Final

# --- scope ------------------------------------------------------------------
SCOPE: Final = "litespan"
SCHEMA_URL: Final = "https://opentelemetry.io/schemas/1.41.0"

# --- operation --------------------------------------------------------------
OPERATION: Final = "gen_ai.operation.name"
PROVIDER: Final = "gen_ai.provider.name"
REQUEST_MODEL: Final = "gen_ai.request.model"
SERVER_ADDRESS: Final = "server.address"
SERVER_PORT: Final = "server.port"

# --- request ----------------------------------------------------------------
REQUEST_STREAM: Final = "gen_ai.request.stream"
REQUEST_MAX_TOKENS: Final = "gen_ai.request.max_tokens"
REQUEST_TEMPERATURE: Final = "gen_ai.request.temperature"
REQUEST_TOP_P: Final = "gen_ai.request.top_p"
REQUEST_TOP_K: Final = "gen_ai.request.top_k"
REQUEST_FREQUENCY_PENALTY: Final = "gen_ai.request.frequency_penalty"
REQUEST_PRESENCE_PENALTY: Final = "gen_ai.request.presence_penalty"
REQUEST_STOP_SEQUENCES: Final = "gen_ai.request.stop_sequences"
REQUEST_SEED: Final = "gen_ai.request.seed"
REQUEST_CHOICE_COUNT: Final = "gen_ai.request.choice.count"
REQUEST_ENCODING_FORMATS: Final = "gen_ai.request.encoding_formats"
REQUEST_REASONING_LEVEL: Final = "gen_ai.request.reasoning.level"
REQUEST_PREVIOUS_RESPONSE_ID: Final = "gen_ai.request.previous_response.id"
EMBEDDINGS_DIMENSIONS: Final = "gen_ai.embeddings.dimension.count"
OUTPUT_TYPE: Final = "gen_ai.output.type"
PROMPT_NAME: Final = "gen_ai.prompt.name"
PROMPT_VERSION: Final = "gen_ai.prompt.version"
OPENAI_REQUEST_SERVICE_TIER: Final = "openai.request.service_tier"

# --- response ---------------------------------------------------------------
RESPONSE_ID: Final = "gen_ai.response.id"
RESPONSE_MODEL: Final = "gen_ai.response.model"
RESPONSE_FINISH_REASONS: Final = "gen_ai.response.finish_reasons"
TIME_TO_FIRST_CHUNK: Final = "gen_ai.response.time_to_first_chunk"  # seconds
OPENAI_RESPONSE_SERVICE_TIER: Final = "openai.response.service_tier"
OPENAI_SYSTEM_FINGERPRINT: Final = "openai.response.system_fingerprint"

# --- usage and cost ---------------------------------------------------------
INPUT_TOKENS: Final = "gen_ai.usage.input_tokens"  # cached tokens included
OUTPUT_TOKENS: Final = "gen_ai.usage.output_tokens"  # reasoning tokens included
CACHE_READ_TOKENS: Final = "gen_ai.usage.cache_read.input_tokens"
CACHE_CREATION_TOKENS: Final = "gen_ai.usage.cache_creation.input_tokens"  # until v0.1.0
CACHE_WRITE_TOKENS: Final = "gen_ai.usage.cache_write.input_tokens"  # since v0.1.0
REASONING_TOKENS: Final = "gen_ai.usage.reasoning.output_tokens"
AUDIO_INPUT_TOKENS: Final = "gen_ai.usage.audio.input_tokens"  # part of the input
AUDIO_OUTPUT_TOKENS: Final = "gen_ai.usage.audio.output_tokens"  # part of the output
TEXT_INPUT_TOKENS: Final = "gen_ai.usage.text.input_tokens"
IMAGE_INPUT_TOKENS: Final = "gen_ai.usage.image.input_tokens"
TEXT_OUTPUT_TOKENS: Final = "gen_ai.usage.text.output_tokens"
IMAGE_OUTPUT_TOKENS: Final = "gen_ai.usage.image.output_tokens"
TEXT_CACHE_READ_TOKENS: Final = "gen_ai.usage.text.cache_read.input_tokens"
IMAGE_CACHE_READ_TOKENS: Final = "gen_ai.usage.image.cache_read.input_tokens"
AUDIO_CACHE_READ_TOKENS: Final = "gen_ai.usage.audio.cache_read.input_tokens"
# Anthropic's cache writes by time to live: the prices differ.
CACHE_CREATION_5M_TOKENS: Final = "litellm.usage.cache_creation.ephemeral_5m_input_tokens"
CACHE_CREATION_1H_TOKENS: Final = "litellm.usage.cache_creation.ephemeral_1h_input_tokens"
MOST_TOKENS: Final = 1_000_000_000  # plausibility limit of one call
MOST_USD: Final = 1_000_000  # plausibility limit of one call
COST: Final = "gen_ai.usage.cost"  # USD; the convention has no cost attribute yet
TOTAL_TOKENS: Final = "gen_ai.usage.total_tokens"  # from older conventions; some services need it
DATADOG_COST: Final = "gen_ai.cost.estimated_total"  # USD; Datadog's converter reads it
COST_PREFIX: Final = "litellm.cost."
COST_TOTAL: Final = "litellm.cost.total"
COST_INPUT: Final = "litellm.cost.input"
COST_OUTPUT: Final = "litellm.cost.output"
COST_CACHE_READ: Final = "litellm.cost.cache_read"
COST_CACHE_CREATION: Final = "litellm.cost.cache_creation"
COST_REASONING: Final = "litellm.cost.reasoning"
COST_TOOL_USAGE: Final = "litellm.cost.tool_usage"
COST_SAVED: Final = "litellm.cost.saved"  # what a response-cache hit saved
COST_SOURCE: Final = "litellm.cost.source"  # litellm | provider | estimated | unknown
USAGE_SOURCE: Final = "litellm.usage.source"  # provider | litellm | estimated

# --- content (opt-in) -------------------------------------------------------
INPUT_MESSAGES: Final = "gen_ai.input.messages"
OUTPUT_MESSAGES: Final = "gen_ai.output.messages"
SYSTEM_INSTRUCTIONS: Final = "gen_ai.system_instructions"
TOOL_DEFINITIONS: Final = "gen_ai.tool.definitions"
CONTENT_ORIGINAL_LENGTH: Final = "litellm.content.original_length"
# Suffixes of the attribute name for offloaded content. opentelemetry-util-genai's upload hook
# writes the first one.
REFERENCE: Final = "_ref"  # URL of the content
REFERENCE_SHA256: Final = "_ref.sha256"  # hex, of its bytes
REFERENCE_SIZE: Final = "_ref.size"  # bytes

# --- user and session -------------------------------------------------------
USER_ID: Final = "user.id"
SESSION_ID: Final = "session.id"
CONVERSATION_ID: Final = "gen_ai.conversation.id"
CONVERSATION_COMPACTED: Final = "gen_ai.conversation.compacted"  # true, or absent
TAGS: Final = "litellm.tags"
METADATA_PREFIX: Final = "litellm.metadata."
TEAM_ID: Final = "litellm.team.id"
TEAM_ALIAS: Final = "litellm.team.alias"
ORGANIZATION_ID: Final = "litellm.organization.id"
PROJECT_ID: Final = "litellm.project.id"
END_USER_ID: Final = "litellm.end_user.id"
API_KEY_HASH: Final = "litellm.api_key.hash"
API_KEY_ALIAS: Final = "litellm.api_key.alias"
REQUEST_ROUTE: Final = "litellm.request.route"
USER_AGENT: Final = "user_agent.original"

# --- call -------------------------------------------------------------------
CALL_ID: Final = "litellm.call_id"
CALL_TYPE: Final = "litellm.call_type"
PROVIDER_MODEL: Final = "litellm.provider.model"
MODEL_GROUP: Final = "litellm.model_group"
DEPLOYMENT_ID: Final = "litellm.deployment.id"
ATTEMPT: Final = "litellm.attempt"  # 1, 2, …
ATTEMPTS: Final = "litellm.attempts"  # on the router span: the number of attempts
FALLBACK_FROM: Final = "litellm.fallback.from"
FALLBACK_TO: Final = "litellm.fallback.to"
PROVIDER_REQUEST_ID: Final = "litellm.provider.request_id"
RATE_LIMIT_REQUESTS: Final = "litellm.rate_limit.remaining_requests"
RATE_LIMIT_TOKENS: Final = "litellm.rate_limit.remaining_tokens"
RATE_LIMIT_MAX_REQUESTS: Final = "litellm.rate_limit.limit_requests"
RATE_LIMIT_MAX_TOKENS: Final = "litellm.rate_limit.limit_tokens"
RATE_LIMIT_RESET_REQUESTS: Final = "litellm.rate_limit.reset_requests"  # in the provider's format
RATE_LIMIT_RESET_TOKENS: Final = "litellm.rate_limit.reset_tokens"
CACHE_HIT: Final = "litellm.cache_hit"
MUTE: Final = "litespan.mute"  # exporters that skip the call
OUTCOME: Final = "litellm.outcome"  # success | failure | cancelled | abandoned
STREAM_END: Final = "litellm.stream.end"
STREAM_CHUNKS: Final = "litellm.stream.chunks"
STREAM_CHUNKS_LEFT_OUT: Final = "litellm.stream.chunks_left_out"  # did not fit on the span
CHUNK_INDEX: Final = "litellm.stream.chunk.index"  # 0, 1, …
CHUNK_CHARACTERS: Final = "litellm.stream.chunk.characters"  # number of text characters
# --- WebSocket sessions ---------------------------------------------------------
SESSION_END: Final = "litellm.session.end"  # client | provider | error | cancelled: who ended it
SESSION_CLOSE_CODE: Final = "litellm.session.close_code"  # of the WebSocket
SESSION_PROVIDER_ID: Final = "litellm.session.provider_id"
SESSION_RESPONSES: Final = "litellm.session.responses"  # how many
SESSION_INTERRUPTIONS: Final = "litellm.session.interruptions"  # how many
RESPONSE_INTERRUPTED: Final = "litellm.response.interrupted"  # turn_detected, client_cancelled, …
TIME_TO_FIRST_AUDIO: Final = "litellm.response.time_to_first_audio"  # seconds
TIME_TO_FIRST_TEXT: Final = "litellm.response.time_to_first_text"  # seconds
ERROR_TYPE: Final = "error.type"
ERROR_CODE: Final = "litellm.provider.error.code"  # HTTP status of the failure
HTTP_STATUS: Final = "http.response.status_code"

# --- events -----------------------------------------------------------------
STAGE_PREFIX: Final = "litellm."  # prefix of all stage events
EVENT_PRE: Final = "litellm.pre_api_call"
EVENT_POST: Final = "litellm.post_api_call"
EVENT_CHUNK: Final = "litellm.stream_chunk"
EVENT_SUCCESS: Final = "litellm.success"
EVENT_FAILURE: Final = "litellm.failure"
EVENT_EXCEPTION: Final = "exception"
EXCEPTION_TYPE: Final = "exception.type"
EXCEPTION_MESSAGE: Final = "exception.message"
EVENT_DETAILS: Final = "gen_ai.client.inference.operation.details"
EVENT_INFERENCE_EXCEPTION: Final = "gen_ai.client.inference.exception"
EVENT_OPERATION_EXCEPTION: Final = "gen_ai.client.operation.exception"

# --- metrics ----------------------------------------------------------------
METRIC_DURATION: Final = "gen_ai.client.operation.duration"  # s
METRIC_TOKENS: Final = "gen_ai.client.token.usage"  # {token}
METRIC_FIRST_CHUNK: Final = "gen_ai.client.operation.time_to_first_chunk"  # s
METRIC_PER_CHUNK: Final = "gen_ai.client.operation.time_per_output_chunk"  # s
METRIC_COST: Final = "gen_ai.client.operation.cost"  # USD
TOKEN_TYPE: Final = "gen_ai.token.type"
METRIC_INFERENCE_DURATION: Final = "gen_ai.client.inference.duration"  # s
METRIC_EMBEDDINGS_DURATION: Final = "gen_ai.client.embeddings.duration"  # s
METRIC_INFERENCE_FIRST_CHUNK: Final = "gen_ai.client.inference.time_to_first_chunk"  # s
METRIC_INFERENCE_PER_CHUNK: Final = "gen_ai.client.inference.time_per_output_chunk"  # s
METRIC_INFERENCE_INPUT: Final = "gen_ai.client.inference.operation.input_tokens"  # {token}
METRIC_INFERENCE_OUTPUT: Final = "gen_ai.client.inference.operation.output_tokens"
METRIC_EMBEDDINGS_INPUT: Final = "gen_ai.client.embeddings.operation.input_tokens"
METRIC_USED_INPUT: Final = "gen_ai.client.inference.usage.input_tokens"
METRIC_USED_OUTPUT: Final = "gen_ai.client.inference.usage.output_tokens"
METRIC_USED_CACHE_READ: Final = "gen_ai.client.inference.usage.cache_read.input_tokens"
METRIC_USED_CACHE_WRITE: Final = "gen_ai.client.inference.usage.cache_write.input_tokens"
METRIC_USED_REASONING: Final = "gen_ai.client.inference.usage.reasoning.output_tokens"
TOKEN_MODALITY: Final = "gen_ai.token.modality"  # text | image | audio | unknown
METRIC_COUNTER: Final = "litespan.counter"  # {event}: the counters of `litespan.stats()`
COUNTER_NAME: Final = "litespan.counter.name"

# --- resource ---------------------------------------------------------------
SERVICE_NAME: Final = "service.name"
SERVICE_VERSION: Final = "service.version"
ENVIRONMENT: Final = "deployment.environment.name"
ENVIRONMENT_OLD: Final = "deployment.environment"  # before the conventions 1.27; read only

# --- read by single services: only on their own copy of a span --------------
FOR_SYSTEM: Final = "gen_ai.system"  # the provider, before `gen_ai.provider.name`
FOR_COST_INPUT: Final = "gen_ai.cost.input_tokens"  # USD, despite the name; Sentry
FOR_COST_OUTPUT: Final = "gen_ai.cost.output_tokens"
FOR_COST_TOTAL: Final = "gen_ai.cost.total_tokens"
FOR_STREAMING: Final = "gen_ai.response.streaming"
FOR_EMBEDDINGS_INPUT: Final = "gen_ai.embeddings.input"
FOR_IS_STREAMING: Final = "gen_ai.is_streaming"  # Traceloop
FOR_FINISH_REASON: Final = "gen_ai.response.finish_reason"
FOR_REASONING_TOKENS: Final = "gen_ai.usage.reasoning_tokens"
FOR_USER: Final = "gen_ai.user"
FOR_CACHED: Final = "gen_ai.usage.input_tokens.cached"  # Relay, before the conventions' names
FOR_CACHE_WRITE: Final = "gen_ai.usage.input_tokens.cache_write"
FOR_REASONING: Final = "gen_ai.usage.output_tokens.reasoning"
# Sentry treats values under names with "token", "auth" or "api_key" as secrets.
FOR_KEY_HASH: Final = "litellm.key.hash"
FOR_KEY_ALIAS: Final = "litellm.key.alias"
FOR_AUDIO_INPUT: Final = "gen_ai.usage.audio.input"
FOR_AUDIO_OUTPUT: Final = "gen_ai.usage.audio.output"
FOR_CACHE_WRITE_5M: Final = "litellm.usage.cache_creation.ephemeral_5m"
FOR_CACHE_WRITE_1H: Final = "litellm.usage.cache_creation.ephemeral_1h"
FOR_RATE_LIMIT_USAGE: Final = "litellm.rate_limit.remaining_usage"
FOR_RATE_LIMIT_MAX_USAGE: Final = "litellm.rate_limit.limit_usage"
FOR_RATE_LIMIT_RESET_USAGE: Final = "litellm.rate_limit.reset_usage"
FOR_COUNTED: Final = "litellm.counted"
FOR_STAGES: Final = "litellm.stages"  # JSON, where a service drops span events
FOR_STAGE_OFFSET: Final = "litellm.stage.{}.offset_ms"

# --- a request to LiteLLM's proxy ---------------------------------------------
# https://opentelemetry.io/docs/specs/semconv/http/http-spans/#http-server
HTTP_METHOD: Final = "http.request.method"
HTTP_ROUTE: Final = "http.route"
HTTP_HEADER_PREFIX: Final = "http.request.header."  # only of headers that the operator names
URL_PATH: Final = "url.path"
URL_SCHEME: Final = "url.scheme"
CLIENT_ADDRESS: Final = "client.address"
PROTOCOL_VERSION: Final = "network.protocol.version"
REQUEST_FAILURE: Final = "litellm.request.failure"  # what kind: auth, budget, rate_limit, …
REQUEST_BODY_PREFIX: Final = "litellm.request.body."  # only of fields that the operator names
MODEL_INFO_PREFIX: Final = "litellm.model_info."
EVENT_SERVICE: Final = "litellm.service"  # the time that a request waited for one
SERVICE: Final = "litellm.service.name"  # auth, postgres, redis, router, …
SERVICE_OPERATION: Final = "litellm.service.operation"
SERVICE_DURATION: Final = "litellm.service.duration"  # seconds
SERVICE_FAILED: Final = "litellm.service.failed"
GUARDRAIL_NAME: Final = "litellm.guardrail.name"
GUARDRAIL_MODE: Final = "litellm.guardrail.mode"  # pre_call | during_call | post_call
GUARDRAIL_VERDICT: Final = "litellm.guardrail.verdict"  # passed | masked | blocked | error

# --- requests that run no model: files, batches, vector stores, … ----------------
RETRIEVAL_TOP_K: Final = "gen_ai.retrieval.top_k"
RETRIEVAL_DOCUMENTS: Final = "gen_ai.retrieval.documents"  # opt-in: JSON, ids and scores
DATA_SOURCE_ID: Final = "gen_ai.data_source.id"  # the vector store
AGENT_ID: Final = "gen_ai.agent.id"
AGENT_NAME: Final = "gen_ai.agent.name"
BATCH_ID: Final = "litellm.batch.id"
BATCH_ENDPOINT: Final = "litellm.batch.endpoint"
BATCH_REQUESTS: Final = "litellm.batch.requests"
BATCH_COMPLETED: Final = "litellm.batch.completed_requests"
BATCH_FAILED: Final = "litellm.batch.failed_requests"
CONTAINER_ID: Final = "litellm.container.id"
EVALUATION_ID: Final = "litellm.evaluation.id"
FILE_ID: Final = "litellm.file.id"
FILE_PURPOSE: Final = "litellm.file.purpose"
FILE_BYTES: Final = "litellm.file.bytes"
FINE_TUNING_ID: Final = "litellm.fine_tuning.id"
MESSAGE_ID: Final = "litellm.message.id"
RUN_ID: Final = "litellm.run.id"
SANDBOX_ID: Final = "litellm.sandbox.id"
SKILL_ID: Final = "litellm.skill.id"
VIDEO_ID: Final = "litellm.video.id"
VIDEO_SECONDS: Final = "litellm.video.seconds"
OCR_PAGES: Final = "litellm.ocr.pages"
SEARCH_QUERIES: Final = "litellm.search.queries"
RESULT_STATUS: Final = "litellm.result.status"  # of a batch, file, job, …
RESULT_COUNT: Final = "litellm.result.count"  # how many entries a list has
COUNTED_TOKENS: Final = "litellm.counted_tokens"  # of a token count: no tokens are used
# --- tools and agents ------------------------------------------------------------
# https://github.com/open-telemetry/semantic-conventions-genai: docs/gen-ai/mcp.md
MCP_METHOD: Final = "mcp.method.name"
MCP_SESSION_ID: Final = "mcp.session.id"
MCP_SERVER: Final = "litellm.mcp.server"  # its name in LiteLLM's configuration
NETWORK_TRANSPORT: Final = "network.transport"  # tcp | pipe
TOOL_NAME: Final = "gen_ai.tool.name"
TOOL_ARGUMENTS: Final = "gen_ai.tool.call.arguments"  # opt-in: JSON
TOOL_RESULT: Final = "gen_ai.tool.call.result"  # opt-in: JSON

# --- span names -------------------------------------------------------------
ROUTER_SPAN: Final = "litellm.router"
SESSION_SPAN: Final = "litellm.session"
GUARDRAIL_SPAN: Final = "litellm.guardrail"
