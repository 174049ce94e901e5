"""Spans of other instrumentations under litespan's names, by the tables in `conventions`."""

from collections.abc import Iterator, Sequence
from itertools import count, takewhile
from typing import Final

from opentelemetry.sdk.trace import Event

from litespan import semconv as s
from litespan.export import conventions as c
from litespan.export.values import JSON, Attributes, parse, plain, string

_DEPTH: Final = 12  # segments of a flattened name; real ones have eight
_DIGITS: Final = 10  # of a position in one


def is_genai(attributes: Attributes) -> bool:
    """Does any convention mark these attributes as a GenAI span's?"""
    return (
        string(attributes, s.OPERATION) is not None
        or string(attributes, c.OLD_PROVIDER) is not None
        or any(string(attributes, kind) in c.OPERATIONS for kind in c.KINDS)
    )


def rename(attributes: Attributes, events: Sequence[Event], start_ns: int) -> Attributes:
    """The attributes, and beside them what they and the events mean under litespan's names."""
    named = dict(attributes)
    for theirs, ours in c.RENAMES:
        if theirs in attributes and ours not in named:
            named[ours] = attributes[theirs]
    for name, value in _invocation(attributes):
        named.setdefault(name, value)
    operation = string(named, s.OPERATION) or "chat"
    named[s.OPERATION] = c.OPERATIONS.get(operation, operation)
    provider = string(named, s.PROVIDER)
    if provider is not None:
        named[s.PROVIDER] = c.PROVIDERS.get(provider.lower(), provider.lower())
    model = string(attributes, c.MODEL)
    if model is not None and named.setdefault(s.REQUEST_MODEL, model) != model:
        named.setdefault(s.RESPONSE_MODEL, model)
    if reasons := _finish_reasons(attributes):
        named.setdefault(s.RESPONSE_FINISH_REASONS, reasons)
    first = next((event for event in events if event.name in c.FIRST_CHUNK_EVENTS), None)
    if first is not None:
        named.setdefault(s.TIME_TO_FIRST_CHUNK, (first.timestamp - start_ns) / 1e9)
    return named | _metadata(attributes)


def content(name: str, attributes: Attributes, events: Sequence[Event]) -> object:
    """The raw value of the content attribute `name`, or None.

    Looked for in the attribute itself, in the convention's details event, in numbered or
    JSON attributes, then in events of the old conventions. Messages come in parts or in
    OpenAI's shape; both are understood further on.
    """
    if name in attributes:
        return attributes[name]
    for event in events:
        if event.name == s.EVENT_DETAILS and event.attributes and name in event.attributes:
            return event.attributes[name]
    for prefix in c.FLAT.get(name, ()):
        if prefix in attributes:
            return _text_or_json(attributes[prefix], name)
        if numbered := _numbered(attributes, prefix):
            return [_unwrapped(item) for item in numbered]
    return _from_events(name, events)


def _invocation(attributes: Attributes) -> Iterator[tuple[str, object]]:
    for key in c.INVOCATION_KEYS:
        given = parse(attributes[key]) if key in attributes else None
        for theirs, value in given.items() if isinstance(given, dict) else ():
            if theirs in c.INVOCATION:
                yield c.INVOCATION[theirs], value


def _finish_reasons(attributes: Attributes) -> tuple[object, ...]:
    names = map(c.FINISH_REASON.format, count())
    return tuple([attributes[name] for name in takewhile(attributes.__contains__, names)])


def _metadata(attributes: Attributes) -> dict[str, object]:
    start = len(c.METADATA_PROPERTIES)
    found: dict[str, object] = {
        s.METADATA_PREFIX + key[start:]: value
        for key, value in attributes.items()
        if key.startswith(c.METADATA_PROPERTIES)
    }
    given = parse(attributes[c.METADATA_JSON]) if c.METADATA_JSON in attributes else None
    if isinstance(given, dict):
        found |= {s.METADATA_PREFIX + key: value for key, value in given.items()}
    return found


def _numbered(attributes: Attributes, prefix: str) -> list[JSON]:
    """`{"p.0.role": "user", "p.0.content": "hi"}` → `[{"role": "user", "content": "hi"}]`."""
    root: dict[str, JSON] = {}
    for key, value in attributes.items():
        if key.startswith(prefix + "."):
            *path, last = key[len(prefix) + 1 :].split(".", _DEPTH)
            node: JSON = root
            for step in path:
                node = node.setdefault(step, {}) if isinstance(node, dict) else None
            if isinstance(node, dict):
                node[last] = plain(value)
    items = _listed(root)
    return items if isinstance(items, list) else []


def _listed(node: JSON) -> JSON:
    if not isinstance(node, dict):
        return node
    if node and all(key.isdecimal() and len(key) < _DIGITS for key in node):
        return [_listed(node[key]) for key in sorted(node, key=int)]
    return {key: _listed(value) for key, value in node.items()}


def _unwrapped(node: JSON) -> JSON:
    """One message, part or tool without the wrappers that OpenInference puts around it."""
    if isinstance(node, list):
        return [_unwrapped(item) for item in node]
    if not isinstance(node, dict):
        return node
    if len(node) == 1 and (only := next(iter(node))) in c.WRAPPERS:
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


def _text_or_json(value: object, name: str) -> object:
    """Messages as they are, or plain text as one message."""
    parsed = parse(value)
    if isinstance(parsed, list | dict):
        return parsed
    role = "user" if name == s.INPUT_MESSAGES else "assistant"
    return [{"role": role, "content": value}] if isinstance(value, str) else None


def _from_events(name: str, events: Sequence[Event]) -> object:
    roles = c.MESSAGE_EVENTS.get(name, {})
    whole, attribute = c.CONTENT_EVENTS.get(name, ("", ""))
    messages: list[JSON] = []
    for event in events:
        fields = event.attributes or {}
        if event.name == whole and attribute in fields:
            return _text_or_json(fields[attribute], name)
        if event.name in roles:
            messages.append(_event_message(fields, roles[event.name]))
    return messages or None


def _event_message(fields: Attributes, role: str) -> JSON:
    body = parse(fields[c.EVENT_BODY]) if c.EVENT_BODY in fields else plain(fields)
    if not isinstance(body, dict):
        return {"role": role, "content": body}
    inner = body.get("message")
    if isinstance(inner, str):
        inner = parse(inner) or {"content": inner}
    message = {**body, **inner} if isinstance(inner, dict) else dict(body)
    message.setdefault("role", role)
    for key in ("content", "tool_calls"):
        value = message.get(key)
        if isinstance(value, str) and value.startswith(("[{", "{")):
            message[key] = parse(value) or value
    if "id" in message:  # of a tool's answer
        message.setdefault("tool_call_id", message["id"])
    return message
