"""The URL, headers, resource and attributes of every preset."""

import base64
import json
from collections.abc import Iterator
from importlib.metadata import entry_points
from typing import Any

import pytest
from google.protobuf.json_format import ParseDict  # type: ignore[import-untyped]
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace.export import SpanExportResult

from litespan.export import GenAISpan
from litespan_exporters.otlp_presets.attributes import openinference
from litespan_exporters.otlp_presets.exporter import PresetExporter
from tests.cases import CASES, OPENAI, content, now, text
from tests.cases import span as span_of
from tests.support.server import Received, Reply, Vendor, running
from tests.support.vendors.otlp import attributes_of

PRESETS: dict[str, type[PresetExporter]] = {
    found.name: found.load()
    for found in entry_points(group="opentelemetry_traces_exporter")
    if found.value.startswith("litespan_exporters.otlp_presets:")
}


def basic(pair: str) -> str:
    """The header for HTTP's basic authentication."""
    return f"Basic {base64.b64encode(pair.encode()).decode()}"


SET = {
    "ARIZE_API_KEY": "arize-key",
    "ARIZE_SPACE_ID": "arize-space",
    "BRAINTRUST_API_KEY": "braintrust-key",
    "BRAINTRUST_PARENT": "project_name:shop",
    "GALILEO_API_KEY": "galileo-key",
    "GALILEO_LOG_STREAM": "main",
    "GALILEO_PROJECT": "shop",
    "GRAFANA_CLOUD_API_KEY": "grafana-key",
    "GRAFANA_CLOUD_INSTANCE_ID": "123456",
    "HONEYCOMB_API_KEY": "honeycomb-key",
    "LANGSMITH_API_KEY": "langsmith-key",
    "LANGSMITH_PROJECT": "shop",
    "LANGTRACE_API_KEY": "langtrace-key",
    "LEVOAI_API_KEY": "levo-key",
    "LEVOAI_ORG_ID": "levo-org",
    "LEVOAI_WORKSPACE_ID": "levo-workspace",
    "LMNR_PROJECT_API_KEY": "laminar-key",
    "MLFLOW_TRACKING_PASSWORD": "mlflow-password",
    "MLFLOW_TRACKING_USERNAME": "mlflow-user",
    "NEW_RELIC_LICENSE_KEY": "newrelic-key",
    "OPIK_API_KEY": "opik-key",
    "OPIK_PROJECT_NAME": "shop",
    "PHOENIX_API_KEY": "phoenix-key",
    "PHOENIX_PROJECT_NAME": "shop",
    "SIGNOZ_INGESTION_KEY": "signoz-key",
    "WANDB_API_KEY": "wandb-key",
    "WANDB_PROJECT_ID": "entity/shop",
}
"""Variables as their users set them; the URL is that of the loopback server."""
URLS = {
    "arize": "ARIZE_HTTP_ENDPOINT",
    "braintrust": "BRAINTRUST_API_URL",
    "galileo": "GALILEO_API_URL",
    "grafana_cloud": "GRAFANA_CLOUD_OTLP_ENDPOINT",
    "honeycomb": "HONEYCOMB_API_ENDPOINT",
    "laminar": "LMNR_BASE_URL",
    "langsmith": "LANGSMITH_ENDPOINT",
    "langtrace": "LANGTRACE_API_HOST",
    "levo": "LEVOAI_COLLECTOR_URL",
    "mlflow": "MLFLOW_TRACKING_URI",
    "newrelic": "NEW_RELIC_OTLP_ENDPOINT",
    "opik": "OPIK_URL_OVERRIDE",
    "phoenix": "PHOENIX_COLLECTOR_ENDPOINT",
    "signoz": "SIGNOZ_INGESTION_ENDPOINT",
    "weave": "WANDB_HOST",
}
EXPECTED: dict[str, tuple[str, dict[str, str]]] = {
    "arize": ("/v1/traces", {"api_key": "arize-key", "arize-space-id": "arize-space"}),
    "braintrust": (
        "/otel/v1/traces",
        {"authorization": "Bearer braintrust-key", "x-bt-parent": "project_name:shop"},
    ),
    "galileo": (
        "/otel/traces",
        {"galileo-api-key": "galileo-key", "project": "shop", "logstream": "main"},
    ),
    "grafana_cloud": ("/v1/traces", {"authorization": basic("123456:grafana-key")}),
    "honeycomb": ("/v1/traces", {"x-honeycomb-team": "honeycomb-key"}),
    "laminar": ("/v1/traces", {"authorization": "Bearer laminar-key"}),
    "langsmith": (
        "/otel/v1/traces",
        {"x-api-key": "langsmith-key", "langsmith-project": "shop"},
    ),
    "langtrace": ("/api/trace", {"x-api-key": "langtrace-key"}),
    "levo": (
        "",
        {
            "authorization": "Bearer levo-key",
            "x-levo-organization-id": "levo-org",
            "x-levo-workspace-id": "levo-workspace",
        },
    ),
    "mlflow": (
        "/v1/traces",
        {
            "x-mlflow-experiment-id": "0",
            "authorization": basic("mlflow-user:mlflow-password"),
        },
    ),
    "newrelic": ("/v1/traces", {"api-key": "newrelic-key"}),
    "opik": (
        "/v1/private/otel/v1/traces",
        {"authorization": "opik-key", "comet-workspace": "default", "projectname": "shop"},
    ),
    "phoenix": (
        "/v1/traces",
        {"authorization": "Bearer phoenix-key", "x-project-name": "shop"},
    ),
    "signoz": ("/v1/traces", {"signoz-ingestion-key": "signoz-key"}),
    "weave": (
        "/otel/v1/traces",
        {"authorization": basic("api:wandb-key"), "project_id": "entity/shop"},
    ),
}
"""Path and headers that each service documents."""
RESOURCES = {
    "arize": {"model_id": "litellm", "openinference.project.name": "litellm"},
    "phoenix": {"openinference.project.name": "shop"},
}
CONTENT = (b"Say hello", b"Be brief", b"get_weather", b"Rome")
each = pytest.mark.parametrize("name", PRESETS)


@pytest.fixture(autouse=True)
def _only_these(monkeypatch: pytest.MonkeyPatch) -> None:
    """Exactly the variables in `SET` are set."""
    for cls in PRESETS.values():
        row = cls.preset
        for variables in (*row.needs.values(), *row.takes.values(), row.url_variables):
            for variable in variables:
                monkeypatch.delenv(variable, raising=False)
    for variable, value in SET.items():
        monkeypatch.setenv(variable, value)


@pytest.fixture
def vendor(name: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Vendor]:
    """A server at the place that the service's variable names."""
    with running(lambda _: Reply(200)) as vendor:
        monkeypatch.setenv(URLS[name], vendor.url)
        yield vendor


def decoded(request: Received) -> Any:
    """The request of either encoding; JSON with hexadecimal ids, as OTLP asks for."""
    if request.headers["content-type"] == "application/x-protobuf":
        return ExportTraceServiceRequest.FromString(request.body)
    assert request.headers["content-type"] == "application/json"
    tree = json.loads(request.body)
    for resource in tree["resourceSpans"]:
        for scope in resource["scopeSpans"]:
            for span in scope["spans"]:
                for field in ("traceId", "spanId", "parentSpanId"):
                    raw = bytes.fromhex(span.get(field, ""))
                    span[field] = base64.b64encode(raw).decode()
    return ParseDict(tree, ExportTraceServiceRequest())


def test_every_preset_has_its_expectations() -> None:
    """A new row needs the facts that it is tested against."""
    assert sorted(PRESETS) == sorted(EXPECTED) == sorted(URLS)


@each
def test_a_preset_sends_what_its_service_documents(name: str, vendor: Vendor) -> None:
    """Path, headers, resource, ids and the spans' own attributes; no secret is in the body."""
    exporter = PRESETS[name]()
    sent = [now(CASES[case]) for case in ("tool_call", "embedding", "failure")]
    assert exporter.export(sent) is SpanExportResult.SUCCESS, exporter.problem
    exporter.shutdown()
    (request,) = vendor.received
    path, headers = EXPECTED[name]
    assert request.path == (path or "/")
    assert {key: request.headers.get(key) for key in headers} == headers
    (resource,) = decoded(request).resource_spans
    told = attributes_of(resource.resource.attributes)
    assert {"service.name": "checkout-bot", **RESOURCES.get(name, {})}.items() <= told.items()
    spans = [span for scope in resource.scope_spans for span in scope.spans]
    assert [span.span_id.hex() for span in spans] == [
        f"{span.context.span_id:016x}" for span in sent if span.context
    ]
    attributes = attributes_of(spans[0].attributes)
    assert attributes["gen_ai.request.model"] == "gpt-4o-mini"
    assert attributes["gen_ai.usage.input_tokens"] > 0
    assert [word for word in CONTENT[2:] if word not in request.body] == []
    secret = [value for key, value in SET.items() if key.endswith(("KEY", "PASSWORD"))]
    assert [value for value in secret if value.encode() in request.body] == []
    shown = repr([exporter, vars(exporter), vars(exporter.delivery)])
    assert [value for value in secret if value in shown] == []


@each
def test_a_preset_adds_no_content(name: str, vendor: Vendor) -> None:
    """A span without content is sent without content."""
    exporter = PRESETS[name]()
    exporter.export([now(CASES["content_off"]), now(CASES["attempt"])])
    exporter.shutdown()
    (request,) = vendor.received
    assert [word for word in CONTENT if word in request.body] == []


@each
def test_a_preset_without_a_required_variable_is_off(
    name: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """One line has the variable, and nothing is sent."""
    row = PRESETS[name].preset
    needed = [variables[0] for variables in row.needs.values()]
    for variable in needed:
        monkeypatch.delenv(variable)
    exporter = PRESETS[name]()
    if not needed and row.url:  # a local server is enough
        assert exporter.problem == ""
        return
    assert exporter.export([CASES["chat"]]) is SpanExportResult.FAILURE
    (line,) = [record.getMessage() for record in caplog.records]
    assert line.endswith(f"or remove {name} from the exporters")
    assert all(variable in line for variable in needed or row.url_variables[:1])


@pytest.mark.parametrize(
    ("name", "variable", "value", "place"),
    [
        ("arize", "ARIZE_HTTP_ENDPOINT", "https://a.example/v1/traces", "https://a.example/v1/traces"),
        ("newrelic", "NEW_RELIC_REGION", "EU", "https://otlp.eu01.nr-data.net/v1/traces"),
        ("weave", "WANDB_HOST", "acme.wandb.io/traces", "https://acme.wandb.io/traces/otel/v1/traces"),
        ("phoenix", "PHOENIX_API_KEY", "x", "http://localhost:6006/v1/traces"),
        ("grafana_cloud", "GRAFANA_CLOUD_OTLP_ENDPOINT", "https://g.example/otlp/", "https://g.example/otlp/v1/traces"),
    ],
)  # fmt: skip
def test_the_url_of_a_preset_follows_from_its_variables(
    name: str, variable: str, value: str, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Base URLs with and without scheme and path, regions, defaults."""
    monkeypatch.setenv(variable, value)
    exporter = PRESETS[name]()
    assert exporter.delivery is not None, exporter.problem
    assert exporter.delivery.client.url == place


@pytest.mark.parametrize(
    ("name", "variable", "value", "line"),
    [
        ("newrelic", "NEW_RELIC_REGION", "mars", "NEW_RELIC_REGION is not a region"),
        ("phoenix", "PHOENIX_COLLECTOR_ENDPOINT", "http://localhost:4317", "is a gRPC address"),
        ("mlflow", "MLFLOW_TRACKING_URI", "sqlite:///mlflow.db", "is not an http(s) URL"),
    ],
)
def test_an_invalid_url_of_a_preset_is_reported(
    name: str, variable: str, value: str, line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The exporter is off, and one line has the reason."""
    monkeypatch.setenv(variable, value)
    assert line in PRESETS[name]().problem


def test_arguments_take_precedence(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each argument of a row is an argument of its class."""
    with running(lambda _: Reply(200)) as vendor:
        exporter = PRESETS["langsmith"](
            base_url=vendor.url, api_key="mine", project="other", max_items=7
        )
        exporter.export([now(CASES["chat"])])
        exporter.shutdown()
    (request,) = vendor.received
    assert request.headers["x-api-key"] == "mine"
    assert request.headers["langsmith-project"] == "other"
    assert exporter.limits.max_items == 7
    with pytest.raises(TypeError, match="space"):
        PRESETS["langsmith"](space="x")


def test_a_name_may_contain_spaces_and_a_key_may_end_in_a_line_feed() -> None:
    """Only credentials must not contain spaces; arguments are trimmed as variables are."""
    with running(lambda _: Reply(200)) as vendor:
        exporter = PRESETS["braintrust"](
            base_url=vendor.url, api_key="mine\n", parent="project_name:My shop"
        )
        exporter.export([now(CASES["chat"])])
        exporter.shutdown()
    (request,) = vendor.received
    assert request.headers["authorization"] == "Bearer mine"
    assert request.headers["x-bt-parent"] == "project_name:My shop"
    assert "not valid in an API key" in PRESETS["braintrust"](api_key="my key").problem


def test_a_tool_call_has_openinferences_attributes() -> None:
    """Flat messages, tools, tokens, cost and identity."""
    view = GenAISpan.read(CASES["tool_call"])
    assert view is not None
    told = {key: value for key, value in openinference(view).items() if value is not None}
    assert told["openinference.span.kind"] == "LLM"
    assert told["llm.model_name"] == view.model
    assert told["llm.provider"] == "openai"
    assert told["llm.token_count.prompt"] == view.usage.input
    assert told["llm.token_count.total"] == view.usage.total
    assert told["llm.cost.total"] == view.cost.total
    assert told["session.id"] == "sess-7"
    assert told["tag.tags"] == ["checkout", "beta"]
    assert json.loads(told["metadata"]) == {"feature": "refund", "experiment": 3}
    assert told["llm.input_messages.0.message.role"] in ("system", "user")
    calls = "llm.output_messages.0.message.tool_calls.0.tool_call.function"
    assert told[f"{calls}.name"] == "get_weather"
    assert json.loads(told[f"{calls}.arguments"])["city"] == "Rome"
    assert json.loads(told["llm.tools.0.tool.json_schema"])["function"]["name"] == "get_weather"
    assert json.loads(told["input.value"])[0]["role"]
    assert told["input.mime_type"] == "application/json"


def test_openinference_of_an_embedding() -> None:
    """Its texts have names of their own; Phoenix shows no messages of an embedding."""
    texts = content([text("user", "returns"), text("user", "shipping")])
    asked = {**OPENAI, "gen_ai.operation.name": "embeddings", **texts}
    view = GenAISpan.read(span_of(1, "embeddings text-embedding-3-small", asked))
    assert view is not None
    told = {key: value for key, value in openinference(view).items() if value is not None}
    assert told["openinference.span.kind"] == "EMBEDDING"
    assert told["embedding.embeddings.0.embedding.text"] == "returns"
    assert told["embedding.embeddings.1.embedding.text"] == "shipping"
    assert not any(name.startswith("llm.input_messages") for name in told)
