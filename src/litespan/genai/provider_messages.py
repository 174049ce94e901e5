"""Converts messages of any provider's API to the form of the GenAI conventions.

Schema: https://github.com/open-telemetry/semantic-conventions-genai (gen-ai-input-messages,
gen-ai-output-messages, gen-ai-tool-definitions).
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from litespan.genai import parts
from litespan.genai.parts import Part
from litespan.objects import contents, first, safe_str

Message = dict[str, Any]

_ROLES: Final = {
    **dict.fromkeys(("model", "ai", "AIMessageChunk"), "assistant"),
    "human": "user",
    "function": "tool",
}
"""Roles of Google and LangChain, and of OpenAI's legacy functions."""

_SCHEMAS: Final = (
    *("parameters", "input_schema", "inputSchema", "parameters_json_schema"),
    "parametersJsonSchema",
)
_DECLARED: Final = ("functionDeclarations", "function_declarations")  # Google


def read(given: Any) -> Message:
    """Convert one message: role and parts, and `name` and `finish_reason` if set."""
    if isinstance(given, (str, bytes, bytearray)):
        return {"role": "user", "parts": parts.read(given)}
    fields = contents(given)
    if isinstance(kwargs := fields.get("kwargs"), Mapping):  # LangChain
        fields = {"role": kwargs.get("type"), **kwargs}
    kind, role = fields.get("type"), fields.get("role")
    if isinstance(kind, str) and kind != "message" and not isinstance(role, str):
        return {"role": _default_role(kind), "parts": parts.read(fields)}
    role = role if isinstance(role, str) and role else "user"
    role = _ROLES.get(role, role)
    message: Message = {"role": role, "parts": [*_parts(fields, role)]}
    for name in ("name", "finish_reason"):
        if isinstance(stated := fields.get(name), str) and stated and role != "tool":
            message[name] = stated
    return message


def read_parts(content: Any) -> list[Part]:
    """Convert content: a text, one part, or a list of parts."""
    items = content if isinstance(content, (list, tuple)) else [content]
    return [part for item in items if item is not None for part in parts.read(item)]


def read_tools(given: Any) -> list[dict[str, Any]]:
    """Convert tool definitions of any API."""
    tools = given if isinstance(given, (list, tuple)) else [given]
    return [read for tool in tools for read in _tools(contents(tool))]


def _default_role(kind: str) -> str:
    """The role of an item of the Responses API without a role."""
    if kind.endswith(("_output", "_response")):
        return "tool"
    known = kind.endswith(("_call", "_request", "_tools")) or kind in ("reasoning", "compaction")
    return "assistant" if known else "user"


def _parts(fields: Mapping[str, Any], role: str) -> Iterator[Part]:
    """The parts of a message of any chat API, or in the form of the conventions."""
    if isinstance(fields.get("parts"), (list, tuple, str)):
        yield from read_parts(fields["parts"])
        return
    thought = first(fields, "reasoning_content", "reasoning")
    if isinstance(thought, str):
        yield parts.reasoning(thought)
    elif isinstance(blocks := fields.get("thinking_blocks"), (list, tuple)):
        yield from read_parts(blocks)
    content = first(fields, "content", "text")
    if role == "tool":
        yield from _tool_results(fields, content)
    elif content:
        yield from read_parts(content)
    extra = contents(fields.get("provider_specific_fields"))
    refusal = fields.get("refusal") or (None if content else extra.get("refusal"))
    if isinstance(refusal, str) and refusal:
        yield parts.text(refusal)
    yield from _audio(contents(fields.get("audio")))
    images = fields.get("images")
    for image in images if isinstance(images, (list, tuple)) else ():
        yield from [parts.media("image", image)] if isinstance(image, str) else parts.read(image)
    yield from _calls(fields)
    for name in ("web_search_results", "tool_results"):  # of tools that Anthropic ran
        if isinstance(results := extra.get(name), (list, tuple)):
            yield from read_parts(results)


def _tool_results(fields: Mapping[str, Any], content: Any) -> Iterator[Part]:
    found = read_parts(content) if isinstance(content, (list, tuple)) else []
    if any(part["type"] == "tool_call_response" for part in found):  # Vercel's AI SDK
        yield from found
    else:
        identifier = first(fields, "tool_call_id", "call_id", "name")
        yield parts.tool_response(identifier, "" if content is None else content)


def _audio(audio: Mapping[str, Any]) -> Iterator[Part]:
    """An audio response: transcript and data, or the id of an earlier one."""
    if isinstance(transcript := audio.get("transcript"), str) and transcript:
        yield parts.text(transcript)
    if audio.get("data"):
        yield parts.media("audio", audio["data"])
    elif audio.get("id") and not transcript:
        yield {"type": "file", "modality": "audio", "file_id": safe_str(audio["id"])}


def _calls(fields: Mapping[str, Any]) -> Iterator[Part]:
    calls = fields.get("tool_calls") or [fields.get("function_call")]  # legacy name
    for call in calls if isinstance(calls, (list, tuple)) else ():
        if stated := contents(call):
            yield from parts.read({**stated, "type": "function"})


def _tools(tool: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    declared = first(tool, *_DECLARED)
    if isinstance(declared, (list, tuple)):
        yield from read_tools(declared)
        return
    named = contents(first(tool, "function", "custom", "toolSpec")) or tool
    kind = tool.get("type")
    kind = kind if isinstance(kind, str) and kind else "function"
    name = first(named, "name", "server_label") or tool.get("type")
    if not isinstance(name, str):
        return
    definition: dict[str, Any] = {"type": kind, "name": name}
    if isinstance(text := named.get("description"), str) and text:
        definition["description"] = text
    schema = first(named, *_SCHEMAS)
    if schema:
        inner = contents(schema).get("json")  # Bedrock
        definition["parameters"] = parts.loads(schema if inner is None else inner)
    yield definition
