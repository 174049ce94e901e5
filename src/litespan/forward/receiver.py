"""The OTLP/HTTP receiver: it answers 200 only when every destination has accepted the spans.

It stores nothing that a crash could lose: undelivered spans stay with the sender, which retries
after the time in Retry-After (429 or 503). A retry may reach a vendor twice; the exporters' keys
(`GenAISpan.key`) make that harmless. Memory is bounded: all requests share one budget for bodies
and decoded spans.
https://opentelemetry.io/docs/specs/otlp/#otlphttp-response
"""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from opentelemetry.sdk.trace import ReadableSpan

from litespan.counters import count
from litespan.errors import suppress_errors
from litespan.export.decode import read_request, to_spans
from litespan.forward.connections import Connections
from litespan.forward.destination import Destination
from litespan.forward.handler import Handler, Share


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of a receiver. Sizes are in bytes, times in s."""

    memory: int = 256 * 2**20  # of all requests together: bodies and decoded spans
    request: int = 32 * 2**20  # of one body, decompressed
    connections: int = 64  # requests in progress; twice as many connections may be open
    header: float = 10.0  # for the header of a connection's first request
    receive: float = 15.0  # for a whole body
    idle: float = 60.0  # between the requests of a connection
    timeout: float = 10.0  # for one export; senders wait longer (a collector 30 s)
    retry_after: int = 5  # the Retry-After of a 503


class Server(Connections):
    """The HTTP server of a receiver."""

    receiver: "Receiver"


class Receiver:
    """Listens once it is created; `serve` answers requests until `stop`."""

    def __init__(
        self,
        destinations: Sequence[Destination],
        host: str,
        port: int,
        limits: Limits,
        prepare: Callable[[Sequence[ReadableSpan]], Sequence[ReadableSpan]] | None = None,
    ) -> None:
        """Bind to the address and listen.

        Args:
            destinations: each gets every request.
            host: address to listen on.
            port: 0 for any free port.
            limits: limits of memory and time.
            prepare: applied to the spans before any destination gets them.

        Raises:
            OSError: the address is in use, or does not belong to this machine.
        """
        self.destinations = tuple(destinations)
        self.limits = limits
        self.prepare = prepare
        self.stopping = False
        self._budget = limits.memory
        self._free = threading.Condition()
        self._in_progress = 0
        self._server = Server((host, port), Handler, 2 * limits.connections, limits.header)
        self._server.receiver = self

    @property
    def url(self) -> str:
        """The base URL, without `/v1/traces`."""
        host, port = self._server.server_address[:2]
        return f"http://{host!s}:{port}"

    def serve(self) -> None:
        """Answer requests until `stop` is called from another thread."""
        self._server.serve_forever(0.1)

    def stop(self, patience: float = 15.0) -> None:
        """Refuse new requests, finish those in progress, close the destinations.

        Args:
            patience: s for requests in progress; senders retry the rest.
        """
        self.stopping = True
        self._server.shutdown()
        until = time.monotonic() + patience
        with self._free:
            while self._in_progress and (left := until - time.monotonic()) > 0:
                self._free.wait(left)
        self._server.server_close()
        for destination in self.destinations:
            with suppress_errors(f"forward.{destination.name}.close"):
                destination.close()

    # --- for the handler ------------------------------------------------------------

    @contextmanager
    def share(self) -> Iterator[Share]:
        """The memory of one request; it is released when the block ends."""
        share = Share(self.take)
        try:
            yield share
        finally:
            with self._free:
                self._budget += share.held

    def take(self, size: int) -> bool:
        """Reserve `size` bytes of memory; False if they are not available."""
        with self._free:
            if self.stopping or size > self._budget:
                return False
            self._budget -= size
            return True

    def enter(self) -> bool:
        """Start a request; False if too many are in progress."""
        with self._free:
            if self.stopping or self._in_progress >= self.limits.connections:
                return False
            self._in_progress += 1
            return True

    def leave(self) -> None:
        """End a request."""
        with self._free:
            self._in_progress -= 1
            self._free.notify_all()

    def forward(self, body: bytes, content_type: str) -> tuple[bool, int, str]:
        """Send the spans of one request to every destination.

        Returns whether all accepted them, how many spans were rejected for good, and the cause.
        Raises Undecodable.
        """
        spans: Sequence[ReadableSpan] = to_spans(read_request(body, content_type))
        count("forward.received", len(spans))
        if self.prepare is not None:
            with suppress_errors("forward.prepare"):
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
