"""Google's `models/{model}:generateContent`, `:streamGenerateContent` and interactions.

https://ai.google.dev/api/generate-content, https://ai.google.dev/api/interactions-api
"""

from typing import Any

from litespan.testing.provider import replies as r
from litespan.testing.provider.openai_chat import REASONING


def generate_content(request: r.Request) -> r.Reply:
    """One complete answer."""
    return r.as_json(_answer(request, _parts(request), last=True))


def stream_generate_content(request: r.Request) -> r.Reply:
    """A streamed answer, with one event per piece of text."""
    parts = _parts(request)
    if "functionCall" not in parts[-1]:
        parts[-1:] = [{"text": piece} for piece in request.behaviour.pieces()]
    last = len(parts) - 1
    frames = [r.data(_answer(request, [part], last=i == last)) for i, part in enumerate(parts)]
    return r.Stream(frames, r.data(r.gemini_error(request)))


def _answer(request: r.Request, parts: list[r.Json], last: bool) -> r.Json:
    candidate: r.Json = {"content": {"parts": parts, "role": "model"}, "index": 0}
    if last:
        candidate["finishReason"] = request.behaviour.finish or "STOP"
    answer: r.Json = {
        "candidates": [candidate],
        "modelVersion": request.model or "gemini",
        "responseId": "gemini-loopback",
    }
    if last and request.behaviour.usage:
        answer["usageMetadata"] = _usage(request)
    return answer


def _usage(request: r.Request) -> r.Json:
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


def _parts(request: r.Request) -> list[r.Json]:
    parts: list[r.Json] = []
    if request.behaviour.reasoning_tokens:
        parts.append({"text": REASONING, "thought": True})
    calls = r.tool_calls(_declarations(request.body), request.behaviour, "")
    parts += [{"functionCall": {"name": call.name, "args": call.arguments}} for call in calls]
    if not calls:
        parts.append({"text": request.behaviour.answer()})
    return parts


def _declarations(body: r.Json) -> list[r.Json]:
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


def interaction(request: r.Request) -> r.Reply:
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
    whole: r.Json = {
        "id": r.id_in_path(request) if fetched else "interaction_loopback",
        "object": "interaction",
        "model": body.get("model", "gemini-2.5-flash"),
        "status": status,
        "steps": [] if waits else [step],
        "usage": usage if behaviour.usage and status == "completed" else None,
    }
    if not body.get("stream"):
        return r.as_json(whole)
    started = {"id": whole["id"], "model": whole["model"], "status": "in_progress"}
    events: list[r.Json] = [{"event_type": "interaction.created", "interaction": started}]
    events += [
        {"event_type": "step.delta", "index": 0, "delta": {"type": "text", "text": piece}}
        for piece in behaviour.pieces()
    ]
    events.append({"event_type": "interaction.completed", "interaction": whole})
    error = {"event_type": "error", "error": r.openai_error(request)["error"]}
    return r.Stream([r.data(each) for each in events], r.data(error))
