"""App → agent → two gateways → Kafka → consumers, under load, with stops and kills."""

import json
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from opentelemetry.sdk.trace import ReadableSpan

from tests.collector.broker import Broker
from tests.collector.load import Sender, requests
from tests.collector.running import (
    BASE,
    OVERLAYS,
    ROOT,
    Collector,
    free_ports,
    validate,
    wait_for,
)
from tests.collector.spans import by_id, call

AGENT, GATEWAY, CONSUMER = (
    ROOT / f"collector/{name}.yaml" for name in ("agent", "gateway", "consumer")
)
TRACES = ("langfuse", "datadog", "helicone", "logfire", "traceloop", "posthog")
WINDOW = 3.0  # seconds that a gateway of these tests holds a trace before it decides


@pytest.mark.parametrize(
    "configs",
    [
        (AGENT,),
        (BASE, GATEWAY, OVERLAYS / "kafka-out.yaml"),
        (CONSUMER,),
        *[(CONSUMER, OVERLAYS / f"{name}.yaml") for name in TRACES],
        (CONSUMER, *[OVERLAYS / f"{name}.yaml" for name in TRACES]),
    ],
    ids=lambda configs: "+".join(path.stem for path in configs),
)
def test_the_configuration_of_each_tier_is_valid(configs: Sequence[Path]) -> None:
    """Each tier, and a consumer with every overlay that sends traces."""
    assert validate(*configs) == ""


@dataclass
class Tiers:
    """What runs, and what was sent."""

    agent: Collector
    gateways: list[Collector]
    consumers: list[Collector]
    broker: Broker | None
    sent: dict[bytes, float] = field(default_factory=dict)  # span id → when it was taken in
    ending: threading.Event = field(default_factory=threading.Event)

    def load(self, rate: float, content: int = 0) -> threading.Thread:
        """Send 100 spans `rate` times a second, on a thread, until `ending` is set."""

        def run() -> None:
            sender = Sender(self.agent.url)
            for body, ids in requests(10_000, 100, content):
                if self.ending.is_set():
                    break
                assert sender.post(body)
                self.sent.update(dict.fromkeys(ids, time.monotonic()))
                time.sleep(1 / rate)
            sender.close()

        thread = threading.Thread(target=run)
        thread.start()
        return thread

    def arrived(self) -> set[bytes]:
        """Ids of the spans at the far end."""
        return set().union(*(end.span_ids() for end in self.consumers or self.gateways))

    def settle(self, patience: float = 20.0) -> set[bytes]:
        """The ids that have not arrived when nothing has changed for a while."""
        last, since = -1, time.monotonic()
        while time.monotonic() - since < patience:
            found = len(self.arrived())
            if found >= len(self.sent):
                break
            if found != last:
                last, since = found, time.monotonic()
            time.sleep(0.5)
        return set(self.sent) - self.arrived()


@contextmanager
def tiers(data: Path, *, kafka: bool) -> Iterator[Tiers]:
    """An agent and two gateways, which sample themselves or write to Kafka for two consumers."""
    with ExitStack() as stack:
        env = {"OTELCOL_DECISION_WAIT": f"{WINDOW:g}s", "OTELCOL_TRACES_IN_MEMORY": "200000"}
        configs, broker, consumers = [BASE], None, []

        def start(running: Collector) -> Collector:
            running.start()
            stack.callback(stop, running)
            return running

        if kafka:
            broker = Broker(data / "kafka")
            broker.start()
            stack.callback(broker.stop)
            env["KAFKA_BROKERS"] = broker.address
            configs = [BASE, GATEWAY, OVERLAYS / "kafka-out.yaml"]
            consumers = [start(Collector(data / f"c{n}", [CONSUMER], env)) for n in (1, 2)]
        gateways = [start(Collector(data / f"g{n}", configs, env)) for n in (1, 2)]
        agent = {
            "OTELCOL_GATEWAYS": json.dumps([gateway.grpc for gateway in gateways]),
            "OTELCOL_GATEWAY": gateways[0].grpc,
            "OTELCOL_GATEWAY_INSECURE": "true",
        }
        running = Tiers(
            start(Collector(data / "agent", [AGENT], agent)), gateways, consumers, broker
        )
        try:
            yield running
        finally:
            running.ending.set()


def stop(running: Collector) -> None:
    """End it, unless it has ended."""
    if running.process is not None and running.process.poll() is None:
        running.stop()


def under_load(running: Tiers, happens: Callable[[], None], seconds: float = 3.0) -> set[bytes]:
    """Load before, during and after something happens; the ids that never arrive."""
    thread = running.load(rate=10)
    time.sleep(seconds)
    happens()
    time.sleep(seconds)
    running.ending.set()
    thread.join()
    return running.settle()


def restart(gateway: Collector, how: signal.Signals, away: float = 1.0) -> Callable[[], None]:
    """End the gateway, and start it again after `away` seconds."""

    def do() -> None:
        gateway.stop(how)
        time.sleep(away)
        gateway.start()

    return do


def spans_at(gateway: Collector) -> list[ReadableSpan]:
    """What this gateway has written."""
    return gateway.spans()


def test_the_spans_of_a_trace_go_to_one_gateway(tmp_path: Path) -> None:
    """Even if they are sent apart; different traces use both gateways."""
    with tiers(tmp_path, kafka=False) as running:
        traces = range(1, 41)
        for part in range(3):
            running.agent.send([call({"part": part}, trace_id=n << 64 | n) for n in traces])
        found = lambda: [spans_at(gateway) for gateway in running.gateways]  # noqa: E731
        wait_for(lambda: sum(map(len, found())) == 120, "all spans")
        first, second = (
            {span.context.trace_id for span in spans if span.context} for spans in found()
        )
        assert first.isdisjoint(second)
        assert min(len(first), len(second)) > 5


def test_a_stopped_gateway_loses_nothing(tmp_path: Path) -> None:
    """SIGTERM under load: it decides on its spans, and the agent keeps the others."""
    with tiers(tmp_path, kafka=False) as running:
        missing = under_load(running, restart(running.gateways[0], signal.SIGTERM))
        assert (len(missing), len(running.sent) > 3000) == (0, True)


def test_a_killed_gateway_loses_at_most_its_sampling_window(tmp_path: Path) -> None:
    """`kill -9` under load loses only spans that arrived within the sampling window."""
    with tiers(tmp_path, kafka=False) as running:
        when: list[float] = []

        def kill() -> None:
            when.append(time.monotonic())
            restart(running.gateways[0], signal.SIGKILL)()

        missing = under_load(running, kill, seconds=WINDOW + 2)
        ages = [when[0] - running.sent[span_id] for span_id in missing]
        # 1 s for the decision's tick, 1 s for the file's flush
        assert 0 < len(missing) <= 100 * 10 * (WINDOW + 2)
        assert max(ages) < WINDOW + 2


def test_with_kafka_before_sampling_nothing_is_lost(tmp_path: Path) -> None:
    """One gateway is killed, the other stopped, and the broker restarted: every span arrives."""
    with tiers(tmp_path, kafka=True) as running:
        one, two = running.gateways

        def happens() -> None:
            restart(one, signal.SIGKILL)()
            time.sleep(1)
            restart(two, signal.SIGTERM)()
            assert running.broker is not None
            running.broker.stop()
            running.broker.start()

        missing = under_load(running, happens)
        assert (len(missing), len(running.sent) > 3000) == (0, True)
        counted = sum(gateway.total("genai_calls_total") for gateway in running.gateways)
        assert counted > 0  # since their last start


def test_a_new_consumer_group_reads_every_span(tmp_path: Path) -> None:
    """From the start: so a new vendor can receive earlier calls."""
    with tiers(tmp_path, kafka=True) as running:
        assert under_load(running, lambda: None, seconds=1) == set()
        assert running.broker is not None
        env = {"KAFKA_BROKERS": running.broker.address, "KAFKA_GROUP": "another"}
        again = Collector(tmp_path / "again", [CONSUMER], env)
        again.start()
        wait_for(lambda: len(spans_at(again)) >= len(running.sent), "all spans once more", 60)
        assert again.stop() == 0


def test_the_second_broker_of_a_list_is_used_if_the_first_is_down(tmp_path: Path) -> None:
    """By the writer and the reader."""
    broker = Broker(tmp_path / "kafka")
    broker.start()
    (dead,) = free_ports(1)
    env = {"KAFKA_BROKERS": f"127.0.0.1:{dead},{broker.address}"}
    sent = [call() for _ in range(20)]
    with ExitStack() as stack:
        stack.callback(broker.stop)
        running = [
            Collector(tmp_path / "out", [BASE, OVERLAYS / "kafka-out.yaml"], env),
            Collector(tmp_path / "consumer", [CONSUMER], env),
            Collector(
                tmp_path / "in", [BASE, OVERLAYS / "kafka-in.yaml"], {**env, "KAFKA_GROUP": "in"}
            ),
        ]
        for started in running:
            started.start()
            stack.callback(stop, started)
        running[0].send(sent)
        for started in running:
            assert by_id(started.wait_spans(20)).keys() == by_id(sent).keys()


def test_senders_retry_while_the_queue_before_kafka_is_full(tmp_path: Path) -> None:
    """Nothing is lost, and retries are counted."""
    broker = Broker(tmp_path / "kafka")
    env = {"KAFKA_BROKERS": broker.address, "OTELCOL_QUEUE_BYTES": "300000"}
    with ExitStack() as stack:
        stack.callback(broker.stop)
        gateway = Collector(tmp_path / "out", [BASE, GATEWAY, OVERLAYS / "kafka-out.yaml"], env)
        consumer = Collector(tmp_path / "consumer", [CONSUMER], env)
        gateway.start()
        stack.callback(stop, gateway)
        sender = Sender(gateway.url, patience=1)
        sent: set[bytes] = set()
        for body, ids in requests(10, 100):
            if not sender.post(body):
                broker.start()
                consumer.start()
                stack.callback(stop, consumer)
                sender.patience = 60
                assert sender.post(body)
            sent.update(ids)
        sender.close()
        wait_for(lambda: sent <= consumer.span_ids(), "every call", 60)
        assert sender.refusals > 0
        wait_for(lambda: gateway.total("genai_calls_total") > len(sent), "the repeats")
