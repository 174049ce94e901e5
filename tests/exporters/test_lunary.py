"""Lunary's own rules: two events per run, results inside a 200, ids of parents, its SDK."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult

from litespan.export import GenAISpan
from litespan_exporters.lunary import LunaryExporter, metadata, run_id, to_end, to_start
from tests.cases import CASES, CHAT, STARTED, content, span, text
from tests.support.server import Reply, Vendor, running
from tests.support.vendors import SECRET, Lunary

REFERENCE = json.loads((Path(__file__).parent / "reference/lunary.json").read_text())


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment says nothing of Lunary."""
    for name in ("PRIVATE_KEY", "PUBLIC_KEY", "APP_ID", "API_URL"):
        monkeypatch.delenv(f"LUNARY_{name}", raising=False)


@pytest.fixture
def vendor() -> Iterator[Vendor]:
    """Lunary on loopback."""
    with running(Lunary()) as vendor:
        yield vendor


def view(span: ReadableSpan) -> GenAISpan:
    """The typed view."""
    found = GenAISpan.read(span)
    assert found is not None
    return found


def events(vendor: Vendor) -> list[Any]:
    """The events that arrived, by request."""
    assert vendor.wrong == []
    return [json.loads(request.body)["events"] for request in vendor.received]


def test_start_and_end_are_in_one_request(vendor: Vendor) -> None:
    """Lunary would lose an end without its start."""
    spans = [span(1000 + n, "chat", CHAT) for n in range(150)]
    assert LunaryExporter(SECRET, vendor.url).export(spans) is SpanExportResult.SUCCESS
    sent = events(vendor)
    assert [len(batch) for batch in sent] == [200, 100]
    assert [event["event"] for batch in sent for event in batch] == ["start", "end"] * 150


def test_a_started_call_sends_its_start(vendor: Vendor) -> None:
    """It is sent at once, and again with the end, which has no effect."""
    exporter = LunaryExporter(SECRET, vendor.url)
    assert exporter.export_started([STARTED]) is SpanExportResult.SUCCESS
    assert exporter.export([CASES["chat"]]) is SpanExportResult.SUCCESS
    assert [[event["event"] for event in batch] for batch in events(vendor)] == [
        ["start"],
        ["start", "end"],
    ]
    assert len(vendor.accept.records) == 1  # type: ignore[attr-defined]


def test_rejected_runs_in_a_200_are_counted(caplog: pytest.LogCaptureFixture) -> None:
    """Once per run."""
    keys = [str(view(CASES[name]).key) for name in ("chat", "stream")]
    results = [
        {"id": keys[0], "success": False, "error": "Run with this external id already exists"},
        {"id": keys[0], "success": True},
        {"id": keys[1], "success": False, "error": "invalid input"},
        {"id": keys[1], "success": False, "error": "invalid input"},
    ]
    answer = Reply(200, json.dumps({"results": results}).encode())
    with running(lambda _: answer) as vendor:
        exporter = LunaryExporter(SECRET, vendor.url)
        sent = exporter.export([CASES["chat"], CASES["stream"]])
    assert sent is SpanExportResult.FAILURE
    assert (exporter.last.sent, exporter.last.dropped) == (1, {"rejected": 1})
    assert "invalid input" in caplog.text


@pytest.mark.parametrize(
    ("operation", "kind"),
    [
        ("chat", "llm"),
        ("text_completion", "llm"),
        ("embeddings", "embed"),
        ("execute_tool", "tool"),
        ("invoke_agent", "agent"),
        ("retrieval", "retriever"),
    ],
)
def test_each_operation_has_lunarys_type(operation: str, kind: str) -> None:
    """Lunary's names of run types."""
    made = to_start(view(span(1, "x", {**CHAT, "gen_ai.operation.name": operation})))
    assert made["type"] == kind


def test_parent_run_ids_are_hashed_like_lunarys_sdk(vendor: Vendor) -> None:
    """`parent_run_id` in the metadata is hashed as Lunary's SDK does it."""
    called = span(1, "chat", {**CHAT, "litellm.metadata.parent_run_id": "chain"})
    LunaryExporter(SECRET, vendor.url).export([called])
    assert events(vendor)[0][0]["parentRunId"] == run_id("chain", SECRET)
    theirs = REFERENCE["requests"][0]["body"]["events"][0]
    assert run_id("chain", "lunary-key") == theirs["parentRunId"]
    assert run_id("5f2b2d3e-8a0f-4c53-9d2a-0a1b2c3d4e5f", "lunary-key") == theirs["runId"]


@pytest.mark.parametrize("later_ns", [0, 200_000, 3_000_000])
def test_a_parent_comes_before_its_children(vendor: Vendor, later_ns: int) -> None:
    """Even within one millisecond, the precision of Lunary's order; children end first."""
    agent = span(1, "agent", {"gen_ai.operation.name": "invoke_agent"}, scope="agents")
    tool = below(agent, 3, later_ns, {"gen_ai.operation.name": "execute_tool"})
    call = below(tool, 2, 2 * later_ns, CHAT)
    exporter = LunaryExporter(SECRET, vendor.url)
    assert exporter.export([call, tool, agent]) is SpanExportResult.SUCCESS
    (batch,) = events(vendor)
    starts = [event for event in batch if event["event"] == "start"]
    assert [event["type"] for event in starts] == ["agent", "tool", "llm"]
    assert starts[1]["parentRunId"] == starts[0]["runId"]
    assert starts[2]["parentRunId"] == starts[1]["runId"]


def below(parent: ReadableSpan, number: int, later_ns: int, attributes: Any) -> ReadableSpan:
    """A span below `parent` that starts so much later."""
    made = span(number, "below", attributes, scope="agents")
    made._parent, made._start_time = parent.context, (parent.start_time or 0) + later_ns
    return made


def test_metadata_is_flat() -> None:
    """Lunary keeps only scalars of the first level."""
    shown = metadata(view(CASES["reasoning_cached"]))
    assert shown["cost_usd"] == 0.0040656
    assert shown["feature"] == "refund"
    assert shown["litellm.tags"] == '["checkout","beta"]'
    assert all(isinstance(value, str | int | float) for value in shown.values())


def test_metadata_with_litespans_names_stay_if_litespan_has_no_value() -> None:
    """A name without a value does not remove the user's entry."""
    given = {"session_id": "mine", "outcome": "mine", "environment": "mine"}
    own = {f"litellm.metadata.{name}": value for name, value in given.items()}
    shown = metadata(view(span(1, "chat", {**CHAT, **own}, who=False)))
    assert {name: shown[name] for name in given} == {
        "session_id": "mine",
        "outcome": "success",
        "environment": "production",
    }


def test_nul_characters_are_replaced_everywhere(vendor: Vendor) -> None:
    """PostgreSQL's JSON does not accept them, so Lunary would lose the run."""
    odd = {
        "user.id": "a\0b",
        "litellm.metadata.na\0me": "c\0",
        **content([text("user", "d\0"), text("user", "\\u0000 as text")]),
    }
    LunaryExporter(SECRET, vendor.url).export([span(1, "chat", {**CHAT, **odd})])
    ((start, end),) = events(vendor)
    assert start["userId"] == "a\ufffdb"
    assert [message["content"] for message in start["input"]] == ["d\ufffd", "\\u0000 as text"]
    assert end["metadata"]["na\ufffdme"] == "c\ufffd"
    assert "\0" not in str([start, end])


@pytest.mark.parametrize("variable", ["LUNARY_PRIVATE_KEY", "LUNARY_PUBLIC_KEY", "LUNARY_APP_ID"])
def test_the_key_has_the_sdks_three_variables(
    variable: str, vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The SDK's three."""
    monkeypatch.setenv(variable, SECRET)
    monkeypatch.setenv("LUNARY_API_URL", vendor.url)
    assert LunaryExporter().export([CASES["chat"]]) is SpanExportResult.SUCCESS


def test_a_large_run_is_truncated(vendor: Vendor) -> None:
    """Both events stay valid."""
    messages = content([text("user", "x" * 5_000_000)], [text("assistant", "y" * 3_000_000)])
    exporter = LunaryExporter(SECRET, vendor.url)
    assert exporter.export([span(1, "chat", {**CHAT, **messages})]) is SpanExportResult.SUCCESS
    ((start, end),) = events(vendor)
    assert (start["event"], end["event"]) == ("start", "end")
    assert len(vendor.received[0].body) <= 4_000_000


def test_events_have_the_fields_of_lunarys_own_sdk() -> None:
    """With values of the same types."""
    (request,) = REFERENCE["requests"]
    (start, end, _, error) = request["body"]["events"]
    ours = [
        to_start(view(CASES["chat"]), "parent"),
        to_end(view(CASES["reasoning_cached"])),
        to_end(view(CASES["failure"])),
    ]
    for mine, theirs in zip(ours, (start, end, error), strict=True):
        filled = {name: value for name, value in theirs.items() if value is not None}
        assert set(mine) <= set(theirs)
        assert set(filled) <= set(mine)
        for name, value in filled.items():
            assert type(mine[name]) is type(value), name
    assert set(end["tokensUsage"]) == set(ours[1]["tokensUsage"])  # type: ignore[arg-type]
    assert set(error["error"]) == set(ours[2]["error"])  # type: ignore[arg-type]
