"""The context managers in which a LiteLLM function runs: a call, several, or none."""

from types import TracebackType
from typing import Any, Final

from opentelemetry import context as otel_context

from litespan.instrumentation.call import Call
from litespan.instrumentation.router_call import RouterCall
from litespan.instrumentation.state import OWNER
from litespan.instrumentation.stream import is_stream


class Untraced:
    """A call without a span; does nothing."""

    __slots__ = ()

    def __enter__(self) -> "Untraced":
        return self

    def __exit__(self, *details: object) -> None:
        return None

    def result(self, value: Any) -> Any:
        """Return `value` unchanged."""
        return value


UNTRACED: Final = Untraced()


class Translated(Untraced):
    """An inner call by which LiteLLM serves another API, such as Google's by a chat completion.

    Its answer has details of the usage that the translated one lacks, such as cached tokens.
    """

    __slots__ = ("_call",)

    def __init__(self, call: Call) -> None:
        self._call = call

    def result(self, value: Any) -> Any:
        """Return `value` unchanged."""
        self._call.whole = value
        logging = getattr(value, "logging_obj", None) if is_stream(value) else None
        if logging is not None:
            setattr(logging, OWNER, self._call)  # LiteLLM assembles the answer of a chat stream
        return value


class RetriedCall:
    """A router call with its first attempt: LiteLLM retries inside one function call."""

    __slots__ = ("_attempt", "_router")

    def __init__(self, router: RouterCall, attempt: Call) -> None:
        self._router = router
        self._attempt = attempt

    def __enter__(self) -> "RetriedCall":
        self._router.__enter__()
        self._attempt.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._attempt.__exit__(kind, error, trace)
        self._router.__exit__(kind, error, trace)

    def result(self, value: Any) -> Any:
        """Return what the caller receives for `value`."""
        return self._router.result(self._attempt.result(value))


class WithinRouter(Untraced):
    """Attaches the context of a router call to code that runs outside of it."""

    __slots__ = ("_router", "_token")

    def __init__(self, router: RouterCall) -> None:
        self._router = router

    def __enter__(self) -> "WithinRouter":
        self._token = otel_context.attach(self._router.context)
        return self

    def __exit__(self, *details: object) -> None:
        otel_context.detach(self._token)


AnyCall = Call | RouterCall | RetriedCall | Untraced
