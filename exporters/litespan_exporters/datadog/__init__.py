"""Datadog LLM Observability: through its HTTP API or the Datadog Agent.

https://docs.datadoghq.com/llm_observability/instrumentation/api/ (seen 2026-11-20)
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Final

from opentelemetry.instrumentation.utils import suppress_instrumentation
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.trace import SpanContext

from litespan.export import (
    JSON,
    TRANSIENT,
    GenAISpan,
    HttpExporter,
    Item,
    Policy,
    Variables,
    count,
    dumps,
    log_once,
    origin,
    parse,
    suppress_errors,
    url_problem,
)
from litespan.genai.ancestors import Ancestors, SpanIds, Summary, ids_of
from litespan_exporters.datadog.span import Program, to_event, to_span
from litespan_exporters.datadog.workflow import keep, named, summary_of, with_io

API: Final = "/api/intake/llm-obs/v1/trace/spans"
AGENT: Final = "/evp_proxy/v2/api/v2/llmobs"
CUT: Final = "dropped_io"
"""Datadog's value in `collection_errors` for truncated content."""

DAY_NS: Final = 24 * 3600 * 1_000_000_000


def program(variables: Mapping[str, str], **arguments: str | None) -> Program:
    """The program's names from arguments, else from Datadog's variables."""
    names = {
        "ml_app": "DD_LLMOBS_ML_APP",
        "service": "DD_SERVICE",
        "env": "DD_ENV",
        "version": "DD_VERSION",
    }
    read = {name: variables.get(variable, "").strip() for name, variable in names.items()}
    return Program(**{name: arguments.get(name) or read[name] or None for name in names})


def site_of(given: str | None) -> str:
    """The Datadog site, default US1; the URL of the UI also works."""
    site = (given or "").strip().lower() or "datadoghq.com"
    return site.removeprefix("https://").strip("/").removeprefix("app.")


def agent_of(variables: Mapping[str, str], argument: str | None) -> str | None:
    """The agent's URL from the argument or variables; None if none is set."""
    if url := argument or variables.get("DD_TRACE_AGENT_URL", "").strip():
        return url.rstrip("/")
    for host_name, port_name in (
        ("DD_AGENT_HOST", "DD_TRACE_AGENT_PORT"),
        ("LITELLM_DD_AGENT_HOST", "LITELLM_DD_LLM_OBS_PORT"),
    ):
        if host := variables.get(host_name, "").strip():
            host = f"[{host}]" if ":" in host else host
            return f"http://{host}:{variables.get(port_name, '').strip() or 8126}"
    return None


class DatadogExporter(HttpExporter):
    """Sends GenAI spans to Datadog LLM Observability.

    Reads DD_API_KEY, DD_SITE, or DD_AGENT_HOST. Also DD_LLMOBS_ML_APP, DD_SERVICE, DD_ENV,
    DD_VERSION, DD_LLMOBS_OVERRIDE_ORIGIN, DD_TRACE_AGENT_URL, DD_TRACE_AGENT_PORT and
    DD_LLMOBS_AGENTLESS_ENABLED.
    """

    name: ClassVar[str] = "datadog"
    shows_routers: ClassVar[bool] = True
    variables = Variables(keys=("DD_API_KEY",), url=("DD_LLMOBS_OVERRIDE_ORIGIN",))
    policy = Policy(
        max_items=1000,
        max_bytes=5_000_000,
        retry=TRANSIENT | {520, 521, 522, 523, 524},
        split=frozenset({400, 413, 422}),
    )
    hints: ClassVar[Mapping[str, str]] = {
        "403": "forbidden: check DD_API_KEY, and that DD_SITE matches it",
        "404": "not found: check DD_SITE; the agent must be 7.53 or newer",
    }

    def __init__(
        self,
        api_key: str | None = None,
        site: str | None = None,
        base_url: str | None = None,
        agent_url: str | None = None,
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
            base_url: of the API; default DD_LLMOBS_OVERRIDE_ORIGIN, else by site.
            agent_url: `http://host:8126` or `unix:///path`; default DD_TRACE_AGENT_URL, else
                DD_AGENT_HOST; if none is set, the API is used.
            ml_app: the application; default DD_LLMOBS_ML_APP, DD_SERVICE, `service.name`.
            service: default DD_SERVICE, else `service.name`.
            env: default DD_ENV, else the resource's deployment environment.
            version: default DD_VERSION, else `service.version`.
            limits: fields of `Policy`.
        """
        super().__init__(**limits)
        self.program = program(self.env, ml_app=ml_app, service=service, env=env, version=version)
        self.site = site_of(site or self.variable("DD_SITE"))
        self.through_agent = False
        self.ancestors = Ancestors(keep)
        self._api = (api_key, base_url)
        self._agent: str | None = agent_of(self.env, agent_url)  # until its features are known
        if self._agent is not None and self.tenant is not None and not self.may_use(self._agent):
            self._agent = None
            return
        agentless = self.flag("DD_LLMOBS_AGENTLESS_ENABLED", default=False)
        if agentless or self._agent is None:
            self._agent = None
            self._use_api()

    def _use_api(self) -> None:
        key, url = self._api
        if self.site.endswith("ddog-gov.com"):
            self.disable(
                f"{self.site} has no LLM Observability",
                "use another site, or remove datadog from the exporters",
            )
            return
        keys = self.credentials(api_key=key)
        base = self.base_url(url, f"https://api.{self.site}")
        if keys and base:
            self.connect(base + API, {"DD-API-KEY": keys[0]})

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Export spans; before the first export, ask the agent for its features."""
        if self._agent is not None and self.delivery is None:
            with suppress_errors("export.datadog.agent"):
                self._ask_agent(self._agent)
            if self.delivery is None:
                count("export.datadog.dropped", len(spans))
        return super().export(spans)

    def _ask_agent(self, url: str) -> None:
        """Use the agent if it supports LLM Observability, else the API if a key is set."""
        socket = url.removeprefix("unix://") if url.startswith("unix://") else None
        url = "http://localhost" if socket else url
        if problem := url_problem(url, allow_http=True):  # the agent gets no credentials
            self._agent = None
            self.disable(f"the agent's URL {problem}", "fix DD_TRACE_AGENT_URL or DD_AGENT_HOST")
            return
        client = self.new_client(url, {}, attempt=2.0, socket=socket)
        with suppress_instrumentation():
            answer = client.get(f"{url}/info")
            client.close()
        if answer.status == 200 and b"/evp_proxy/" in answer.body:
            self._agent, self.through_agent = None, True
            self.connect(url + AGENT, {"X-Datadog-EVP-Subdomain": "llmobs-intake"}, socket)
            return
        problem = f"the Datadog agent at {origin(url)} does not support LLM Observability"
        if not answer.status:
            problem = f"the Datadog agent at {origin(url)} does not answer ({answer.error})"
        if self._api[0] or self.variable("DD_API_KEY"):
            log_once("datadog.agent", "%s: sending to %s instead", problem, self.site)
            self._agent = None
            self._use_api()
        elif answer.status:
            self._agent = None
            self.disable(problem, "update the agent, or set DD_API_KEY")
        else:  # it may still be starting
            log_once("datadog.agent", "%s: spans are dropped until it answers", problem)

    def items(self, spans: Sequence[ReadableSpan]) -> Iterator[Item]:
        """GenAI spans, and their ancestors that `keep` selects."""
        views: dict[SpanIds, GenAISpan] = {}
        for span in spans:
            with suppress_errors("export.datadog.mapping"):
                if (view := GenAISpan.read(span)) is not None:
                    views[ids_of(span.context)] = view
        summaries = {key: summary_of(view) for key, view in views.items()}
        lineage = self.ancestors.find(spans, summaries)
        for key, summary in {**dict.fromkeys(views), **lineage.kept}.items():
            with suppress_errors("export.datadog.mapping"):
                span = lineage.ended[key]
                view = views.get(key) or GenAISpan.read(named(span))
                if view is not None:
                    yield self._item(view, lineage.parent(span), summary)
        if any(view.start_ns < time.time_ns() - DAY_NS for view in views.values()):
            log_once("datadog.old", "datadog: Datadog may reject spans older than 24 hours")

    def _item(self, view: GenAISpan, parent: SpanContext | None, summary: Summary | None) -> Item:
        shaped = to_span(view, self.program, parent)
        shaped = with_io(shaped, summary) if summary is not None else shaped
        body = to_event(shaped) if self.through_agent else shaped
        return Item(view.key_text, dumps({**body}), group=str(shaped["ml_app"]))

    def encode(self, items: Sequence[Item]) -> bytes:
        """The body of one request to the API, or to the agent."""
        spans = super().encode(items)
        if self.through_agent:
            return spans
        app = dumps(items[0].group)
        return b'{"data":{"type":"span","attributes":{"ml_app":%b,"spans":%b}}}' % (app, spans)

    def shrink(self, item: Item, excess: int) -> Item | None:
        """Cut content, and mark the span as truncated."""
        error: JSON = [CUT]
        smaller = super().shrink(item, excess + len(CUT) + 30)
        body = parse(smaller.data.decode()) if smaller else None
        if smaller is None or not isinstance(body, dict):
            return None
        inner = body.get("spans")
        span = inner[0] if isinstance(inner, list) else body
        if isinstance(span, dict):
            span["collection_errors"] = error
        return replace(smaller, data=dumps(body))
