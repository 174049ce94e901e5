"""Access control: the Host header of a request, a token, and the page's security headers.

Prompts on the page can be hostile. So a page may load only files of this server, run only its
script, and not be framed. A web site cannot read the page through a browser, either: requests with
a host name of the site that resolves to 127.0.0.1 (DNS rebinding) are rejected.
"""

import hashlib
import hmac
from collections.abc import Collection
from http.cookies import CookieError, SimpleCookie
from typing import Final
from urllib.parse import parse_qsl, urlencode

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOPBACK: Final = ("127.0.0.1", "localhost", "[::1]")
HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_COOKIE: Final = "litespan_ui"


class Guard:
    """Rejects or passes on requests, and adds the headers.

    Args:
        app: what answers.
        hosts: the names that a request may use in its Host header; empty for any, which is safe
            with a token only: a browser sends the cookie to the name that it got it from.
        token: what a browser must pass once, in the URL; empty for none.
    """

    def __init__(self, app: ASGIApp, hosts: Collection[str], token: str) -> None:
        self._app = app
        self._hosts = frozenset(hosts)
        self._token = token
        self._cookie = hashlib.sha256(f"litespan ui {token}".encode()).hexdigest()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(raw=message["headers"])
                for name, value in HEADERS.items():
                    headers[name] = value
                message["headers"] = headers.raw
            await send(message)

        answer = self._refusal(scope)
        await (self._app if answer is None else answer)(scope, receive, with_headers)

    def _refusal(self, scope: Scope) -> Response | None:
        """The answer to a request that is rejected, or that has just passed its token."""
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        name = host if host.endswith("]") else host.rpartition(":")[0] or host
        if self._hosts and name.lower() not in self._hosts:
            return PlainTextResponse("litespan ui does not answer to this host name.", 421)
        if scope["method"] not in ("GET", "HEAD"):
            return PlainTextResponse("litespan ui is read-only.", 405, {"Allow": "GET, HEAD"})
        if not self._token or self._is_known(headers):
            return None
        query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        shown = next((value for key, value in query if key == "token"), "")
        if not hmac.compare_digest(shown.encode(), self._token.encode()):
            return PlainTextResponse(
                "litespan ui needs its token: open the URL that it printed, with ?token=…", 401
            )
        rest = urlencode([(key, value) for key, value in query if key != "token"])
        path = "/" + scope["path"].lstrip("/\\")  # never another host
        answer = RedirectResponse(f"{path}?{rest}" if rest else path, 303)
        answer.set_cookie(_COOKIE, self._cookie, httponly=True, samesite="lax")
        return answer

    def _is_known(self, headers: Headers) -> bool:
        bearer = headers.get("authorization", "").removeprefix("Bearer ")
        if hmac.compare_digest(bearer.encode(), self._token.encode()):
            return True
        try:
            cookie = SimpleCookie(headers.get("cookie", "")).get(_COOKIE)
        except CookieError:
            return False
        shown = cookie.value if cookie is not None else ""
        return hmac.compare_digest(shown.encode("utf-8", "replace"), self._cookie.encode())
