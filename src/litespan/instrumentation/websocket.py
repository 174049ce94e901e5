"""The wrapper of LiteLLM's functions that run a WebSocket session.

LiteLLM passes events between two WebSockets. The session reads them where LiteLLM receives and
sends them: at the client's WebSocket, an argument of the function.
"""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import wrapt

from litespan.errors import record_error
from litespan.instrumentation.session import Session, open_session
from litespan.instrumentation.state import current
from litespan.instrumentation.wrappers import (
    Args,
    Guarded,
    Kwargs,
    Wrapper,
    positional_parameters,
)
from litespan.mapping.targets import Target

if TYPE_CHECKING:
    _Proxy = wrapt.ObjectProxy[Any]
else:
    _Proxy = wrapt.ObjectProxy

_WEBSOCKET = "websocket"


def wrap_session(target: Target, function: Any) -> Any:
    """Wrap the async `function` to record its session."""
    parameters = positional_parameters(function)

    async def driver(wrapped: Any, _instance: Any, args: Args, kwargs: Kwargs) -> Any:
        session: Session | None = None
        try:
            session = open_session(target, tuple(parameters), args, kwargs)
            if session is not None:
                args, kwargs = _observed(session, parameters, args, kwargs)
        except Exception as problem:  # noqa: BLE001 - the session proceeds without a span
            record_error("starting a session", problem)
        if session is None:
            return await wrapped(*args, **kwargs)
        call = Guarded(lambda *_: session, args, kwargs)
        try:
            value = await wrapped(*args, **kwargs)
        except BaseException as error:
            call.fail(error)
            raise
        return call.finish(value)

    return Wrapper(function, driver)


def _observed(session: Session, parameters: Any, args: Args, kwargs: Kwargs) -> tuple[Args, Kwargs]:
    """The arguments, with the client's WebSocket observed by `session`."""
    if kwargs.get(_WEBSOCKET) is not None:
        return args, {**kwargs, _WEBSOCKET: Observed(kwargs[_WEBSOCKET], session)}
    place = parameters.index(_WEBSOCKET) if _WEBSOCKET in parameters else len(args)
    if place >= len(args):
        return args, kwargs
    return (*args[:place], Observed(args[place], session), *args[place + 1 :]), kwargs


class Observed(_Proxy):
    """A client's WebSocket whose events a session reads. `isinstance` sees the wrapped class."""

    def __init__(self, wrapped: Any, session: Session) -> None:
        super().__init__(wrapped)
        self._self_session = session

    async def receive_text(self, *args: Any, **kwargs: Any) -> Any:
        """Receive an event of the client."""
        try:
            message = await self.__wrapped__.receive_text(*args, **kwargs)
        except BaseException as error:
            _note(partial(self._self_session.client_left, receiving=True), error)
            raise
        self._self_read("client_sent", message)
        return message

    async def send_text(self, data: Any, *args: Any, **kwargs: Any) -> Any:
        """Send an event to the client."""
        self._self_read("provider_sent", data)
        try:
            return await self.__wrapped__.send_text(data, *args, **kwargs)
        except BaseException as error:
            _note(partial(self._self_session.client_left, receiving=False), error)
            raise

    async def close(self, *args: Any, **kwargs: Any) -> Any:
        """Close the client's WebSocket."""
        given = {**dict(zip(("code", "reason"), args, strict=False)), **kwargs}
        _note(self._self_session.closed, given.get("code", 1000), given.get("reason"))
        return await self.__wrapped__.close(*args, **kwargs)

    def _self_read(self, name: str, message: Any) -> None:
        session = self._self_session
        if session.observed and not session.ended:
            _note(getattr(session.events, name), message)

    def __copy__(self) -> Any:
        return self

    def __deepcopy__(self, _memo: Any) -> Any:
        return self


def _note(read: Callable[..., None], *values: Any) -> None:
    try:
        read(*values)
    except Exception as problem:  # noqa: BLE001 - the session proceeds
        record_error("reading an event of a session", problem)


def responses_are_calls(wrapped: Any, args: Args, kwargs: Kwargs) -> tuple[Any, Args, Kwargs]:
    """LiteLLM answers the session's events by HTTP calls, which have spans of their own."""
    session = current()
    if isinstance(session, Session):
        session.observed = False
    return wrapped, args, kwargs


def provider_connection(wrapped: Any, args: Args, kwargs: Kwargs) -> tuple[Any, Args, Kwargs]:
    """LiteLLM reads the provider's events until that connection ends.

    It does not close the client's WebSocket then. Its proxy has received the first event already.
    """

    async def until_closed(*inner: Any, **named: Any) -> Any:
        session = current()
        if not isinstance(session, Session):
            return await wrapped(*inner, **named)
        _note(session.events.client_sent, session.request.arguments.get("first_message"))
        result = await wrapped(*inner, **named)
        _note(session.provider_left)
        return result

    return until_closed, args, kwargs
