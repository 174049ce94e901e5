"""Content in the format of OpenAI's API, which most services render best.

https://platform.openai.com/docs/api-reference/chat/create
"""

from collections.abc import Iterator, Sequence
from typing import Final

from litespan.genai.messages import Message, Part
from litespan.genai.span import GenAISpan
from litespan.objects import JSON, encoded

_PARAMETERS: Final = {
    "choice_count": "n",
    "stop_sequences": "stop",
    "reasoning_level": "reasoning_effort",
}
_FINISH: Final = {
    "tool_call": "tool_calls",
    "tool-calls": "tool_calls",  # Vercel
    "content-filter": "content_filter",
}
_ENUM: Final = "FinishReason."  # of Semantic Kernel and Google's SDK, as text
TOOL: Final = "execute_tool"


def parameters(span: GenAISpan) -> dict[str, JSON]:
    """The request parameters that were set, under OpenAI's names."""
    found: dict[str, JSON] = {}
    for name, value in span.request.parameters.items():
        plain: JSON = list(value) if isinstance(value, tuple) else value
        if name == "encoding_formats":
            found["encoding_format"] = plain[0] if isinstance(plain, list) and plain else plain
        else:
            found[_PARAMETERS.get(name, name)] = plain
    if span.request.dimensions is not None:
        found["dimensions"] = span.request.dimensions
    return found


def sent(span: GenAISpan) -> list[JSON] | None:
    """Input messages, instructions first; None if the span has no content."""
    instructions = span.system_instructions
    messages = span.input_messages
    if instructions is None and messages is None:
        return None
    system = (Message("system", instructions),) if instructions else ()
    return [shaped for each in (*system, *(messages or ())) for shaped in message(each)]


def received(span: GenAISpan) -> list[JSON] | None:
    """Output messages, one for each choice; None if the span has no content."""
    messages = span.output_messages
    return None if messages is None else [shaped for each in messages for shaped in message(each)]


def input_of(span: GenAISpan) -> JSON:
    """The arguments of a tool call, else the input messages."""
    if span.operation == TOOL:
        for each in span.input_messages or ():
            for call in each.tool_calls:
                return call.arguments
    return sent(span)


def output_of(span: GenAISpan) -> JSON:
    """The result of a tool call, else the output message, or a list of several."""
    if span.operation == TOOL:
        for each in span.output_messages or ():
            for answer in each.tool_responses:
                return answer.response
    messages = received(span)
    return messages[0] if messages and len(messages) == 1 else messages


def tools(span: GenAISpan) -> list[JSON] | None:
    """Definitions of the tools; None if the span has none."""
    if span.tool_definitions is None:
        return None
    return [
        {"type": "function", "function": {k: v for k, v in tool.to_json().items() if k != "type"}}
        for tool in span.tool_definitions
    ]


def finish_reason(span: GenAISpan, index: int, message: Message | None = None) -> str | None:
    """Finish reason of choice `index`: stop, length, tool_calls, content_filter."""
    reasons = span.response.finish_reasons
    reason = reasons[index] if index < len(reasons) else message and message.finish_reason
    if reason and reason.startswith(_ENUM):
        reason = reason.removeprefix(_ENUM).lower()
    return _FINISH.get(reason, reason) if reason else None


def message(message: Message) -> Iterator[JSON]:
    """A message in OpenAI's format; tool results become separate messages."""
    for part in message.tool_responses:
        yield {"role": "tool", "tool_call_id": part.id, "content": text_of(part.response)}
    parts = [p for p in message.parts if p.type not in _APART]
    calls = message.tool_calls
    if not parts and not calls and message.tool_responses:
        return
    shaped: dict[str, JSON] = {"role": message.role, "content": _content(parts)}
    if message.name is not None:
        shaped["name"] = message.name
    if message.reasoning:
        shaped["reasoning_content"] = message.reasoning
    if calls:
        shaped["tool_calls"] = [_tool_call(part) for part in calls]
    yield shaped


_APART: Final = ("tool_call", "tool_call_response", "reasoning")


def text_of(value: JSON) -> str:
    """Tool results or arguments as text: strings unchanged, anything else as JSON."""
    return value if isinstance(value, str) else encoded(value)


def data_uri(part: Part) -> str:
    """The bytes of a blob as a data URI."""
    return f"data:{part.mime_type or 'application/octet-stream'};base64,{part.content or ''}"


def _tool_call(part: Part) -> JSON:
    arguments = "{}" if part.arguments is None else text_of(part.arguments)
    function: JSON = {"name": part.name or "", "arguments": arguments}
    return {"id": part.id or "", "type": "function", "function": function}


def _content(parts: Sequence[Part]) -> JSON:
    """A string for one text part, null for no parts, else a list of parts."""
    if not parts:
        return None
    if len(parts) == 1 and parts[0].type == "text":
        return parts[0].content or ""
    return [_part(part) for part in parts]


def _part(part: Part) -> JSON:
    shaped: JSON
    match part.type, part.modality:
        case "text", _:
            shaped = {"type": "text", "text": part.content or ""}
        case "uri", ("image" | None):
            shaped = {"type": "image_url", "image_url": {"url": part.uri}}
        case "blob", "image":
            shaped = {"type": "image_url", "image_url": {"url": data_uri(part)}}
        case "blob", "audio":
            kind = (part.mime_type or "audio/wav").rpartition("/")[2]
            shaped = {"type": "input_audio", "input_audio": {"data": part.content, "format": kind}}
        case "blob", _:
            shaped = {"type": "file", "file": {"file_data": data_uri(part)}}
        case "file", _:
            shaped = {"type": "file", "file": {"file_id": part.file_id}}
        case _:
            shaped = part.to_json()
    return shaped
