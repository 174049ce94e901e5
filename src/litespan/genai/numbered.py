"""Messages and tools in numbered attributes, as OpenLLMetry and OpenInference write them."""

from collections.abc import Sequence
from typing import Final

from litespan.genai.values import Attributes, parse
from litespan.objects import JSON, plain

WRAPPERS: Final = (
    *("message", "message_content", "tool_call", "tool", "image", "audio", "video"),
    *("prompt", "completion", "embedding", "document"),
)
"""Keys of OpenInference's wrapper objects: `{"message": {…}}`."""
_DEPTH: Final = 12  # segments of a flattened name; real ones have eight
_DIGITS: Final = 10  # of an index in a flattened name


def read(attributes: Attributes, prefix: str) -> list[JSON]:
    """`{"p.0.role": "user", "p.0.content": "hi"}` → `[{"role": "user", "content": "hi"}]`."""
    root: dict[str, JSON] = {}
    for key, value in attributes.items():
        rest = key.removeprefix(f"{prefix}.")
        if rest != key and rest[:1].isdecimal():
            *path, last = rest.split(".", _DEPTH)
            node: JSON = root
            for step in path:
                node = node.setdefault(step, {}) if isinstance(node, dict) else None
            if isinstance(node, dict):
                node[last] = plain(value)
    items = _listed(root)
    return [_unwrapped(item) for item in items] if isinstance(items, list) else []


def _listed(node: JSON) -> JSON:
    if not isinstance(node, dict):
        return node
    if node and all(key.isdecimal() and len(key) < _DIGITS for key in node):
        return [_listed(node[key]) for key in sorted(node, key=int)]
    return {key: _listed(value) for key, value in node.items()}


def _unwrapped(node: JSON) -> JSON:
    """A message, part or tool without OpenInference's wrapper objects."""
    if isinstance(node, list):
        return [_unwrapped(item) for item in node]
    if not isinstance(node, dict):
        return node
    if len(node) == 1 and (only := next(iter(node))) in WRAPPERS:
        return _unwrapped(node[only])
    flat = {key: _unwrapped(value) for key, value in node.items()}
    if isinstance(schema := flat.get("json_schema"), str):
        return parse(schema)
    if "contents" in flat:
        flat["content"] = flat.pop("contents")
    content = flat.get("content")
    if isinstance(content, str) and content.startswith('[{"'):
        flat["content"] = parse(content) or content
    image = flat.pop("image", None)
    if isinstance(image, dict):
        return {"type": "image_url", "image_url": image}
    return flat


def turns(items: Sequence[JSON], role: str) -> list[JSON]:
    """Messages with roles: OpenLLMetry omits some, and puts thinking into a separate message."""
    found: list[JSON] = []
    thought: dict[str, JSON] = {}
    for item in items:
        if not isinstance(item, dict):
            found.append(item)
        elif item.get("role") == "thinking":
            thought = {"reasoning_content": content} if (content := item.get("content")) else {}
        else:
            found.append({**_turn(item, role), **thought})
            thought = {}
    return [*found, {"role": role, **thought}] if thought else found


def _turn(item: dict[str, JSON], role: str) -> dict[str, JSON]:
    if "role" in item or "type" in item:
        return item
    return {"role": "user", "content": item["user"]} if "user" in item else {"role": role, **item}
