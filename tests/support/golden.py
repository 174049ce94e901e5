"""Golden files: `pytest --update-golden` writes them, every other run compares."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Golden = Callable[[Path, Any], None]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--update-golden`."""
    parser.addoption("--update-golden", action="store_true", help="write the golden files again")


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Golden:
    """`golden(path, value)`: the JSON file holds exactly that value."""
    update = request.config.getoption("--update-golden")

    def compare(path: Path, value: Any) -> None:
        text = json.dumps(value, indent=1, ensure_ascii=False, sort_keys=True) + "\n"
        if update:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        assert path.exists(), f"no {path.name}: run pytest --update-golden and read the result"
        assert json.loads(text) == json.loads(path.read_text(encoding="utf-8"))

    return compare
