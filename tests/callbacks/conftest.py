"""LiteLLM, instrumented, on the loopback provider; and handlers that keep what they receive."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

import litespan
from tests.support.calls import quiet_litellm, traced
from tests.support.logs import fresh_logs

__all__ = ["Deliveries", "Delivery", "Keeper", "fresh_logs", "keeper", "quiet_litellm", "traced"]


@dataclass
class Delivery:
    """One call of a handler's method."""

    method: str
    model: str | None = None
    messages: Any = None
    kwargs: dict[str, Any] = field(default_factory=dict)
    response_obj: Any = None
    start_time: Any = None
    end_time: Any = None


class Deliveries(list[Delivery]):
    """What a handler received, in order."""

    @property
    def methods(self) -> list[str]:
        """The names of the methods that ran."""
        return [delivery.method for delivery in self]

    def of(self, call_id: str) -> list[str]:
        """Those that ran for one call."""
        return [t.method for t in self if t.kwargs["litellm_call_id"] == call_id]

    @property
    def calls(self) -> list["Deliveries"]:
        """The same call by call, by their start: only within a call an order is promised."""
        found: dict[str, Deliveries] = {}
        for delivery in sorted(self, key=lambda delivery: delivery.kwargs["start_time"]):
            found.setdefault(delivery.kwargs["litellm_call_id"], Deliveries()).append(delivery)
        return list(found.values())


class Keeper:
    """A handler with all sync methods. It need not inherit from anything."""

    def __init__(self) -> None:
        self.deliveries = Deliveries()

    def log_pre_api_call(self, model: str, messages: Any, kwargs: dict[str, Any]) -> None:
        self.deliveries.append(Delivery("pre", model, messages, dict(kwargs)))

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
        self.deliveries.append(Delivery(method, None, None, dict(kwargs), *rest))


@pytest.fixture
def keeper(traced: Any) -> Iterator[Keeper]:
    """A handler that receives everything; `litespan.flush` before you read `deliveries`."""
    made = Keeper()
    added = litespan.add_callback(made)
    try:
        yield made
    finally:
        added.remove()
