"""Every overlay is valid alone and with every other one, and sends its documented requests."""

import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import httpx
import pytest
import yaml
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue, KeyValueList
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, ResourceLogs, ScopeLogs
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    TraceFlags,
    set_span_in_context,
)

from litespan.export import GenAISpan
from litespan.export.decode import read_request, to_spans
from litespan.testing import decode
from tests import cases
from tests.collector.running import BASE, OVERLAYS, ROOT, Collector, collector, validate, wait_for
from tests.collector.spans import call
from tests.support.server import Received, Reply, Vendor, in_turn
from tests.support.server import running as serving

NAMES = sorted(path.stem for path in OVERLAYS.glob("*.yaml"))
KEY = "key-0123456789abcdef"
SENT = {name: cases.CASES[name] for name in ("chat", "stream", "reasoning_cached", "failure")}


GROUPS = [*combinations(NAMES, 1), *combinations(NAMES, 2)]


@pytest.fixture(scope="module")
def problems() -> dict[tuple[str, ...], str]:
    """What the collector says against the base and each group of overlays; all at once."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        said = pool.map(
            lambda names: validate(BASE, *(OVERLAYS / f"{name}.yaml" for name in names)), GROUPS
        )
        return dict(zip(GROUPS, said, strict=True))


@pytest.mark.parametrize("names", GROUPS, ids="+".join)
def test_the_base_is_valid_with_any_two_overlays(
    names: tuple[str, ...], problems: dict[tuple[str, ...], str]
) -> None:
    """No overlay removes a part that another one needs."""
    assert problems[names] == ""


@dataclass(frozen=True)
class Place:
    """Where an overlay sends to, and what its vendor asks of a request."""

    env: Callable[[str], dict[str, str]]  # given the vendor's URL
    path: str
    headers: dict[str, str]
    added: tuple[str, ...] = ()  # attributes that the vendor reads on a call
    all_spans: bool = False  # also those that are not GenAI
    own_words: bool = False  # usage and cost are in the vendor's attributes only


BASIC = "Basic a2V5LTAxMjM0NTY3ODlhYmNkZWY6a2V5LTAxMjM0NTY3ODlhYmNkZWY="
PLACES = {
    "langfuse": Place(
        lambda url: {
            "LANGFUSE_BASE_URL": url,
            "LANGFUSE_PUBLIC_KEY": KEY,
            "LANGFUSE_SECRET_KEY": KEY,
        },
        "/api/public/otel/v1/traces",
        {"authorization": BASIC, "x-langfuse-ingestion-version": "4"},
        ("langfuse.observation.type", "langfuse.observation.cost_details"),
        all_spans=True,
        own_words=True,
    ),
    "datadog": Place(
        lambda url: {"DD_OTLP_TRACES_ENDPOINT": f"{url}/v1/traces", "DD_API_KEY": KEY},
        "/v1/traces",
        {"dd-api-key": KEY, "dd-otlp-source": "llmobs"},
        ("_dd.ml_obs.metadata", "gen_ai.cost.estimated_total"),
    ),
    "helicone": Place(
        lambda url: {"LITESPAN_FORWARD_URL": url},
        "/v1/traces",
        {},
        ("gen_ai.usage.cost",),
        all_spans=True,
    ),
    "logfire": Place(
        lambda url: {"LOGFIRE_BASE_URL": url, "LOGFIRE_TOKEN": KEY},
        "/v1/traces",
        {"authorization": KEY},
        ("operation.cost", "gen_ai.system", "logfire.msg"),
        all_spans=True,
    ),
    "traceloop": Place(
        lambda url: {"TRACELOOP_BASE_URL": url, "TRACELOOP_API_KEY": KEY},
        "/v1/traces",
        {"authorization": f"Bearer {KEY}"},
        ("traceloop.association.properties.user_id", "llm.request.type"),
        all_spans=True,
    ),
    "posthog": Place(
        lambda url: {"POSTHOG_HOST": url, "POSTHOG_API_KEY": KEY},
        "/i/v0/ai/otel",
        {"authorization": f"Bearer {KEY}"},
        ("posthog.distinct_id", "$ai_session_id", "$ai_total_cost_usd", "$ai_input_cost_usd"),
    ),
    "grafana": Place(
        lambda url: {
            "TEMPO_URL": url,
            "LOKI_URL": f"{url}/otlp",
            "PROMETHEUS_URL": f"{url}/api/v1/otlp",
            "GRAFANA_INSTANCE_ID": KEY,
            "GRAFANA_TOKEN": KEY,
        },
        "/v1/traces",
        {"authorization": BASIC},
        ("gen_ai.usage.cost",),
        all_spans=True,
    ),
}


def test_every_overlay_has_a_test() -> None:
    """Those of Kafka run with a broker in test_tiers.py, all others here."""
    assert {*PLACES, "kafka-in", "kafka-out"} == set(NAMES)


def spans_of(requests: list[Received]) -> list[ReadableSpan]:
    """The spans in these requests."""
    return [
        span
        for request in requests
        for span in to_spans(read_request(request.body, request.headers["content-type"]))
    ]


@contextmanager
def sending(name: str, data: Path, vendor: Vendor, **env: str) -> Iterator[Collector]:
    """A collector with the overlay, pointed at the vendor."""
    with collector(data, name, env={**PLACES[name].env(vendor.url), **env}) as running:
        yield running


@pytest.mark.parametrize("name", PLACES)
def test_each_vendor_receives_its_documented_request(name: str, tmp_path: Path) -> None:
    """Path, credentials, encoding and attributes; GenAI spans, or all if the vendor reads all."""
    place = PLACES[name]
    sent = [*SENT.values(), cases.OTHERS["app"]]
    with serving(lambda _: Reply(200)) as vendor:
        with sending(name, tmp_path, vendor) as running:
            running.send(sent)
            at = lambda: [r for r in list(vendor.received) if r.path == place.path]  # noqa: E731
            wanted = len(sent) if place.all_spans else len(SENT)
            wait_for(lambda: len(spans_of(at())) >= wanted, "the spans")
        requests = at()
    got = spans_of(requests)
    assert len(got) == wanted
    for request in requests:
        assert place.headers.items() <= request.headers.items()
        assert request.headers["content-encoding"] == "gzip"
    views = {view.span_id: view for span in got if (view := GenAISpan.read(span))}
    for case in SENT.values():
        before = GenAISpan.read(case)
        assert before is not None
        after = views[before.span_id]
        assert after.error == before.error
        if not place.own_words:
            assert (after.usage, after.cost) == (before.usage, before.cost)
        needed = place.added if before.cost.total else ()
        assert [key for key in needed if key not in after.attributes] == []


def routed() -> list[ReadableSpan]:
    """A request from a client, the router's span below it, and one attempt."""
    provider = TracerProvider(shutdown_on_exit=False)
    tracer = provider.get_tracer("litespan")
    client = SpanContext(0xABC, 0xDEF, is_remote=True, trace_flags=TraceFlags(1))
    above = set_span_in_context(NonRecordingSpan(client))
    key = {"user.id": "the key's"}
    with (
        tracer.start_as_current_span("POST /ask", above, SpanKind.SERVER, key) as server,
        tracer.start_as_current_span("litellm.router fast") as router,
    ):
        attempt = tracer.start_span("chat gpt-4o", attributes=dict(cases.CHAT))
        attempt.end()
    return [attempt, router, server]  # type: ignore[list-item]


def test_langfuse_has_a_root_for_each_trace(tmp_path: Path) -> None:
    """The topmost span of the process, even below a client's span; it has no user."""
    with serving(lambda _: Reply(200)) as vendor, sending("langfuse", tmp_path, vendor) as running:
        running.send(routed())
        wait_for(lambda: len(spans_of(list(vendor.received))) == 3, "the spans")
        shown = {span.name: dict(span.attributes or {}) for span in spans_of(vendor.received)}
    assert [name for name, own in shown.items() if "langfuse.internal.is_app_root" in own] == [
        "POST /ask"
    ]
    assert shown["POST /ask"]["langfuse.trace.name"] == "POST /ask"
    assert "user.id" not in shown["POST /ask"]


def test_datadog_has_the_routers_workflow(tmp_path: Path) -> None:
    """It is above the attempts; the span of the request is not sent."""
    with serving(lambda _: Reply(200)) as vendor, sending("datadog", tmp_path, vendor) as running:
        running.send(routed())
        wait_for(lambda: len(spans_of(list(vendor.received))) == 2, "the spans")
        shown = {
            s.name: (s.attributes or {})["gen_ai.operation.name"] for s in spans_of(vendor.received)
        }
    assert shown == {"litellm.router fast": "invoke_workflow", "chat gpt-4o": "chat"}


def test_posthog_receives_at_most_100_spans_per_request(tmp_path: Path) -> None:
    """For 350 calls at once."""
    with serving(lambda _: Reply(200)) as vendor, sending("posthog", tmp_path, vendor) as running:
        running.send([call() for _ in range(350)])
        wait_for(lambda: len(spans_of(list(vendor.received))) == 350, "all of them")
        assert max(len(spans_of([request])) for request in vendor.received) <= 100


TIERS = [ROOT / f"collector/{name}.yaml" for name in ("agent", "gateway", "consumer")]
LOCAL = ("file/", "debug", "prometheus")  # a disk, stderr, and what is fetched: nothing to wait for


@pytest.mark.parametrize(
    "config", [BASE, *TIERS, *OVERLAYS.glob("*.yaml")], ids=lambda path: path.stem
)
def test_every_exporter_keeps_its_queue_on_disk(config: Path) -> None:
    """Data that leaves the machine waits in `file_storage`, and is retried."""
    for name, exporter in yaml.safe_load(config.read_text()).get("exporters", {}).items():
        if not name.startswith(LOCAL):
            assert exporter["sending_queue"]["storage"] == "file_storage/queue"
            assert exporter["sending_queue"]["sizer"] == "bytes"
            assert exporter["retry_on_failure"].get("enabled", True)
            assert exporter["retry_on_failure"]["initial_interval"] in ("500ms", "1s")


@pytest.mark.parametrize("name", ["langfuse", "grafana"])
def test_an_outage_loses_nothing(name: str, tmp_path: Path) -> None:
    """503, 429 and a reset are retried; the queue on disk survives a restart."""
    down = in_turn(Reply(503), Reply(429, headers={"Retry-After": "1"}), Reply(reset=True))
    ids = {span.context.span_id for span in SENT.values() if span.context}
    with serving(lambda _: Reply(503)) as vendor, sending(name, tmp_path, vendor) as running:
        running.send(list(SENT.values()))
        wait_for(lambda: vendor.received, "the first try")
        running.stop()
    with serving(lambda _: Reply(200), down) as vendor, sending(name, tmp_path, vendor):
        path = PLACES[name].path
        wait_for(
            lambda: (
                ids
                <= {
                    span.context.span_id
                    for span in spans_of([r for r in list(vendor.received)[3:] if r.path == path])
                    if span.context
                }
            ),
            "the spans of before",
            60,
        )


def value(given: str | dict[str, str]) -> AnyValue:
    """A text or a map of texts, as OTLP has it."""
    if isinstance(given, str):
        return AnyValue(string_value=given)
    return AnyValue(kvlist_value=KeyValueList(values=pairs(given)))


def pairs(given: dict[str, str]) -> list[KeyValue]:
    """A dict, as OTLP has it."""
    return [KeyValue(key=key, value=value(text)) for key, text in given.items()]


def log(body: str | dict[str, str], attributes: dict[str, str]) -> LogRecord:
    """One log record."""
    return LogRecord(body=value(body), attributes=pairs(attributes), time_unix_nano=time.time_ns())


def post_logs(url: str, resource: dict[str, str], logs: list[LogRecord]) -> None:
    """By OTLP/HTTP, without an SDK: its logs are of another shape in each release."""
    group = ResourceLogs(
        resource=Resource(attributes=pairs(resource)), scope_logs=[ScopeLogs(log_records=logs)]
    )
    body = ExportLogsServiceRequest(resource_logs=[group]).SerializeToString()
    kind = {"Content-Type": "application/x-protobuf"}
    assert httpx.post(f"{url}/v1/logs", content=body, headers=kind).status_code == 200


def test_grafana_gets_logs_and_metrics(tmp_path: Path) -> None:
    """Logs are masked, and have no process id, so that Loki has few streams."""
    secret = "write to ann@example.com\nwith sk-" + "aB3x" * 6
    with serving(lambda _: Reply(200)) as vendor, sending("grafana", tmp_path, vendor) as running:
        running.send(list(SENT.values()))
        resource = {"service.name": "desk", "service.instance.id": "process-1"}
        who = {"user.id": "ann@example.com", "note": secret}
        logs = [log(secret, who), log({"text": secret, "n": "1"}, {})]
        post_logs(running.url, resource, logs)
        found = lambda path: [r.body for r in list(vendor.received) if r.path == path]  # noqa: E731
        wait_for(lambda: found("/otlp/v1/logs"), "the logs")
        batches = [ExportLogsServiceRequest.FromString(body) for body in found("/otlp/v1/logs")]
        masked = "write to ****\nwith ****"
        records = [record for batch in batches for record in decode.logs(batch)]
        assert [record["body"] for record in records] == [masked, {"text": masked, "n": "1"}]
        assert records[0]["attributes"] == {"user.id": "ann@example.com", "note": masked}
        left = decode.attributes(batches[0].resource_logs[0].resource.attributes)
        assert left == {"service.name": "desk"}
        path = "/api/v1/otlp/v1/metrics"
        points = lambda: {  # noqa: E731
            point["name"]
            for body in found(path)
            for point in decode.metrics(ExportMetricsServiceRequest.FromString(body))
        }
        wait_for(lambda: {"genai.calls", "genai.cost_usd", "genai.duration"} <= points(), path)
