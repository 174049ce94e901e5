"""PostHog's own rules: 100 spans per request, classification, costs, its capture API."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult

from litespan.export import GenAISpan
from litespan_exporters.posthog import PosthogExporter, attributes, ingestion
from litespan_exporters.posthog.event import costs, distinct_id, to_event
from tests.cases import CASES, CHAT, content, cost, foreign, span, text
from tests.support.server import Vendor, running
from tests.support.vendors import SECRET, Posthog

REFERENCE = json.loads((Path(__file__).parent / "reference/posthog.json").read_text())


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment says nothing of PostHog."""
    for name in ("API_KEY", "API_URL", "HOST", "PROJECT_API_KEY", "PROJECT_TOKEN"):
        monkeypatch.delenv(f"POSTHOG_{name}", raising=False)
    monkeypatch.delenv("LITESPAN_POSTHOG_ROUTE", raising=False)


@pytest.fixture
def vendor() -> Iterator[Vendor]:
    """PostHog on loopback."""
    with running(Posthog()) as vendor:
        yield vendor


def view(span: ReadableSpan) -> GenAISpan:
    """The typed view."""
    found = GenAISpan.read(span)
    assert found is not None
    return found


def test_a_request_has_at_most_100_spans(vendor: Vendor) -> None:
    """The SDK's batch of 512 becomes six requests; no span is lost."""
    spans = [span(1000 + n, "chat", CHAT) for n in range(512)]
    assert PosthogExporter(SECRET, vendor.url).export(spans) is SpanExportResult.SUCCESS
    assert vendor.wrong == []
    sent = [ExportTraceServiceRequest.FromString(r.body) for r in vendor.received]
    sizes = [sum(len(sc.spans) for r in s.resource_spans for sc in r.scope_spans) for s in sent]
    assert sizes == [100, 100, 100, 100, 100, 12]


def test_a_request_has_at_most_4_mb(vendor: Vendor) -> None:
    """Large spans are divided among more requests, and a span beyond an event's limit is cut."""
    messages = content([text("user", "lorem ipsum " * 70_000)])
    spans = [span(1000 + n, "chat", {**CHAT, **messages}) for n in range(9)]
    huge = [CASES["huge"], span(1100, "chat", {**CHAT, **content([text("user", "世" * 400_000)])})]
    assert PosthogExporter(SECRET, vendor.url).export(spans + huge) is SpanExportResult.SUCCESS
    assert vendor.wrong == []
    assert max(len(request.body) for request in vendor.received) <= 4_000_000
    assert len(vendor.accept.taken) == 11  # type: ignore[attr-defined]


@pytest.mark.parametrize("route", ["otlp", "batch"])
@pytest.mark.parametrize(
    "said",
    [
        content([text("user", 'say "no" ' * 80_000)]),
        content([text("user", "\x1b[0m" * 85_000)]),
        content(tool__definitions=[{"name": '"' * 300_000}, {"name": "n" * 200_000}]),
        {"litellm.metadata.terminal": "\x1b" * 200_000},
        {"litellm.metadata.many": ("x" * 100,) * 8_000, **content([text("user", "x" * 99_999)])},
    ],
)
def test_events_are_measured_as_posthogs_json(
    said: dict[str, Any], route: str, vendor: Vendor
) -> None:
    """Not as protobuf: in JSON, quotes and control characters take several bytes."""
    exporter = PosthogExporter(SECRET, vendor.url, route=route)
    assert exporter.export([span(1, "chat", {**CHAT, **said})]) is SpanExportResult.SUCCESS
    assert vendor.wrong == []


@pytest.mark.parametrize("size", [128_000, 890_000])
def test_events_within_the_limit_are_not_truncated(size: int, vendor: Vendor) -> None:
    """Up to almost 900 kB."""
    messages = content([text("user", "x" * size)])
    PosthogExporter(SECRET, vendor.url).export([span(1, "chat", {**CHAT, **messages})])
    (record,) = vendor.accept.records.values()  # type: ignore[attr-defined]
    assert record["attributes"]["gen_ai.input.messages"] == messages["gen_ai.input.messages"]


@pytest.mark.parametrize(
    ("operation", "classified"),
    [
        ("chat", "chat"),
        ("text_completion", "chat"),
        ("generate_content", "chat"),
        ("rerank", "chat"),
        ("image_generation", "chat"),
        ("embeddings", "embeddings"),
        ("execute_tool", "execute_tool"),
    ],
)
def test_operations_are_ones_that_posthog_classifies(operation: str, classified: str) -> None:
    """PostHog knows only chat and embeddings as calls."""
    shown = attributes(view(span(1, "x", {**CHAT, "gen_ai.operation.name": operation})))
    assert shown["gen_ai.operation.name"] == classified


@pytest.mark.parametrize("name", ["openllmetry-litellm", "traceloop-sdk", "openinference-litellm"])
def test_spans_of_other_instrumentations_have_only_current_names(name: str, vendor: Vendor) -> None:
    """Their namespaces would make PostHog apply other rules."""
    PosthogExporter(SECRET, vendor.url).export(foreign(name))
    assert vendor.wrong == []
    for record in vendor.accept.records.values():  # type: ignore[attr-defined]
        assert record["attributes"]["gen_ai.operation.name"]


@pytest.mark.parametrize(
    ("known", "three"),
    [
        (cost(3e-06, 6e-06), (3e-06, 6e-06, 9e-06)),
        ({"gen_ai.usage.cost": 0.5, "litellm.cost.input": 0.2}, (0.2, 0.3, 0.5)),
        ({"gen_ai.usage.cost": 0.5, "litellm.cost.output": 0.2}, (0.3, 0.2, 0.5)),
        ({"litellm.cost.input": 0.2, "litellm.cost.output": 0.3}, (0.2, 0.3, 0.5)),
        ({"gen_ai.usage.cost": 0.5}, (None, None, 0.5)),
        ({"gen_ai.usage.cost": 0.0, **cost(0.0, 0.0)}, (0.0, 0.0, 0.0)),
        ({"gen_ai.usage.cost": 0.0, "litellm.cache_hit": True}, (0.0, 0.0, 0.0)),
        ({}, (None, None, None)),
    ],
)
def test_all_three_costs_are_sent(known: dict[str, Any], three: tuple[Any, ...]) -> None:
    """So that PostHog does not use its own prices."""
    shown = costs(view(span(1, "chat", {**CHAT, **known})))
    assert tuple(shown.values()) == pytest.approx(three)


def test_cached_tokens_are_part_of_the_input() -> None:
    """For Anthropic's models, PostHog assumes the opposite, and would charge them twice."""
    called = view(CASES["reasoning_cached"])
    event: Any = to_event(called)
    assert attributes(called)["$ai_cache_reporting_exclusive"] is False
    assert event["properties"]["$ai_cache_reporting_exclusive"] is False


def test_tools_are_also_sent_over_otlp(vendor: Vendor) -> None:
    """In the format of the capture API, as text."""
    PosthogExporter(SECRET, vendor.url).export([CASES["tool_call"]])
    (record,) = vendor.accept.records.values()  # type: ignore[attr-defined]
    event: Any = to_event(view(CASES["tool_call"]))
    assert json.loads(record["attributes"]["$ai_tools"]) == event["properties"]["$ai_tools"]
    assert event["properties"]["$ai_tools"][0]["function"]["name"] == "get_weather"


def test_tokens_with_different_prices_are_separate() -> None:
    """Audio tokens and cache writes by duration."""
    used = {
        "gen_ai.usage.audio.input_tokens": 5,
        "gen_ai.usage.audio.output_tokens": 6,
        "litellm.usage.cache_creation.ephemeral_5m_input_tokens": 7,
        "litellm.usage.cache_creation.ephemeral_1h_input_tokens": 8,
    }
    shown = attributes(view(span(1, "chat", {**CHAT, **used})))
    assert shown["$ai_audio_input_tokens"] == 5
    assert shown["$ai_audio_output_tokens"] == 6
    assert shown["$ai_cache_creation_5m_input_tokens"] == 7
    assert shown["$ai_cache_creation_1h_input_tokens"] == 8


def test_the_distinct_id_is_the_users() -> None:
    """Without a user, an id for the session, else for the trace; 200 characters."""
    assert distinct_id(view(CASES["chat"])) == "user-42"
    anonymous = {**CHAT, "session.id": "s"}
    ids = {distinct_id(view(span(n, "chat", anonymous, who=False))) for n in (1, 2)}
    assert len(ids) == 1
    assert len(distinct_id(view(span(1, "chat", {**CHAT, "user.id": "x" * 300})))) == 200


@pytest.mark.parametrize(
    ("given", "to"),
    [
        ("https://app.posthog.com", "https://us.i.posthog.com"),
        ("https://us.posthog.com", "https://us.i.posthog.com"),
        ("https://eu.posthog.com", "https://eu.i.posthog.com"),
        ("https://eu.i.posthog.com", "https://eu.i.posthog.com"),
        ("https://posthog.example.com/sub", "https://posthog.example.com/sub"),
    ],
)
def test_a_ui_address_becomes_the_ingestion_address(given: str, to: str) -> None:
    """`us.posthog.com` becomes `us.i.posthog.com`."""
    assert ingestion(given) == to


@pytest.mark.parametrize("variable", ["POSTHOG_PROJECT_API_KEY", "POSTHOG_PROJECT_TOKEN"])
def test_the_key_has_the_names_of_posthogs_own_tools(
    variable: str, vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PostHog's own tools know it by these."""
    monkeypatch.setenv(variable, SECRET)
    monkeypatch.setenv("POSTHOG_HOST", vendor.url)
    assert PosthogExporter().export([CASES["chat"]]) is SpanExportResult.SUCCESS


def test_the_capture_api_accepts_every_canonical_span(
    vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With LITESPAN_POSTHOG_ROUTE=batch."""
    monkeypatch.setenv("LITESPAN_POSTHOG_ROUTE", "batch")
    exporter = PosthogExporter(SECRET, vendor.url)
    assert exporter.export(list(CASES.values())) is SpanExportResult.SUCCESS
    assert vendor.wrong == []
    assert {request.path for request in vendor.received} == {"/batch/"}
    assert all(len(request.body) < 4_000_000 for request in vendor.received)
    assert len(vendor.accept.taken) == len(CASES)  # type: ignore[attr-defined]
    assert SECRET not in repr(vars(exporter))


def test_events_have_the_properties_of_posthogs_own_sdk() -> None:
    """With the same types, except for properties about the SDK itself."""
    (request,) = REFERENCE["requests"]
    theirs = request["body"]["batch"]
    ours = [to_event(view(CASES[name])) for name in ("tool_call", "failure")]
    own = {"$context_tags", "$ai_lib", "$ai_lib_version", "$ai_usage", "$ai_tokens_source"}
    own |= {"$is_server", "$os", "$os_distro", "$os_version", "$python_runtime", "$python_version"}
    # What our cases have not got: cached tokens, an anonymous user, an answer of a failure.
    absent = {"$ai_cache_read_input_tokens", "$ai_reasoning_tokens", "$process_person_profile"}
    absent |= {"$ai_model_parameters", "$ai_output_choices"}
    for mine, reference in zip(ours, theirs, strict=True):
        assert set(mine) == set(reference)
        shown: Any = mine["properties"]
        expected = reference["properties"]
        assert set(expected) - set(shown) - absent == own & set(expected)
        for name in set(shown) & set(expected):
            assert type(shown[name]) is type(expected[name]), name
    full: Any = to_event(view(CASES["reasoning_cached"]))["properties"]
    assert absent - {"$process_person_profile"} <= set(full)
    anonymous: Any = to_event(view(CASES["bare"]))["properties"]
    assert anonymous["$process_person_profile"] is False
