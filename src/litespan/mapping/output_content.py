"""Converts answers to the convention's output messages, as JSON text.

Schema: https://github.com/open-telemetry/semantic-conventions-genai (output messages).
"""

from collections.abc import Mapping, Sequence
from json.encoder import encode_basestring
from typing import Any, Final

from litespan.genai import inline
from litespan.genai.names import FINISH_REASONS
from litespan.genai.parts import Part, media
from litespan.genai.provider_messages import read_parts
from litespan.mapping import a2a, google
from litespan.mapping.content import Message, message_of, plain_json
from litespan.objects import as_list, contents, dumps, encoded, first, get, safe_str, utf8

# Responses API items that require the caller to run a tool.
_TOOL_REQUESTS: Final = frozenset(
    {
        *("function_call", "custom_tool_call", "computer_call"),
        *("local_shell_call", "apply_patch_call", "mcp_approval_request"),
    }
)
_UNFINISHED: Final = frozenset({"in_progress", "queued"})


def copied_choices(raw: Any) -> dict[str, Any] | None:
    """Return a copy of an answer of LiteLLM whose choices are only texts; None for another one."""
    if type(raw).__name__ != "ModelResponse":
        return None
    copied: list[dict[str, Any]] = []
    for choice in raw.choices:
        message = choice.message
        stated = {**message.__dict__, **(message.__pydantic_extra__ or {})}
        for name, value in stated.items():
            if value is not None and type(value) is not str:
                if type(value) is not dict or any(value.values()):
                    return None
                stated[name] = None  # such as `{"refusal": None}`
        copied.append({"message": stated, "finish_reason": choice.finish_reason})
    return {"choices": copied}


def output_text(raw: Any) -> str:
    """Return what `output_content` returns, as JSON; "" if there is none."""
    choices = get(raw, "choices")
    if type(choices) is list and choices:
        return utf8(f"[{','.join([_written_choice(choice) for choice in choices])}]")
    output = output_content(raw)
    return dumps(output) if output else ""


def output_content(raw: Any) -> list[Message]:
    """Return the model's output, one message per choice."""
    stated = contents(raw)
    choices = stated.get("choices", stated.get("candidates")) or get(raw, "choices")
    if isinstance(choices, (list, tuple)) and choices:
        return [_choice(choice) for choice in choices]
    output = stated.get("output")
    if isinstance(output, (list, tuple)):
        return [_joined(output, stated)] if output else []
    parts = stated.get("steps") or stated.get("outputs")
    if isinstance(parts, (list, tuple)):  # Google's Interactions API
        blocks = {"role": "assistant", "content": google.interaction_parts(stated)}
        return [_finished(message_of(blocks), stated.get("status") or "")]
    found = _found(stated)
    if found:
        return [_finished({"role": "assistant", "parts": found}, "stop")]
    message, reason = _single_message(stated)
    if not message:
        message, reason = a2a.message(raw, "assistant"), "stop"
    return [_finished(message_of(message), reason)] if message else _speech(stated.get("response"))


def _found(stated: Mapping[str, Any]) -> list[Part]:
    """Return the texts of a vector store search, a web search or OCR, one part each."""
    entries = stated.get("pages") or stated.get("results")
    if not entries and safe_str(stated.get("object")).startswith("vector_store"):
        entries = stated.get("data")
    if not isinstance(entries, (list, tuple)):
        return []
    held = [contents(entry) for entry in entries]
    texts = [first(entry, "markdown", "content", "snippet", "title") for entry in held]
    read: list[Part] = inline.referenced(
        [part for text in texts if text for part in read_parts(inline.bounded(text))]
    )
    return read


def documents(raw: Any) -> list[dict[str, Any]]:
    """Return the id and score of each document that a vector store search has found."""
    stated = contents(raw)
    entries = stated.get("data")
    if not isinstance(entries, (list, tuple)):
        return []
    found = [
        {"id": get(entry, "file_id") or get(entry, "id"), "score": get(entry, "score")}
        for entry in entries
    ]
    return [document for document in found if document["id"] is not None]


def _single_message(stated: Mapping[str, Any]) -> tuple[Any, Any]:
    """Return (message, finish reason) of an API with a single answer, or a false message."""
    message = get(stated.get("output"), "message") or stated.get("message")
    if isinstance(message, Mapping):  # Bedrock and Cohere
        return message, first(stated, "stopReason", "finish_reason")
    blocks, text = stated.get("content"), stated.get("text")
    images = [contents(image) for image in as_list(stated.get("data"))]
    if isinstance(blocks, (list, tuple)):
        return {"role": "assistant", "content": blocks}, stated.get("stop_reason")
    if images and first(images[0], "b64_json", "url") is not None:
        shown = [{"type": "image", **image} for image in images]
        return {"role": "assistant", "content": shown}, "stop"
    return ({"role": "assistant", "content": text}, "stop") if isinstance(text, str) else (None, "")


def _written_choice(choice: Any) -> str:
    """Return `_choice(choice)` as JSON."""
    message = get(choice, "message")
    plain = plain_json(message) if message else None
    if plain is None:
        return encoded(_choice(choice))
    native = safe_str(get(choice, "finish_reason") or get(choice, "finishReason") or "")
    return f'{plain[:-1]},"finish_reason":{encode_basestring(FINISH_REASONS.get(native, native))}}}'


def _choice(choice: Any) -> Message:
    message = get(choice, "message") or get(choice, "content")
    if message is None or isinstance(message, str):
        message = {"content": message or get(choice, "text") or ""}
    read = message_of(message)
    if not contents(message).get("role"):
        read["role"] = "assistant"
    return _finished(read, get(choice, "finish_reason") or get(choice, "finishReason"))


def _finished(message: Message, reason: Any) -> Message:
    native = safe_str(reason or "")
    return {**message, "finish_reason": FINISH_REASONS.get(native, native)}


def _joined(items: Sequence[Any], response: Mapping[str, Any]) -> Message:
    """Merge the items of a Responses API answer into one assistant message."""
    read = [part for item in items for part in message_of(item)["parts"]]
    reason = get(response.get("incomplete_details"), "reason") or response.get("status")
    if any(safe_str(get(item, "type")) in _TOOL_REQUESTS for item in items):
        reason = "tool_call"
    message = {"role": "assistant", "parts": read}
    return _finished(message, "" if safe_str(reason) in _UNFINISHED else reason or "completed")


def _speech(response: Any) -> list[Message]:
    """Return generated speech: the HTTP response body, if it has been read already."""
    sound = getattr(response, "_content", None)
    if not isinstance(sound, bytes):
        return []
    mime = str(response.headers.get("content-type") or "").partition(";")[0]
    message = {"role": "assistant", "parts": [media("audio", sound, mime)]}
    return [_finished(inline.referenced(message), "stop")]
