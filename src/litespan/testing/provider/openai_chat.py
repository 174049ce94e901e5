"""OpenAI's `/chat/completions` and `/completions`.

https://platform.openai.com/docs/api-reference/chat
"""

from collections.abc import Iterator
from typing import Any, Final

from litespan.testing.provider.behaviour import Behaviour
from litespan.testing.provider.replies import (
    CREATED,
    Json,
    Reply,
    Request,
    Stream,
    ToolCall,
    as_json,
    data,
    halves,
    openai_error,
    tool_calls,
)

REASONING: Final = "The user greets me, so I greet back."
DONE: Final = "data: [DONE]\n\n"


def chat(request: Request) -> Reply:
    """A chat completion, plain or as a stream."""
    if request.body.get("stream"):
        return Stream(list(_chat_frames(request)), data(openai_error(request)))
    calls = _calls(request)
    message: Json = {"role": "assistant", "content": None if calls else request.behaviour.answer()}
    if request.behaviour.reasoning_tokens:
        message["reasoning_content"] = REASONING
    if calls:
        message["tool_calls"] = [_tool_call(call) for call in calls]
    finish = _finish(request, calls)
    answer = _envelope(request, "chat.completion")
    answer["choices"] = [
        {"index": i, "message": message, "logprobs": None, "finish_reason": finish}
        for i in range(_n(request))
    ]
    if request.behaviour.usage:
        answer["usage"] = usage(request.behaviour)
    return as_json(answer)


def completions(request: Request) -> Reply:
    """A text completion, plain or as a stream."""
    behaviour, stream = request.behaviour, bool(request.body.get("stream"))
    envelope = _envelope(request, "text_completion") | {"id": "cmpl-loopback"}

    def choices(text: str, finish: str | None) -> list[Json]:
        return [
            {"index": i, "text": text, "logprobs": None, "finish_reason": finish}
            for i in range(_n(request))
        ]

    last = behaviour.finish or "stop"
    if not stream:
        answer = envelope | {"choices": choices(behaviour.answer(), last)}
        return as_json(answer | ({"usage": usage(behaviour)} if behaviour.usage else {}))
    frames = [data(envelope | {"choices": choices(piece, None)}) for piece in behaviour.pieces()]
    frames.append(data(envelope | {"choices": choices("", last)}))
    if _usage_wanted(request):
        frames.append(data(envelope | {"choices": [], "usage": usage(behaviour)}))
    return Stream([*frames, DONE], data(openai_error(request)))


def usage(behaviour: Behaviour) -> Json:
    """OpenAI's usage: `prompt_tokens` include cached tokens."""
    media = behaviour.audio_tokens + behaviour.image_tokens
    by_modality = {
        "text_tokens": behaviour.input_tokens - media,
        "image_tokens": behaviour.image_tokens,
    }
    return {
        "prompt_tokens": behaviour.input_tokens,
        "completion_tokens": behaviour.output_tokens,
        "total_tokens": behaviour.input_tokens + behaviour.output_tokens,
        "prompt_tokens_details": {
            "cached_tokens": behaviour.cached_tokens,
            "audio_tokens": behaviour.audio_tokens,
            **(by_modality if media else {}),
        },
        "completion_tokens_details": {
            "reasoning_tokens": behaviour.reasoning_tokens,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def _chat_frames(request: Request) -> Iterator[str]:
    envelope = _envelope(request, "chat.completion.chunk")
    behaviour, calls = request.behaviour, _calls(request)
    if _usage_wanted(request):
        envelope["usage"] = None

    def frame(delta: Json, finish: str | None = None) -> str:
        choices = [
            {"index": i, "delta": delta, "logprobs": None, "finish_reason": finish}
            for i in range(_n(request))
        ]
        return data(envelope | {"choices": choices})

    yield frame({"role": "assistant", "content": None if calls else "", "refusal": None})
    if behaviour.reasoning_tokens:
        yield frame({"reasoning_content": REASONING})
    for index, call in enumerate(calls):
        opened = _tool_call(call)
        opened["function"]["arguments"] = ""
        yield frame({"tool_calls": [{"index": index, **opened}]})
        for piece in halves(call.json()):
            part = {"index": index, "function": {"arguments": piece}}
            yield frame({"tool_calls": [part]})
    for piece in () if calls else behaviour.pieces():
        yield frame({"content": piece})
    yield frame({}, _finish(request, calls))
    if _usage_wanted(request):
        yield data(envelope | {"choices": [], "usage": usage(behaviour)})
    yield DONE


def _envelope(request: Request, kind: str) -> Json:
    return {
        "id": "chatcmpl-loopback",
        "object": kind,
        "created": CREATED,
        "model": request.served_model,
        "service_tier": "default",
        "system_fingerprint": "fp_loopback",
    }


def _calls(request: Request) -> list[ToolCall]:
    messages: list[Json] = request.body.get("messages") or []
    if request.body.get("tool_choice") == "none" or (messages and messages[-1]["role"] == "tool"):
        return []
    tools: list[Any] = request.body.get("tools") or []
    return tool_calls((tool["function"] for tool in tools), request.behaviour, "call_loopback_")


def _tool_call(call: ToolCall) -> Json:
    function = {"name": call.name, "arguments": call.json()}
    return {"id": call.id, "type": "function", "function": function}


def _finish(request: Request, calls: list[ToolCall]) -> str:
    return request.behaviour.finish or ("tool_calls" if calls else "stop")


def _n(request: Request) -> int:
    return int(request.body.get("n") or 1)


def _usage_wanted(request: Request) -> bool:
    options = request.body.get("stream_options") or {}
    return request.behaviour.usage and bool(options.get("include_usage"))
