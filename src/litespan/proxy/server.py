"""The server span: a thin ASGI wrapper around the proxy's application.

It wraps the whole middleware stack, so it sees what the client sees. `add_middleware` would be
too late: the stack is built when the application starts, before the proxy reads its config.
"""

import os
import re
from collections.abc import Awaitable, Callable, MutableMapping
from functools import cache
from typing import Any, Final

from opentelemetry import context as otel_context
from opentelemetry import propagate, trace
from opentelemetry.context import Context
from opentelemetry.propagators.textmap import Getter

from litespan.errors import record_error, suppress_errors
from litespan.instrumentation.signals import Live
from litespan.mapping.realtime import CLOSED_NORMALLY
from litespan.proxy.request import ProxyRequest, is_server

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_MARK: Final = "_litespan_server_spans"
_FASTAPI: Final = "FASTAPI_OTEL_AUTO_CONFIGURE"


class ServerSpans:
    """Wraps the proxy's application and creates a server span per request.

    Attributes:
        app: the wrapped application.
    """

    def __init__(self, app: App) -> None:
        self.app = app
        self._reported: bool | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection."""
        request = self._begin(scope) if scope["type"] in ("http", "websocket") else None
        if request is None:
            await self.app(scope, receive, send)
            return
        channels = _Channels(request, receive, send)
        token = otel_context.attach(request.context())
        error: BaseException | None = None
        try:
            await self.app(scope, channels.receive, channels.send)
        except BaseException as raised:
            error = raised
            raise
        finally:
            with suppress_errors("ending a request"):
                request.end(error)
            otel_context.detach(token)

    def _begin(self, scope: Scope) -> ProxyRequest | None:
        signals = Live.signals
        try:
            if signals is None:
                return None
            settings, ctx = signals.settings, otel_context.get_current()
            if _excluded(settings.excluded, scope["path"]):
                return ProxyRequest(None, scope, ctx, settings)
            if self._reported is None:
                self._reported = _has_opentelemetry(self.app)
            if is_server(trace.get_current_span(ctx)):
                return ProxyRequest(None, scope, ctx, settings)
            client_samples = "sampling" in settings.clients_may
            if self._reported:
                if not client_samples:
                    mark_sampled(scope)
                return ProxyRequest(None, scope, ctx, settings)
            ctx = propagate.extract(scope["headers"], ctx, _HEADERS)
            if not client_samples:
                ctx = sampled(ctx)
            return ProxyRequest(signals.tracer, scope, ctx, settings)
        except Exception as problem:  # noqa: BLE001 - the request is served without a span
            record_error("starting a request's span", problem)
            return None


class _Channels:
    """Observes the messages between the application and the client."""

    __slots__ = ("_receive", "_request", "_send", "_sent_all")

    def __init__(self, request: ProxyRequest, receive: Receive, send: Send) -> None:
        self._request = request
        self._receive = receive
        self._send = send
        self._sent_all = False

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.disconnect" and not self._sent_all:
            self._request.gone = True
        elif message["type"] == "websocket.disconnect":
            self._request.gone = message.get("code") not in CLOSED_NORMALLY
        return message

    async def send(self, message: Message) -> None:
        last = False
        if message["type"] == "http.response.start":
            try:
                self._request.answered(message["status"], message.get("headers", ()))
            except Exception as problem:  # noqa: BLE001
                record_error("reading the head of a response", problem)
        elif message["type"] == "http.response.body":
            last = not message.get("more_body", False)
        elif message["type"].startswith("websocket."):
            with suppress_errors("reading a message of a WebSocket"):
                self._request.sent_on_websocket(message)
        try:
            await self._send(message)
        except OSError:
            self._request.gone = True
            raise
        if last:
            self._sent_all = True
            with suppress_errors("ending a request"):
                self._request.end()


class _Headers(Getter[list[tuple[bytes, bytes]]]):
    """Reads headers of an ASGI scope for propagators; names are lower-case."""

    def get(self, carrier: list[tuple[bytes, bytes]], key: str) -> list[str] | None:
        """The values of one header, or None."""
        name = key.lower().encode("latin-1")
        return [value.decode("latin-1") for header, value in carrier if header == name] or None

    def keys(self, carrier: list[tuple[bytes, bytes]]) -> list[str]:
        """The names of all headers."""
        return [name.decode("latin-1") for name, _ in carrier]


_HEADERS: Final = _Headers()


def sampled(ctx: Context) -> Context:
    """`ctx` with the sampled flag of the client's remote span set.

    A client must not decide whether the operator records its request.
    """
    remote = trace.get_current_span(ctx).get_span_context()
    if not remote.is_valid or not remote.is_remote or remote.trace_flags.sampled:
        return ctx
    flags = trace.TraceFlags(remote.trace_flags | trace.TraceFlags.SAMPLED)
    context = trace.SpanContext(remote.trace_id, remote.span_id, True, flags, remote.trace_state)
    return trace.set_span_in_context(trace.NonRecordingSpan(context), ctx)


def mark_sampled(scope: Scope) -> None:
    """Set the sampled flag in the request's headers, for another instrumentation's server span."""
    extracted = propagate.extract(scope["headers"], Context(), _HEADERS)
    if (ctx := sampled(extracted)) is extracted:
        return
    headers: dict[str, str] = {}
    propagate.inject(headers, ctx)
    replaced = {
        name.lower().encode("latin-1"): text.encode("latin-1") for name, text in headers.items()
    }
    kept = [(name, value) for name, value in scope["headers"] if name not in replaced]
    scope["headers"] = [*kept, *replaced.items()]


def _has_opentelemetry(app: Any) -> bool:
    """Whether the middleware stack has OpenTelemetry's own middleware."""
    while app is not None:
        kind = type(app)
        if kind.__name__ == "OpenTelemetryMiddleware":
            return True
        app = getattr(app, "app", None)
    return False


@cache
def _any_of(patterns: tuple[str, ...]) -> "re.Pattern[str]":
    return re.compile("|".join(f"(?:{pattern})" for pattern in patterns))


def _excluded(patterns: tuple[str, ...], path: str) -> bool:
    return bool(patterns) and _any_of(patterns).search(path) is not None


def install(app: Any) -> None:
    """Wrap the middleware stack of a Starlette application. A second call does nothing."""
    built = getattr(app, "middleware_stack", None)
    if isinstance(built, ServerSpans) or getattr(app, _MARK, False):
        return
    setattr(app, _MARK, True)
    if built is not None:
        app.middleware_stack = ServerSpans(built)
        return
    build = app.build_middleware_stack
    app.build_middleware_stack = lambda: ServerSpans(build())


def mute_fastapi(app: Any, *, like: Any = None) -> None:
    """Disable the telemetry that newer versions of FastAPI have, if that of `like` is disabled.

    It starts with any tracer provider and creates three spans per request. If litespan set up
    the provider, the user did not ask for that, unless FASTAPI_OTEL_AUTO_CONFIGURE is true.
    """
    other = getattr(like, "_telemetry", None)
    if isinstance(other, dict) and other.get("tracing") is not False:
        return
    native = getattr(app, "_telemetry", None)
    if isinstance(native, dict) and os.environ.get(_FASTAPI, "").lower() not in ("true", "1"):
        native.update(dict.fromkeys(("tracing", "metrics", "logs"), False))
