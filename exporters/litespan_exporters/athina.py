"""Athina: one inference for each call.

https://docs.athina.ai/api-reference/logging/log-llm-inference (seen 2026-11-20); fields as in
athina-logger 1.3.0. Athina has no field for errors: they go into `custom_attributes`.
"""

from collections.abc import Sequence
from typing import Any, ClassVar, Final

from litespan.export import (
    JSON,
    GenAISpan,
    HttpExporter,
    Item,
    Policy,
    Variables,
    dumps,
    known,
    openai,
    scalar_attributes,
    to_scalar,
)

PATH: Final = "/api/v1/log/inference"

PASSED_ON: Final = (
    "environment",
    "prompt_slug",
    "customer_id",
    "customer_user_id",
    "session_id",
    "external_reference_id",
    "context",
    "expected_response",
    "user_query",
)
"""Metadata keys that become fields of Athina, as in LiteLLM's own callback."""

_OPTIONS: Final = {
    "temperature": "temperature",
    "max_tokens": "max_completion_tokens",
    "stop": "stop",
    "top_p": "top_p",
}


def to_inference(span: GenAISpan, environment: str | None = None) -> dict[str, JSON]:
    """The body of one inference. Pure.

    Args:
        span: a model call.
        environment: default the resource's, else `production`.
    """
    identity, used = span.identity, span.usage
    failed = span.error is not None
    fields: dict[str, JSON] = {
        "prompt": openai.sent(span),
        "response": None if failed else _response(span),
        "language_model_id": span.model,
        "environment": environment or span.service.environment or "production",
        "tools": openai.tools(span),
        "tool_calls": None if failed else _tool_calls(span),
        "external_reference_id": span.call.id or span.key_text,
        "customer_id": identity.team_id or identity.organization_id,
        "customer_user_id": identity.user or identity.end_user_id,
        "session_id": identity.session,
        "user_query": _query(span),
        "prompt_tokens": None if failed else used.input,
        "completion_tokens": None if failed else used.output,
        "total_tokens": None if failed else used.total,
        "response_time": None if span.duration is None else round(span.duration * 1000),
        "cost": span.cost.total,
        "model_options": _model_options(span),
        "custom_attributes": custom_attributes(span),
    }
    for name in PASSED_ON:
        if (value := identity.metadata.get(name)) is not None:
            fields[name] = str(to_scalar(value))
    return known(fields)


def custom_attributes(span: GenAISpan) -> dict[str, JSON]:
    """Data without a field of its own, including the error."""
    error = span.error
    own: dict[str, Any] = {
        "provider": span.provider,
        "trace_id": span.trace_id,
        "span_id": span.span_id,
        "key": span.key_text,
        "status": "error" if error else span.call.outcome,
        "error_type": error.type if error else None,
        "error_message": error.message if error else None,
        "error_code": error.code if error else None,
        "service": span.service.name,
        "service_version": span.service.version,
    }
    return scalar_attributes(span, own)


def _response(span: GenAISpan) -> JSON:
    """The response in OpenAI's format, which Athina evaluates; None without content."""
    messages = openai.received(span)
    if messages is None:
        return None
    sources = (*(span.output_messages or ()), *[None] * len(messages))
    return {
        "choices": [
            {
                "index": index,
                "finish_reason": openai.finish_reason(span, index, sources[index]),
                "message": message,
            }
            for index, message in enumerate(messages)
        ]
    }


def _tool_calls(span: GenAISpan) -> JSON:
    found: list[JSON] = []
    for message in openai.received(span) or ():
        calls = message.get("tool_calls") if isinstance(message, dict) else None
        found += calls if isinstance(calls, list) else []
    return found or None


def _query(span: GenAISpan) -> str | None:
    texts = [m.text for m in span.input_messages or () if m.role == "user" and m.text]
    return texts[-1] if texts else None


def _model_options(span: GenAISpan) -> JSON:
    given = openai.parameters(span)
    options = {new: given.pop(old) for old, new in _OPTIONS.items() if old in given}
    if given:
        options["extra_options"] = given
    return options or None


class AthinaExporter(HttpExporter):
    """Sends model calls to Athina.

    Reads ATHINA_API_KEY, ATHINA_BASE_URL.
    """

    name: ClassVar[str] = "athina"
    variables = Variables(
        keys=("ATHINA_API_KEY",),
        url=("ATHINA_BASE_URL",),
        default_url="https://log.athina.ai",
    )
    policy = Policy(max_items=1, concurrency=4)

    def __init__(
        self,
        api_key: str | None = None,
        base_url: str | None = None,
        *,
        environment: str | None = None,
        **limits: Any,
    ) -> None:
        """Arguments take precedence over the environment.

        Args:
            api_key: default ATHINA_API_KEY.
            base_url: default ATHINA_BASE_URL, else https://log.athina.ai.
            environment: default the resource's, else `production`.
            limits: fields of `Policy`.
        """
        super().__init__(**limits)
        self.environment = environment
        keys, base = self.credentials(api_key=api_key), self.base_url(base_url)
        if keys and base:
            self.connect(base.removesuffix(PATH) + PATH, {"athina-api-key": keys[0]})

    def item(self, span: GenAISpan) -> Item | None:
        """One inference for each model call; none for agents and tools."""
        if not span.is_call:
            return None
        return Item(span.key_text, dumps(to_inference(span, self.environment)))

    def encode(self, items: Sequence[Item]) -> bytes:
        """The only inference of the request."""
        return bytes(items[0].data)
