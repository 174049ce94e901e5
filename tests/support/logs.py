"""Log lines that litespan writes once a process."""

import pytest

from litespan import errors


@pytest.fixture(autouse=True)
def fresh_logs(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is logged once, is logged once a test. Autouse where a conftest imports it."""
    monkeypatch.setattr(errors, "_seen", set())
