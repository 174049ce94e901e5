"""Attribute names of frameworks: tables, as in `conventions`.

Sources:

- Vercel's AI SDK: https://ai-sdk.dev/docs/ai-sdk-core/telemetry#collected-data
- Google's ADK: https://github.com/google/adk-python `telemetry/tracing.py`
- Pydantic AI and Logfire: https://ai.pydantic.dev/logfire/
- LangSmith: https://docs.langchain.com/langsmith/trace-with-opentelemetry
- Sentry's SDKs: https://develop.sentry.dev/sdk/telemetry/traces/modules/ai-agents/
- Semantic Kernel: https://learn.microsoft.com/semantic-kernel/concepts/enterprise-readiness/observability
- Strands: https://github.com/strands-agents/sdk-python `telemetry/tracer.py`
- OpenLIT, and LiteLLM's own integration in its first version
"""

from typing import Final

from litespan import semconv as s

VERCEL: Final = {
    "ai.operationId": s.OPERATION,
    "ai.model.provider": s.PROVIDER,
    "ai.model.id": s.REQUEST_MODEL,
    "ai.response.model": s.RESPONSE_MODEL,
    "ai.response.id": s.RESPONSE_ID,
    "ai.response.finishReason": s.RESPONSE_FINISH_REASONS,
    "ai.usage.inputTokens": s.INPUT_TOKENS,
    "ai.usage.promptTokens": s.INPUT_TOKENS,
    "ai.usage.tokens": s.INPUT_TOKENS,
    "ai.usage.outputTokens": s.OUTPUT_TOKENS,
    "ai.usage.completionTokens": s.OUTPUT_TOKENS,
    "ai.usage.cachedInputTokens": s.CACHE_READ_TOKENS,
    "ai.usage.inputTokenDetails.cacheReadTokens": s.CACHE_READ_TOKENS,
    "ai.usage.inputTokenDetails.cacheWriteTokens": s.CACHE_CREATION_TOKENS,
    "ai.usage.reasoningTokens": s.REASONING_TOKENS,
    "ai.usage.outputTokenDetails.reasoningTokens": s.REASONING_TOKENS,
    "ai.telemetry.metadata.userId": s.USER_ID,
    "ai.telemetry.metadata.sessionId": s.SESSION_ID,
    "ai.telemetry.metadata.tags": s.TAGS,
}
STRANDS: Final = "strands-agents"
FIRST_TOKEN: Final = "gen_ai.server.time_to_first_token"
"""Seconds, in Strands' spans milliseconds."""

OTHERS: Final = {
    "gcp.vertex.agent.session_id": s.SESSION_ID,
    "operation.cost": s.COST,  # Pydantic AI and Logfire
    "gen_ai.usage.cache_write_input_tokens": s.CACHE_CREATION_TOKENS,  # Strands
    "gen_ai.usage.details.cache_read_tokens": s.CACHE_READ_TOKENS,
    "gen_ai.usage.details.cache_read_input_tokens": s.CACHE_READ_TOKENS,
    "gen_ai.usage.details.cached_tokens": s.CACHE_READ_TOKENS,
    "gen_ai.usage.details.cache_write_tokens": s.CACHE_CREATION_TOKENS,
    "gen_ai.usage.details.cache_creation_input_tokens": s.CACHE_CREATION_TOKENS,
    "gen_ai.usage.details.reasoning_tokens": s.REASONING_TOKENS,
    "langsmith.span.kind": s.OPERATION,
    "langsmith.metadata.session_id": s.SESSION_ID,
    "langsmith.metadata.thread_id": s.SESSION_ID,
    "langtrace.service.type": s.OPERATION,
    "gen_ai.request.is_stream": s.REQUEST_STREAM,  # OpenLIT
    "gen_ai.request.embedding_dimension": s.EMBEDDINGS_DIMENSIONS,
    FIRST_TOKEN: s.TIME_TO_FIRST_CHUNK,
    "gen_ai.usage.input_tokens.cached": s.CACHE_READ_TOKENS,  # Sentry
    "gen_ai.usage.input_tokens.cache_write": s.CACHE_CREATION_TOKENS,
    "gen_ai.usage.output_tokens.reasoning": s.REASONING_TOKENS,
    "gen_ai.response.time_to_first_token": s.TIME_TO_FIRST_CHUNK,
    "gen_ai.response.streaming": s.REQUEST_STREAM,
    "gen_ai.cost.total_tokens": s.COST,
    "gen_ai.cost.input_tokens": s.COST_INPUT,
    "gen_ai.cost.output_tokens": s.COST_OUTPUT,
    "gen_ai.cost.total_cost": s.COST,  # LiteLLM's own
    "gen_ai.cost.input_cost": s.COST_INPUT,
    "gen_ai.cost.output_cost": s.COST_OUTPUT,
    "gen_ai.user.id": s.USER_ID,
    "enduser.id": s.USER_ID,
    "langfuse.user.id": s.USER_ID,
    "gen_ai.request.user": s.USER_ID,  # OpenLIT, which writes "" for none
    "langfuse.session.id": s.SESSION_ID,
    "gen_ai.response.prompt_tokens": s.INPUT_TOKENS,  # Semantic Kernel
    "gen_ai.response.completion_tokens": s.OUTPUT_TOKENS,
}

OPERATIONS: Final = {
    "ai.generateText.doGenerate": "chat",
    "ai.generateObject.doGenerate": "chat",
    "ai.streamText.doStream": "chat",
    "ai.streamObject.doStream": "chat",
    "ai.embed.doEmbed": "embeddings",
    "ai.embedMany.doEmbed": "embeddings",
    "ai.toolCall": "execute_tool",
    "chat.completions": "chat",  # Semantic Kernel
    "text.completions": "text_completion",
    "llm": "chat",
    "retriever": "retrieval",
}
KINDS: Final = ("ai.operationId", "langsmith.span.kind", "langtrace.service.type")
MILLISECONDS: Final = "ai.response.msToFirstChunk"
METADATA: Final = ("ai.telemetry.metadata.", "langsmith.metadata.")

PROVIDERS: Final = {
    "amazon-bedrock": "aws.bedrock",
    "azure-openai": "azure.ai.openai",
    "gcp.vertex.agent": "gcp.gen_ai",
    "google.generative-ai": "gcp.gemini",
    "google.vertex": "gcp.vertex_ai",
    "mistral": "mistral_ai",
}
SUFFIXES: Final = (".chat", ".responses", ".messages", ".completion", ".embedding")
"""Suffixes of Vercel's provider names, which say the API."""
