"""LiteLLM on the loopback provider, with other instrumentations switched on one by one."""

import itertools
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from litespan import LiteLLMInstrumentor, errors
from litespan.testing import LoopbackProvider, Telemetry
from tests.support.calls import Traced

_keys = itertools.count()


class Beside(Traced):
    """LiteLLM traced by litespan, and by the other instrumentations that a test enables."""

    def __init__(self, provider: LoopbackProvider, telemetry: Telemetry, stack: ExitStack) -> None:
        super().__init__(provider, telemetry)
        self._stack = stack

    def to(self, **behaviour: Any) -> dict[str, Any]:
        """As ever, with a key of its own: LiteLLM keeps a client per key, instrumented or not."""
        return {**super().to(**behaviour), "api_key": f"key-{next(_keys)}"}

    def switch_on(self, instrumentor: object) -> None:
        """Instrument until the end of the test; litespan comes last, as its name does."""
        providers = {"tracer_provider": self.telemetry.tracer_provider}
        instrumentor.instrument(**providers)  # type: ignore[attr-defined]
        self._stack.callback(instrumentor.uninstrument)  # type: ignore[attr-defined]

    def start(self) -> None:
        """Switch litespan on."""
        litespan = LiteLLMInstrumentor()
        litespan.instrument(**self.telemetry.providers)
        self._stack.callback(litespan.uninstrument)


@pytest.fixture
def beside(loopback: LoopbackProvider, telemetry: Telemetry) -> Iterator[Beside]:
    """A call's surroundings; nothing is instrumented yet, and nothing warned about yet."""
    errors._seen.clear()
    with ExitStack() as stack:
        yield Beside(loopback, telemetry, stack)
