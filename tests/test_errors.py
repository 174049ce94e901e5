"""Errors in telemetry are suppressed, counted, and logged once without their text."""

import pytest

import litespan
from litespan import errors


def test_an_error_is_logged_once_without_its_text(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The line has the place and the type, never the exception's text, which may have secrets."""
    monkeypatch.setattr(errors, "_seen", set())
    before = litespan.stats().get("errors.this test", 0)
    for _ in range(3):
        with errors.suppress_errors("this test"):
            raise ValueError("the secret prompt")
    (record,) = caplog.records
    assert record.getMessage().startswith("this test failed: ValueError (logged once")
    assert "test_errors.py" in record.getMessage()
    assert "secret prompt" not in caplog.text.replace('raise ValueError("the secret prompt")', "")
    assert litespan.stats()["errors.this test"] == before + 3


def test_base_exceptions_propagate() -> None:
    """Exits and interrupts are not suppressed."""
    with pytest.raises(KeyboardInterrupt), errors.suppress_errors("this test"):
        raise KeyboardInterrupt
