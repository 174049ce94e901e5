"""Attributes for services that do not read all of the GenAI conventions."""

from collections.abc import Sequence
from typing import Any, Final

from litespan import semconv as s
from litespan.export import GenAISpan, known, openai, plain, renamed_attributes, to_text

_KINDS: Final = {
    "embeddings": "EMBEDDING",
    "rerank": "RERANKER",
    "retrieval": "RETRIEVER",
    "execute_tool": "TOOL",
    "invoke_agent": "AGENT",
    "create_agent": "AGENT",
}
"""Operation → `openinference.span.kind`; LLM for other model calls, else CHAIN."""
_JSON_TYPE: Final = "application/json"


def openinference(span: GenAISpan) -> dict[str, Any]:
    """Attributes of OpenInference. Pure.

    https://github.com/Arize-ai/openinference/blob/main/spec/semantic_conventions.md
    """
    used, cost, who = span.usage, span.cost, span.identity
    sent, received = openai.sent(span), openai.received(span)
    parameters = openai.parameters(span)
    kind = _KINDS.get(span.operation, "LLM" if span.is_call else "CHAIN")
    embedding = kind == "EMBEDDING"
    model = "embedding" if embedding else "llm"
    texts = (span.input_messages or ()) if embedding else ()
    return {
        **renamed_attributes(span),
        "openinference.span.kind": kind,
        f"{model}.model_name": span.model,
        "llm.provider": span.provider,
        "llm.invocation_parameters": to_text(parameters) if parameters else None,
        "llm.token_count.prompt": used.input,
        "llm.token_count.completion": used.output,
        "llm.token_count.total": used.total,
        "llm.token_count.prompt_details.cache_read": used.cache_read,
        "llm.token_count.prompt_details.cache_write": used.cache_creation,
        "llm.token_count.completion_details.reasoning": used.reasoning,
        "llm.cost.total": cost.total,
        "llm.cost.prompt": cost.input,
        "llm.cost.completion": cost.output,
        "user.id": who.user,
        "session.id": who.session,
        "tag.tags": list(who.tags) or None,
        "metadata": to_text(plain(who.metadata)) if who.metadata else None,
        **_value("input", openai.input_of(span)),
        **_value("output", openai.output_of(span)),
        **_messages("llm.input_messages", sent if span.is_call and not embedding else None),
        **_messages("llm.output_messages", received if span.is_call else None),
        **{
            f"llm.tools.{index}.tool.json_schema": to_text(tool)
            for index, tool in enumerate(openai.tools(span) or ())
        },
        **{
            f"embedding.embeddings.{index}.embedding.text": text.text
            for index, text in enumerate(texts)
        },
    }


def _value(name: str, value: Any) -> dict[str, Any]:
    """A whole input or output as text."""
    if value is None:
        return {}
    text = isinstance(value, str)
    return {
        f"{name}.value": value if text else to_text(value),
        f"{name}.mime_type": "text/plain" if text else _JSON_TYPE,
    }


def _messages(prefix: str, messages: Sequence[Any] | None) -> dict[str, Any]:
    """Messages as flat attributes with an index."""
    flat: dict[str, Any] = {}
    for index, message in enumerate(messages or ()):
        at = f"{prefix}.{index}.message"
        content = message.get("content")
        flat[f"{at}.role"] = message["role"]
        flat[f"{at}.name"] = message.get("name")
        flat[f"{at}.tool_call_id"] = message.get("tool_call_id")
        if isinstance(content, list):
            flat |= _parts(f"{at}.contents", content)
        else:
            flat[f"{at}.content"] = content
        for number, call in enumerate(message.get("tool_calls", ())):
            to = f"{at}.tool_calls.{number}.tool_call"
            flat[f"{to}.id"] = call["id"]
            flat[f"{to}.function.name"] = call["function"]["name"]
            flat[f"{to}.function.arguments"] = call["function"]["arguments"]
    return flat


def _parts(prefix: str, parts: Sequence[Any]) -> dict[str, Any]:
    """Text and images of a message with several parts; anything else as JSON text."""
    flat: dict[str, Any] = {}
    for index, part in enumerate(parts):
        at = f"{prefix}.{index}.message_content"
        if part.get("type") == "image_url":
            flat[f"{at}.type"] = "image"
            flat[f"{at}.image.image.url"] = part["image_url"].get("url")
        else:
            flat[f"{at}.type"] = "text"
            flat[f"{at}.text"] = part["text"] if part.get("type") == "text" else to_text(part)
    return flat


def langtrace(span: GenAISpan) -> dict[str, Any]:
    """Attributes that Langtrace reads besides the GenAI conventions. Pure."""
    sent, received = openai.sent(span), openai.received(span)
    used = span.usage
    return {
        **renamed_attributes(span),
        "langtrace.service.name": span.provider,
        "llm.model": span.request.model,
        "llm.stream": span.request.stream,
        "llm.token.counts.prompt": used.input,
        "llm.token.counts.completion": used.output,
        "llm.token.counts.total": used.total,
        "llm.prompts": None if sent is None else to_text(sent),
        "llm.completions": None if received is None else to_text(received),
    }


def braintrust(span: GenAISpan) -> dict[str, Any]:
    """Attributes of Braintrust's own: input, output, metadata and tags. Pure.

    https://www.braintrust.dev/docs/integrations/sdk-integrations/opentelemetry
    """
    given, made = openai.input_of(span), openai.output_of(span)
    ids = known({"user_id": span.identity.user, "session_id": span.identity.session})
    metadata = {**span.identity.metadata, **ids}
    return {
        **renamed_attributes(span),
        "braintrust.input_json": None if given is None else to_text(given),
        "braintrust.output_json": None if made is None else to_text(made),
        "braintrust.metadata": to_text(plain(metadata)) if metadata else None,
        "braintrust.tags": list(span.identity.tags) or None,
    }


def langsmith(span: GenAISpan) -> dict[str, Any]:
    """OpenInference, and LangSmith's own names of kind, session, tags and metadata. Pure.

    https://docs.langchain.com/langsmith/trace-with-opentelemetry
    """
    who = span.identity
    kinds = {"embeddings": "embedding", "execute_tool": "tool", "retrieval": "retriever"}
    return {
        **openinference(span),
        s.FOR_SYSTEM: span.provider,
        "langsmith.span.kind": kinds.get(span.operation, "llm" if span.is_call else "chain"),
        "langsmith.trace.session_id": who.session,
        "langsmith.span.tags": ",".join(who.tags) or None,
        **{f"langsmith.metadata.{name}": value for name, value in who.metadata.items()},
    }


def opik(span: GenAISpan) -> dict[str, Any]:
    """OpenInference, and Opik's own names of thread and tags. Pure.

    https://www.comet.com/docs/opik/integrations/opentelemetry
    """
    who = span.identity
    return {
        **openinference(span),
        "thread_id": who.session,
        "opik.tags": ",".join(who.tags) or None,
    }


def weave(span: GenAISpan) -> dict[str, Any]:
    """OpenInference, and Weave's own names of thread and title. Pure.

    https://docs.wandb.ai/weave/guides/tracking/otel
    """
    session = span.identity.session
    return {
        **openinference(span),
        "wandb.thread_id": session,
        "wandb.is_turn": True if session else None,
    }
