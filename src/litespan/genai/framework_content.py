"""Attributes in which frameworks put content. See `frameworks` for the sources."""

from collections.abc import Callable
from typing import Final

from litespan import semconv as s
from litespan.genai.values import Attributes, parse
from litespan.objects import JSON, plain

Read = Callable[[JSON], JSON]


def at(*path: str) -> Read:
    """A reader of the value at a path of nested objects; None if it does not exist."""

    def read(value: JSON) -> JSON:
        for key in path:
            value = value.get(key) if isinstance(value, dict) else None
        return value

    return read


def _list(*values: JSON) -> JSON:
    found = [value for value in values if value is not None]
    return [*found] or None


def _prompt(value: JSON) -> JSON:
    """Vercel's `ai.prompt`: messages, or one text."""
    prompt = at("prompt")(value)
    if isinstance(prompt, str):
        return _user_messages([prompt])
    return prompt or at("messages")(value)


def _user_messages(value: JSON) -> JSON:
    """Texts as user messages."""
    texts = value if isinstance(value, list) else [value]
    return [{"role": "user", "content": text} for text in texts if isinstance(text, str)] or None


def _system(value: JSON) -> JSON:
    instruction = at("config", "system_instruction")(value)
    return at("parts")(instruction) if isinstance(instruction, dict) else _text(instruction)


def _declared(value: JSON) -> JSON:
    """Google's tools: each entry declares several functions."""
    found: list[JSON] = []
    tools = at("config", "tools")(value)
    for tool in tools if isinstance(tools, list) else ():
        declared = at("function_declarations")(tool)
        found += declared if isinstance(declared, list) else []
    return [*found] or None


def _logged(value: JSON) -> JSON:
    """Logfire's `response_data`: a message, or the text of a stream."""
    text = at("combined_chunk_content")(value)
    streamed: JSON = {"role": "assistant", "content": text} if isinstance(text, str) else None
    return _list(at("message")(value) or streamed)


def _text(value: JSON) -> JSON:
    return [{"type": "text", "content": value}] if isinstance(value, str) else value


def _events(output: bool) -> Read:
    """The `events` attribute of Pydantic AI and Logfire: older message events as one list."""

    def read(value: JSON) -> JSON:
        found: list[JSON] = []
        for event in value if isinstance(value, list) else ():
            if isinstance(event, dict) and (event.get("event.name") == "gen_ai.choice") == output:
                message = event.get("message") if output else event
                found.append(message if isinstance(message, dict) else event)
        return [*found] or None

    return read


SOURCES: Final[dict[str, tuple[tuple[str, Read], ...]]] = {
    s.INPUT_MESSAGES: (
        ("ai.prompt.messages", at()),
        ("ai.prompt", _prompt),
        ("ai.values", _user_messages),
        ("ai.value", _user_messages),
        ("gcp.vertex.agent.llm_request", at("contents")),
        ("events", _events(output=False)),
        ("request_data", at("messages")),
        ("gen_ai.request.messages", at()),
    ),
    s.OUTPUT_MESSAGES: (
        ("gcp.vertex.agent.llm_response", lambda value: _list(at("content")(value))),
        ("events", _events(output=True)),
        ("response_data", _logged),
    ),
    s.SYSTEM_INSTRUCTIONS: (
        ("ai.prompt", lambda value: _text(at("system")(value))),
        ("gcp.vertex.agent.llm_request", _system),
    ),
    s.TOOL_DEFINITIONS: (
        ("ai.prompt.tools", at()),
        ("gcp.vertex.agent.llm_request", _declared),
        ("model_request_parameters", at("function_tools")),
        ("request_data", at("tools")),
        ("gen_ai.request.available_tools", at()),
    ),
}
"""Our name → attributes with JSON, and a reader of the content in it."""

TEXTS: Final = ("ai.response.text", "gen_ai.response.text", "ai.response.object")
REASONING: Final = "ai.response.reasoning"
CALLS: Final = ("ai.response.toolCalls", "gen_ai.response.tool_calls")
"""Vercel and Sentry put texts and tool calls of a response into separate attributes."""

TOOL_NAME: Final = ("gen_ai.tool.name", "tool.name", "ai.toolCall.name", "traceloop.entity.name")
TOOL_CALL: Final = ("gen_ai.tool.call.id", "ai.toolCall.id", "tool_call.id")
ARGUMENTS: Final = (
    *("gen_ai.tool.call.arguments", "ai.toolCall.args", "gcp.vertex.agent.tool_call_args"),
    *("tool_arguments", "gen_ai.tool.input", "tool.parameters"),
)
RESULT: Final = (
    *("gen_ai.tool.call.result", "ai.toolCall.result", "gcp.vertex.agent.tool_response"),
    *("tool_response", "gen_ai.tool.output"),
)
ANY: Final = {
    s.INPUT_MESSAGES: ("input.value", "traceloop.entity.input"),
    s.OUTPUT_MESSAGES: ("output.value", "traceloop.entity.output"),
}
"""Our name → generic attributes of OpenInference and OpenLLMetry."""

_CONTENT: Final = frozenset(
    {
        *(name for sources in SOURCES.values() for name, _ in sources),
        *(name for names in ANY.values() for name in names),
        *(*TEXTS, REASONING, *CALLS, *ARGUMENTS, *RESULT),
        *("ai.embedding", "ai.embeddings", "pydantic_ai.all_messages"),
        *("all_messages_events", "final_result", "gcp.vertex.agent.data"),
    }
)


def is_content(name: str) -> bool:
    """Whether a framework uses an attribute of that name for content."""
    return name in _CONTENT


def answer(attributes: Attributes) -> JSON:
    """One message from a response in several attributes, or None."""
    parts: list[JSON] = []
    if isinstance(thought := attributes.get(REASONING), str):
        parts.append({"type": "reasoning", "content": thought})
    texts = [attributes.get(name) for name in TEXTS]
    parts += [{"type": "text", "content": _first_text(t)} for t in texts if isinstance(t, str) if t]
    for name in CALLS:
        calls = parse(attributes[name]) if name in attributes else None
        found = calls if isinstance(calls, list) else ()
        parts += [{**call, "type": "tool-call"} for call in found if isinstance(call, dict)]
    return [{"role": "assistant", "parts": parts}] if parts else None


def _first_text(text: str) -> str:
    """Sentry's SDKs write a JSON list of one text."""
    listed = parse(text) if text.startswith('["') else None
    texts = [item for item in listed if isinstance(item, str)] if isinstance(listed, list) else []
    return "\n".join(texts) or text


def tool(name: str, attributes: Attributes) -> JSON:
    """Arguments or result of a tool as one message; None if the span has none."""
    if name not in ANY:
        return None
    called = name == s.INPUT_MESSAGES
    sources = (*(ARGUMENTS if called else RESULT), *ANY[name])
    value = next((attributes[each] for each in sources if attributes.get(each)), None)
    if value is None:
        return None
    parsed = parse(value)
    part: dict[str, JSON] = {
        "type": "tool_call" if called else "tool_call_response",
        "id": _first(attributes, TOOL_CALL),
        "name": _first(attributes, TOOL_NAME),
        "arguments" if called else "response": plain(value) if parsed is None else parsed,
    }
    return [{"role": "assistant" if called else "tool", "parts": [part]}]


def _first(attributes: Attributes, names: tuple[str, ...]) -> JSON:
    found = (attributes.get(name) for name in names)
    return next((value for value in found if isinstance(value, str)), None)
