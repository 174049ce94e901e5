"""LiteLLM's own OpenTelemetry callback is reported once, with the line that turns it off."""

from types import SimpleNamespace

import litellm
import pytest
from opentelemetry import metrics, trace
from opentelemetry.metrics._internal import _ProxyMeterProvider

from litespan import LiteLLMInstrumentor, add_callback, errors
from litespan.instrumentation import conflicts
from tests.support.calls import Traced


@pytest.mark.breaks_spans  # LiteLLM's integration writes attributes of its own
def test_litellms_own_opentelemetry_callback_is_reported_once(
    traced: Traced,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """LiteLLM replaces the name with its integration; calls continue."""
    monkeypatch.setattr(errors, "_seen", set())
    monkeypatch.setenv("OTEL_EXPORTER", "in_memory")
    litellm.completion(**traced.chat())
    monkeypatch.setattr(litellm, "success_callback", ["otel"])
    for _ in range(3):
        litellm.completion(**traced.chat())
    warned = [record.getMessage() for record in caplog.records if record.name == "litespan"]
    line = (
        "LiteLLM's own 'otel' callback reports the same calls as litespan, so each call appears "
        "twice where both send. Use litespan's exporter otlp, and remove 'otel' from "
        "litellm.callbacks and litellm.success_callback"
    )
    assert warned == [line]
    assert len(traced.spans) == 4


@pytest.mark.parametrize("name", ["arize", "arize_phoenix", "wandb"])
def test_a_callback_that_litespan_does_not_replace_is_not_reported(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    """If the user removed it, its data would be lost."""
    conflicts.check_callbacks(SimpleNamespace(callbacks=[name]))
    assert [record for record in caplog.records if record.name == "litespan"] == []


@pytest.mark.parametrize("handled", [False, True])
def test_calls_without_a_receiver_are_reported_once(
    handled: bool,
    traced: Traced,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """`instrument()` without a provider logs it at the first call, unless there is a handler."""
    monkeypatch.setattr(errors, "_seen", set())
    monkeypatch.setattr(trace, "get_tracer_provider", trace.ProxyTracerProvider)
    monkeypatch.setattr(metrics, "get_meter_provider", _ProxyMeterProvider)
    instrumentor = LiteLLMInstrumentor()
    instrumentor.uninstrument()
    instrumentor.instrument()
    added = add_callback(SimpleNamespace(log_success_event=print_nothing)) if handled else None
    for _ in range(2):
        litellm.completion(**traced.chat())
    if added is not None:
        added.remove()
    lines = [record.getMessage() for record in caplog.records if record.name == "litespan"]
    assert sum("call litespan.start()" in line for line in lines) == (0 if handled else 1)


def print_nothing(
    kwargs: object, response_obj: object, start_time: object, end_time: object
) -> None:
    """A handler's method."""
