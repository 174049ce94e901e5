"""Content in the format of Anthropic's API.

https://docs.anthropic.com/en/api/messages
"""

from collections.abc import Iterable
from typing import Final

from litespan.genai import openai
from litespan.genai.messages import Part, ToolDefinition
from litespan.genai.span import GenAISpan
from litespan.objects import JSON

_INSTRUCTIONS: Final = frozenset({"system", "developer"})  # roles that belong into `system`
_STOP: Final = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "tool_call": "tool_use",
    "content_filter": "refusal",
}


def request(span: GenAISpan) -> dict[str, JSON]:
    """The request body, as far as the span has it."""
    body = openai.parameters(span)
    body["model"] = span.request.model
    if "stop" in body:
        body["stop_sequences"] = body.pop("stop")
    messages, instructions = span.input_messages, list(span.system_instructions or ())
    if messages is not None:
        instructions += [p for m in messages if m.role in _INSTRUCTIONS for p in m.parts]
        body["messages"] = [
            {"role": "assistant" if m.role == "assistant" else "user", "content": _blocks(m.parts)}
            for m in messages
            if m.role not in _INSTRUCTIONS
        ]
    if instructions:
        body["system"] = "\n".join(part.content or "" for part in instructions)
    if span.tool_definitions is not None:
        body["tools"] = [_tool(tool) for tool in span.tool_definitions]
    return body


def response(span: GenAISpan) -> dict[str, JSON]:
    """The response body, as far as the span has it."""
    messages = span.output_messages or ()
    reason = openai.finish_reason(span, 0, messages[0] if messages else None)
    body: dict[str, JSON] = {
        "type": "message",
        "role": "assistant",
        "model": span.model,
        "content": _blocks(part for message in messages for part in message.parts),
        "stop_reason": _STOP.get(reason, reason) if reason else None,
        "usage": usage(span),
    }
    return {"id": span.response.id, **body} if span.response.id else body


def usage(span: GenAISpan) -> dict[str, JSON]:
    """Tokens as Anthropic counts them: no count includes another.

    `input_tokens` excludes cached tokens. Cache writes of unknown duration count as five minutes,
    Anthropic's default.
    """
    used = span.usage
    if used.total is None:
        return {}
    read, written = used.cache_read or 0, used.cache_creation or 0
    hour = min(used.cache_creation_1h or 0, written)
    durations: dict[str, JSON] = {
        "ephemeral_5m_input_tokens": written - hour,
        "ephemeral_1h_input_tokens": hour,
    }
    return {
        "input_tokens": max((used.input or 0) - read - written, 0),
        "output_tokens": used.output or 0,
        "cache_read_input_tokens": read,
        "cache_creation_input_tokens": written,
        "cache_creation": durations,
    }


def _blocks(parts: Iterable[Part]) -> list[JSON]:
    return [_block(part) for part in parts]


def _block(part: Part) -> JSON:
    shaped: JSON
    match part.type, part.modality:
        case "text", _:
            shaped = {"type": "text", "text": part.content or ""}
        case "reasoning", _:
            shaped = {"type": "thinking", "thinking": part.content or ""}
        case "tool_call", _:
            shaped = {"type": "tool_use", "id": part.id, "name": part.name, "input": part.input}
        case "tool_call_response", _:
            result = openai.text_of(part.response)
            shaped = {"type": "tool_result", "tool_use_id": part.id, "content": result}
        case "uri", ("image" | None):
            shaped = {"type": "image", "source": {"type": "url", "url": part.uri}}
        case "blob", "image":
            data = {"type": "base64", "media_type": part.mime_type, "data": part.content}
            shaped = {"type": "image", "source": {**data}}
        case _:
            shaped = part.to_json()
    return shaped


def _tool(tool: ToolDefinition) -> JSON:
    shaped: dict[str, JSON] = {"name": tool.name, "input_schema": tool.parameters}
    return {**shaped, "description": tool.description} if tool.description else shaped
