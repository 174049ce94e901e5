"""OpenAI's `/chat/completions` and `/completions`.

https://platform.openai.com/docs/api-reference/chat
"""

from collections.abc import Iterator
from typing import Any, Final

from litespan.testing.provider import replies as r
from litespan.testing.provider.behaviour import Behaviour

REASONING: Final = "The user greets me, so I greet back."
DONE: Final = "data: [DONE]\n\n"


def chat(request: r.Request) -> r.Reply:
    """A chat completion, plain or as a stream."""
    if request.body.get("stream"):
        return r.Stream(list(_chat_frames(request)), r.data(r.openai_error(request)))
    calls = _calls(request)
    content = None if calls else request.behaviour.answer()
    message: r.Json = {"role": "assistant", "content": content}
    if request.behaviour.reasoning_tokens:
        message["reasoning_content"] = REASONING
    if calls:
        message["tool_calls"] = [_tool_call(call) for call in calls]
    finish = _finish(request, calls)
    answer = _envelope(request, "chat.completion")
    answer["choices"] = _choices(request, message=message, finish_reason=finish)
    if request.behaviour.usage:
        answer["usage"] = usage(request.behaviour)
    return r.as_json(answer)


def completions(request: r.Request) -> r.Reply:
    """A text completion, plain or as a stream."""
    behaviour, stream = request.behaviour, bool(request.body.get("stream"))
    envelope = _envelope(request, "text_completion") | {"id": "cmpl-loopback"}

    def answer(text: str, finish: str | None) -> r.Json:
        return envelope | {"choices": _choices(request, text=text, finish_reason=finish)}

    last = behaviour.finish or "stop"
    if not stream:
        whole = answer(behaviour.answer(), last)
        return r.as_json(whole | ({"usage": usage(behaviour)} if behaviour.usage else {}))
    frames = [r.data(answer(piece, None)) for piece in behaviour.pieces()]
    frames.append(r.data(answer("", last)))
    if _usage_wanted(request):
        frames.append(r.data(envelope | {"choices": [], "usage": usage(behaviour)}))
    return r.Stream([*frames, DONE], r.data(r.openai_error(request)))


def usage(behaviour: Behaviour) -> r.Json:
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


def _chat_frames(request: r.Request) -> Iterator[str]:
    envelope = _envelope(request, "chat.completion.chunk")
    behaviour, calls = request.behaviour, _calls(request)
    if _usage_wanted(request):
        envelope["usage"] = None

    def frame(delta: r.Json, finish: str | None = None) -> str:
        return r.data(envelope | {"choices": _choices(request, delta=delta, finish_reason=finish)})

    yield frame({"role": "assistant", "content": None if calls else "", "refusal": None})
    if behaviour.reasoning_tokens:
        yield frame({"reasoning_content": REASONING})
    for index, call in enumerate(calls):
        opened = _tool_call(call)
        opened["function"]["arguments"] = ""
        yield frame({"tool_calls": [{"index": index, **opened}]})
        for piece in r.halves(call.json()):
            part = {"index": index, "function": {"arguments": piece}}
            yield frame({"tool_calls": [part]})
    for piece in () if calls else behaviour.pieces():
        yield frame({"content": piece})
    yield frame({}, _finish(request, calls))
    if _usage_wanted(request):
        yield r.data(envelope | {"choices": [], "usage": usage(behaviour)})
    yield DONE


def _envelope(request: r.Request, kind: str) -> r.Json:
    return {
        "id": "chatcmpl-loopback",
        "object": kind,
        "created": r.CREATED,
        "model": request.served_model,
        "service_tier": "default",
        "system_fingerprint": "fp_loopback",
    }


def _calls(request: r.Request) -> list[r.ToolCall]:
    messages: list[r.Json] = request.body.get("messages") or []
    if request.body.get("tool_choice") == "none" or (messages and messages[-1]["role"] == "tool"):
        return []
    tools: list[Any] = request.body.get("tools") or []
    return r.tool_calls((tool["function"] for tool in tools), request.behaviour, "call_loopback_")


def _tool_call(call: r.ToolCall) -> r.Json:
    function = {"name": call.name, "arguments": call.json()}
    return {"id": call.id, "type": "function", "function": function}


def _finish(request: r.Request, calls: list[r.ToolCall]) -> str:
    return request.behaviour.finish or ("tool_calls" if calls else "stop")


def _choices(request: r.Request, **fields: object) -> list[r.Json]:
    """As many equal choices as the request has in `n`."""
    number = int(request.body.get("n") or 1)
    return [{"index": index, "logprobs": None, **fields} for index in range(number)]


def _usage_wanted(request: r.Request) -> bool:
    options = request.body.get("stream_options") or {}
    return request.behaviour.usage and bool(options.get("include_usage"))
