"""LiteLLM's own OpenTelemetry callback is named, once, with the line that switches it off."""

import litellm
import pytest
from litellm.integrations.custom_logger import CustomLogger

from litespan import quiet
from tests.calls.conftest import Traced


class Own(CustomLogger):
    """Stands where LiteLLM puts its integration once it has made it from its name."""

    callback_name = "otel"


@pytest.mark.parametrize("callback", ["otel", Own()], ids=["name", "instance"])
def test_litellms_own(
    callback: object,
    traced: Traced,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Both spellings, whenever they were added; calls go on."""
    monkeypatch.setattr(quiet, "_seen", set())
    monkeypatch.setenv("OTEL_EXPORTER", "in_memory")
    litellm.completion(**traced.chat())
    monkeypatch.setattr(litellm, "success_callback", [callback])
    for _ in range(3):
        litellm.completion(**traced.chat())
    warned = [record.getMessage() for record in caplog.records if record.name == "litespan"]
    assert warned == [
        "LiteLLM's own 'otel' callback reports the same calls as litespan: each shows up twice. "
        "Remove 'otel' from litellm.success_callback"
    ]
    assert len(traced.spans) == 4
