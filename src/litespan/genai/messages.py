"""Messages in the GenAI conventions' parts schema, as frozen records.

Schema: https://github.com/open-telemetry/semantic-conventions-genai (gen-ai-input-messages,
gen-ai-output-messages, gen-ai-system-instructions, gen-ai-tool-definitions).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeVar

from litespan.genai import provider_messages
from litespan.genai.names import FINISH_REASONS
from litespan.genai.values import parse
from litespan.objects import JSON

T = TypeVar("T")

_PART_TEXTS: Final = ("content", "id", "name", "modality", "mime_type", "uri", "file_id")
_PART_FIELDS: Final = frozenset({*_PART_TEXTS, "type", "arguments", "response"})


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a message; `type` decides which other fields are set."""

    type: str
    """text, reasoning, tool_call, tool_call_response, blob, file, uri, …"""
    content: str | None = None  # of text and reasoning; base64 of a blob
    id: str | None = None  # of a tool call; in a response, of its call
    name: str | None = None  # of the called tool
    arguments: JSON = None  # of a tool call, parsed
    response: JSON = None  # of a tool call
    modality: str | None = None  # image, audio, video
    mime_type: str | None = None
    uri: str | None = None
    file_id: str | None = None
    extra: Mapping[str, JSON] = field(default_factory=dict)  # fields that the schema does not have

    @property
    def input(self) -> dict[str, JSON]:
        """A tool call's arguments as an object.

        Missing arguments and empty text become an empty object. Anything else that is not an
        object, such as truncated text, becomes `{"value": …}`.
        """
        if isinstance(self.arguments, dict):
            return self.arguments
        empty = self.arguments is None or self.arguments == ""
        return {} if empty else {"value": self.arguments}

    def to_json(self) -> dict[str, JSON]:
        """The part as JSON of the conventions."""
        known: dict[str, JSON] = {
            "type": self.type,
            **{name: getattr(self, name) for name in _PART_TEXTS},
            "arguments": self.arguments,
            "response": self.response,
        }
        return {**{key: item for key, item in known.items() if item is not None}, **self.extra}


@dataclass(frozen=True, slots=True)
class Message:
    """One message: a role and its parts."""

    role: str  # system, user, assistant, tool
    parts: tuple[Part, ...]
    name: str | None = None
    finish_reason: str | None = None  # of an output: stop, length, tool_call, …

    @property
    def text(self) -> str:
        """The text parts, joined by newlines."""
        return "\n".join(p.content for p in self.parts if p.type == "text" and p.content)

    @property
    def reasoning(self) -> str:
        """The reasoning parts, joined by newlines."""
        return "\n".join(p.content for p in self.parts if p.type == "reasoning" and p.content)

    @property
    def tool_calls(self) -> tuple[Part, ...]:
        """The parts that call a tool: `id`, `name`, `arguments`."""
        return tuple([p for p in self.parts if p.type == "tool_call"])

    @property
    def tool_responses(self) -> tuple[Part, ...]:
        """The parts with tool results: `id`, `response`."""
        return tuple([p for p in self.parts if p.type == "tool_call_response"])

    def finished(self, reason: str) -> "Message":
        """This message with the provider's finish reason, unless it has one."""
        if self.finish_reason is not None:
            return self
        return replace(self, finish_reason=FINISH_REASONS.get(reason, reason))

    def to_json(self) -> dict[str, JSON]:
        """The message as JSON of the conventions."""
        message: dict[str, JSON] = {"role": self.role, "parts": [p.to_json() for p in self.parts]}
        if self.name is not None:
            message["name"] = self.name
        if self.finish_reason is not None:
            message["finish_reason"] = self.finish_reason
        return message


@dataclass(frozen=True, slots=True)
class ToolDefinition:
    """A tool that the model may call."""

    type: str  # function
    name: str
    description: str | None
    parameters: JSON  # JSON schema

    def to_json(self) -> dict[str, JSON]:
        """The definition as JSON of the conventions."""
        definition: dict[str, JSON] = {"type": self.type, "name": self.name}
        if self.description is not None:
            definition["description"] = self.description
        if self.parameters is not None:
            definition["parameters"] = self.parameters
        return definition


def read_messages(value: object) -> tuple[Message, ...] | None:
    """Read messages from JSON text or a structured value, in the format of any API.

    Returns None if `value` is no list of messages. Invalid messages are left out.
    """
    parsed = parse(value)
    if isinstance(parsed, dict):
        parsed = [parsed]
    return _each(_message, parsed) if isinstance(parsed, list) else None


def read_parts(value: object) -> tuple[Part, ...] | None:
    """Read parts (system instructions) from JSON text, a structured value or plain text."""
    parsed = parse(value)
    if parsed is None:
        return (Part("text", value),) if isinstance(value, str) and value else None
    items = parsed if isinstance(parsed, list) else [parsed]
    valid = [item for item in items if isinstance(item, str | dict)]
    read = _each(provider_messages.read_parts, valid)
    return tuple([_part(part) for found in read for part in found])


def read_tools(value: object) -> tuple[ToolDefinition, ...] | None:
    """Read tool definitions from JSON text or a structured value, in the format of any API."""
    parsed = parse(value)
    if not isinstance(parsed, list):
        return None
    read = _each(provider_messages.read_tools, [item for item in parsed if isinstance(item, dict)])
    defaults = {"description": None, "parameters": None}
    return tuple([ToolDefinition(**{**defaults, **tool}) for found in read for tool in found])


def _each(read: Callable[[Any], T | None], items: Sequence[JSON]) -> tuple[T, ...]:
    """Apply `read` to each item; skip those nested too deeply for Python."""
    found: list[T] = []
    for item in items:
        try:
            result = read(item)
        except RecursionError:
            continue
        if result is not None:
            found.append(result)
    return tuple(found)


def _message(value: JSON) -> Message | None:
    if not isinstance(value, dict):
        return None
    read = provider_messages.read(value)
    parts = tuple([_part(part) for part in read["parts"]])
    return Message(read["role"], parts, read.get("name"), read.get("finish_reason"))


def _part(fields: dict[str, Any]) -> Part:
    if len(fields) == 2 and "content" in fields:  # a text, as most parts are
        return Part(fields["type"], _text(fields, "content"))
    return Part(
        fields["type"],
        **{name: _text(fields, name) for name in _PART_TEXTS},
        arguments=fields.get("arguments"),
        response=fields.get("response"),
        extra={name: item for name, item in fields.items() if name not in _PART_FIELDS},
    )


def _text(value: dict[str, Any], key: str) -> str | None:
    item = value.get(key)
    return item if isinstance(item, str) and item else None
