"""Content without the bytes in it: each image, sound or file becomes a reference by its hash."""

import hashlib
import re
from collections.abc import Mapping
from enum import Enum
from typing import Any, Final

from litespan.genai.names import MIME
from litespan.objects import contents

_DEEPEST: Final = 48  # levels of what a caller or a provider made
_MOST: Final = 20_000  # lists and objects of one message
_LEAVES: Final = frozenset({str, bool, int, float, bytes, bytearray, type(None)})
_CUT: Final = "…"  # stands for what is beyond these bounds
_SHORT: Final = 256  # characters of text that are not taken for bytes

_BASE64: Final = r"[A-Za-z0-9+/_-]"
_DATA_URL: Final = re.compile(
    r"data:([\w.+-]+/[\w.+-]+(?:;[\w.+=-]+)*);base64,(" + _BASE64 + r"+=*)"
)
_WHOLE_DATA_URL: Final = re.compile(r"data:[\w.+-]+/[^,\s]+,")
_QUOTED: Final = re.compile(rf"""(["'])({_BASE64}{{{_SHORT},}}=*)(?=\\?["'])""")
_ALL: Final = re.compile(rf"(?:{_BASE64}{{60,}}\r?\n)*{_BASE64}*=*\s*")
# Fields that hold base64 of any length if what stands beside them says so.
_BYTES: Final = ("data", "blob", "bytes", "b64_json")
_LOCATED: Final = {"blob": "uri", "uri": "uri", "file": "file_id"}
_BINARY: Final = ("image/", "audio/", "video/", "application/")
_FEWEST: Final = 3  # different characters; bytes have more, a line of dashes has not


def digest(data: Any) -> str:
    """`sha256:<hex>` of inline data, as it was sent (base64 text stays base64 text)."""
    raw = data.encode("utf-8", "surrogatepass") if isinstance(data, str) else bytes(data)
    return f"sha256:{hashlib.sha256(raw).hexdigest()}"


def bounded(value: Any) -> Any:
    """A copy of `value` as lists, dicts, scalars and bytes: a tree of limited depth and size."""
    return _Walk().copy(value, _DEEPEST)


def referenced(value: Any) -> Any:
    """A copy of a `bounded` value without bytes.

    A `blob` part becomes a `uri` part with the hash of the bytes. Bytes elsewhere, data URLs
    and long base64 become that hash. Addresses lose their query, which may hold a signature.
    """
    if isinstance(value, str):
        return text(value)
    if isinstance(value, list):
        return [referenced(item) for item in value]
    if isinstance(value, dict):
        return {name: referenced(item) for name, item in _without_bytes(value).items()}
    return digest(value) if isinstance(value, (bytes, bytearray)) else value


def _without_bytes(fields: dict[str, Any]) -> dict[str, Any]:
    kind = str(fields.get("type"))
    if kind == "blob" and "content" in fields:
        fields = {**fields, "type": "uri", "uri": digest(fields["content"])}
        del fields["content"]
    elif kind == "uri" and isinstance(address := fields.get("uri"), str):
        fields = {**fields, "uri": address.partition("?")[0]}
    elif held := [name for name in _BYTES if isinstance(fields.get(name), str)]:
        mime = next((fields[name] for name in MIME if name in fields), None)
        if kind == "base64" or (isinstance(mime, str) and mime.startswith(_BINARY)):
            return {**fields, **{name: digest(fields[name]) for name in held}}
    if kind in _LOCATED and _LOCATED[kind] in fields and not fields.get("modality"):
        return {**fields, "modality": "file"}  # the conventions' schema requires one
    return fields


class _Walk:
    """One copy, and how much more it may hold."""

    def __init__(self) -> None:
        self.left = _MOST

    def copy(self, value: Any, depth: int) -> Any:
        if type(value) in _LEAVES:
            return value
        if isinstance(value, Enum):
            return value.value
        self.left -= 1
        if depth == 0 or self.left < 0:
            return _CUT
        if isinstance(value, (list, tuple)):
            return [self.copy(item, depth - 1) for item in value if self.left >= 0]
        fields = contents(value)
        made = hasattr(value, "__pydantic_extra__")  # its class may add fields without a value
        if made or isinstance(value, Mapping):
            return {
                str(name): self.copy(item, depth - 1)
                for name, item in fields.items()
                if self.left >= 0 and not (made and item is None)
            }
        return value if isinstance(value, (str, int, float)) else str(value)


def text(value: str) -> str:
    """`value` without the bytes in it: data URLs and long base64 become their hash."""
    if len(value) < _SHORT and "data:" not in value:
        return value
    if _WHOLE_DATA_URL.match(value) and not value.partition(",")[2][:1].isspace():
        return digest(value.partition(",")[2])
    if "base64," in value:
        value = _DATA_URL.sub(lambda found: digest(found[2]), value)
    if len(value) < _SHORT:
        return value
    if _is_base64(value):
        return digest(value)
    return _QUOTED.sub(_unquoted, value)


def _unquoted(found: re.Match[str]) -> str:
    return found[1] + (digest(found[2]) if _is_base64(found[2]) else found[2])


def _is_base64(value: str) -> bool:
    return len(set(value[:_SHORT])) > _FEWEST and _ALL.fullmatch(value) is not None
