"""`litespan ui`: serves the local page over a store."""

import os
import secrets
import signal
import socket
import sys
import webbrowser
from argparse import ArgumentTypeError
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Final

from litespan.cli import CommandError, Parser, add_store, argument
from litespan.export.safe_urls import is_loopback
from litespan.parsers import BadSetting, trace_link, trace_links
from litespan.stores.reading import named

PORT: Final = 8321
TOKEN: Final = "LITESPAN_UI_TOKEN"
TRACE_URL: Final = "LITESPAN_UI_TRACE_URL"
_NEEDED: Final = ("duckdb", "jinja2", "starlette", "uvicorn")


def run(argv: Sequence[str]) -> int:
    """Serve until Ctrl-C. Returns 0; 1 if the server cannot start, 2 for bad input."""
    options = _parser().parse_args(argv)
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        raise CommandError(f"{missing[0]} is not installed; pip install 'litespan[ui]'")
    from litespan.ui.index import Index
    from litespan.ui.server import guarded, server

    store = named(options.store)
    try:
        links = dict(options.trace_url or trace_links(os.environ.get(TRACE_URL, "")))
    except BadSetting as problem:
        raise CommandError(f"{TRACE_URL} is {problem}") from None
    token = options.token or os.environ.get(TOKEN, "")
    if not token and not is_loopback(options.host):
        token = secrets.token_urlsafe(24)
    try:
        listening = _listen(options.host, options.port)
    except (OSError, UnicodeError) as error:  # UnicodeError: no valid name of a host
        where = f"{options.host} port {options.port or PORT}"
        reason = getattr(error, "strerror", None) or error
        raise CommandError(f"cannot listen on {where}: {reason}", 1) from error
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
        server(app, options.host).run(sockets=[listening])
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
        type=argument(trace_link),
        metavar="[NAME=]URL",
        help="link calls to a vendor's page of their trace: a URL with {trace_id} in it. Can be "
        f"repeated; default: {TRACE_URL}, separated by blanks",
    )
    parser.add_argument("--open", action="store_true", help="open the page in a browser")
    return parser


def _port(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise ArgumentTypeError(f"{text!r} is not a port from 1 to 65535")
    return int(text)


def _listen(host: str, port: int | None) -> socket.socket:
    """A socket on that port, or on the usual or any free one. Raises OSError."""
    family, *_ = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)[0]
    try:
        return socket.create_server((host, port or PORT), family=family)
    except OSError:
        if port:
            raise
        return socket.create_server((host, 0), family=family)


def _url(host: str, port: int, token: str) -> str:
    shown = {"0.0.0.0": socket.gethostname(), "::": socket.gethostname()}.get(host, host)  # noqa: S104
    shown = f"[{shown}]" if ":" in shown else shown
    return f"http://{shown}:{port}/" + (f"?token={token}" if token else "")
