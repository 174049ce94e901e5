"""One request to the proxy: its server span, identity and failure."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from opentelemetry import context as otel_context
from opentelemetry.context import Context
from opentelemetry.trace import (
    INVALID_SPAN,
    Span,
    SpanKind,
    Status,
    StatusCode,
    Tracer,
    get_current_span,
    set_span_in_context,
)

from litespan import semconv as s
from litespan.errors import suppress_errors
from litespan.instrumentation.remote_client import CLIENT_KEY, Client
from litespan.mapping.agents import person
from litespan.mapping.failures import without_answer
from litespan.mapping.identity import hides_keys
from litespan.mapping.proxy_request import header_attributes
from litespan.mapping.realtime import CLOSED_NORMALLY
from litespan.objects import as_text
from litespan.proxy.failures import kind_of, kind_of_status
from litespan.proxy.guardrails import guardrail_of
from litespan.redaction.echoes import sent_texts
from litespan.redaction.text import scrub_error, scrub_name, secrets
from litespan.settings import Settings

Scope = Mapping[str, Any]
MAX_LENGTH: Final = 1024  # characters of one value
_SWITCHED: Final = 101  # to the WebSocket protocol
# Field of LiteLLM's `UserAPIKeyAuth` → attribute.
_IDENTITY: Final[Mapping[str, str]] = {
    "team_id": s.TEAM_ID,
    "team_alias": s.TEAM_ALIAS,
    "org_id": s.ORGANIZATION_ID,
    "project_id": s.PROJECT_ID,
    "end_user_id": s.END_USER_ID,
    "key_alias": s.API_KEY_ALIAS,
    "user_id": s.USER_ID,
    "request_route": s.REQUEST_ROUTE,
}
# Close code of a WebSocket → HTTP status with the same meaning; others are internal errors.
_STATUS: Final[Mapping[int, int]] = {1008: 400, 1013: 429}


class ProxyRequest(Client):
    """A request that the proxy is serving; `current()` finds it in the OpenTelemetry context.

    Attributes:
        span: the server span: ours, or another instrumentation's, which receives only `litellm.*`
            attributes and the user.
        ours: whether it is ours.
        status: the HTTP status of the response, once it has started.
        arguments: what LiteLLM has made of the request, once the client is known.
    """

    def __init__(
        self, tracer: Tracer | None, scope: Scope, ctx: Context, settings: Settings
    ) -> None:
        """Start a span of `tracer` in `ctx`; without a tracer, use the current span."""
        super().__init__()
        self._scope = scope
        self._failure: tuple[str, str, str] | None = None  # kind, error type, message
        self._ended = False
        self._closed: int | None = None  # the code with which the proxy closed a WebSocket
        self.status: int | None = None
        self.arguments: Any = None
        self.ours = tracer is not None
        if tracer is None:
            self.span: Span = get_current_span(ctx)
            self._find_span()
        else:
            attributes = dict(_of_scope(scope, settings.headers))
            self.span = tracer.start_span(_method(scope), ctx, SpanKind.SERVER, attributes)
            ctx = set_span_in_context(self.span, ctx)
        self._context = ctx

    def context(self) -> Context:
        """Return the context that serves the request; to keep it would be a reference cycle."""
        return otel_context.set_value(CLIENT_KEY, self, self._context)

    def _find_span(self) -> None:
        """Use another instrumentation's server span, which may start later than this object."""
        if not self.ours and not is_server(self.span):
            current = get_current_span()
            self.span = current if is_server(current) else INVALID_SPAN

    def set_identity(self, key: Any) -> None:
        """Record the identity in `key`, LiteLLM's `UserAPIKeyAuth`."""
        self._find_span()
        if hides_keys():
            key = None
        values = {name: getattr(key, name, None) for name in _IDENTITY}
        values["end_user_id"] = person(values["end_user_id"])
        attributes = {
            _IDENTITY[name]: scrub_name(str(value)[:MAX_LENGTH])
            for name, value in values.items()
            if value
        }
        hashed = as_text(getattr(key, "api_key", None))
        if hashed and not hashed.startswith("sk-"):
            attributes[s.API_KEY_HASH] = hashed[:MAX_LENGTH]
        if self.span.is_recording():
            self.span.set_attributes(attributes)
        # A client may name the user of a call, but not the owner of its key.
        own = (s.API_KEY_HASH, *_IDENTITY.values())
        self.who = {name: attributes.get(name) for name in own if name != s.USER_ID}

    def set_failure(self, error: BaseException, kind: Any, data: Any) -> None:
        """Record the failure that LiteLLM reports. `kind` is LiteLLM's error type, or None."""
        self._find_span()
        if self._failure is not None or not self.span.is_recording():
            return
        arguments = data if isinstance(data, Mapping) else {}
        found = kind_of(error, kind, called=self.called)
        self._failure = (found, type(error).__name__, "")
        self.span.set_attribute(s.REQUEST_FAILURE, found)
        with suppress_errors("reading the text of an error"):
            # Older versions of LiteLLM's own errors have an empty `str()`.
            text = str(error) or as_text(getattr(error, "message", None)) or ""
            text = without_answer(text, error)
            text = scrub_error(text, secrets(arguments), sent_texts(arguments))
            self._failure = (found, type(error).__name__, text)
        name = guardrail_of(error)
        if name:
            self.span.set_attribute(s.GUARDRAIL_NAME, name[:MAX_LENGTH])

    def answered(self, status: int, headers: Iterable[tuple[bytes, bytes]]) -> None:
        """Record the head of the response."""
        self.status = status
        if self.span.is_recording():
            for name, value in headers:
                if name == b"x-litellm-call-id":  # ASGI has lower-case names
                    self.span.set_attribute(s.CALL_ID, value.decode("latin-1")[:MAX_LENGTH])

    def sent_on_websocket(self, message: Mapping[str, Any]) -> None:
        """Record that a WebSocket was accepted, refused or closed."""
        if message["type"] == "websocket.accept":
            self.answered(_SWITCHED, message.get("headers", ()))
        elif message["type"] == "websocket.http.response.start":
            self.answered(message["status"], message.get("headers", ()))
        elif message["type"] == "websocket.close":
            code = message.get("code", 1000)
            if self.status is None:  # the server answers 403
                self.answered(403, ())
            elif code not in CLOSED_NORMALLY:
                self._closed = code

    def end(self, error: BaseException | None = None) -> None:
        """End the span once: after the last byte, a disconnect or an error."""
        if self._ended:
            return
        self._ended = True
        if self.status is None and isinstance(error, Exception) and self._scope["type"] == "http":
            self.status = 500  # what the server sends
        with suppress_errors("recording the end of a request"):
            self._set_outcome(error)
        with suppress_errors("ending a request's span"):  # a span processor may raise
            if self.ours:
                self.span.end()

    def _set_outcome(self, error: BaseException | None) -> None:
        span = self.span
        if not span.is_recording():
            return
        status = self.status
        attributes: dict[str, Any] = {}
        if self.ours:
            route = getattr(self._scope.get("route"), "path", None)
            if route:
                attributes[s.HTTP_ROUTE] = route
                span.update_name(f"{_method(self._scope)} {route}")
            if status is not None:
                attributes[s.HTTP_STATUS] = status
        if self._failure is None and self.failure is not None:
            self._failure = ("provider", self.failure.type, self.failure.message)
        if self._closed is not None:
            attributes[s.SESSION_CLOSE_CODE] = self._closed
            if self._failure is None:
                kind = kind_of_status(_STATUS.get(self._closed, 500))
                self._failure = (kind, f"websocket_{self._closed}", "")
        refused = error is not None or (status is not None and status >= 400)
        failed = not self.gone and (refused or self._failure is not None)
        if not failed:
            attributes[s.OUTCOME] = "cancelled" if self.gone else "success"
        span.set_attributes(attributes)
        if failed:  # in the middle of a stream, the status does not show it
            status = status if refused else _STATUS.get(self._closed or 0, 500)
            self._set_failed(status, error)

    def _set_failed(self, status: int | None, error: BaseException | None) -> None:
        kind, name, text = self._failure or (kind_of_status(status), str(status or ""), "")
        if error is not None and self._failure is None:
            kind, name = "internal", type(error).__name__
        self.span.set_attributes({s.REQUEST_FAILURE: kind, s.OUTCOME: "failure"})
        if not self.ours:
            return
        self.span.set_attribute(s.ERROR_TYPE, name)
        if text:
            self.span.add_event(
                s.EVENT_EXCEPTION, {s.EXCEPTION_TYPE: name, s.EXCEPTION_MESSAGE: text}
            )
        # By the HTTP conventions, a 4xx status is not an error of a server span.
        if status is None or status >= 500:
            self.span.set_status(Status(StatusCode.ERROR, text or name))


def current() -> ProxyRequest | None:
    """The request in the current context, or None."""
    found = otel_context.get_current().get(CLIENT_KEY)
    return found if isinstance(found, ProxyRequest) else None


def is_server(span: Span) -> bool:
    """Whether this is a recording server span."""
    return span.is_recording() and getattr(span, "kind", None) is SpanKind.SERVER


def _method(scope: Scope) -> str:
    """The HTTP method; a WebSocket starts as a GET request."""
    return str(scope.get("method", "GET"))


def _of_scope(scope: Scope, headers: tuple[str, ...]) -> Iterable[tuple[str, Any]]:
    yield s.HTTP_METHOD, _method(scope)
    yield s.URL_PATH, scrub_name(scope["path"][:MAX_LENGTH])
    yield s.URL_SCHEME, scope.get("scheme", "http")
    if scope.get("http_version"):
        yield s.PROTOCOL_VERSION, scope["http_version"]
    if scope.get("server"):
        host, port = scope["server"]
        yield s.SERVER_ADDRESS, host
        if port:
            yield s.SERVER_PORT, port
    if scope.get("client"):
        yield s.CLIENT_ADDRESS, scope["client"][0]
    for name, value in scope["headers"]:  # ASGI has lower-case names
        if name == b"user-agent":
            yield s.USER_AGENT, value.decode("latin-1")[:MAX_LENGTH]
        if headers and name.decode("latin-1") in headers:
            yield from header_attributes({name.decode("latin-1"): value.decode("latin-1")}, headers)
