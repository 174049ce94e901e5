"""The server span: one thin ASGI wrapper around the proxy's application.

It goes around the whole stack of middleware, so that it sees what the client sees. The stack is
built, and frozen, when the application starts, which is before the proxy reads its config.
"""

import os
import re
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

from opentelemetry import context as otel_context
from opentelemetry import propagate, trace
from opentelemetry.context import Context
from opentelemetry.propagators.textmap import Getter

from litespan.errors import record_error, suppress_errors
from litespan.instrumentation.signals import Live
from litespan.proxy.request import ProxyRequest, is_server

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_MARK: Final = "_litespan_server_spans"
_FASTAPI: Final = "FASTAPI_OTEL_AUTO_CONFIGURE"


class ServerSpans:
    """The proxy's application, whose requests become spans.

    Attributes:
        app: the application inside.
    """

    def __init__(self, app: App) -> None:
        self.app = app
        self._reported: bool | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve."""
        request = self._begin(scope) if scope["type"] == "http" else None
        if request is None:
            await self.app(scope, receive, send)
            return
        wires = _Wires(request, receive, send)
        token = otel_context.attach(request.context)
        error: BaseException | None = None
        try:
            await self.app(scope, wires.receive, wires.send)
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
            follow = "sampling" in settings.clients_may
            if self._reported:
                if not follow:
                    let_record(scope)
                return ProxyRequest(None, scope, ctx, settings)
            ctx = propagate.extract(scope["headers"], ctx, _HEADERS)
            return ProxyRequest(signals.tracer, scope, ctx if follow else sampled(ctx), settings)
        except Exception as problem:  # noqa: BLE001 - the request is served without a span
            record_error("starting a request's span", problem)
            return None


class _Wires:
    """What passes between the application and the client."""

    __slots__ = ("_receive", "_request", "_send", "_whole")

    def __init__(self, request: ProxyRequest, receive: Receive, send: Send) -> None:
        self._request = request
        self._receive = receive
        self._send = send
        self._whole = False  # whether the client has the last byte

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.disconnect" and not self._whole:
            self._request.gone = True
        return message

    async def send(self, message: Message) -> None:
        last = False
        if message["type"] == "http.response.start":
            try:
                self._request.answered(message["status"], message.get("headers", ()))
            except Exception as problem:  # noqa: BLE001
                record_error("reading a response's head", problem)
        elif message["type"] == "http.response.body":
            last = not message.get("more_body", False)
        try:
            await self._send(message)
        except OSError:
            self._request.gone = True
            raise
        if last:
            self._whole = True
            with suppress_errors("ending a request"):
                self._request.end()


class _Headers(Getter[list[tuple[bytes, bytes]]]):
    """Headers of an ASGI scope, whose names are in lower case, for propagators."""

    def get(self, carrier: list[tuple[bytes, bytes]], key: str) -> list[str] | None:
        """The values of one header."""
        name = key.lower().encode("latin-1")
        return [value.decode("latin-1") for one, value in carrier if one == name] or None

    def keys(self, carrier: list[tuple[bytes, bytes]]) -> list[str]:
        """The names of all."""
        return [name.decode("latin-1") for name, _ in carrier]


_HEADERS: Final = _Headers()


def sampled(ctx: Context) -> Context:
    """`ctx` where the span that a client has named is sampled, whatever its flag says.

    A client must not decide whether its request is on the operator's record.
    """
    named = trace.get_current_span(ctx).get_span_context()
    if not named.is_valid or not named.is_remote or named.trace_flags.sampled:
        return ctx
    flags = trace.TraceFlags(named.trace_flags | trace.TraceFlags.SAMPLED)
    context = trace.SpanContext(named.trace_id, named.span_id, True, flags, named.trace_state)
    return trace.set_span_in_context(trace.NonRecordingSpan(context), ctx)


def let_record(scope: Scope) -> None:
    """Let whoever makes the server span further in find that the client's span is sampled."""
    told = propagate.extract(scope["headers"], Context(), _HEADERS)
    if (ctx := sampled(told)) is told:
        return
    headers: dict[str, str] = {}
    propagate.inject(headers, ctx)
    ours = {
        name.lower().encode("latin-1"): text.encode("latin-1") for name, text in headers.items()
    }
    kept = [(name, value) for name, value in scope["headers"] if name not in ours]
    scope["headers"] = [*kept, *ours.items()]


def _has_opentelemetry(app: Any) -> bool:
    """Whether a middleware in this stack makes the server spans."""
    while app is not None:
        kind = type(app)
        if kind.__name__ == "OpenTelemetryMiddleware":
            return True
        app = getattr(app, "app", None)
    return False


_patterns: Final[dict[tuple[str, ...], "re.Pattern[str]"]] = {}


def _excluded(names: tuple[str, ...], path: str) -> bool:
    if not names:
        return False
    pattern = _patterns.get(names)
    if pattern is None:
        pattern = _patterns[names] = re.compile("|".join(f"(?:{name})" for name in names))
    return pattern.search(path) is not None


def install(app: Any) -> None:
    """Wrap the stack of a Starlette application, built or not. A second time does nothing."""
    built = getattr(app, "middleware_stack", None)
    if isinstance(built, ServerSpans) or getattr(app, _MARK, False):
        return
    setattr(app, _MARK, True)
    if built is not None:
        app.middleware_stack = ServerSpans(built)
        return
    build = app.build_middleware_stack
    app.build_middleware_stack = lambda: ServerSpans(build())


def mute_fastapi(app: Any) -> None:
    """Keep FastAPI's own telemetry asleep, which newer versions have.

    It wakes up with any tracer provider, and makes three spans a request. Where the provider is
    litespan's doing nobody has asked for that, unless FASTAPI_OTEL_AUTO_CONFIGURE says so.
    """
    native = getattr(app, "_telemetry", None)
    if isinstance(native, dict) and os.environ.get(_FASTAPI, "").lower() not in ("true", "1"):
        native.update(dict.fromkeys(("tracing", "metrics", "logs"), False))
