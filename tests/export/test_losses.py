"""Spans are neither lost nor counted wrongly, whatever the program, environment and answers are."""

import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import litellm
import pytest
from opentelemetry.sdk.trace.export import SpanExportResult

from litespan.counters import stats
from litespan.export import sender as sending
from litespan.export.batching import Item
from litespan.export.client import THREAD, TIMEOUT, Answer, Client, Secret
from litespan.export.exporter_metrics import ExporterMetrics
from litespan.export.policy import Refusal
from litespan.export.tenant import Tenant
from tests.export.test_http import KEY, Echo, Store, spans
from tests.support.server import Reply, in_turn, running


def test_a_callback_that_raises_when_it_is_read_costs_no_span(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The exporter looks for LiteLLM's own callbacks, which can be any object."""

    class Hostile:
        @property
        def callback_name(self) -> str:
            raise RuntimeError("not now")

    monkeypatch.setattr(litellm, "callbacks", [Hostile()])
    store = Store()
    with running(store) as vendor:
        assert Echo(KEY, vendor.url).export(spans(2)) is SpanExportResult.SUCCESS
    assert len(store.taken) == 2


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("HTTP_PROXY", "ftp://user:hidden@127.0.0.1:1"),
        ("HTTP_PROXY", "http://[user:hidden"),
        ("SSL_CERT_FILE", "{folder}/hidden.pem"),
    ],
)
def test_a_proxy_or_certificate_that_httpx_cannot_use_is_explained(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
    variable: str,
    value: str,
) -> None:
    """The spans count as dropped, and the message names the variable, not its value."""
    (tmp_path / "hidden.pem").write_text("no certificate")
    monkeypatch.setenv(variable, value.format(folder=tmp_path))
    before = stats().get("export.echo.dropped.no_client", 0)
    with running(Store()) as vendor:
        exporter = Echo(KEY, vendor.url)
        assert exporter.export(spans(2)) is SpanExportResult.FAILURE
        assert exporter.last.dropped == {"no_client": 2}
        monkeypatch.delenv(variable)
        assert exporter.export(spans(2)) is SpanExportResult.SUCCESS
    assert stats()["export.echo.dropped.no_client"] - before == 2
    (message,) = caplog.messages
    assert variable in message
    assert "hidden" not in message


@pytest.mark.parametrize("offset", ["+" + "9" * 20, "-" + "9" * 20])
def test_a_retry_after_that_is_no_date_is_ignored(offset: str) -> None:
    """The items are sent again, as after a 503 without it."""
    later = {"Retry-After": f"Mon, 01 Jan 2024 00:00:00 {offset}"}
    with running(Store(), in_turn(Reply(503, headers=later))) as vendor:
        assert Echo(KEY, vendor.url).export(spans(1)) is SpanExportResult.SUCCESS


def test_an_item_that_is_settled_while_the_time_ends_counts_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Another thread settles it between the decision to stop and the count of what is pending."""
    decide = sending._Export._why_stop

    def decide_late(export: sending._Export) -> str:
        cause = decide(export)
        if cause:
            settling = threading.Thread(target=export._drop, args=(1, "other"), daemon=True)
            monkeypatch.setattr(export, "stopped_by", cause)
            settling.start()
            settling.join(0.5)
        return cause

    monkeypatch.setattr(sending._Export, "_why_stop", decide_late)
    with running(lambda _: Reply(delay=30)) as vendor:
        exporter = Echo(KEY, vendor.url, attempt=0.2, patience=0.3, max_items=1)
        exporter.export(spans(3))
    assert sum(exporter.last.dropped.values()) == 3


def test_an_answer_that_cannot_be_read_to_its_end_counts_no_item_twice() -> None:
    """The answer rejects one item, and then has a field that the exporter does not expect."""

    class Strict(Echo):
        def refusals(self, answer: Answer, items: Sequence[Item]) -> Iterator[Refusal]:
            yield Refusal("bad item", frozenset({items[0].key}))
            raise TypeError("unexpected")

    with running(lambda _: Reply(200)) as vendor:
        exporter = Strict(KEY, vendor.url)
        assert exporter.export(spans(3)) is SpanExportResult.FAILURE
    assert exporter.last.dropped == {"error": 3}


@contextmanager
def endless() -> Iterator[str]:
    """The URL of a server that answers one request with a body that never ends."""
    done = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(65_536)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n")
                while not done.wait(0.02):
                    try:
                        connection.sendall(b".")
                    except OSError:  # the client has closed it
                        return

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        done.set()
        thread.join()


def exporting() -> int:
    """The number of threads that send."""
    return sum(thread.name == THREAD for thread in threading.enumerate())


def test_a_body_that_never_ends_holds_no_thread() -> None:
    """A service, or a team's own host, could otherwise collect threads."""
    with endless() as url:
        exporter = Echo(KEY, url, attempt=0.1, patience=0.2)
        assert exporter.export(spans(1)) is SpanExportResult.FAILURE
        until = time.monotonic() + 30
        while exporting() and time.monotonic() < until:
            time.sleep(0.02)
        assert exporting() == 0


def test_exports_do_not_wait_for_a_connection_that_is_never_free() -> None:
    """Headers that never end hold the only connection, but no thread of a later export."""
    with running(lambda _: Reply(headers={"X": "." * 600}, drip=0.05)) as vendor:
        exporter = Echo(KEY, vendor.url, attempt=0.1, patience=0.2)
        for _ in range(6):
            assert exporter.export(spans(1)) is SpanExportResult.FAILURE
        time.sleep(0.5)
        assert exporter.last.dropped == {TIMEOUT: 1}
        assert exporting() == 1


def test_a_secret_that_begins_with_another_is_masked_as_a_whole() -> None:
    """In the answer of a service that repeats it."""
    secrets = Secret("sk-1234"), Secret("sk-1234-5678")
    client = Client("https://echo.test", {"A": secrets[0], "B": secrets[1]})
    assert client.scrub("no key sk-1234-5678") == "no key ***"


def test_a_teams_refused_key_does_not_hide_the_operators(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Each has its own line, and the team's names no variable of the operator."""

    class Shared(Echo):
        def __init__(self, url: str, tenant: Tenant | None) -> None:
            super(Echo, self).__init__(of_tenant=tenant)
            self.connect(url, {"Authorization": Secret(KEY)})

    with running(lambda _: Reply(401)) as vendor:
        Shared(vendor.url, Tenant((vendor.url.removeprefix("http://"),))).export(spans(1))
        Shared(vendor.url, None).export(spans(1))
    team, operator = caplog.messages
    assert team.startswith("echo of a team or key: 1 span(s) dropped: 401")
    assert "ECHO_API_KEY" not in team
    assert operator.startswith("echo: 1 span(s) dropped: 401: unauthorized: check ECHO_API_KEY")


@pytest.mark.parametrize(
    ("url", "port"),
    [
        ("https://a.test/x", 443),
        ("http://a.test", 80),
        ("https://a.test:8443", 8443),
        ("s3://bucket/calls", None),
        ("postgresql://a.test:99999/db", None),
    ],
)
def test_metrics_have_the_port_only_if_it_is_known(url: str, port: int | None) -> None:
    """The URL of a store has the driver's ports, and is not always valid."""
    assert ExporterMetrics(Echo, url).attributes.get("server.port") == port


def test_a_flag_that_is_neither_true_nor_false_is_reported(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A switch that has no effect, such as one that turns content off, would go unnoticed."""
    monkeypatch.setenv("ECHO_CONTENT", "flase")
    assert Echo(KEY).flag("ECHO_CONTENT", default=True)
    assert caplog.messages == [
        "ECHO_CONTENT='flase' is not one of true, false: using the default, True"
    ]
