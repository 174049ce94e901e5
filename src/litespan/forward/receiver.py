"""The OTLP/HTTP receiver: it answers 200 only when every destination has the spans.

So nothing is kept here that a crash could lose: what is not delivered stays with the sender,
which is told when to come back (429 or 503 with Retry-After). A repeat may reach a vendor a
second time; the exporters' keys (`GenAISpan.key`) make that harmless. Memory is bounded: all
requests share one budget, for their bodies and for what decoding makes of them.
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
from litespan.forward.connections import Connections
from litespan.forward.decode import read_request, to_spans
from litespan.forward.destination import Destination
from litespan.forward.handler import Handler, Share


@dataclass(frozen=True, slots=True)
class Limits:
    """What bounds a receiver. Sizes are bytes, times seconds."""

    memory: int = 256 * 2**20  # of all requests at once: bodies, and what is made of them
    request: int = 32 * 2**20  # of one body, decompressed
    connections: int = 64  # requests at work at once; twice as many connections may be open
    header: float = 10.0  # for a connection's first header
    receive: float = 15.0  # for a whole body
    idle: float = 60.0  # between a connection's requests
    timeout: float = 10.0  # for one export; senders wait longer (a collector 30 s)
    retry_after: int = 5  # what a sender is told to wait


class Server(Connections):
    """The connections of a receiver."""

    receiver: "Receiver"


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
        limits = self.limits
        self._server = Server((host, port), Handler, 2 * limits.connections, limits.header)
        self._server.receiver = self

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
            with suppress_errors(f"forward.{destination.name}.close"):
                destination.close()

    # --- for the handler ------------------------------------------------------------

    @contextmanager
    def share(self) -> Iterator[Share]:
        """A request's share of the memory, until the block ends."""
        share = Share(self.take)
        try:
            yield share
        finally:
            with self._free:
                self._budget += share.held

    def take(self, size: int) -> bool:
        """Take `size` bytes of the memory, if there are so many."""
        with self._free:
            if self.stopping or size > self._budget:
                return False
            self._budget -= size
            return True

    def enter(self) -> bool:
        """Begin to work on a request, if not too many are at work."""
        with self._free:
            if self.stopping or self._at_work >= self.limits.connections:
                return False
            self._at_work += 1
            return True

    def leave(self) -> None:
        """The request is answered."""
        with self._free:
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
