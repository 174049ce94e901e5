"""One content part of any API that LiteLLM speaks → a part in the GenAI convention's schema.

Inline bytes (images, audio, files) are never recorded: their part is a `uri` whose value is
`sha256:<hex>` of the bytes as sent.
"""

import hashlib
import json
import json.encoder
from collections.abc import Callable, Mapping
from typing import Any, Final

from litespan.mapping.pruning import pruned
from litespan.mapping.values import get
from litespan.redaction.text import utf8

Part = dict[str, Any]


def text(content: Any) -> Part:
    """A text part."""
    said = content if isinstance(content, str) else dumps(pruned(content))
    return {"type": "text", "content": said}


def reasoning(content: str) -> Part:
    """A reasoning part."""
    return {"type": "reasoning", "content": content}


def tool_call(identifier: Any, name: Any, arguments: Any) -> Part:
    """A tool call; `arguments` that are JSON text become the object they stand for."""
    part: Part = {"type": "tool_call", "name": str(name or ""), "arguments": loads(arguments)}
    return {**part, "id": str(identifier)} if identifier else part


def tool_response(identifier: Any, response: Any) -> Part:
    """What a tool answered."""
    part: Part = {"type": "tool_call_response", "response": response}
    return {**part, "id": str(identifier)} if identifier else part


def media(modality: str, url: Any, mime_type: Any = None) -> Part:
    """An image, audio or file by its address; inline data by its hash."""
    address = url if isinstance(url, str) else ""
    if address.startswith("data:"):
        head, _, data = address.partition(",")
        mime_type = head[5:].split(";")[0] or mime_type
        address = digest(data)
    else:
        address = address.partition("?")[0]  # signed addresses carry their key there
    part: Part = {"type": "uri", "modality": modality, "uri": address}
    return {**part, "mime_type": str(mime_type)} if mime_type else part


def digest(data: Any) -> str:
    """`sha256:<hex>` of inline data, as it was sent (base64 text stays base64 text)."""
    raw = data if isinstance(data, bytes) else str(data).encode("utf-8", "surrogatepass")
    return f"sha256:{hashlib.sha256(raw).hexdigest()}"


def _source(part: Any) -> Part:
    source = get(part, "source")
    kind = {"document": "file"}.get(str(get(part, "type")), "image")
    data = get(source, "data")
    if data is None:
        return media(kind, get(source, "url"))
    return {
        "type": "uri",
        "modality": kind,
        "uri": digest(data),
        "mime_type": str(get(source, "media_type") or ""),
    }


def _image(part: Any) -> Part:
    image = get(part, "image_url")
    return media("image", image if isinstance(image, str) else get(image, "url"))


def _audio(part: Any) -> Part:
    audio = get(part, "input_audio")
    return {
        "type": "uri",
        "modality": "audio",
        "uri": digest(get(audio, "data")),
        "mime_type": f"audio/{get(audio, 'format') or 'wav'}",
    }


def _file(part: Any) -> Part:
    file = get(part, "file") or part
    identifier = get(file, "file_id")
    if identifier:
        return {"type": "file", "modality": "file", "file_id": str(identifier)}
    return media("file", get(file, "file_data") or get(file, "file_url"))


_READERS: Final[Mapping[str, Callable[[Any], Part]]] = {
    "text": lambda part: text(get(part, "text")),
    "input_text": lambda part: text(get(part, "text")),
    "output_text": lambda part: text(get(part, "text")),
    "refusal": lambda part: text(get(part, "refusal")),
    "thinking": lambda part: reasoning(str(get(part, "thinking") or "")),
    "image_url": _image,
    "input_image": _image,
    "image": _source,
    "document": _source,
    "input_audio": _audio,
    "file": _file,
    "input_file": _file,
    "tool_use": lambda part: tool_call(get(part, "id"), get(part, "name"), get(part, "input")),
    "tool_result": lambda part: tool_response(
        get(part, "tool_use_id"), plain(get(part, "content"))
    ),
}


def read_part(part: Any) -> Part:
    """One element of a message's `content` list."""
    if isinstance(part, str):
        return text(part)
    kind = get(part, "type")
    reader = _READERS.get(kind) if isinstance(kind, str) else None
    if reader is not None:
        return reader(part)
    # A kind that is not known is named, and only its text is kept: it may hold bytes.
    return {"type": str(kind or "unknown"), "content": str(get(part, "text") or "")}


def plain(value: Any) -> Any:
    """A tool's result: text parts joined, anything else as JSON would have it."""
    if isinstance(value, (list, tuple)):
        return "".join(str(read_part(part).get("content", "")) for part in value)
    return pruned(value)


def loads(value: Any) -> Any:
    """The object that JSON text stands for; text that is not JSON, as it is."""
    if not isinstance(value, str):
        return pruned(value)
    try:
        return pruned(json.loads(value))
    except (ValueError, RecursionError):
        return value


def _encoder() -> Callable[[Any], str]:
    """Compact JSON. `JSONEncoder` makes its C encoder anew for every text: we keep one."""
    try:
        encode = json.encoder.c_make_encoder(  # type: ignore[attr-defined]
            None, str, json.encoder.encode_basestring, None, ":", ",", False, False, True
        )
        encode([""], 0)
    except TypeError:  # this Python has none, or one of another kind
        return json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=str).encode
    return lambda value: "".join(encode(value, 0))


_encode: Final = _encoder()


def dumps(value: Any) -> str:
    """Compact JSON; what JSON cannot say is said as text, lone surrogates are replaced."""
    return utf8(_encode(value))
