"""Each recipe of `examples/callbacks`, run as a user runs it."""

import csv
import json
import socket
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from litespan.testing import LoopbackProvider, OtlpReceiver
from tests.proxy.conftest import FILES, config
from tests.proxy.running import free_port, proxy, until
from tests.support.program_files import run_file
from tests.support.server import Reply, running

pytestmark = pytest.mark.slow

RECIPES = Path(__file__).parents[2] / "examples" / "callbacks"
ANSWER = "Hello! How can I help you today?"


def printed(name: str, *arguments: object, cwd: Path | None = None) -> list[str]:
    """What a recipe prints, line by line; it needs no key and no network."""
    ran = run_file(RECIPES / name, *map(str, arguments), env={}, cwd=cwd)
    assert ran.code == 0, ran.stderr
    assert "litespan" not in ran.stderr
    return ran.stdout.splitlines()


def test_the_printing_recipe_prints_every_stage_in_order() -> None:
    """Every stage, call by call in order."""
    lines = printed("printing.py")
    chunks = [line for line in lines if line.startswith("chunk")]
    assert "".join(line[8:] for line in chunks if line != "chunk:  None") == ANSWER
    assert lines == [
        *["before: gpt-4o-mini Hello?", "after:  True", f"success: {ANSWER}"],
        *["before: gpt-4o-mini Hello?", "after:  True", *chunks, f"success: {ANSWER}"],
        *["before: gpt-4o-mini Hello?", "failure: RateLimitError"],
    ]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "success_details.py",
            [
                "model: gpt-4o-mini",
                "messages: 1",
                "user: alice",
                "metadata: {'feature': 'search'}",
                f"answer: {ANSWER}",
                "tokens: 30",
                "cost: $0.000009",
                "took more than nothing: True",
                "provider: openai",
            ],
        ),
        ("async_handler.py", ["received call 1", "received call 2"]),
        (
            "cost_per_user.py",
            [
                "alice: 2 calls, $0.000018",
                "bob: 1 calls, $0.000009",
                "carol: 1 calls, $0.000009",
            ],
        ),
        ("counter.py", ["3 succeeded, 1 failed"]),
        ("task_queue.py", [f"worked on: {sum(map(ord, ANSWER))}"] * 2),
        ("failure_alert.py", ["gpt-4o failed: RateLimitError"]),
        ("ticket.py", ["{'customer': 'alice', 'text': 'I love it'}"]),
    ],
)
def test_each_recipe_prints_its_documented_output(name: str, expected: list[str]) -> None:
    """The output is the documented one."""
    assert sorted(printed(name)) == sorted(expected)


def test_the_file_recipe_writes_one_json_line_per_call(tmp_path: Path) -> None:
    """One JSON object per line."""
    file = tmp_path / "calls.jsonl"
    printed("file_logging.py", cwd=tmp_path)
    good, bad = sorted(
        map(json.loads, file.read_text().splitlines()), key=lambda line: "error" in line
    )
    assert (good["answer"], good["model"], good["cost"]) == (ANSWER, "gpt-4o-mini", 9e-06)
    assert (bad["cost"], "RateLimitError" in bad["error"]) == (0.0, True)


def test_the_database_recipe_writes_one_row_per_call(tmp_path: Path) -> None:
    """One row per call."""
    file = tmp_path / "calls.db"
    printed("database_logging.py", cwd=tmp_path)
    with sqlite3.connect(file) as database:
        found = database.execute("select model, tokens, cost, error from llm order by error")
        assert found.fetchall() == [
            ("gpt-4o-mini", 30, 9e-06, None),
            ("gpt-4o-mini", None, 0.0, "RateLimitError"),
        ]


def test_the_alert_recipe_sends_one_message_for_the_failed_call() -> None:
    """Successful calls send none."""
    with running(lambda request: Reply()) as webhook:
        assert printed("failure_alert.py", webhook.url) == []
    assert [json.loads(request.body) for request in webhook.received] == [
        {"text": "gpt-4o failed: RateLimitError"}
    ]


def listens(port: int) -> bool:
    """Whether a server listens there."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def redis_url(tmp_path: Path) -> Iterator[str]:
    """A real Redis, empty."""
    port = free_port()
    options = ["--port", str(port), "--dir", str(tmp_path), "--save", "", "--bind", "127.0.0.1"]
    with subprocess.Popen(["redis-server", *options], stdout=subprocess.DEVNULL) as server:
        try:
            until(lambda: listens(port), "Redis")
            yield f"redis://127.0.0.1:{port}"
        finally:
            server.terminate()


def test_the_counter_recipe_counts_across_three_workers(redis_url: str) -> None:
    """Three forked workers count together."""
    assert printed("shared_counter.py", redis_url) == ["9 calls", "$0.000081"]


def test_the_routing_recipe_sends_each_call_to_its_exporter(tmp_path: Path) -> None:
    """Started and finished calls, successes and failures."""
    printed("routing.py", cwd=tmp_path)
    (good,) = map(json.loads, (tmp_path / "good.jsonl").read_text().splitlines())
    with (tmp_path / "bad.csv").open(newline="") as file:
        (bad,) = csv.DictReader(file)
    with sqlite3.connect(tmp_path / "calls.db") as database:
        calls = database.execute("select outcome from calls order by start_time").fetchall()
    assert (good["outcome"], good["user_id"]) == ("success", "alice")
    assert (bad["outcome"], bad["error_type"]) == ("failure", "RateLimitError")
    assert calls == [("started",), ("failure",)]


def test_the_proxy_recipe_logs_the_user_and_the_deployment(
    loopback: LoopbackProvider, receiver: OtlpReceiver, tmp_path: Path
) -> None:
    """With the real proxy, and without credentials."""
    files = {**FILES, "proxy_info.py": (RECIPES / "proxy_info.py").read_text()}
    env = {"LITESPAN_CALLBACKS": "proxy_info.handler"}
    with proxy(
        tmp_path / "gateway", config(loopback), loopback, receiver, files=files, env=env
    ) as gateway:
        client = gateway.client(**{"user-agent": "a-program/1.0"})
        body = {"model": "chat", "messages": [{"role": "user", "content": "Hi"}]}
        assert client.post("/v1/chat/completions", json=body).status_code == 200
        until(lambda: gateway.said("POST /chat/completions team"), "line of the handler")
        (line,) = gateway.said("POST /chat/completions team")
    assert line.startswith("POST /chat/completions team team-blue deployment ")
    assert line.endswith(" client a-program/1.0 asked Hi credentials []")
