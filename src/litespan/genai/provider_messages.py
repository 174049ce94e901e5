"""One message, in the shape of any provider's API → the form of the GenAI conventions.

Schema: https://github.com/open-telemetry/semantic-conventions-genai (gen-ai-input-messages,
gen-ai-output-messages, gen-ai-tool-definitions).
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from litespan.genai import parts
from litespan.genai.parts import Part, first
from litespan.objects import contents

Message = dict[str, Any]

_ROLES: Final = {"model": "assistant", "ai": "assistant", "human": "user", "function": "tool"}
"""Roles of Google and LangChain, and of OpenAI's first tools."""

_SCHEMAS: Final = (
    *("parameters", "input_schema", "inputSchema", "parameters_json_schema"),
    "parametersJsonSchema",
)
_DECLARED: Final = ("functionDeclarations", "function_declarations")  # Google's


def read(given: Any) -> Message:
    """One message: a role and its parts, with `name` and `finish_reason` if it has them."""
    if isinstance(given, (str, bytes, bytearray)):
        return {"role": "user", "parts": parts.read(given)}
    fields = contents(given)
    if isinstance(kwargs := fields.get("kwargs"), Mapping):  # LangChain's
        fields = {"role": kwargs.get("type"), **kwargs}
    kind, role = fields.get("type"), fields.get("role")
    if isinstance(kind, str) and kind != "message" and not isinstance(role, str):
        return {"role": _whose(kind), "parts": parts.read(fields)}
    role = role if isinstance(role, str) and role else "user"
    role = _ROLES.get(role, role)
    message: Message = {"role": role, "parts": [*_parts(fields, role)]}
    for name in ("name", "finish_reason"):
        if isinstance(stated := fields.get(name), str) and stated and role != "tool":
            message[name] = stated
    return message


def read_parts(content: Any) -> list[Part]:
    """The parts of a message's content: a text, one part, or a list of them."""
    items = content if isinstance(content, (list, tuple)) else [content]
    return [part for item in items if item is not None for part in parts.read(item)]


def read_tools(given: Any) -> list[dict[str, Any]]:
    """The tools that a model was offered, whatever API they are written for."""
    tools = given if isinstance(given, (list, tuple)) else [given]
    return [read for tool in tools for read in _tools(contents(tool))]


def _whose(kind: str) -> str:
    """The role of an item of the Responses API that states none."""
    if kind.endswith(("_output", "_response")):
        return "tool"
    known = kind.endswith(("_call", "_request", "_tools")) or kind in ("reasoning", "compaction")
    return "assistant" if known else "user"


def _parts(fields: Mapping[str, Any], role: str) -> Iterator[Part]:
    """The parts of a message of any chat API, or of one that has the conventions' form."""
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
        yield from _answers(fields, content)
    elif content:
        yield from read_parts(content)
    extra = contents(fields.get("provider_specific_fields"))
    refusal = fields.get("refusal") or (None if content else extra.get("refusal"))
    if isinstance(refusal, str) and refusal:
        yield parts.text(refusal)
    yield from _sound(contents(fields.get("audio")))
    images = fields.get("images")
    for image in images if isinstance(images, (list, tuple)) else ():
        yield from [parts.media("image", image)] if isinstance(image, str) else parts.read(image)
    yield from _calls(fields)
    for name in ("web_search_results", "tool_results"):  # of tools that Anthropic has run
        if isinstance(results := extra.get(name), (list, tuple)):
            yield from read_parts(results)


def _answers(fields: Mapping[str, Any], content: Any) -> Iterator[Part]:
    found = read_parts(content) if isinstance(content, (list, tuple)) else []
    if any(part["type"] == "tool_call_response" for part in found):  # Vercel's AI SDK
        yield from found
    else:
        identifier = first(fields, "tool_call_id", "call_id", "name")
        yield parts.tool_response(identifier, "" if content is None else content)


def _sound(audio: Mapping[str, Any]) -> Iterator[Part]:
    """A spoken answer: what was said, and the sound, or the id of one that was said before."""
    if isinstance(said := audio.get("transcript"), str) and said:
        yield parts.text(said)
    if audio.get("data"):
        yield parts.media("audio", audio["data"])
    elif audio.get("id") and not said:
        yield {"type": "file", "modality": "audio", "file_id": str(audio["id"])}


def _calls(fields: Mapping[str, Any]) -> Iterator[Part]:
    calls = fields.get("tool_calls") or [fields.get("function_call")]  # as it was called once
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
    if isinstance(said := named.get("description"), str) and said:
        definition["description"] = said
    schema = first(named, *_SCHEMAS)
    if schema:
        inner = contents(schema).get("json")  # Bedrock's
        definition["parameters"] = parts.loads(schema if inner is None else inner)
    yield definition
