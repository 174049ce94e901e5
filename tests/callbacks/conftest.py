"""LiteLLM, instrumented, on the loopback provider; and handlers that keep what they are told."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

import litespan
from tests.support.calls import quiet_litellm, traced
from tests.support.logs import fresh_logs

__all__ = ["Heard", "Keeper", "Told", "fresh_logs", "keeper", "quiet_litellm", "traced"]


@dataclass
class Told:
    """One call of a handler's method."""

    method: str
    model: str | None = None
    messages: Any = None
    kwargs: dict[str, Any] = field(default_factory=dict)
    response_obj: Any = None
    start_time: Any = None
    end_time: Any = None


class Heard(list[Told]):
    """What a handler was told, in order."""

    @property
    def methods(self) -> list[str]:
        """The names of the methods that ran."""
        return [told.method for told in self]

    def of(self, call_id: str) -> list[str]:
        """Those that ran for one call."""
        return [t.method for t in self if t.kwargs["litellm_call_id"] == call_id]

    @property
    def calls(self) -> list["Heard"]:
        """The same call by call, by their start: only within a call an order is promised."""
        found: dict[str, Heard] = {}
        for told in sorted(self, key=lambda told: told.kwargs["start_time"]):
            found.setdefault(told.kwargs["litellm_call_id"], Heard()).append(told)
        return list(found.values())


class Keeper:
    """A handler with all sync methods. It need not inherit from anything."""

    def __init__(self) -> None:
        self.heard = Heard()

    def log_pre_api_call(self, model: str, messages: Any, kwargs: dict[str, Any]) -> None:
        self.heard.append(Told("pre", model, messages, dict(kwargs)))

    def log_post_api_call(
        self, kwargs: dict[str, Any], response_obj: Any, start_time: Any, end_time: Any
    ) -> None:
        self._keep("post", kwargs, response_obj, start_time, end_time)

    def log_stream_event(
        self, kwargs: dict[str, Any], response_obj: Any, start_time: Any, end_time: Any
    ) -> None:
        self._keep("stream", kwargs, response_obj, start_time, end_time)

    def log_success_event(
        self, kwargs: dict[str, Any], response_obj: Any, start_time: Any, end_time: Any
    ) -> None:
        self._keep("success", kwargs, response_obj, start_time, end_time)

    def log_failure_event(
        self, kwargs: dict[str, Any], response_obj: Any, start_time: Any, end_time: Any
    ) -> None:
        self._keep("failure", kwargs, response_obj, start_time, end_time)

    def _keep(self, method: str, kwargs: dict[str, Any], *rest: Any) -> None:
        self.heard.append(Told(method, None, None, dict(kwargs), *rest))


@pytest.fixture
def keeper(traced: Any) -> Iterator[Keeper]:
    """A handler that is told everything; `litespan.flush` before looking at `heard`."""
    made = Keeper()
    added = litespan.add_callback(made)
    try:
        yield made
    finally:
        added.remove()
