"""One part of a message, in the shape of any provider's API → the GenAI conventions' parts.

OpenAI's chat and Responses APIs, Anthropic's Messages, Google's contents, Bedrock's Converse,
MCP's tool results and Vercel's AI SDK:
https://platform.openai.com/docs/api-reference, https://docs.anthropic.com/en/api/messages,
https://ai.google.dev/api/caching#Part,
https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ContentBlock.html,
https://modelcontextprotocol.io/specification/2025-06-18/server/tools#tool-result,
https://ai-sdk.dev/docs/reference/ai-sdk-core/model-message

Inline bytes stay in the `blob` parts made here; `inline.referenced` takes them out.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from litespan.genai import names as n
from litespan.genai.inline import referenced
from litespan.objects import contents, dumps

Part = dict[str, Any]
Fields = Mapping[str, Any]


def read(part: Any) -> list[Part]:
    """The parts that one element of a message's content stands for; mostly it is one."""
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
    return {"type": "text", "content": _as_text(content)}


def reasoning(content: str) -> Part:
    """A reasoning part."""
    return {"type": "reasoning", "content": content}


def tool_call(identifier: Any, name: Any, arguments: Any) -> Part:
    """A tool call; `arguments` that are the JSON text of an object become that object."""
    part: Part = {"type": "tool_call", "name": str(name or ""), "arguments": loads(arguments)}
    return {**part, "id": str(identifier)} if identifier else part


def tool_response(identifier: Any, response: Any, name: Any = None) -> Part:
    """What a tool answered."""
    part: Part = {"type": "tool_call_response", "response": answered(response)}
    if identifier:
        part["id"] = str(identifier)
    return {**part, "name": name} if name else part


def media(modality: str | None, held: Any, mime: Any = None) -> Part:
    """An image, a sound, a video or a file: by its address, else with its bytes, as a `blob`.

    Args:
        modality: `image`, `audio` or `video`; None for anything else, or if only `mime` says.
        held: an address, a data URL, base64 or bytes.
        mime: its MIME type, if known.
    """
    if isinstance(held, str) and held.startswith("data:"):
        head, _, held = held.partition(",")
        mime = head[5:].partition(";")[0] or mime
    elif isinstance(held, str) and "://" in held[:32]:
        return _of_type({"type": "uri", "uri": held}, modality, mime)
    return _of_type({"type": "blob", "content": held}, modality, mime)


def answered(value: Any) -> Any:
    """A tool's answer: text as one string, parts of other kinds in the conventions' form."""
    if isinstance(value, (list, tuple)):
        if not all(isinstance(item, str) or _is_content(contents(item)) for item in value):
            return value
        found = [part for item in value for part in read(item)]
        if all(part["type"] == "text" for part in found):
            return "".join(part["content"] for part in found)
        return found
    fields = contents(value)
    if set(fields) == {"type", "value"}:  # Vercel's
        return answered(fields["value"])
    return read(value) if fields.get("type") in n.MEDIA else value


def loads(value: Any) -> Any:
    """The object that JSON text stands for; anything that is none, as it is."""
    if not isinstance(value, str) or not value.lstrip().startswith("{"):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value


def first(fields: Fields, *names: str) -> Any:
    """The first of these fields that is there."""
    return next((fields[name] for name in names if fields.get(name) is not None), None)


def _as_text(content: Any) -> str:
    return content if isinstance(content, str) else dumps(referenced(content))


def _is_content(fields: Fields) -> bool:
    """Is it a part of content, rather than a tool's own data?"""
    kind = fields.get("type")
    if kind is None:  # Bedrock's
        return len(fields) == 1 and next(iter(fields)) in n.UNTYPED
    return kind in n.TEXTS or kind in n.MEDIA


def _said(_kind: str, fields: Fields) -> list[Part]:
    return [text(first(fields, "text", "content", "refusal"))]


def _kept(kind: str, fields: Fields) -> list[Part]:
    """A part that is in the conventions' form already, as older versions had it, too."""
    part = {name: value for name, value in fields.items() if value is not None}
    if kind == "tool_call":
        part["arguments"] = loads(part.get("arguments"))
    elif kind == "tool_call_response" and "result" in part:
        part.setdefault("response", part.pop("result"))
    return [part]


def _thoughts(_kind: str, fields: Fields) -> list[Part]:
    said = first(fields, "thinking", "text", "content")
    if isinstance(said, str):
        return [reasoning(said)]
    lists = [each for each in (said, fields.get("summary")) if isinstance(each, (list, tuple))]
    texts = [first(contents(item), "text", "content") for items in lists for item in items]
    return [reasoning(each) for each in texts if isinstance(each, str)]


def _call(kind: str, fields: Fields) -> list[Part]:
    """A call of a tool; with its answer, where the provider has run the tool itself."""
    named = contents(first(fields, "function", "custom")) or fields
    identifier = first(fields, *n.CALL_IDS)
    plain = kind.replace("-", "_").removesuffix("_call").removesuffix("_use")
    given = first(named, *n.ARGUMENTS)
    if given is None and named is fields:
        rest = {name: fields[name] for name in fields if name not in n.BOOKKEEPING}
        given = {name: value for name, value in rest.items() if value is not None}
    call = tool_call(identifier, first(named, *n.NAMES) or plain, given)
    answer = first(fields, *n.ANSWERS, "error")
    if answer is None:
        return [call]
    if kind == "image_generation_call" and isinstance(answer, str):
        answer = [media("image", answer, f"image/{fields.get('output_format') or '*'}")]
    return [call, tool_response(identifier, answer)]


def _answer(_kind: str, fields: Fields) -> list[Part]:
    said = first(fields, *n.ANSWERS)
    if said is None:
        said = {k: v for k, v in fields.items() if k not in n.CALL_IDS and k != "type"} or ""
    identifier = first(fields, "approval_request_id", *n.CALL_IDS)
    return [tool_response(identifier, said, first(fields, *n.NAMES))]


def _media(kind: str, fields: Fields) -> list[Part]:
    source = next((s for name in n.SOURCES if (s := contents(fields.get(name)))), fields)
    held = contents(source.get("s3Location")).get("uri") or first(source, *n.HELD)
    document = kind == "document" and "content" in source
    said = held if document or source.get("type") in ("text", "content") else source.get("text")
    if isinstance(said, str):
        return [text(said)]
    if isinstance(held, (list, tuple)):  # a document made of parts
        return [part for item in held for part in read(item)]
    modality = next((each for each in n.MODALITIES if each in kind), fields.get("modality"))
    modality = "image" if kind == "computer_screenshot" else modality
    mime = first(source, *n.MIME) or first(fields, *n.MIME)
    form = first(source, "format") or first(fields, "format")
    if mime is None and isinstance(form, str) and modality:
        mime = f"{modality}/{form}"
    if isinstance(held, (str, bytes, bytearray)):
        return [media(modality, held, mime)]
    identifier = source.get("file_id") or fields.get("file_id")
    if identifier:
        return [_of_type({"type": "file", "file_id": str(identifier)}, modality, mime)]
    return _generic(kind, fields)


def _of_type(part: Part, modality: Any, mime: Any) -> Part:
    if isinstance(mime, str) and mime:
        general = mime.partition("/")[0]
        modality = general if general in n.MODALITIES else modality
        if not mime.endswith("/*"):
            part["mime_type"] = mime
    return {**part, "modality": modality} if modality else part


def _untyped(fields: Fields) -> list[Part]:
    """Google and Bedrock have one field for each kind, and no `type`."""
    name = next((name for name in n.UNTYPED if fields.get(name) is not None), None)
    if name is None:
        return _generic("unknown", fields)
    kind, inner = n.UNTYPED[name], fields[name]
    within = contents(inner)
    if kind == "text":
        said = text(inner)
        return [reasoning(said["content"]) if fields.get("thought") is True else said]
    if kind == "call":
        code = "code" in within
        called = first(within, *n.NAMES) or ("code_execution" if code else name)
        given = within if code else first(within, *n.ARGUMENTS)
        return [tool_call(first(within, *n.CALL_IDS), called, given)]
    if kind == "answer":
        answer = first(within, *n.ANSWERS, "outcome")
        if pictures := within.get("parts"):  # beside the answer of a function, at Google
            answer = [answer, *(part for each in pictures for part in read(each))]
        return [tool_response(first(within, *n.CALL_IDS), answer, within.get("name"))]
    if kind == "thought":
        thought = first(contents(within.get("reasoningText")), "text")
        return [reasoning(thought)] if thought else [{"type": "redacted_thinking"}]
    return _media(kind, within or {"content": inner})


def _generic(kind: str, fields: Fields) -> list[Part]:
    """A kind without a form of its own: its fields, and the text in it as its content."""
    part = {name: value for name, value in fields.items() if name not in n.OPAQUE}
    said = answered(part.pop("content", part.pop("text", None)))
    part["type"] = kind
    if said is not None:
        part["content"] = _as_text(said)
    return [part]


_Reader = Callable[[str, Fields], list[Part]]
_READERS: Final[Mapping[str, _Reader]] = {
    **dict.fromkeys(n.TEXTS, _said),
    **dict.fromkeys(n.THOUGHTS, _thoughts),
    **dict.fromkeys(n.MEDIA, _media),
    **dict.fromkeys(n.KEPT, _kept),
    **dict.fromkeys(("function", "custom"), _call),
    "search_result": _generic,  # a source that the user gives, not the answer of a tool
}


def _reader(kind: str) -> _Reader:
    if kind in _READERS:
        return _READERS[kind]
    if kind.endswith(n.CALLS):
        return _call
    return _answer if kind.endswith(n.RESULTS) else _generic
