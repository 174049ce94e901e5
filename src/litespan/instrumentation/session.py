"""A WebSocket session with a provider: one span, and a call for each of its responses.

The session sees the events between LiteLLM and the client (see `websocket`). LiteLLM translates
those of all providers to OpenAI's.
"""

import asyncio
from typing import Any

from opentelemetry import context as otel_context
from opentelemetry.context import Context
from opentelemetry.trace import SpanKind

from litespan import identity
from litespan import semconv as s
from litespan.errors import suppress_errors
from litespan.instrumentation.call import Call
from litespan.instrumentation.call_end import to_failure
from litespan.instrumentation.options import unlogged
from litespan.instrumentation.remote_client import CLIENT_KEY, Client
from litespan.instrumentation.router_call import RouterCall
from litespan.instrumentation.session_events import Events
from litespan.instrumentation.signals import Live, Signals
from litespan.instrumentation.start import LOGGING, attach_logging
from litespan.instrumentation.state import CALL_KEY, OWNER, Outcome
from litespan.instrumentation.suppression import suppressed
from litespan.mapping.failures import Failure
from litespan.mapping.identity import identity_attributes
from litespan.mapping.realtime import CLOSED_NORMALLY
from litespan.mapping.request import Attributes, Request
from litespan.mapping.targets import Target
from litespan.objects import as_text


def open_session(
    target: Target, parameters: tuple[str, ...], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> "Session | None":
    """Start and return the session for one function call, or None if it has no span."""
    signals, ctx = Live.signals, otel_context.get_current()
    outer: Any = ctx.get(CALL_KEY)
    while outer is not None and outer.ended:
        outer = outer.parent
    nested = outer is None and signals is not None and signals.settings.suppress_nested
    if signals is None or suppressed(ctx, nested=nested) or isinstance(outer, (Call, Session)):
        return None
    request = Request(target, {**dict(zip(parameters, args, strict=False)), **kwargs})
    silent = unlogged(kwargs) or (outer is not None and outer.silent)
    session = Session(signals, request, silent=silent)
    session.parent = outer
    session.start(ctx if outer is None else outer.context)
    if kwargs.get(LOGGING) is not None:
        attach_logging(session, kwargs[LOGGING])
    return session


class Session(RouterCall):
    """One session. Like a router's span, its own has no operation, tokens or cost.

    Attributes:
        events: the events of the session.
        observed: whether the responses are in `events`. If LiteLLM makes HTTP calls for them,
            those have spans of their own.
    """

    __slots__ = (
        "_close_code",
        "_end",
        "_reason",
        "events",
        "observed",
        "parent",
    )

    def __init__(self, signals: Signals, request: Request, *, silent: bool) -> None:
        super().__init__(signals, request, silent=silent)
        self.parent: RouterCall | None = None
        self.observed = True
        self.events = Events(self)
        self._end: str | None = None
        self._close_code: int | None = None
        self._reason = ""

    def start(self, ctx: Context) -> None:
        """Start the span under `ctx`."""
        client: Any = ctx.get(CLIENT_KEY)
        if client is not None:
            client.called = True
        if self.parent is not None:
            self.parent.next_attempt()
        self.outer_call = None
        called = self.request.called
        attributes = {
            **identity_attributes(self.request, identity.current(ctx)),
            **{name: value for name, value in called.attributes.items() if name != s.OPERATION},
        }
        name = f"{s.SESSION_SPAN} {called.model}".strip()
        self.start_span(name, ctx, SpanKind.CLIENT, attributes)

    def next_attempt(self) -> int:
        """Count a response; each is the first attempt."""
        super().next_attempt()
        return 1

    def fallback_attributes(self, request: Request) -> Attributes:
        """Return none, because a response is never a fallback of another one."""
        return {}

    # --- end ------------------------------------------------------------------------

    def client_left(self, error: BaseException, *, receiving: bool) -> None:
        """Note that the client has closed the WebSocket, or its connection was cut.

        The server that fails to send does not know the client's code yet, and states 1006.
        """
        if isinstance(error, Exception):
            self._end = self._end or "client"
            if receiving and self._end == "client" and self._close_code is None:
                code = getattr(error, "code", None)
                self._close_code = code if isinstance(code, int) else None

    def provider_left(self) -> None:
        """Note that the provider has closed its WebSocket, or its connection was cut."""
        if self._end is None:
            self._end = "provider"
            self.events.end("dropped")

    def closed(self, code: Any, reason: Any) -> None:
        """Note that LiteLLM closes the client's WebSocket, after the provider's or an error."""
        if self._close_code is None and self._end != "client":
            self._close_code = code if isinstance(code, int) else None
            self._reason = reason if isinstance(reason, str) else ""
        if self._end is None:
            self._end = "provider" if code in CLOSED_NORMALLY else "error"

    def result(self, value: Any) -> Any:
        """End the session, whose function has returned `value`."""
        failure = None
        outcome: Outcome = "success"
        code = self._close_code
        if code is not None and code not in CLOSED_NORMALLY:
            if self._end == "client":
                outcome = "cancelled"
            else:
                error = {"type": f"websocket_{code}", "message": self._reason}
                outcome, failure = "failure", to_failure(self, error)
        self.events.end("cancelled" if self._end == "client" else "dropped")
        responses = self._attempts
        with suppress_errors("charging for the time of a session"):
            self.events.charge()
        self._attempts = responses
        self.end(outcome, failure)
        return value

    def fail(self, error: BaseException) -> None:
        """End the session with an exception, which propagates to the caller."""
        cancelled = isinstance(error, (asyncio.CancelledError, GeneratorExit))
        self._end = self._end or ("cancelled" if cancelled else "error")
        self.events.end("cancelled" if cancelled else "error", error)
        super().fail(error)

    def end(self, outcome: Outcome, failure: Failure | None = None) -> None:
        """End the span, once."""
        if self.ended:
            return
        self.failure = None  # that of a response
        client, logging = self.context.get(CLIENT_KEY), self.logging
        super().end(outcome, failure)
        if outcome == "failure":  # no exception may show it
            for above in (client, self.parent):
                if isinstance(above, (Client, RouterCall)):
                    above.failure = failure
        if logging is not None:
            setattr(logging, OWNER, None)

    def end_attributes(self, outcome: Outcome, failure: Failure | None) -> Attributes:
        """Return the attributes of a span that ends."""
        found = {
            s.CALL_ID: as_text(getattr(self.logging, "litellm_call_id", None)),
            s.SESSION_END: self._end or "error",
            s.SESSION_CLOSE_CODE: self._close_code,
            s.SESSION_RESPONSES: self._attempts,
            s.SESSION_INTERRUPTIONS: self.events.interruptions or None,
            s.SESSION_PROVIDER_ID: self.events.provider_id,
            s.RESPONSE_MODEL: self.events.model,
            s.OUTCOME: outcome,
            s.ERROR_TYPE: None if failure is None else failure.type,
        }
        return {name: value for name, value in found.items() if value is not None}
