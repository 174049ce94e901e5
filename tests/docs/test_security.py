"""Every test that the page on security names exists, and each of its rows names one."""

import re
from pathlib import Path

from tests.docs.pages import ROOT

PAGE = (ROOT / "docs/security.md").read_text(encoding="utf-8")
NAMED = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE)


def test_every_test_that_the_page_names_exists() -> None:
    """If a test is renamed or removed, its protection would have no proof."""
    assert len(NAMED) > 40
    files = {file for file, _ in NAMED}
    there = {
        (file, name)
        for file in files
        if (path := Path(ROOT / file)).is_file()
        for name in re.findall(r"def (test_\w+)\(", path.read_text(encoding="utf-8"))
    }
    assert sorted(set(NAMED) - there) == []


def test_every_row_has_its_proof() -> None:
    """Each row of a table has a test."""
    rows = [line for line in PAGE.splitlines() if line.startswith("| ") and "| proof |" not in line]
    assert [row for row in rows if "`tests/" not in row] == []
