"""Errors in telemetry are suppressed, counted, and logged once without their text."""

import logging

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


class Broken(logging.Handler):
    """A log handler of the application that raises."""

    def emit(self, record: logging.LogRecord) -> None:
        """As if its log server was gone."""
        raise ConnectionError(record.levelname)


def test_an_error_of_a_log_handler_does_not_reach_the_application(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A call must not fail because its warning cannot be written."""
    monkeypatch.setattr(errors, "_seen", set())
    broken = Broken()
    errors.logger.addHandler(broken)
    try:
        with pytest.raises(ConnectionError):
            errors.logger.warning("the handler works as intended")
        errors.log_once("this test", "a warning")
        with errors.suppress_errors("this test"):
            raise ValueError
    finally:
        errors.logger.removeHandler(broken)


def test_base_exceptions_propagate() -> None:
    """Exits and interrupts are not suppressed."""
    with pytest.raises(KeyboardInterrupt), errors.suppress_errors("this test"):
        raise KeyboardInterrupt
