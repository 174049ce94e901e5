"""Load: OTLP requests with spans of any size, made fast, and a sender that keeps count."""

import json
import time
from collections.abc import Iterable, Iterator
from http.client import HTTPConnection, HTTPException
from random import Random
from urllib.parse import urlsplit
from uuid import uuid4

from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests import cases
from tests.collector.spans import call
from tests.support.server import Received

WORDS = (
    "The support desk answers questions about orders, refunds and deliveries; it quotes the "
    "terms, asks for the number of an order and passes hard cases on to a person. "
)


def span_bytes(content: int) -> int:
    """How large one encoded span of this load is."""
    return len(template(1, content).SerializeToString())


def template(spans: int, content: int) -> ExportTraceServiceRequest:
    """A request of calls as litespan writes them, with `content` bytes of messages each."""
    plain = dict(cases.CASES["content_off"].attributes or {})
    plain["litellm.call_id"] = str(uuid4())
    if content:
        text = (WORDS * (content // len(WORDS) + 1))[:content]
        message = [{"role": "user", "parts": [{"type": "text", "content": text}]}]
        plain["gen_ai.input.messages"] = json.dumps(message)
    events = cases.CASES["content_off"].events
    return encode_spans([call(plain, events=events) for _ in range(spans)])


def requests(
    count: int, spans: int, content: int = 0, seed: int = 1
) -> Iterator[tuple[bytes, list[bytes]]]:
    """`count` bodies of `spans` calls, each call a trace of its own, and their span ids."""
    random = Random(seed)
    request = template(spans, content)
    made = request.resource_spans[0].scope_spans[0].spans
    for _ in range(count):
        now = time.time_ns()
        ids = []
        for span in made:
            span.trace_id = random.randbytes(16)
            span.span_id = random.randbytes(8)
            span.end_time_unix_nano = now
            span.start_time_unix_nano = now - 500_000_000
            ids.append(span.span_id)
        yield request.SerializeToString(), ids


def ids_in(received: Iterable[Received]) -> set[bytes]:
    """Ids of the spans in these requests to a server."""
    return {
        span.span_id
        for request in received
        for group in ExportTraceServiceRequest.FromString(request.body).resource_spans
        for scope in group.scope_spans
        for span in scope.spans
    }


class Sender:
    """Posts bodies to one collector, as an SDK's exporter does: what is not taken is sent again."""

    def __init__(self, url: str, patience: float = 60.0) -> None:
        self.address = urlsplit(url).netloc
        self.patience = patience
        self.refusals = 0
        self._connection: HTTPConnection | None = None

    def post(self, body: bytes) -> bool:
        """Bring one request in; False if `patience` seconds did not do."""
        until = time.monotonic() + self.patience
        while time.monotonic() < until:
            if self._once(body) == 200:
                return True
            self.refusals += 1
            time.sleep(0.2)
        return False

    def _once(self, body: bytes) -> int:
        try:
            if self._connection is None:
                self._connection = HTTPConnection(self.address, timeout=10)
            kind = {"Content-Type": "application/x-protobuf"}
            self._connection.request("POST", "/v1/traces", body, kind)
            answer = self._connection.getresponse()
            answer.read()
        except (OSError, HTTPException):
            self.close()
            return 0
        return answer.status

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
