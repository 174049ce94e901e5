"""Messages in the format of Datadog LLM Observability. Pure.

https://docs.datadoghq.com/llm_observability/instrumentation/api/#message (seen 2026-11-20)
"""

from litespan.export import JSON, GenAISpan, Message, Part, openai


def given(kind: str, span: GenAISpan) -> JSON:
    """`meta.input` of a span of this kind; None without content."""
    instructions, messages = span.system_instructions, span.input_messages
    every = (*((Message("system", instructions),) if instructions else ()), *(messages or ()))
    if kind == "embedding" and every:
        return {"documents": [{"text": message.text} for message in every]}
    return _io(kind, every, openai.input_of(span), "user")


def answered(kind: str, span: GenAISpan) -> JSON:
    """`meta.output` of a span of this kind; None without content."""
    every = span.output_messages or ()
    if kind == "retrieval" and every:
        return {"documents": [{"text": message.text} for message in every]}
    return _io(kind, every, openai.output_of(span), "assistant")


def _io(kind: str, messages: tuple[Message, ...], content: JSON, role: str) -> JSON:
    """Messages for model calls, one text for other spans."""
    if not messages:
        return None
    if kind == "llm":
        names = {call.id: call.name for message in messages for call in message.tool_calls}
        return {"messages": [each for message in messages for each in _messages(message, names)]}
    texts = [message.text for message in messages if message.role == role and message.text]
    return {"value": texts[-1] if texts else openai.text_of(content)}


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
    """The texts, with placeholders for referenced media."""
    texts = []
    for part in message.parts:
        if part.type == "text" and part.content:
            texts.append(part.content)
        elif part.type in ("uri", "file"):
            texts.append(f"[{part.modality or 'file'}: {part.uri or part.file_id}]")
    return "\n".join(texts)


def _tool_call(part: Part) -> JSON:
    name, tool_id = part.name or "", part.id or ""
    return {"name": name, "arguments": part.input, "tool_id": tool_id, "type": "function"}


def _tool_result(part: Part, names: dict[str | None, str | None]) -> JSON:
    result = openai.text_of(part.response)
    name = part.name or names.get(part.id) or ""
    return {"name": name, "result": result, "tool_id": part.id or "", "type": "tool_result"}
