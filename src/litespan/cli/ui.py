"""`litespan ui`: serves the local page over a store."""

import argparse
import os
import secrets
import signal
import socket
import sys
import webbrowser
from collections.abc import Sequence
from importlib.util import find_spec
from ipaddress import ip_address
from typing import Final

from litespan.cli import Parser, add_store
from litespan.parsers import BadSetting, trace_link
from litespan.stores.reading import named
from litespan.stores.records import Unreadable

PORT: Final = 8321
TOKEN: Final = "LITESPAN_UI_TOKEN"
TRACE_URL: Final = "LITESPAN_UI_TRACE_URL"
_NEEDED: Final = ("duckdb", "jinja2", "starlette", "uvicorn")


def run(argv: Sequence[str]) -> int:
    """Serve until Ctrl-C. Returns 0; 1 if the server cannot start, 2 for bad input."""
    options = _parser().parse_args(argv)
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        return _failed(f"{missing[0]} is not installed; pip install 'litespan[ui]'", 2)
    from litespan.ui.index import Index
    from litespan.ui.server import guarded, server

    try:
        given = options.trace_url or os.environ.get(TRACE_URL, "").split()
        links = dict(map(_link, given))
        store = named(options.store)
    except (ValueError, Unreadable) as problem:
        return _failed(str(problem), 2)
    token = options.token or os.environ.get(TOKEN, "")
    if not token and not _is_loopback(options.host):
        token = secrets.token_urlsafe(24)
    try:
        listening = _listen(options.host, options.port)
    except OSError as error:
        return _failed(
            f"cannot listen on {options.host} port {options.port or PORT}: {error.strerror}", 1
        )
    # By default SIGTERM ends a process at once, and would leave the index behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    index = Index(options.store)
    try:
        index.start()
        url = _url(options.host, listening.getsockname()[1], token)
        print(f"litespan ui: {store} at {url} (Ctrl-C stops it)", flush=True)
        if options.open:
            webbrowser.open(url)
        app = guarded(index, host=options.host, token=token, links=links)
        server(app, options.host, 0).run(sockets=[listening])
    finally:
        index.close()
        listening.close()
    return 0


def _parser() -> Parser:
    parser = Parser(
        prog="litespan ui",
        description="Show the calls of a store in a local page: totals and charts, calls with "
        "filters and search, sessions, one call, two calls side by side. The page updates live. "
        "It does not change the store, and sends nothing to other machines.",
    )
    add_store(parser)
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        help="address to listen on (default: 127.0.0.1). Any other one needs a token, in "
        f"--token or {TOKEN}; without one, a new one is made and printed",
    )
    parser.add_argument(
        "--port",
        type=_port,
        help=f"port to listen on (default: {PORT}, or any free one if it is taken)",
    )
    parser.add_argument("--token", default="", help="token that a browser passes once, in the URL")
    parser.add_argument(
        "--trace-url",
        action="append",
        metavar="[NAME=]URL",
        help="link calls to a vendor's page of their trace: a URL with {trace_id} in it. Can be "
        f"repeated; default: {TRACE_URL}, separated by blanks",
    )
    parser.add_argument("--open", action="store_true", help="open the page in a browser")
    return parser


def _link(text: str) -> tuple[str, str]:
    try:
        return trace_link(text)
    except BadSetting as error:
        raise ValueError(f"{text!r} is {error}") from None


def _port(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port from 1 to 65535")
    return int(text)


def _listen(host: str, port: int | None) -> socket.socket:
    """A socket on that port, or on the usual or any free one. Raises OSError."""
    family, *_ = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)[0]
    last: OSError | None = None
    for each in [port] if port else [PORT, 0]:
        try:
            return socket.create_server((host, each), family=family)
        except OSError as error:
            last = error
    raise last or OSError(f"cannot listen on {host}")


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _url(host: str, port: int, token: str) -> str:
    shown = {"0.0.0.0": socket.gethostname(), "::": socket.gethostname()}.get(host, host)  # noqa: S104
    shown = f"[{shown}]" if ":" in shown else shown
    return f"http://{shown}:{port}/" + (f"?token={token}" if token else "")


def _failed(problem: str, status: int) -> int:
    print(f"litespan ui: {problem}", file=sys.stderr)
    return status
