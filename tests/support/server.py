"""A vendor on loopback: a real HTTP server that records, checks and misbehaves on demand."""

import gzip
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Received:
    """One request as it came over the wire."""

    method: str
    path: str
    headers: dict[str, str]  # names in lower case
    raw: bytes  # the body as sent
    at: float  # monotonic seconds
    connection: tuple[str, int]  # the client's end: equal for requests on one connection

    @property
    def body(self) -> bytes:
        """The body, decompressed."""
        return gzip.decompress(self.raw) if self.headers.get("content-encoding") else self.raw


@dataclass
class Reply:
    """What the server does with a request."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0.0  # seconds before the first byte
    drip: float = 0.0  # seconds between the bytes of the status line, headers and body
    reset: bool = False  # close the connection with RST instead of answering
    garbage: bool = False  # answer something that is not HTTP


Answering = Callable[[Received], Reply]
Fault = Callable[[Received], Reply | None]


class Vendor:
    """The server: `accept` answers, unless `fault` returns a misbehaviour first."""

    def __init__(self, accept: Answering, fault: Fault | None = None) -> None:
        self.accept = accept
        self.fault = fault
        self.received: list[Received] = []
        self.wrong: list[str] = []  # what the vendor would have refused, and why
        self.lock = threading.Lock()
        self.released = threading.Event()  # set at the end, so that no handler stays asleep
        self.server = _Server(self)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def answer(self, request: Received) -> Reply:
        """The reply to one request; an AssertionError of `accept` is a 400."""
        with self.lock:
            self.received.append(request)
            reply = self.fault(request) if self.fault is not None else None
            if reply is not None:
                return reply
            try:
                return self.accept(request)
            except Exception as error:
                self.wrong.append(f"{request.path}: {type(error).__name__}: {error}")
                return Reply(400, f"{type(error).__name__}: {error}"[:500].encode())


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: "_Server"

    def do_POST(self) -> None:
        self._reply(
            self.server.vendor.answer(
                Received(
                    self.command,
                    self.path,
                    {name.lower(): value for name, value in self.headers.items()},
                    self.rfile.read(int(self.headers.get("content-length", 0))),
                    time.monotonic(),
                    self.client_address,
                )
            )
        )

    do_GET = do_POST  # noqa: N815 - the name is http.server's

    def _reply(self, reply: Reply) -> None:
        released = self.server.vendor.released
        released.wait(reply.delay)
        if reply.reset:
            linger = struct.pack("ii", 1, 0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self.close_connection = True
            return
        headers = {"Content-Length": str(len(reply.body)), **reply.headers}
        lines = [f"HTTP/1.1 {reply.status} X", *(f"{k}: {v}" for k, v in headers.items())]
        answer = "\r\n".join([*lines, "", ""]).encode() + reply.body
        if reply.garbage:
            answer = b"\x00\x01not http at all\r\n\r\n"
            self.close_connection = True
        if not reply.drip:
            self.wfile.write(answer)
            return
        for byte in answer:
            if released.wait(reply.drip):
                break
            self.wfile.write(bytes([byte]))
            self.wfile.flush()

    def log_message(self, *args: Any) -> None:
        pass

    def handle(self) -> None:
        with suppress(OSError):  # the client has gone
            super().handle()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, vendor: Vendor) -> None:
        self.vendor = vendor
        super().__init__(("127.0.0.1", 0), _Handler)


@contextmanager
def running(accept: Answering, fault: Fault | None = None) -> Iterator[Vendor]:
    """A vendor that serves until the block ends."""
    vendor = Vendor(accept, fault)
    thread = threading.Thread(target=vendor.server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield vendor
    finally:
        vendor.released.set()
        vendor.server.shutdown()
        vendor.server.server_close()


def in_turn(*replies: Reply | None) -> Fault:
    """Misbehave by list, one entry a request; None is good behaviour, also after the last."""
    left = list(replies)
    return lambda _: left.pop(0) if left else None
