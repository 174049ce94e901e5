"""The HTTP server: one thread per connection, and slow senders cannot block others.

A connection either waits for its sender (for a header or the rest of a body) or is being
processed. A waiting connection has a deadline. When too many are open, the one that has been
silent longest is closed, as nginx does with idle connections. So the server always answers new
connections, such as health checks.
"""

import socket
import threading
import time
from collections import OrderedDict
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from litespan.counters import count


class Connections(ThreadingHTTPServer):
    """Serves up to `limit` open connections."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(
        self,
        address: tuple[str, int],
        handler: type[BaseHTTPRequestHandler],
        limit: int,
        header_timeout: float,
    ) -> None:
        """Bind to `address` and listen.

        Args:
            address: host and port.
            handler: serves one connection.
            limit: open connections; more than can be processed at the same time.
            header_timeout: s until the header of a connection's first request is complete.

        Raises:
            OSError: the address is in use, or does not belong to this machine.
        """
        self._limit = limit
        self._header_timeout = header_timeout
        self._lock = threading.Lock()
        self._open = 0
        # Deadline of each waiting connection (monotonic s); the longest silent one is first.
        self._waiting: OrderedDict[socket.socket, float] = OrderedDict()
        super().__init__(address, handler)

    def wait_for(self, connection: socket.socket, seconds: float) -> None:
        """Wait up to `seconds` for the sender."""
        with self._lock:
            self._waiting.pop(connection, None)
            self._waiting[connection] = time.monotonic() + seconds

    def received(self, connection: socket.socket) -> None:
        """Note that the sender sent data. Its deadline stays the same."""
        with self._lock:
            if connection in self._waiting:
                self._waiting.move_to_end(connection)

    def begin(self, connection: socket.socket) -> bool:
        """Stop waiting: the request is complete. False if the connection was closed meanwhile."""
        with self._lock:
            return self._waiting.pop(connection, None) is not None

    # --- overrides of socketserver ---------------------------------------------------------------

    def process_request(self, request: Any, client_address: Any) -> None:
        """Accept a connection; close the longest silent one if too many are open."""
        with self._lock:
            self._open += 1
            if self._open > self._limit:
                self._drop(next(iter(self._waiting), None))
            self._waiting[request] = time.monotonic() + self._header_timeout
        try:
            super().process_request(request, client_address)
        except BaseException:  # no thread could be started
            self._forget(request)
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve a connection until it closes."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._forget(request)

    def service_actions(self) -> None:
        """Close connections past their deadline. The server calls this several times a second."""
        now = time.monotonic()
        with self._lock:
            for connection in [each for each, until in self._waiting.items() if until < now]:
                self._drop(connection)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Count a broken connection; the sender will retry."""
        count("forward.connections_broken")

    def _drop(self, connection: socket.socket | None) -> None:
        """Shut the connection down; the thread that reads from it gets EOF."""
        if connection is None:
            return
        del self._waiting[connection]
        count("forward.connections_dropped")
        with suppress(OSError):  # it was closed meanwhile
            connection.shutdown(socket.SHUT_RDWR)

    def _forget(self, connection: socket.socket) -> None:
        with self._lock:
            self._open -= 1
            self._waiting.pop(connection, None)
