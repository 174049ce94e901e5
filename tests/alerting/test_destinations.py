"""Every alert destination, by entry point, so that a new one is tested without an edit."""

import json
import logging
import time
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace.export import SpanExportResult

from litespan.alerting import AlertExporter, Example, Finding, Notice, Thresholds
from litespan.alerting.exporter import _MAX_REFUSALS
from litespan_exporters.slack import SlackExporter
from litespan_exporters.slack import to_message as slack_message
from tests.alerting.calls import NO_KEY, NOON, RATE_LIMIT, span
from tests.cases import CASES
from tests.support.golden import Golden
from tests.support.hostile import ALIVE, CHATS
from tests.support.program import run
from tests.support.server import Received, Reply, Vendor, in_turn, running
from tests.support.vendors import SECRET, strict

DESTINATIONS: dict[str, type[AlertExporter]] = {
    found.name: loaded
    for found in entry_points(group="opentelemetry_traces_exporter")
    if found.value.startswith("litespan_exporters.")
    and isinstance(loaded := found.load(), type)
    and issubclass(loaded, AlertExporter)
}
GOLDEN = Path(__file__).parent / "golden"
QUICK: dict[str, Any] = {"attempt": 0.3, "patience": 0.5, "timeout": 2.0, "backoff": 0.02}
"""For destinations that do not answer; others are given the time that a busy machine takes."""
PATH = "/services/T00000000/B00000000/path-secret-0123456789"
each = pytest.mark.parametrize("name", DESTINATIONS)


def ok(_: Received) -> Reply:
    """What Slack answers, which is good enough for all."""
    return Reply(200, b"ok")


@pytest.fixture
def vendor() -> Iterator[Vendor]:
    """A service that accepts everything."""
    with running(ok) as vendor:
        yield vendor


def connected(
    name: str, url: str, monkeypatch: pytest.MonkeyPatch, **options: Any
) -> AlertExporter:
    """The exporter as `OTEL_TRACES_EXPORTER` would make it."""
    cls = DESTINATIONS[name]
    whole = url + PATH if cls.hidden_path else url
    for variable, value in cls.variables_for(whole, SECRET).items():
        monkeypatch.setenv(variable, value)
    exporter = cls(**options)
    assert exporter.engine is not None, exporter.problem
    return exporter


def notice(turn: Any = "firing", **changes: Any) -> Notice:
    """One that has everything."""
    finding: dict[str, Any] = {
        "rule": "failure",
        "labels": (("provider", "openai"), ("model", "gpt-4o-mini"), ("error", "RateLimitError")),
        "severity": "error",
        "summary": "RateLimitError from gpt-4o-mini",
        "value": 12,
        "threshold": 10,
        "window": 60,
        "example": Example(
            call_id="5f2b2d3e-8a0f-4c53-9d2a-0a1b2c3d4e5f",
            trace_id="0af7651916cd43dd8448eb211c80319c",
            service="checkout-bot",
            environment="production",
            user="user-42",
            team="payments",
            trace_url="https://traces.example/t/0af7651916cd43dd8448eb211c80319c?a=1&b=2",
            error="litellm.RateLimitError: 429 Too Many Requests",
        ),
        **changes,
    }
    return Notice(Finding(**finding), turn, NOON, NOON + 42.5, 12, 11)


HOSTILE = notice(
    labels=(
        ("provider", "x\x00y"),
        ("model", "<!channel> @here [a](http://evil)"),
        ("bad name", ""),
    ),
    summary="`@everyone` <@U12345> *bold*\n\r\u202e" + "x" * 5000,
    example=Example(error="```<!here>```\x1b[31m & <http://evil|ok>" + "&" * 9000, user="<!here>"),
)
SHOWN = {
    "firing": [notice()],
    "resolved": [notice("resolved")],
    "repeat": [notice("repeat", severity="warning")],
    "several": [notice(rule=f"rule-{number}") for number in range(2)],
    "hostile": [HOSTILE],
    "hostile-several": [HOSTILE] * 2,
}
FULL = {
    "full": [notice(rule=f"rule-{number}") for number in range(8)],
    "hostile-full": [HOSTILE] * 8,
}
"""As many alerts as a message holds."""


@each
@pytest.mark.parametrize("case", SHOWN)
def test_each_request_equals_its_golden_file(
    name: str, case: str, vendor: Vendor, golden: Golden, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bytes on the wire are those of the golden file."""
    exporter = connected(name, vendor.url, monkeypatch)
    most = exporter.limits.max_items
    for at in range(0, len(SHOWN[case]), most):
        assert exporter._send(SHOWN[case][at : at + most], 3) == "sent"
    exporter.shutdown()
    bodies = [strict(request.body) for request in vendor.received]
    golden(GOLDEN / name / f"{case}.json", bodies)


@each
def test_text_of_calls_mentions_no_user(
    name: str, vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even in a chat to which the destination forwards the alert; addresses stay complete."""
    exporter = connected(name, vendor.url, monkeypatch)
    error = "can not ask <!channel>, @here, <@U12345> or ann@example.com"
    exporter.export([span(**{**RATE_LIMIT, "message": error}, model="<!here>")])
    assert exporter.force_flush(60_000)
    exporter.shutdown()
    said = "".join(json.dumps(strict(r.body), ensure_ascii=False) for r in vendor.received)
    said = said.replace("<!date^", "")  # of ours, in Slack
    assert "ann@example.com" in said
    assert [word for word in ("<!", "<@", " @here") if word in said] == []


@each
def test_fifty_failures_of_three_kinds_alert_once_per_kind(
    name: str, vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exported as by the SDK: one immediate message per kind."""
    monkeypatch.setenv("LITESPAN_ALERTS_BURST", "off")
    exporter = connected(name, vendor.url, monkeypatch)
    kinds = [RATE_LIMIT, NO_KEY, {"error": "NotFoundError", "code": 404}]
    for number in range(50):
        assert exporter.export([span(**kinds[number % 3])]) is SpanExportResult.SUCCESS
    assert exporter.force_flush(60_000)
    exporter.shutdown()
    bodies = b"".join(request.body for request in vendor.received).decode()
    summaries = [f"{kind['error']} from gpt-4o-mini" for kind in kinds]
    assert len(vendor.received) <= 3
    assert all(summary in bodies for summary in summaries)
    assert exporter.export([span()]) is SpanExportResult.FAILURE


@each
def test_successful_calls_cause_no_request(
    name: str, vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Calls that are fine are nobody's business."""
    exporter = connected(name, vendor.url, monkeypatch)
    exporter.export([CASES["chat"], CASES["stream"], CASES["embedding"], CASES["abandoned"]])
    assert exporter.force_flush(60_000)
    exporter.shutdown()
    assert vendor.received == []


@each
def test_no_content_and_no_secret(
    name: str, vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No message about any canonical span has a prompt, an answer or a credential."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-planted-in-the-environment")
    exporter = connected(
        name, vendor.url, monkeypatch, thresholds=Thresholds(slow=0.001, first_chunk=0.001)
    )
    exporter.export(list(CASES.values()))
    assert exporter.force_flush(60_000)
    for request in vendor.received:
        body = request.body.decode()
        for word in ("Say hello", "Be brief", "get_weather", "Hello!", "sk-planted"):
            assert word not in body
        if name != "pagerduty":  # whose body is where the key goes
            assert SECRET not in body + str(request.headers)
    assert vendor.received
    shown = repr([exporter, vars(exporter), vars(exporter.delivery), vars(exporter.engine)])
    assert SECRET not in shown
    assert "path-secret" not in shown
    exporter.shutdown()


@each
def test_an_alert_waits_for_retry_after_and_is_sent_once(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a rate limit the alert is sent, once."""
    with running(ok, in_turn(Reply(429, b"", {"Retry-After": "0.4"}))) as vendor:
        exporter = connected(name, vendor.url, monkeypatch)
        exporter.export([span(**RATE_LIMIT)])
        assert exporter.force_flush(60_000)
        exporter.shutdown()
    first, second = vendor.received
    assert second.at - first.at >= 0.4
    assert first.raw == second.raw


@each
@pytest.mark.parametrize("status", [403, 404, 410])
def test_a_permanent_refusal_stops_the_destination_with_its_fix(
    name: str, status: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """No further request is sent, and one line has the reason and the fix."""
    with running(lambda _: Reply(status, b"no such thing")) as vendor:
        exporter = connected(name, vendor.url, monkeypatch)
        for model in ("a", "b", "c"):
            exporter.export([span(**RATE_LIMIT, model=model)])
            exporter.force_flush(60_000)
        exporter.shutdown()
    assert len(vendor.received) == 1
    off = [r.getMessage() for r in caplog.records if "alerts are off" in r.getMessage()]
    assert len(off) == 1
    assert str(status) in off[0]
    assert SECRET not in caplog.text
    assert "path-secret" not in caplog.text


@each
def test_three_refused_messages_in_a_row_stop_the_destination(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A single 400 may concern only that message."""
    with running(lambda _: Reply(400, b"invalid_payload")) as vendor:
        exporter = connected(name, vendor.url, monkeypatch)
        for model in "abcdefg":
            exporter.export([span(**RATE_LIMIT, model=model)])
            exporter.force_flush(60_000)
        exporter.shutdown()
    assert len(vendor.received) == _MAX_REFUSALS


@each
@pytest.mark.parametrize(
    "fault", [Reply(503), Reply(reset=True), Reply(delay=1), Reply(garbage=True)]
)
def test_alerts_are_kept_during_an_outage_of_the_destination(
    name: str, fault: Reply, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are sent when the destination is available again."""
    away = [True]
    with running(ok, lambda _: fault if away else None) as vendor:
        exporter = connected(name, vendor.url, monkeypatch, **QUICK)
        exporter.export([span(**RATE_LIMIT)])
        assert not exporter.force_flush(60_000)
        away.clear()
        taken = len(vendor.received)
        assert exporter.force_flush(60_000)
        exporter.shutdown()
    again = vendor.received[taken:]  # more than one: our time was up before the answer was there
    assert len({request.raw for request in again}) == 1


@pytest.mark.slow
@each
def test_shutdown_sends_pending_alerts_within_its_time_limit(
    name: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A destination that hangs does not delay it further."""
    with running(lambda _: Reply(delay=60)) as vendor:
        exporter = connected(name, vendor.url, monkeypatch, patience=60.0, attempt=60.0)
        exporter.export([span(**RATE_LIMIT)])
        begun = time.monotonic()
        exporter.shutdown()
        exporter.shutdown()
    assert time.monotonic() - begun < 20
    assert "before 1 alert(s) were sent" in caplog.text


@each
def test_export_does_not_wait(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A destination that hangs does not delay the exporting thread."""
    with running(lambda _: Reply(delay=30)) as vendor:
        exporter = connected(name, vendor.url, monkeypatch, attempt=30.0, patience=30.0)
        begun = time.monotonic()
        for number in range(200):
            exporter.export([span(**RATE_LIMIT, model=f"m{number % 7}")])
        assert time.monotonic() - begun < 15
        assert exporter.delivery is not None
        exporter.delivery.close()


@pytest.mark.slow
@each
def test_check_sends_a_test_alert_and_reports_success(name: str, vendor: Vendor) -> None:
    """`litespan check` sends a test alert, and reports that the destination accepted it."""
    cls = DESTINATIONS[name]
    env = cls.variables_for(vendor.url + (PATH if cls.hidden_path else ""), SECRET)
    ran = run(
        f"from litespan.cli import main; raise SystemExit(main(['check', '{name}']))", env=env
    )
    assert (ran.code, ran.stderr) == (0, "")
    assert ran.stdout.startswith(f"{name}: {vendor.url} accepted the test")
    assert len(vendor.received) == 1
    assert "This is a test alert of litespan." in vendor.received[0].body.decode()


@pytest.mark.slow
@each
def test_check_reports_a_deleted_destination(name: str) -> None:
    """The line has the answer and the fix, without the secret."""
    cls = DESTINATIONS[name]
    with running(lambda _: Reply(404, b"no_service")) as vendor:
        env = cls.variables_for(vendor.url + (PATH if cls.hidden_path else ""), SECRET)
        ran = run(
            f"from litespan.cli import main; raise SystemExit(main(['check', '{name}']))", env=env
        )
    assert (ran.code, ran.stdout) == (1, "")
    assert ran.stderr.startswith(f"{name}: 404: ")
    assert "no_service" in ran.stderr
    assert "path-secret" not in ran.stderr


def test_an_unknown_rule_is_reported_with_the_known_ones(caplog: pytest.LogCaptureFixture) -> None:
    """One line lists the rules."""
    exporter = SlackExporter("https://hooks.example/x", rules=["failures"])
    assert "there is no rule 'failures'; there are failure, auth" in caplog.text
    exporter.shutdown()


@each
@pytest.mark.parametrize("case", FULL)
def test_a_full_message_is_within_the_limits_of_services(
    name: str, case: str, vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even if every text in it has its maximum length."""
    exporter = connected(name, vendor.url, monkeypatch)
    message = exporter.message(FULL[case][: exporter.limits.max_items], 3)
    exporter.shutdown()
    assert len(json.dumps(message)) < 28_000


def test_a_temporary_failure_is_one_log_line(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The line says that the alert is kept and sent again."""
    caplog.set_level(logging.WARNING)
    with running(lambda _: Reply(503)) as vendor:
        exporter = connected("slack", vendor.url, monkeypatch, **QUICK)
        for model in "abc":
            exporter.export([span(**RATE_LIMIT, model=model)])
            exporter.force_flush(60_000)
        said = "slack: an alert was not accepted (503: HTTP error); it is kept and sent again later"
        lines = [record.getMessage() for record in caplog.records]
        assert lines == [f"{said} (logged once)"]
        assert exporter.delivery is not None
        exporter.delivery.close()


@each
@pytest.mark.parametrize("text", CHATS)
def test_hostile_text_has_no_effect_in_any_destination(
    name: str, text: str, vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error, user, model or prompt is never a link, mention, channel or control character."""
    exporter = connected(name, vendor.url, monkeypatch)
    hostile = notice(
        labels=(("provider", text), ("model", text), ("error", text)),
        summary=text,
        example=Example(text, text, text, text, text, text, text, text),
    )
    assert exporter._send([hostile], 0) == "sent"
    exporter.shutdown()
    for request in vendor.received:
        shown = list(texts(strict(request.body)))
        shown = [each.replace("<!date^", "") for each in shown]  # of ours, in Slack
        assert {part for part in ALIVE for each in shown if part in each} == set()
        assert [each for each in shown if not each.replace("\n", "").isprintable()] == []


def test_slack_does_not_format_text_of_calls() -> None:
    """It is only in fields without markup, and in the fallback text, whose markup is off."""
    message: Any = slack_message([notice(summary="*s*", example=Example(*["*bold*"] * 7))])
    assert message["mrkdwn"] is False
    marked = [text for block in message["blocks"] for text in marked_up(block)]
    assert marked
    assert [text for text in marked if "*" in text] == []


def marked_up(node: Any) -> Iterator[str]:
    """The texts that Slack reads markup in."""
    if isinstance(node, dict):
        if node.get("type") == "mrkdwn":
            yield node["text"]
        node = list(node.values())
    for inner in node if isinstance(node, list) else []:
        yield from marked_up(inner)


def texts(node: Any) -> Iterator[str]:
    """Every text in a message."""
    if isinstance(node, str):
        yield node.replace("\u200b", "|")
    elif isinstance(node, dict):
        for inner in node.values():
            yield from texts(inner)
    elif isinstance(node, list):
        for inner in node:
            yield from texts(inner)
