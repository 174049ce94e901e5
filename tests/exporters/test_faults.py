"""10,000 spans through the SDK's batch processor to vendors that fail all the time."""

import json
import random
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from litespan.export.http import HttpExporter
from litespan_exporters.datadog import DatadogExporter
from litespan_exporters.helicone import HeliconeExporter
from litespan_exporters.langfuse import LangfuseExporter
from tests.support.server import Fault, Received, Reply, running
from tests.support.vendors import SECRET

pytestmark = pytest.mark.slow

SPANS = 10_000
BAD = (
    Reply(429, headers={"Retry-After": "0.05"}),
    Reply(503),
    Reply(502, b"<html>bad gateway</html>"),
    Reply(reset=True),
    Reply(delay=1.5),  # longer than an attempt
)


def failing(share: float) -> Fault:
    """Misbehave at that share of the requests, always in the same way for the same test."""
    chance = random.Random(7)

    def fault(_: Received) -> Reply | None:
        return chance.choice(BAD) if chance.random() < share else None

    return fault


def helicone(body: bytes) -> Iterable[str]:
    """The one id of a log."""
    yield json.loads(body)["providerRequest"]["meta"]["Helicone-Request-Id"]


def langfuse(body: bytes) -> Iterable[str]:
    """The span ids of a batch."""
    for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
        for scope in resource.scope_spans:
            yield from (span.span_id.hex() for span in scope.spans)


def datadog(body: bytes) -> Iterable[str]:
    """The span ids of a batch."""
    yield from (span["span_id"] for span in json.loads(body)["data"]["attributes"]["spans"])


LIMITS: dict[str, Any] = {"attempt": 1.0, "backoff": 0.05}
VENDORS: dict[
    str, tuple[float, Callable[[bytes], Iterable[str]], Callable[[str], HttpExporter]]
] = {
    "helicone": (0.03, helicone, lambda url: HeliconeExporter(SECRET, url, **LIMITS)),
    "langfuse": (0.4, langfuse, lambda url: LangfuseExporter(SECRET, SECRET, url, **LIMITS)),
    "datadog": (0.4, datadog, lambda url: DatadogExporter(SECRET, base_url=url, **LIMITS)),
}


@pytest.mark.parametrize("name", VENDORS)
def test_ten_thousand_spans_arrive_once(name: str) -> None:
    """Despite 429, 502, 503, resets and timeouts; the caller never waits."""
    share, keys, build = VENDORS[name]
    taken: Counter[str] = Counter()

    def accept(request: Received) -> Reply:
        taken.update(keys(request.body))
        return Reply(200)

    with running(accept, failing(share)) as vendor:
        exporter = build(vendor.url)
        provider = TracerProvider(
            resource=Resource({"service.name": "load"}), shutdown_on_exit=False
        )
        # The promise begins at `export()`: the queue holds all that this test ends at once.
        processor = BatchSpanProcessor(exporter, max_queue_size=SPANS, schedule_delay_millis=100)
        provider.add_span_processor(processor)
        tracer = provider.get_tracer("load")
        ends = []
        for _ in range(SPANS):
            span = tracer.start_span("chat m", attributes={"gen_ai.operation.name": "chat"})
            begun = time.perf_counter()
            span.end()
            ends.append(time.perf_counter() - begun)
        processor.force_flush(300_000)
        provider.shutdown()
    assert vendor.wrong == []
    assert len(taken) == SPANS
    assert set(taken.values()) == {1}
    assert len(vendor.received) > SPANS / exporter.limits.max_items * (1 + share / 2)
    assert statistics.median(ends) < 0.001
