"""What is unusual in a destination, its configuration or its calls."""

from typing import Any

import pytest
from opentelemetry.sdk.trace.export import SpanExportResult

from litespan.alerting import Thresholds
from litespan_exporters.slack import SlackExporter
from litespan_exporters.webhook import WebhookExporter
from tests.alerting.calls import RATE_LIMIT, span, view
from tests.alerting.test_rules import all_found
from tests.support.server import Reply, running

URL = "https://hooks.example/x"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"slow": False, "failures": False}, Thresholds(slow=None, failures=False)),
        ({"slow": "off", "burst": "20"}, Thresholds(slow=None, burst=20)),
        ({"slow": 30, "hanging": None}, Thresholds(slow=30, hanging=None)),
        ({"slow": True}, Thresholds()),
        ({"trace_url": "https://a.example/{trace_id}"},
         Thresholds(trace_url=(("a.example", "https://a.example/{trace_id}"),))),
    ],
)  # fmt: skip
def test_thresholds_of_a_configuration_file_are_read_as_variables(
    given: dict[str, Any], expected: Thresholds
) -> None:
    """YAML reads `off` as false, and other texts as they are; an invalid value is the default."""
    exporter: Any = SlackExporter(URL, thresholds=given)  # type: ignore[arg-type]
    assert exporter.thresholds == expected
    exporter.shutdown()


def test_an_unknown_threshold_is_an_error() -> None:
    """In code; in a configuration file it is logged."""
    with pytest.raises(TypeError, match="slwo"):
        SlackExporter(URL, thresholds={"slwo": "off"})  # type: ignore[arg-type]


def test_rules_can_be_one_text(caplog: pytest.LogCaptureFixture) -> None:
    """As in the variable."""
    exporter: Any = SlackExporter(URL, rules="auth, quota")
    assert exporter.engine.rules == {"auth", "quota"}
    assert "there is no rule" not in caplog.text
    exporter.shutdown()


def test_an_outage_of_days_loses_no_alert() -> None:
    """After any number of failures in a row."""
    with running(lambda _: Reply(503)) as vendor:
        exporter: Any = SlackExporter(f"{vendor.url}/x", patience=0.1, timeout=0.1)
        exporter._failures = 2000
        exporter.export([span(**RATE_LIMIT)])
        assert not exporter.force_flush(10_000)
        assert len(exporter.engine._outbox) == 1
        exporter.delivery.close()


def test_a_query_without_a_path_is_sent() -> None:
    """The whole address of a webhook can be in its query."""
    with running(lambda _: Reply(200)) as vendor:
        exporter = WebhookExporter(f"{vendor.url}?key=abc")
        assert exporter.export([span(**RATE_LIMIT)]) is SpanExportResult.SUCCESS
        assert exporter.force_flush(60_000)
        exporter.shutdown()
    (request,) = vendor.received
    assert request.path in ("?key=abc", "/?key=abc")
    assert "abc" not in repr([exporter, vars(exporter), vars(exporter.delivery)])


def test_a_call_that_mutes_the_destination_is_no_alert() -> None:
    """A team's call that goes to its own destinations only."""
    with running(lambda _: Reply(200)) as vendor:
        exporter = SlackExporter(f"{vendor.url}/x")
        exporter.export([span(**RATE_LIMIT, litespan__mute=("slack",))])
        assert exporter.force_flush(60_000)
        exporter.shutdown()
        assert vendor.received == []


@pytest.mark.parametrize("content", [False, True])
def test_errors_of_other_instrumentations_have_no_credentials(content: bool) -> None:
    """Also if prompts are included."""
    message = "Incorrect API key provided: sk-proj-abcdefghijklmnopqrstuvwxyz0123456789ABCD"
    call = view(**{**RATE_LIMIT, "message": message})
    (finding,) = all_found([call], Thresholds(content=content))
    assert finding.example.error.startswith("Incorrect API key provided")
    assert "abcdefgh" not in finding.example.error
