"""The pytest fixtures: typed calls of the test alone, whatever the program has set up."""

import os
import subprocess
import sys
from collections.abc import Iterator

import litellm
import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import litespan
from litespan import LiteLLMInstrumentor
from litespan.instrumentation.signals import Live
from litespan.testing import Calls, LoopbackProvider, Telemetry

HI = [{"role": "user", "content": "Hi"}]
BESIDE = """
import sys
import litespan.testing
import litespan.testing.fixtures as fixtures
assert "litellm" not in sys.modules
"""


@pytest.fixture
def instrumented(telemetry: Telemetry) -> Iterator[Telemetry]:
    """A program that has instrumented LiteLLM, with a redactor, before the test starts."""
    LiteLLMInstrumentor().instrument(
        **telemetry.providers, redact=lambda key, value, attributes: None
    )
    before = Live.signals
    yield telemetry
    assert Live.signals is before  # `litespan_calls` has put it back
    LiteLLMInstrumentor().uninstrument()


@pytest.fixture
def disabled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Variables that switch telemetry off for a test suite."""
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_off")


def call(provider: LoopbackProvider, **behaviour: object) -> None:
    """One call."""
    url = provider.url_for(**behaviour)
    litellm.completion("gpt-4o-mini", HI, api_key="none", api_base=url, max_retries=0, user="ann")


def test_a_call_is_typed(litespan_provider: LoopbackProvider, litespan_calls: Calls) -> None:
    """Model, user, tokens, cost, messages and outcome, with a readable repr."""
    assert list(litespan_calls) == []
    call(litespan_provider)
    (found,) = litespan_calls
    assert (found.request.model, found.identity.user) == ("gpt-4o-mini", "ann")
    assert (found.usage.input, found.usage.output) == (20, 10)
    assert found.cost.total == pytest.approx(9e-06)
    assert [message.text for message in found.input_messages or ()] == ["Hi"]
    assert repr(litespan_calls) == "<calls: ['chat gpt-4o-mini: success']>"
    assert [span["name"] for span in litespan_calls.telemetry.spans] == ["chat gpt-4o-mini"]
    litespan_calls.clear()
    assert len(litespan_calls) == 0


def test_failed_calls_are_in_the_sequence(
    litespan_provider: LoopbackProvider, litespan_calls: Calls
) -> None:
    """In order, each with its error."""
    call(litespan_provider)
    with pytest.raises(litellm.RateLimitError):
        call(litespan_provider, status=429)
    assert [found.call.outcome for found in litespan_calls] == ["success", "failure"]
    error = litespan_calls[-1].error
    assert error is not None
    assert (error.type, error.code) == ("RateLimitError", 429)


def test_the_programs_instrumentation_is_restored(
    instrumented: Telemetry, litespan_provider: LoopbackProvider, litespan_calls: Calls
) -> None:
    """The test's calls do not reach the program's exporters; its redactor applies."""
    call(litespan_provider)
    (found,) = litespan_calls
    assert found.input_messages is None
    assert instrumented.spans == []


def test_a_program_may_start_litespan_in_a_test(
    litespan_provider: LoopbackProvider, litespan_calls: Calls
) -> None:
    """`litespan.start` in the application's start-up code has no lasting effect."""
    with litespan.start(InMemorySpanExporter()):
        call(litespan_provider)
    assert len(litespan_calls) == 1


def test_the_fixture_works_if_the_sdk_is_disabled(
    disabled: None, litespan_provider: LoopbackProvider, litespan_calls: Calls
) -> None:
    """Only for the fixture's own provider."""
    call(litespan_provider)
    assert len(litespan_calls) == 1
    assert os.environ["OTEL_SDK_DISABLED"] == "true"


def test_litellm_is_not_instrumented_after_the_tests() -> None:
    """After the tests above, nothing is instrumented."""
    assert Live.signals is None
    assert not LiteLLMInstrumentor().is_instrumented_by_opentelemetry


def test_the_fixtures_do_not_import_litellm() -> None:
    """So a test run without calls starts as fast as before."""
    subprocess.run([sys.executable, "-c", BESIDE], check=True)
