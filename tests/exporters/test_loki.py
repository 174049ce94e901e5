"""Loki's own rules: labels, lines, structured metadata, stages, the older push API."""

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult

from litespan.export import GenAISpan
from litespan_exporters.loki import LokiExporter
from litespan_exporters.loki.record import Record, line_of, to_entry, to_record
from tests.cases import CASES, CHAT, OTHERS, STARTED, content, span, text
from tests.support.server import Reply, Vendor, running
from tests.support.vendors import SECRET, Loki

PUSH = "/loki/api/v1/push"


@pytest.fixture(autouse=True)
def _variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """The credentials, and nothing else of Loki."""
    for name in ("LOKI_URL", "LOKI_TENANT_ID", "LITESPAN_LOKI_STAGES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LOKI_USERNAME", "litespan")
    monkeypatch.setenv("LOKI_PASSWORD", SECRET)


@pytest.fixture
def vendor() -> Iterator[Vendor]:
    """Loki on loopback."""
    with running(Loki()) as vendor:
        yield vendor


def view(span: ReadableSpan) -> GenAISpan:
    """The typed view."""
    found = GenAISpan.read(span)
    assert found is not None
    return found


def taken(vendor: Vendor) -> dict[str, Any]:
    """What arrived, by span id and event."""
    assert vendor.wrong == []
    return vendor.accept.records  # type: ignore[attr-defined]


@pytest.mark.parametrize("path", ["", PUSH])
def test_every_case_is_one_record_with_either_api(path: str, vendor: Vendor) -> None:
    """Within the limits, even for large calls."""
    exporter = LokiExporter(vendor.url + path)
    sent = exporter.export([*CASES.values(), *OTHERS.values()])
    assert sent is SpanExportResult.SUCCESS
    assert len(taken(vendor)) == len(CASES)
    assert all(len(request.body) <= 1_000_000 for request in vendor.received)


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("", "/otlp/v1/logs"),
        ("/otlp", "/otlp/v1/logs"),
        ("/otlp/v1/logs", "/otlp/v1/logs"),
        ("/sub/", "/sub/otlp/v1/logs"),
        (PUSH, PUSH),
        (f"/sub{PUSH}", f"/sub{PUSH}"),
    ],
)
def test_the_url_selects_otlp_or_the_push_api(url: str, path: str) -> None:
    """The push API only if the URL has its path."""
    with running(lambda _: Reply(204)) as vendor:
        LokiExporter(vendor.url + url).export([CASES["chat"]])
        assert [request.path for request in vendor.received] == [path]


def test_both_apis_send_the_same_line_and_metadata(vendor: Vendor) -> None:
    """Like Loki, litespan writes names with underscores, and values as text."""
    shown = []
    for path in ("", PUSH):
        LokiExporter(vendor.url + path).export([CASES["reasoning_cached"]])
        shown.append(next(iter(taken(vendor).values())))
        taken(vendor).clear()
    (line, attributes), (pushed, metadata) = shown
    assert line == pushed
    shaped = {
        name.replace(".", "_"): str(value).lower() if isinstance(value, bool) else str(value)
        for name, value in attributes.items()
    }
    assert shaped.items() <= metadata.items()


def test_the_line_has_content_only_if_captured() -> None:
    """It has a summary as text, and the figures."""
    line = json.loads(line_of(to_record(view(CASES["chat"]))))
    assert line["message"] == "chat gpt-4o-mini success 1.25s 30 tok $0.000009"
    assert line["cost_usd"] == "0.0000090000"
    assert line["messages"][1] == {"role": "user", "content": "Say hello."}
    assert "messages" not in json.loads(line_of(to_record(view(CASES["content_off"]))))
    failed = json.loads(line_of(to_record(view(CASES["failure"]))))
    assert failed["error"] == "AuthenticationError: Incorrect API key provided"


@pytest.mark.parametrize(
    ("case", "level"), [("chat", "info"), ("failure", "error"), ("abandoned", "warn")]
)
def test_labels_have_few_values(case: str, level: str) -> None:
    """No label differs by user, call or process."""
    assert to_record(view(CASES[case])).labels == {
        "service.name": "checkout-bot",
        "deployment.environment.name": "production",
        "level": level,
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
    }


def test_a_long_line_is_cut_and_stays_json() -> None:
    """Loki drops lines above 256 KB."""
    messages = content([text("user", "世" * 200_000)], [text("assistant", "yes")])
    line = line_of(to_record(view(span(1, "chat", {**CHAT, **messages}))))
    assert len(line) <= 240_000
    assert "originally 200000 characters" in json.loads(line)["messages"][0]["content"]


def test_structured_metadata_is_bounded() -> None:
    """128 entries and 64 KB; ids come first."""
    many = {f"litellm.metadata.k{n}": "v" * 5000 for n in range(300)}
    record = to_record(view(span(1, "chat", {**CHAT, **many})))
    assert len(record.metadata) <= 120
    assert record.metadata["call_id"] == "00000000-0000-4000-8000-000000000001"
    assert max(len(str(value)) for value in record.metadata.values()) == 2000


def test_times_are_text() -> None:
    """Nanoseconds of the end, as text; Loki rejects numbers with a 400."""
    assert to_entry(to_record(view(CASES["chat"])))[0] == "1795165988250000000"


def test_stages_are_separate_records_if_enabled(
    vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With LITESPAN_LOKI_STAGES: one record for each stage except chunks."""
    monkeypatch.setenv("LITESPAN_LOKI_STAGES", "true")
    LokiExporter(vendor.url).export([CASES["stream"]])
    assert [key.partition(":")[2] for key in taken(vendor)] == [
        "litellm.pre_api_call",
        "litellm.post_api_call",
        "litellm.success",
        "gen_ai.client.inference.operation.details",
    ]


def test_a_started_call_is_a_stage_record(vendor: Vendor) -> None:
    """It is sent at once, with the time of the start."""
    exporter = LokiExporter(vendor.url)
    assert exporter.export_started([STARTED]) is SpanExportResult.SUCCESS
    ((key, (line, metadata)),) = taken(vendor).items()
    assert key.endswith(":litellm.pre_api_call")
    assert (line["message"], line["status"]) == ("chat gpt-4o-mini started", "started")
    assert metadata["litellm.call_id"] == "00000000-0000-4000-8000-000000000001"


def test_the_tenant_header_needs_no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """X-Scope-OrgID is sent, and no credentials if none are set."""
    monkeypatch.delenv("LOKI_USERNAME")
    monkeypatch.delenv("LOKI_PASSWORD")
    monkeypatch.setenv("LOKI_TENANT_ID", "team-a")
    with running(lambda _: Reply(204)) as vendor:
        LokiExporter(vendor.url).export([CASES["chat"]])
        (request,) = vendor.received
    assert request.headers["x-scope-orgid"] == "team-a"
    assert "authorization" not in request.headers


def test_an_invalid_tenant_is_reported_once(caplog: pytest.LogCaptureFixture) -> None:
    """One line, instead of a failure for each export."""
    exporter = LokiExporter("http://127.0.0.1:9", tenant="münchen")
    assert exporter.delivery is None
    assert "the header X-Scope-OrgID" in caplog.records[0].getMessage()


def test_an_echoed_password_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    """Even if it is short."""
    with running(lambda _: Reply(400, b"no hunter2 here")) as vendor:
        LokiExporter(vendor.url, username="u", password="hunter2").export([CASES["chat"]])
    (line,) = [record.getMessage() for record in caplog.records]
    assert '("no *** here")' in line


def test_grafana_clouds_user_and_token_are_basic_authentication(vendor: Vendor) -> None:
    """Grafana Cloud's user id and token."""
    LokiExporter(vendor.url, username="123", password="glc_token").export([CASES["chat"]])
    expected = base64.b64encode(b"123:glc_token").decode()
    assert vendor.received[0].headers["authorization"] == f"Basic {expected}"


@pytest.mark.parametrize(
    ("attributes", "words"),
    [
        ({}, "chat success 1.25s"),
        ({"gen_ai.usage.cost": 1.5}, "chat success 1.25s $1.5"),
        ({"gen_ai.usage.cost": 0.0}, "chat success 1.25s $0"),
        ({"gen_ai.usage.cost": 100.0}, "chat success 1.25s $100"),
    ],
)
def test_a_summary_has_only_known_values(attributes: dict[str, Any], words: str) -> None:
    """Unknown values are left out."""
    record = to_record(view(span(1, "chat", {**CHAT, **attributes})))
    assert record.line["message"] == words


def test_a_span_with_few_attributes_has_a_record() -> None:
    """The record of a span that says next to nothing."""
    record: Record = to_record(view(CASES["bare"]))
    assert json.loads(line_of(record)) == {
        "message": "chat success 1.25s",
        "event": "llm_call",
        "status": "success",
        "operation": "chat",
        "call_id": "00000000-0000-4000-8000-000000000014",
        "duration_s": 1.25,
    }
