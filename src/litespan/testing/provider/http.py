"""The HTTP/1.1 server of the loopback provider."""

import json
import os
import socket
import struct
import sys
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from email.message import Message
from email.parser import BytesParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Lock
from typing import Any, Final, cast
from urllib.parse import urlsplit

from litespan.testing.provider.behaviour import Behaviour, split_path
from litespan.testing.provider.replies import Body, Request, Stream, as_json, openai_error
from litespan.testing.provider.routes import ERRORS, answer_to

HEADERS: Final = {
    "x-request-id": "req_loopback",
    "request-id": "req_loopback",
    "openai-processing-ms": "12",
    "openai-version": "2020-10-01",
    "x-ratelimit-limit-requests": "10000",
    "x-ratelimit-remaining-requests": "9999",
    "x-ratelimit-limit-tokens": "200000",
    "x-ratelimit-remaining-tokens": "199970",
}


@dataclass(frozen=True, slots=True)
class Recorded:
    """One received request: path without the behaviour, lower-case headers, parsed body."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]


class Server(ThreadingHTTPServer):
    """Listens on 127.0.0.1, with a thread per connection; keeps the requests."""

    daemon_threads = True
    request_queue_size = 512  # a burst of clients may connect at once

    def __init__(self, port: int) -> None:
        self.lock = Lock()
        self.closing = Event()
        self.requests: list[Recorded] = []
        self.counts: Counter[str] = Counter()  # requests, by behaviour segment of the URL
        self.connections: set[socket.socket] = set()
        super().__init__(("127.0.0.1", port), Handler)

    def server_bind(self) -> None:
        """Bind without a DNS lookup, which `HTTPServer` does and which may take seconds."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_name, self.server_port = self.server_address = self.socket.getsockname()

    def record(self, request: Recorded, segment: str) -> int:
        """Keep `request`. Returns the number of requests with that behaviour segment."""
        with self.lock:
            self.requests.append(request)
            self.counts[segment] += 1
            return self.counts[segment]

    def close_connections(self) -> None:
        """Close the connection of every client."""
        with self.lock:
            for connection in self.connections:
                with suppress(OSError):  # closed by its client
                    connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Report errors of the server; ignore clients that disconnect."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


class Handler(BaseHTTPRequestHandler):
    """One keep-alive connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Server

    def setup(self) -> None:
        """Register the connection, so that the server can close it."""
        super().setup()
        with self.server.lock:
            self.server.connections.add(self.connection)

    def finish(self) -> None:
        """Unregister the connection."""
        with self.server.lock:
            self.server.connections.discard(self.connection)
        super().finish()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Log nothing: see `LoopbackProvider.requests`."""

    def do_POST(self) -> None:
        """Answer one request with the behaviour in its URL."""
        raw = self._read()
        # A client that uses this server as its HTTP proxy sends a whole URL.
        address = urlsplit(self.path).path
        try:
            path, behaviour = split_path(address)
        except ValueError as error:
            self._send_body(as_json({"error": {"message": str(error)}}, status=400))
            return
        headers = {name.lower(): value for name, value in self.headers.items()}
        recorded = Recorded(path, headers, _parse(raw, self.headers))
        number = self.server.record(recorded, address.split("/")[1])
        if behaviour.times and number > behaviour.times:
            behaviour = Behaviour()
        self._answer(Request(recorded.body, behaviour, path, self.command))

    do_GET = do_PUT = do_PATCH = do_DELETE = do_POST  # noqa: N815 - the base class's names

    def _answer(self, request: Request) -> None:
        behaviour = request.behaviour
        if behaviour.delay:
            self.server.closing.wait(behaviour.delay)
        if behaviour.reset:
            self._reset()
            return
        answer = answer_to(request)
        if answer is None:
            self._send_body(as_json({"error": {"message": f"no route {request.path}"}}, status=404))
        elif behaviour.fails:
            wait = (
                {"retry-after": f"{behaviour.retry_after:g}"} if behaviour.retry_after >= 0 else {}
            )
            error = ERRORS.get(answer, openai_error)(request)
            self._send_body(as_json(error, behaviour.status, **wait))
        elif isinstance(reply := answer(request), Body):
            self._send_body(reply)
        else:
            self._send_stream(reply, behaviour)

    def _send_body(self, body: Body) -> None:
        size = {"content-length": str(len(body.content))}
        head = self._head(body.status, body.content_type, {**body.headers, **size})
        self.wfile.write(head + body.content)

    def _send_stream(self, stream: Stream, behaviour: Behaviour) -> None:
        # Without a length the body ends with the connection, so a cut is not an HTTP error.
        bare = behaviour.drop_after >= 0
        framing = {"connection": "close"} if bare else {"transfer-encoding": "chunked"}
        self.wfile.write(self._head(200, "text/event-stream; charset=utf-8", framing))
        self.close_connection = bare
        for number, frame in enumerate(stream.frames):
            if number and behaviour.pause and self.server.closing.wait(behaviour.pause):
                return
            if number == behaviour.drop_after:
                return
            if number == behaviour.break_after:
                self.close_connection = True
                return
            if number == behaviour.error_after:
                self._send_frame(stream.error, bare)
                break
            self._send_frame(frame, bare)
        if not bare:
            self.wfile.write(b"0\r\n\r\n")

    def _send_frame(self, frame: str, bare: bool) -> None:
        content = frame.encode()
        self.wfile.write(content if bare else b"%x\r\n%b\r\n" % (len(content), content))

    def _head(self, status: int, content_type: str, headers: dict[str, str]) -> bytes:
        """The head as bytes, so that it can be sent in one packet with the body."""
        self.send_response_only(status)
        for name, value in {"content-type": content_type, **HEADERS, **headers}.items():
            self.send_header(name, value)
        buffered = cast("list[bytes]", self._headers_buffer)  # type: ignore[attr-defined]
        head = b"".join([*buffered, b"\r\n"])
        buffered.clear()
        return head

    def _read(self) -> bytes:
        if self.headers.get("transfer-encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("content-length") or 0))
        chunks: list[bytes] = []
        while size := int(self.rfile.readline(), 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(chunks)

    def _reset(self) -> None:
        """Close the connection with RST, as a crashed peer does."""
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        with self.server.lock:
            self.server.connections.discard(self.connection)
        os.close(self.connection.detach())


def _parse(raw: bytes, headers: Message) -> dict[str, Any]:
    """A JSON body, or the fields of a form, with file names in place of files."""
    kind = headers.get_content_type()
    if kind.startswith("multipart/"):
        head = f"content-type: {headers['content-type']}\r\n\r\n".encode()
        parts = cast("list[Message]", BytesParser().parsebytes(head + raw).get_payload())
        return {
            str(part.get_param("name", header="content-disposition")): part.get_filename()
            or cast(bytes, part.get_payload(decode=True)).decode()
            for part in parts
        }
    try:
        body = json.loads(raw or b"{}")
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}
