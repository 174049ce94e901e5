"""The page of `litespan ui`, served in this process."""

import threading
import time
from typing import Any, Final

from litespan.ui.index import Index
from litespan.ui.server import guarded, server

_START_S: Final = 30.0


class Running:
    """A server on a thread, on a free port of 127.0.0.1."""

    def __init__(self, index: Index, **options: Any) -> None:
        options.setdefault("links", {})
        self._server = server(guarded(index, **options), "127.0.0.1")
        self._thread = threading.Thread(target=self._server.run, name="litespan-ui-server")
        self.url = ""

    def __enter__(self) -> "Running":
        self._thread.start()
        until = time.monotonic() + _START_S
        while not self._server.started:
            if not self._thread.is_alive() or time.monotonic() > until:
                raise RuntimeError("the server did not start")
            time.sleep(0.01)
        port = self._server.servers[0].sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        return self

    def __exit__(self, *error: object) -> None:
        self._server.should_exit = True
        self._thread.join()
