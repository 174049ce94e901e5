"""Programs of all kinds deliver as many calls as the page of recipes says."""

import pytest

from tests import recipes

pytestmark = pytest.mark.slow

ROWS = recipes.PAGE.read_text().splitlines()


@pytest.mark.parametrize("name", recipes.RECIPES)
def test_every_call_arrives(name: str) -> None:
    """All that the program has made, each once; the row is in the table."""
    row = recipes.row(name)
    made, arrived = row.split(" | ")[-2:]
    assert made == arrived.removesuffix(" |")
    assert row in ROWS
