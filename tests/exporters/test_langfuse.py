"""Langfuse's own rules: ancestors, the trace's name, environments, hosts, numbers."""

import base64
import json
import os
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExportResult
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, set_span_in_context

from litespan import stats
from litespan.export import GenAISpan, Usage
from litespan_exporters.langfuse import LangfuseExporter
from litespan_exporters.langfuse import span as langfuse
from tests.cases import CASES, RESOURCE, span
from tests.support.server import Reply, Vendor, in_turn, running
from tests.support.tools import environment
from tests.support.vendors import SECRET, Langfuse

GENAI = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o"}


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment says nothing of Langfuse."""
    for name in ("PUBLIC_KEY", "SECRET_KEY", "OTEL_HOST", "BASE_URL", "HOST", "RELEASE"):
        monkeypatch.delenv(f"LANGFUSE_{name}", raising=False)
    monkeypatch.delenv("LANGFUSE_TRACING_ENVIRONMENT", raising=False)


@pytest.fixture
def vendor() -> Iterator[Vendor]:
    """Langfuse on loopback."""
    with running(Langfuse()) as vendor:
        yield vendor


def records(vendor: Vendor) -> dict[str, dict[str, Any]]:
    """What arrived, by span name."""
    assert vendor.wrong == []
    assert isinstance(vendor.accept, Langfuse)
    return {record["name"]: record for record in vendor.accept.records.values()}


def traced(exporter: LangfuseExporter) -> TracerProvider:
    """A provider that exports each span as it ends: children first, one by one."""
    provider = TracerProvider(resource=RESOURCE, shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return provider


def app(provider: TracerProvider) -> None:
    """A request with a call below two spans of its own, and work that is none of ours."""
    tracer = provider.get_tracer("app")
    with tracer.start_as_current_span("request"), tracer.start_as_current_span("answer"):
        with tracer.start_as_current_span("select"):
            pass
        with (
            tracer.start_as_current_span("chat gpt-4o", attributes=GENAI),
            tracer.start_as_current_span("POST"),
        ):
            pass
    provider.shutdown()


@pytest.mark.parametrize(
    ("others", "names"),
    [
        ("ancestors", {"request", "answer", "chat gpt-4o"}),
        ("all", {"request", "answer", "chat gpt-4o", "select", "POST"}),
        ("none", {"chat gpt-4o"}),
    ],
)
def test_genai_spans_and_their_ancestors_are_sent(
    vendor: Vendor, others: str, names: set[str]
) -> None:
    """By default, also ancestors that end later."""
    app(traced(LangfuseExporter(SECRET, SECRET, vendor.url, other_spans=others)))
    found = records(vendor)
    assert set(found) == names
    assert set(vendor.accept.taken.values()) == {1}  # type: ignore[attr-defined]


def test_the_root_names_the_trace(vendor: Vendor) -> None:
    """A call names it only if no other span of the trace is above it."""
    exporter = LangfuseExporter(SECRET, SECRET, vendor.url)
    app(traced(exporter))
    assert "langfuse.trace.name" not in records(vendor)["chat gpt-4o"]["attributes"]

    provider = traced(LangfuseExporter(SECRET, SECRET, vendor.url))
    remote = SpanContext(0xABC, 0xDEF, is_remote=True, trace_flags=TraceFlags(1))
    tracer = provider.get_tracer("app")
    tracer.start_span("alone", attributes=GENAI).end()
    below = set_span_in_context(NonRecordingSpan(remote))
    tracer.start_span("below", below, attributes=GENAI).end()
    named = GENAI | {"litellm.metadata.trace_name": "refunds"}
    tracer.start_span("named", attributes=named).end()
    provider.shutdown()
    names = {
        name: r["attributes"].get("langfuse.trace.name") for name, r in records(vendor).items()
    }
    assert names["alone"] == "alone"
    assert names["below"] == "below"
    assert names["named"] == "refunds"


def test_the_router_span_is_a_plain_span(vendor: Vendor) -> None:
    """Whatever its attributes."""
    provider = traced(LangfuseExporter(SECRET, SECRET, vendor.url))
    tracer = provider.get_tracer("litespan")
    with tracer.start_as_current_span("litellm.router fast"):
        tracer.start_span("chat gpt-4o", attributes=GENAI).end()
    provider.shutdown()
    found = records(vendor)
    assert found["litellm.router fast"]["attributes"]["langfuse.observation.type"] == "span"
    assert found["chat gpt-4o"]["attributes"]["langfuse.observation.type"] == "generation"


def test_an_invalid_span_does_not_affect_its_batch(vendor: Vendor) -> None:
    """Spans for which the server would reject the whole batch are not sent."""
    zero = ReadableSpan(
        "no id", SpanContext(0, 0, False), attributes=GENAI, start_time=1, end_time=2
    )
    early = span(8, "before the epoch", GENAI, end_ms=-(10**13))
    half = span(9, "half \ud83d", {**GENAI, "map": {"a": 1}, "big": 2**80, "user.id": "\udc00"})
    exporter = LangfuseExporter(SECRET, SECRET, vendor.url)
    before = stats().get("export.langfuse.dropped.invalid", 0)
    assert exporter.export([zero, early, half, CASES["chat"]]) is SpanExportResult.SUCCESS
    assert stats()["export.langfuse.dropped.invalid"] - before == 2
    assert set(records(vendor)) == {"half ?", "chat gpt-4o-mini"}
    assert records(vendor)["half ?"]["attributes"]["big"] == str(2**80)


def test_no_token_counts_twice() -> None:
    """Cached and reasoning tokens are subtracted from input and output; the sum is the total."""
    view = GenAISpan.read(CASES["reasoning_cached"])
    assert view is not None
    assert langfuse.usage_details(view.usage) == {
        "input": 256,
        "input_cached_tokens": 1536,
        "input_cache_creation": 256,
        "output": 60,
        "output_reasoning_tokens": 640,
        "total": 2748,
    }


def test_tokens_with_different_prices_are_separate() -> None:
    """Audio tokens and cache writes by duration."""
    used = Usage(
        input=100,
        output=50,
        cache_read=30,
        cache_creation=20,
        reasoning=10,
        source=None,
        audio_input=40,
        audio_output=60,
        cache_creation_5m=5,
        cache_creation_1h=15,
    )
    assert langfuse.usage_details(used) == {
        "input": 10,
        "input_audio_tokens": 40,
        "input_cached_tokens": 30,
        "input_cache_creation": 5,
        "input_cache_creation_1h": 15,
        "output_audio_tokens": 40,
        "output": 0,
        "output_reasoning_tokens": 10,
        "total": 150,
    }


def test_known_costs_are_numbers() -> None:
    """Including the cost of a free call; unknown costs are absent."""
    free, unknown = GenAISpan.read(CASES["cache_hit"]), GenAISpan.read(CASES["bare"])
    assert free is not None
    assert unknown is not None
    shown = json.loads(langfuse.attributes(free)["langfuse.observation.cost_details"])
    assert shown == {"input": 0.0, "output": 0.0, "total": 0.0}
    assert langfuse.attributes(unknown)["langfuse.observation.cost_details"] is None


@pytest.mark.parametrize(
    ("name", "shaped"),
    [
        ("production", "production"),
        ("Production EU", "production-eu"),
        ("langfuse-dev", "dev"),
        ("langfuselangfuse", None),
        ("x" * 60, "x" * 40),
        ("Büro", "b-ro"),
        ("", None),
    ],
)
def test_environment_names_follow_langfuses_rules(name: str, shaped: str | None) -> None:
    """Lower case, `a-z0-9-_`, 40 characters, without the prefix langfuse."""
    assert langfuse.environment(name) == shaped


@pytest.mark.parametrize(
    ("variables", "url"),
    [
        ({}, "https://cloud.langfuse.com/api/public/otel/v1/traces"),
        ({"HOST": "https://h.test"}, "https://h.test/api/public/otel/v1/traces"),
        (
            {"HOST": "https://h.test", "BASE_URL": "https://b.test/"},
            "https://b.test/api/public/otel/v1/traces",
        ),
        (
            {"BASE_URL": "https://b.test", "OTEL_HOST": "https://o.test/api/public/otel"},
            "https://o.test/api/public/otel/v1/traces",
        ),
    ],
)
def test_the_host_comes_from_langfuses_variables_in_order(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], url: str
) -> None:
    """LANGFUSE_OTEL_HOST, then LANGFUSE_BASE_URL, then LANGFUSE_HOST, then the EU cloud."""
    for name, value in variables.items():
        monkeypatch.setenv(f"LANGFUSE_{name}", value)
    delivery = LangfuseExporter(SECRET, SECRET).delivery
    assert delivery is not None
    assert delivery.client.url == url


def test_environment_and_release_come_from_langfuses_variables(
    vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They take precedence over the resource."""
    monkeypatch.setenv("LANGFUSE_TRACING_ENVIRONMENT", "Staging")
    monkeypatch.setenv("LANGFUSE_RELEASE", "2026.11")
    LangfuseExporter(SECRET, SECRET, vendor.url).export([CASES["chat"]])
    attributes = records(vendor)["chat gpt-4o-mini"]["attributes"]
    assert attributes["langfuse.environment"] == "staging"
    assert attributes["langfuse.release"] == "2026.11"


def test_existing_langfuse_attributes_take_precedence(vendor: Vendor) -> None:
    """Set by the user or Langfuse's own SDK, on a call or another span."""
    said = {
        "langfuse.trace.name": "checkout-flow",
        "langfuse.trace.tags": ("a",),
        "langfuse.release": "r9",
        "langfuse.environment": "QA",
        "langfuse.observation.completion_start_time": "2026-11-20T09:00:00.000000Z",
        "langfuse.observation.input": "[]",
    }
    exporter = LangfuseExporter(SECRET, SECRET, vendor.url, release="r1", other_spans="all")
    call, work = span(600, "call", GENAI | said), span(601, "work", said, scope="app")
    assert exporter.export([call, work]) is SpanExportResult.SUCCESS
    for record in records(vendor).values():
        shown = {name: record["attributes"].get(name) for name in said}
        assert shown == {**said, "langfuse.trace.tags": ["a"], "langfuse.environment": "qa"}


def test_calls_and_their_ancestors_have_the_same_environment(vendor: Vendor) -> None:
    """Langfuse filters by environment, so a root in another one would be missing."""
    resource = Resource({"deployment.environment.name": "Production EU", "service.version": "7"})
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(
        SimpleSpanProcessor(LangfuseExporter(SECRET, SECRET, vendor.url, release="r2"))
    )
    app(provider)
    programs = {
        (r["attributes"]["langfuse.environment"], r["attributes"]["langfuse.release"])
        for r in records(vendor).values()
    }
    assert len(records(vendor)) == 3
    assert programs == {("production-eu", "r2")}


@pytest.mark.parametrize("operation", ["search_memory", "create_memory_store", "fetch_response"])
def test_spans_that_are_not_model_calls_are_no_generations(operation: str) -> None:
    """Their tokens are those of the calls below them."""
    attributes = {**GENAI, "gen_ai.operation.name": operation, "gen_ai.usage.input_tokens": 5}
    view = GenAISpan.read(span(602, "memory", attributes, scope="somebody.else"))
    assert view is not None
    shown = langfuse.attributes(view)
    assert shown["langfuse.observation.type"] == "span"
    assert "langfuse.observation.usage_details" not in shown


def test_langfuse_tracing_enabled_false_disables_the_exporter(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """LANGFUSE_TRACING_ENABLED=false."""
    monkeypatch.setenv("LANGFUSE_TRACING_ENABLED", "False")
    assert LangfuseExporter(SECRET, SECRET).delivery is None


def test_content_is_sent_once(vendor: Vendor) -> None:
    """Langfuse's own attributes replace those of the span."""
    LangfuseExporter(SECRET, SECRET, vendor.url).export([CASES["chat"], CASES["tool_call"]])
    for request in vendor.received:
        assert request.body.count(b"Be brief.") == 1
        assert request.body.count(b"Weather of a city") == 1
    assert "gen_ai.input.messages" in (CASES["chat"].attributes or {})  # the span is untouched


def test_rejected_spans_of_an_otlp_answer_count_as_lost(vendor: Vendor) -> None:
    """They are not retried."""
    said = ExportTraceServiceResponse()
    said.partial_success.rejected_spans = 1
    said.partial_success.error_message = "one is odd"
    vendor.fault = in_turn(Reply(200, said.SerializeToString()))
    exporter = LangfuseExporter(SECRET, SECRET, vendor.url)
    assert exporter.export([CASES["chat"], CASES["stream"]]) is SpanExportResult.FAILURE
    assert (exporter.last.sent, exporter.last.dropped) == (1, {"rejected": 1})
    assert len(vendor.received) == 1


def test_a_giant_attribute_is_cut_inside_its_json(vendor: Vendor) -> None:
    """A truncated span has valid messages, with the original length."""
    exporter = LangfuseExporter(SECRET, SECRET, vendor.url, max_bytes=1_000_000)
    assert exporter.export([CASES["huge"]]) is SpanExportResult.SUCCESS
    (record,) = records(vendor).values()
    (message,) = json.loads(record["attributes"]["langfuse.observation.input"])
    assert message["content"].endswith("… [cut by litespan: originally 5244000 characters]")
    assert len(vendor.received[0].body) <= 1_000_000


def test_an_echoed_key_is_not_logged(vendor: Vendor, caplog: pytest.LogCaptureFixture) -> None:
    """Neither the secret key nor the header with it."""
    pair = base64.b64encode(b"pk-lf-0123456:sk-lf-7654321").decode()
    vendor.fault = in_turn(Reply(401, f"sk-lf-7654321 of {pair} is unknown".encode()))
    exporter = LangfuseExporter("pk-lf-0123456", "sk-lf-7654321", vendor.url)
    assert exporter.export([CASES["chat"]]) is SpanExportResult.FAILURE
    assert '("*** of *** is unknown")' in caplog.records[-1].getMessage()


REFERENCE = """
import datetime, os
from langfuse import Langfuse, propagate_attributes

client = Langfuse(
    public_key=os.environ["KEY"], secret_key=os.environ["KEY"], base_url=os.environ["URL"],
    environment="staging", release="r1",
)
with (
    propagate_attributes(user_id="u", session_id="s", tags=["a"], metadata={"feature": "x"}),
    client.start_as_current_observation(
        name="chat", as_type="generation", model="m", input=[], model_parameters={"n": 1}
    ) as generation,
):
    generation.update(
        output={}, level="WARNING", status_message="m", metadata={"k": "v"},
        usage_details={"input": 1}, cost_details={"input": 0.1},
        completion_start_time=datetime.datetime.now(datetime.timezone.utc),
    )
client.shutdown()
"""


@pytest.mark.slow
def test_requests_match_those_of_langfuses_own_sdk(request: pytest.FixtureRequest) -> None:
    """Path, headers and attributes, with values of the same types."""
    python = environment(request.config.cache.mkdir("langfuse"), "langfuse==5.0.4")
    with running(Langfuse()) as theirs:
        known = {**os.environ, "KEY": SECRET, "URL": theirs.url}
        subprocess.run([python, "-c", REFERENCE], check=True, env=known, timeout=60)
    with running(Langfuse()) as ours:
        LangfuseExporter(SECRET, SECRET, ours.url).export([CASES["stream"], CASES["chat"]])
    their, our = theirs.received[0], ours.received[0]
    assert our.path == their.path
    names = ("authorization", "content-type", "content-encoding", "x-langfuse-public-key")
    for name in (*names, "x-langfuse-ingestion-version"):
        assert our.headers[name] == their.headers[name]
    assert {n for n in their.headers if "langfuse" in n} <= set(our.headers)
    (sdk,) = (record["attributes"] for record in theirs.accept.records.values())  # type: ignore[attr-defined]
    mine: dict[str, Any] = {}
    for record in ours.accept.records.values():  # type: ignore[attr-defined]
        mine |= record["attributes"]
    # Only a program's own root says so; level and message are for what went wrong.
    ours_to_leave = {"internal.is_app_root", "observation.metadata.k"}
    ours_to_leave |= {"observation.level", "observation.status_message"}
    shown = {name for name in sdk if name.removeprefix("langfuse.") not in ours_to_leave}
    assert shown <= set(mine)
    assert {name: type(sdk[name]) for name in shown} == {name: type(mine[name]) for name in shown}
