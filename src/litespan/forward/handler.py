"""The HTTP request handler.

Memory is reserved as a body arrives and as it is decompressed, so a sender reserves what it has
sent, not what it announces. A body is decompressed only when it is complete: a slow sender never
reserves more than it has sent.
"""

import gzip
import io
import json
import zlib
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from typing import Any, Final

from google.protobuf.json_format import MessageToJson  # type: ignore[import-untyped]
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from litespan.counters import count, stats
from litespan.export.decode import JSON, PROTOBUF, Undecodable
from litespan.forward.weight import TooLarge, weight

PATH: Final = "/v1/traces"
HEALTH: Final = "/healthz"
_MAX_DISCARDED: Final = 128 * 2**20  # bytes of a refused body that are read
_CHUNK: Final = 65_536
_MAX_SIZE_DIGITS: Final = 15  # of Content-Length
_BUSY: Final = "too many requests in progress"


class Busy(Exception):
    """Other requests use the memory, or the receiver is stopping."""


class Share:
    """The memory that one request has reserved."""

    def __init__(self, take: Callable[[int], bool]) -> None:
        self.held = 0
        self._take = take

    def take(self, size: int) -> None:
        """Reserve `size` more bytes. Raises Busy if they are not available."""
        if not self._take(size):
            raise Busy
        self.held += size


class Handler(BaseHTTPRequestHandler):
    """Serves `POST /v1/traces` and `GET /healthz`."""

    protocol_version = "HTTP/1.1"
    timeout = 60  # s for sending a response; `Connections` limits the time of receiving
    server: Any  # `litespan.forward.receiver.Server`
    _unread = 0  # bytes of the body that have not been read

    def do_GET(self) -> None:
        """Health check. It is answered even when traces are refused."""
        if self.path != HEALTH:
            self._answer(404, b"")
        else:
            counters = {n: value for n, value in stats().items() if n.startswith("forward.")}
            self._answer(200, json.dumps(counters).encode(), JSON)
        self.server.wait_for(self.connection, self.server.receiver.limits.idle)

    def do_POST(self) -> None:
        """Receive and forward spans."""
        receiver, size = self.server.receiver, self._size()
        self._unread = size or 0
        self.server.wait_for(self.connection, receiver.limits.receive)
        if self.path != PATH:
            self._refuse(404, f"post traces to {PATH}")
        elif size is None:
            self._refuse(411, "Content-Length is missing")
        elif size > receiver.limits.request:
            self._refuse(413, f"the body is larger than {receiver.limits.request} bytes")
        else:
            with receiver.share() as share:
                self._receive(share)
        self.server.wait_for(self.connection, receiver.limits.idle)

    def _receive(self, share: Share) -> None:
        receiver = self.server.receiver
        try:
            body = self._body(share)
        except Busy:
            count("forward.refused")
            self._refuse(429, _BUSY, retry_after=1)
            return
        if body is None or not self.server.begin(self.connection):  # the sender disconnected
            self.close_connection = True
            return
        if not receiver.enter():
            count("forward.refused")
            self._say(503, _BUSY, retry_after=1)
            return
        try:
            self._forward(body, share)
        finally:
            receiver.leave()

    def _body(self, share: Share) -> bytes | None:
        """Read the body; None if the sender disconnects first. Raises Busy."""
        body = bytearray()
        while self._unread:
            chunk = self._chunk()
            if not chunk:
                return None
            share.take(len(chunk))
            body += chunk
        return bytes(body)

    def _chunk(self) -> bytes:
        """Read the next part of the body; empty if the sender disconnected."""
        chunk: bytes = self.rfile.read1(min(self._unread, _CHUNK))
        self._unread -= len(chunk)
        self.server.received(self.connection)
        return chunk

    def _forward(self, body: bytes, share: Share) -> None:
        limits = self.server.receiver.limits
        content_type = (self.headers.get("content-type") or "").split(";")[0].strip().lower()
        try:
            if encoding := (self.headers.get("content-encoding") or "").strip().lower():
                body = _decompressed(body, encoding, limits.request, share)
            share.take(weight(body, content_type, limits.memory - share.held))
            done, refused, cause = self.server.receiver.forward(body, content_type)
        except Undecodable as problem:
            self._say(400, str(problem))
        except TooLarge as problem:
            count("forward.refused")
            self._say(413, str(problem))
        except Busy:
            count("forward.refused")
            self._say(429, _BUSY, retry_after=1)
        else:
            if done:
                self._accept(content_type, refused, cause)
            else:
                self._say(503, cause, limits.retry_after)

    def _accept(self, content_type: str, refused: int, cause: str) -> None:
        response = ExportTraceServiceResponse()
        if refused:
            response.partial_success.rejected_spans = refused
            response.partial_success.error_message = cause
        if content_type == JSON:
            self._answer(200, MessageToJson(response).encode(), JSON)
        else:
            self._answer(200, response.SerializeToString(), PROTOBUF)

    def _size(self) -> int | None:
        text = self.headers.get("content-length") or ""
        return int(text) if text.isdecimal() and len(text) <= _MAX_SIZE_DIGITS else None

    def _refuse(self, status: int, problem: str, retry_after: int = 0) -> None:
        """Discard the rest of the body, then answer: senders read only after they have sent all."""
        self.close_connection = True
        self._unread = min(self._unread, _MAX_DISCARDED)
        while self._unread and self._chunk():
            pass
        self._say(status, problem, retry_after)

    def _say(self, status: int, text: str, retry_after: int = 0) -> None:
        later = {"Retry-After": str(retry_after)} if retry_after else {}
        self._answer(status, text.encode(), "text/plain", later)

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
        """Log nothing: the base class would write one line per request."""


def _decompressed(body: bytes, encoding: str, limit: int, share: Share) -> bytes:
    """The decompressed body, at most `limit` bytes. Raises Undecodable or Busy."""
    if encoding == "identity":
        return body
    if encoding != "gzip":
        raise Undecodable("the content encoding must be gzip or none")
    plain = bytearray()
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(body)) as file:
            while chunk := file.read(_CHUNK):
                if len(plain) + len(chunk) > limit:
                    raise Undecodable(f"the body is larger than {limit} bytes")
                share.take(len(chunk))
                plain += chunk
    except (OSError, EOFError, zlib.error) as error:
        raise Undecodable("the body is not gzip") from error
    return bytes(plain)
