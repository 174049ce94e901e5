"""The recipe for Celery, in a real worker with processes of its own and a real Redis."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from celery import Celery

from litespan.testing import LoopbackProvider, OtlpReceiver
from tests.docs.pages import ROOT
from tests.proxy.running import stop, until
from tests.support.program import environment
from tests.support.tools import free_port, serving

pytestmark = [pytest.mark.service, pytest.mark.slow]

TASKS: Final = 60
BROKER: Final = "redis://localhost:6379/0"


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[str]:
    """The URL of an empty Redis."""
    port = free_port()
    options = ("--port", str(port), "--save", "", "--bind", "127.0.0.1")
    with serving(port, "redis-server", *options, cwd=tmp_path):
        yield f"redis://127.0.0.1:{port}/0"


def test_every_call_of_a_worker_is_delivered(
    loopback: LoopbackProvider, receiver: OtlpReceiver, redis: str, tmp_path: Path
) -> None:
    """Also of processes that are replaced after 20 tasks, and at the end of the worker."""
    page = (ROOT / "docs/recipes/celery.md").read_text()
    source = page.partition("```python\n")[2].partition("```")[0]
    (tmp_path / "tasks.py").write_text(source.replace(BROKER, redis))
    env = {
        **receiver.env,
        "OPENAI_API_KEY": "none",
        "OPENAI_BASE_URL": loopback.url,
        "OTEL_BSP_SCHEDULE_DELAY": "600000",  # nothing arrives unless it is flushed
        "PYTHONPATH": str(tmp_path),
    }
    command = [sys.executable, "-m", "celery", "-A", "tasks", "worker", "--concurrency", "2"]
    with (tmp_path / "worker.log").open("wb") as log:
        worker = subprocess.Popen(
            [*command, "--max-tasks-per-child", "20", "--loglevel", "info"],
            cwd=tmp_path, env=environment(env), stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
    try:
        with Celery(broker=redis) as app:
            for n in range(TASKS):
                app.send_task("tasks.ask", ("Why?", f"user-{n}"))
        done = lambda: (tmp_path / "worker.log").read_text().count(" succeeded in ")  # noqa: E731
        until(lambda: done() == TASKS, f"{TASKS} tasks", 120)
    finally:
        stop(worker)
    users = [span["attributes"]["user.id"] for span in receiver.spans]
    assert sorted(users) == sorted(f"user-{n}" for n in range(TASKS))
    text = (tmp_path / "worker.log").read_text()
    assert len(set(re.findall(r"ForkPoolWorker-(\d+)", text))) > 2  # some were replaced
    assert "litespan" not in text.replace("litespan.db", "")
