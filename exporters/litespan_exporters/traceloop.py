"""Traceloop over OTLP, with the OpenLLMetry attributes that it reads.

https://www.traceloop.com/docs/openllmetry/integrations/traceloop (seen 2026-11-20); names:
https://github.com/traceloop/openllmetry, opentelemetry-semantic-conventions-ai 0.5.1.
"""

from collections.abc import Mapping
from typing import Any, ClassVar, Final

from opentelemetry.util.re import parse_env_headers

from litespan import semconv as s
from litespan.export import (
    GenAISpan,
    OtlpExporter,
    Policy,
    Secret,
    Variables,
    known,
    openai,
    renamed_attributes,
    without_content,
)

PATH: Final = "/v1/traces"
TYPES: Final = {
    "chat": "chat",
    "generate_content": "chat",
    "text_completion": "completion",
    "embeddings": "embedding",
    "rerank": "rerank",
}
"""Operation → `llm.request.type`; `unknown` for other model calls."""

ASSOCIATION: Final = "traceloop.association.properties."


def attributes(span: GenAISpan) -> dict[str, Any]:
    """Attributes to add to Traceloop's copy of the span. Pure."""
    identity, used = span.identity, span.usage
    ids = {
        "user_id": identity.user,
        "session_id": identity.session,
        "customer_id": identity.end_user_id,
    }
    return {
        **renamed_attributes(span),
        **{
            ASSOCIATION + name: value for name, value in {**identity.metadata, **known(ids)}.items()
        },
        s.FOR_SYSTEM: span.provider,
        "llm.request.type": TYPES.get(span.operation, "unknown") if span.is_call else None,
        "llm.usage.total_tokens": used.total,
        s.TOTAL_TOKENS: used.total,
        s.FOR_REASONING_TOKENS: used.reasoning,
        s.FOR_IS_STREAMING: span.request.stream,
        s.FOR_USER: identity.user,
        s.FOR_FINISH_REASON: openai.finish_reason(span, 0),
        "traceloop.prompt.key": span.request.prompt_name,
        "traceloop.prompt.version_name": span.request.prompt_version,
    }


class TraceloopExporter(OtlpExporter):
    """Sends GenAI spans to Traceloop.

    Reads TRACELOOP_API_KEY, TRACELOOP_BASE_URL. Also TRACELOOP_HEADERS, TRACELOOP_TRACE_CONTENT
    and TRACELOOP_TRACING_ENABLED.
    """

    name: ClassVar[str] = "traceloop"
    variables = Variables(
        keys=("TRACELOOP_API_KEY",),
        url=("TRACELOOP_BASE_URL",),
        default_url="https://api.traceloop.com",
    )
    policy = Policy(split=frozenset({400, 413}))

    def __init__(
        self,
        api_key: str | None = None,
        base_url: str | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        content: bool | None = None,
        **limits: Any,
    ) -> None:
        """Arguments take precedence over the environment.

        Args:
            api_key: default TRACELOOP_API_KEY.
            base_url: default TRACELOOP_BASE_URL, else https://api.traceloop.com.
            headers: replace the header with the key; default TRACELOOP_HEADERS.
            content: False excludes captured content; default TRACELOOP_TRACE_CONTENT.
            limits: fields of `Policy`.
        """
        super().__init__(**limits)
        self.content = (
            self.flag("TRACELOOP_TRACE_CONTENT", default=True) if content is None else content
        )
        if not self.flag("TRACELOOP_TRACING_ENABLED", default=True):
            self.disable("TRACELOOP_TRACING_ENABLED is false", "unset it to send")
            return
        own = headers or parse_env_headers(self.variable("TRACELOOP_HEADERS"), liberal=True)
        sent = {name: Secret(value) for name, value in own.items()}
        if not sent and (keys := self.credentials(api_key=api_key)):
            sent = {"Authorization": keys[0].bearer()}
        url = base_url or self.variable("TRACELOOP_BASE_URL")
        if url and not url.startswith(("http://", "https://")):  # as Traceloop's SDK reads it
            self.disable("TRACELOOP_BASE_URL is a gRPC address", "use the http(s) URL")
        elif sent and (base := self.base_url(url)):
            self.connect(base.removesuffix(PATH) + PATH, sent)

    def attributes(self, span: GenAISpan) -> Mapping[str, Any]:
        """Attributes to add to the copy; removes content if configured."""
        return {**attributes(span), **({} if self.content else without_content(span))}
