"""Parts of messages as the providers' own APIs shape them → the conventions' form. Pure.

OpenAI's chat and responses, Anthropic's messages, Google's contents, Vercel's AI SDK:
https://platform.openai.com/docs/api-reference, https://docs.anthropic.com/en/api/messages,
https://ai.google.dev/api/caching#Part, https://ai-sdk.dev/docs/reference/ai-sdk-core/model-message
"""

from typing import Final

from litespan.genai.values import JSON

ROLES: Final = {"model": "assistant", "ai": "assistant", "human": "user"}
"""Roles of Google and LangChain."""

ITEMS: Final = {
    "function_call": "assistant",
    "reasoning": "assistant",
    "function_call_output": "tool",
}
"""Items of the responses API that stand where messages do, and whose they are."""

_CALLS: Final = ("tool-call", "tool_use", "server_tool_use", "function_call")
_RESULTS: Final = ("tool-result", "tool_result", "function_call_output")
_FILES: Final = ("file", "image", "document", "input_audio", "input_file")


def standard(part: dict[str, JSON]) -> dict[str, JSON]:
    """`part` in the conventions' form; as it is if it has that, or one that nobody knows."""
    kind = part.get("type")
    if kind is None:
        return _google(part)
    if kind == "refusal":
        return {"type": "text", "content": part.get("refusal")}
    if kind in _CALLS:
        return {
            "type": "tool_call",
            "id": _first(part, "toolCallId", "call_id", "id"),
            "name": _first(part, "toolName", "name"),
            "arguments": _first(part, "arguments", "input", "args"),
        }
    if kind in _RESULTS:
        return _result(
            _first(part, "toolCallId", "tool_use_id", "call_id", "id"),
            _first(part, "toolName", "name"),
            _first(part, "result", "output", "content", "response"),
        )
    if kind == "thinking" or (kind == "reasoning" and "summary" in part):
        return {"type": "reasoning", "content": part.get("thinking") or _texts(part.get("summary"))}
    return _file(part) if kind in _FILES else part


def _google(part: dict[str, JSON]) -> dict[str, JSON]:
    call = _inner(part, "function_call", "functionCall")
    answer = _inner(part, "function_response", "functionResponse")
    data = _inner(part, "inline_data", "inlineData")
    file = _inner(part, "file_data", "fileData")
    if call:
        named = {"id": call.get("id"), "name": call.get("name")}
        return {"type": "tool_call", **named, "arguments": _first(call, "args", "arguments")}
    if answer:
        return _result(answer.get("id"), answer.get("name"), answer.get("response"))
    if data:
        return _bytes(_first(data, "mime_type", "mimeType"), data.get("data"))
    if file:
        return _link(_first(file, "mime_type", "mimeType"), _first(file, "file_uri", "fileUri"))
    return {**part, "type": "reasoning"} if part.get("thought") is True else part


def _result(id_: JSON, name: JSON, answer: JSON) -> dict[str, JSON]:
    if isinstance(answer, dict) and set(answer) == {"type", "value"}:  # Vercel's
        answer = answer["value"]
    return {"type": "tool_call_response", "id": id_, "name": name, "response": answer}


def _file(part: dict[str, JSON]) -> dict[str, JSON]:
    """A picture, a sound or a document: bytes in base64, a link, or the id of a file."""
    source = _inner(part, "source", "file", "input_audio") or part
    mime = _first(source, "media_type", "mediaType", "mimeType", "mime_type")
    if mime is None and isinstance(sound := source.get("format"), str):
        mime = f"audio/{sound}"
    if mime is None and part.get("type") == "image":
        mime = "image/*"
    if (file_id := source.get("file_id")) is not None:
        return {"type": "file", "file_id": file_id, **_modality(mime)}
    held = _first(source, "data", "file_data", "image", "url", "uri", "content")
    if not isinstance(held, str):
        return part
    if held.startswith(("http://", "https://", "gs://", "s3://")):
        return _link(mime, held)
    return _bytes(mime, held)


def _bytes(mime: JSON, data: JSON) -> dict[str, JSON]:
    if isinstance(data, str) and data.startswith("data:"):
        head, _, data = data.partition(",")
        mime = head.removeprefix("data:").removesuffix(";base64") or mime
    return {"type": "blob", "content": data, **_modality(mime)}


def _link(mime: JSON, uri: JSON) -> dict[str, JSON]:
    return {"type": "uri", "uri": uri, **_modality(mime)}


def _modality(mime: JSON) -> dict[str, JSON]:
    if not isinstance(mime, str):
        return {}
    kind = mime.partition("/")[0]
    told: dict[str, JSON] = {} if mime.endswith("/*") else {"mime_type": mime}
    return {**told, "modality": kind} if kind in ("image", "audio", "video") else told


def _texts(value: JSON) -> JSON:
    items = value if isinstance(value, list) else ()
    found = [item.get("text") for item in items if isinstance(item, dict)]
    return "\n".join(text for text in found if isinstance(text, str)) or None


def _inner(value: dict[str, JSON], *names: str) -> dict[str, JSON]:
    for name in names:
        if isinstance(found := value.get(name), dict):
            return found
    return {}


def _first(value: dict[str, JSON], *names: str) -> JSON:
    return next((value[name] for name in names if value.get(name) is not None), None)
