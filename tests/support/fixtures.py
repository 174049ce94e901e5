"""Fixtures for every test: a provider, fresh telemetry, a collector."""

from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any

import pytest

from litespan.testing import LoopbackProvider, OtlpReceiver, Telemetry
from tests.support.conformance import MOST, undeclared


@pytest.fixture(autouse=True)
def conforming(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[None]:
    """All that a test has recorded or received follows the conventions, but for declared gaps."""
    made: list[Telemetry | OtlpReceiver] = []

    def remembering(init: Callable[[Any], None]) -> Callable[[Any], None]:
        @wraps(init)
        def remember(self: Any) -> None:
            init(self)
            made.append(self)

        return remember

    for cls in (Telemetry, OtlpReceiver):
        monkeypatch.setattr(cls, "__init__", remembering(cls.__init__))
    yield
    if request.node.get_closest_marker("breaks_spans"):
        return
    for each in made:
        exported = isinstance(each, OtlpReceiver)
        spans, logs = each.spans[:MOST], each.logs[:MOST]
        assert undeclared(spans, each.metrics[:MOST], logs, exported=exported) == set()


@pytest.fixture(scope="session")
def loopback() -> Iterator[LoopbackProvider]:
    """One provider for the whole run: tests distinguish their requests by their own address."""
    with LoopbackProvider() as provider:
        yield provider


@pytest.fixture
def telemetry() -> Telemetry:
    """Providers with fixed ids, and nothing recorded yet."""
    return Telemetry()


@pytest.fixture
def receiver() -> Iterator[OtlpReceiver]:
    """A collector with nothing received yet."""
    with OtlpReceiver() as receiver:
        yield receiver
