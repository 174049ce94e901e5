"""Helicone: one custom log for each call.

https://docs.helicone.ai/getting-started/integration-method/custom (seen 2026-11-20), and the
source of the receiving worker: https://github.com/Helicone/helicone, `AsyncLog.ts`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Final

from litespan.export import (
    JSON,
    Answer,
    GenAISpan,
    HttpExporter,
    Item,
    Policy,
    Refusal,
    Usage,
    Variables,
    anthropic,
    dumps,
    known,
    openai,
)
from litespan_exporters.helicone.meta import header_value, meta

CANCELLED: Final = -3
"""Helicone's status of a stream that was not read to its end."""

_MAX_HEADERS: Final = 8000  # bytes; larger headers are sent in the body only


def path(span: GenAISpan) -> str:
    """The endpoint of the provider, whose parser and prices fit, else the custom one."""
    if span.operation in ("chat", "text_completion", "embeddings") and span.provider == "openai":
        return "/oai/v1/log"
    if span.operation == "chat" and span.provider == "anthropic":
        return "/anthropic/v1/log"
    return "/custom/v1/log"


def to_log(span: GenAISpan, named: Mapping[str, str] | None = None) -> dict[str, JSON]:
    """The body of one log. Pure.

    Args:
        span: the call.
        named: `meta(span)` if already computed.
    """
    named = meta(span) if named is None else named
    if is_free(span):
        span = replace(span, usage=_NOTHING)
    timing: dict[str, JSON] = {
        "startTime": _time(span.start_ns),
        "endTime": _time(span.end_ns or span.start_ns),
    }
    if (first := span.response.time_to_first_chunk) is not None and first >= 0:
        timing["timeToFirstToken"] = round(first * 1000)
    as_anthropic = path(span).startswith("/anthropic")
    request = anthropic.request(span) if as_anthropic else _request(span)
    answer: dict[str, JSON] = {
        "json": _error(span) or (anthropic.response(span) if as_anthropic else _response(span)),
        "status": status(span),
        "headers": _headers(span),
    }
    if span.cost.total is not None:
        answer["cost"] = span.cost.total
    return {
        "providerRequest": {"url": _url(span), "json": request, "meta": {**named}},
        "providerResponse": answer,
        "timing": timing,
    }


def is_free(span: GenAISpan) -> bool:
    """Whether LiteLLM answered from its cache.

    Helicone prices every log by its tokens and ignores a cost of 0. So cache hits are logged with 0
    tokens, as Helicone does for its own; properties have the real numbers.
    """
    return span.call.cache_hit is True and not span.cost.total


_NOTHING: Final = Usage(0, 0, None, None, None, None)


def status(span: GenAISpan) -> int:
    """200, the HTTP status of the error (default 500), or -3 for an unfinished stream."""
    if span.call.outcome in ("cancelled", "abandoned"):
        return CANCELLED
    if span.error is None:
        return 200
    code = span.error.code or 500
    return code if 400 <= code < 600 else 500


def _request(span: GenAISpan) -> dict[str, JSON]:
    # Without `stream`, which makes Helicone parse the response as server-sent events.
    body: dict[str, JSON] = {"model": span.request.model, **openai.parameters(span)}
    messages, tools = openai.sent(span), openai.tools(span)
    if messages is not None:
        if span.operation == "embeddings":
            body["input"] = [message.text for message in span.input_messages or ()]
        elif span.operation == "text_completion":
            body["prompt"] = "\n".join(message.text for message in span.input_messages or ())
        else:
            body["messages"] = messages
    return {**body, "tools": tools} if tools else body


def _response(span: GenAISpan) -> dict[str, JSON]:
    body: dict[str, JSON] = {"id": span.response.id} if span.response.id else {}
    usage = {"usage": _usage(span)} if span.usage.total is not None else {}
    if span.operation == "embeddings":
        return {**body, "object": "list", "model": span.model, "data": [], **usage}
    chat = span.operation != "text_completion"
    return {
        **body,
        "object": "chat.completion" if chat else "text_completion",
        "created": span.start_ns // 1_000_000_000,
        "model": span.model,
        "choices": _choices(span, chat),
        **usage,
    }


def _choices(span: GenAISpan, chat: bool) -> list[JSON]:
    messages = span.output_messages or ()
    shaped = openai.received(span) or []
    amount = max(len(shaped), len(span.response.finish_reasons))
    choices: list[JSON] = []
    for index in range(amount):
        source = messages[index] if index < len(messages) else None
        silent: JSON = {"role": "assistant", "content": None}
        content: JSON = source.text if source else ""
        if chat:
            content = shaped[index] if index < len(shaped) else silent
        reason = openai.finish_reason(span, index, source)
        choice: dict[str, JSON] = {"index": index, "finish_reason": reason}
        choices.append({**choice, "message" if chat else "text": content})
    return choices


def _usage(span: GenAISpan) -> dict[str, JSON]:
    used = span.usage
    prompt = {"cached_tokens": used.cache_read, "audio_tokens": used.audio_input}
    completion = {"reasoning_tokens": used.reasoning, "audio_tokens": used.audio_output}
    counts = {
        "prompt_tokens": used.input,
        "completion_tokens": used.output,
        "total_tokens": used.total,
        "prompt_tokens_details": known(prompt) or None,
        "completion_tokens_details": known(completion) or None,
    }
    return known(counts)


def _error(span: GenAISpan) -> dict[str, JSON] | None:
    if span.error is None:
        return None
    error: dict[str, JSON] = {
        "message": span.error.message or span.error.type,
        "type": span.error.type,
        "code": span.error.code,
    }
    return {"error": error}


def _headers(span: GenAISpan) -> dict[str, JSON]:
    headers: dict[str, JSON] = {"content-type": "application/json"}
    if span.call.provider_request_id:
        headers["x-request-id"] = header_value(span.call.provider_request_id)
    return headers


_OPENAI_PATHS: Final = {"embeddings": "embeddings", "text_completion": "completions"}


def _url(span: GenAISpan) -> str:
    endpoint = path(span)
    if endpoint == "/oai/v1/log":
        return f"https://api.openai.com/v1/{_OPENAI_PATHS.get(span.operation, 'chat/completions')}"
    if endpoint == "/anthropic/v1/log":
        return "https://api.anthropic.com/v1/messages"
    host = span.request.server_address
    return f"https://{host}" if host else "custom-model-nopath"


def _time(ns: int) -> JSON:
    seconds, rest = divmod(max(ns, 0), 1_000_000_000)
    return {"seconds": seconds, "milliseconds": rest // 1_000_000}


class HeliconeExporter(HttpExporter):
    """Sends model calls to Helicone.

    Reads HELICONE_API_KEY, HELICONE_API_BASE.
    """

    name: ClassVar[str] = "helicone"
    variables = Variables(
        keys=("HELICONE_API_KEY",),
        url=("HELICONE_API_BASE",),
        default_url="https://api.worker.helicone.ai",
    )
    policy = Policy(max_items=1, max_bytes=10 * 1024 * 1024, concurrency=8)
    hints: ClassVar[Mapping[str, str]] = {"400": "Helicone cannot read the log"}

    def __init__(
        self, api_key: str | None = None, base_url: str | None = None, **limits: Any
    ) -> None:
        """Arguments take precedence over the environment.

        Args:
            api_key: default HELICONE_API_KEY.
            base_url: default HELICONE_API_BASE, else https://api.worker.helicone.ai.
            limits: fields of `Policy`.
        """
        super().__init__(**limits)
        keys, base = self.credentials(api_key=api_key), self.base_url(base_url)
        if keys and base:
            self.connect(base, {"Authorization": keys[0].bearer()})

    def item(self, span: GenAISpan) -> Item | None:
        """One log for each model call; none for agents and tools."""
        if not span.is_call:
            return None
        # The worker reads them from the body, other Helicone servers from the headers.
        named = meta(span)
        fits = sum(map(len, named)) + sum(map(len, named.values())) <= _MAX_HEADERS
        headers = tuple(named.items()) if fits else ()
        return Item(span.key_text, dumps(to_log(span, named)), path(span), headers)

    def encode(self, items: Sequence[Item]) -> bytes:
        """The only log of the request."""
        return bytes(items[0].data)

    def refusals(self, answer: Answer, items: Sequence[Item]) -> Iterable[Refusal]:
        """A 200 can contain `{"error": …}`."""
        if error := answer.fields.get("error"):
            yield Refusal(str(error), count=len(items))
