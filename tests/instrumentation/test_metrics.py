"""The metrics: names, units, buckets, labels; every call counts."""

from typing import Any

import litellm
import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from litespan.instrumentation.metrics import Metrics
from tests.support.calls import Traced

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


def test_duration_is_in_seconds_with_the_conventions_buckets(traced: Traced) -> None:
    """Seconds, in the convention's buckets."""
    litellm.completion(**traced.chat())
    (point,) = points(traced, "gen_ai.client.operation.duration")
    assert (point["unit"], point["attributes"], point["count"]) == ("s", LABELS, 1)
    assert point["bounds"] == pytest.approx(SECONDS)
    assert 0 < point["sum"] < 30


def test_tokens_are_one_histogram_by_token_type(traced: Traced) -> None:
    """`gen_ai.token.type` distinguishes input and output."""
    litellm.completion(**traced.chat())
    found = points(traced, "gen_ai.client.token.usage")
    assert {
        (point["unit"], point["attributes"]["gen_ai.token.type"], point["sum"]) for point in found
    } == {("{token}", "input", 20), ("{token}", "output", 10)}
    assert found[0]["bounds"] == TOKENS
    assert found[0]["attributes"].keys() - {"gen_ai.token.type"} == LABELS.keys()


def test_cost_is_in_usd_and_unknown_prices_are_not_counted(traced: Traced) -> None:
    """A call with an unknown price does not count as free."""
    litellm.completion(**traced.chat())
    litellm.completion(**traced.chat(model="openai/no-such-model"))
    (point,) = points(traced, "gen_ai.client.operation.cost")
    assert (point["unit"], point["count"], point["sum"]) == ("USD", 1, pytest.approx(9e-06))


def test_streams_have_time_to_first_chunk_and_between_chunks(traced: Traced) -> None:
    """Time to the first chunk, and the mean time between chunks."""
    list(litellm.completion(**traced.chat(stream=True, provider={"pause": 0.03, "chunks": 5})))
    (first,) = points(traced, "gen_ai.client.operation.time_to_first_chunk")
    (between,) = points(traced, "gen_ai.client.operation.time_per_output_chunk")
    assert (first["unit"], between["unit"]) == ("s", "s")
    assert first["sum"] > 0
    assert between["sum"] > 0


def test_failures_have_a_duration(traced: Traced) -> None:
    """With `error.type`, and without tokens or cost."""
    with pytest.raises(litellm.RateLimitError):
        litellm.completion(**traced.chat(provider={"status": 429}))
    (point,) = points(traced, "gen_ai.client.operation.duration")
    assert point["attributes"]["error.type"] == "RateLimitError"
    assert points(traced, "gen_ai.client.token.usage") == []


def test_metrics_have_no_unbounded_label(traced: Traced) -> None:
    """Users, sessions, tags, metadata and ids of calls create no series."""
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


def test_invented_names_of_models_and_providers_create_no_series(traced: Traced) -> None:
    """Names that no provider has answered for share one value; the span has the real name."""
    for number in range(20):
        for model in (f"openai/made-up-{number}", f"nobody-{number}/model"):
            with pytest.raises((litellm.NotFoundError, litellm.BadRequestError)):
                litellm.completion(**traced.chat(model=model, provider={"status": 404}))
    found = points(traced, "gen_ai.client.operation.duration")
    names = {point["attributes"]["gen_ai.request.model"] for point in found}
    providers = {point["attributes"]["gen_ai.provider.name"] for point in found}
    assert (names, providers) == ({"_OTHER"}, {"openai", "_OTHER"})
    assert traced.spans[0]["attributes"]["gen_ai.request.model"] == "made-up-0"


def test_an_unknown_model_has_series_once_it_has_answered(traced: Traced) -> None:
    """Before that, its failures count as `_OTHER`; those of models that LiteLLM knows never do."""
    for model in ("openai/my-own", "openai/gpt-4o"):
        with pytest.raises(litellm.InternalServerError):
            litellm.completion(**traced.chat(model=model, provider={"status": 500}))
        litellm.completion(**traced.chat(model=model))
        with pytest.raises(litellm.InternalServerError):
            litellm.completion(**traced.chat(model=model, provider={"status": 500}))
    found = points(traced, "gen_ai.client.operation.duration")
    assert {
        (point["attributes"]["gen_ai.request.model"], point["count"])
        for point in found
        if "error.type" in point["attributes"]
    } == {("_OTHER", 1), ("my-own", 1), ("gpt-4o", 2)}


def test_each_label_has_a_bounded_number_of_values(
    traced: Traced, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even if a provider accepts every name."""
    monkeypatch.setattr("litespan.instrumentation.metrics.MAX_VALUES", 3)
    for number in range(6):
        litellm.completion(**traced.chat(model=f"openai/echo-{number}"))
    found = points(traced, "gen_ai.client.operation.duration")
    names = [point["attributes"]["gen_ai.request.model"] for point in found]
    assert sorted(names) == ["_OTHER", "echo-0", "echo-1", "echo-2"]


def test_without_a_reader_nothing_is_recorded() -> None:
    """As with OTEL_METRICS_EXPORTER=none, where the SDK still sets a meter provider."""
    for readers in ([], [InMemoryMetricReader()]):
        metrics = Metrics(MeterProvider(readers).get_meter("this test"))
        assert metrics.has_reader is bool(readers)
