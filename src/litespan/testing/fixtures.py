"""Fixtures for pytest: `pytest_plugins = ["litespan.testing.fixtures"]` in conftest.py.

Nothing else in litespan imports pytest. There is no entry point, because pytest would then import
OpenTelemetry at the start of every run.
"""

import os
from collections.abc import Iterator
from dataclasses import replace

import pytest

from litespan.instrumentation.signals import Live, Signals
from litespan.instrumentor import LiteLLMInstrumentor
from litespan.settings import CONTENT
from litespan.testing.calls import Calls
from litespan.testing.provider import LoopbackProvider
from litespan.testing.telemetry import Telemetry


@pytest.fixture(scope="session")
def litespan_provider() -> Iterator[LoopbackProvider]:
    """A provider on 127.0.0.1 that answers LiteLLM's requests."""
    with LoopbackProvider() as provider:
        yield provider


@pytest.fixture
def litespan_calls() -> Iterator[Calls]:
    """The finished LiteLLM calls of this test.

    LiteLLM is instrumented for the test. If it is instrumented already, the test's calls are
    recorded here instead of in the program's own destinations, with its settings and redactor.
    Messages are recorded unless OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT is set.
    """
    with pytest.MonkeyPatch.context() as patch:  # often set for tests; the fixture means it
        patch.delenv("OTEL_SDK_DISABLED", raising=False)
        patch.delenv("OTEL_TRACES_SAMPLER", raising=False)
        telemetry = Telemetry()
    instrumentor, before = LiteLLMInstrumentor(), Live.signals
    if before is None:
        instrumentor.instrument(**telemetry.providers)
    else:
        Live.signals = Signals(before.settings, **telemetry.providers, redactor=before.redactor)
    if Live.signals is not None and not os.environ.get(CONTENT):
        Live.signals.settings = replace(Live.signals.settings, content="SPAN_ONLY")
    yield Calls(telemetry)
    if before is not None:
        Live.signals = before
    elif instrumentor.is_instrumented_by_opentelemetry:
        instrumentor.uninstrument()
