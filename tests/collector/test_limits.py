"""A collector with a large message, a burst, little memory, a full queue, or a full disk."""

import json
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans

from tests import cases
from tests.collector.load import Sender, ids_in, requests
from tests.collector.running import BASE, OVERLAYS, ROOT, Collector, collector, wait_for
from tests.collector.spans import call
from tests.collector.test_redaction import said
from tests.stores.disks import small_disk
from tests.support.needs import missing
from tests.support.server import Reply
from tests.support.server import running as serving


def test_a_message_of_five_megabytes_arrives_completely(tmp_path: Path) -> None:
    """By HTTP, past every limit on the way."""
    with collector(tmp_path) as running:
        running.send([call({"gen_ai.input.messages": said("lorem ipsum " * 437_000)})])
        (got,) = running.wait_spans(1)
    message = json.loads(str((got.attributes or {})["gen_ai.input.messages"]))
    assert len(message[0]["parts"][0]["content"]) == 12 * 437_000


def test_a_burst_of_100_000_calls_loses_none(tmp_path: Path) -> None:
    """In requests of 500; memory stays below its limit."""
    with collector(tmp_path, env={"OTELCOL_TRACES_IN_MEMORY": "200000"}) as running:
        sender = Sender(running.url)
        begun = time.monotonic()
        for body, _ in requests(200, 500):
            assert sender.post(body)
        seconds = time.monotonic() - begun
        sender.close()
        wait_for(lambda: running.total("genai_calls_total") == 100_000, "the metrics", 60)
        kept = lambda: _sum(running, "otelcol_exporter_sent_spans", "file/traces")  # noqa: E731
        wait_for(lambda: kept() == 100_000, "the file", 60)
        assert running.process is not None
        status = Path(f"/proc/{running.process.pid}/status").read_text()
        peak = int(status.split("VmHWM:")[1].split()[0]) / 1024
        sys.stderr.write(f"\nburst: 100,000 in {seconds:.1f} s, peak {peak:.0f} MiB\n")
        assert peak < 1024


def _sum(running: Collector, name: str, exporter: str) -> float:
    return sum(
        value
        for found, labels, value in running.samples(running.self_metrics)
        if found == name and labels.get("exporter") == exporter
    )


def test_out_of_memory_refuses_and_loses_nothing(tmp_path: Path) -> None:
    """Over its limit it answers 503, and the sender retries; every call arrives and counts once."""
    env = {
        "OTELCOL_MEMORY_MIB": "80",
        "OTELCOL_MEMORY_SPIKE_MIB": "20",
        "OTELCOL_DECISION_WAIT": "3s",
        "OTELCOL_TRACES_IN_MEMORY": "200000",
    }
    with collector(tmp_path, env=env) as running:
        sender = Sender(running.url)
        made = list(requests(30, 200, content=20_000))
        for body, _ in made:
            assert sender.post(body)
        sender.close()
        assert sender.refusals > 0
        sent = {span_id for _, ids in made for span_id in ids}
        wait_for(lambda: sent <= running.span_ids(), "all calls", 60)
        wait_for(lambda: running.total("genai_calls_total") >= 6000, "the metrics")
        time.sleep(2.5)  # two more rounds of metrics
        spent = dict(cases.CASES["content_off"].attributes or {})
        assert running.total("genai_calls_total") == 6000
        assert _sum(running, "otelcol_exporter_sent_spans", "file/traces") == 6000
        for name, key in (("input_tokens", "input_tokens"), ("cost_usd", "cost")):
            of_one = float(str(spent[f"gen_ai.usage.{key}"]))
            assert running.total(f"genai_{name}_total") == pytest.approx(6000 * of_one)


def test_a_full_queue_is_counted(tmp_path: Path) -> None:
    """A vendor is down longer than the queue can hold: the metric has the loss."""
    with (
        serving(lambda _: Reply(503)) as vendor,
        collector(
            tmp_path,
            "langfuse",
            env={"LANGFUSE_BASE_URL": vendor.url, "OTELCOL_QUEUE_BYTES": "300000"},
        ) as running,
    ):
        sender = Sender(running.url)
        for body, _ in requests(20, 100):
            assert sender.post(body)
        sender.close()
        lost = lambda: _sum(  # noqa: E731
            running, "otelcol_exporter_enqueue_failed_spans", "otlp_http/langfuse"
        )
        wait_for(lambda: lost() > 0, "the metric")
        assert 0 < lost() < 2000


def test_a_full_disk_of_the_file_stops_nothing_else(tmp_path: Path) -> None:
    """The collector still receives and measures calls, and logs the error."""
    running = Collector(tmp_path, [BASE, tmp_path / "full.yaml"])
    (tmp_path / "full.yaml").write_text(
        "exporters: {file/traces: {path: /dev/full, rotation: null}}"
    )
    running.start()
    running.send([call() for _ in range(50)])
    wait_for(lambda: running.total("genai_calls_total") == 50, "the metrics")
    running.send([call() for _ in range(50)])
    wait_for(lambda: running.total("genai_calls_total") == 100, "the metrics")
    wait_for(lambda: "no space left on device" in running.log.read_text(), "a word in the log")
    running.stop()


def test_a_full_disk_of_the_alerts_file_is_counted(tmp_path: Path) -> None:
    """Failed calls are accepted and count once, traces continue, and the loss is counted."""
    (tmp_path / "full.yaml").write_text(
        "exporters: {file/alerts: {path: /dev/full, rotation: null}}"
    )
    with collector(tmp_path, str(tmp_path / "full")) as running:
        sender = Sender(running.url)
        for _ in range(5):  # the first ones fill the file's buffer
            failed = [call({"note": "x" * 3000}, error="boom") for _ in range(20)]
            assert sender.post(encode_spans(failed).SerializeToString())
            time.sleep(0.5)
        sender.close()
        assert sender.refusals == 0
        lost = lambda: _sum(running, "otelcol_exporter_send_failed_spans", "file/alerts")  # noqa: E731
        wait_for(lambda: lost() > 0, "the count of the lost")
        assert len(running.wait_spans(100)) == 100
        wait_for(lambda: running.total("genai_calls_total") == 100, "the metrics")
        assert "no space left on device" in running.log.read_text()


@contextmanager
def queue_disk(folder: Path, size: int) -> Iterator[Path]:
    """A configuration that puts the queue on a disk of `size` bytes of its own."""
    with small_disk(folder, size) as disk:
        if not disk.mounted:
            missing("a small disk", "run as root, who may mount one")
        config = folder.with_suffix(".yaml")
        place = {"directory": f"{folder}/queue", "compaction": {"directory": f"{folder}/queue"}}
        config.write_text(json.dumps({"extensions": {"file_storage/queue": place}}))
        yield config


def test_a_full_disk_of_a_queue_is_counted(tmp_path: Path) -> None:
    """A vendor is down, with 33 MB for a disk of 4: the loss is counted, and the rest continues."""
    open_again = threading.Event()
    with (
        queue_disk(tmp_path / "disk", 4_000_000) as small,
        serving(lambda _: Reply(200 if open_again.is_set() else 503)) as vendor,
    ):
        env = {"LANGFUSE_BASE_URL": vendor.url}
        running = Collector(tmp_path / "data", [BASE, OVERLAYS / "langfuse.yaml", small], env)
        running.start()
        sender = Sender(running.url)
        sent = send(sender, requests(60, 100, 4000))
        wait_for(lambda: sent <= running.span_ids(), "the file", 60)
        lost = lambda: _sum(  # noqa: E731
            running, "otelcol_exporter_enqueue_failed_spans", "otlp_http/langfuse"
        )
        wait_for(lost, "the metric")
        down = len(vendor.received)
        open_again.set()
        got = lambda: ids_in(vendor.received[down:])  # noqa: E731
        # A full disk takes no note of what was read either: a request or two is in no count.
        wait_for(lambda: len(got()) + lost() >= 0.95 * len(sent), "what was kept", 60)
        sys.stderr.write(f"\nqueue on a full disk: {len(got())} of {len(sent)} delivered\n")
        later = send(sender, requests(3, 100, 4000, seed=2))
        wait_for(lambda: later <= got(), "later calls")
        sender.close()
        running.stop()


def test_senders_retry_while_the_queue_of_an_agent_is_full(tmp_path: Path) -> None:
    """The queue is smaller than its disk, so it is full first; no call is lost."""
    gateway = Collector(tmp_path / "gateway")
    env = {
        "OTELCOL_GATEWAYS": json.dumps([gateway.grpc]),
        "OTELCOL_GATEWAY": gateway.grpc,
        "OTELCOL_GATEWAY_INSECURE": "true",
        "OTELCOL_QUEUE_BYTES": "3000000",
    }
    with queue_disk(tmp_path / "disk", 9_000_000) as small:
        agent = Collector(tmp_path / "agent", [ROOT / "collector/agent.yaml", small], env)
        agent.start()
        sender = Sender(agent.url)
        with ThreadPoolExecutor() as pool:
            sending = pool.submit(send, sender, requests(40, 100, 4000))
            wait_for(lambda: sender.refusals > 5, "refusals")
            gateway.start()
            sent = sending.result()
        wait_for(lambda: sent <= gateway.span_ids(), "every call", 60)
        sender.close()
        agent.stop()
        gateway.stop()


def send(sender: Sender, made: Iterable[tuple[bytes, list[bytes]]]) -> set[bytes]:
    """Post the requests, all of which are taken in the end; the ids of their spans."""
    sent: set[bytes] = set()
    for body, ids in made:
        assert sender.post(body)
        sent.update(ids)
    return sent
