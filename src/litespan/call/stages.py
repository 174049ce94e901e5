"""A stage: one moment of a call, told to whoever listens."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from litespan.call.live import Call


@dataclass(frozen=True, slots=True)
class Stage:
    """One moment of one call.

    Attributes:
        name: the event's name: `litellm.pre_api_call`, `litellm.post_api_call`,
            `litellm.stream_chunk`, `litellm.success` or `litellm.failure`.
        call: the call, still live or just ended.
        time_ns: when it happened, ns since the epoch.
        attributes: what the event says.
        payload: the answer (`Answer`) at success, the `Failure` at failure, the chunk itself
            at a chunk, else None.
    """

    name: str
    call: "Call"
    time_ns: int
    attributes: dict[str, Any]
    payload: Any = None


# Called on the caller's thread: must be quick, must not raise.
Listener = Callable[[Stage], None]
