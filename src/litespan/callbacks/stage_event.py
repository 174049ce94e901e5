"""What travels from the caller's thread to a handler."""

from datetime import datetime
from typing import Any, NamedTuple, Protocol

from litespan.callbacks.handler import StageName


class StageEvent(NamedTuple):
    """One stage of one call, on its way.

    Attributes:
        stage: which one.
        time_ns: when it happened, ns since the epoch.
        attributes: what its event says.
        payload: as of `litespan.instrumentation.stages.Stage`.
        details: what LiteLLM knew of the call by then.
    """

    stage: StageName
    time_ns: int
    attributes: dict[str, Any]
    payload: Any
    details: dict[str, Any]


class HandlerArguments(NamedTuple):
    """What a handler is shown at one stage, beside the call's keywords."""

    added: dict[str, Any]  # to the keywords
    parameters: dict[str, Any]  # to the keywords' `litellm_params`
    response_obj: Any
    start_time: datetime
    end_time: datetime


class View(Protocol):
    """One call as its handlers see it. Read on delivery threads."""

    @property
    def call_id(self) -> str:
        """LiteLLM's id of the call."""

    def keywords(self) -> dict[str, Any]:
        """The keywords of the call, in containers of the handler's own."""

    def show(self, event: StageEvent) -> HandlerArguments:
        """What there is to see at one stage."""


def local_time(time_ns: int) -> datetime:
    """A naive local datetime, as LiteLLM gives them to callbacks."""
    return datetime.fromtimestamp(time_ns / 1e9)  # noqa: DTZ006
