"""Names of other instrumentations for the attributes in `semconv`: tables only.

Each table is `{their name: our name}`. Sources:

- the GenAI conventions up to 1.36 and the official packages that write them
  (opentelemetry-instrumentation-openai-v2 2.4b0, opentelemetry-util-genai 1.3b0):
  https://github.com/open-telemetry/semantic-conventions/blob/v1.36.0/docs/gen-ai
- OpenLLMetry (opentelemetry-semantic-conventions-ai 0.5.1 and before):
  https://github.com/traceloop/openllmetry/tree/main/packages/opentelemetry-semantic-conventions-ai
- OpenInference (openinference-semantic-conventions 0.1.42):
  https://github.com/Arize-ai/openinference/blob/main/spec/semantic_conventions.md
"""

from typing import Final

from litespan import semconv as s
from litespan.genai import frameworks
from litespan.generations import RENAMED

PARAMETERS: Final = {
    "max_tokens": s.REQUEST_MAX_TOKENS,
    "temperature": s.REQUEST_TEMPERATURE,
    "top_p": s.REQUEST_TOP_P,
    "top_k": s.REQUEST_TOP_K,
    "frequency_penalty": s.REQUEST_FREQUENCY_PENALTY,
    "presence_penalty": s.REQUEST_PRESENCE_PENALTY,
    "stop_sequences": s.REQUEST_STOP_SEQUENCES,
    "seed": s.REQUEST_SEED,
    "choice_count": s.REQUEST_CHOICE_COUNT,
    "encoding_formats": s.REQUEST_ENCODING_FORMATS,
    "reasoning_level": s.REQUEST_REASONING_LEVEL,
    "previous_response_id": s.REQUEST_PREVIOUS_RESPONSE_ID,
    "service_tier": s.OPENAI_REQUEST_SERVICE_TIER,
}
"""Key of `GenAISpan.request.parameters` → our name."""

OLD_GENAI: Final = {
    "gen_ai.system": s.PROVIDER,
    "gen_ai.usage.prompt_tokens": s.INPUT_TOKENS,
    "gen_ai.usage.completion_tokens": s.OUTPUT_TOKENS,
    "gen_ai.request.choice_count": s.REQUEST_CHOICE_COUNT,
    "gen_ai.openai.request.response_format": s.OUTPUT_TYPE,
    "gen_ai.openai.request.seed": s.REQUEST_SEED,
    "gen_ai.openai.request.service_tier": s.OPENAI_REQUEST_SERVICE_TIER,
    "gen_ai.openai.response.service_tier": s.OPENAI_RESPONSE_SERVICE_TIER,
    "gen_ai.openai.response.system_fingerprint": s.OPENAI_SYSTEM_FINGERPRINT,
}

OPENLLMETRY: Final = {
    "llm.request.type": s.OPERATION,
    "traceloop.span.kind": s.OPERATION,
    "traceloop.association.properties.user_id": s.USER_ID,
    "gen_ai.user": s.USER_ID,
    "llm.user": s.USER_ID,
    "traceloop.association.properties.session_id": s.SESSION_ID,
    "traceloop.prompt.key": s.PROMPT_NAME,
    "traceloop.prompt.version_name": s.PROMPT_VERSION,
    "gen_ai.is_streaming": s.REQUEST_STREAM,
    "llm.is_streaming": s.REQUEST_STREAM,
    "gen_ai.request.n": s.REQUEST_CHOICE_COUNT,
    "gen_ai.request.max_completion_tokens": s.REQUEST_MAX_TOKENS,
    "gen_ai.request.reasoning_effort": s.REQUEST_REASONING_LEVEL,
    "llm.request.reasoning_effort": s.REQUEST_REASONING_LEVEL,
    "llm.frequency_penalty": s.REQUEST_FREQUENCY_PENALTY,
    "llm.presence_penalty": s.REQUEST_PRESENCE_PENALTY,
    "llm.top_k": s.REQUEST_TOP_K,
    "llm.chat.stop_sequences": s.REQUEST_STOP_SEQUENCES,
    "gen_ai.response.finish_reason": s.RESPONSE_FINISH_REASONS,
    "llm.response.finish_reason": s.RESPONSE_FINISH_REASONS,
    "gen_ai.response.stop_reason": s.RESPONSE_FINISH_REASONS,
    "llm.response.stop_reason": s.RESPONSE_FINISH_REASONS,
    "gen_ai.usage.cache_read_input_tokens": s.CACHE_READ_TOKENS,
    "gen_ai.usage.cache_creation_input_tokens": s.CACHE_CREATION_TOKENS,
    "gen_ai.usage.reasoning_tokens": s.REASONING_TOKENS,
    "llm.usage.reasoning_tokens": s.REASONING_TOKENS,
    "gen_ai.openai.system_fingerprint": s.OPENAI_SYSTEM_FINGERPRINT,
    "openai.request.service_tier": s.OPENAI_REQUEST_SERVICE_TIER,
}

OPENINFERENCE: Final = {
    "openinference.span.kind": s.OPERATION,
    "llm.provider": s.PROVIDER,
    "llm.system": s.PROVIDER,
    "llm.request.model_name": s.REQUEST_MODEL,
    "llm.response.model_name": s.RESPONSE_MODEL,
    "embedding.model_name": s.REQUEST_MODEL,
    "reranker.model_name": s.REQUEST_MODEL,
    "llm.token_count.prompt": s.INPUT_TOKENS,
    "llm.token_count.completion": s.OUTPUT_TOKENS,
    "llm.token_count.prompt_details.cache_read": s.CACHE_READ_TOKENS,
    "llm.token_count.prompt_details.cache_input": s.CACHE_READ_TOKENS,
    "llm.token_count.prompt_details.cache_write": s.CACHE_CREATION_TOKENS,
    "llm.token_count.completion_details.reasoning": s.REASONING_TOKENS,
    "llm.token_count.prompt_details.audio": s.AUDIO_INPUT_TOKENS,
    "llm.token_count.completion_details.audio": s.AUDIO_OUTPUT_TOKENS,
    "llm.cost.total": s.COST,
    "llm.cost.prompt": s.COST_INPUT,
    "llm.cost.completion": s.COST_OUTPUT,
    "llm.cost.prompt_details.cache_read": s.COST_CACHE_READ,
    "llm.cost.prompt_details.cache_input": s.COST_CACHE_READ,
    "llm.cost.prompt_details.cache_write": s.COST_CACHE_CREATION,
    "llm.cost.completion_details.reasoning": s.COST_REASONING,
    "llm.finish_reason": s.RESPONSE_FINISH_REASONS,
    "llm.prompt_template.version": s.PROMPT_VERSION,
    "tag.tags": s.TAGS,
}

NEW_GENAI: Final = {new: old for old, new in RENAMED}
"""Names of the conventions v0.1.0; spans with both have one value."""

RENAMES: Final = tuple(
    (
        NEW_GENAI | OLD_GENAI | OPENLLMETRY | OPENINFERENCE | frameworks.VERCEL | frameworks.OTHERS
    ).items()
)
"""All tables. Earlier entries win over later ones, and our own name over all."""

INVOCATION: Final = {
    "model": s.REQUEST_MODEL,
    "max_tokens": s.REQUEST_MAX_TOKENS,
    "max_completion_tokens": s.REQUEST_MAX_TOKENS,
    "temperature": s.REQUEST_TEMPERATURE,
    "top_p": s.REQUEST_TOP_P,
    "top_k": s.REQUEST_TOP_K,
    "frequency_penalty": s.REQUEST_FREQUENCY_PENALTY,
    "presence_penalty": s.REQUEST_PRESENCE_PENALTY,
    "stop": s.REQUEST_STOP_SEQUENCES,
    "seed": s.REQUEST_SEED,
    "n": s.REQUEST_CHOICE_COUNT,
    "stream": s.REQUEST_STREAM,
    "reasoning_effort": s.REQUEST_REASONING_LEVEL,
    "service_tier": s.OPENAI_REQUEST_SERVICE_TIER,
    "previous_response_id": s.REQUEST_PREVIOUS_RESPONSE_ID,
    "user": s.USER_ID,
    "dimensions": s.EMBEDDINGS_DIMENSIONS,
    "encoding_format": s.REQUEST_ENCODING_FORMATS,
}
"""Keys of OpenInference's `llm.invocation_parameters` (JSON) → our name."""
INVOCATION_KEYS: Final = ("llm.invocation_parameters", "embedding.invocation_parameters")

MODEL: Final = "llm.model_name"  # OpenInference: the response model, else the request model
FINISH_REASON: Final = "gen_ai.completion.{}.finish_reason"  # OpenLLMetry before 2026
FIRST_CHUNK_EVENTS: Final = frozenset(
    {"First Token Stream Event", "gen_ai.content.completion.chunk", "llm.content.completion.chunk"}
)
"""Span events; the first one marks the first chunk."""

METADATA_JSON: Final = "metadata"  # OpenInference: one JSON object
METADATA_PROPERTIES: Final = (*frameworks.METADATA, "traceloop.association.properties.")
"""Prefixes of metadata with one key each."""

OPERATIONS: Final = {
    # OpenInference's span kinds; CHAIN and others are application structure
    "LLM": "chat",
    "EMBEDDING": "embeddings",
    "RERANKER": "rerank",
    "RETRIEVER": "retrieval",
    "TOOL": "execute_tool",
    "AGENT": "invoke_agent",
    # OpenLLMetry's request types and span kinds; workflow and task are structure
    "chat": "chat",
    "completion": "text_completion",
    "embedding": "embeddings",
    "rerank": "rerank",
    "tool": "execute_tool",
    "agent": "invoke_agent",
    **frameworks.OPERATIONS,
}
KINDS: Final = (
    *("openinference.span.kind", "llm.request.type", "traceloop.span.kind"),
    *frameworks.KINDS,
)
"""Attributes that mark a GenAI span if `OPERATIONS` contains their value."""
OLD_PROVIDER: Final = "gen_ai.system"

PROVIDERS: Final = {
    "az.ai.openai": "azure.ai.openai",
    "azure": "azure.ai.openai",
    "azure_openai": "azure.ai.openai",
    "az.ai.inference": "azure.ai.inference",
    "aws": "aws.bedrock",
    "bedrock": "aws.bedrock",
    "gemini": "gcp.gemini",
    "google": "gcp.gen_ai",
    "vertex_ai": "gcp.vertex_ai",
    "vertexai": "gcp.vertex_ai",
    "mistralai": "mistral_ai",
    "moonshot": "moonshot_ai",
    "watsonx": "ibm.watsonx.ai",
    "xai": "x_ai",
    **frameworks.PROVIDERS,
}
"""Other provider names, in lower case → the name in the conventions."""

STRUCTURE: Final = frozenset(
    {
        "create_agent",
        "execute_tool",
        "fetch_response",
        "invoke_agent",
        "invoke_workflow",
        "plan",
        "retrieval",
        *(f"{verb}_memory" for verb in ("create", "update", "upsert", "delete", "search")),
        *(f"{verb}_memory_store" for verb in ("create", "delete")),
        *("workflow", "task"),  # OpenLLMetry's span kinds
        *("CHAIN", "GUARDRAIL", "EVALUATOR", "PROMPT"),  # OpenInference's
        *("chain", "prompt", "parser", "framework"),  # LangSmith's and Langtrace's
    }
)
"""Operations that are not model calls, even if they name a model."""
_OWN: Final = frozenset(
    f"litellm.{name}"
    for name in (
        *("moderation", "ocr", "search", "decisions", "extraction", "batch_result"),
        "pass_through",
    )
)
"""litespan's own names of model calls; `litellm.create_file` and others run no model."""


_CALLS: Final = frozenset(
    {*("chat", "generate_content", "text_completion", "embeddings", "rerank"), *_OWN}
)


def is_call(operation: str, *, named: bool) -> bool:
    """Whether an operation is a model call. An unknown one is, if the span has `named` a model."""
    if operation.startswith("litellm."):
        return operation in _OWN
    return operation in _CALLS or (named and operation not in STRUCTURE)


TOTALS: Final = (
    *("gen_ai.usage.", "gen_ai.cost.", "llm.usage.", "llm.token_count.", "llm.cost.", "ai.usage."),
    *("litellm.cost.", "operation.cost", "gen_ai.client.token.usage"),
)
"""Prefixes of tokens and costs. On agents, tools and workflows they sum up the calls below."""


CONTENT: Final = frozenset(
    {
        *(s.INPUT_MESSAGES, s.OUTPUT_MESSAGES, s.SYSTEM_INSTRUCTIONS, s.TOOL_DEFINITIONS),
        s.RETRIEVAL_DOCUMENTS,
        *(s.TOOL_ARGUMENTS, s.TOOL_RESULT),
    }
)
KNOWN: Final = frozenset(value for value in vars(s).values() if isinstance(value, str)) - CONTENT
"""Allowlist of attributes of other instrumentations' spans for `GenAISpan.facts`."""
