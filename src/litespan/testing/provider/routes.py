"""The routes of the loopback provider."""

import re
from collections.abc import Callable, Mapping
from typing import Final

from litespan.testing.provider import (
    anthropic,
    gemini,
    media,
    openai_chat,
    openai_responses,
    resources,
)
from litespan.testing.provider.replies import (
    Json,
    Request,
    anthropic_error,
    gemini_error,
)
from litespan.testing.provider.resources import Answer

ROUTES: Final[tuple[tuple[str, str, Answer], ...]] = (
    *resources.ROUTES,
    ("POST", "/chat/completions", openai_chat.chat),
    ("POST", "/completions", openai_chat.completions),
    ("POST", "/responses", openai_responses.responses),
    ("POST", "/messages", anthropic.messages),
    ("POST", ":generateContent", gemini.generate_content),
    ("POST", ":streamGenerateContent", gemini.stream_generate_content),
    ("POST", "/embeddings", media.embeddings),
    ("POST", "/images/(generations|edits|variations)", media.images),
    ("POST", "/audio/transcriptions", media.transcriptions),
    ("POST", "/audio/speech", media.speech),
    ("POST", "/moderations", media.moderations),
    ("POST", "/rerank", media.rerank),
)
"""Method, pattern of the end of the path, and the function that answers."""

ERRORS: Final[Mapping[Answer, Callable[[Request], Json]]] = {
    anthropic.messages: anthropic_error,
    gemini.generate_content: gemini_error,
    gemini.stream_generate_content: gemini_error,
}
"""The error formats of providers other than OpenAI."""


def answer_to(request: Request) -> Answer | None:
    """The function that answers a request; None if there is no such route."""
    for method, pattern, answer in ROUTES:
        if request.method == method and re.search(f"{pattern}/?$", request.path):
            return answer
    return None
