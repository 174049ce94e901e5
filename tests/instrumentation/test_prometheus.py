"""litespan's metrics through the SDK's own Prometheus exporter, as Prometheus scrapes them."""

from collections import defaultdict

import pytest
from prometheus_client.parser import text_string_to_metric_families

from litespan.testing import LoopbackProvider
from tests.support.program import run
from tests.support.tools import free_port

pytestmark = pytest.mark.slow

PROGRAM = """
    import os
    from urllib.request import urlopen

    import litellm

    hi = {"model": "openai/gpt-4o-mini", "messages": [{"role": "user", "content": "Say hello"}]}
    litellm.completion(**hi)
    for chunk in litellm.completion(**hi, stream=True, stream_options={"include_usage": True}):
        pass
    port = os.environ["OTEL_EXPORTER_PROMETHEUS_PORT"]
    print(urlopen(f"http://127.0.0.1:{port}/metrics").read().decode())
"""


def test_metrics_are_served_to_prometheus(loopback: LoopbackProvider) -> None:
    """With `OTEL_METRICS_EXPORTER=prometheus` alone: names, labels, counts and sums."""
    ran = run(
        PROGRAM,
        instrument=True,
        env={
            "OTEL_TRACES_EXPORTER": "none",
            "OTEL_METRICS_EXPORTER": "prometheus",
            "OTEL_LOGS_EXPORTER": "none",
            "OTEL_EXPORTER_PROMETHEUS_HOST": "127.0.0.1",
            "OTEL_EXPORTER_PROMETHEUS_PORT": str(free_port()),
            "OPENAI_BASE_URL": loopback.url,
            "OPENAI_API_KEY": "sk-loopback",
        },
    )
    assert (ran.code, ran.stderr) == (0, "")
    sums: dict[str, float] = defaultdict(float)
    labels: dict[str, dict[str, str]] = {}
    for family in text_string_to_metric_families(ran.stdout):
        for sample in family.samples:
            name = ".".join(filter(None, (sample.name, sample.labels.get("gen_ai_token_type"))))
            sums[name] += sample.value
            labels[name] = sample.labels
    assert sums["gen_ai_client_operation_duration_seconds_count"] == 2
    calls = labels["gen_ai_client_operation_duration_seconds_count"]
    assert calls["gen_ai_request_model"] == "gpt-4o-mini"
    assert calls["gen_ai_operation_name"] == "chat"
    assert sums["gen_ai_client_operation_time_to_first_chunk_seconds_count"] == 1
    assert sums["gen_ai_client_operation_cost_USD_sum"] > 0
    assert sums["gen_ai_client_token_usage_sum.input"] > 0
    assert sums["gen_ai_client_token_usage_sum.output"] > 0
