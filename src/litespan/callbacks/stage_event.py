"""The records that pass between a call, its queue and a handler."""

from datetime import datetime
from typing import Any, NamedTuple, Protocol

from litespan.callbacks.handler import StageName


class StageEvent(NamedTuple):
    """One stage of one call, as it waits in a queue.

    Unlike `litespan.instrumentation.stages.Stage` it has no reference to the call, and it serves
    calls that are known only by their span, too.

    Attributes:
        stage: its name in handlers' methods.
        time_ns: when it happened, ns since the epoch.
        attributes: the attributes of the stage's event.
        payload: see `litespan.instrumentation.stages.Stage`.
        details: LiteLLM's `model_call_details` at that time.
    """

    stage: StageName
    time_ns: int
    attributes: dict[str, Any]
    payload: Any
    details: dict[str, Any]


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
    def call_id(self) -> str:
        """LiteLLM's call id."""

    def keywords(self) -> dict[str, Any]:
        """The call's keyword arguments, copied for one handler."""

    def arguments(self, event: StageEvent) -> HandlerArguments:
        """The arguments for one stage."""


def local_time(time_ns: int) -> datetime:
    """`time_ns` (since the epoch) as a naive local datetime, as LiteLLM passes to callbacks."""
    return datetime.fromtimestamp(time_ns / 1e9)  # noqa: DTZ006
