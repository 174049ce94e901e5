"""The recipe "Add a vendor" of CONTRIBUTING.md, followed in a copy of the repository."""

import pytest

from scripts.count_recipe import follow, table
from tests.docs.pages import ROOT

pytestmark = pytest.mark.slow


def test_a_vendor_is_one_module_one_entry_point_and_one_page() -> None:
    """Everything else is generated, with at most six golden files; the page has the figures."""
    changes = follow()
    assert [change.path for change in changes if change.by_hand] == [
        "docs/exporters/acme.md",
        "exporters/litespan_exporters/acme.py",
        "pyproject.toml",
    ]
    generated = [change.path for change in changes if not change.by_hand]
    goldens = [path for path in generated if path.startswith("tests/exporters/golden/acme/")]
    assert len(goldens) <= 6
    assert {*generated} - {*goldens} == {"README.md", "docs/exporters/fields.md"}
    assert table(changes) in (ROOT / "docs/architecture.md").read_text()
