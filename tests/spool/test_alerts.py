"""Alerts: what a destination has not accepted when the process ends, the next one sends."""

import json
import os
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.trace import Status, StatusCode

from litespan import spool
from litespan.alerting import Notice, Thresholds
from litespan.alerting.alert import make_finding
from litespan.alerting.engine import Engine
from litespan.alerting.kept import KeptNotices
from litespan.alerting.queues import SendResult
from litespan.alerting.state import State
from litespan.cli import main
from litespan.counters import stats
from litespan.settings import Settings
from litespan.spool import recorder_for
from litespan.spool.directory import Directory
from litespan.spool.overview import overview
from litespan.testing import LoopbackProvider
from litespan_exporters.alertmanager import to_alert
from litespan_exporters.slack import SlackExporter
from tests.alerting.calls import NOON, RATE_LIMIT, view
from tests.spool.calls import SHORT, Program, eventually, file_of
from tests.spool.test_processes import started, waiting
from tests.support.logs import fresh_logs
from tests.support.server import Received, Reply, Vendor, running

__all__ = ["fresh_logs"]

ALERTS = "slack:alerts"
HOURS_AGO = 7200.0  # s
CALLS = """
    import time
    import litellm

    try:
        litellm.completion("openai/gpt-4o-mini", [{"role": "user", "content": "Hello"}])
    finally:
        time.sleep(600)
"""


class Slack:
    """A fake Slack: how it answers now, and the messages that it has accepted."""

    def __init__(self) -> None:
        self.status = 200
        self.vendor: Vendor
        self.messages: list[dict[str, Any]] = []

    def accept(self, request: Received) -> Reply:
        """Answer one message."""
        if self.status == 200:
            self.messages.append(json.loads(request.body))
        return Reply(self.status, b"ok")

    @property
    def url(self) -> str:
        """Its webhook."""
        return f"{self.vendor.url}/services/T/B/secret"

    @property
    def titles(self) -> list[str]:
        """Of all alerts."""
        blocks = [block for message in self.messages for block in message["blocks"]]
        return [each["text"]["text"][2:] for each in blocks if each["type"] == "header"]

    def exporter(self, **thresholds: Any) -> SlackExporter:
        """An exporter for it, whose warnings do not wait for others."""
        return SlackExporter(self.url, thresholds=Thresholds(digest=0, **thresholds), **SHORT)


@pytest.fixture
def slack() -> Iterator[Slack]:
    """It accepts everything."""
    made = Slack()
    with running(made.accept) as made.vendor:
        yield made


@pytest.fixture
def counted() -> Callable[[str], int]:
    """How much a counter has grown since the test began."""
    before = stats()
    return lambda name: stats().get(name, 0) - before.get(name, 0)


def fail(program: Program, ago: float = 0.0, error: str = "InternalServerError") -> None:
    """A call fails, or failed some seconds ago."""
    end = time.time_ns() - int(ago * 1e9)
    attributes: dict[str, Any] = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "m",
        "litellm.outcome": "failure",
        "error.type": error,
        "litellm.provider.error.code": 500,
    }
    tracer = program.provider.get_tracer("litespan")
    span = tracer.start_span("chat m", attributes=attributes, start_time=end - 10**9)
    span.set_status(Status(StatusCode.ERROR, "it failed"))
    span.end(end)


def kill(program: Program) -> None:
    """Leave the process as `kill -9` does: the files are on disk, the locks are free."""
    processor = program.processor
    assert processor._recorder.wait(time.monotonic() + 60)
    processor._stopped = True
    processor.span_exporter.delivery.close()
    processor.span_exporter.engine.close(0.0)
    processor.span_exporter.engine.join(60.0)
    for file in processor._directory._files:
        file._leave()
    spool._recorders.clear()


def left(folder: Path) -> dict[str, int]:
    """What waits, by name."""
    return {each.exporter: each.calls for each in overview(folder).waiting}


def test_an_alert_outlives_an_outage_and_the_process(slack: Slack, tmp_path: Path) -> None:
    """The next one sends it, once, and it is gone from the disk."""
    slack.status = 503
    program = Program(slack.exporter(), tmp_path)
    fail(program)
    assert program.deliver()
    assert left(tmp_path) == {ALERTS: 1}
    program.provider.shutdown()
    assert left(tmp_path) == {ALERTS: 1}
    slack.status = 200
    program = Program(slack.exporter(), tmp_path)
    eventually(lambda: slack.titles)
    program.provider.shutdown()
    program = Program(slack.exporter(), tmp_path)
    assert program.deliver()
    program.provider.shutdown()
    assert slack.titles == ["InternalServerError from m"]
    assert list(tmp_path.iterdir()) == []


def test_an_alert_waits_for_a_correct_url(slack: Slack, tmp_path: Path) -> None:
    """A destination that stops for good leaves its alerts on disk."""
    slack.status = 404
    program = Program(slack.exporter(), tmp_path)
    fail(program)
    assert program.deliver()
    program.provider.shutdown()
    assert left(tmp_path) == {ALERTS: 1}
    slack.status = 200
    program = Program(slack.exporter(), tmp_path)
    eventually(lambda: slack.titles)
    program.provider.shutdown()
    assert left(tmp_path) == {}


def test_an_alert_that_was_sent_leaves_the_disk(
    slack: Slack, tmp_path: Path, counted: Callable[[str], int]
) -> None:
    """Together with its calls."""
    program = Program(slack.exporter(), tmp_path)
    for _ in range(3):
        fail(program)
    assert program.deliver()
    eventually(lambda: slack.titles and not left(tmp_path))
    kill(program)
    program = Program(slack.exporter(), tmp_path)
    assert program.deliver()
    program.provider.shutdown()
    assert slack.titles == ["InternalServerError from m"]
    assert counted("spool.damaged") == 0


def test_failures_in_the_seconds_before_a_kill_are_alerted(
    slack: Slack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With their time, and without an effect on alerts about calls of now."""
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "600000")
    program = Program(slack.exporter(burst=8), tmp_path)
    for _ in range(7):
        fail(program, HOURS_AGO)
    kill(program)
    assert left(tmp_path) == {"slack": 7}
    program = Program(slack.exporter(burst=8), tmp_path)
    eventually(lambda: len(slack.titles) == 2)
    fail(program)
    assert program.deliver()
    assert program.processor.span_exporter.force_flush(60_000)
    program.provider.shutdown()
    late, now = slack.titles[:2], slack.titles[2:]
    assert sorted(late) == [
        "Late: InternalServerError from m",
        "Late: Outage of m: 7 of 7 calls got no answer or a server error in 60 s",
    ]
    assert now == ["InternalServerError from m"]  # not suppressed, and no burst of 8
    hour = time.strftime("%Y-%m-%dT%H:", time.gmtime(time.time() - HOURS_AGO - 5))
    texts = json.dumps(slack.messages)
    assert f"Happened\\n{hour[:11]}" in texts
    assert "Count\\n7" in texts


def test_an_alert_that_ends_during_an_outage_is_sent_with_a_spool(tmp_path: Path) -> None:
    """Without one, it is not."""
    now, fates, sent = [float(NOON)], ["later"], list[Notice]()

    def send(notices: Any, lost: int) -> SendResult:
        if fates:
            fates.pop()
            return "later"
        sent.extend(notices)
        return "sent"

    class Still(Engine):
        def _wake(self) -> None:
            pass

    engine = Still("desk", Thresholds(), State(), send, clock=lambda: now[0])
    kept = KeptNotices(recorder_for(str(tmp_path), Settings()), "desk")
    engine.keep_in(kept)
    engine.put([view(**RATE_LIMIT)])
    engine.run_once(now[0])
    engine.hold(1000)
    assert left(tmp_path) == {"desk:alerts": 1}
    for seconds in (500, 600):
        now[0] += seconds
        engine.run_once(now[0])
    assert [(notice.turn, notice.last) for notice in sent] == [("firing", NOON)]
    kept.close()
    assert list(tmp_path.iterdir()) == []


def test_an_alert_that_ends_after_the_destination_has_stopped_is_not_lost(
    slack: Slack, tmp_path: Path
) -> None:
    """The next process sends that it began; the message that it ended does not replace it."""
    slack.status, now = 404, [time.time()]
    program = Program(slack.exporter(), tmp_path)
    engine = program.processor.span_exporter.engine
    engine.clock = lambda: now[0]
    fail(program)
    assert program.deliver()
    eventually(lambda: engine._outbox.stopped)
    now[0] += 400.0  # it is resolved
    engine.flush(60.0)
    program.provider.shutdown()
    slack.status = 200
    program = Program(slack.exporter(), tmp_path)
    eventually(lambda: slack.titles)
    program.provider.shutdown()
    assert slack.titles == ["InternalServerError from m"]
    assert left(tmp_path) == {}


def test_what_was_sent_while_the_disk_failed_leaves_it_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk failed when another alert was to be written."""
    kept = KeptNotices(recorder_for(str(tmp_path), Settings()), "desk")
    call, t = view(**RATE_LIMIT), Thresholds()
    first, second = (
        Notice(make_finding(rule, call, "error", "x", t), "firing", NOON, NOON, 1)
        for rule in ("failure", "burst")
    )
    assert kept.write({"first": first})
    put = Directory.put
    monkeypatch.setattr(Directory, "put", broken)
    assert not kept.write({"second": second})
    monkeypatch.setattr(Directory, "put", put)
    assert kept.write({"second": second})
    assert left(tmp_path) == {"desk:alerts": 1}
    assert kept.write({})
    kept.close()
    assert list(tmp_path.iterdir()) == []


def broken(*_: Any) -> Any:
    """A disk that fails."""
    raise OSError(5, "Input/output error")


def test_a_call_stays_until_its_alert_is_on_disk(
    slack: Slack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not examined again, so that it does not count twice."""
    slack.status = 503
    program = Program(slack.exporter(), tmp_path)
    exporter = program.processor.span_exporter
    fail(program)
    assert program.processor._recorder.wait(time.monotonic() + 60)
    put = Directory.put
    monkeypatch.setattr(Directory, "put", broken)
    assert not program.deliver()
    assert left(tmp_path) == {"slack": 1}
    monkeypatch.setattr(Directory, "put", put)
    assert program.deliver()
    assert left(tmp_path) == {ALERTS: 1}
    (notice,) = exporter.engine._outbox.waiting.values()
    assert notice.count == 1
    program.provider.shutdown()


def test_a_late_alert_can_be_seen_in_alertmanager() -> None:
    """It does not end before it arrives, as an alert of its time would."""
    finding = make_finding("failure", view(**RATE_LIMIT), "error", "It failed", Thresholds())
    late = Notice(finding, "firing", NOON, NOON, 1, delay=3600.0)
    alert = to_alert(late, 300.0, NOON + 3600.0)
    assert (alert["startsAt"], alert["endsAt"]) == (
        "2026-11-20T12:00:00.000Z",
        "2026-11-20T13:05:00.000Z",
    )
    assert "happened" in str(alert["annotations"])


def test_a_damaged_alert_does_not_stop_the_others(
    slack: Slack, tmp_path: Path, counted: Callable[[str], int]
) -> None:
    """It stays in the file."""
    slack.status = 503
    program = Program(slack.exporter(), tmp_path)
    fail(program)
    fail(program, error="Timeout")
    assert program.deliver()
    program.provider.shutdown()
    with sqlite3.connect(file_of(tmp_path)) as file:
        file.execute("update calls set data = x'00' || substr(data, 2) where id = 3")
    file.close()
    slack.status = 200
    program = Program(slack.exporter(), tmp_path)
    eventually(lambda: slack.titles)
    program.provider.shutdown()
    assert (slack.titles, counted("spool.damaged")) == (["Timeout from m"], 1)
    assert left(tmp_path) == {"damaged": 1}


@pytest.mark.slow
def test_kill_9_during_an_outage_of_slack_loses_no_alert(
    slack: Slack,
    loopback: LoopbackProvider,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """`litespan spool` shows and sends it."""
    slack.status = 503
    env = {
        "OTEL_TRACES_EXPORTER": "slack",
        "OTEL_METRICS_EXPORTER": "none",
        "OTEL_LOGS_EXPORTER": "none",
        "OTEL_BSP_SCHEDULE_DELAY": "100",
        "OPENAI_BASE_URL": loopback.url_for(status=401),
        "OPENAI_API_KEY": "sk-loopback",
        "LITESPAN_SPOOL": str(tmp_path),
        "SLACK_WEBHOOK_URL": slack.url,
    }
    program = started(CALLS, env, instrument=True)
    eventually(lambda: waiting(tmp_path) == {ALERTS: 1}, 120)
    os.kill(program.pid, signal.SIGKILL)
    program.communicate()
    slack.status = 200
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    assert main(["spool"]) == 0
    assert "slack:alerts: 1 alert(s)" in capsys.readouterr().out
    assert main(["spool", "--drain"]) == 0
    assert slack.titles == ["AuthenticationError from gpt-4o-mini (credentials refused)"]
