"""The routes of the loopback provider."""

from collections.abc import Callable
from typing import Final, NamedTuple

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
    Reply,
    Request,
    anthropic_error,
    gemini_error,
    openai_error,
)


class Route(NamedTuple):
    """The functions that answer requests whose path ends with `path`."""

    path: str
    answer: Callable[[Request], Reply]
    error: Callable[[Request], Json]


ROUTES: Final = (
    Route("/chat/completions", openai_chat.chat, openai_error),
    Route("/completions", openai_chat.completions, openai_error),
    Route("/responses", openai_responses.responses, openai_error),
    Route("/messages", anthropic.messages, anthropic_error),
    Route(":generateContent", gemini.generate_content, gemini_error),
    Route(":streamGenerateContent", gemini.stream_generate_content, gemini_error),
    Route("/embeddings", media.embeddings, openai_error),
    Route("/images/generations", media.images, openai_error),
    Route("/images/edits", media.images, openai_error),
    Route("/images/variations", media.images, openai_error),
    Route("/audio/transcriptions", media.transcriptions, openai_error),
    Route("/audio/speech", media.speech, openai_error),
    Route("/moderations", media.moderations, openai_error),
    Route("/rerank", media.rerank, openai_error),
)


def route_of(request: Request) -> Route | None:
    """The route of a request, or None."""
    if request.method == "POST" and "/threads/" not in request.path:
        for row in ROUTES:
            if request.path.endswith(row.path):
                return row
    resource = resources.find(request)
    return None if resource is None else Route("", resource, openai_error)
