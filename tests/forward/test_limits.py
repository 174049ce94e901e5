"""`litespan forward` limits its memory and always answers, whatever senders do."""

import gzip
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from litespan.export.decode import Undecodable
from litespan.forward.destination import Destination
from litespan.forward.receiver import Limits, Receiver
from litespan.forward.weight import TooLarge, weight
from litespan_exporters.helicone import HeliconeExporter
from tests.collector.running import get, wait_for
from tests.collector.spans import call
from tests.forward.forwarder import PROTOBUF, Forwarder, body_of, forwarding, helicone
from tests.support.server import Received, Reply
from tests.support.server import running as serving
from tests.support.vendors import Helicone

JSON = "application/json"
MANY = 1_000_000


def field(number: int, payload: bytes) -> bytes:
    """A length-delimited field of protobuf."""
    size, length = len(payload), bytearray()
    while size > 127:
        length.append(size & 127 | 128)
        size >>= 7
    return bytes([number << 3 | 2, *length, size]) + payload


def span(payload: bytes) -> bytes:
    """A request of one span with these fields."""
    return field(1, field(2, field(2, payload)))


def values(payload: bytes) -> bytes:
    """A request of one span with one attribute, a list of these values."""
    return span(field(9, field(1, b"k") + field(2, field(5, payload))))


BOMBS = {
    "spans": (field(1, field(2, field(2, b"") * MANY)), PROTOBUF),
    "scopes": (field(1, field(2, b"") * MANY), PROTOBUF),
    "resources": (field(1, b"") * MANY, PROTOBUF),
    "events": (span(field(11, b"") * MANY), PROTOBUF),
    "links": (span(field(13, b"") * MANY), PROTOBUF),
    "attributes": (span(field(9, b"") * (5 * MANY)), PROTOBUF),
    "attributes of events": (span(field(11, field(3, b"") * (5 * MANY))), PROTOBUF),
    "values": (values(field(1, b"") * (5 * MANY)), PROTOBUF),
    "values in values": (values(field(1, field(6, b"")) * (3 * MANY)), PROTOBUF),
    "JSON spans": (
        b'{"resourceSpans":[{"scopeSpans":[{"spans":[' + b"{}," * MANY + b"{}]}]}]}",
        JSON,
    ),
    "JSON lists": (b'{"x":[' + b"[]," * (3 * MANY) + b"[]]}", JSON),
}


@pytest.fixture(scope="module")
def running() -> Iterator[Forwarder]:
    """A forwarder with its own limits."""
    with (
        serving(Helicone()) as vendor,
        forwarding("--to", "helicone", **helicone(vendor.url)) as it,
    ):
        yield it


@pytest.mark.parametrize("what", BOMBS)
def test_a_small_body_of_many_objects_is_refused_before_it_is_decoded(
    running: Forwarder, what: str
) -> None:
    """413 for a few kB of gzip, without memory beyond the bytes of the body."""
    body, kind = BOMBS[what]
    packed = gzip.compress(body)
    assert len(packed) < 60_000
    before = running.memory()
    answer, said = running.post(packed, kind, content_encoding="gzip")
    assert (answer.status, b"send fewer spans per request" in said) == (413, True)
    assert running.memory() - before < 3 * len(body) + 10 * 2**20


def test_a_large_batch_of_a_collector_is_accepted(running: Forwarder) -> None:
    """8192 spans, a collector's default, with 24 attributes each."""
    attributes = {f"app.attribute_{number}": f"value {number}" for number in range(24)}
    body = body_of([call(attributes)]) * 8192
    assert running.post(gzip.compress(body), content_encoding="gzip")[0].status == 200


def test_text_does_not_count_as_objects() -> None:
    """Brackets and quotes within strings do not count."""
    text = json.dumps({"text": '{"a": [1, "\\"{["]}' * 10_000})
    body = json.dumps({"resourceSpans": [{"schemaUrl": text}]}).encode()
    assert weight(body, JSON, 10_000) < 10_000
    assert weight(field(1, field(3, text.encode())), PROTOBUF, 10_000) < 10_000


def test_the_estimate_grows_with_the_decoded_size_and_stops_at_the_limit() -> None:
    """Twice the spans have twice the weight, up to the limit."""
    one, two = (weight(body_of([call({})]) * times, PROTOBUF, 10**6) for times in (1, 2))
    assert two == 2 * one > 4096
    with pytest.raises(TooLarge):
        weight(body_of([call({})]) * 2, PROTOBUF, two - 1)


@pytest.mark.parametrize(
    "body",
    [
        b"\x0a\x05",
        b"\x0a",
        b"\xff" * 20,
        b"\x0b\x0c",
        b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\x7f",
        field(1, b"\x12\x7f"),
        values(b"\x0a\x00\x2a"),
    ],
)
def test_malformed_protobuf_is_reported_as_such(body: bytes) -> None:
    """Lengths beyond the end, groups, endless numbers."""
    with pytest.raises(Undecodable):
        weight(body, PROTOBUF, 10**9)


def test_deeply_nested_values_are_refused() -> None:
    """Protobuf's parsers refuse 100 levels, and so does the estimate."""
    value = b""
    for _ in range(2000):
        value = field(1, field(5, value))
    with pytest.raises(Undecodable):
        weight(values(value), PROTOBUF, 10**9)


@contextmanager
def connections(port: int, number: int, first: bytes) -> Iterator[list[socket.socket]]:
    """So many connections that send `first` and then nothing."""
    with ExitStack() as stack:
        opened = []
        for _ in range(number):
            opened.append(stack.enter_context(socket.create_connection(("127.0.0.1", port), 30)))
            opened[-1].sendall(first)
        yield opened


def slow(size: int, sent: int) -> bytes:
    """The beginning of a request that is to have a body of `size` bytes."""
    head = f"POST /v1/traces HTTP/1.1\r\nContent-Type: {PROTOBUF}\r\nContent-Length: {size}\r\n\r\n"
    return head.encode() + b"\x0a" * sent


def test_a_slow_sender_reserves_only_the_bytes_it_has_sent() -> None:
    """Twenty senders that announce more than the memory do not prevent others from sending."""
    body = body_of([call({"gen_ai.input.messages": "x" * 500_000})])
    with (
        serving(Helicone()) as vendor,
        forwarding(
            *("--to", "helicone", "--memory", "2", "--request", "1"), **helicone(vendor.url)
        ) as it,
        connections(it.port, 20, slow(2**20, 1000)),
    ):
        assert [it.post(body)[0].status for _ in range(3)] == [200] * 3


@pytest.mark.parametrize("first", [b"", b"POST /v1/traces HTTP/1.1\r\nX: ", slow(9000, 10)])
def test_stalled_connections_do_not_block_others(running: Forwarder, first: bytes) -> None:
    """However many stall within a header or body, others and the health check are served."""
    with connections(running.port, 200, first):
        assert get(f"{running.url}/healthz") is not None
        assert running.post(body_of([call({})]))[0].status == 200
        assert get(f"{running.url}/healthz") is not None


@contextmanager
def receiving(receiver: Receiver) -> Iterator[Forwarder]:
    """A receiver in this process."""
    thread = threading.Thread(target=receiver.serve)
    thread.start()
    try:
        yield Forwarder(None, int(receiver.url.rsplit(":", 1)[1]))  # type: ignore[arg-type]
    finally:
        receiver.stop()
        thread.join()


def receiver(url: str, limits: Limits) -> Receiver:
    """One that forwards to Helicone's exporter."""
    exporter = HeliconeExporter(api_key="sk-test", base_url=url)
    return Receiver([Destination("helicone", exporter)], "127.0.0.1", 0, limits)


@pytest.mark.parametrize("first", [b"", b"POST /v1/traces HTTP/1.1\r\n", slow(9000, 10)])
def test_a_stalled_request_times_out(first: bytes) -> None:
    """Even without other connections."""
    with (
        serving(Helicone()) as vendor,
        receiving(receiver(vendor.url, Limits(header=0.3, receive=0.3))) as it,
        connections(it.port, 1, first) as (stalled,),
    ):
        assert stalled.recv(1) == b""


def test_the_health_check_answers_while_all_slots_are_in_use() -> None:
    """More requests than allowed get 503 with Retry-After; the health check gets 200."""
    go = threading.Event()

    def held(_: Received) -> Reply:
        go.wait(30)
        return Reply(200)

    statuses: list[int] = []
    with (
        serving(held) as vendor,
        receiving(receiver(vendor.url, Limits(connections=1))) as it,
    ):
        body = body_of([call({})])
        first = threading.Thread(target=lambda: statuses.append(it.post(body)[0].status))
        first.start()
        wait_for(lambda: vendor.received, "the first to be at work")
        answer, _ = it.post(body)
        assert (answer.status, answer.getheader("retry-after")) == (503, "1")
        assert get(f"{it.url}/healthz") is not None
        go.set()
        first.join()
    assert statuses == [200]
