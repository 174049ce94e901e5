"""Traceloop's own rules: OpenLLMetry's attributes, headers, content, gRPC addresses."""

import os
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult

from litespan.export import GenAISpan
from litespan_exporters.traceloop import TraceloopExporter, attributes
from tests.cases import CASES, CHAT, RECORDED, foreign, span
from tests.support.server import Reply, Vendor, running
from tests.support.tools import environment
from tests.support.vendors import SECRET, Traceloop
from tests.support.vendors.otlp import attributes_of


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment says nothing of Traceloop."""
    for name in ("API_KEY", "BASE_URL", "HEADERS", "TRACE_CONTENT", "TRACING_ENABLED"):
        monkeypatch.delenv(f"TRACELOOP_{name}", raising=False)


@pytest.fixture
def vendor() -> Iterator[Vendor]:
    """Traceloop on loopback."""
    with running(Traceloop()) as vendor:
        yield vendor


def view(span: ReadableSpan) -> GenAISpan:
    """The typed view."""
    found = GenAISpan.read(span)
    assert found is not None
    return found


def test_the_copy_has_the_added_attributes() -> None:
    """Identity as association properties, totals, and the older names."""
    shown = attributes(view(CASES["reasoning_cached"]))
    assert {name: value for name, value in shown.items() if value is not None} == {
        "traceloop.association.properties.feature": "refund",
        "traceloop.association.properties.experiment": 3,
        "traceloop.association.properties.user_id": "user-42",
        "traceloop.association.properties.session_id": "sess-7",
        "traceloop.association.properties.customer_id": "customer-9",
        "gen_ai.system": "openai",
        "llm.request.type": "chat",
        "llm.usage.total_tokens": 2748,
        "gen_ai.usage.total_tokens": 2748,
        "gen_ai.usage.reasoning_tokens": 640,
        "gen_ai.is_streaming": False,
        "gen_ai.user": "user-42",
        "gen_ai.response.finish_reason": "stop",
    }


def test_association_properties_are_the_calls_metadata() -> None:
    """Known values of litespan take precedence."""
    given = {"customer_id": "acme", "user_id": "mine", "session_id": "mine"}
    own = {f"litellm.metadata.{name}": value for name, value in given.items()}
    called = span(1, "chat", {**CHAT, **own, "user.id": "user-42"}, who=False)
    shown = attributes(view(called))
    assert {name: shown[f"traceloop.association.properties.{name}"] for name in given} == {
        **given,
        "user_id": "user-42",
    }


@pytest.mark.parametrize(
    ("operation", "kind"),
    [
        ("chat", "chat"),
        ("generate_content", "chat"),
        ("text_completion", "completion"),
        ("embeddings", "embedding"),
        ("rerank", "rerank"),
        ("image_generation", "unknown"),
        ("execute_tool", None),
    ],
)
def test_each_operation_has_openllmetrys_request_type(operation: str, kind: str | None) -> None:
    """OpenLLMetry has five; tools and agents are not requests."""
    shown = attributes(view(span(1, "x", {**CHAT, "gen_ai.operation.name": operation})))
    assert shown["llm.request.type"] == kind


def test_configured_headers_replace_the_bearer_token(monkeypatch: pytest.MonkeyPatch) -> None:
    """TRACELOOP_HEADERS, as in Traceloop's SDK."""
    monkeypatch.setenv("TRACELOOP_HEADERS", "x-tenant=a%20b,Authorization=Basic abc")
    with running(lambda _: Reply(200)) as vendor:
        exporter = TraceloopExporter(base_url=vendor.url)
        assert exporter.export([CASES["chat"]]) is SpanExportResult.SUCCESS
        (request,) = vendor.received
    assert request.headers["x-tenant"] == "a b"
    assert request.headers["authorization"] == "Basic abc"
    assert "abc" not in repr(vars(exporter.delivery.client))  # type: ignore[union-attr]


def test_traceloop_trace_content_false_removes_content(
    vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TRACELOOP_TRACE_CONTENT=false, even if content is captured."""
    monkeypatch.setenv("TRACELOOP_TRACE_CONTENT", "false")
    exporter = TraceloopExporter(SECRET, vendor.url)
    sets = sorted(path.stem for path in RECORDED.glob("*.json"))
    exporter.export([CASES["tool_call"], *[span for name in sets for span in foreign(name)]])
    assert vendor.wrong == []
    sent = b"".join(request.body for request in vendor.received)
    words = (b"Rome", b"Paris", b"Say hello", b"cat.png", b"Be brief", b"How can I help")
    assert [word for word in words if word in sent] == []


@pytest.mark.parametrize(
    ("variable", "value", "line"),
    [
        ("TRACELOOP_TRACING_ENABLED", "false", "TRACELOOP_TRACING_ENABLED is false"),
        ("TRACELOOP_BASE_URL", "grpc://api.example", "TRACELOOP_BASE_URL is a gRPC address"),
        ("TRACELOOP_BASE_URL", "api.example:4317", "TRACELOOP_BASE_URL is a gRPC address"),
    ],
)
def test_a_disabled_exporter_logs_the_reason_in_one_line(
    variable: str,
    value: str,
    line: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The line has the variable."""
    monkeypatch.setenv("TRACELOOP_API_KEY", SECRET)
    monkeypatch.setenv(variable, value)
    assert TraceloopExporter().export([CASES["chat"]]) is SpanExportResult.FAILURE
    (message,) = [record.getMessage() for record in caplog.records]
    assert message.startswith(line)


REFERENCE = """
import os
from opentelemetry import trace
from traceloop.sdk import Traceloop
from traceloop.sdk.decorators import workflow
Traceloop.init(
    app_name="shop", api_endpoint=os.environ["URL"], api_key=os.environ["KEY"],
    disable_batch=True, telemetry_enabled=False, instruments=set())
@workflow(name="shop")
def shop():
    Traceloop.set_association_properties({"user_id": "u", "session_id": "s", "feature": "x"})
    with trace.get_tracer("x").start_as_current_span("chat"):
        pass
shop()
"""


@pytest.mark.slow
def test_requests_match_those_of_traceloops_own_sdk(request: pytest.FixtureRequest) -> None:
    """Path, headers and association properties."""
    python = environment(request.config.cache.mkdir("traceloop"), "traceloop-sdk==0.62.4", "httpx")
    with running(lambda _: Reply(200)) as theirs:
        known = {
            **os.environ,
            "KEY": SECRET,
            "URL": theirs.url,
            "TRACELOOP_METRICS_ENABLED": "false",
        }
        subprocess.run([python, "-c", REFERENCE], check=True, env=known, timeout=120)
    sent = [r for r in theirs.received if r.path == "/v1/traces"]
    with running(Traceloop()) as ours:
        TraceloopExporter(SECRET, ours.url).export([CASES["chat"]])
    (our,) = ours.received
    for name in ("authorization", "content-type"):
        assert our.headers[name] == sent[0].headers[name]
    associated = {n for r in sent for n in _attributes(r.body) if "association" in n}
    assert associated
    assert associated <= set(_attributes(our.body))


def _attributes(body: bytes) -> dict[str, Any]:
    batch = ExportTraceServiceRequest.FromString(body)
    spans = [s for r in batch.resource_spans for scope in r.scope_spans for s in scope.spans]
    return {name: value for span in spans for name, value in attributes_of(span.attributes).items()}
