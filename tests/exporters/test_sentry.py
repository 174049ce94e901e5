"""Sentry's own rules: two routes, DSNs, limits, breadcrumbs, and Relay's own validation."""

import json
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.trace import Status, StatusCode

from litespan.export import GenAISpan
from litespan_exporters.sentry import SentryExporter
from litespan_exporters.sentry.event import to_event
from litespan_exporters.sentry.service import (
    Limits,
    environment_name,
    read_dsn,
    read_limits,
    release_name,
)
from litespan_exporters.sentry.span import attributes
from tests.cases import CASES, CHAT, STARTED, content, foreign, span, stages, text
from tests.support.server import Reply, Vendor, in_turn, running
from tests.support.tools import environment
from tests.support.vendors import SECRET, Sentry

RELAY = ("sentry-relay==0.10.1", "sentry-sdk==2.75.0")
ENVELOPE = "/api/1/envelope/"


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment says nothing of Sentry."""
    for name in ("DSN", "ENVIRONMENT", "RELEASE", "API_SAMPLE_RATE", "API_TRACE_RATE"):
        monkeypatch.delenv(f"SENTRY_{name}", raising=False)
    monkeypatch.delenv("SENTRY_SEND_DEFAULT_PII", raising=False)


@pytest.fixture
def vendor() -> Iterator[Vendor]:
    """A Sentry on loopback."""
    with running(Sentry()) as vendor:
        yield vendor


def exporter(vendor: Vendor, **more: Any) -> SentryExporter:
    """The exporter, pointed there."""
    made = SentryExporter(vendor.url.replace("//", f"//{SECRET}@") + "/1", **more)
    assert made.delivery is not None, made.problem
    return made


def view(span: ReadableSpan) -> GenAISpan:
    """The typed view."""
    found = GenAISpan.read(span)
    assert found is not None
    return found


def events(vendor: Vendor) -> list[Any]:
    """The error events that arrived."""
    return [json.loads(r.body.split(b"\n")[2]) for r in vendor.received if r.path == ENVELOPE]


@pytest.mark.parametrize(
    ("dsn", "url", "key"),
    [
        (
            "https://abc@o42.ingest.us.sentry.io/4505",
            "https://o42.ingest.us.sentry.io/api/4505",
            "abc",
        ),
        ("https://abc:old@sentry.io/1", "https://sentry.io/api/1", "abc"),
        ("http://k@localhost:9000/sentry/7", "http://localhost:9000/sentry/api/7", "k"),
        ("https://k@[::1]:9000/7/", "https://[::1]:9000/api/7", "k"),
    ],
)
def test_a_dsn_is_parsed_like_in_sentrys_sdks(dsn: str, url: str, key: str) -> None:
    """Key, host, path and project."""
    read = read_dsn(dsn)
    assert read is not None
    assert (read.url, read.key.reveal()) == (url, key)


@pytest.mark.parametrize(
    "dsn", ["https://sentry.io/1", "https://k@sentry.io", "nothing", "https://k@h:x/1"]
)
def test_a_bad_dsn_disables_the_exporter_without_repeating_it(
    dsn: str, caplog: pytest.LogCaptureFixture
) -> None:
    """One line, which does not have the DSN."""
    made = SentryExporter(dsn)
    assert made.export([CASES["failure"]]) is SpanExportResult.FAILURE
    (line,) = [record.getMessage() for record in caplog.records]
    assert line.startswith("SENTRY_DSN is not https://KEY@HOST/PROJECT: sentry export is off")


def test_a_failure_is_a_span_and_an_issue(vendor: Vendor) -> None:
    """Linked by trace and span id; a success is only a span."""
    sentry = exporter(vendor)
    assert sentry.export([CASES["chat"], CASES["failure"]]) is SpanExportResult.SUCCESS
    assert vendor.wrong == []
    assert [request.path for request in vendor.received] == [Sentry.PATH, ENVELOPE] * 1
    (event,) = events(vendor)
    assert event["contexts"]["trace"]["span_id"] == view(CASES["failure"]).span_id
    assert event["contexts"]["trace"]["trace_id"] == view(CASES["failure"]).trace_id
    assert event["contexts"]["trace"]["status"] == "unauthenticated"
    assert event["fingerprint"] == ["litellm", "AuthenticationError", "openai", "gpt-4o-mini"]
    assert [crumb["category"] for crumb in event["breadcrumbs"]["values"]] == [
        "litellm.pre_api_call",
        "litellm.post_api_call",
        "litellm.failure",
    ]


def test_a_started_call_is_a_breadcrumb_of_a_later_error(vendor: Vendor) -> None:
    """It is sent with the first error of its trace."""
    sentry = exporter(vendor)
    sentry.export_started([STARTED])
    assert vendor.received == []
    sentry.export([CASES["failure"]])
    crumb = events(vendor)[0]["breadcrumbs"]["values"][0]
    assert crumb["category"] == "litellm.input"
    assert crumb["message"] == "chat gpt-4o-mini"
    assert crumb["data"] == {
        "provider": "openai",
        "model": "gpt-4o-mini",
        "call_id": "00000000-0000-4000-8000-000000000001",
        "max_output": 256,
        "temperature": 0.2,
    }


def test_remembered_started_calls_are_bounded(vendor: Vendor) -> None:
    """50 calls per trace, and 1000 traces."""
    sentry = exporter(vendor)
    for _ in range(60):
        sentry.export_started([STARTED])
    assert [len(crumbs) for crumbs in sentry.started_calls.values()] == [50]


def test_the_copy_has_the_added_attributes() -> None:
    """Op, cost, stages; arrays as JSON; names that scrubbing would empty are others."""
    recorded = attributes(view(CASES["chat"]))
    assert recorded["sentry.op"] == "gen_ai.chat"
    assert recorded["gen_ai.cost.total_tokens"] == 9e-06
    assert recorded["gen_ai.response.finish_reasons"] == '["stop"]'
    assert recorded["litellm.tags"] == '["checkout","beta"]'
    assert "litellm.api_key.hash" not in recorded
    assert recorded["litellm.key.hash"].startswith("88dc28d0")
    assert recorded["litellm.stage.post_api_call.offset_ms"] == 280.0
    assert [stage["stage"] for stage in json.loads(recorded["litellm.stages"])] == [
        "pre_api_call",
        "post_api_call",
        "success",
    ]


def test_tokens_also_have_relays_older_names() -> None:
    """An older Relay computes costs from them, which replace litespan's."""
    recorded = attributes(view(CASES["reasoning_cached"]))
    assert recorded["gen_ai.usage.input_tokens.cached"] == 1536
    assert recorded["gen_ai.usage.input_tokens.cache_write"] == 256
    assert recorded["gen_ai.usage.output_tokens.reasoning"] == 640
    assert recorded["gen_ai.usage.cache_read.input_tokens"] == 1536


@pytest.mark.parametrize(
    ("header", "limits"),
    [
        ("60:error:organization", [("error", 60)]),
        ("60:default;error:organization, 30::project", [("default", 60), ("error", 60), ("", 30)]),
        ("2700:span:key:quota:custom", [("span", 2700)]),
        ("x:error, , 5", [("", 5)]),
        ("nan:error, -1:error, inf:", []),
    ],
)
def test_rate_limit_headers_are_parsed_by_category(
    header: str, limits: list[tuple[str, float]]
) -> None:
    """Seconds and categories; invalid entries are ignored."""
    assert list(read_limits(header)) == limits


@pytest.mark.parametrize(
    ("header", "paths"),
    [
        ("60:error:project", [Sentry.PATH]),
        ("60:span:project", [ENVELOPE]),
        ("60:transaction;error:project", []),
        ("60::project", []),
        ("60:attachment:project", [Sentry.PATH, ENVELOPE]),
    ],
)
def test_a_rate_limit_is_followed(
    header: str, paths: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    """Also in a 200: the category is dropped, counted and logged once."""
    accepted = Reply(200, b"", {"X-Sentry-Rate-Limits": header})
    with running(Sentry(), in_turn(accepted)) as vendor:
        sentry = exporter(vendor)
        sentry.export([CASES["chat"]])
        del vendor.received[:]
        for _ in range(3):
            sentry.export([CASES["failure"]])
        assert [request.path for request in vendor.received] == paths * 3
    if len(paths) < 2:
        assert sentry.last.dropped == {"rate_limit": 2 - len(paths)}
        (line,) = [record.getMessage() for record in caplog.records]
        assert "X-Sentry-Rate-Limits" in line


@pytest.mark.parametrize(
    ("headers", "wait"), [({}, 60), ({"Retry-After": "7"}, 7), ({"X-Sentry-Rate-Limits": "9::"}, 9)]
)
def test_a_429_is_a_pause(headers: dict[str, str], wait: float) -> None:
    """For the time of the header, of Retry-After, or a minute; the batch is dropped, not kept."""
    with running(Sentry(), in_turn(Reply(429, b"", headers))) as vendor:
        sentry = exporter(vendor)
        assert sentry.export([CASES["chat"]]) is SpanExportResult.FAILURE
        assert sentry.export([CASES["chat"]]) is SpanExportResult.FAILURE
        assert len(vendor.received) == 1
    before = Limits({"": sentry.paused.until[""] - wait})
    sentry.paused = before  # the time is over
    assert not before.is_limited("/envelope/")


@pytest.mark.parametrize(
    ("name", "environment", "release"),
    [
        ("production", "production", "production"),
        (" my app/1.0\n", "my-app-1.0", "my-app-1.0"),
        ("None", None, "None"),
        ("..", "..", None),
        ("", None, None),
        ("a" * 300, "a" * 64, "a" * 200),
    ],
)
def test_environments_and_releases_follow_sentrys_rules(
    name: str, environment: str | None, release: str | None
) -> None:
    """Invalid characters and lengths are corrected."""
    assert (environment_name(name), release_name(name)) == (environment, release)


def test_litellms_variables_set_the_sampling(
    vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SENTRY_API_TRACE_RATE for spans, SENTRY_API_SAMPLE_RATE for events."""
    monkeypatch.setenv("SENTRY_API_TRACE_RATE", "0")
    exporter(vendor).export([CASES["failure"]])
    monkeypatch.setenv("SENTRY_API_TRACE_RATE", "1")
    monkeypatch.setenv("SENTRY_API_SAMPLE_RATE", "0.0")
    exporter(vendor).export([CASES["failure"]])
    assert [request.path for request in vendor.received] == [ENVELOPE, Sentry.PATH]


def test_users_and_content_are_not_sent_without_pii(
    vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With SENTRY_SEND_DEFAULT_PII=false, even if content is captured."""
    monkeypatch.setenv("SENTRY_SEND_DEFAULT_PII", "false")
    sentry = exporter(vendor)
    sentry.export_started([span(7, "chat", {**CHAT, **content([text("user", "Say hello.")])})])
    others = ("openai-v2", "openllmetry-openai-2025", "openinference-openai", "traceloop-sdk")
    sentry.export([CASES["failure"], *[each for name in others for each in foreign(name)]])
    assert len(vendor.received) > 2
    for request in vendor.received:
        for word in (b"user-42", b"customer-9", b"Say hello", b"Paris", b"Be brief"):
            assert word not in request.body


# --- Sentry's own code ------------------------------------------------------------

JUDGE = """
import json, sys
from sentry_relay.processing import StoreNormalizer, convert_datascrubbing_config, pii_strip_event
from sentry_sdk.envelope import Envelope
scrub = convert_datascrubbing_config({
    "scrubData": True, "scrubIpAddresses": True, "scrubDefaults": True,
    "excludeFields": [], "sensitiveFields": []})
normalizer = StoreNormalizer(
    project_id=1, protocol_version="7", enable_trimming=True, remove_other=True)
def judged(event):
    normal = normalizer.normalize_event(event)
    return {"normal": normal, "scrubbed": pii_strip_event(scrub, json.loads(json.dumps(normal)))}
asked = json.load(sys.stdin)
said = {"events": [], "spans": []}
for text in asked["envelopes"]:
    (item,) = Envelope.deserialize(text.encode()).items
    said["events"].append({"category": item.data_category, **judged(item.get_event())})
for data in asked["spans"]:
    ids = {"trace_id": "5b8efff798038103d269b633813fc60c", "span_id": "eee19b7ec3c10001"}
    times = {"start_timestamp": 1795165987.0, "timestamp": 1795165988.0}
    said["spans"].append(judged({
        "type": "transaction", "transaction": "t", "platform": "python", **times,
        "contexts": {"trace": {**ids, "op": "x"}},
        "spans": [{**ids, **times, "op": data["sentry.op"], "data": data}]}))
json.dump(said, sys.stdout)
"""
FAILED = ("failure", "dropped")
ODD = span(
    700,
    "chat gpt-4o-mini",
    {
        **CHAT,
        "gen_ai.request.max_tokens": 64,
        "gen_ai.usage.input_tokens": 20,
        "litellm.rate_limit.remaining_tokens": 900,
        "litellm.provider.error.code": 429,
        "error.type": "RateLimitError",
        "litellm.metadata.note": "x" * 20_000,
        "litellm.team.id": "line\nfeed\x00 and half \ud83d",
    },
    [*stages("pre_api_call", "failure")],
    status=Status(StatusCode.ERROR, "API key, password and token: " + "word " * 5000),
)


@pytest.fixture(scope="module")
def judged(request: pytest.FixtureRequest) -> Any:
    """The result of Relay and the SDK for litespan's events and spans."""
    python = environment(request.config.cache.mkdir("sentry"), *RELAY)
    with running(Sentry()) as vendor:
        sentry = exporter(vendor, environment="prod", release="shop@1.0")
        sentry.export_started([STARTED])
        sentry.export([*[CASES[name] for name in FAILED], ODD])
        assert vendor.wrong == []
        envelopes = [r.body.decode() for r in vendor.received if r.path == ENVELOPE]
        sentry.shutdown()
    spans = [
        {name: value for name, value in attributes(view(CASES[name])).items() if value is not None}
        for name in ("chat", "reasoning_cached", "stream", "failure", "attempt")
    ]
    kinds = (*("audio.input", "audio.output"), "reasoning.output")
    recorded = {f"gen_ai.usage.{kind}_tokens": 7 for kind in kinds}
    for minutes in ("5m", "1h"):
        recorded[f"litellm.usage.cache_creation.ephemeral_{minutes}_input_tokens"] = 7
    more = attributes(view(span(702, "chat", {**CHAT, **recorded}))).items()
    spans.append({name: value for name, value in more if value is not None})
    asked = json.dumps({"envelopes": envelopes, "spans": spans})
    done = subprocess.run(
        [python, "-c", JUDGE], input=asked, capture_output=True, text=True, check=True, timeout=60
    )
    output = json.loads(done.stdout)
    return {**output, "sent": spans, "envelopes": envelopes}


@pytest.mark.slow
def test_relay_accepts_events_without_errors(judged: Any) -> None:
    """Neither errors nor trimmed values, also for unusual and long ones."""
    assert len(judged["events"]) == 3
    for event in judged["events"]:
        assert event["category"] == "error"
        assert "errors" not in event["normal"]
        assert "_meta" not in event["normal"]


def lost(ours: Any, theirs: Any, at: str = "") -> list[str]:
    """Where `theirs` lacks what `ours` has; Sentry adds things of its own."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        return [path for key in ours for path in lost(ours[key], theirs.get(key), f"{at}.{key}")]
    return [] if ours == theirs else [at]


@pytest.mark.slow
def test_events_survive_default_scrubbing(judged: Any) -> None:
    """Every value that was sent is still there."""
    for sent, event in zip(judged["envelopes"], judged["events"], strict=True):
        ours, theirs = json.loads(sent.split("\n")[2]), event["scrubbed"]
        theirs["tags"] = dict(theirs["tags"])
        assert "_meta" not in theirs
        for name in ("exception", "tags", "contexts", "user", "fingerprint", "release"):
            assert lost(ours[name], theirs[name], name) == []
        crumbs = zip(ours["breadcrumbs"]["values"], theirs["breadcrumbs"]["values"], strict=True)
        assert [path for pair in crumbs for path in lost(*pair)] == []


@pytest.mark.slow
def test_spans_survive_default_scrubbing(judged: Any) -> None:
    """Every attribute is still there, with its new name."""
    for ours, theirs in zip(judged["sent"], judged["spans"], strict=True):
        assert lost(ours, theirs["scrubbed"]["spans"][0]["data"]) == []


def test_a_failed_span_without_attributes_has_a_valid_event() -> None:
    """A span that says nothing but that it failed makes a valid event."""
    bare = span(701, "", {"gen_ai.operation.name": "chat"}, status=Status(StatusCode.ERROR))
    event = to_event(view(bare), None, None)
    assert event["exception"] == {
        "values": [
            {
                "type": "_OTHER",
                "value": "_OTHER",
                "mechanism": {"type": "litellm", "handled": True},
            }
        ]
    }


@pytest.mark.parametrize("pii", ["true", "false"])
def test_the_input_of_an_embedding_is_in_sentrys_own_attribute(
    pii: str, vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It follows the setting for content."""
    monkeypatch.setenv("SENTRY_SEND_DEFAULT_PII", pii)
    messages = content([text("user", "one"), text("user", "two")])
    embedding = span(91, "embeddings", {**(CASES["embedding"].attributes or {}), **messages})
    shown = exporter(vendor).attributes(view(embedding))["gen_ai.embeddings.input"]
    assert shown == ('["one","two"]' if pii == "true" else None)
    assert attributes(view(CASES["chat"]))["gen_ai.embeddings.input"] is None
