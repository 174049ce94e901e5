"""Messages in and out of a call → the convention's content attributes, as JSON text.

Schemas: https://github.com/open-telemetry/semantic-conventions-genai (input and output
messages, system instructions, tool definitions). Recorded only where the user asked.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from litespan import semconv as s
from litespan.mapping import parts
from litespan.mapping.pruning import pruned
from litespan.mapping.request import Request
from litespan.mapping.values import contents, get

Message = dict[str, Any]

# Finish reasons that the convention has a word for.
_REASONS: Final = {"tool_calls": "tool_call", "tool_use": "tool_call"}
# Arguments that hold the request's text: the first that has any.
_PROMPTS: Final = ("messages", "prompt", "input", "query")
_INSTRUCTIONS: Final = ("instructions", "system")


def input_content(request: Request) -> dict[str, list[Any]]:
    """Input messages, system instructions and tool definitions, where there are any."""
    arguments = request.arguments
    content: dict[str, list[Any]] = {}
    given = (_elements(arguments[name]) for name in _PROMPTS if name in arguments)
    messages = read_messages(next(filter(None, given), ()))
    if messages and request.target.operation.name != "embeddings":
        content[s.INPUT_MESSAGES] = messages
    given = (_elements(arguments[name]) for name in _INSTRUCTIONS if name in arguments)
    instructions = next(filter(None, given), ())
    if instructions:
        content[s.SYSTEM_INSTRUCTIONS] = [parts.read_part(part) for part in instructions]
    if "tools" in arguments:
        tools = [_tool(tool) for tool in _elements(arguments["tools"])]
        if tools:
            content[s.TOOL_DEFINITIONS] = tools
    return content


def _elements(given: Any) -> Sequence[Any]:
    """The elements of what is a list by the API, or may be one; nothing of any other kind.

    An iterator is left alone: LiteLLM reads it, and it can be read only once.
    """
    if given.__class__ is list or isinstance(given, (list, tuple)):
        return given
    single = isinstance(given, (str, Mapping)) or hasattr(given, "__pydantic_fields__")
    return (given,) if given and single and not isinstance(given, type) else ()


def read_messages(given: Any) -> list[Message]:
    """Prompts, chat messages and Responses API items, in order."""
    return [
        {"role": "user", "parts": [parts.text(item)]} if isinstance(item, str) else _item(item)
        for item in _elements(given)
        if not isinstance(item, (bytes, int, float, list))
    ]


def output_content(raw: Any) -> list[Message]:
    """What the model answered, one message a choice."""
    choices = get(raw, "choices")
    if isinstance(choices, Sequence) and choices:
        return [_choice(choice) for choice in choices]
    items = get(raw, "output")
    if isinstance(items, Sequence) and not isinstance(items, str):
        return [_joined(items, "completed")] if items else []
    blocks = get(raw, "content")
    if isinstance(blocks, (list, tuple)):
        return [_finished("assistant", _parts(blocks), get(raw, "stop_reason"))]
    images = get(raw, "data")
    if isinstance(images, Sequence) and images and _is_image(images[0]):
        return [_finished("assistant", [_image(image) for image in images], "stop")]
    text = get(raw, "text")
    if isinstance(text, str):
        return [_finished("assistant", [parts.text(text)], "stop")]
    return []


def _choice(choice: Any) -> Message:
    message = get(choice, "message")
    if message is None:
        said = [parts.text(get(choice, "text") or "")]
        return _finished("assistant", said, get(choice, "finish_reason"))
    read = _item(message)
    return _finished(read["role"], read["parts"], get(choice, "finish_reason"))


def _finished(role: str, read: list[parts.Part], reason: Any) -> Message:
    return {"role": role, "parts": read, "finish_reason": _REASONS.get(reason, str(reason or ""))}


def _joined(items: Iterable[Any], reason: str) -> Message:
    """The items of one Responses API answer as one assistant message."""
    read = [part for item in items for part in _item(item)["parts"]]
    calls = any(part["type"] == "tool_call" for part in read)
    return _finished("assistant", read, "tool_call" if calls else reason)


def _item(item: Any) -> Message:
    stated = contents(item)
    kind = stated.get("type")
    if kind is None:
        return _message(stated)
    if kind == "function_call":
        call = parts.tool_call(stated.get("call_id"), stated.get("name"), stated.get("arguments"))
        return {"role": "assistant", "parts": [call]}
    if kind == "function_call_output":
        answer = parts.tool_response(stated.get("call_id"), stated.get("output"))
        return {"role": "tool", "parts": [answer]}
    if kind == "reasoning":
        summary = _elements(stated.get("summary"))
        thoughts = [parts.reasoning(str(get(part, "text") or "")) for part in summary]
        return {"role": "assistant", "parts": thoughts}
    return _message(stated)


def _message(stated: Mapping[str, Any]) -> Message:
    role = str(stated.get("role") or "user")
    message: Message = {"role": role, "parts": _message_parts(stated, role)}
    name = stated.get("name")
    if isinstance(name, str) and role != "tool":
        message["name"] = name
    return message


def _message_parts(message: Mapping[str, Any], role: str) -> list[parts.Part]:
    content = message.get("content")
    if role in ("tool", "function"):
        identifier = message.get("tool_call_id") or message.get("name")
        return [parts.tool_response(identifier, parts.plain(content))]
    thought = message.get("reasoning_content")
    read = [parts.reasoning(thought)] if thought and isinstance(thought, str) else []
    read += _refusal(message) if content is None else _parts(content)
    calls = message.get("tool_calls")
    for call in _elements(calls) if calls else ():
        function = get(call, "function")
        read.append(
            parts.tool_call(get(call, "id"), get(function, "name"), get(function, "arguments"))
        )
    function = message.get("function_call")
    if function is not None:
        read.append(parts.tool_call(None, get(function, "name"), get(function, "arguments")))
    return read


def _refusal(message: Mapping[str, Any]) -> list[parts.Part]:
    said = message.get("refusal") or get(message.get("provider_specific_fields"), "refusal")
    return [parts.text(said)] if said and isinstance(said, str) else []


def _parts(content: Any) -> list[parts.Part]:
    if isinstance(content, (list, tuple)):
        return [parts.read_part(part) for part in content]
    return [parts.text(content)]


def _is_image(item: Any) -> bool:
    return get(item, "b64_json") is not None or get(item, "url") is not None


def _image(item: Any) -> parts.Part:
    data = get(item, "b64_json")
    if data is None:
        return parts.media("image", get(item, "url"))
    return {"type": "uri", "modality": "image", "uri": parts.digest(data)}


def _tool(tool: Any) -> dict[str, Any]:
    function = get(tool, "function") or tool
    definition: dict[str, Any] = {
        "type": str(get(tool, "type") or "function"),
        "name": str(get(function, "name") or get(tool, "type") or ""),
    }
    if get(function, "description"):
        definition["description"] = str(get(function, "description"))
    parameters = get(function, "parameters") or get(function, "input_schema")
    if parameters:
        definition["parameters"] = pruned(parameters)
    return definition


def encode(value: list[Any], limit: int) -> tuple[str, int]:
    """(JSON text of at most `limit` characters, the length it had, 0 if nothing was cut).

    What is too long is shortened inside: first the long texts, then whole entries, the
    oldest first. The result is always valid JSON.
    """
    written = parts.dumps(value)
    if len(written) <= limit:
        return written, 0
    original = len(written)
    kept = value
    while True:
        for longest in (limit // 2, limit // 8, limit // 32, limit // 128, 16):
            written = parts.dumps(_shortened(kept, longest))
            if len(written) <= limit:
                return written, original
        if not kept:
            return "[]", original
        kept = kept[(len(kept) + 1) // 2 :]


def _shortened(value: Any, longest: int) -> Any:
    if isinstance(value, str):
        return value if len(value) <= longest else f"{value[:longest]}…[{len(value)} characters]"
    if isinstance(value, Mapping):
        return {name: _shortened(inner, longest) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_shortened(inner, longest) for inner in value]
    return value
