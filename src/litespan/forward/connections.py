"""The listening socket: a thread a connection, and no sender that can lock others out.

A connection either waits for its sender (for a header, for the rest of a body) or is at work.
Those that wait have a deadline, and when too many are open, the one that has been silent longest
is closed for the new one, as nginx does with idle connections. So every new connection is
answered, the health check included.
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
    """Serves connections; `most` of them may be open."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(
        self,
        address: tuple[str, int],
        handler: type[BaseHTTPRequestHandler],
        most: int,
        first: float,
    ) -> None:
        """Bind.

        Args:
            address: host and port.
            handler: serves one connection.
            most: connections; more than can be at work at once.
            first: seconds that a new connection has for its first request's header.

        Raises:
            OSError: the address is in use or not this machine's.
        """
        self._most = most
        self._first = first
        self._lock = threading.Lock()
        self._open = 0
        # Until when each may wait, in s of the monotonic clock; the longest silent is first.
        self._waiting: OrderedDict[socket.socket, float] = OrderedDict()
        super().__init__(address, handler)

    def wait_for(self, connection: socket.socket, seconds: float) -> None:
        """It is the sender's turn now, for so many seconds."""
        with self._lock:
            self._waiting.pop(connection, None)
            self._waiting[connection] = time.monotonic() + seconds

    def heard(self, connection: socket.socket) -> None:
        """The sender has sent something. Its deadline stays."""
        with self._lock:
            if connection in self._waiting:
                self._waiting.move_to_end(connection)

    def begin(self, connection: socket.socket) -> bool:
        """The request is here, and the connection is kept until `wait_for`. False: it is closed."""
        with self._lock:
            return self._waiting.pop(connection, None) is not None

    # --- of socketserver ---------------------------------------------------------------

    def process_request(self, request: Any, client_address: Any) -> None:
        """Take a connection, in the place of another one if there are too many."""
        with self._lock:
            self._open += 1
            if self._open > self._most:
                self._drop(next(iter(self._waiting), None))
            self._waiting[request] = time.monotonic() + self._first
        try:
            super().process_request(request, client_address)
        except BaseException:  # no thread to be had
            self._forget(request)
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve it to its end."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._forget(request)

    def service_actions(self) -> None:
        """Between requests, several times a second: close what has waited too long."""
        now = time.monotonic()
        with self._lock:
            for connection in [each for each, until in self._waiting.items() if until < now]:
                self._drop(connection)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """The sender has gone; it will come back."""
        count("forward.connections_broken")

    def _drop(self, connection: socket.socket | None) -> None:
        """End it: the thread that reads from it then sees its end."""
        if connection is None:
            return
        del self._waiting[connection]
        count("forward.connections_dropped")
        with suppress(OSError):  # it has just been closed
            connection.shutdown(socket.SHUT_RDWR)

    def _forget(self, connection: socket.socket) -> None:
        with self._lock:
            self._open -= 1
            self._waiting.pop(connection, None)
