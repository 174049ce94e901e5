"""Datadog LLM Observability by OTLP, with the attributes that its converter reads.

https://docs.datadoghq.com/llm_observability/instrumentation/otel_instrumentation/ (seen
2026-11-20). The `datadog` exporter carries more: tokens of caches and reasoning, the first
chunk's time and costs have no field here, and travel as metadata.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Final

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import Status, StatusCode

from litespan import semconv as s
from litespan.export import (
    JSON,
    GenAISpan,
    Item,
    OtlpExporter,
    Policy,
    Variables,
    copy_of,
    is_router,
    is_valid,
    item_of,
    renamed_attributes,
    suppress_errors,
    to_text,
)
from litespan.genai.ancestors import Ancestors, Descendants, SpanIds, ids_of
from litespan_exporters.datadog import program, site_of
from litespan_exporters.datadog.span import ml_app as app_of
from litespan_exporters.datadog.workflow import named

PATH: Final = "/v1/traces"
_RESERVED: Final = frozenset({"model_name", "model_provider"})


def attributes(span: GenAISpan) -> dict[str, Any]:
    """What Datadog's converter reads beyond the GenAI conventions. Pure."""
    used, cost = span.usage, span.cost
    theirs = {k: v for k, v in span.identity.metadata.items() if k not in _RESERVED}
    ours = {
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
    known = {key: value for key, value in ours.items() if value is not None}
    told: dict[str, JSON] = {
        key: [*value] if isinstance(value, tuple) else value
        for key, value in {**theirs, **known}.items()
    }
    return {
        **renamed_attributes(span),
        s.PROVIDER: (span.provider or "unknown").lower(),
        s.RESPONSE_MODEL: span.model,
        s.CONVERSATION_ID: span.identity.session,
        s.TOTAL_TOKENS: used.total,
        s.DATADOG_COST: cost.total,
        s.USER_ID: span.identity.user,
        "_dd.ml_obs.metadata": to_text(told),
    }


class DatadogOtlpExporter(OtlpExporter):
    """Sends GenAI spans to Datadog LLM Observability by OTLP.

    Reads DD_API_KEY, DD_SITE. Also DD_LLMOBS_ML_APP, DD_SERVICE, DD_ENV, DD_VERSION and
    DD_LLMOBS_OVERRIDE_ORIGIN.
    """

    name: ClassVar[str] = "datadog_otlp"
    shows_routers: ClassVar[bool] = True
    variables = Variables(keys=("DD_API_KEY",), url=("DD_LLMOBS_OVERRIDE_ORIGIN",))
    policy = Policy(max_bytes=15 * 1024 * 1024, split=frozenset({400, 413}))
    hints: ClassVar[Mapping[str, str]] = {
        "403": "forbidden: check DD_API_KEY, and that DD_SITE is the key's site",
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
        """Arguments win over the environment.

        Args:
            api_key: else DD_API_KEY.
            site: else DD_SITE, else datadoghq.com.
            base_url: the intake, else DD_LLMOBS_OVERRIDE_ORIGIN, else by the site.
            ml_app: the application, else DD_LLMOBS_ML_APP, DD_SERVICE, `service.name`.
            service: else DD_SERVICE, else `service.name`.
            env: else DD_ENV, else the resource's deployment environment.
            version: else DD_VERSION, else `service.version`.
            limits: fields of `Policy`.
        """
        super().__init__(**limits)
        self.program = program(self.env, ml_app=ml_app, service=service, env=env, version=version)
        self.site = site_of(site or self.variable("DD_SITE"))
        self.ancestors = Ancestors(lambda span, under, _: under is not None and is_router(span))
        self._last: tuple[Resource, Resource] | None = None
        keys, base = self.credentials(api_key=api_key), self.base_url(base_url)
        if keys and base:
            app = self.program.ml_app or self.program.service
            named = {"dd-ml-app": app_of(app)} if app else {}
            self.connect(base + PATH, {"dd-api-key": keys[0], "dd-otlp-source": "llmobs", **named})

    def base_url(self, argument: str | None) -> str | None:
        """The intake's origin; by the site unless it is overridden."""
        override = argument or self.variable("DD_LLMOBS_OVERRIDE_ORIGIN")
        return super().base_url(override or f"https://otlp.{self.site}")

    def attributes(self, span: GenAISpan) -> Mapping[str, Any]:
        """`attributes(span)`."""
        return attributes(span)

    def items(self, spans: Sequence[ReadableSpan]) -> Iterator[Item]:
        """The GenAI spans, and the router's as the workflow above its attempts."""
        said: dict[SpanIds, Descendants] = {}
        for item in super().items(spans):
            said[ids_of(item.data.context)] = _below(item.data)
            yield item
        lineage = self.ancestors.find(list(filter(is_valid, spans)), said)
        for key, under in lineage.kept.items():
            with suppress_errors("export.datadog_otlp.mapping"):
                span = named(lineage.ended[key], _of_calls(under))
                if (view := GenAISpan.read(span)) is not None:
                    yield item_of(self.copy(span, view))

    def copy(self, span: ReadableSpan, view: GenAISpan) -> ReadableSpan:
        """The enriched copy. Its status is never OK, which Datadog takes for an error."""
        ended = span.status
        status = Status() if ended.status_code is StatusCode.OK else ended
        copied = {**self.kept(view), **self.attributes(view)}
        return copy_of(span, copied, status=status, resource=self._resource(span.resource))

    def _resource(self, resource: Resource) -> Resource:
        """The program, named as Datadog has it, and asking for conversion."""
        if self._last is None or self._last[0] is not resource:
            own = {
                s.SERVICE_NAME: self.program.service,
                s.ENVIRONMENT: self.program.env,
                s.SERVICE_VERSION: self.program.version,
                "dd_llmobs_enabled": "true",  # as OTEL_RESOURCE_ATTRIBUTES would have it
            }
            mine = Resource({key: value for key, value in own.items() if value is not None})
            self._last = (resource, resource.merge(mine))
        return self._last[1]


def _below(copy: ReadableSpan) -> Descendants:
    told = copy.attributes or {}
    names = (s.INPUT_MESSAGES, s.OUTPUT_MESSAGES, s.CONVERSATION_ID)
    texts = [value if isinstance(value := told.get(name), str) else None for name in names]
    asked, said, session = texts
    return Descendants(copy.start_time or 0, copy.end_time or 0, asked, said, session=session)


def _of_calls(under: Descendants | None) -> dict[str, Any]:
    if under is None:
        return {}
    told = {s.INPUT_MESSAGES: under.input, s.OUTPUT_MESSAGES: under.output}
    return {**told, s.SESSION_ID: under.session}
