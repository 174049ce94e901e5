"""Exporters of teams are bounded in number, closed when idle, and new in a forked child."""

import os
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider

from litespan import LiteLLMInstrumentor
from litespan.counters import stats
from litespan.proxy.teams import TeamExporters
from litespan.testing import LoopbackProvider
from tests.proxy.running import until
from tests.support.server import Reply, Vendor, running


@pytest.fixture
def langfuse() -> Iterator[Vendor]:
    """A Langfuse that takes everything."""
    with running(lambda _: Reply(207, b'{"successes": [], "errors": []}')) as vendor:
        yield vendor


def call(loopback: LoopbackProvider, langfuse: Vendor, team: str) -> None:
    """A call as the proxy makes it for a team."""
    import litellm

    own = {"public_key": f"pk-lf-{team}", "secret_key": "sk-lf", "base_url": langfuse.url}
    metadata: dict[str, Any] = {
        "user_api_key_hash": team,
        "user_api_key_team_metadata": {"litespan": {"langfuse": own}},
    }
    litellm.completion(
        "openai/gpt-4o-mini",
        [{"role": "user", "content": "Hi"}],
        api_base=loopback.url,
        api_key="sk-x",
        metadata=metadata,
        proxy_server_request={"body": {}},
    )


@pytest.fixture
def provider() -> Iterator[TracerProvider]:
    """A tracer provider that LiteLLM's calls go to."""
    tracers = TracerProvider()
    LiteLLMInstrumentor().instrument(tracer_provider=tracers)
    try:
        yield tracers
    finally:
        LiteLLMInstrumentor().uninstrument()
        tracers.shutdown()


def test_number_is_bounded_and_nothing_is_lost(
    loopback: LoopbackProvider, langfuse: Vendor, provider: TracerProvider
) -> None:
    """The least recently used exporter makes room, and delivers what it has."""
    teams = TeamExporters(most=2)
    provider.add_span_processor(teams)
    for name in ("a", "b", "a", "c", "d"):
        call(loopback, langfuse, name)
        assert teams.open <= 2
    provider.force_flush()
    until(lambda: sum(r.body.count(b"chat gpt-4o-mini") for r in langfuse.received) >= 5, "calls")
    assert stats()["proxy.teams.evicted"] >= 2


def test_idle_ones_are_closed(
    loopback: LoopbackProvider, langfuse: Vendor, provider: TracerProvider
) -> None:
    """After some time without a call, having delivered it; the next call opens it again."""
    teams = TeamExporters(idle=0.2)
    provider.add_span_processor(teams)
    for _ in range(2):
        call(loopback, langfuse, "a")
        until(lambda: teams.open == 0, "closing")
    until(lambda: sum(r.body.count(b"chat gpt-4o-mini") for r in langfuse.received) >= 2, "calls")


def test_a_fork_starts_anew(
    loopback: LoopbackProvider, langfuse: Vendor, provider: TracerProvider
) -> None:
    """A child has none of its parent's exporters."""
    teams = TeamExporters()
    provider.add_span_processor(teams)
    call(loopback, langfuse, "a")
    assert teams.open == 1
    child = os.fork()
    if child == 0:
        os._exit(teams.open)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert teams.open == 1
