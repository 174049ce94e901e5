"""Messages in the shape of Datadog LLM Observability. Pure.

https://docs.datadoghq.com/llm_observability/instrumentation/api/#message (seen 2026-11-20)
"""

from litespan.export import Message, Part, openai
from litespan.export.values import JSON


def io(
    kind: str, messages: tuple[Message, ...] | None, instructions: tuple[Part, ...] | None
) -> JSON:
    """`meta.input` or `meta.output` of a span of this kind; None without content."""
    if not messages and not instructions:
        return None
    every = (*((Message("system", instructions),) if instructions else ()), *(messages or ()))
    if kind == "embedding":
        return {"documents": [{"text": message.text} for message in every]}
    names = {call.id: call.name for message in every for call in message.tool_calls}
    return {"messages": [shaped for message in every for shaped in _messages(message, names)]}


def _messages(message: Message, names: dict[str | None, str | None]) -> list[JSON]:
    found: list[JSON] = []
    if message.reasoning:
        found.append({"role": "reasoning", "content": message.reasoning})
    shaped: dict[str, JSON] = {"role": message.role, "content": _content(message)}
    if calls := message.tool_calls:
        shaped["tool_calls"] = [_tool_call(part) for part in calls]
    if results := message.tool_responses:
        shaped["tool_results"] = [_tool_result(part, names) for part in results]
    for modality in ("image", "audio"):
        blobs = [p for p in message.parts if p.type == "blob" and p.modality == modality]
        if blobs:
            shaped[f"{modality}_parts"] = [_blob(part) for part in blobs]
    return [*found, shaped]


def _blob(part: Part) -> JSON:
    return {"mime_type": part.mime_type or f"{part.modality}/*", "content": part.content or ""}


def _content(message: Message) -> str:
    """The texts, and a word for each thing that is elsewhere."""
    texts = []
    for part in message.parts:
        if part.type == "text" and part.content:
            texts.append(part.content)
        elif part.type in ("uri", "file"):
            texts.append(f"[{part.modality or 'file'}: {part.uri or part.file_id}]")
    return "\n".join(texts)


def _tool_call(part: Part) -> JSON:
    arguments: JSON = {} if part.arguments is None else {"value": part.arguments}
    if isinstance(part.arguments, dict):
        arguments = part.arguments
    name, tool_id = part.name or "", part.id or ""
    return {"name": name, "arguments": arguments, "tool_id": tool_id, "type": "function"}


def _tool_result(part: Part, names: dict[str | None, str | None]) -> JSON:
    result = openai.text_of(part.response)
    name = part.name or names.get(part.id) or ""
    return {"name": name, "result": result, "tool_id": part.id or "", "type": "tool_result"}
