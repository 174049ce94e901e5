"""The page's server: uvicorn, and the application with its access checks."""

from collections.abc import Mapping

import uvicorn
from starlette.types import ASGIApp

from litespan.ui.app import make_app
from litespan.ui.index import Index
from litespan.ui.security import LOOPBACK, Guard


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
