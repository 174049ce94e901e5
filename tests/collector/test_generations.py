"""Queries over processes that write the names of 1.41, those of v0.1.0, or both, by promtool."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.collector.running import ROOT
from tests.collector.test_dashboards import tool

PAGE = ROOT / "docs/conventions.md"
PIPELINE = ROOT / "collector/dashboards/pipeline.json"
FLEETS: dict[str, dict[str, tuple[str, ...]]] = {
    "old": {"a": ("old",), "b": ("old",)},
    "new": {"a": ("new",), "b": ("new",)},
    "transition": {"a": ("old", "new"), "b": ("old", "new")},
    "mixed": {"a": ("old",), "b": ("new",)},
}
"""Two processes, and what each writes."""
OLD, INFERENCE = "gen_ai_client_operation_duration", "gen_ai_client_inference_duration"
USED = "gen_ai_client_inference_usage_input_tokens_total"
PER_CALL = "gen_ai_client_inference_operation"
SERIES: dict[str, dict[str, int]] = {
    "old": {
        f"{OLD}_seconds_count{{": 45,
        f'{OLD}_seconds_count{{error_type="T",': 15,
        f'{OLD}_seconds_bucket{{le="1",': 30,
        f'{OLD}_seconds_bucket{{le="+Inf",': 60,
        'gen_ai_client_token_usage_sum{gen_ai_token_type="input",': 60,
        'gen_ai_client_token_usage_sum{gen_ai_token_type="output",': 30,
    },
    "new": {
        f"{INFERENCE}_seconds_count{{": 45,
        f'{INFERENCE}_seconds_count{{error_type="T",': 15,
        f'{INFERENCE}_seconds_bucket{{le="1",': 30,
        f'{INFERENCE}_seconds_bucket{{le="+Inf",': 60,
        f"{PER_CALL}_input_tokens_sum{{": 60,
        f'{PER_CALL}_input_tokens_sum{{error_type="T",': 0,
        f"{PER_CALL}_output_tokens_sum{{": 30,
        f'{USED}{{gen_ai_token_modality="text",': 30,
        f'{USED}{{gen_ai_token_modality="image",': 30,
    },
}
"""Series without the labels that all have, and how much each grows in a minute."""
LABELS = 'gen_ai_operation_name="chat",gen_ai_request_model="m"'
SECTION = re.compile(r"^### (.+?)\n(.+?)(?=^###|\Z)", re.MULTILINE | re.DOTALL)
QUERY = re.compile(r'```promql title="(.+?)"\n(.+?)\n```', re.DOTALL)


def queries() -> Iterator[tuple[str, str, set[str]]]:
    """Name, query, and the fleets on which it must say the same."""
    for title, body in SECTION.findall(PAGE.read_text(encoding="utf-8")):
        for version, query in QUERY.findall(body):
            fleets = {"1.41": {"old"}, "v0.1.0": {"new"}, "transition": {*FLEETS}}[version]
            yield title, query, fleets
    for panel in json.loads(PIPELINE.read_text())["panels"]:
        for target in panel.get("targets", ()):
            if "gen_ai_client" in target["expr"]:
                yield panel["title"], target["expr"].replace("$__rate_interval", "5m"), {*FLEETS}


def series(fleet: str) -> list[dict[str, str]]:
    """The input of promtool."""
    return [
        {
            "series": f'{name}{LABELS},instance="{instance}"}}',
            "values": f"0+{growth}x10",
        }
        for instance, written in FLEETS[fleet].items()
        for generation in written
        for name, growth in SERIES[generation].items()
    ]


EXPECTED: dict[str, list[tuple[str, float]]] = {
    "Calls by model": [('{gen_ai_request_model="m"}', 2.0)],
    "95th percentile of the duration": [('{gen_ai_request_model="m"}', 1)],
    "Share of calls that fail": [("{}", 0.25)],
    "Input tokens": [("{}", 2.0)],
    "Calls, counted by the applications": [('{gen_ai_request_model="m"}', 2.0)],
    "p95 latency in the application": [('{gen_ai_request_model="m"}', 1)],
    "Tokens by kind": [
        ('{gen_ai_token_type="input"}', 2.0),
        ('{gen_ai_token_type="output"}', 1.0),
    ],
}


@pytest.mark.parametrize("fleet", FLEETS)
def test_queries_count_each_call_once(fleet: str, tmp_path: Path) -> None:
    """The queries of the page and the dashboards, with old, new or both names."""
    cases: list[dict[str, Any]] = [
        {
            "expr": query,
            "eval_time": "10m",
            "exp_samples": [
                {"labels": labels, "value": value} for labels, value in EXPECTED[title]
            ],
        }
        for title, query, fleets in queries()
        if fleet in fleets
    ]
    test = {"interval": "1m", "input_series": series(fleet), "promql_expr_test": cases}
    units = tmp_path / "units.yaml"
    units.write_text(yaml.safe_dump({"evaluation_interval": "1m", "tests": [test]}))
    done = subprocess.run(
        [tool("promtool"), "test", "rules", str(units)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(cases) >= 3
