"""A real Alertmanager groups fifty failures of three kinds."""

import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from litespan.alerting import Thresholds
from litespan_exporters.alertmanager import AlertmanagerExporter
from tests.alerting.calls import RATE_LIMIT, span
from tests.support.needs import missing
from tests.support.server import Received, Reply, running
from tests.support.tools import free_port, serving

pytestmark = pytest.mark.service

CONFIG = """
route:
  receiver: hook
  group_by: [alertname, model]
  group_wait: 1s
  group_interval: 1s
  repeat_interval: 1h
receivers:
  - name: hook
    webhook_configs: [{{url: "{url}/notify", send_resolved: true}}]
"""
KINDS: list[dict[str, Any]] = [
    {**RATE_LIMIT, "model": "a"},
    {**RATE_LIMIT, "model": "b"},
    {"error": "AuthenticationError", "code": 401, "model": "a"},
]
T = Thresholds(burst=None, outage=None, resolve=6.0)


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Its URL, and the notifications that it has sent."""
    program = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")
    if program is None:
        missing("Alertmanager", "apt-get install prometheus-alertmanager")
    sent: list[dict[str, Any]] = []

    def receive(request: Received) -> Reply:
        sent.append(json.loads(request.body))
        return Reply(200)

    with running(receive) as hook:
        config = tmp_path / "alertmanager.yml"
        config.write_text(CONFIG.format(url=hook.url))
        port = free_port()
        command = (
            *(program, f"--config.file={config}", f"--storage.path={tmp_path / 'data'}"),
            *(f"--web.listen-address=127.0.0.1:{port}", "--cluster.listen-address="),
        )
        with serving(port, *command, cwd=tmp_path):
            url = f"http://127.0.0.1:{port}"
            wait(lambda: httpx.get(f"{url}/-/ready").status_code == 200)
            yield url, sent


def wait(holds: Any, seconds: float = 60.0) -> None:
    """Until it holds."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def shown(sent: list[dict[str, Any]], status: str) -> list[tuple[str, str, int]]:
    """(alert, model, how many alerts in it) of each notification with that status."""
    return sorted(
        (n["groupLabels"]["alertname"], n["groupLabels"]["model"], len(n["alerts"]))
        for n in sent
        if n["status"] == status
    )


def test_fifty_failures_become_one_notification_per_group(
    manager: tuple[str, list[dict[str, Any]]],
) -> None:
    """From two workers: one notification per group, and one when the alert is resolved."""
    url, sent = manager
    workers = [AlertmanagerExporter(url, thresholds=T) for _ in range(2)]
    for number in range(50):
        workers[number % 2].export([span(**KINDS[number % 3])])
    assert all(worker.force_flush(60_000) for worker in workers)
    groups = [
        ("LitespanAuth", "a", 1),
        ("LitespanFailure", "a", 1),
        ("LitespanFailure", "b", 1),
    ]
    wait(lambda: len(sent) >= 3)
    assert shown(sent, "firing") == groups
    wait(lambda: len(shown(sent, "resolved")) >= 3)
    for worker in workers:
        worker.shutdown()
    assert (shown(sent, "firing"), shown(sent, "resolved")) == (groups, groups)
