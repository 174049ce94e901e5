"""A call as a handler sees it, and the end of a call on disk."""

from datetime import datetime
from typing import Any, NamedTuple, Protocol

from opentelemetry.sdk.trace import ReadableSpan

from litespan.instrumentation.stages import Stage


class HandlerArguments(NamedTuple):
    """The arguments of a handler's method, except for the call's own keywords."""

    added: dict[str, Any]  # merged into `kwargs`
    parameters: dict[str, Any]  # merged into `kwargs["litellm_params"]`
    response_obj: Any
    start_time: datetime
    end_time: datetime


class View(Protocol):
    """One call as its handlers see it. Read on the dispatcher's threads."""

    @property
    def asynchronous(self) -> bool:
        """Whether it is an async call."""

    @property
    def call_id(self) -> str:
        """LiteLLM's call id."""

    def keywords(self) -> dict[str, Any]:
        """The call's keyword arguments, copied for one handler."""

    def arguments(self, stage: Stage) -> HandlerArguments:
        """The arguments for one stage."""


class Receipt(Protocol):
    """The end of a call that is kept on disk until a handler has received it."""

    @property
    def facts(self) -> dict[str, Any]:
        """`kwargs["litespan"]`: the call's key, and whether it is delivered late."""

    def delivered(self) -> None:
        """The handler has received it."""


class Keeper(Protocol):
    """Keeps the ends of calls of one handler on disk."""

    def keep(self, span: ReadableSpan) -> Receipt:
        """Keep the end of a call whose span ends now. Runs on the caller's thread."""

    def close(self, until: float) -> None:
        """Write what was kept, until `until` (monotonic, s), and keep no more."""

    def close_soon(self) -> None:
        """The same without waiting."""


def local_time(time_ns: int) -> datetime:
    """`time_ns` (since the epoch) as a naive local datetime, as LiteLLM passes to callbacks."""
    return datetime.fromtimestamp(time_ns / 1e9)  # noqa: DTZ006
