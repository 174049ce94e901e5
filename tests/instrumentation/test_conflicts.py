"""LiteLLM's own OpenTelemetry callback is named, once, with the line that switches it off."""

import litellm
import pytest

from litespan import errors
from tests.support.calls import Traced


def test_litellms_own_opentelemetry_callback_is_named_once(
    traced: Traced,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """LiteLLM puts its integration in place of the name; calls go on."""
    monkeypatch.setattr(errors, "_seen", set())
    monkeypatch.setenv("OTEL_EXPORTER", "in_memory")
    litellm.completion(**traced.chat())
    monkeypatch.setattr(litellm, "success_callback", ["otel"])
    for _ in range(3):
        litellm.completion(**traced.chat())
    warned = [record.getMessage() for record in caplog.records if record.name == "litespan"]
    line = (
        "LiteLLM's own 'otel' callback reports the same calls as litespan, so each call appears "
        "twice. Remove 'otel' from litellm.callbacks and litellm.success_callback"
    )
    assert warned == [line]
    assert len(traced.spans) == 4
