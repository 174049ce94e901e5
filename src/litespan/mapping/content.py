"""Converts requests and answers to the convention's content attributes, as JSON text.

Schemas: https://github.com/open-telemetry/semantic-conventions-genai (input and output
messages, system instructions, tool definitions). Recorded only if the user opts in.
"""

from collections.abc import Mapping
from json.encoder import encode_basestring
from typing import Any, Final

from litespan import semconv as s
from litespan.genai import inline
from litespan.genai.parts import Part
from litespan.genai.provider_messages import read as read_message
from litespan.genai.provider_messages import read_parts, read_tools
from litespan.mapping import a2a
from litespan.mapping.request import Request
from litespan.objects import contents, dumps, encoded, get, quoted, utf8

Message = dict[str, Any]

# Arguments that contain the input if there is no `messages`.
_PROMPTS: Final = ("input", "prompt", "query", "contents", "content", "message", "texts")
_INSTRUCTIONS: Final = ("instructions", "system", "systemInstruction", "system_instruction")
_NOT_MESSAGES: Final = frozenset({*_INSTRUCTIONS, "tools", "toolConfig"})
_PLAIN: Final = 2  # number of fields of a message with only a role and a text
_ROLES: Final = frozenset({"system", "developer", "user", "assistant"})
_PLAIN_FIELDS: Final = frozenset({"role", "content"})
# The start of a plain message as JSON, by its role.
_HEADS: Final = {
    role: f'{{"role":"{role}","parts":[{{"type":"text","content":' for role in sorted(_ROLES)
}
_TEXTS: Final = frozenset({str, bytes, bytearray})
_DEPTH: Final = 6  # levels of messages in which text is counted
_SHORTEST_ENTRY: Final = 16  # characters of a message or part as JSON


def input_content(request: Request) -> dict[str, list[Any]]:
    """Return input messages, system instructions and tool definitions, if present."""
    arguments = request.arguments
    content: dict[str, list[Any]] = {}
    items = _items(_request_messages(arguments))
    if items:
        content[s.INPUT_MESSAGES] = [message_of(item) for item in items]
    content.update(_other_input(arguments))
    return content


def input_texts(request: Request) -> dict[str, str]:
    """Return what `input_content` returns, as JSON."""
    arguments = request.arguments
    texts: dict[str, str] = {}
    items = _items(_request_messages(arguments))
    written = [plain_json(item) or encoded(message_of(item)) for item in items]
    if written:
        texts[s.INPUT_MESSAGES] = utf8(f"[{','.join(written)}]")
    for name, value in _other_input(arguments).items():
        texts[name] = dumps(value)
    return texts


def input_size(request: Request) -> int:
    """Return the number of characters and bytes in the input messages and instructions."""
    arguments = request.arguments
    size = _size(_request_messages(arguments), _DEPTH)
    for name in _INSTRUCTIONS:
        if name in arguments:
            size += _size(arguments[name], _DEPTH)
    return size


def _size(value: Any, depth: int) -> int:
    outer = type(value)
    if outer in _TEXTS:
        return len(value)
    size = 0
    for each in value if outer is list or outer is tuple else contents(value).values():
        kind = type(each)
        if kind is dict and "content" in each and type(each["content"]) is str:
            size += len(each["content"])  # most messages
        elif kind is str:
            size += len(each)
        elif depth and kind is not int and kind is not float:
            size += _size(each, depth - 1)
    return size


def copied_texts(request: Request) -> tuple[Request, int] | None:
    """Return (a request with a copy of its messages, their characters) if they are only texts.

    Return None if the input has something else, which is slower to copy.
    """
    arguments = request.arguments
    messages = arguments.get("messages")
    if type(messages) is not list or not _NOT_MESSAGES.isdisjoint(arguments):
        return None
    size = 0
    for message in messages:
        if type(message) is not dict:
            return None
        for value in message.values():
            if type(value) is not str:
                return None
            size += len(value)
    copied = request.without_arguments()
    copied.arguments["messages"] = [message.copy() for message in messages]
    return copied, size


def copied_input(request: Request) -> Request:
    """Return a request with a copy of what `input_content` reads."""
    arguments = request.arguments
    read = [
        *(name for name in (*_PROMPTS, *_INSTRUCTIONS) if arguments.get(name)),
        *("messages", "tools", "toolConfig"),
    ]
    kept = {name: _copied(arguments[name]) for name in read if arguments.get(name) is not None}
    return Request(request.target, kept)


def _copied(given: Any) -> Any:
    if isinstance(given, (list, tuple)):
        return [inline.bounded(contents(item) or item) for item in given]
    return inline.bounded(contents(given) or given)


def _other_input(arguments: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Return system instructions and tool definitions, if present."""
    content: dict[str, list[Any]] = {}
    for name in _INSTRUCTIONS:
        if arguments.get(name):
            content[s.SYSTEM_INSTRUCTIONS] = _instructions(arguments[name])
            break
    tools = arguments.get("tools")
    if not tools and "toolConfig" in arguments:
        tools = get(arguments["toolConfig"], "tools")
    if tools:
        content[s.TOOL_DEFINITIONS] = inline.referenced(read_tools(inline.bounded(tools)))
    return content


def _items(given: Any) -> list[Any]:
    """Return prompts, chat messages or Responses API items, without token ids."""
    if given is None:
        return []
    items = given if isinstance(given, (list, tuple)) else [given]
    return [item for item in items if not isinstance(item, (int, float, list, tuple))]


def _request_messages(arguments: Mapping[str, Any]) -> Any:
    """Return the argument that contains the messages or the input text."""
    messages = arguments.get("messages")
    if messages is not None:
        return messages
    given = [arguments[name] for name in _PROMPTS if arguments.get(name)]
    texts = [value for value in given if isinstance(value, (str, list, tuple))]
    # In the Responses API, `prompt` is an object that references a template.
    return next(iter([*texts, *given]), None) or a2a.message(arguments.get("request"), "user")


def _instructions(instructions: Any) -> list[Part]:
    held = inline.bounded(instructions)
    inner = held.get("parts") if isinstance(held, dict) else None  # Google
    read: list[Part] = inline.referenced(read_parts(held if inner is None else inner))
    return read


def message_of(item: Any) -> Message:
    """Return a provider's message, or another item of the input, in the convention's form."""
    stated = {name: value for name, value in contents(item).items() if value is not None}
    role, text = stated.get("role"), stated.get("content")
    if len(stated) == _PLAIN and type(text) is str and type(role) is str and role in _ROLES:
        return {"role": role, "parts": [{"type": "text", "content": inline.text(text)}]}
    read: Message = inline.referenced(read_message(inline.bounded(stated or item)))
    return read


def plain_json(item: Any) -> str | None:
    """Return `message_of(item)` as JSON if it is only a role and a text, as most messages are."""
    stated = item if type(item) is dict else contents(item)
    role, text = stated.get("role"), stated.get("content")
    if type(text) is not str or type(role) is not str or role not in _HEADS:
        return None
    if len(stated) != _PLAIN:
        for name, value in stated.items():
            if value is not None and name not in _PLAIN_FIELDS:
                return None
    if len(text) < inline.SHORT and "data:" not in text:  # without two calls, as most texts
        return f"{_HEADS[role]}{encode_basestring(text)}}}]}}"
    return f"{_HEADS[role]}{quoted(inline.text(text))}}}]}}"


def encode(value: Any, limit: int) -> tuple[str, int]:
    """Return (JSON of at most `limit` characters, original length or 0 if nothing was cut).

    Long texts are shortened first, then the oldest entries are removed. The result is always
    valid JSON.
    """
    written = dumps(value)
    if len(written) <= limit:
        return written, 0
    original = len(written)
    kept = value[-(limit // _SHORTEST_ENTRY) - 1 :] if isinstance(value, list) else value
    while True:
        for longest in (limit // 2, limit // 8, limit // 32, limit // 128, 16):
            written = dumps(_shortened(kept, longest))
            if len(written) <= limit:
                return written, original
        if not kept:
            return "[]", original
        if isinstance(kept, dict):
            return "{}", original
        kept = kept[(len(kept) + 1) // 2 :]


def _shortened(value: Any, longest: int) -> Any:
    if isinstance(value, str):
        return value if len(value) <= longest else f"{value[:longest]}…[{len(value)} characters]"
    if isinstance(value, Mapping):
        return {name: _shortened(inner, longest) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_shortened(inner, longest) for inner in value]
    return value
