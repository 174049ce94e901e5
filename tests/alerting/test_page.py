"""The page on alerting matches the code."""

from pathlib import Path

from litespan.alerting.rules import NAMES
from tests.alerting.test_destinations import DESTINATIONS

PAGE = (Path(__file__).parents[2] / "docs" / "alerting.md").read_text()


def test_the_page_has_every_rule_and_destination() -> None:
    """By name, with the variables of each."""
    assert [name for name in NAMES if f"`{name}`" not in PAGE] == []
    for name, cls in DESTINATIONS.items():
        assert f"| `{name}` |" in PAGE
        for variable in (*cls.variables.keys, *cls.variables.url):
            assert f"`{variable}`" in PAGE
