"""The page on alerting says what the code does."""

import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from litespan.alerting import Thresholds
from litespan.alerting.rules import NAMES
from tests.alerting.test_destinations import DESTINATIONS

PAGE = (Path(__file__).parents[2] / "docs" / "alerting.md").read_text()


def shown(default: Any) -> str:
    """A default as the page has it."""
    if default is None:
        return "off"
    if isinstance(default, bool):
        return str(default).lower()
    return default if isinstance(default, str) else f"{default:g}"


@pytest.mark.parametrize("row", fields(Thresholds), ids=lambda row: row.name)
def test_every_threshold(row: Any) -> None:
    """Each has its row, with its default and what it means."""
    default = f"`{text}`" if (text := shown(row.default)) else ""
    assert f"| `{row.metadata['env']}` | {default} | {row.metadata['about']} |" in PAGE


def test_nothing_that_does_not_exist() -> None:
    """Every row is a threshold."""
    rows = set(re.findall(r"^\| `(LITESPAN_ALERTS_\w+)` \|", PAGE, re.MULTILINE))
    assert rows == {row.metadata["env"] for row in fields(Thresholds)}


def test_every_rule_and_destination() -> None:
    """By name, with the variables of each."""
    assert [name for name in NAMES if f"`{name}`" not in PAGE] == []
    for name, cls in DESTINATIONS.items():
        assert f"| `{name}` |" in PAGE
        for variable in (*cls.variables.keys, *cls.variables.url):
            assert f"`{variable}`" in PAGE
