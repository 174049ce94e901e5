"""The OTLP/HTTP receiver: it answers 200 only when every destination has the spans.

So nothing is kept here that a crash could lose: what is not delivered stays with the sender,
which is told when to come back (429 or 503 with Retry-After). A repeat may reach a vendor a
second time; the exporters' keys (`GenAISpan.key`) make that harmless. Memory is bounded: the
bodies that are in work at once share one budget, taken before they are read.
https://opentelemetry.io/docs/specs/otlp/#otlphttp-response
"""

import gzip
import io
import json
import threading
import time
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.sdk.trace import ReadableSpan

from litespan.counters import count, stats
from litespan.errors import quiet
from litespan.forward.decode import JSON, Undecodable, read_request, to_spans
from litespan.forward.destination import Destination

PATH: Final = "/v1/traces"
HEALTH: Final = "/healthz"
_MOST_PASSED_OVER: Final = 128 * 2**20  # bytes of a body that is refused


@dataclass(frozen=True, slots=True)
class Limits:
    """What bounds a receiver. Sizes are bytes, times seconds."""

    memory: int = 64 * 2**20  # of request bodies, decompressed, that are in work at once
    request: int = 32 * 2**20  # of one body, decompressed
    connections: int = 64
    timeout: float = 10.0  # for one export; senders wait longer (a collector 30 s)
    retry_after: int = 5  # what a sender is told to wait


class Receiver:
    """Listens from construction on; `serve` answers until `stop`."""

    def __init__(
        self,
        destinations: Sequence[Destination],
        host: str = "127.0.0.1",
        port: int = 4319,
        limits: Limits | None = None,
        prepare: Callable[[Sequence[ReadableSpan]], Sequence[ReadableSpan]] | None = None,
    ) -> None:
        """Bind.

        Args:
            destinations: each gets every request.
            host: address to listen on.
            port: 0 for any free one.
            limits: what bounds memory and time.
            prepare: what is done to the spans before any destination gets them.

        Raises:
            OSError: the address is in use or not this machine's.
        """
        self.destinations = tuple(destinations)
        self.limits = limits or Limits()
        self.prepare = prepare
        self.stopping = False
        self._budget = self.limits.memory
        self._free = threading.Condition()
        self._at_work = 0
        self._server = _Server((host, port), self)

    @property
    def url(self) -> str:
        """Where senders post to, without the path."""
        host, port = self._server.server_address[:2]
        return f"http://{host!s}:{port}"

    def serve(self) -> None:
        """Answer requests until `stop` is called from another thread."""
        self._server.serve_forever(0.1)

    def stop(self, patience: float = 15.0) -> None:
        """Take no more requests, finish those in work, close the destinations.

        Args:
            patience: seconds for those in work; later ones are the sender's to repeat.
        """
        self.stopping = True
        self._server.shutdown()
        until = time.monotonic() + patience
        with self._free:
            while self._at_work and (left := until - time.monotonic()) > 0:
                self._free.wait(left)
        self._server.server_close()
        for destination in self.destinations:
            with quiet(f"forward.{destination.name}.close"):
                destination.close()

    # --- for the handler ------------------------------------------------------------

    def take(self, size: int) -> bool:
        """Take `size` bytes of the budget, if there are so many."""
        with self._free:
            if self.stopping or size > self._budget:
                return False
            self._budget -= size
            self._at_work += 1
            return True

    def give(self, size: int) -> None:
        """Give them back."""
        with self._free:
            self._budget += size
            self._at_work -= 1
            self._free.notify_all()

    def forward(self, body: bytes, content_type: str) -> tuple[bool, int, str]:
        """Bring one request's spans to every destination.

        Returns whether all have them, how many were refused for good, and the cause.
        Raises Undecodable.
        """
        spans: Sequence[ReadableSpan] = to_spans(read_request(body, content_type))
        count("forward.received", len(spans))
        if self.prepare is not None:
            with quiet("forward.prepare"):
                spans = self.prepare(spans)
        refused, causes = 0, []
        for destination in self.destinations:
            outcome = destination.send(spans, self.limits.timeout)
            if outcome.again:
                count(f"forward.{destination.name}.postponed", len(spans))
                return False, 0, f"{destination.name}: {outcome.cause}"
            if outcome.refused:
                refused = max(refused, outcome.refused)
                causes.append(f"{destination.name}: {outcome.cause}")
        return True, refused, ", ".join(causes)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], receiver: Receiver) -> None:
        self.receiver = receiver
        self.connections = threading.Semaphore(receiver.limits.connections)
        super().__init__(address, _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        if self.connections.acquire(blocking=False):
            super().process_request(request, client_address)
            return
        count("forward.connections_refused")
        with quiet("forward.refuse"):
            request.sendall(
                b"HTTP/1.1 503 Busy\r\nRetry-After: 1\r\nContent-Length: 0\r\n"
                b"Connection: close\r\n\r\n"
            )
        self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self.connections.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        count("forward.connections_broken")  # the sender has gone; it will come back


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 30  # seconds without a byte from the sender
    server: _Server

    def do_GET(self) -> None:
        if self.path != HEALTH:
            self._answer(404, b"")
            return
        said = {name: value for name, value in stats().items() if name.startswith("forward.")}
        self._answer(200, json.dumps(said).encode(), JSON)

    def do_POST(self) -> None:
        receiver, limits = self.server.receiver, self.server.receiver.limits
        size = self._size()
        if self.path != PATH:
            self._refuse(404, f"post traces to {PATH}")
        elif size is None:
            self._refuse(411, "Content-Length is missing")
        elif size > limits.request:
            self._refuse(413, f"the body is larger than {limits.request} bytes")
        else:
            # A compressed body is counted at its limit: how large it gets is not known yet.
            taken = limits.request if self.headers.get("content-encoding") else size
            if not receiver.take(min(taken, limits.memory)):
                count("forward.refused")
                self._postpone(429, "too much is in work", 1)
                return
            try:
                self._forward(size)
            finally:
                receiver.give(min(taken, limits.memory))

    def _forward(self, size: int) -> None:
        receiver, limits = self.server.receiver, self.server.receiver.limits
        body = self.rfile.read(size)
        if len(body) < size:  # the sender has gone
            self.close_connection = True
            return
        content_type = (self.headers.get("content-type") or "").split(";")[0].strip().lower()
        try:
            plain = _decompressed(body, self.headers.get("content-encoding"), limits.request)
            done, refused, cause = receiver.forward(plain, content_type)
        except Undecodable as problem:
            self._answer(400, str(problem).encode(), "text/plain")
            return
        if not done:
            self._postpone(503, cause, limits.retry_after)
            return
        response = ExportTraceServiceResponse()
        if refused:
            response.partial_success.rejected_spans = refused
            response.partial_success.error_message = cause
        if content_type == JSON:
            said = {"rejectedSpans": str(refused), "errorMessage": cause}
            self._answer(
                200, json.dumps({"partialSuccess": said} if refused else {}).encode(), JSON
            )
        else:
            self._answer(200, response.SerializeToString(), "application/x-protobuf")

    def _size(self) -> int | None:
        text = self.headers.get("content-length") or ""
        return int(text) if text.isdecimal() else None

    def _refuse(self, status: int, problem: str) -> None:
        self._pass_over()
        self._answer(status, problem.encode(), "text/plain")

    def _pass_over(self) -> None:
        """Read the body and forget it: who is still sending would not see the answer."""
        self.close_connection = True
        left = min(self._size() or 0, _MOST_PASSED_OVER)
        while left > 0 and (chunk := self.rfile.read(min(left, 65_536))):
            left -= len(chunk)

    def _postpone(self, status: int, cause: str, seconds: int) -> None:
        if status == 429:
            self._pass_over()
        self._answer(status, cause.encode(), "text/plain", {"Retry-After": str(seconds)})

    def _answer(
        self, status: int, body: bytes, kind: str = JSON, more: dict[str, str] | None = None
    ) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        if self.close_connection or self.server.receiver.stopping:
            self.close_connection = True
            self.send_header("Connection", "close")
        for name, value in (more or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        """No line a request."""


def _decompressed(body: bytes, encoding: str | None, limit: int) -> bytes:
    if not encoding or encoding == "identity":
        return body
    if encoding != "gzip":
        raise Undecodable("the content encoding must be gzip or none")
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(body)) as file:
            plain = file.read(limit + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise Undecodable("the body is not gzip") from error
    if len(plain) > limit:
        raise Undecodable(f"the body is larger than {limit} bytes")
    return plain
