"""Converts message parts of any provider's API to parts of the GenAI conventions.

OpenAI's chat and Responses APIs, Anthropic's Messages, Google's contents, Bedrock's Converse,
MCP's tool results and Vercel's AI SDK:
https://platform.openai.com/docs/api-reference, https://docs.anthropic.com/en/api/messages,
https://ai.google.dev/api/caching#Part,
https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ContentBlock.html,
https://modelcontextprotocol.io/specification/2025-06-18/server/tools#tool-result,
https://ai-sdk.dev/docs/reference/ai-sdk-core/model-message

Inline bytes stay in `blob` parts; `inline.referenced` replaces them.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from litespan.genai import names as n
from litespan.genai.inline import bounded, referenced
from litespan.objects import contents, dumps, first, parsed, safe_str

Part = dict[str, Any]
Fields = Mapping[str, Any]


def read(part: Any) -> list[Part]:
    """Convert one element of a message's content; it usually becomes one part."""
    if isinstance(part, str):
        return [text(part)]
    if isinstance(part, (bytes, bytearray)):
        return [media(None, part)]
    fields = contents(part)
    kind = fields.get("type")
    if isinstance(kind, str):
        return _reader(kind)(kind, fields)
    return _untyped(fields) if fields else [text(part)]


def text(content: Any) -> Part:
    """A text part."""
    content = content if isinstance(content, str) else dumps(referenced(content))
    return {"type": "text", "content": content}


def reasoning(content: str) -> Part:
    """A reasoning part."""
    return {"type": "reasoning", "content": content}


def tool_call(identifier: Any, name: Any, arguments: Any) -> Part:
    """A tool call; `arguments` given as JSON text of an object are parsed."""
    part: Part = {"type": "tool_call", "name": safe_str(name or ""), "arguments": loads(arguments)}
    return {**part, "id": safe_str(identifier)} if identifier else part


def tool_response(identifier: Any, response: Any, name: Any = None) -> Part:
    """A tool result."""
    part: Part = {"type": "tool_call_response", "response": tool_result(response)}
    if identifier:
        part["id"] = safe_str(identifier)
    return {**part, "name": name} if name else part


def media(modality: str | None, data: Any, mime: Any = None) -> Part:
    """An image, audio, video or file: a `uri` part, or a `blob` part with its bytes.

    Args:
        modality: `image`, `audio` or `video`; None for others, or if `mime` decides.
        data: a URL, a data URL, base64 text or bytes.
        mime: its MIME type, if known.
    """
    if isinstance(data, str) and data.startswith("data:"):
        head, _, data = data.partition(",")
        mime = head[5:].partition(";")[0] or mime
    elif isinstance(data, str) and "://" in data[:32]:
        return _of_type({"type": "uri", "uri": data}, modality, mime)
    return _of_type({"type": "blob", "content": data}, modality, mime)


def tool_result(value: Any) -> Any:
    """A tool result: text as one string, other parts in the form of the conventions."""
    if isinstance(value, (list, tuple)):
        if not all(isinstance(item, str) or _is_content(contents(item)) for item in value):
            return value
        found = [part for item in value for part in read(item)]
        if all(part["type"] == "text" for part in found):
            return "".join(part["content"] for part in found)
        return found
    fields = contents(value)
    if set(fields) == {"type", "value"}:  # Vercel
        return tool_result(fields["value"])
    return read(value) if fields.get("type") in n.MEDIA else value


def loads(value: Any) -> Any:
    """Parse JSON text of an object, bounded; anything else is returned unchanged."""
    if not isinstance(value, str) or not value.lstrip().startswith("{"):
        return value
    found = parsed(value)
    return value if found is None else bounded(found)


def _is_content(fields: Fields) -> bool:
    """Whether this is a content part, not data of a tool."""
    kind = fields.get("type")
    if kind is None:  # Bedrock
        return len(fields) == 1 and next(iter(fields)) in n.UNTYPED
    return kind in n.TEXTS or kind in n.MEDIA


def _named_generic(_kind: str, fields: Fields) -> list[Part]:
    """A `generic` part of the conventions v0.1.0: a part of the type in `generic_type`."""
    kind = fields.get("generic_type")
    rest = {name: value for name, value in fields.items() if name not in ("type", "generic_type")}
    if not isinstance(kind, str) or kind == "generic":
        return _generic("generic", fields)
    return _reader(kind)(kind, {"type": kind, **rest})


def _unchanged(kind: str, fields: Fields) -> list[Part]:
    """A part in the form of any version of the conventions."""
    part = {name: value for name, value in fields.items() if value is not None}
    if kind == "tool_call":
        part["arguments"] = loads(part.get("arguments"))
    elif kind == "tool_call_response" and "result" in part:
        part.setdefault("response", part.pop("result"))
    return [part]


def _reasoning_parts(_kind: str, fields: Fields) -> list[Part]:
    content = first(fields, "thinking", "text", "content")
    if isinstance(content, str):
        return [reasoning(content)]
    lists = [each for each in (content, fields.get("summary")) if isinstance(each, (list, tuple))]
    texts = [first(contents(item), "text", "content") for items in lists for item in items]
    return [reasoning(each) for each in texts if isinstance(each, str)]


def _call(kind: str, fields: Fields) -> list[Part]:
    """A tool call, with its result if the provider ran the tool."""
    named = contents(first(fields, "function", "custom")) or fields
    identifier = first(fields, *n.CALL_IDS)
    plain = kind.replace("-", "_").removesuffix("_call").removesuffix("_use")
    given = first(named, *n.ARGUMENTS)
    if given is None and named is fields:
        given = {k: v for k, v in fields.items() if v is not None and k not in n.BOOKKEEPING}
    call = tool_call(identifier, first(named, *n.NAMES) or plain, given)
    answer = first(fields, *n.ANSWERS, "error")
    if answer is None:
        return [call]
    if kind == "image_generation_call" and isinstance(answer, str):
        answer = [media("image", answer, f"image/{fields.get('output_format') or '*'}")]
    return [call, tool_response(identifier, answer)]


def _result(_kind: str, fields: Fields) -> list[Part]:
    content = first(fields, *n.ANSWERS)
    if content is None:
        content = {k: v for k, v in fields.items() if k not in n.CALL_IDS and k != "type"} or ""
    identifier = first(fields, "approval_request_id", *n.CALL_IDS)
    return [tool_response(identifier, content, first(fields, *n.NAMES))]


def _media(kind: str, fields: Fields) -> list[Part]:
    source = next((s for name in n.SOURCES if (s := contents(fields.get(name)))), fields)
    data = contents(source.get("s3Location")).get("uri") or first(source, *n.HELD)
    document = kind == "document" and "content" in source
    content = data if document or source.get("type") in ("text", "content") else source.get("text")
    if isinstance(content, str):
        return [text(content)]
    if isinstance(data, (list, tuple)):  # a document with parts
        return [part for item in data for part in read(item)]
    modality = next((each for each in n.MODALITIES if each in kind), fields.get("modality"))
    modality = "image" if kind == "computer_screenshot" else modality
    mime = first(source, *n.MIME) or first(fields, *n.MIME)
    form = first(source, "format") or first(fields, "format")
    if mime is None and isinstance(form, str) and modality:
        mime = f"{modality}/{form}"
    if isinstance(data, (str, bytes, bytearray)):
        return [media(modality, data, mime)]
    identifier = source.get("file_id") or fields.get("file_id")
    if identifier:
        return [_of_type({"type": "file", "file_id": safe_str(identifier)}, modality, mime)]
    return _generic(kind, fields)


def _of_type(part: Part, modality: Any, mime: Any) -> Part:
    if isinstance(mime, str) and mime:
        general = mime.partition("/")[0]
        modality = general if general in n.MODALITIES else modality
        if not mime.endswith("/*"):
            part["mime_type"] = mime
    return {**part, "modality": modality} if modality else part


def _untyped(fields: Fields) -> list[Part]:
    """A part of Google or Bedrock: one field for each kind, and no `type`."""
    name = next((name for name in n.UNTYPED if fields.get(name) is not None), None)
    if name is None:
        return _generic("unknown", fields)
    kind, inner = n.UNTYPED[name], fields[name]
    within = contents(inner)
    if kind == "text":
        content = text(inner)
        return [reasoning(content["content"]) if fields.get("thought") is True else content]
    if kind == "call":
        code = "code" in within
        called = first(within, *n.NAMES) or ("code_execution" if code else name)
        given = within if code else first(within, *n.ARGUMENTS)
        return [tool_call(first(within, *n.CALL_IDS), called, given)]
    if kind == "answer":
        answer = first(within, *n.ANSWERS, "outcome")
        if images := within.get("parts"):  # Google: beside the result of a function
            answer = [answer, *(part for each in images for part in read(each))]
        return [tool_response(first(within, *n.CALL_IDS), answer, within.get("name"))]
    if kind == "thought":
        thought = first(contents(within.get("reasoningText")), "text")
        return [reasoning(thought)] if thought else [{"type": "redacted_thinking"}]
    return _media(kind, within or {"content": inner})


def _generic(kind: str, fields: Fields) -> list[Part]:
    """Any other type: its fields, with its text as content."""
    part = {name: value for name, value in fields.items() if name not in n.OPAQUE}
    content = tool_result(part.pop("content", part.pop("text", None)))
    part["type"] = kind
    if content is not None:
        part.update(text(content), type=kind)
    return [part]


_Reader = Callable[[str, Fields], list[Part]]
_READERS: Final[Mapping[str, _Reader]] = {
    **dict.fromkeys(
        n.TEXTS, lambda _, fields: [text(first(fields, "text", "content", "refusal") or "")]
    ),
    **dict.fromkeys(n.THOUGHTS, _reasoning_parts),
    **dict.fromkeys(n.MEDIA, _media),
    **dict.fromkeys(n.KEPT, _unchanged),
    **dict.fromkeys(("function", "custom"), _call),
    "generic": _named_generic,
    "search_result": _generic,  # a source from the user, not a tool result
}


def _reader(kind: str) -> _Reader:
    if kind in _READERS:
        return _READERS[kind]
    if kind.endswith(n.CALLS):
        return _call
    return _result if kind.endswith(n.RESULTS) else _generic
