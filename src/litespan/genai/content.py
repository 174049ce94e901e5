"""Finds messages and tools on spans of other instrumentations; `conventions` has the sources."""

from collections.abc import Sequence
from typing import Final

from opentelemetry.sdk.trace import Event

from litespan import semconv as s
from litespan.genai import framework_content, numbered
from litespan.genai.conventions import CONTENT
from litespan.genai.values import Attributes, parse
from litespan.objects import JSON, plain

FLAT: Final = {
    s.INPUT_MESSAGES: (
        *("gen_ai.prompt", "llm.input_messages", "llm.prompts"),
        *("embedding.embeddings", "reranker.query", "gen_ai.retrieval.query.text"),
    ),
    s.OUTPUT_MESSAGES: (
        *("gen_ai.completion", "llm.output_messages", "llm.choices"),
        *("retrieval.documents", "reranker.output_documents"),
    ),
    s.TOOL_DEFINITIONS: ("llm.request.functions", "llm.tools"),
}
"""Our name → prefixes of numbered attributes (`gen_ai.prompt.0.role`) or names of JSON ones."""
MESSAGE_EVENTS: Final = {
    s.INPUT_MESSAGES: {
        "gen_ai.system.message": "system",
        "gen_ai.user.message": "user",
        "gen_ai.assistant.message": "assistant",
        "gen_ai.tool.message": "tool",
    },
    s.OUTPUT_MESSAGES: {"gen_ai.choice": "assistant"},
}
"""Our name → span events with one message each, and its role (conventions ≤ 1.36)."""
CONTENT_EVENTS: Final = {
    s.INPUT_MESSAGES: ("gen_ai.content.prompt", "gen_ai.prompt"),
    s.OUTPUT_MESSAGES: ("gen_ai.content.completion", "gen_ai.completion"),
}
"""Our name → span event and its one JSON attribute (conventions ≤ 1.28)."""
EVENT_BODY: Final = "gen_ai.event.content"
OTHER_CONTENT: Final = (
    *("llm.prompt_template.template", "llm.prompt_template.variables", "llm.function_call"),
    *("reranker.input_documents", "embedding.text", "traceloop.prompt.template"),
    *("llm.completions", "ai.result."),  # Langtrace, and Vercel's AI SDK 3
)
"""Prefixes of attributes with content that is not part of the messages."""


def find(name: str, attributes: Attributes, events: Sequence[Event]) -> object:
    """The raw value of the content attribute `name`, or None.

    Searches the attribute itself, the details event of the conventions, numbered or JSON
    attributes, events of older conventions, then attributes of frameworks. The value has parts or
    the format of some API; `messages` reads both.
    """
    if name in attributes:
        return attributes[name]
    for event in events:
        if event.name == s.EVENT_DETAILS and event.attributes and name in event.attributes:
            return event.attributes[name]
    for prefix in FLAT.get(name, ()):
        if prefix in attributes:
            return _text_or_json(attributes[prefix], name)
        if items := numbered.read(attributes, prefix):
            return items if name == s.TOOL_DEFINITIONS else numbered.turns(items, _role(name))
    return _from_events(name, events) or _by_framework(name, attributes)


def is_content(name: str) -> bool:
    """Whether any convention uses an attribute of that name for content."""
    return is_message(name) or name.startswith(OTHER_CONTENT)


def is_message(name: str) -> bool:
    """Whether an attribute of that name has content that `find` returns."""
    return (
        name in CONTENT
        or framework_content.is_content(name)
        or (name.startswith(_PREFIXES) and name not in (s.PROMPT_NAME, s.PROMPT_VERSION))
    )


_PREFIXES: Final = tuple(prefix for prefixes in FLAT.values() for prefix in prefixes)


def _role(name: str) -> str:
    """The role of messages without one."""
    return "assistant" if name == s.OUTPUT_MESSAGES else "user"


def _by_framework(name: str, attributes: Attributes) -> object:
    if attributes.get(s.OPERATION) == "execute_tool":
        return framework_content.tool(name, attributes)
    for source, read in framework_content.SOURCES.get(name, ()):
        if source in attributes and (found := read(_parsed(attributes[source]))):
            return found
    if name == s.OUTPUT_MESSAGES and (answer := framework_content.answer(attributes)):
        return answer
    for source in framework_content.ANY.get(name, ()):
        if source in attributes:
            return _text_or_json(attributes[source], name)
    return None


def _parsed(value: object) -> JSON:
    """Parse JSON, or a list of JSON texts."""
    parsed = parse(value)
    if isinstance(parsed, list):
        return [parse(item) if isinstance(item, str) else item for item in parsed]
    return parsed


def _text_or_json(value: object, name: str) -> object:
    """Messages of a list, a request or a response body; plain text becomes one message."""
    parsed = parse(value)
    if isinstance(parsed, dict):
        inner = _inside(parsed)
        parsed = [parsed] if inner is None and "role" in parsed else inner
    if isinstance(parsed, list):
        return [_item(item, name) for item in parsed]
    return [{"role": _role(name), "content": value}] if isinstance(value, str) else None


def _item(item: JSON, name: str) -> JSON:
    """A message or tool, which may be JSON text; plain text becomes a message."""
    if not isinstance(item, str):
        return item
    parsed = parse(item)
    return parsed if isinstance(parsed, dict) else {"role": _role(name), "content": item}


def _from_events(name: str, events: Sequence[Event]) -> object:
    roles = MESSAGE_EVENTS.get(name, {})
    whole, attribute = CONTENT_EVENTS.get(name, ("", ""))
    messages: list[JSON] = []
    for event in events:
        fields = event.attributes or {}
        if event.name == whole and attribute in fields:
            return _text_or_json(fields[attribute], name)
        if event.name in roles:
            messages.append(_event_message(fields, roles[event.name]))
    return messages or None


def _event_message(fields: Attributes, role: str) -> JSON:
    given = plain(fields.get(EVENT_BODY, fields))
    body = parse(given)
    if not isinstance(body, dict):
        return {"role": role, "content": given if body is None else body}
    inner = body.get("message")
    if isinstance(inner, str):  # text, or JSON of a message or of its parts
        parsed = parse(inner) if inner.startswith(("[", "{")) else None
        inner = parsed if isinstance(parsed, dict) else {"content": parsed or inner}
    message = {**body, **inner} if isinstance(inner, dict) else dict(body)
    message.setdefault("role", role)
    for key in ("content", "tool_calls"):
        value = message.get(key)
        if isinstance(value, str) and value.startswith(("[{", "{")):
            message[key] = parse(value) or value
    if "id" in message:  # of a tool result
        message.setdefault("tool_call_id", message["id"])
    return message


def _inside(value: dict[str, JSON]) -> JSON:
    """The messages in a request body, or in a response of OpenAI or LangChain."""
    if isinstance(choices := value.get("choices"), list):
        return [c["message"] for c in choices if isinstance(c, dict) and "message" in c]
    for name in ("messages", "contents", "generations", "message"):
        found = value.get(name)
        if isinstance(found, dict):
            return [found]
        while isinstance(found, list) and len(found) == 1 and isinstance(found[0], list):
            found = found[0]  # LangChain: several runs
        if isinstance(found, list):
            inner = [item.get("message", item) for item in found if isinstance(item, dict)]
            return inner or None
    return None
