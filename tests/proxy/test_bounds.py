"""Exporters of teams are bounded in number, closed when idle, and new in a forked child."""

import os
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from opentelemetry import context as otel_context
from opentelemetry.sdk.trace import TracerProvider

from litespan import LiteLLMInstrumentor
from litespan.counters import stats
from litespan.instrumentation.remote_client import CLIENT_KEY, Client
from litespan.proxy.teams import TeamExporters
from litespan.testing import LoopbackProvider
from tests.proxy.running import until
from tests.support.hostile import ESCAPE
from tests.support.server import Reply, Vendor, running


@pytest.fixture
def langfuse() -> Iterator[Vendor]:
    """A Langfuse that takes everything."""
    with running(lambda _: Reply(207, b'{"successes": [], "errors": []}')) as vendor:
        yield vendor


def call(
    loopback: LoopbackProvider, langfuse: Vendor, teams: TeamExporters, team: str, **more: str
) -> None:
    """A call as the proxy makes it for a team."""
    import litellm

    own = {"public_key": f"pk-lf-{team}", "secret_key": "sk-lf", "base_url": langfuse.url, **more}
    client = Client()
    client.team = teams.settings_of(SimpleNamespace(team_metadata={"litespan": {"langfuse": own}}))
    token = otel_context.attach(otel_context.set_value(CLIENT_KEY, client))
    try:
        litellm.completion(
            "openai/gpt-4o-mini",
            [{"role": "user", "content": "Hi"}],
            api_base=loopback.url,
            api_key="sk-x",
            metadata={"user_api_key_hash": team},
            proxy_server_request={"body": {}},
        )
    finally:
        otel_context.detach(token)


@pytest.fixture
def provider(langfuse: Vendor, monkeypatch: pytest.MonkeyPatch) -> Iterator[TracerProvider]:
    """A tracer provider that LiteLLM's calls go to; the operator allows the teams' host."""
    monkeypatch.setenv("LITESPAN_TEAM_HOSTS", langfuse.url.partition("://")[2])
    tracers = TracerProvider()
    LiteLLMInstrumentor().instrument(tracer_provider=tracers)
    try:
        yield tracers
    finally:
        LiteLLMInstrumentor().uninstrument()
        tracers.shutdown()


def test_the_number_of_team_exporters_is_bounded_and_no_call_is_lost(
    loopback: LoopbackProvider, langfuse: Vendor, provider: TracerProvider
) -> None:
    """The least recently used exporter delivers its calls and is closed."""
    teams = TeamExporters(most=2)
    provider.add_span_processor(teams)
    for name in ("a", "b", "a", "c", "d"):
        call(loopback, langfuse, teams, name)
        assert len(teams._open) <= 2
    provider.force_flush()
    until(lambda: sum(r.body.count(b"chat gpt-4o-mini") for r in langfuse.received) >= 5, "calls")
    assert stats()["proxy.teams.evicted"] >= 2


def test_idle_team_exporters_are_closed(
    loopback: LoopbackProvider, langfuse: Vendor, provider: TracerProvider
) -> None:
    """It delivers its calls first; the next call opens it again."""
    teams = TeamExporters(idle=0.2)
    provider.add_span_processor(teams)
    for _ in range(2):
        call(loopback, langfuse, teams, "a")
        until(lambda: len(teams._open) == 0, "closing")
    until(lambda: sum(r.body.count(b"chat gpt-4o-mini") for r in langfuse.received) >= 2, "calls")


def test_a_forked_child_has_no_team_exporters_of_its_parent(
    loopback: LoopbackProvider, langfuse: Vendor, provider: TracerProvider
) -> None:
    """A child has none of its parent's exporters."""
    teams = TeamExporters()
    provider.add_span_processor(teams)
    call(loopback, langfuse, teams, "a")
    assert len(teams._open) == 1
    child = os.fork()
    if child == 0:
        os._exit(len(teams._open))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert len(teams._open) == 1


def test_a_flush_reaches_every_team(
    loopback: LoopbackProvider, langfuse: Vendor, provider: TracerProvider
) -> None:
    """Also if the exporter of one team is closed at that moment."""
    teams = TeamExporters()
    provider.add_span_processor(teams)
    before = len(langfuse.received)
    for name in ("closed", "a"):
        call(loopback, langfuse, teams, name)
    next(iter(teams._open.values()))[0].shutdown()
    assert not teams.force_flush()
    assert len({request.headers["authorization"] for request in langfuse.received[before:]}) == 2


def test_a_teams_settings_are_one_line_of_plain_text(
    loopback: LoopbackProvider,
    langfuse: Vendor,
    provider: TracerProvider,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A name with line breaks and escape sequences neither forges a line nor acts on a terminal."""
    teams = TeamExporters()
    provider.add_span_processor(teams)
    call(loopback, langfuse, teams, "a", **{f"x\nERROR: all is lost{ESCAPE}": "1"})
    (line,) = [text for text in caplog.messages if "it does not take x ERROR" in text]
    assert line.isprintable()
