"""The metrics: names, units, buckets, labels; every call counts."""

from typing import Any

import litellm
import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from litespan.instrumentation.metrics import Metrics
from tests.calls.conftest import Traced

LABELS = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o-mini",
    "gen_ai.response.model": "gpt-4o-mini-2024-07-18",
    "server.address": "127.0.0.1",
}
SECONDS = [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92]
TOKENS = [4.0**power for power in range(14)]


def points(traced: Traced, name: str) -> list[dict[str, Any]]:
    """The points of one metric, without the port, which varies."""
    found = [point for point in traced.telemetry.metrics if point["name"] == name]
    for point in found:
        point["attributes"].pop("server.port")
    return found


def test_duration(traced: Traced) -> None:
    """Seconds, in the convention's buckets."""
    litellm.completion(**traced.chat())
    (point,) = points(traced, "gen_ai.client.operation.duration")
    assert (point["unit"], point["attributes"], point["count"]) == ("s", LABELS, 1)
    assert point["bounds"] == pytest.approx(SECONDS)
    assert 0 < point["sum"] < 30


def test_tokens(traced: Traced) -> None:
    """One histogram, input and output told apart by `gen_ai.token.type`."""
    litellm.completion(**traced.chat())
    found = points(traced, "gen_ai.client.token.usage")
    assert {
        (point["unit"], point["attributes"]["gen_ai.token.type"], point["sum"]) for point in found
    } == {("{token}", "input", 20), ("{token}", "output", 10)}
    assert found[0]["bounds"] == TOKENS
    assert found[0]["attributes"].keys() - {"gen_ai.token.type"} == LABELS.keys()


def test_cost(traced: Traced) -> None:
    """USD; a call of unknown price is not counted as free."""
    litellm.completion(**traced.chat())
    litellm.completion(**traced.chat(model="openai/no-such-model"))
    (point,) = points(traced, "gen_ai.client.operation.cost")
    assert (point["unit"], point["count"], point["sum"]) == ("USD", 1, pytest.approx(9e-06))


def test_stream_times(traced: Traced) -> None:
    """Time to the first chunk, and the mean time between chunks."""
    list(litellm.completion(**traced.chat(stream=True, provider={"pause": 0.03, "chunks": 5})))
    (first,) = points(traced, "gen_ai.client.operation.time_to_first_chunk")
    (between,) = points(traced, "gen_ai.client.operation.time_per_output_chunk")
    assert (first["unit"], between["unit"]) == ("s", "s")
    assert first["sum"] > 0
    assert 0.01 < between["sum"] < 1


def test_failures_have_a_duration(traced: Traced) -> None:
    """With `error.type`, and without tokens or cost."""
    with pytest.raises(litellm.RateLimitError):
        litellm.completion(**traced.chat(provider={"status": 429}))
    (point,) = points(traced, "gen_ai.client.operation.duration")
    assert point["attributes"]["error.type"] == "RateLimitError"
    assert points(traced, "gen_ai.client.token.usage") == []


def test_no_unbounded_label(traced: Traced) -> None:
    """Users, sessions, tags, metadata and ids of calls make no new series."""
    for number in range(20):
        litellm.completion(
            **traced.chat(
                user=f"user-{number}",
                litellm_call_id=f"call-{number}",
                metadata={"session_id": f"s-{number}", "tags": [f"t-{number}"], "n": number},
            )
        )
    assert len(points(traced, "gen_ai.client.operation.duration")) == 1
    assert len(points(traced, "gen_ai.client.token.usage")) == 2


def test_without_a_reader_nothing_is_recorded() -> None:
    """As under OTEL_METRICS_EXPORTER=none, where the SDK sets a meter provider all the same."""
    for readers in ([], [InMemoryMetricReader()]):
        metrics = Metrics(MeterProvider(readers).get_meter("this test"))
        assert metrics.heard is bool(readers)
