"""Google's `models/{model}:generateContent` and `:streamGenerateContent`.

https://ai.google.dev/api/generate-content
"""

from typing import Any

from litespan.testing.provider.openai_chat import REASONING
from litespan.testing.provider.replies import (
    Asked,
    Json,
    Reply,
    Stream,
    as_json,
    data,
    gemini_error,
    tool_calls,
)


def generate_content(asked: Asked) -> Reply:
    """Candidates of one answer, whole."""
    return as_json(_answer(asked, _parts(asked), last=True))


def stream_generate_content(asked: Asked) -> Reply:
    """The same, one server-sent event a piece."""
    parts = _parts(asked)
    if "functionCall" not in parts[-1]:
        parts[-1:] = [{"text": piece} for piece in asked.how.pieces()]
    last = len(parts) - 1
    frames = [data(_answer(asked, [part], last=i == last)) for i, part in enumerate(parts)]
    return Stream(frames, data(gemini_error(asked)))


def _answer(asked: Asked, parts: list[Json], last: bool) -> Json:
    candidate: Json = {"content": {"parts": parts, "role": "model"}, "index": 0}
    if last:
        candidate["finishReason"] = asked.how.finish or "STOP"
    answer: Json = {
        "candidates": [candidate],
        "modelVersion": asked.model or "gemini",
        "responseId": "gemini-loopback",
    }
    if last and asked.how.usage:
        answer["usageMetadata"] = _usage(asked)
    return answer


def _usage(asked: Asked) -> Json:
    """Gemini's prompt tokens include the cached ones, its candidates' exclude the thoughts."""
    how = asked.how
    usage = {
        "promptTokenCount": how.input_tokens,
        "candidatesTokenCount": how.output_tokens - how.reasoning_tokens,
        "totalTokenCount": how.input_tokens + how.output_tokens,
    }
    if how.cached_tokens:
        usage["cachedContentTokenCount"] = how.cached_tokens
    if how.reasoning_tokens:
        usage["thoughtsTokenCount"] = how.reasoning_tokens
    return usage


def _parts(asked: Asked) -> list[Json]:
    parts: list[Json] = []
    if asked.how.reasoning_tokens:
        parts.append({"text": REASONING, "thought": True})
    calls = tool_calls(_declarations(asked.body), asked.how, "")
    parts += [{"functionCall": {"name": call.name, "args": call.arguments}} for call in calls]
    if not calls:
        parts.append({"text": asked.how.answer()})
    return parts


def _declarations(body: Json) -> list[Json]:
    """The declared functions, unless the last turn already brings a function's result."""
    turns: list[Any] = body.get("contents") or []
    results = {"functionResponse", "function_response"}
    if turns and any(results & part.keys() for part in turns[-1]["parts"]):
        return []
    return [
        function
        for tool in body.get("tools") or []
        for key in ("functionDeclarations", "function_declarations")
        for function in tool.get(key) or []
    ]
