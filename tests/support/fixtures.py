"""Fixtures for every test: a provider, fresh telemetry, a collector."""

from collections.abc import Iterator
from typing import Any

import pytest

from litespan.testing import LoopbackProvider, OtlpReceiver, Telemetry
from tests.support.conformance import MOST, undeclared


@pytest.fixture(autouse=True)
def conforming(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[None]:
    """All that a test has recorded or received follows the conventions, but for declared gaps."""
    made: list[Telemetry | OtlpReceiver] = []
    for cls in (Telemetry, OtlpReceiver):

        def remembering(self: Any, _init: Any = cls.__init__) -> None:
            _init(self)
            made.append(self)

        monkeypatch.setattr(cls, "__init__", remembering)
    yield
    if request.node.get_closest_marker("breaks_spans"):
        return
    for each in made:
        exported = isinstance(each, OtlpReceiver)
        spans, logs = each.spans[:MOST], each.logs[:MOST]
        assert undeclared(spans, each.metrics[:MOST], logs, exported=exported) == set()


@pytest.fixture(scope="session")
def loopback() -> Iterator[LoopbackProvider]:
    """One provider for the whole run: tests tell their requests apart by their own address."""
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
