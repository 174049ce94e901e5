"""Datadog LLM Observability over OTLP, with the attributes that its converter reads.

https://docs.datadoghq.com/llm_observability/instrumentation/otel_instrumentation/ (seen
2026-11-20). The `datadog` exporter sends more: over OTLP, cached and reasoning tokens, time to the
first chunk and costs have no fields and are sent as metadata.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Final

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import Status, StatusCode

from litespan import semconv as s
from litespan.export import (
    GenAISpan,
    Item,
    OtlpExporter,
    Policy,
    Variables,
    is_router,
    is_valid,
    item_of,
    known,
    plain,
    renamed_attributes,
    suppress_errors,
    to_text,
)
from litespan.genai.ancestors import Ancestors, SpanIds, Summary, ids_of
from litespan_exporters.datadog import program, site_of
from litespan_exporters.datadog.span import RESERVED
from litespan_exporters.datadog.span import ml_app as app_of
from litespan_exporters.datadog.workflow import named

PATH: Final = "/v1/traces"


def attributes(span: GenAISpan) -> dict[str, Any]:
    """Attributes that Datadog's converter reads besides the GenAI conventions. Pure."""
    used, cost = span.usage, span.cost
    metadata = {k: v for k, v in span.identity.metadata.items() if k not in RESERVED}
    own = {
        "litellm_call_id": span.call.id,
        "outcome": span.call.outcome,
        "stream": span.request.stream or None,
        "total_cost": cost.total,
        "input_cost": cost.input,
        "output_cost": cost.output,
        "cache_read_input_tokens": used.cache_read,
        "cache_write_input_tokens": used.cache_creation,
        "reasoning_output_tokens": used.reasoning,
        "time_to_first_token": span.response.time_to_first_chunk,
    }
    return {
        **renamed_attributes(span),
        s.PROVIDER: (span.provider or "unknown").lower(),
        s.RESPONSE_MODEL: span.model,
        s.CONVERSATION_ID: span.identity.session,
        s.TOTAL_TOKENS: used.total,
        s.DATADOG_COST: cost.total,
        s.USER_ID: span.identity.user,
        "_dd.ml_obs.metadata": to_text(plain({**metadata, **known(own)})),
    }


class DatadogOtlpExporter(OtlpExporter):
    """Sends GenAI spans to Datadog LLM Observability over OTLP.

    Reads DD_API_KEY, DD_SITE. Also DD_LLMOBS_ML_APP, DD_SERVICE, DD_ENV, DD_VERSION and
    DD_LLMOBS_OVERRIDE_ORIGIN.
    """

    name: ClassVar[str] = "datadog_otlp"
    shows_routers: ClassVar[bool] = True
    variables = Variables(keys=("DD_API_KEY",), url=("DD_LLMOBS_OVERRIDE_ORIGIN",))
    policy = Policy(max_bytes=15 * 1024 * 1024, split=frozenset({400, 413}))
    hints: ClassVar[Mapping[str, str]] = {
        "403": "forbidden: check DD_API_KEY, and that DD_SITE matches it",
    }

    def __init__(
        self,
        api_key: str | None = None,
        site: str | None = None,
        base_url: str | None = None,
        *,
        ml_app: str | None = None,
        service: str | None = None,
        env: str | None = None,
        version: str | None = None,
        **limits: Any,
    ) -> None:
        """Arguments take precedence over the environment.

        Args:
            api_key: default DD_API_KEY.
            site: default DD_SITE, else datadoghq.com.
            base_url: of the intake; default DD_LLMOBS_OVERRIDE_ORIGIN, else by site.
            ml_app: the application; default DD_LLMOBS_ML_APP, DD_SERVICE, `service.name`.
            service: default DD_SERVICE, else `service.name`.
            env: default DD_ENV, else the resource's deployment environment.
            version: default DD_VERSION, else `service.version`.
            limits: fields of `Policy`.
        """
        super().__init__(**limits)
        self.program = program(self.env, ml_app=ml_app, service=service, env=env, version=version)
        self.site = site_of(site or self.variable("DD_SITE"))
        self.ancestors = Ancestors(lambda span, summary, _: summary is not None and is_router(span))
        own = {
            s.SERVICE_NAME: self.program.service,
            s.ENVIRONMENT: self.program.env,
            s.SERVICE_VERSION: self.program.version,
            "dd_llmobs_enabled": "true",  # converts; a string, as in OTEL_RESOURCE_ATTRIBUTES
        }
        self.resource = Resource(known(own))
        keys = self.credentials(api_key=api_key)
        base = self.base_url(base_url, f"https://otlp.{self.site}")
        if keys and base:
            app = self.program.ml_app or self.program.service
            named = {"dd-ml-app": app_of(app)} if app else {}
            self.connect(base + PATH, {"dd-api-key": keys[0], "dd-otlp-source": "llmobs", **named})

    def attributes(self, span: GenAISpan) -> Mapping[str, Any]:
        """Attributes to add to the copy."""
        return attributes(span)

    def items(self, spans: Sequence[ReadableSpan]) -> Iterator[Item]:
        """GenAI spans, and router spans as workflows above their attempts."""
        summaries: dict[SpanIds, Summary] = {}
        for item in super().items(spans):
            summaries[ids_of(item.data.context)] = _summary(item.data)
            yield item
        lineage = self.ancestors.find(list(filter(is_valid, spans)), summaries)
        for key, summary in lineage.kept.items():
            with suppress_errors("export.datadog_otlp.mapping"):
                span = named(lineage.ended[key], _call_attributes(summary))
                if (view := GenAISpan.read(span)) is not None:
                    yield item_of(self.copy(span, view))

    def copy(self, span: ReadableSpan, view: GenAISpan, **fields: Any) -> ReadableSpan:
        """The enriched copy. Its status is never OK, which Datadog treats as an error."""
        if span.status.status_code is StatusCode.OK:
            fields["status"] = Status()
        return super().copy(span, view, **fields)


def _summary(copy: ReadableSpan) -> Summary:
    fields = copy.attributes or {}
    names = (s.INPUT_MESSAGES, s.OUTPUT_MESSAGES, s.CONVERSATION_ID)
    texts = [value if isinstance(value := fields.get(name), str) else None for name in names]
    inputs, outputs, session = texts
    return Summary(copy.start_time or 0, copy.end_time or 0, inputs, outputs, session=session)


def _call_attributes(summary: Summary | None) -> dict[str, Any]:
    if summary is None:
        return {}
    fields = {s.INPUT_MESSAGES: summary.input, s.OUTPUT_MESSAGES: summary.output}
    return {**fields, s.SESSION_ID: summary.session}
