"""Every exporter with every canonical span, so that a new vendor is tested without an edit.

An exporter that posts HTTP (`HttpExporter`) also meets every failure of the network, and its
requests are compared with golden files. `pytest --update-golden` writes those.
"""

import json
import logging
import time
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict  # type: ignore[import-untyped]
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from litespan.alerting import AlertExporter
from litespan.export import GenAISpan
from litespan.export.http import HttpExporter
from tests.cases import CASES, OTHERS, RECORDED, content, foreign, now, span, text
from tests.support.exporters import stands_for_others
from tests.support.golden import Golden
from tests.support.server import Received, Reply, Vendor, in_turn, running
from tests.support.vendors import SECRET, VENDORS, Anyone, strict

EXPORTERS: dict[str, type[SpanExporter]] = {
    found.name: found.load()
    for found in entry_points(group="opentelemetry_traces_exporter")
    if found.value.startswith("litespan_exporters.") and stands_for_others(found.name, found.load())
}
HTTP = {  # alerts are sent later, and not for each call: tests/alerting has their contract
    name: cls
    for name, cls in EXPORTERS.items()
    if issubclass(cls, HttpExporter) and not issubclass(cls, AlertExporter)
}
FOREIGN = sorted(path.stem for path in RECORDED.glob("*.json"))
GOLDEN = Path(__file__).parent / "golden"
GOLDENS = ("tool_call", "multimodal", "stream", "reasoning_cached", "failure", "embedding")
"""The cases whose requests are compared whole; the vendor's rules hold for all."""
QUICK: dict[str, Any] = {"attempt": 0.3, "patience": 2.0, "timeout": 4.0, "backoff": 0.02}
PATIENT: dict[str, Any] = {"attempt": 30.0, "patience": 60.0, "timeout": 60.0}
"""Where nothing is to fail: on a busy machine the service on loopback is slow, too."""
SECRETS = ("sk-planted-in-the-environment", SECRET)

each = pytest.mark.parametrize("name", EXPORTERS)
each_http = pytest.mark.parametrize("name", HTTP)


@pytest.fixture(autouse=True)
def _unset(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No variable of a vendor is set, and the working directory is empty."""
    monkeypatch.chdir(tmp_path)
    for cls in HTTP.values():
        for variable in cls.variables_for("http://127.0.0.1:9", SECRET):
            monkeypatch.delenv(variable, raising=False)


@pytest.fixture
def vendor(name: str) -> Iterator[Vendor]:
    """The service of the exporter `name`, with its own rules where they are known."""
    with running(VENDORS.get(name, Anyone)()) as vendor:
        yield vendor


def connected(name: str, url: str, monkeypatch: pytest.MonkeyPatch, **limits: Any) -> HttpExporter:
    """The exporter as `OTEL_TRACES_EXPORTER` would make it, but quick to give up."""
    for variable, value in HTTP[name].variables_for(url, SECRET).items():
        monkeypatch.setenv(variable, value)
    exporter: HttpExporter = HTTP[name](**{**QUICK, **limits})
    assert exporter.delivery is not None, exporter.problem
    return exporter


def sent_for(exporter: HttpExporter, vendor: Vendor) -> ReadableSpan:
    """The first canonical span that this exporter sends at all, as if it were of today."""
    for case in (now(CASES["chat"]), now(CASES["failure"])):
        if list(exporter.items([case])):
            return case
    raise AssertionError(f"{exporter.name} sends neither calls nor failures")


# --- every exporter ---------------------------------------------------------------


@each
def test_an_exporter_without_settings_logs_its_missing_credential(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Creating it raises no error; the line appears once."""
    exporter = EXPORTERS[name]()
    exporter.export(list(CASES.values()))
    flushed = exporter.force_flush(1000)
    assert flushed or name == "alertmanager"  # it needs no credential, and nobody listens here
    exporter.shutdown()
    lines = [record.getMessage() for record in caplog.records]
    if name in HTTP:
        assert [f"{name} export is off" in line for line in lines] == [True]


@each
def test_no_canonical_span_raises_an_error(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Including spans that the exporter does not send, and an empty list."""
    exporter = EXPORTERS[name]()
    for case in (*CASES.values(), *OTHERS.values()):
        assert exporter.export([case]) in SpanExportResult
    assert exporter.export([]) in SpanExportResult
    exporter.shutdown()
    assert exporter.export([CASES["chat"]]) in SpanExportResult


# --- those that post HTTP ---------------------------------------------------------


@each_http
@pytest.mark.parametrize("case", [*CASES, *OTHERS])
def test_each_case_follows_the_vendors_rules(
    name: str, case: str, vendor: Vendor, golden: Golden, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The vendor accepts each request; some are compared with golden files."""
    exporter = connected(name, vendor.url, monkeypatch, **PATIENT)
    sent = {**CASES, **OTHERS}[case]
    assert exporter.export([sent]) is SpanExportResult.SUCCESS
    exporter.shutdown()
    assert vendor.wrong == []
    if case in GOLDENS:
        requests = [shown(request, sent) for request in vendor.received]
        golden(GOLDEN / name / f"{case}.json", requests)


def shown(request: Received, sent: ReadableSpan | None = None) -> dict[str, Any]:
    """A request as readable JSON; of OTLP spans only what the exporter changed in `sent`."""
    if request.headers.get("content-type") == "application/x-protobuf":
        logs = request.path.endswith("/logs")
        kind = ExportLogsServiceRequest if logs else ExportTraceServiceRequest
        decoded: Any = flat(MessageToDict(kind.FromString(request.body)))
        if sent is not None and not logs:
            plain = flat(MessageToDict(encode_spans([sent])))
            return {"path": request.path, "changes": short(changes(plain, decoded))}
    elif b"\n" in request.body:  # one JSON value a line, as in Sentry's envelopes
        decoded = [strict(line) for line in request.body.splitlines() if line]
    else:
        decoded = strict(request.body)
    return {"path": request.path, "body": short(decoded)}


def changes(before: Any, after: Any) -> Any:
    """What differs between two trees of JSON: members by name, `-` before those that are gone."""
    if isinstance(before, dict) and isinstance(after, dict):
        return {
            **{f"-{name}": None for name in before if name not in after},
            **{
                name: changes(before[name], value) if name in before else value
                for name, value in after.items()
                if name not in before or before[name] != value
            },
        }
    if isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        return [changes(old, new) for old, new in zip(before, after, strict=True) if old != new]
    return after


def flat(value: Any) -> Any:
    """OTLP's lists of pairs as dicts, which read better.

    Without the event names of log records, which the oldest protocol classes do not have.
    """
    if isinstance(value, list):
        if value and all(
            isinstance(item, dict) and set(item) <= {"key", "value"} for item in value
        ):
            return {item["key"]: flat(item.get("value")) for item in value}
        return [flat(item) for item in value]
    if isinstance(value, dict):
        return {key: flat(item) for key, item in value.items() if key != "eventName"}
    return value


def short(value: Any) -> Any:
    """Long texts by their beginning, end and length."""
    if isinstance(value, str) and len(value) > 5000:
        return f"{value[:40]} … {len(value)} characters … {value[-60:]}"
    if isinstance(value, list):
        return [short(item) for item in value]
    if isinstance(value, dict):
        return {key: short(item) for key, item in value.items()}
    return value


@each_http
def test_no_secret_leaves(name: str, vendor: Vendor, monkeypatch: pytest.MonkeyPatch) -> None:
    """The credential is only in headers, and no other variable is anywhere."""
    monkeypatch.setenv("OPENAI_API_KEY", SECRETS[0])
    exporter = connected(name, vendor.url, monkeypatch, **PATIENT)
    exporter.export([*CASES.values(), *OTHERS.values()])
    assert vendor.received
    for request in vendor.received:
        assert SECRETS[0].encode() not in request.body
        assert SECRETS[0] not in str(request.headers)
        assert SECRET.encode() not in request.body
        assert SECRET not in request.path
    shown_of = repr([exporter, vars(exporter), vars(exporter.delivery)])
    assert SECRET not in shown_of
    exporter.shutdown()


@each_http
def test_no_content_without_capture(
    name: str, vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The request of a span without content has none."""
    secret_words = ("Say hello", "Be brief", "get_weather", "Hello!")
    exporter = connected(name, vendor.url, monkeypatch, **PATIENT)
    exporter.export([CASES["content_off"], CASES["attempt"], CASES["cache_hit"]])
    for request in vendor.received:
        body = request.body.decode("utf-8", "replace")
        assert [word for word in secret_words if word in body] == []
    exporter.shutdown()


@each_http
@pytest.mark.parametrize("made_by", FOREIGN)
def test_spans_of_other_instrumentations_follow_the_vendors_rules(
    name: str, made_by: str, vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """None of them is lost."""
    exporter = connected(name, vendor.url, monkeypatch, **PATIENT)
    spans = foreign(made_by)
    assert exporter.export(spans) is SpanExportResult.SUCCESS
    items = list(exporter.items(spans))
    exporter.shutdown()
    assert vendor.wrong == []
    assert exporter.last.dropped == {}
    if list(exporter.items([CASES["chat"]])):  # this service gets calls, so it gets these
        assert len(items) >= len([s for s in spans if is_call(s)]) > 0


def is_call(span: ReadableSpan) -> bool:
    """Is it a GenAI span of one call of a model?"""
    view = GenAISpan.read(span)
    return view is not None and view.is_call


FAULTS = {
    **{str(status): Reply(status) for status in (401, 403, 404, 413, 429, 500, 503)},
    "garbage": Reply(garbage=True),
    "slow": Reply(delay=1.0),
    "closed": Reply(reset=True),
}


@each_http
@pytest.mark.parametrize("fault", FAULTS)
def test_a_temporary_failure_is_retried_and_a_permanent_one_dropped(
    name: str, fault: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A dropped span is one log line."""
    accept = VENDORS.get(name, Anyone)()
    reply = FAULTS[fault]
    limits = QUICK if fault == "slow" else {**PATIENT, "backoff": 0.02}
    with running(accept, in_turn(reply)) as vendor:
        exporter = connected(name, vendor.url, monkeypatch, **limits)
        case = sent_for(exporter, vendor)
        result = exporter.export([case])
        tally = exporter.last
        exporter.shutdown()
    retried = not fault.isdigit() or int(fault) in exporter.limits.retry
    cut = fault == "413" and tally.truncated > 0
    expected = SpanExportResult.SUCCESS if retried or cut else SpanExportResult.FAILURE
    assert result is expected
    assert tally.retried == (1 if retried else 0) or (fault == "slow" and tally.retried)
    assert vendor.wrong == []
    lines = [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]
    assert len(lines) == (0 if retried else 1), lines
    assert all(line.startswith(f"{name}: ") and SECRET not in line for line in lines)


@each_http
@pytest.mark.parametrize("fault", ["503", "garbage", "slow", "closed", "401"])
def test_a_lasting_failure_is_given_up_counted_and_logged_once(
    name: str, fault: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Within the patience, and without an exception, over many exports."""
    with running(lambda _: FAULTS[fault]) as vendor:
        exporter = connected(name, vendor.url, monkeypatch, patience=0.5, hung_patience=0.2)
        case = sent_for(exporter, vendor)
        begun = time.monotonic()
        results = {exporter.export([case]) for _ in range(3)}
        took = time.monotonic() - begun
        exporter.shutdown()
    assert results == {SpanExportResult.FAILURE}
    assert took < 4.5
    lines = [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]
    assert len(lines) == 1, lines


@each_http
def test_a_refused_connection_is_given_up_in_time(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A refused connection is given up within the patience."""
    with running(Anyone()) as vendor:
        url = vendor.url
    exporter = connected(name, url, monkeypatch, patience=0.5)
    assert exporter.export([sent_for(exporter, vendor)]) is SpanExportResult.FAILURE
    assert exporter.last.dropped == {"ConnectError": 1}
    exporter.shutdown()


@each_http
def test_shutdown_returns_at_once_without_pending_spans(
    name: str, vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second shutdown is not an error."""
    exporter = connected(name, vendor.url, monkeypatch, **PATIENT)
    exporter.export([CASES["chat"], CASES["failure"]])
    begun = time.monotonic()
    exporter.shutdown()
    exporter.shutdown()
    assert time.monotonic() - begun < 2  # 5 s, if it waited for anything


@each_http
def test_other_spans_are_not_sent(
    name: str, vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Spans that are not GenAI spans and have no GenAI span below them."""
    exporter = connected(name, vendor.url, monkeypatch, **PATIENT)
    assert exporter.export(list(OTHERS.values())) is SpanExportResult.SUCCESS
    assert vendor.received == []
    exporter.shutdown()


@each_http
def test_a_retry_is_the_same_request(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has the same bytes: keys, ids and order."""
    with running(VENDORS.get(name, Anyone)(), in_turn(Reply(503), Reply(503))) as vendor:
        exporter = connected(name, vendor.url, monkeypatch)
        exporter.export([sent_for(exporter, vendor)])
        exporter.shutdown()
    assert len({request.raw for request in vendor.received}) == 1
    assert len(vendor.received) == 3


HOSTILE = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": 7,
    "gen_ai.request.model": ("a", "list"),
    "gen_ai.usage.input_tokens": "12",
    "gen_ai.usage.output_tokens": 2**70,
    "gen_ai.usage.cost": float("nan"),
    "litellm.cost.input": float("inf"),
    "gen_ai.response.time_to_first_chunk": -1.0,
    "gen_ai.input.messages": '[{"role": 5, "parts": "no"}, 7, null, {"parts": [[]]}]',
    "gen_ai.output.messages": "[" * 5000,
    "gen_ai.tool.definitions": '{"not": "a list"}',
    "user.id": "line\nfeed\x00 and half \ud83d",
    "session.id": 12,
    "litellm.metadata.bad key\r\n: é": "v" * 20_000,
    "litellm.metadata.map": {"a": [1, {"b": None}]},
    "litellm.tags": (1, None, "ok\ntag"),
}


@each_http
def test_hostile_spans_follow_the_vendors_rules(
    name: str, vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Attributes of any type and structure affect neither the request nor other spans."""
    exporter = connected(name, vendor.url, monkeypatch, **PATIENT)
    good = sent_for(exporter, vendor)
    result = exporter.export([span(900, "x", HOSTILE), good, span(901, "", HOSTILE, end_ms=-5)])
    exporter.shutdown()
    assert vendor.wrong == []
    assert result is SpanExportResult.SUCCESS
    assert json.dumps(exporter.last.dropped) == "{}"


@each_http
def test_the_input_of_an_embedding_arrives(
    name: str, vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every service receives the texts."""
    exporter = connected(name, vendor.url, monkeypatch, **PATIENT)
    messages = content([text("user", "a text to embed"), text("user", "and a second one")])
    embedding = span(90, "embeddings", {**(CASES["embedding"].attributes or {}), **messages})
    exporter.export([now(embedding)])
    exporter.shutdown()
    sent = b"".join(request.body for request in vendor.received)
    assert b"a text to embed" in sent
    assert b"and a second one" in sent
