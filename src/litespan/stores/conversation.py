"""The messages of a recorded call as plain text in labeled parts, to show them anywhere. Pure.

The parts are those of the GenAI conventions; whatever is not one is shown as JSON:
https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans/
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

Kind = Literal["text", "reasoning", "tool_call", "tool_result", "media", "other"]

_MEDIA: Final = ("uri", "blob", "file")


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a message.

    Attributes:
        kind: what it is.
        text: its text, or JSON.
        title: of a tool call or result its tool, of media their type; else empty.
        id: of a tool call and its result.
    """

    kind: Kind
    text: str
    title: str = ""
    id: str = ""


@dataclass(frozen=True, slots=True)
class Message:
    """One message: its role, its parts, and why the model stopped after it."""

    role: str
    parts: tuple[Part, ...]
    finish_reason: str = ""
    is_output: bool = False


def conversation(record: Mapping[str, Any]) -> list[Message]:
    """The instructions, the input and the output of a record, in that order."""
    instructions = [_part(part) for part in _items(record["system_instructions"])]
    messages = [Message("system", tuple(instructions))] if instructions else []
    messages += [_message(item) for item in _items(record["input_messages"])]
    return messages + [_message(item, is_output=True) for item in _items(record["output_messages"])]


def pretty(value: Any) -> str:
    """Text as it is, anything else as indented JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2)


def _items(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _message(item: Any, *, is_output: bool = False) -> Message:
    if not isinstance(item, Mapping):
        return Message("unknown", (Part("other", pretty(item)),), is_output=is_output)
    parts = tuple(_part(part) for part in _items(item.get("parts", item.get("content"))))
    reason = str(item.get("finish_reason") or "")
    return Message(str(item.get("role") or "unknown"), parts, reason, is_output)


def _part(part: Any) -> Part:
    if not isinstance(part, Mapping):
        return Part("text" if isinstance(part, str) else "other", pretty(part))
    kind, identifier = part.get("type"), str(part.get("id") or "")
    if kind in ("text", "reasoning"):
        return Part("reasoning" if kind == "reasoning" else "text", pretty(part.get("content", "")))
    if kind == "tool_call":
        given = part.get("arguments")
        text = "" if given is None else pretty(given)
        return Part("tool_call", text, str(part.get("name") or ""), identifier)
    if kind == "tool_call_response":
        response = part.get("response", part.get("result", ""))
        return Part("tool_result", pretty(response), str(part.get("name") or ""), identifier)
    if kind in _MEDIA:
        title = str(part.get("mime_type") or part.get("modality") or "file")
        return Part("media", pretty(part.get("uri") or part.get("file_id") or "inline"), title)
    return Part("other", pretty(dict(part)))
