"""Replaces inline bytes in content: images, audio and files become references by hash."""

import hashlib
import re
from collections.abc import Mapping
from enum import Enum
from typing import Any, Final

from litespan.genai.names import MIME
from litespan.objects import contents, safe_str

_MAX_DEPTH: Final = 48  # levels
_MAX_CONTAINERS: Final = 20_000  # lists and objects in one message
_LEAVES: Final = frozenset({str, bool, int, float, bytes, type(None)})
_CUT: Final = "…"  # replaces values beyond these limits
SHORT: Final = 256  # characters; shorter text does not count as base64

_BASE64: Final = r"[A-Za-z0-9+/_-]"
_DATA_URL: Final = re.compile(
    r"data:([\w.+-]+/[\w.+-]+(?:;[\w.+=-]+)*);base64,(" + _BASE64 + r"+=*)"
)
_WHOLE_DATA_URL: Final = re.compile(r"data:[\w.+-]+/[^,\s]+,")
_QUOTED: Final = re.compile(rf"""(["'])({_BASE64}{{{SHORT},}}=*)(?=\\?["'])""")
_ALL: Final = re.compile(rf"(?:{_BASE64}{{60,}}\r?\n)*{_BASE64}*=*\s*")
# Fields with base64 of any length, if the MIME type or the type says so.
_BYTES: Final = ("data", "blob", "bytes", "b64_json")
_LOCATED: Final = {"blob": "uri", "uri": "uri", "file": "file_id"}
_BINARY: Final = ("image/", "audio/", "video/", "application/")
_FEWEST: Final = 3  # distinct characters; a line of dashes has fewer


def digest(data: Any) -> str:
    """`sha256:<hex>` of inline data as it was sent; base64 text is not decoded."""
    if not isinstance(data, (bytes, bytearray)):  # `bytes` of a number allocates that many
        data = safe_str(data).encode("utf-8", "surrogatepass")
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def bounded(value: Any) -> Any:
    """A copy of `value` of limited depth and size, as lists, dicts, scalars and bytes."""
    if type(value) is dict and _LEAVES.issuperset(map(type, value.values())):
        return {safe_str(name): item for name, item in value.items()}
    return _Walk().copy(value, _MAX_DEPTH)


def referenced(value: Any) -> Any:
    """A copy of a `bounded` value without bytes.

    A `blob` part becomes a `uri` part with the hash of the bytes. Other bytes, data URLs and long
    base64 become that hash. URLs lose their query, which may contain a signature.
    """
    if isinstance(value, str):
        return text(value)
    if isinstance(value, list):
        return [referenced(item) for item in value]
    if isinstance(value, dict):
        return {name: referenced(item) for name, item in _without_bytes(value).items()}
    return digest(value) if isinstance(value, (bytes, bytearray)) else value


def _without_bytes(fields: dict[str, Any]) -> dict[str, Any]:
    kind = safe_str(fields.get("type"))
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
    """One copy, and the size that is left."""

    def __init__(self) -> None:
        self.left = _MAX_CONTAINERS

    def copy(self, value: Any, depth: int) -> Any:
        if type(value) in _LEAVES:
            return value
        if isinstance(value, (Enum, bytearray)):
            return value.value if isinstance(value, Enum) else bytes(value)
        self.left -= 1
        if depth == 0 or self.left < 0:
            return _CUT
        if isinstance(value, (list, tuple)):
            return [self.copy(item, depth - 1) for item in value if self.left >= 0]
        fields = contents(value)
        pydantic = hasattr(value, "__pydantic_extra__")  # Pydantic adds fields without a value
        if pydantic or isinstance(value, Mapping):
            return {
                safe_str(name): self.copy(item, depth - 1)
                for name, item in fields.items()
                if self.left >= 0 and not (pydantic and item is None)
            }
        return value if isinstance(value, (str, int, float)) else safe_str(value)


def text(value: str) -> str:
    """`value` with data URLs and long base64 replaced by their hash."""
    if len(value) < SHORT and "data:" not in value:
        return value
    if _WHOLE_DATA_URL.match(value):
        data = value.partition(",")[2]
        if not data[:1].isspace():
            return digest(data)
    if "base64," in value:
        value = _DATA_URL.sub(lambda found: digest(found[2]), value)
    if len(value) < SHORT:
        return value
    if _is_base64(value):
        return digest(value)
    return _QUOTED.sub(_unquoted, value) if _has_long_word(value) else value


def _has_long_word(value: str) -> bool:
    """Whether `value` may have `SHORT` characters without a space; much faster than `_QUOTED`.

    Searches for the last space in the next `SHORT` characters, and continues after it.
    """
    at = 0
    while at + SHORT <= len(value):
        at = value.rfind(" ", at, at + SHORT) + 1
        if not at:
            return True
    return False


def _unquoted(found: re.Match[str]) -> str:
    return found[1] + (digest(found[2]) if _is_base64(found[2]) else found[2])


def _is_base64(value: str) -> bool:
    return len(set(value[:SHORT])) > _FEWEST and _ALL.fullmatch(value) is not None
