"""Messages in and out of a call → the convention's content attributes, as JSON text.

Schemas: https://github.com/open-telemetry/semantic-conventions-genai (input and output
messages, system instructions, tool definitions). Recorded only where the user asked.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from litespan import semconv as s
from litespan.genai import inline
from litespan.genai.parts import Part, first, media
from litespan.genai.provider_messages import read as read_message
from litespan.genai.provider_messages import read_parts, read_tools
from litespan.mapping.request import Request
from litespan.objects import contents, dumps, get

Message = dict[str, Any]

# Finish reasons that the convention has a word for.
_REASONS: Final = {"tool_calls": "tool_call", "tool_use": "tool_call"}
# Arguments that hold the request's text where there are no messages.
_PROMPTS: Final = ("input", "prompt", "query", "contents", "content", "message", "texts")
_INSTRUCTIONS: Final = ("instructions", "system", "systemInstruction", "system_instruction")
_PLAIN: Final = 2  # fields of a message that is a role and a text, as most are
_SPEAKERS: Final = frozenset({"system", "developer", "user", "assistant"})
# Items of a Responses API answer that wait for the caller to run a tool.
_WAITING: Final = frozenset(
    {
        *("function_call", "custom_tool_call", "computer_call"),
        *("local_shell_call", "apply_patch_call", "mcp_approval_request"),
    }
)
_UNFINISHED: Final = frozenset({"in_progress", "queued"})


def input_content(request: Request) -> dict[str, list[Any]]:
    """Input messages, system instructions and tool definitions, where there are any."""
    arguments = request.arguments
    content: dict[str, list[Any]] = {}
    messages = read_messages(_asked(arguments))
    if messages:
        content[s.INPUT_MESSAGES] = messages
    instructions = next((arguments[name] for name in _INSTRUCTIONS if arguments.get(name)), None)
    if instructions:
        content[s.SYSTEM_INSTRUCTIONS] = _told(instructions)
    tools = arguments.get("tools") or get(arguments.get("toolConfig"), "tools")
    if tools:
        content[s.TOOL_DEFINITIONS] = inline.referenced(read_tools(inline.bounded(tools)))
    return content


def read_messages(given: Any) -> list[Message]:
    """Prompts, chat messages and Responses API items, in order; token numbers are left out."""
    if given is None:
        return []
    items = given if isinstance(given, (list, tuple)) else [given]
    return [_message(item) for item in items if not isinstance(item, (int, float, list, tuple))]


def output_content(raw: Any) -> list[Message]:
    """What the model answered, one message a choice."""
    stated = contents(raw)
    choices = stated.get("choices", stated.get("candidates")) or get(raw, "choices")
    if isinstance(choices, (list, tuple)) and choices:
        return [_choice(choice) for choice in choices]
    output = stated.get("output")
    if isinstance(output, (list, tuple)):
        return [_joined(output, stated)] if output else []
    message, reason = _only(stated)
    return [_finished(_message(message), reason)] if message else _spoken(stated.get("response"))


def _only(stated: Mapping[str, Any]) -> tuple[Any, Any]:
    """The message of an API that gives one answer, and why it ended; (None, None) if none."""
    message = get(stated.get("output"), "message") or stated.get("message")
    if isinstance(message, Mapping):  # Bedrock's and Cohere's
        return message, first(stated, "stopReason", "finish_reason")
    blocks, images, text = stated.get("content"), stated.get("data"), stated.get("text")
    if isinstance(blocks, (list, tuple)):
        return {"role": "assistant", "content": blocks}, stated.get("stop_reason")
    if isinstance(images, (list, tuple)) and images and _is_image(images[0]):
        shown = [{"type": "image", **contents(image)} for image in images]
        return {"role": "assistant", "content": shown}, "stop"
    return ({"role": "assistant", "content": text}, "stop") if isinstance(text, str) else (None, "")


def _asked(arguments: Mapping[str, Any]) -> Any:
    """The argument that holds the request's messages or text."""
    messages = arguments.get("messages")
    if messages is not None:
        return messages
    given = [arguments[name] for name in _PROMPTS if arguments.get(name)]
    texts = [value for value in given if isinstance(value, (str, list, tuple))]
    # The Responses API's `prompt` is an object that names a template.
    return next(iter([*texts, *given]), None)


def _told(instructions: Any) -> list[Part]:
    held = inline.bounded(instructions)
    inner = held.get("parts") if isinstance(held, dict) else None  # Google's
    read: list[Part] = inline.referenced(read_parts(held if inner is None else inner))
    return read


def _message(item: Any) -> Message:
    stated = {name: value for name, value in contents(item).items() if value is not None}
    role, said = stated.get("role"), stated.get("content")
    if len(stated) == _PLAIN and type(said) is str and type(role) is str and role in _SPEAKERS:
        return {"role": role, "parts": [{"type": "text", "content": inline.text(said)}]}
    read: Message = inline.referenced(read_message(inline.bounded(stated or item)))
    return read


def _choice(choice: Any) -> Message:
    message = get(choice, "message") or get(choice, "content")
    if message is None or isinstance(message, str):
        message = {"content": message or get(choice, "text") or ""}
    read = _message(message)
    if not contents(message).get("role"):
        read["role"] = "assistant"
    return _finished(read, get(choice, "finish_reason") or get(choice, "finishReason"))


def _finished(message: Message, reason: Any) -> Message:
    said = str(reason or "")
    return {**message, "finish_reason": _REASONS.get(said, said)}


def _joined(items: Sequence[Any], response: Mapping[str, Any]) -> Message:
    """The items of one Responses API answer as one assistant message."""
    read = [part for item in items for part in _message(item)["parts"]]
    reason = get(response.get("incomplete_details"), "reason") or response.get("status")
    if any(str(get(item, "type")) in _WAITING for item in items):
        reason = "tool_call"
    said = {"role": "assistant", "parts": read}
    return _finished(said, "" if str(reason) in _UNFINISHED else reason or "completed")


def _is_image(item: Any) -> bool:
    return get(item, "b64_json") is not None or get(item, "url") is not None


def _spoken(response: Any) -> list[Message]:
    """Speech: the sound is the whole HTTP answer, which may still be on its way."""
    sound = getattr(response, "_content", None)
    if not isinstance(sound, bytes):
        return []
    mime = str(response.headers.get("content-type") or "").partition(";")[0]
    said = {"role": "assistant", "parts": [media("audio", sound, mime)]}
    return [_finished(inline.referenced(said), "stop")]


def encode(value: list[Any], limit: int) -> tuple[str, int]:
    """(JSON text of at most `limit` characters, the length it had, 0 if nothing was cut).

    What is too long is shortened inside: first the long texts, then whole entries, the
    oldest first. The result is always valid JSON.
    """
    written = dumps(value)
    if len(written) <= limit:
        return written, 0
    original = len(written)
    kept = value
    while True:
        for longest in (limit // 2, limit // 8, limit // 32, limit // 128, 16):
            written = dumps(_shortened(kept, longest))
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
