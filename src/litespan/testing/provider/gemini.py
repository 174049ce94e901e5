"""Google's `models/{model}:generateContent`, `:streamGenerateContent` and interactions.

https://ai.google.dev/api/generate-content, https://ai.google.dev/api/interactions-api
"""

from typing import Any

from litespan.testing.provider.openai_chat import REASONING
from litespan.testing.provider.replies import (
    Json,
    Reply,
    Request,
    Stream,
    as_json,
    data,
    gemini_error,
    id_in_path,
    openai_error,
    tool_calls,
)


def generate_content(request: Request) -> Reply:
    """One complete answer."""
    return as_json(_answer(request, _parts(request), last=True))


def stream_generate_content(request: Request) -> Reply:
    """The same as server-sent events, one per piece of text."""
    parts = _parts(request)
    if "functionCall" not in parts[-1]:
        parts[-1:] = [{"text": piece} for piece in request.behaviour.pieces()]
    last = len(parts) - 1
    frames = [data(_answer(request, [part], last=i == last)) for i, part in enumerate(parts)]
    return Stream(frames, data(gemini_error(request)))


def _answer(request: Request, parts: list[Json], last: bool) -> Json:
    candidate: Json = {"content": {"parts": parts, "role": "model"}, "index": 0}
    if last:
        candidate["finishReason"] = request.behaviour.finish or "STOP"
    answer: Json = {
        "candidates": [candidate],
        "modelVersion": request.model or "gemini",
        "responseId": "gemini-loopback",
    }
    if last and request.behaviour.usage:
        answer["usageMetadata"] = _usage(request)
    return answer


def _usage(request: Request) -> Json:
    """Gemini's prompt tokens include cached tokens; its candidates tokens exclude thoughts."""
    behaviour = request.behaviour
    usage = {
        "promptTokenCount": behaviour.input_tokens,
        "candidatesTokenCount": behaviour.output_tokens - behaviour.reasoning_tokens,
        "totalTokenCount": behaviour.input_tokens + behaviour.output_tokens,
    }
    if behaviour.cached_tokens:
        usage["cachedContentTokenCount"] = behaviour.cached_tokens
    if behaviour.reasoning_tokens:
        usage["thoughtsTokenCount"] = behaviour.reasoning_tokens
    return usage


def _parts(request: Request) -> list[Json]:
    parts: list[Json] = []
    if request.behaviour.reasoning_tokens:
        parts.append({"text": REASONING, "thought": True})
    calls = tool_calls(_declarations(request.body), request.behaviour, "")
    parts += [{"functionCall": {"name": call.name, "args": call.arguments}} for call in calls]
    if not calls:
        parts.append({"text": request.behaviour.answer()})
    return parts


def _declarations(body: Json) -> list[Json]:
    """The declared functions, unless the last turn has a function's result."""
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


def interaction(request: Request) -> Reply:
    """An interaction, plain or as a stream; one in the background has not ended."""
    body, behaviour = request.body, request.behaviour
    fetched = request.method == "GET"
    waits = bool(body.get("background")) and not fetched
    status = "in_progress" if waits else behaviour.finish or "completed"
    usage = {
        "total_input_tokens": behaviour.input_tokens,
        "total_output_tokens": behaviour.output_tokens,
        "total_tokens": behaviour.input_tokens + behaviour.output_tokens,
    }
    step = {"type": "model_output", "content": [{"type": "text", "text": behaviour.text}]}
    whole: Json = {
        "id": id_in_path(request) if fetched else "interaction_loopback",
        "object": "interaction",
        "model": body.get("model", "gemini-2.5-flash"),
        "status": status,
        "steps": [] if waits else [step],
        "usage": usage if behaviour.usage and status == "completed" else None,
    }
    if not body.get("stream"):
        return as_json(whole)
    started = {"id": whole["id"], "model": whole["model"], "status": "in_progress"}
    events: list[Json] = [{"event_type": "interaction.created", "interaction": started}]
    events += [
        {"event_type": "step.delta", "index": 0, "delta": {"type": "text", "text": piece}}
        for piece in behaviour.pieces()
    ]
    events.append({"event_type": "interaction.completed", "interaction": whole})
    error = {"event_type": "error", "error": openai_error(request)["error"]}
    return Stream([data(each) for each in events], data(error))
