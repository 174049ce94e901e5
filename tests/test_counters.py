"""litespan's counters are in `litespan.stats()` and in the metrics of the process."""

from collections import Counter

import pytest

import litespan
from litespan import counters
from litespan.counters import count
from litespan.instrumentation.signals import Signals
from litespan.settings import Settings
from litespan.testing import Telemetry
from tests.support.program import run


def exported_counters(telemetry: Telemetry) -> list[tuple[str, int]]:
    """The counters, as a collector gets them."""
    return [
        (point["attributes"]["litespan.counter.name"], point["value"])
        for point in telemetry.metrics
        if point["name"] == "litespan.counter"
    ]


def test_a_meter_provider_reads_the_counters_once() -> None:
    """Even if litespan is set up with it repeatedly."""
    telemetry = Telemetry()
    for _ in range(2):
        Signals(Settings(), telemetry.tracer_provider, telemetry.meter_provider)
    count("this test.told", 3)
    count("this test.told", 2)
    found = exported_counters(telemetry)
    assert dict(found)["this test.told"] == litespan.stats()["this test.told"]
    assert [name for name, _ in found].count("this test.told") == 1


def test_the_number_of_counter_names_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Further names are counted together."""
    monkeypatch.setattr(counters, "_counts", Counter())
    for number in range(counters.MAX_NAMES + 10):
        count(f"this test.{number}")
    count("this test.1")
    assert litespan.stats()["other"] == 10
    assert litespan.stats()["this test.1"] == 2
    assert len(litespan.stats()) == counters.MAX_NAMES + 1


INTERRUPTED = """
    import signal
    import litespan
    from litespan.counters import count

    class Interrupting(str):
        def __hash__(self):
            signal.raise_signal(signal.SIGTERM)
            return str.__hash__(self)

    signal.signal(signal.SIGTERM, lambda *_: count("told"))
    signal.alarm(20)
    count(Interrupting("counted"))
    print(litespan.stats()["told"] > 0)
"""


@pytest.mark.slow
def test_a_signal_handler_can_count_while_its_thread_counts() -> None:
    """It runs between two instructions of that thread."""
    ran = run(INTERRUPTED)
    assert ran.stdout == "True\n", ran.stderr


FORKED = """
    import os, signal, threading
    import litespan
    from litespan import counters

    locked, ended = threading.Event(), threading.Event()

    def hold():
        with counters._lock:
            locked.set()
            ended.wait()

    threading.Thread(target=hold).start()
    locked.wait()
    child = os.fork()
    if not child:
        signal.alarm(20)
        counters.count("counted")
        os._exit(litespan.stats()["counted"] + 41)
    _, status = os.waitpid(child, 0)
    ended.set()
    print(os.waitstatus_to_exitcode(status))
"""


@pytest.mark.slow
def test_a_forked_child_can_count_while_a_thread_of_its_parent_counts() -> None:
    """That thread does not exist in the child."""
    ran = run(FORKED)
    assert ran.stdout == "42\n", ran.stderr


PROGRAM = """
    from opentelemetry import metrics
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader
    from litespan import LiteLLMInstrumentor
    from litespan.counters import count

    LiteLLMInstrumentor().instrument()
    reader = InMemoryMetricReader()
    metrics.set_meter_provider(MeterProvider([reader]))
    LiteLLMInstrumentor().uninstrument()
    LiteLLMInstrumentor().instrument()
    count("told")
    for resource in reader.get_metrics_data().resource_metrics:
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                for point in metric.data.data_points:
                    print(metric.name, point.attributes, point.value)
"""


@pytest.mark.slow
def test_the_global_meter_provider_reads_the_counters() -> None:
    """Even if it is set after litespan; and once, if litespan is set up twice."""
    ran = run(PROGRAM)
    wanted = "litespan.counter {'litespan.counter.name': 'told'} 1"
    assert ran.stdout.splitlines() == [wanted], ran.stderr
