"""The HTTP transport, with a real server on loopback that misbehaves on demand."""

import gzip
import json
import logging
import os
import subprocess
import sys
import textwrap
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from email.utils import formatdate
from typing import Any

import pytest
from opentelemetry.instrumentation.utils import is_instrumentation_enabled
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult

from litespan.counters import stats
from litespan.export.batching import Item, pack, shrink
from litespan.export.client import Answer, Secret
from litespan.export.http import HttpExporter
from litespan.export.policy import Policy, Refusal, retry_after
from litespan.export.safe_urls import url_problem
from litespan.export.vendor import Variables
from litespan.genai.span import GenAISpan
from litespan.objects import json_bytes
from tests.cases import span, text
from tests.support.server import Received, Reply, in_turn, running

KEY = "sk-very-secret-1234567890"


class Echo(HttpExporter):
    """A vendor that takes a JSON array of `{key, text}` and may refuse by body."""

    name = "echo"
    variables = Variables(
        keys=("ECHO_API_KEY",), url=("ECHO_URL",), default_url="https://echo.test"
    )
    policy = Policy(
        gzip=True, attempt=20.0, patience=40.0, timeout=60.0, hung_patience=0.4, backoff=0.02
    )

    def __init__(self, api_key: str | None = None, url: str | None = None, **limits: Any) -> None:
        super().__init__(**limits)
        keys, base = self.credentials(api_key), self.base_url(url)
        if keys and base:
            self.connect(base, {"Authorization": Secret(f"Bearer {keys[0].reveal()}")})

    def item(self, span: GenAISpan) -> Item:
        said = span.input_messages or ()
        return Item(
            str(span.key), json_bytes({"key": str(span.key), "text": said[0].text if said else ""})
        )

    def refusals(self, answer: Answer, items: Sequence[Item]) -> Iterable[Refusal]:
        refused = json.loads(answer.body or b"{}")
        for key, retry in refused.get("errors", {}).items():
            yield Refusal("bad item", frozenset({key}), retry=retry)
        if refused.get("lost"):
            yield Refusal("some are bad", count=refused["lost"])


class Store:
    """What the echo vendor has taken, by key."""

    def __init__(self) -> None:
        self.taken: Counter[str] = Counter()
        self.texts: dict[str, str] = {}

    def __call__(self, request: Received) -> Reply:
        assert request.headers["authorization"] == f"Bearer {KEY}"
        for item in json.loads(request.body):
            self.taken[item["key"]] += 1
            self.texts[item["key"]] = item["text"]
        return Reply(202)


def spans(amount: int, content: str = "hi") -> list[ReadableSpan]:
    """So many different GenAI spans."""
    said = json.dumps([text("user", content)])
    attributes = {"gen_ai.operation.name": "chat", "gen_ai.input.messages": said}
    return [span(number, "chat", attributes) for number in range(amount)]


TRANSIENT = {
    **{str(status): Reply(status) for status in (408, 429, 500, 502, 503, 504)},
    "reset": Reply(reset=True),
    "garbage": Reply(garbage=True),
    "hang": Reply(delay=1.0),
}


@pytest.mark.parametrize("fault", TRANSIENT.values(), ids=TRANSIENT)
def test_transient_failures_are_retried(fault: Reply) -> None:
    """The request succeeds in the end, once, and the retries are counted."""
    before = stats().get("export.echo.retried", 0)
    store = Store()
    with running(store, in_turn(fault, fault)) as vendor:
        exporter = Echo(KEY, vendor.url, attempt=0.3 if fault.delay else 20.0)
        assert exporter.export(spans(3)) is SpanExportResult.SUCCESS
    assert sorted(store.taken.values()) == [1, 1, 1]
    assert stats()["export.echo.retried"] - before == 2


@pytest.mark.parametrize("page", [b"<!DOCTYPE html><p>Log in", b" \n<html lang=en>"])
def test_a_web_page_accepts_nothing(page: bytes, caplog: pytest.LogCaptureFixture) -> None:
    """A proxy that asks for a login, or a website, answers 200: the spans count as dropped."""
    with running(lambda _: Reply(200, page, {"Content-Type": "text/html"})) as vendor:
        exporter = Echo(KEY, vendor.url)
        assert exporter.export(spans(3)) is SpanExportResult.FAILURE
    assert exporter.last.dropped == {"html": 3}
    assert len(vendor.received) == 1
    assert "a web page answered, not the service: check ECHO_URL" in caplog.text


@pytest.mark.parametrize(
    "header", [lambda: "1", lambda: formatdate(time.time() + 2.99, usegmt=True)], ids=["s", "date"]
)
def test_retry_after_sets_the_time_of_the_retry(header: Callable[[], str]) -> None:
    """In seconds or as a date."""
    store = Store()
    with running(store, in_turn(Reply(429, headers={"Retry-After": header()}))) as vendor:
        exporter = Echo(KEY, vendor.url)
        assert exporter.export(spans(1)) is SpanExportResult.SUCCESS
    first, second = vendor.received
    assert second.at - first.at > 0.9


@pytest.mark.parametrize("header", ["0", "-1", "Thu, 01 Jan 1970 00:00:00 GMT"])
def test_retry_after_zero_still_waits(header: str) -> None:
    """A vendor that answers "at once" forever is retried with a minimum wait."""
    with running(lambda _: Reply(429, headers={"Retry-After": header})) as vendor:
        exporter = Echo(KEY, vendor.url, patience=0.6, backoff=0.1, max_backoff=0.1)
        assert exporter.export(spans(1)) is SpanExportResult.FAILURE
    assert 1 < len(vendor.received) < 12


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("7", 7.0),
        ("1.5", 1.5),
        ("-3", 0.0),
        ("nan", None),
        ("inf", None),
        ("1795165987", 600.0),  # an epoch is a mistake
        ("Thu, 01 Jan 1970 00:00:30 GMT", 20.0),
        ("Thu, 01 Jan 1970 00:00:05 GMT", 0.0),
        ("soon", None),
        ("", None),
    ],
)
def test_each_form_of_retry_after_is_understood_or_ignored(
    value: str | None, seconds: float | None
) -> None:
    """The wait is never negative and never unlimited."""
    assert retry_after(value, now=10.0) == seconds


PERMANENT = {
    400: "HTTP error",
    401: "check ECHO_API_KEY",
    403: "check ECHO_API_KEY",
    404: "check ECHO_URL",
    301: "set ECHO_URL to the final URL",
}


@pytest.mark.parametrize(("status", "fix"), PERMANENT.items())
def test_a_permanent_failure_is_dropped_counted_and_logged_once(
    status: int, fix: str, caplog: pytest.LogCaptureFixture
) -> None:
    """With the fix in the log line."""
    before = stats().get(f"export.echo.dropped.{status}", 0)
    reply = Reply(status, b"no: Bearer " + KEY.encode(), {"Location": "http://127.0.0.2/"})
    with running(lambda _: reply) as vendor:
        exporter = Echo(KEY, vendor.url)
        assert exporter.export(spans(2)) is SpanExportResult.FAILURE
        assert exporter.export(spans(2)) is SpanExportResult.FAILURE
    assert len(vendor.received) == 2
    assert stats()[f"export.echo.dropped.{status}"] - before == 4
    (line,) = [record.getMessage() for record in caplog.records]
    assert fix in line
    assert f"echo: 2 span(s) dropped: {status}" in line
    assert KEY not in line


def test_a_hung_vendor_is_given_up() -> None:
    """An export ends after `patience`; the next one after `hung_patience`."""
    with running(lambda _: Reply(delay=30)) as vendor:
        exporter = Echo(KEY, vendor.url, attempt=0.3, patience=3.0)
        begun = time.monotonic()
        assert exporter.export(spans(1)) is SpanExportResult.FAILURE
        first = time.monotonic() - begun
        assert exporter.export(spans(1)) is SpanExportResult.FAILURE
        second = time.monotonic() - begun - first
    assert 2.9 < first < 10
    assert second < 2.9
    assert exporter.last.dropped == {"timeout": 1}


def test_a_dripping_answer_does_not_hold_the_export() -> None:
    """Single bytes keep a connection alive, but not the export."""
    with running(lambda _: Reply(drip=0.1)) as vendor:
        exporter = Echo(KEY, vendor.url, attempt=0.3, patience=0.5)
        begun = time.monotonic()
        assert exporter.export(spans(1)) is SpanExportResult.FAILURE
        assert time.monotonic() - begun < 5  # the answer takes longer


@pytest.mark.parametrize(
    "reply", [Reply(503, headers={"Retry-After": "30"}), Reply(delay=30)], ids=["backoff", "hang"]
)
def test_shutdown_interrupts_a_wait_and_a_hanging_request(reply: Reply) -> None:
    """It ends the wait for a retry, and a request without an answer."""
    with running(lambda _: reply) as vendor:
        exporter = Echo(KEY, vendor.url, attempt=30.0, patience=30.0, timeout=60.0)
        results: list[SpanExportResult] = []
        worker = threading.Thread(target=lambda: results.append(exporter.export(spans(2))))
        worker.start()
        while not vendor.received:
            time.sleep(0.01)
        begun = time.monotonic()
        exporter.shutdown()
        worker.join(10)
        assert time.monotonic() - begun < 5
    assert results == [SpanExportResult.FAILURE]
    assert exporter.last.dropped == {"shutdown": 2}
    assert exporter.export(spans(1)) is SpanExportResult.FAILURE


def test_a_batch_that_is_too_large_is_halved() -> None:
    """After a 413, until each part is accepted; no item arrives twice."""
    store = Store()
    with running(store, lambda r: Reply(413) if len(json.loads(r.body)) > 3 else None) as vendor:
        exporter = Echo(KEY, vendor.url)
        assert exporter.export(spans(10)) is SpanExportResult.SUCCESS
    assert sorted(store.taken.values()) == [1] * 10
    assert len(vendor.received) == 7


def test_an_item_that_is_too_large_is_truncated_and_marked() -> None:
    """The text has its original length."""
    store = Store()
    with running(store, lambda r: Reply(413) if len(r.body) > 1000 else None) as vendor:
        exporter = Echo(KEY, vendor.url)
        assert exporter.export(spans(1, "long " * 2000)) is SpanExportResult.SUCCESS
        assert exporter.last.truncated == 4
        assert exporter.export(spans(1, "short")) is SpanExportResult.SUCCESS
    (cut, _) = [json.loads(r.body)[0]["text"] for r in vendor.received if len(r.body) <= 1000]
    assert cut.startswith("long long ")
    assert cut.endswith("… [cut by litespan: originally 10000 characters]")


def test_an_item_that_is_too_large_without_content_is_dropped() -> None:
    """After one request, because nothing can be truncated."""
    with running(lambda _: Reply(413)) as vendor:
        exporter = Echo(KEY, vendor.url)
        assert exporter.export(spans(1)) is SpanExportResult.FAILURE
    assert exporter.last.dropped == {"413": 1}
    assert len(vendor.received) == 1


def test_an_invalid_item_does_not_affect_the_others() -> None:
    """The batch is halved until the invalid item is alone."""
    bad = str(GenAISpan.read(spans(100)[77]).key)  # type: ignore[union-attr]
    store = Store()

    def fault(request: Received) -> Reply | None:
        return Reply(400) if bad.encode() in request.body else None

    with running(store, fault) as vendor:
        exporter = Echo(KEY, vendor.url, split=frozenset({400, 413}))
        assert exporter.export(spans(100)) is SpanExportResult.FAILURE
    assert len(store.taken) == 99
    assert exporter.last.dropped == {"400": 1}


def test_a_batch_is_not_halved_if_every_item_fails() -> None:
    """If single items fail one after another, the items are not the cause."""
    with running(lambda _: Reply(400)) as vendor:
        exporter = Echo(KEY, vendor.url, split=frozenset({400, 413}))
        assert exporter.export(spans(256)) is SpanExportResult.FAILURE
    assert exporter.last.dropped == {"400": 256}
    assert len(vendor.received) < 25


def test_requests_keep_the_vendors_limits() -> None:
    """Numbers of items and of bytes, measured before gzip."""
    store = Store()
    with running(store) as vendor:
        exporter = Echo(KEY, vendor.url, max_items=7, max_bytes=1500)
        exporter.export(spans(30, "x" * 200))
    bodies = [request.body for request in vendor.received]
    assert max(len(json.loads(body)) for body in bodies) <= 7
    assert max(map(len, bodies)) <= 1500
    assert sorted(store.taken.values()) == [1] * 30


def test_items_refused_in_a_2xx_answer_are_dropped_or_retried() -> None:
    """They are retried if the answer requests it."""
    keys = [str(GenAISpan.read(s).key) for s in spans(4)]  # type: ignore[union-attr]
    body = json.dumps({"errors": {keys[0]: False, keys[1]: True}, "lost": 1}).encode()
    store = Store()
    with running(store, in_turn(Reply(207, body))) as vendor:
        exporter = Echo(KEY, vendor.url)
        assert exporter.export(spans(4)) is SpanExportResult.FAILURE
    assert [len(json.loads(r.body)) for r in vendor.received] == [4, 1]
    assert store.taken == {keys[1]: 1}
    assert exporter.last.sent == 2
    assert exporter.last.dropped == {"rejected": 2}


def test_a_span_twice_in_a_batch_is_sent_once() -> None:
    """The key of a span is the idempotency key, also within one export."""
    store = Store()
    with running(store) as vendor:
        assert Echo(KEY, vendor.url).export(spans(2) + spans(2)) is SpanExportResult.SUCCESS
    assert sorted(store.taken.values()) == [1, 1]


def test_exports_share_a_connection_and_compress_bodies() -> None:
    """If the vendor accepts gzip."""
    with running(Store()) as vendor:
        exporter = Echo(KEY, vendor.url)
        for _ in range(3):
            exporter.export(spans(2))
    assert len({request.connection for request in vendor.received}) == 1
    assert {request.headers["content-encoding"] for request in vendor.received} == {"gzip"}
    assert gzip.decompress(vendor.received[0].raw)[:1] == b"["


def test_single_item_requests_are_sent_concurrently() -> None:
    """For vendors that accept one log per request."""
    with running(lambda _: Reply(200, delay=0.3)) as vendor:
        exporter = Echo(KEY, vendor.url, max_items=1, concurrency=8, gzip=False)
        begun = time.monotonic()
        assert exporter.export(spans(32)) is SpanExportResult.SUCCESS
        took = time.monotonic() - begun
    assert took < 32 * 0.3 / 2
    assert len({request.connection for request in vendor.received}) <= 8


def test_exports_create_no_spans() -> None:
    """The sending threads have OpenTelemetry's suppression key set."""
    seen: set[tuple[str, bool]] = set()

    class Spy(logging.Filter):
        def filter(self, record: logging.LogRecord) -> bool:
            seen.add((threading.current_thread().name, is_instrumentation_enabled()))
            return False

    spy, logger = Spy(), logging.getLogger("httpcore.http11")
    logger.setLevel(logging.DEBUG)
    logger.addFilter(spy)
    try:
        with running(Store()) as vendor:
            Echo(KEY, vendor.url).export(spans(1))
    finally:
        logger.removeFilter(spy)
        logger.setLevel(logging.NOTSET)
    assert seen == {("litespan-export", False)}


def test_httpx_logs_no_line_per_export(caplog: pytest.LogCaptureFixture) -> None:
    """Even if the application logs at level INFO."""
    caplog.set_level(logging.INFO)
    with running(Store()) as vendor:
        Echo(KEY, vendor.url).export(spans(1))
    assert caplog.records == []


@pytest.mark.parametrize(
    ("key", "line"),
    [
        (
            None,
            "ECHO_API_KEY is not set: echo export is off; set it or remove echo from the exporters",
        ),
        (
            "  ",
            "ECHO_API_KEY is not set: echo export is off; set it or remove echo from the exporters",
        ),
        (
            "a\nb",
            (
                "ECHO_API_KEY contains characters that are not valid in an API key: "
                "echo export is off; set it again"
            ),
        ),
        (
            "schlüssel",
            (
                "ECHO_API_KEY contains characters that are not valid in an API key: "
                "echo export is off; set it again"
            ),
        ),
    ],
)
def test_an_exporter_without_a_usable_key_is_off(
    key: str | None,
    line: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A missing or invalid key is one line."""
    monkeypatch.delenv("ECHO_API_KEY", raising=False)
    if key is not None:
        monkeypatch.setenv("ECHO_API_KEY", key)
    exporter = Echo()
    assert [record.getMessage() for record in caplog.records] == [line]
    assert exporter.export(spans(1)) is SpanExportResult.FAILURE
    assert exporter.force_flush() is True
    exporter.shutdown()


def test_arguments_take_precedence_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """An argument is used even if the variable is set; the variable else."""
    monkeypatch.setenv("ECHO_API_KEY", "another-key")
    store = Store()
    with running(store) as vendor:
        monkeypatch.setenv("ECHO_URL", vendor.url + "/")
        assert Echo().export(spans(1)) is SpanExportResult.FAILURE
        assert Echo(api_key=KEY).export(spans(1)) is SpanExportResult.SUCCESS


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("https://api.example.com", ""),
        ("https://api.example.com:8443/base", ""),
        ("http://localhost:3000", ""),
        ("http://127.0.0.1:1", ""),
        ("http://[::1]:1", ""),
        ("http://api.example.com", "is not https"),
        ("http://10.0.0.7:3000", ""),
        ("http://192.168.1.5", ""),
        ("http://100.64.0.9", ""),
        ("http://[fd12::1]:3000", ""),
        ("http://langfuse:3000", ""),
        ("http://langfuse.monitoring.svc:3000", ""),
        ("http://langfuse.monitoring.svc.cluster.local:3000", ""),
        ("http://langfuse.monitoring.svc.our.cluster.name", ""),
        ("http://host.docker.internal:3000", ""),
        ("http://127.0.0.1.evil.test", "is not https"),
        ("http://8.8.8.8", "is not https"),
        ("http://134744072", "is not https"),  # 8.8.8.8 in decimal
        ("http://[2606:4700::1111]", "is not https"),
        ("http://internal.example.com", "is not https"),
        ("https://[::1", "is not a URL"),
        ("https://\u2460.example.com", "is not a URL"),
        ("ftp://localhost", "is not an http(s) URL"),
        ("api.example.com", "is not an http(s) URL"),
        ("https://user:pw@api.example.com", "contains a user name or password"),
        ("https://api.example.com?key=1", "has a query"),
        ("https://api.example.com:port", "is not a URL"),
        ("", "is not an http(s) URL"),
    ],
)
def test_credentials_are_sent_only_over_https_or_private_networks(url: str, problem: str) -> None:
    """By plain http only to this machine and to private networks."""
    assert url_problem(url).startswith(problem)
    assert bool(url_problem(url)) is bool(problem)


def test_plain_http_to_a_public_host_needs_permission(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The line has the variable that allows it."""
    monkeypatch.setenv("ECHO_URL", "http://echo.example.com:3000")
    assert Echo(KEY).delivery is None
    assert "set LITESPAN_ALLOW_HTTP=true" in caplog.records[0].getMessage()
    monkeypatch.setenv("LITESPAN_ALLOW_HTTP", "true")
    assert repr(Echo(KEY)) == "<Echo http://echo.example.com:3000>"
    assert len(caplog.records) == 1


@pytest.mark.parametrize("host", ["echo:3000", "10.1.2.3:3000", "echo.tools.svc.cluster.local"])
def test_plain_http_on_a_private_network_works_and_warns_once(
    host: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """One line says what others on the network could read."""
    monkeypatch.setenv("ECHO_URL", f"http://{host}")
    for _ in range(2):
        assert repr(Echo(KEY)) == f"<Echo http://{host}>"
    (line,) = [record.getMessage() for record in caplog.records]
    assert "ECHO_URL is not https" in line
    assert "can read the credentials and all recorded data" in line
    assert KEY not in line


def test_plain_http_on_this_machine_causes_no_warning(caplog: pytest.LogCaptureFixture) -> None:
    """Nobody else can read it."""
    assert Echo(KEY, "http://127.0.0.1:3000").delivery is not None
    assert caplog.records == []


def test_secrets_are_not_shown() -> None:
    """No repr of an exporter or of its attributes has the key."""
    exporter = Echo(KEY, "https://127.0.0.1:9")
    delivery = exporter.delivery
    assert delivery is not None
    shown = repr([exporter, vars(exporter), vars(delivery), vars(delivery.client)])
    assert KEY not in shown
    assert "***" in shown


def test_a_mapping_error_does_not_affect_other_spans(caplog: pytest.LogCaptureFixture) -> None:
    """It is logged once, and the other spans are sent."""

    class Brittle(Echo):
        def item(self, span: GenAISpan) -> Item:
            if span.span_id.endswith("1"):
                raise KeyError(span.span_id)
            return super().item(span)

    store = Store()
    with running(store) as vendor:
        Brittle(KEY, vendor.url).export(spans(3))
    assert len(store.taken) == 2
    assert ["export.echo.mapping failed" in r.getMessage() for r in caplog.records] == [True]


def test_packing_keeps_different_requests_apart() -> None:
    """Items with another path or other headers never share a request."""
    items = [Item(str(n), b"1", path="/a" if n < 3 else "/b") for n in range(5)]
    batches = list(pack(items, lambda same: b"x" * len(same), max_items=2, max_bytes=9))
    assert [(b.path, len(b.items)) for b in batches] == [("/a", 2), ("/a", 1), ("/b", 2)]


@pytest.mark.parametrize(
    "value",
    [
        {"a": "x" * 5000, "b": ["y" * 3000, {"c": "é🦊\n" * 900}], "id": "short"},
        ["data:image/png;base64," + "A" * 9000],
        "z" * 9000,
    ],
)
@pytest.mark.parametrize("limit", [4000, 1000])
def test_the_longest_strings_are_cut_until_the_json_fits(value: Any, limit: int) -> None:
    """Short strings are unchanged."""
    shrunk: Any = shrink(json.loads(json.dumps(value)), limit)
    assert len(json_bytes(shrunk)) <= limit
    assert "[cut by litespan: originally" in json_bytes(shrunk).decode()
    if isinstance(shrunk, dict):
        assert shrunk["id"] == "short"


def test_shrinking_ends_if_nothing_can_be_cut() -> None:
    """The result is None."""
    assert shrink({"names": ["n" * 200] * 100}, 1000) is None
    assert shrink([1] * 1000, 10) is None


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"a": float("nan"), "b": [float("inf")]}, b'{"a":null,"b":[null]}'),
        ("half \ud83d", b'"half ?"'),
        ("Grüße\u0000", '"Grüße\\u0000"'.encode()),
    ],
)
def test_values_that_json_cannot_hold_are_replaced(value: Any, text: bytes) -> None:
    """Values that JSON or UTF-8 cannot represent."""
    assert json_bytes(value) == text


def run(program: str, *args: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run a program that can import this module."""
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program), *args],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, **env},
    )


@pytest.mark.slow
def test_after_a_fork_the_child_has_its_own_connection() -> None:
    """Parent and child never share a socket."""
    program = """
        import os, sys, warnings
        from tests.export.test_http import Echo, KEY, spans
        exporter = Echo(KEY, sys.argv[1])
        exporter.export(spans(1))
        warnings.simplefilter("ignore", DeprecationWarning)  # Python's, of a fork beside threads
        child = os.fork()
        exporter.export(spans(2)[1:] if child else spans(3)[2:])
        if not child:
            os._exit(0)
        os.waitpid(child, 0)
    """
    store = Store()
    with running(store) as vendor:
        done = run(program, vendor.url)
    assert (done.returncode, done.stderr) == (0, "")
    assert sorted(store.taken.values()) == [1, 1, 1]
    assert len({request.connection for request in vendor.received}) == 2


@pytest.mark.slow
def test_a_hung_vendor_delays_the_exit_by_exit_patience_only() -> None:
    """With all items still unsent."""
    program = """
        import sys
        from opentelemetry import trace
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from tests.export.test_http import Echo, KEY
        provider = TracerProvider()
        exporter = Echo(KEY, sys.argv[1], attempt=30, patience=60, timeout=90, exit_patience=1.5)
        provider.add_span_processor(BatchSpanProcessor(exporter))
        tracer = provider.get_tracer("t")
        for _ in range(2000):
            tracer.start_span("chat", attributes={"gen_ai.operation.name": "chat"}).end()
        import time
        print(time.monotonic())
    """
    with running(lambda _: Reply(delay=60)) as vendor:
        done = run(program, vendor.url)
        took = time.monotonic() - float(done.stdout)
    assert done.returncode == 0, done.stderr
    assert took < 6.0
    assert "span(s) dropped" in done.stderr


@pytest.mark.slow
def test_exporters_have_the_sdks_metrics() -> None:
    """Sent and lost spans are counted under the SDK's names; inflight ends at 0."""
    program = """
        import sys
        from opentelemetry import metrics
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.metrics.export import InMemoryMetricReader
        from tests.export.test_http import Echo, KEY, spans
        reader = InMemoryMetricReader()
        metrics.set_meter_provider(MeterProvider([reader]))
        exporter = Echo(KEY, sys.argv[1])
        exporter.export(spans(3))
        exporter.export(spans(2))
        print(reader.get_metrics_data().to_json())
    """
    with running(Store(), in_turn(None, Reply(401))) as vendor:
        done = run(program, vendor.url)
    assert done.returncode == 0, done.stderr
    (resource,) = json.loads(done.stdout)["resource_metrics"]
    (scope,) = resource["scope_metrics"]
    points = {metric["name"]: metric["data"]["data_points"] for metric in scope["metrics"]}
    exported = {
        p["attributes"].get("error.type"): p["value"]
        for p in points["otel.sdk.exporter.span.exported"]
    }
    assert exported == {None: 3, "401": 2}
    assert [p["value"] for p in points["otel.sdk.exporter.span.inflight"]] == [0]
    assert sum(p["count"] for p in points["otel.sdk.exporter.operation.duration"]) == 2
    attributes = points["otel.sdk.exporter.span.inflight"][0]["attributes"]
    assert attributes["otel.component.type"] == "tests.export.test_http.Echo"
    assert attributes["server.address"] == "127.0.0.1"
