"""Cases that were found by chance and failed once. Each stays here, as small as it can be."""

from types import SimpleNamespace
from typing import Any

HUGE = 10**5000
"""An integer that Python refuses to format."""
HALF = "half \ud83d"

ARGUMENTS: dict[str, dict[str, Any]] = {
    "an API base of thousands of digits": {"api_base": HUGE},
    "an API base without an end": {"api_base": "http://[::1"},
    "an API base whose port is none": {"api_base": "http://a:b/"},
    "a user of thousands of digits": {"user": HUGE},
    "metadata of thousands of digits": {"metadata": {"n": HUGE}},
    "a prompt version of thousands of digits": {"prompt_version": HUGE},
    "a service tier of thousands of digits": {"service_tier": HUGE},
    "a message of thousands of digits": {"messages": [{"role": "user", "content": HUGE}]},
    "a tool call of thousands of digits": {
        "messages": [
            {"role": "assistant", "tool_calls": [{"id": HUGE, "function": {"name": HUGE}}]}
        ]
    },
    "a part that is not a number": {
        "messages": [{"role": "user", "content": [{"type": "x", "y": float("nan")}]}]
    },
    "a model with a lone surrogate": {"model": f"openai/{HALF}"},
    "a stop sequence with a lone surrogate": {"stop": [HALF]},
}
ANSWERS: dict[str, Any] = {
    "choices that are no list": SimpleNamespace(choices=SimpleNamespace()),
    "a finish reason of thousands of digits": {"choices": [{"finish_reason": HUGE}]},
    "a lone surrogate in the id and model": {"id": HALF, "model": HALF, "choices": []},
    "a model that is no text": {"model": 7, "usage": {"prompt_tokens": 3}},
    "infinity in a message": {"choices": [{"message": {"content": [{"x": float("inf")}]}}]},
}
CHUNKS: dict[str, list[Any]] = {
    "an empty tuple": [()],
    "a tuple of three": [{"choices": []}, (1, 2, 3)],
    "choices that are no list": [{"choices": SimpleNamespace()}],
    "tool calls that are no list": [{"choices": [{"delta": {"tool_calls": SimpleNamespace()}}]}],
    "indexes of several types": [
        {"choices": [{"index": index, "delta": {"content": "a"}, "finish_reason": "stop"}]}
        for index in (1, "b")
    ],
    "a text of thousands of digits": [{"choices": [{"delta": {"content": HUGE}}]}],
    "a finish reason of thousands of digits": [{"choices": [{"finish_reason": HUGE}]}],
    "an index of thousands of digits after an event": [{"type": "message_start"}, HUGE],
    "an item without an order": [
        {"type": "message_start", "message": {"usage": 3}},
        {"type": "content_block_start", "index": "x", "content_block": 7},
        {"type": "content_block_delta", "index": 0, "delta": []},
        {"type": "message_delta", "delta": None, "usage": [1]},
    ],
}
EDITS = {
    "a control character in JSON": (b'"experiment":3', b'"experi\x01\n\x02":3'),
    "JSON that ends early": (b'"experiment":3}', b'"experiment":3]'),
    "text that is not UTF-8": (b"checkout-bot", b"check\xff\x1b[2J\x85t"),
    "a time that is none": (b"2026-11-20T09:13:07", b"2026-13-20T09:13:07"),
}
"""Bytes of a store's file, and what became of them: equally many."""
