"""Links between the pages of the repository, as GitHub resolves them."""

import re
from collections import Counter
from pathlib import Path

import pytest

from tests.docs.pages import PAGES, ROOT, name_of, prose

LINK = re.compile(r"\]\((?!\w+:)([^)#\s]*)(?:#([^)\s]+))?\)")
GENERATED = {ROOT / "docs/reference/exporters.md"}  # by scripts/site_hooks.py


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings; a repeated heading gets a number."""
    seen: Counter[str] = Counter()
    found = set()
    for heading in re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE):
        text = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")
        found.add(f"{slug}-{seen[slug]}" if seen[slug] else slug)
        seen[slug] += 1
    return found


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_of_a_page_leads_to_a_file_and_a_heading(page: Path) -> None:
    """Paths are relative to the page, and anchors are those of GitHub."""
    wrong = []
    for path, anchor in LINK.findall(prose(page)):
        target = (page.parent / path).resolve() if path else page
        if not target.is_file() and target not in GENERATED:
            wrong.append(f"{path}: no such file")
        elif anchor and anchor not in anchors(target):
            wrong.append(f"{path}#{anchor}: no such heading")
    assert wrong == []


def test_every_folder_of_the_source_is_explained() -> None:
    """The page on how it works has a row for each folder of src/litespan, and no other."""
    rows = re.findall(r"^\| `(\w+)` \|", (ROOT / "docs/how-it-works.md").read_text(), re.MULTILINE)
    assert sorted(rows) == sorted(
        path.parent.name for path in (ROOT / "src/litespan").glob("*/__init__.py")
    )


def test_every_make_target_that_a_page_names_exists() -> None:
    """In code, `make TARGET` is one of the Makefile's."""
    targets = set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for page in PAGES:
        named = re.findall(r"(?:^|`|&& )make ([a-z-]+)", page.read_text(), re.MULTILINE)
        assert set(named) <= targets, name_of(page)
