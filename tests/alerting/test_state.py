"""The state that processes share, so that one of them sends each alert."""

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest

from litespan.alerting import Thresholds
from litespan.alerting.state import state_at
from litespan_exporters.slack import SlackExporter
from tests.alerting.calls import RATE_LIMIT, span
from tests.support.server import Reply, running

pytestmark = pytest.mark.slow


@pytest.fixture
def place(tmp_path: Path) -> str:
    """Where the state is."""
    return str(tmp_path / "alerts.db")


def work(url: str, place: str) -> bool:
    """One worker: the same failures as the others."""
    exporter = SlackExporter(url, thresholds=Thresholds(burst=None, state=place))
    for _ in range(20):
        exporter.export([span(**RATE_LIMIT, user__id="ann", gen_ai__usage__cost=0.01)])
    done = exporter.force_flush(60_000)
    exporter.shutdown()
    return done


def test_workers_do_not_multiply_alerts(place: str) -> None:
    """Three processes send one message, and a user's spending is one sum."""
    with (
        running(lambda _: Reply(200, b"ok")) as slack,
        ProcessPoolExecutor(3, get_context("spawn")) as pool,
    ):
        url = f"{slack.url}/services/T/B/x"
        assert list(pool.map(work, [url] * 3, [place] * 3)) == [True] * 3
        assert len(slack.received) == 1
    state = state_at(place)
    keys = state.due("slack-", 1e12)
    (spent,) = [key for key in keys if "/spent/" in key]
    record = state.change(spent, lambda record: (record, record))
    assert record is not None
    assert sum(record["days"].values()) == pytest.approx(0.6)
    state.close()


def test_a_shared_state_accepts_nul_and_lone_surrogates_in_names(
    place: str, caplog: pytest.LogCaptureFixture
) -> None:
    """In the name of a model or user."""
    odd: dict[str, Any] = {"model": "x\0\ud83d", "user__id": "\0\ud83d"}
    with running(lambda _: Reply(200, b"ok")) as slack:
        for _ in range(2):
            thresholds = Thresholds(burst=None, state=place)
            exporter = SlackExporter(f"{slack.url}/services/T/B/x", thresholds=thresholds)
            exporter.export([span(**RATE_LIMIT, **odd, gen_ai__usage__cost=0.01)])
            assert exporter.force_flush(60_000)
            exporter.shutdown()
        assert len(slack.received) == 1
    assert "LITESPAN_ALERTS_STATE" not in caplog.text


def test_each_process_sends_alerts_if_the_shared_state_fails(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """One line is logged."""
    with running(lambda _: Reply(200, b"ok")) as slack:
        url = f"{slack.url}/services/T/B/x"
        assert work(url, str(tmp_path / "no" / "such" / "folder.db"))
        assert len(slack.received) == 1
    lines = [r.getMessage() for r in caplog.records if "LITESPAN_ALERTS_STATE" in r.getMessage()]
    assert len(lines) == 1


def test_a_database_url_as_state_is_refused_in_one_line(caplog: pytest.LogCaptureFixture) -> None:
    """The line has the alternative, and alerts are sent."""
    with running(lambda _: Reply(200, b"ok")) as slack:
        assert work(f"{slack.url}/services/T/B/x", "postgresql://db.example/alerts")
        assert len(slack.received) == 1
    lines = [r.getMessage() for r in caplog.records if "LITESPAN_ALERTS_STATE" in r.getMessage()]
    assert len(lines) == 1
    assert "alertmanager" in lines[0]
