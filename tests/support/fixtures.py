"""Fixtures for every test: a provider, fresh telemetry, a collector."""

from collections.abc import Iterator

import pytest

from litespan.testing import LoopbackProvider, OtlpReceiver, Telemetry


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
