"""`litespan forward` as a process: OTLP in, a vendor's own format out, without loss."""

import gzip
import json
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    TraceFlags,
    set_span_in_context,
)

from litespan.export import GenAISpan
from litespan.export.decode import Undecodable, read_request, to_spans
from tests import cases
from tests.collector.running import collector, get, wait_for
from tests.collector.spans import call
from tests.forward.forwarder import COMMAND, PROTOBUF, Forwarder, body_of, forwarding, helicone
from tests.support.program import environment
from tests.support.server import Reply, in_turn
from tests.support.server import running as serving
from tests.support.vendors import Helicone

CALLS = [span for name, span in cases.CASES.items() if name not in ("huge", "surrogate")]


def keys(spans: Sequence[ReadableSpan]) -> set[str]:
    """The idempotency keys of the calls among them."""
    return {str(view.key) for span in spans if (view := GenAISpan.read(span)) is not None}


# --- the wire --------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in cases.CASES if name != "surrogate"])
def test_a_span_decoded_from_otlp_is_the_same_call(name: str) -> None:
    """With its stages and its resource."""
    sent = cases.CASES[name]
    (got,) = to_spans(read_request(body_of([sent]), PROTOBUF))
    before, after = GenAISpan.read(sent), GenAISpan.read(got)
    assert before == after
    assert before is not None
    assert after is not None
    assert (before.input_messages, before.stages) == (after.input_messages, after.stages)
    assert got.resource.attributes == sent.resource.attributes
    assert (got.kind, got.status.status_code) == (sent.kind, sent.status.status_code)


def test_the_instrumentation_is_decoded_with_its_attributes() -> None:
    """Services that accept OTLP receive them, also by way of the spool and `litespan forward`."""
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer(
        "agents", "2", schema_url="https://x.test/1", attributes={"team": "search"}
    )
    span: Any = tracer.start_span("invoke_agent")
    span.end()
    (got,) = to_spans(read_request(body_of([span]), PROTOBUF))
    scope: Any = got.instrumentation_scope
    assert (scope.name, scope.version, scope.schema_url) == ("agents", "2", "https://x.test/1")
    assert dict(scope.attributes) == {"team": "search"}


def test_json_is_read_like_protobuf() -> None:
    """OTLP's JSON has hex ids and 64-bit integers as strings; unknown fields are ignored."""
    span = {
        "traceId": "5b8efff798038103d269b633813fc60c",
        "spanId": "eee19b7ec3c1b174",
        "name": "chat m",
        "kind": 3,
        "startTimeUnixNano": "1795165987000000000",
        "endTimeUnixNano": "1795165988000000000",
        "attributes": [
            {"key": "gen_ai.operation.name", "value": {"stringValue": "chat"}},
            {"key": "gen_ai.usage.input_tokens", "value": {"intValue": "20"}},
        ],
        "someNewField": 1,
    }
    request = {"resourceSpans": [{"scopeSpans": [{"scope": {"name": "x"}, "spans": [span]}]}]}
    (got,) = to_spans(read_request(json.dumps(request).encode(), "application/json"))
    view = GenAISpan.read(got)
    assert view is not None
    assert (view.trace_id, view.span_id) == (span["traceId"], span["spanId"])
    assert (view.usage.input, view.duration) == (20, 1.0)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"\xff\xff", PROTOBUF),
        (b"not json", "application/json"),
        (b'{"resourceSpans": 3}', "application/json"),
        *((body, "application/json") for body in (b"5", b"null", b"[]", b'"x"')),
        (b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"xy"}]}]}]}', "application/json"),
        (b"", "text/plain"),
    ],
)
def test_a_body_that_is_not_otlp_raises_one_kind_of_error(body: bytes, kind: str) -> None:
    """Whatever is wrong with it."""
    with pytest.raises(Undecodable):
        read_request(body, kind)


# --- the command -----------------------------------------------------------------------


def test_calls_reach_a_vendor_without_otlp_through_the_collector(tmp_path: Path) -> None:
    """App → collector with the overlay `helicone` → forward → Helicone's own JSON, every call."""
    vendor = Helicone()
    with (
        serving(vendor) as server,
        forwarding("--to", "helicone", **helicone(server.url)) as running,
        collector(tmp_path, "helicone", env={"LITESPAN_FORWARD_URL": running.url}) as between,
    ):
        between.send(CALLS)
        wait_for(lambda: len(vendor.records) == len(CALLS) or server.wrong, "the calls")
        assert server.wrong == []


def test_the_answer_is_200_only_after_delivery() -> None:
    """200 and an empty response once the vendor has the calls, for gzip and JSON, too."""
    vendor = Helicone()
    with (
        serving(vendor) as server,
        forwarding("--to", "helicone", **helicone(server.url)) as running,
    ):
        answer, body = running.post(gzip.compress(body_of(CALLS)), content_encoding="gzip")
        assert (answer.status, answer.getheader("content-type"), body) == (200, PROTOBUF, b"")
        assert len(vendor.records) == len(CALLS)
        answer, body = running.post(b'{"resourceSpans":[]}', "application/json")
        assert (answer.status, body) == (200, b"{}")


def test_a_repeated_request_has_the_same_keys() -> None:
    """So the vendor stores its calls once."""
    vendor = Helicone()
    with (
        serving(vendor) as server,
        forwarding("--to", "helicone", **helicone(server.url)) as running,
    ):
        for _ in range(2):
            assert running.post(body_of(CALLS))[0].status == 200
        assert len(vendor.records) == len(CALLS)
        assert set(vendor.taken.values()) == {2}


def test_the_answer_is_503_while_a_vendor_is_down() -> None:
    """With Retry-After; a retry then gets its 200."""
    vendor = Helicone()
    faults = in_turn(*[Reply(503)] * 4)
    with (
        serving(vendor, faults) as server,
        forwarding("--to", "helicone", "--timeout", "0.6", **helicone(server.url)) as running,
    ):
        answer, body = running.post(body_of(CALLS[:1]))
        assert (answer.status, body) == (503, b"helicone: 503")
        assert answer.getheader("retry-after") == "5"
        statuses = iter(lambda: running.post(body_of(CALLS[:1]))[0].status, 200)
        assert set(statuses) <= {503}
        assert len(vendor.records) == 1


def test_spans_that_a_vendor_rejects_are_a_partial_success() -> None:
    """The sender must not retry them."""
    with (
        serving(lambda _: Reply(400, b"no")) as server,
        forwarding("--to", "helicone", **helicone(server.url)) as running,
    ):
        answer, body = running.post(body_of(CALLS[:2]))
        partial = ExportTraceServiceResponse.FromString(body).partial_success
        assert (answer.status, partial.rejected_spans) == (200, 2)
        assert "helicone" in partial.error_message


def test_an_answer_concerns_only_its_own_request() -> None:
    """A rejection does not affect a later request without spans for that vendor."""
    empty = b""
    with (
        serving(lambda _: Reply(400, b"no")) as server,
        forwarding("--to", "helicone", **helicone(server.url)) as running,
    ):
        assert running.post(body_of(CALLS[:2]))[1] != empty
        assert running.post(empty)[1] == empty
    with (
        serving(lambda _: Reply(503)) as server,
        forwarding("--to", "helicone", "--timeout", "0.6", **helicone(server.url)) as running,
    ):
        assert running.post(body_of(CALLS[:1]))[0].status == 503
        assert running.post(empty)[0].status == 200


def test_two_destinations_both_get_every_call(tmp_path: Path) -> None:
    """If one destination misses calls, the sender's retry delivers them to both."""
    vendor = Helicone()
    file = tmp_path / "calls.db"
    with (
        serving(vendor, in_turn(*[Reply(503)] * 4)) as server,
        forwarding(
            *("--to", "sqlite,helicone", "--timeout", "0.6"),
            **helicone(server.url),
            LITESPAN_SQLITE_PATH=str(file),
        ) as running,
    ):
        assert running.post(body_of(CALLS))[0].status == 503
        wait_for(lambda: running.post(body_of(CALLS))[0].status == 200, "the vendor")
        assert len(vendor.records) == len(CALLS)


BAD = [
    ("nowhere", {"path": "/v1/other"}, b"", 404),
    ("not protobuf", {}, b"\xff\xff\xff", 400),
    ("wrong kind", {"kind": "text/plain"}, b"x", 400),
    ("not gzip", {"content_encoding": "gzip"}, b"plain", 400),
    (
        "torn gzip",
        {"content_encoding": "gzip"},
        gzip.compress(b"hello" * 100)[:10] + b"\xff" * 40,
        400,
    ),
    ("other encoding", {"content_encoding": "br"}, b"x", 400),
    ("too large", {}, b"x" * (2**20 + 1), 413),
    ("a bomb", {"content_encoding": "gzip"}, gzip.compress(b"\0" * 2**24), 400),
]


@pytest.fixture(scope="module")
def small() -> Iterator[Forwarder]:
    """A forwarder that takes requests of one MiB, two at a time."""
    with (
        serving(lambda _: Reply(200, delay=0.5)) as server,
        forwarding(
            *("--to", "helicone", "--request", "1", "--memory", "2"), **helicone(server.url)
        ) as running,
    ):
        yield running


@pytest.mark.parametrize(("why", "how", "body", "status"), BAD, ids=[row[0] for row in BAD])
def test_a_bad_request_gets_its_status_and_does_no_harm(
    small: Forwarder, why: str, how: dict[str, str], body: bytes, status: int
) -> None:
    """Later requests still work."""
    assert small.post(body, **how)[0].status == status
    assert get(f"{small.url}/healthz") is not None


@pytest.mark.parametrize("encoding", ["gzip", "GZip", "identity"])
def test_encodings_have_any_letter_case(small: Forwarder, encoding: str) -> None:
    """As HTTP says: https://www.rfc-editor.org/rfc/rfc9110#section-8.4.1."""
    body = body_of([call()])
    sent = body if encoding == "identity" else gzip.compress(body)
    assert small.post(sent, content_encoding=encoding)[0].status == 200


def test_senders_beyond_the_memory_limit_get_429(small: Forwarder) -> None:
    """Twelve senders with 0.9 MiB each: some get 429 with Retry-After, and memory stays limited."""
    text = json.dumps([{"role": "user", "parts": [{"type": "text", "content": "x" * 900_000}]}])
    body = body_of([call({"gen_ai.input.messages": text})])
    before = small.memory()
    answers: list[tuple[int, str | None]] = []

    def send() -> None:
        answer, _ = small.post(body)
        answers.append((answer.status, answer.getheader("retry-after")))

    threads = [threading.Thread(target=send) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {status for status, _ in answers} == {200, 429}
    assert {after for status, after in answers if status == 429} == {"1"}
    assert small.memory() - before < 60 * 2**20


def test_sigterm_finishes_requests_in_progress() -> None:
    """They get their 200, new connections are refused, and the exit status is 0."""
    vendor = Helicone()
    with (
        serving(lambda request: replace(vendor(request), delay=1.0)) as server,
        forwarding("--to", "helicone", **helicone(server.url)) as running,
    ):
        answers: list[int] = []
        sender = threading.Thread(
            target=lambda: answers.append(running.post(body_of(CALLS[:1]))[0].status)
        )
        sender.start()
        wait_for(lambda: server.received, "the request at the vendor")
        running.process.send_signal(signal.SIGTERM)
        assert running.process.wait(20) == 0
        sender.join()
        assert answers == [200]
        with pytest.raises(OSError, match="refused"):
            running.post(b"")


def test_loopback_is_the_default() -> None:
    """Other machines can send only if an option allows it."""
    with (
        serving(lambda _: Reply(200)) as server,
        forwarding("--to", "helicone", **helicone(server.url)) as running,
    ):
        outside = socket.gethostbyname(socket.gethostname())
        addresses = {"127.0.0.1"} | ({outside} if not outside.startswith("127.") else set())
        for address in addresses - {"127.0.0.1"}:
            with pytest.raises(OSError, match="refused"):
                socket.create_connection((address, running.port), timeout=2)
        listening = Path(f"/proc/{running.process.pid}/net/tcp").read_text()
        assert f"0100007F:{running.port:04X} 00000000:0000" in listening


WRONG: list[tuple[list[str], dict[str, str], str]] = [
    (["--to", "nowhere"], {}, "no exporter is called 'nowhere'; installed are"),
    (["--to", "helicone"], {}, "HELICONE_API_KEY is not set"),
    (["--to", ","], {}, "name at least one exporter"),
    ([], {}, "the following arguments are required: --to"),
    (["--to", "sqlite", "--memory", "none"], {}, "'none' is not a whole number above 0"),
    *(
        (["--to", "sqlite", "--timeout", seconds], {}, f"{seconds!r} is not a number above 0")
        for seconds in ("-5", "nan", "soon")
    ),
    (["--to", "sqlite", "--offload-above", "-1"], {}, "'-1' is not a whole number above 0"),
    (["--to", "sqlite", "--port", "99999"], {}, "cannot listen on 127.0.0.1:99999: "),
    (["--to", "sqlite", "--host", "203.0.113.1"], {}, "cannot listen on 203.0.113.1"),
]


@pytest.mark.parametrize(("arguments", "env", "says"), WRONG, ids=[row[2] for row in WRONG])
def test_bad_input_is_one_line(
    arguments: list[str], env: dict[str, str], says: str, tmp_path: Path
) -> None:
    """The mistake and the fix, no traceback, exit status 2 (1 if the system refuses)."""
    done = subprocess.run(
        [*COMMAND, "forward", "--port", "0", *arguments],
        env=environment({**env, "LITESPAN_SQLITE_PATH": str(tmp_path / "x.db")}),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode in (1, 2)
    assert says in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


def test_healthz_has_counters() -> None:
    """Received and postponed requests."""
    with (
        serving(lambda _: Reply(200)) as server,
        forwarding("--to", "helicone", **helicone(server.url)) as running,
    ):
        running.post(body_of(CALLS))
        assert running.stats() == {"forward.received": len(CALLS)}


@pytest.mark.parametrize("flags", [True, False], ids=["flags", "no flags"])
def test_parents_in_another_process_are_recognized(flags: bool) -> None:
    """By the flags that the sender sets; from older senders, for spans of kind SERVER."""
    provider = TracerProvider(shutdown_on_exit=False)
    tracer = provider.get_tracer("app")
    there = SpanContext(0xABC, 0xDEF, is_remote=True, trace_flags=TraceFlags(1))
    client = set_span_in_context(NonRecordingSpan(there))
    with tracer.start_as_current_span("POST /ask", client, SpanKind.SERVER) as server:
        call = tracer.start_span("chat", kind=SpanKind.CLIENT)
        call.end()
    message = encode_spans([server, call])  # type: ignore[list-item]
    if not flags:
        for span in message.resource_spans[0].scope_spans[0].spans:
            span.flags = 0
    request = read_request(message.SerializeToString(), PROTOBUF)
    remote = {s.name: s.parent.is_remote for s in to_spans(request) if s.parent is not None}
    assert remote == {"POST /ask": True, "chat": False}
