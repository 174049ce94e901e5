"""Messages in the GenAI conventions' parts schema, as frozen records.

Schema: https://github.com/open-telemetry/semantic-conventions-genai (gen-ai-input-messages,
gen-ai-output-messages, gen-ai-system-instructions, gen-ai-tool-definitions).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from litespan.genai.provider_parts import ITEMS, ROLES, standard
from litespan.genai.values import JSON, parse

_STANDARD: Final = frozenset(
    {"text", "tool_call", "tool_call_response", "blob", "uri", "image_url", "input_text"}
)
_SCHEMAS: Final = ("parameters", "input_schema", "inputSchema", "parameters_json_schema")
_PART_TEXTS: Final = ("content", "id", "name", "modality", "mime_type", "uri", "file_id")


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a message; `type` says which of the other fields mean something."""

    type: str
    """text, reasoning, tool_call, tool_call_response, blob, file, uri, …"""
    content: str | None = None  # of text and reasoning; base64 of a blob
    id: str | None = None  # of a tool call, or of the call that a response answers
    name: str | None = None  # of the called tool
    arguments: JSON = None  # of a tool call, parsed
    response: JSON = None  # of a tool
    modality: str | None = None  # image, audio, video
    mime_type: str | None = None
    uri: str | None = None
    file_id: str | None = None
    extra: Mapping[str, JSON] = field(default_factory=dict)  # what the schema does not name

    @property
    def input(self) -> dict[str, JSON]:
        """A tool call's arguments as an object.

        No arguments, which some providers state as empty text, are an empty object. Anything else
        that is not an object, such as text that was cut, is its `value`.
        """
        if isinstance(self.arguments, dict):
            return self.arguments
        empty = self.arguments is None or self.arguments == ""
        return {} if empty else {"value": self.arguments}

    def to_json(self) -> dict[str, JSON]:
        """The part in the convention's JSON form."""
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
        """The parts that answer a tool call: `id`, `response`."""
        return tuple([p for p in self.parts if p.type == "tool_call_response"])

    def to_json(self) -> dict[str, JSON]:
        """The message in the convention's JSON form."""
        message: dict[str, JSON] = {"role": self.role, "parts": [p.to_json() for p in self.parts]}
        if self.name is not None:
            message["name"] = self.name
        if self.finish_reason is not None:
            message["finish_reason"] = self.finish_reason
        return message


@dataclass(frozen=True, slots=True)
class ToolDefinition:
    """A tool that the model was offered."""

    type: str  # function
    name: str
    description: str | None
    parameters: JSON  # JSON schema

    def to_json(self) -> dict[str, JSON]:
        """The definition in the convention's JSON form."""
        definition: dict[str, JSON] = {"type": self.type, "name": self.name}
        if self.description is not None:
            definition["description"] = self.description
        if self.parameters is not None:
            definition["parameters"] = self.parameters
        return definition


def read_messages(value: object) -> tuple[Message, ...] | None:
    """Messages from a JSON string or a structured value, in parts or OpenAI's shape.

    None when `value` holds no list of messages. What cannot be understood is left out.
    """
    parsed = parse(value)
    if isinstance(parsed, dict):
        parsed = [parsed]
    if not isinstance(parsed, list):
        return None
    return tuple([message for message in map(_message, parsed) if message is not None])


def read_parts(value: object) -> tuple[Part, ...] | None:
    """Parts (system instructions) from a JSON string or structured value, or plain text."""
    parsed = parse(value)
    if parsed is None:
        return (Part("text", value),) if isinstance(value, str) and value else None
    return tuple(_parts(parsed))


def read_tools(value: object) -> tuple[ToolDefinition, ...] | None:
    """Tool definitions from a JSON string or structured value, flat or in OpenAI's nesting."""
    parsed = parse(value)
    if not isinstance(parsed, list):
        return None
    return tuple([tool for tool in map(_tool, parsed) if tool is not None])


def _message(value: JSON) -> Message | None:
    if not isinstance(value, dict):
        return None
    if isinstance(kwargs := value.get("kwargs"), dict):  # LangChain's
        value = {"role": kwargs.get("type"), **kwargs}
    kind = _text(value, "type") or ""
    role = _text(value, "role") or ITEMS.get(kind) or "user"
    role = ROLES.get(role, role)
    if kind in ITEMS and "role" not in value:
        parts = [_part(value)]
    elif "parts" in value:
        parts = list(_parts(value["parts"]))
    else:
        parts = list(_openai_parts(value, role))
    return Message(role, tuple(parts), _text(value, "name"), _text(value, "finish_reason"))


def _parts(value: JSON) -> Iterator[Part]:
    if isinstance(value, str):
        yield Part("text", value)
    elif isinstance(value, dict):
        yield _part(value)
    elif isinstance(value, list):  # one level: rubbish can nest without end
        for item in value:
            if isinstance(item, str | dict):
                yield from _parts(item)


def _part(value: dict[str, JSON]) -> Part:
    kind = _text(value, "type") or "text"
    if len(value) == 2 and kind == "text" and (content := _text(value, "content")):
        return Part("text", content)  # most parts are that, and nothing else
    if kind not in _STANDARD or "type" not in value:
        value = standard(value)
        kind = _text(value, "type") or "text"
    if kind in ("image_url", "input_image"):
        image = value.get("image_url")
        uri = _text(image, "url") if isinstance(image, dict) else _text(value, "image_url")
        return Part("uri", modality="image", uri=uri)
    known = {name: _text(value, name) for name in _PART_TEXTS}
    if known["content"] is None:  # OpenAI and Anthropic say `text`
        known["content"] = _text(value, "text")
    response = value.get("response", value.get("result"))  # older examples say `result`
    named = {*_PART_TEXTS, "type", "text", "arguments", "response", "result"}
    return Part(
        "text" if kind in ("input_text", "output_text") else kind,
        **known,
        arguments=_arguments(value.get("arguments")),
        response=response,
        extra={key: item for key, item in value.items() if key not in named},
    )


def _openai_parts(value: dict[str, JSON], role: str) -> Iterator[Part]:
    """The parts of `{role, content, refusal, tool_calls, tool_call_id, reasoning_content}`."""
    if reasoning := _text(value, "reasoning_content"):
        yield Part("reasoning", reasoning)
    content = value.get("content", value.get("text"))
    if role == "tool" and not _answers(content):
        yield Part("tool_call_response", id=_text(value, "tool_call_id"), response=content)
    elif content:
        yield from _parts(content)
    if refusal := _text(value, "refusal"):
        yield Part("text", refusal)
    calls = value.get("tool_calls") or [value.get("function_call")]  # as it was called once
    for call in calls if isinstance(calls, list) else ():
        if isinstance(call, dict):
            function = call.get("function")
            named = function if isinstance(function, dict) else call
            yield Part(
                "tool_call",
                id=_text(call, "id"),
                name=_text(named, "name"),
                arguments=_arguments(named.get("arguments", named.get("args"))),
            )


def _answers(content: JSON) -> bool:
    """Is it a list that holds whole answers of tools, as Vercel's AI SDK has it?"""
    items = content if isinstance(content, list) else ()
    return any(isinstance(item, dict) and "toolCallId" in item for item in items)


def _arguments(value: JSON) -> JSON:
    parsed = parse(value) if isinstance(value, str) else value
    return value if parsed is None else parsed


def _tool(value: JSON) -> ToolDefinition | None:
    if not isinstance(value, dict):
        return None
    function = value.get("function")
    named = function if isinstance(function, dict) else value
    name = _text(named, "name")
    if name is None:
        return None
    parameters = next((named[key] for key in _SCHEMAS if key in named), None)
    kind = _text(value, "type") or "function"
    return ToolDefinition(kind, name, _text(named, "description"), _arguments(parameters))


def _text(value: JSON, key: str) -> str | None:
    item = value.get(key) if isinstance(value, dict) else None
    return item if isinstance(item, str) and item else None
