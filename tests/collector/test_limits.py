"""A giant message, a burst, little memory, a full queue, a full disk: what a collector does."""

import json
import sys
import time
from pathlib import Path

from tests.collector.load import Sender, requests
from tests.collector.running import BASE, Collector, collector, wait_for
from tests.collector.spans import call
from tests.collector.test_redaction import said
from tests.support.server import Reply
from tests.support.server import running as serving


def test_a_message_of_five_megabytes(tmp_path: Path) -> None:
    """It arrives whole, by HTTP, past every limit on the way."""
    with collector(tmp_path) as running:
        running.send([call({"gen_ai.input.messages": said("lorem ipsum " * 437_000)})])
        (got,) = running.wait_spans(1)
    message = json.loads(str((got.attributes or {})["gen_ai.input.messages"]))
    assert len(message[0]["parts"][0]["content"]) == 12 * 437_000


def test_a_burst_of_100_000(tmp_path: Path) -> None:
    """All at once, in requests of 500: nothing is lost, memory stays under its limit."""
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
    """Over its limit it answers 503 and the sender comes back; every call arrives in the end."""
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


def test_a_full_queue_is_counted(tmp_path: Path) -> None:
    """A vendor that is down longer than the queue is large: the loss shows in its metric."""
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


def test_a_full_disk(tmp_path: Path) -> None:
    """No room for queue or file: it goes on taking calls in, measuring them and saying so."""
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
