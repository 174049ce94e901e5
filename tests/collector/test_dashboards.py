"""Dashboards and rules, on a real Prometheus that a real collector fills."""

import json
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import yaml

from litespan.testing import LoopbackProvider
from tests.collector.running import ROOT, collector, free_ports, get, wait_for
from tests.collector.spans import call
from tests.support.needs import missing
from tests.support.program import run
from tests.support.server import Reply
from tests.support.server import running as serving

DASHBOARDS = sorted((ROOT / "collector/dashboards").glob("*.json"))
RULES = ROOT / "collector/rules/litespan.rules.yaml"
UNITS = Path(__file__).parent / "rules_test.yaml"
VARIABLES = {
    "$__rate_interval": "1m",
    "$__range": "1h",
    "$service": ".*",
    "$model": ".*",
    "$team": ".*",
}
PROGRAM = """
    import time

    import litellm

    for _ in range(8):
        litellm.completion("openai/gpt-4o-mini", [{"role": "user", "content": "Hi"}])
        time.sleep(0.5)
"""


def tool(name: str) -> str:
    """Where Prometheus or promtool is."""
    return shutil.which(name) or missing(name, "apt-get install prometheus")


def queries() -> Iterator[tuple[str, str, str]]:
    """Dashboard, panel and query, as Grafana would send it."""
    for path in DASHBOARDS:
        for panel in json.loads(path.read_text())["panels"]:
            for target in panel.get("targets", ()):
                if "expr" not in target:  # SQL: see tests/stores/test_dashboard.py
                    continue
                query = target["expr"]
                for name, value in VARIABLES.items():
                    query = query.replace(name, value)
                yield path.stem, panel["title"], query


QUERIES = list(queries())


@pytest.fixture(scope="module")
def prometheus(
    loopback: LoopbackProvider, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """A Prometheus with our rules that scrapes a collector with traffic; its address."""
    data = tmp_path_factory.mktemp("prometheus")
    (port,) = free_ports(1)
    rules = data / "rules.yaml"
    rules.write_text(RULES.read_text().replace("interval: 1m", "interval: 1s"))
    with (
        serving(lambda _: Reply(200)) as vendor,  # so that there is a queue to show
        collector(data / "otelcol", "langfuse", env={"LANGFUSE_BASE_URL": vendor.url}) as running,
    ):
        config = yaml.safe_load((RULES.parent / "prometheus.yaml").read_text())
        config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
        config["rule_files"] = [str(rules)]
        targets = {"calls": running.prometheus, "otelcol": running.self_metrics}
        for job in config["scrape_configs"]:
            address = targets[job["job_name"]].removeprefix("http://").removesuffix("/metrics")
            job["static_configs"] = [{"targets": [address]}]
        (data / "prometheus.yaml").write_text(yaml.safe_dump(config))
        with (data / "log").open("wb") as log:
            process = subprocess.Popen(
                [
                    tool("prometheus"),
                    f"--config.file={data / 'prometheus.yaml'}",
                    f"--storage.tsdb.path={data / 'tsdb'}",
                    f"--web.listen-address=127.0.0.1:{port}",
                ],
                stdout=log,
                stderr=log,
            )
        url = f"http://127.0.0.1:{port}"
        ending = threading.Event()
        sender = threading.Thread(target=traffic, args=(running.send, ending))
        try:
            wait_for(lambda: get(f"{url}/-/ready"), f"Prometheus, see {data / 'log'}")
            sender.start()
            env = {
                "OPENAI_BASE_URL": loopback.url,
                "OPENAI_API_KEY": "sk-loopback",
                "OTEL_EXPORTER_OTLP_ENDPOINT": running.url,
                "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
                "OTEL_METRIC_EXPORT_INTERVAL": "1000",
            }
            assert run(PROGRAM, env=env, instrument=True).code == 0
            wait_for(lambda: ask(url, "genai:cost_usd:rate6h > 0"), "the recording rules", 90)
            yield url
        finally:
            ending.set()
            if sender.ident is not None:
                sender.join()
            process.terminate()
            process.wait(30)


def traffic(send: Any, ending: threading.Event) -> None:
    """Calls of every kind that the dashboards show, until `ending`."""
    spent = {
        "gen_ai.usage.input_tokens": 100,
        "gen_ai.usage.output_tokens": 50,
        "gen_ai.usage.cache_read.input_tokens": 10,
        "gen_ai.usage.reasoning.output_tokens": 5,
        "gen_ai.usage.cost": 0.002,
        "gen_ai.response.time_to_first_chunk": 0.2,
        "gen_ai.request.stream": True,
        "litellm.fallback.from": "smart",
        "litellm.cost.saved": 0.001,
        "litellm.team.alias": "payments",
    }
    while not ending.wait(0.5):
        send([call(spent) for _ in range(20)])
        send([call({"error.type": "RateLimitError"}, error="429") for _ in range(5)])


def ask(url: str, query: str) -> list[Any]:
    """The series that a query finds now."""
    answer = json.loads(get(f"{url}/api/v1/query?query={quote(query)}") or "{}")
    assert answer.get("status", "success") == "success", answer
    return list(answer.get("data", {}).get("result", ()))


def test_promtool_accepts_the_rules() -> None:
    """As promtool checks them."""
    done = subprocess.run(
        [tool("promtool"), "check", "rules", "--lint-fatal", str(RULES)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def test_alerts_fire_when_they_should() -> None:
    """In promtool's tests, each fires on its problem, and does not fire on a usual day."""
    done = subprocess.run(
        [tool("promtool"), "test", "rules", str(UNITS)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_is_tested_both_ways() -> None:
    """rules_test.yaml has a test in which it fires, and one in which it does not."""
    rules = [
        rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]
    ]
    alerts = {rule["alert"] for rule in rules if "alert" in rule}
    tests = yaml.safe_load(UNITS.read_text())["tests"]
    cases = [case for test in tests for case in test["alert_rule_test"]]
    assert alerts == {case["alertname"] for case in cases if case.get("exp_alerts")}
    assert alerts == {case["alertname"] for case in cases if not case.get("exp_alerts")}


@pytest.mark.parametrize(
    ("dashboard", "panel", "query"),
    QUERIES,
    ids=[f"{dashboard}-{panel}-{n}" for n, (dashboard, panel, _) in enumerate(QUERIES)],
)
def test_every_panel_has_data(prometheus: str, dashboard: str, panel: str, query: str) -> None:
    """After ordinary traffic, the query finds series with real values."""
    values = lambda: [  # noqa: E731
        series["value"][1] for series in ask(prometheus, query) if series["value"][1] != "NaN"
    ]
    wait_for(values, f"{panel}: {query}", 20)


def test_every_rule_evaluates(prometheus: str) -> None:
    """No rule has an error on real series."""
    answer = json.loads(get(f"{prometheus}/api/v1/rules") or "{}")
    rules = [rule for group in answer["data"]["groups"] for rule in group["rules"]]
    assert len(rules) == 20
    assert {rule["name"]: rule.get("lastError") for rule in rules if rule["health"] == "err"} == {}


def test_dashboards_are_complete() -> None:
    """Each panel has a title, its own position, a unit and a query; ids are unique."""
    for path in DASHBOARDS:
        panels = json.loads(path.read_text())["panels"]
        assert len({panel["id"] for panel in panels}) == len(panels)
        places = [(p["gridPos"]["x"], p["gridPos"]["y"]) for p in panels]
        assert len(set(places)) == len(places)
        for panel in panels:
            assert panel["title"]
            if panel["type"] != "row":
                assert panel["fieldConfig"]["defaults"]["unit"]
                assert all(target.get("expr") or target["rawSql"] for target in panel["targets"])
