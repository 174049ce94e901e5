"""The operations of requests that LiteLLM passes on to a provider unchanged, by their path."""

from functools import lru_cache
from typing import Final

from litespan.mapping import targets as t

# Ends of a provider's paths → operation.
_PATHS: Final[tuple[tuple[tuple[str, ...], t.Operation], ...]] = (
    (("/chat/completions", "/responses", "/messages", "/realtime"), t.CHAT),
    (("/v1/chat", "/v2/chat", "/api/chat"), t.CHAT),  # Cohere, Ollama
    ((":generateContent", ":streamGenerateContent", ".BidiGenerateContent"), t.CHAT),
    (("/converse", "/converse-stream"), t.CHAT),
    (("/completions",), t.TEXT),
    (("/embeddings", "/embed", ":embedContent"), t.EMBEDDINGS),
    (("/images/generations", "/images/edits"), t.IMAGE),
    (("/audio/transcriptions", "/listen"), t.TRANSCRIPT),
    (("/audio/speech",), t.SPEECH),
    (("/rerank",), t.RERANK),
    (("/moderations",), t.MODERATION),
)


@lru_cache(maxsize=256)
def passed_on(call_type: str, path: str) -> t.Target:
    """Return the target of a request that LiteLLM passes on to a provider's `path` unchanged."""
    found = (operation for ends, operation in _PATHS if path.endswith(ends))
    return t.Target(call_type, next(found, t.PASS_THROUGH))
