"""OpenAI's `/chat/completions` and `/completions`.

https://platform.openai.com/docs/api-reference/chat
"""

from collections.abc import Iterator
from typing import Any, Final

from litespan.testing.provider.behaviour import Behaviour
from litespan.testing.provider.replies import (
    CREATED,
    Asked,
    Json,
    Reply,
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


def chat(asked: Asked) -> Reply:
    """A chat completion, plain or as a stream."""
    if asked.body.get("stream"):
        return Stream(list(_chat_frames(asked)), data(openai_error(asked)))
    calls = _calls(asked)
    message: Json = {"role": "assistant", "content": None if calls else asked.how.answer()}
    if asked.how.reasoning_tokens:
        message["reasoning_content"] = REASONING
    if calls:
        message["tool_calls"] = [_tool_call(call) for call in calls]
    finish = _finish(asked, calls)
    answer = _envelope(asked, "chat.completion")
    answer["choices"] = [
        {"index": i, "message": message, "logprobs": None, "finish_reason": finish}
        for i in range(_n(asked))
    ]
    if asked.how.usage:
        answer["usage"] = usage(asked.how)
    return as_json(answer)


def completions(asked: Asked) -> Reply:
    """A text completion, plain or as a stream."""
    how, stream = asked.how, bool(asked.body.get("stream"))
    envelope = _envelope(asked, "text_completion") | {"id": "cmpl-loopback"}

    def choices(text: str, finish: str | None) -> list[Json]:
        return [
            {"index": i, "text": text, "logprobs": None, "finish_reason": finish}
            for i in range(_n(asked))
        ]

    last = how.finish or "stop"
    if not stream:
        answer = envelope | {"choices": choices(how.answer(), last)}
        return as_json(answer | ({"usage": usage(how)} if how.usage else {}))
    frames = [data(envelope | {"choices": choices(piece, None)}) for piece in how.pieces()]
    frames.append(data(envelope | {"choices": choices("", last)}))
    if _usage_wanted(asked):
        frames.append(data(envelope | {"choices": [], "usage": usage(how)}))
    return Stream([*frames, DONE], data(openai_error(asked)))


def usage(how: Behaviour) -> Json:
    """OpenAI's usage: `prompt_tokens` include the cached ones."""
    return {
        "prompt_tokens": how.input_tokens,
        "completion_tokens": how.output_tokens,
        "total_tokens": how.input_tokens + how.output_tokens,
        "prompt_tokens_details": {"cached_tokens": how.cached_tokens, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": how.reasoning_tokens,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def _chat_frames(asked: Asked) -> Iterator[str]:
    envelope = _envelope(asked, "chat.completion.chunk")
    how, calls = asked.how, _calls(asked)
    if _usage_wanted(asked):
        envelope["usage"] = None

    def frame(delta: Json, finish: str | None = None) -> str:
        choices = [
            {"index": i, "delta": delta, "logprobs": None, "finish_reason": finish}
            for i in range(_n(asked))
        ]
        return data(envelope | {"choices": choices})

    yield frame({"role": "assistant", "content": None if calls else "", "refusal": None})
    if how.reasoning_tokens:
        yield frame({"reasoning_content": REASONING})
    for index, call in enumerate(calls):
        opened = _tool_call(call)
        opened["function"]["arguments"] = ""
        yield frame({"tool_calls": [{"index": index, **opened}]})
        for piece in halves(call.json()):
            part = {"index": index, "function": {"arguments": piece}}
            yield frame({"tool_calls": [part]})
    for piece in () if calls else how.pieces():
        yield frame({"content": piece})
    yield frame({}, _finish(asked, calls))
    if _usage_wanted(asked):
        yield data(envelope | {"choices": [], "usage": usage(how)})
    yield DONE


def _envelope(asked: Asked, kind: str) -> Json:
    return {
        "id": "chatcmpl-loopback",
        "object": kind,
        "created": CREATED,
        "model": asked.served_model,
        "service_tier": "default",
        "system_fingerprint": "fp_loopback",
    }


def _calls(asked: Asked) -> list[ToolCall]:
    messages: list[Json] = asked.body.get("messages") or []
    if asked.body.get("tool_choice") == "none" or (messages and messages[-1]["role"] == "tool"):
        return []
    tools: list[Any] = asked.body.get("tools") or []
    return tool_calls((tool["function"] for tool in tools), asked.how, "call_loopback_")


def _tool_call(call: ToolCall) -> Json:
    function = {"name": call.name, "arguments": call.json()}
    return {"id": call.id, "type": "function", "function": function}


def _finish(asked: Asked, calls: list[ToolCall]) -> str:
    return asked.how.finish or ("tool_calls" if calls else "stop")


def _n(asked: Asked) -> int:
    return int(asked.body.get("n") or 1)


def _usage_wanted(asked: Asked) -> bool:
    options = asked.body.get("stream_options") or {}
    return asked.how.usage and bool(options.get("include_usage"))
