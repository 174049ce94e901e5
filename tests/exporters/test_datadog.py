"""Datadog's own rules: sites, agent or API, ids, parents, ml_app, and Datadog's own tools."""

import json
import os
import socketserver
import subprocess
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.trace import Status, StatusCode

from litespan.export import GenAISpan
from litespan_exporters import datadog_otlp
from litespan_exporters.datadog import DatadogExporter, site_of
from litespan_exporters.datadog.span import Program, metrics, ml_app, to_event, to_span
from litespan_exporters.datadog_otlp import DatadogOtlpExporter
from tests.cases import CASES, CHAT, content, foreign, now, span, text
from tests.support.server import Reply, Vendor, running
from tests.support.tools import environment, free_port, serving
from tests.support.vendors import SECRET, Datadog, DatadogAgent, DatadogOtlp

TOOLS = ("ddapm-test-agent==1.69.1", "ddtrace==4.16.0")


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment says nothing of Datadog."""
    for name in [name for name in os.environ if name.startswith(("DD_", "LITELLM_DD_"))]:
        monkeypatch.delenv(name)


@pytest.fixture
def vendor() -> Iterator[Vendor]:
    """Datadog's API on loopback."""
    with running(Datadog()) as vendor:
        yield vendor


def case(name: str) -> GenAISpan:
    """A canonical span."""
    found = GenAISpan.read(CASES[name])
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("name", "shaped"),
    [
        ("checkout-bot", "checkout-bot"),
        ("Checkout Bot!", "checkout_bot"),
        ("a__b___c", "a_b_c"),
        ("Größe/v1.2:x", "gr_e/v1.2:x"),
        ("x" * 300, "x" * 193),
        ("a" * 192 + "_b", "a" * 192),
        ("", "unknown"),
        ("日本", "unknown"),
    ],
)
def test_application_names_follow_datadogs_rules(name: str, shaped: str) -> None:
    """Lower case, `a-z0-9_-:./`, 193 characters, no `__`, and no `_` at the end."""
    assert ml_app(name) == shaped


@pytest.mark.parametrize(
    ("variables", "app"),
    [
        ({"DD_LLMOBS_ML_APP": "App", "DD_SERVICE": "svc"}, "app"),
        ({"DD_SERVICE": "svc"}, "svc"),
        ({}, "checkout-bot"),
    ],
)
def test_ml_app_comes_from_dd_variables_then_the_service_name(
    vendor: Vendor, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], app: str
) -> None:
    """DD_LLMOBS_ML_APP, then DD_SERVICE, then `service.name`."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    exporter = DatadogExporter(SECRET, base_url=vendor.url)
    assert exporter.export([CASES["chat"]]) is SpanExportResult.SUCCESS
    assert json.loads(vendor.received[0].body)["data"]["attributes"]["ml_app"] == app


def test_unified_service_tags_take_precedence_over_the_resource(
    vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DD_ENV, DD_SERVICE and DD_VERSION win over the resource."""
    for name, value in (("DD_ENV", "prod"), ("DD_SERVICE", "svc"), ("DD_VERSION", "9")):
        monkeypatch.setenv(name, value)
    DatadogExporter(SECRET, base_url=vendor.url).export([CASES["chat"]])
    (sent,) = vendor.accept.records.values()  # type: ignore[attr-defined]
    assert {"env:prod", "service:svc", "version:9", "user_id:user-42"} <= set(sent["tags"])
    assert sent["service"] == "svc"


def test_tags_of_a_caller_do_not_replace_those_of_the_operator(vendor: Vendor) -> None:
    """A tag such as `env:x` adds no second environment; other `name:value` tags are kept."""
    asked = {**CHAT, "litellm.tags": ("area:a", "Env:x", "ml_app:y", "beta")}
    sent = now(span(3, "chat", asked))
    DatadogExporter(SECRET, base_url=vendor.url).export([sent])
    (record,) = vendor.accept.records.values()  # type: ignore[attr-defined]
    assert record["tags"][-4:] == ["area:a", "tag:Env:x", "tag:ml_app:y", "tag:beta"]
    assert "env:production" in record["tags"]


@pytest.mark.parametrize(
    ("given", "url"),
    [
        (None, "https://api.datadoghq.com/api/intake/llm-obs/v1/trace/spans"),
        ("datadoghq.eu", "https://api.datadoghq.eu/api/intake/llm-obs/v1/trace/spans"),
        (
            "https://app.datadoghq.com/",
            "https://api.datadoghq.com/api/intake/llm-obs/v1/trace/spans",
        ),
        ("US5.datadoghq.com", "https://api.us5.datadoghq.com/api/intake/llm-obs/v1/trace/spans"),
    ],
)
def test_the_site_is_us1_by_default_and_may_be_a_web_address(given: str | None, url: str) -> None:
    """The address of the web page also works."""
    delivery = DatadogExporter(SECRET, given).delivery
    assert delivery is not None
    assert delivery.client.url == url
    otlp = DatadogOtlpExporter(SECRET, given).delivery
    assert otlp is not None
    assert otlp.client.url == f"https://otlp.{site_of(given)}/v1/traces"


def test_government_sites_turn_the_exporter_off(caplog: pytest.LogCaptureFixture) -> None:
    """They have no LLM Observability."""
    assert DatadogExporter(SECRET, "ddog-gov.com").delivery is None
    assert "ddog-gov.com has no LLM Observability" in caplog.records[-1].getMessage()


def test_a_huge_span_is_truncated_and_marked(vendor: Vendor) -> None:
    """Below 5,000,000 bytes, with Datadog's own marker."""
    assert DatadogExporter(SECRET, base_url=vendor.url).export([CASES["huge"]]) is (
        SpanExportResult.SUCCESS
    )
    (sent,) = vendor.accept.records.values()  # type: ignore[attr-defined]
    assert sent["collection_errors"] == ["dropped_io"]
    assert sent["meta"]["input"]["messages"][0]["content"].endswith(
        "originally 5244000 characters]"
    )


def test_an_agent_with_the_proxy_needs_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """With an agent that has the EVP proxy, no key is sent."""
    with running(DatadogAgent()) as agent:
        monkeypatch.setenv("DD_TRACE_AGENT_URL", agent.url)
        exporter = DatadogExporter()
        assert agent.received == []  # nothing is asked before the first export
        assert exporter.export([CASES["tool_call"]]) is SpanExportResult.SUCCESS
        assert exporter.export([CASES["failure"]]) is SpanExportResult.SUCCESS
    assert agent.wrong == []
    assert [r.path for r in agent.received].count("/info") == 1
    sent = agent.accept.records  # type: ignore[attr-defined]
    tags = sent[str(CASES["tool_call"].context.span_id)]["tags"]
    assert {"ml_app:checkout-bot", "session_id:sess-7", "error:0"} <= set(tags)


@pytest.mark.parametrize(
    ("info", "key", "where"),
    [
        (Reply(200, b'{"endpoints":["/v0.4/traces"]}'), SECRET, "api"),
        (Reply(404), SECRET, "api"),
        (Reply(200, b'{"endpoints":["/v0.4/traces"]}'), None, "off"),
        (Reply(reset=True), SECRET, "api"),
        (Reply(reset=True), None, "later"),
    ],
)
def test_without_a_suitable_agent_the_api_is_used(
    info: Reply,
    key: str | None,
    where: str,
    vendor: Vendor,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """If there is a key, else one line; an absent agent is checked again."""
    good = DatadogAgent()
    with running(good, lambda r: info if r.path == "/info" else None) as agent:
        monkeypatch.setenv("DD_AGENT_HOST", "127.0.0.1")
        monkeypatch.setenv("DD_TRACE_AGENT_PORT", agent.url.rpartition(":")[2])
        exporter = DatadogExporter(key, base_url=vendor.url)
        result = exporter.export([now(CASES["chat"])])
        agent.fault = None
        again = exporter.export([now(CASES["chat"])])
    taken = {"api": (1, 1), "off": (0, 0), "later": (0, 1)}[where]
    assert (result, again) == tuple(
        SpanExportResult.SUCCESS if n else SpanExportResult.FAILURE for n in taken
    )
    assert len(vendor.received) == (2 if where == "api" else 0)
    assert len(caplog.records) == 1


def test_an_agent_behind_a_unix_socket(tmp_path: Path) -> None:
    """As in Kubernetes: `unix:///var/run/datadog/apm.socket`."""
    posted: list[bytes] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.answer(b'{"endpoints":["/evp_proxy/v2/"]}')

        def do_POST(self) -> None:
            posted.append(self.rfile.read(int(self.headers["content-length"])))
            self.answer(b"{}")

        def answer(self, body: bytes) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: Any) -> None:
            pass

        def address_string(self) -> str:
            return "unix"

    path = str(tmp_path / "apm.socket")
    with socketserver.ThreadingUnixStreamServer(path, Handler) as server:
        server.daemon_threads = True
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        exporter = DatadogExporter(agent_url=f"unix://{path}")
        assert exporter.export([CASES["chat"]]) is SpanExportResult.SUCCESS
        exporter.shutdown()
        server.shutdown()
    assert json.loads(posted[0])[0]["event_type"] == "span"


def test_agentless_enabled_ignores_a_running_agent(
    vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DD_LLMOBS_AGENTLESS_ENABLED=true."""
    monkeypatch.setenv("DD_AGENT_HOST", "127.0.0.1")
    monkeypatch.setenv("DD_LLMOBS_AGENTLESS_ENABLED", "true")
    monkeypatch.setenv("DD_LLMOBS_OVERRIDE_ORIGIN", vendor.url)
    monkeypatch.setenv("DD_API_KEY", SECRET)
    assert DatadogExporter().export([CASES["chat"]]) is SpanExportResult.SUCCESS


def test_old_spans_are_logged(vendor: Vendor, caplog: pytest.LogCaptureFixture) -> None:
    """Datadog may reject spans older than 24 hours; they are sent, with one log line."""
    old = now(CASES["chat"])
    old._start_time -= 25 * 3600 * 10**9  # type: ignore[operator]
    exporter = DatadogExporter(SECRET, base_url=vendor.url)
    assert exporter.export([now(CASES["stream"])]) is SpanExportResult.SUCCESS
    assert caplog.records == []
    assert exporter.export([old]) is SpanExportResult.SUCCESS
    assert "older than 24 hours" in caplog.records[0].getMessage()


def test_otlp_spans_never_have_status_ok(monkeypatch: pytest.MonkeyPatch) -> None:
    """Datadog reads every status above 0 as an error; the resource requests conversion."""
    fine = span(60, "chat", {"gen_ai.operation.name": "chat"}, status=Status(StatusCode.OK))
    monkeypatch.setenv("DD_SERVICE", "svc")
    with running(DatadogOtlp()) as vendor:
        DatadogOtlpExporter(SECRET, base_url=vendor.url).export([fine, CASES["failure"]])
    assert vendor.wrong == []
    sent = {r["name"]: r for r in vendor.accept.records.values()}  # type: ignore[attr-defined]
    assert sent["chat"]["status"]["code"] == 0
    assert sent["chat gpt-4o-mini"]["status"]["code"] == 2
    assert sent["chat"]["resource"]["service.name"] == "svc"
    assert vendor.received[0].headers["dd-ml-app"] == "svc"


def test_tools_agents_and_retrievals_have_text_instead_of_messages(vendor: Vendor) -> None:
    """Messages are for model calls: a tool has its arguments and result as text."""
    attributes = {
        "execute_tool": {
            "gen_ai.tool.name": "get_weather",
            "gen_ai.tool.call.arguments": '{"city":"Paris"}',
            "gen_ai.tool.call.result": "14 °C",
        },
        "invoke_agent": {
            **content([text("user", "Weather?")], [text("assistant", "Rain.")]),
            "gen_ai.usage.input_tokens": 5,
        },
        "retrieval": {"input.value": "Paris?", "retrieval.documents.0.document.content": "A city."},
    }
    spans = [
        now(span(80 + n, name, {"gen_ai.operation.name": name, **more}, scope="somebody.else"))
        for n, (name, more) in enumerate(attributes.items())
    ]
    assert DatadogExporter(SECRET, base_url=vendor.url).export(spans) is SpanExportResult.SUCCESS
    assert vendor.wrong == []
    sent = {record["name"]: record for record in vendor.accept.records.values()}  # type: ignore[attr-defined]
    shown = {name: (r["meta"]["input"], r["meta"]["output"]) for name, r in sent.items()}
    assert shown == {
        "execute_tool": ({"value": '{"city":"Paris"}'}, {"value": "14 °C"}),
        "invoke_agent": ({"value": "Weather?"}, {"value": "Rain."}),
        "retrieval": ({"value": "Paris?"}, {"documents": [{"text": "A city."}]}),
    }
    assert [name for name, record in sent.items() if "metrics" in record] == []  # count once


def test_metadata_with_litespans_names_stay_if_litespan_has_no_value() -> None:
    """A value of litespan replaces the user's entry, a missing value does not."""
    theirs = {"route": "EU-1", "prompt_name": "greet", "attempt": "2nd", "stream": "events"}
    attributes = {f"litellm.metadata.{key}": value for key, value in theirs.items()}
    chat = {"gen_ai.operation.name": "chat", **attributes}
    view = GenAISpan.read(span(90, "chat", {**chat, "litellm.request.route": "/v1"}))
    assert view is not None
    native = to_span(view, Program())["meta"]["metadata"]  # type: ignore[call-overload, index]
    assert {key: native[key] for key in theirs} == {**theirs, "route": "/v1"}  # type: ignore[call-overload, index]
    by_otlp = json.loads(datadog_otlp.attributes(view)["_dd.ml_obs.metadata"])
    assert {key: by_otlp[key] for key in theirs} == theirs


@pytest.mark.parametrize("operation", ["search_memory", "create_memory_store", "fetch_response"])
def test_spans_that_are_not_model_calls_are_tasks(operation: str) -> None:
    """Only a model call is an LLM span."""
    view = GenAISpan.read(span(91, "memory", {"gen_ai.operation.name": operation}, scope="x"))
    assert view is not None
    assert to_span(view, Program())["meta"]["kind"] == "task"  # type: ignore[call-overload, index]


def test_otlp_spans_of_other_instrumentations_have_current_names() -> None:
    """Datadog's converter needs them: without an operation, a call is a workflow."""
    spans = foreign("openllmetry-openai-2025")
    with running(DatadogOtlp()) as vendor:
        DatadogOtlpExporter(SECRET, base_url=vendor.url).export(spans)
    assert vendor.wrong == []
    sent = [r["attributes"] for r in vendor.accept.records.values()]  # type: ignore[attr-defined]
    assert {shown["gen_ai.operation.name"] for shown in sent} == {"chat", "embeddings"}
    assert all("gen_ai.input.messages" in shown for shown in sent)


# --- Datadog's own parts ----------------------------------------------------------


@pytest.fixture(scope="module")
def tools(request: pytest.FixtureRequest) -> Path:
    """The Python that has Datadog's test agent, its LLM Observability imitation, and ddtrace."""
    return environment(request.config.cache.mkdir("datadog"), *TOOLS)


def ask(url: str, body: Any = None) -> Any:
    """The JSON answer of a GET, or of a POST with `body`."""
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json"}
    with urllib.request.urlopen(urllib.request.Request(url, data, headers), timeout=10) as answer:
        return json.load(answer)


def test_datadogs_lapdog_reads_the_spans(tools: Path, tmp_path: Path) -> None:
    """Kind, ids, tokens, tool calls and session are those of the calls."""
    port, http, grpc = free_port(), free_port(), free_port()
    ports = ("--port", str(port), "--otlp-http-port", str(http), "--otlp-grpc-port", str(grpc))
    sent = {name: now(CASES[name]) for name in ("tool_call", "failure", "embedding")}
    with serving(port, tools, "-m", "lapdog.server", *ports, cwd=tmp_path):
        exporter = DatadogExporter(agent_url=f"http://127.0.0.1:{port}")
        assert exporter.export(list(sent.values())) is SpanExportResult.SUCCESS
        exporter.shutdown()
        found = ask(
            f"http://127.0.0.1:{port}/api/unstable/llm-obs-query-rewriter/list?type=llmobs",
            {"list": {"indexName": "llmobs", "limit": 50, "search": {"query": ""}}},
        )
    events = [event["event"]["custom"] for event in found["result"]["events"]]
    by_id = {event["span_id"]: event for event in events}
    assert set(by_id) == {str(span.context.span_id) for span in sent.values()}
    called = by_id[str(sent["tool_call"].context.span_id)]
    assert called["ml_app"] == "checkout-bot"
    assert called["session_id"] == "sess-7"
    assert called["metrics"]["input_tokens"] == 120
    assert called["meta"]["span"]["kind"] == "llm"
    (answer,) = called["meta"]["output"]["messages"]
    assert answer["tool_calls"][0]["arguments"] == {"city": "Rome"}
    assert by_id[str(sent["failure"].context.span_id)]["status"] == "error"


def test_datadogs_test_agent_decodes_the_spans(tools: Path, tmp_path: Path) -> None:
    """The spans are read back from the agent."""
    port, http, grpc = free_port(), free_port(), free_port()
    ports = ("--port", str(port), "--otlp-http-port", str(http), "--otlp-grpc-port", str(grpc))
    agent = tools.with_name("ddapm-test-agent")
    with serving(http, agent, *ports, "--disable-llmobs-data-forwarding", cwd=tmp_path):
        exporter = DatadogOtlpExporter(SECRET, base_url=f"http://127.0.0.1:{http}")
        assert exporter.export([CASES["tool_call"], CASES["failure"]]) is SpanExportResult.SUCCESS
        exporter.shutdown()
        request = urllib.request.Request(
            f"http://127.0.0.1:{http}/test/session/traces",
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            text = answer.read().decode()
    assert "_dd.ml_obs.metadata" in text
    assert text.count('"chat gpt-4o-mini"') >= 2


REFERENCE = """
import sys
from ddtrace.llmobs import LLMObs
LLMObs.enable(ml_app="checkout-bot", api_key="k", agentless_enabled=True,
              integrations_enabled=False, env="production", service="checkout-bot")
call = {"name": "get_weather", "arguments": {"city": "Paris"}, "tool_id": "1", "type": "function"}
result = {"name": "get_weather", "result": "14", "tool_id": "1", "type": "tool_result"}
with LLMObs.llm(model_name="gpt-4o", model_provider="openai", name="chat", session_id="s") as span:
    LLMObs.annotate(
        span,
        input_data=[{"role": "assistant", "content": "", "tool_calls": [call]},
                    {"role": "tool", "content": "", "tool_results": [result]}],
        output_data=[{"role": "assistant", "content": "ok", "tool_calls": [call]}],
        metadata={"temperature": 0.2},
        metrics={"input_tokens": 1, "output_tokens": 1, "total_tokens": 2, "total_cost": 1e-5},
        tool_definitions=[{"name": "get_weather", "description": "d", "schema": {}}],
    )
try:
    with LLMObs.llm(model_name="gpt-4o", name="bad"):
        raise ValueError("no")
except ValueError:
    pass
LLMObs.flush()
LLMObs.disable()
"""


def keys(value: Any, at: str = "") -> set[str]:
    """The paths of all keys below `value`; what is the caller's own is left out."""
    if isinstance(value, list):
        return {path for item in value for path in keys(item, at + "[]")}
    if isinstance(value, dict) and not at.endswith(
        (".metadata", ".metrics", ".arguments", ".schema")
    ):
        return {p for k, v in value.items() for p in {f"{at}.{k}", *keys(v, f"{at}.{k}")}}
    return set()


@pytest.mark.slow
def test_spans_have_the_keys_of_ddtraces_own(tools: Path) -> None:
    """With values of the same types."""
    with running(lambda _: Reply(202)) as vendor:
        own = {
            "DD_LLMOBS_OVERRIDE_ORIGIN": vendor.url,
            "DD_TRACE_ENABLED": "false",
            "DD_INSTRUMENTATION_TELEMETRY_ENABLED": "false",
            "DD_REMOTE_CONFIGURATION_ENABLED": "false",
            # Else ddtrace looks for an agent's socket in /var/run, and this machine may have one.
            "DD_TRACE_AGENT_URL": "http://127.0.0.1:9",
        }
        others = {k: v for k, v in os.environ.items() if not k.startswith("DD_")}
        subprocess.run([tools, "-c", REFERENCE], check=True, env={**others, **own}, timeout=120)
    theirs = [event for r in vendor.received for event in json.loads(r.body)]
    ours = [to_event(to_span(case(name), Program())) for name in ("tool_call", "failure")]
    extra = keys(ours) - keys(theirs)
    assert extra == {"[].spans[].service"}
    missing = keys(theirs) - keys(ours)
    assert missing == {
        "[].spans[]._dd.sample_rate",
        "[].spans[]._dd.sampling_decision",
        "[].spans[].meta.error.stack",
    }
    for name in ("span_id", "trace_id", "parent_id", "start_ns", "duration", "status"):
        assert type(ours[0]["spans"][0][name]) is type(theirs[0]["spans"][0][name])  # type: ignore[index, call-overload]


@pytest.mark.parametrize(("arguments", "sent"), [("", {}), ({}, {}), ('"Par', {"value": '"Par'})])
def test_a_tool_call_has_only_the_arguments_it_was_given(
    arguments: Any, sent: dict[str, str]
) -> None:
    """Some providers send none as empty text; truncated text is a value."""
    call = {"type": "tool_call", "id": "c", "name": "now", "arguments": arguments}
    message = {"role": "assistant", "parts": [call], "finish_reason": "tool_call"}
    given = {**(CASES["chat"].attributes or {}), **content(received=[message])}
    read = GenAISpan.read(span(1, "chat", given))
    shaped: Any = to_span(read, Program()) if read is not None else None
    (shown,) = shaped["meta"]["output"]["messages"]
    assert shown["tool_calls"][0]["arguments"] == sent


def test_cache_writes_are_counted_by_duration() -> None:
    """With the names of Datadog's own library, because prices differ."""
    attributes = {
        "gen_ai.operation.name": "chat",
        "litellm.usage.cache_creation.ephemeral_5m_input_tokens": 253,
        "litellm.usage.cache_creation.ephemeral_1h_input_tokens": 1_000,
    }
    view = GenAISpan.read(span(1, "chat", attributes))
    assert view is not None
    found = metrics(view)
    assert found["ephemeral_5m_input_tokens"] == 253
    assert found["ephemeral_1h_input_tokens"] == 1_000
