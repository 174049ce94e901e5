"""The page's server: uvicorn, in the foreground or on a thread."""

import threading
import time
from collections.abc import Mapping
from typing import Any, Final

import uvicorn
from starlette.types import ASGIApp

from litespan.ui.app import make_app
from litespan.ui.index import Index
from litespan.ui.security import LOOPBACK, Guard

_START_S: Final = 30.0


def guarded(index: Index, *, host: str = "", token: str = "", links: Mapping[str, str]) -> ASGIApp:
    """The application with its access checks.

    Args:
        index: the calls.
        host: the address that the server listens on; empty for loopback.
        token: see `Guard`.
        links: name → URL template of a vendor's page of a trace.
    """
    is_everywhere = host in ("0.0.0.0", "::")  # noqa: S104 - only with a token
    hosts = () if is_everywhere and token else {*LOOPBACK, *([host.lower()] if host else [])}
    return Guard(make_app(index, links), hosts, token)


def server(app: ASGIApp, host: str) -> uvicorn.Server:
    """A server that logs only problems, because a URL can contain the token."""
    config = uvicorn.Config(
        app,
        host=host,
        port=0,  # any free one, unless `run` gets a socket
        lifespan="off",
        access_log=False,
        log_level="warning",
        server_header=False,
        timeout_graceful_shutdown=2,
    )
    return uvicorn.Server(config)


class Running:
    """A server on a thread, on a free port of 127.0.0.1, for tests and benchmarks."""

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
