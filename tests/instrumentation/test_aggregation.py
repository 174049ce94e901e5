"""Values that are recorded later equal values that are recorded at once."""

import inspect
import os
import random
import time
from collections.abc import Callable
from typing import Any

import pytest
from opentelemetry.sdk.metrics import (
    AlwaysOffExemplarFilter,
    AlwaysOnExemplarFilter,
    Histogram,
    MeterProvider,
    TraceBasedExemplarFilter,
)
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    InMemoryMetricReader,
    MetricExporter,
    MetricExportResult,
    PeriodicExportingMetricReader,
)
from opentelemetry.sdk.metrics.view import (
    DropAggregation,
    ExplicitBucketHistogramAggregation,
    ExponentialBucketHistogramAggregation,
    View,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.trace import SpanContext, TraceFlags

from litespan import semconv as s
from litespan.background.deferred import Deferred
from litespan.counters import observe
from litespan.instrumentation import aggregation, finished_call, measurement_queue
from litespan.instrumentation.finished_call import Finished
from litespan.instrumentation.metrics import Metrics

_INTERNAL = "opentelemetry.sdk.metrics._internal"
CLOCKS = [
    *(f"{_INTERNAL}.{name}.time_ns" for name in ("instrument", "_view_instrument_match")),
    *(f"{_INTERNAL}.{name}.time_ns" for name in ("measurement_consumer", "metric_reader_storage")),
    f"{finished_call.__name__}.time_ns",
]


class OddFilter(AlwaysOnExemplarFilter):
    """An exemplar filter of the application's."""

    def should_sample(self, value: Any, *_: Any, **__: Any) -> bool:
        return bool(value > 1)


def views(chance: random.Random) -> list[View]:
    """Views as operators have them."""
    name = chance.choice([s.METRIC_DURATION, s.METRIC_TOKENS, "gen_ai.*"])
    buckets = ExplicitBucketHistogramAggregation([1.0, 5.0], record_min_max=False)
    limited: dict[str, Any] = {}
    if "aggregation_cardinality_limit" in inspect.signature(View).parameters:
        limited = {"aggregation_cardinality_limit": 2}
    return chance.choice(
        [
            [],
            [],
            [View(instrument_name=name, attribute_keys={s.PROVIDER, s.ERROR_TYPE})],
            [View(instrument_name=name, aggregation=buckets, attribute_keys=set())],
            [View(instrument_name=name, aggregation=DropAggregation())],
            [View(instrument_name=name, aggregation=ExponentialBucketHistogramAggregation(20))],
            [View(instrument_name=name, **limited)],
            [
                View(instrument_name=s.METRIC_COST, name="cost"),
                View(instrument_name=s.METRIC_COST, name="cost.again"),
            ],
        ]
    )


def calls(chance: random.Random) -> tuple[tuple[Any, Any], dict[str, Any]]:
    """The arguments of `Metrics.record` for any finished call."""
    start = {s.OPERATION: "chat", s.PROVIDER: chance.choice(["openai", "mine"])}
    start[s.REQUEST_MODEL] = chance.choice(["gpt-4o", "made-up", "_OTHER"])
    end: dict[str, Any] = {s.OUTCOME: chance.choice(["success", "failure"])}
    if end[s.OUTCOME] == "failure":
        end[s.ERROR_TYPE] = chance.choice(["RateLimitError", "Timeout"])
    else:
        end |= {s.INPUT_TOKENS: chance.randint(0, 9), s.OUTPUT_TOKENS: chance.randint(0, 99)}
        end |= {s.RESPONSE_MODEL: "gpt-4o", s.SERVER_ADDRESS: "host", s.SERVER_PORT: 443}
        end |= {s.COST: chance.random()} if chance.random() < 0.8 else {}
    span = SpanContext(
        chance.getrandbits(128), chance.getrandbits(64), False, TraceFlags(chance.randint(0, 1))
    )
    streamed = chance.random() < 0.3
    more: dict[str, Any] = {"span": chance.choice([span, span, None])}
    more |= {"first_chunk": chance.random(), "per_chunk": 0.25} if streamed else {}
    return (start, end), {**more, "seconds": chance.uniform(0, 20)}


def history(seed: int, clock: Callable[[int], None], *, queued: bool) -> list[str | None]:
    """Everything that two readers get of random calls, recorded later or at once."""
    chance = random.Random(seed)
    temporality = chance.choice([AggregationTemporality.DELTA, AggregationTemporality.CUMULATIVE])
    readers = [InMemoryMetricReader({Histogram: temporality}), InMemoryMetricReader()]
    own = views(chance)
    filters = [TraceBasedExemplarFilter(), AlwaysOnExemplarFilter(), OddFilter()]
    wanted = chance.choice([*filters, AlwaysOffExemplarFilter()])
    if any(isinstance(view._aggregation, ExponentialBucketHistogramAggregation) for view in own):
        wanted = AlwaysOffExemplarFilter()  # it keeps exemplars by chance
    provider = MeterProvider(readers, Resource({}), wanted, shutdown_on_exit=False, views=own)
    measured = Metrics(provider.get_meter("tests"))
    measured._queued = None if queued else False
    observe(provider)
    found: list[str | None] = []
    now = 1_700_000_000_000_000_000
    for _ in range(chance.randint(1, 4)):
        for _ in range(chance.randint(0, 12)):
            now += chance.randint(1, 10**9)
            clock(now)
            (start, end), more = calls(chance)
            read = Deferred(end.copy, 0) if queued else end
            measured.record(start, read, more.pop("seconds"), **more)
        now += 10**9
        clock(now)
        for reader in chance.sample(readers, 2):
            data = reader.get_metrics_data()
            found.append(only_ours(data))
    assert measured._queued in (None, queued)
    return found


def only_ours(data: Any) -> str | None:
    """The metrics of calls, as JSON."""
    if data is None:
        return None
    scopes = data.resource_metrics[0].scope_metrics
    return "".join(scope.to_json() for scope in scopes if scope.scope.name == "tests")


def test_values_recorded_later_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """For any calls, views, temporality and exemplars: the same points and times."""
    now = [0]
    for name in CLOCKS:
        monkeypatch.setattr(name, lambda: now[0], raising=False)

    def clock(time_ns: int) -> None:
        now[0] = time_ns

    for seed in range(60):
        later, at_once = (history(seed, clock, queued=queued) for queued in (True, False))
        assert later == at_once, f"seed {seed}"


@pytest.fixture
def reader() -> InMemoryMetricReader:
    """The reader of the meter below."""
    return InMemoryMetricReader()


@pytest.fixture
def measured(reader: InMemoryMetricReader) -> Metrics:
    """Metrics of a meter provider that is read."""
    provider = MeterProvider([reader], Resource({}), shutdown_on_exit=False)
    observe(provider)
    return Metrics(provider.get_meter("tests"))


def finished(measured: Metrics, count: int) -> None:
    """Some finished calls."""
    for _ in range(count):
        measured.record({s.OPERATION: "chat"}, {s.OUTCOME: "success"}, 0.5)


def counted(data: Any) -> int:
    """The number of calls in the metric of durations."""
    found = 0
    for resource in data.resource_metrics if data else ():
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                if metric.name == s.METRIC_DURATION:
                    found += sum(point.count for point in metric.data.data_points)
    return found


def test_many_values_do_not_wait_for_a_collection(measured: Metrics) -> None:
    """A thread records them."""
    measurement_queue.queue.record()
    finished(measured, 1000)
    until = time.monotonic() + 30
    while (
        len(measurement_queue.queue._calls) >= measurement_queue.MANY and time.monotonic() < until
    ):
        time.sleep(0.001)
    assert len(measurement_queue.queue._calls) < measurement_queue.MANY


def test_a_forked_child_starts_with_the_sums_of_its_parent(
    measured: Metrics, reader: InMemoryMetricReader
) -> None:
    """As if every value had been recorded at once; the parent keeps its own."""
    finished(measured, 3)
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        finished(measured, 2)
        os.write(write, str(counted(reader.get_metrics_data())).encode())
        os._exit(0)
    os.waitpid(child, 0)
    assert (os.read(read, 10), counted(reader.get_metrics_data())) == (b"5", 3)


class Kept(MetricExporter):
    """Counts the calls that it gets."""

    calls = 0

    def export(self, metrics_data: Any, *_: Any, **__: Any) -> MetricExportResult:
        self.calls += counted(metrics_data)
        return MetricExportResult.SUCCESS

    def shutdown(self, *_: Any, **__: Any) -> None:
        """Nothing to close."""

    def force_flush(self, *_: Any, **__: Any) -> bool:
        return True


@pytest.mark.parametrize("how", ["force_flush", "shutdown"])
def test_flush_and_shutdown_collect_waiting_values(how: str) -> None:
    """Flushing and shutting down the meter provider collect all values, instrumented or not."""
    kept = Kept()
    reader = PeriodicExportingMetricReader(kept, export_interval_millis=600_000)
    provider = MeterProvider([reader], Resource({}), shutdown_on_exit=False)
    observe(provider)
    finished(Metrics(provider.get_meter("tests")), 7)  # and the metrics are let go
    getattr(provider, how)()
    assert kept.calls == 7


def test_a_changed_sdk_records_at_once(
    measured: Metrics, reader: InMemoryMetricReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No value is added to sums of an SDK that litespan does not know."""
    monkeypatch.setattr(aggregation, "unknown_names", lambda: frozenset({"new_behaviour"}))
    finished(measured, 2)
    assert not [
        call for divide, call in measurement_queue.queue._calls if divide == measured.divide
    ]
    assert counted(reader.get_metrics_data()) == 2


def test_a_queued_call_holds_no_content() -> None:
    """It has the size of its labels, regardless of the call's content."""
    assert s.INPUT_MESSAGES not in finished_call.AT_END
    assert set(Finished._fields) == {
        *("start", "end", "seconds", "first_chunk", "per_chunk", "span", "time_ns")
    }
