"""MkDocs hooks that make links between files of the repository work on the site.

`docs/` is the root of the site. A linked file outside of it is copied to the same path below that
root, and links to it are rewritten. Links to `README.md` lead to the entry page.
"""

import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from scripts import docs_tables

ROOT = Path(__file__).parents[1]
OUTSIDE = (
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "collector-config.yaml",
    "examples/callbacks/README.md",
)
"""Pages of the site outside of docs/, and files that included parts of README.md link to."""
LINK = re.compile(r"(?<=\]\()(?!\w+:|#)([^)#\s]+)")
INCLUDE = re.compile(r'^--8<-- "README\.md:(\w+)"$', re.MULTILINE)
FENCE = re.compile(r"(^```.*?^```)", re.MULTILINE | re.DOTALL)


def on_config(config: MkDocsConfig) -> None:
    """Add every page of docs/exporters/ that is not in `nav` to the list of services."""
    destinations = next(section for section in config.nav or [] if "Destinations" in section)
    services = next(entry for entry in destinations["Destinations"] if "Services" in entry)
    services["Services"] = [
        f"exporters/{page.name}"
        for page in sorted((ROOT / "docs/exporters").glob("*.md"))
        if f"exporters/{page.name}" not in destinations["Destinations"]
    ]


def on_files(files: Files, config: MkDocsConfig) -> None:
    """Add the reference of exporter classes, and the pages outside of docs/."""
    reference = "reference/exporters.md"
    files.append(File.generated(config, reference, content=exporter_reference()))
    for path in OUTSIDE:
        files.append(File.generated(config, path, abs_src_path=str(ROOT / path)))


def exporter_reference() -> str:
    """The API reference of all exporters with an entry point."""
    text = "# litespan_exporters\n\n"
    text += "How to configure them without code: [Destinations](../exporters/README.md).\n"
    for kind, classes in docs_tables.exporters().items():
        text += f"\n## {kind}\n"
        for cls in classes.values():
            if docs_tables.is_preset(cls):  # one class, in docs/exporters/presets.md
                continue
            text += f"\n::: {cls.__module__}.{cls.__qualname__}\n"
            text += "    options: {heading_level: 3, members: false}\n"
    return text


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Rewrite the links of one page, and copy linked files outside of docs/."""
    source = page.file.src_uri
    here = posixpath.dirname(source if source in OUTSIDE else f"docs/{source}")

    def rewrite(link: re.Match[str]) -> str:
        path = posixpath.normpath(posixpath.join(here, link[1]))
        target = "index.md" if path == "README.md" else path.removeprefix("docs/")
        if target == path and path not in files.src_uris and (ROOT / path).is_file():
            files.append(File.generated(config, path, abs_src_path=str(ROOT / path)))
        return posixpath.relpath(target, posixpath.dirname(source) or ".")

    parts = FENCE.split(INCLUDE.sub(part_of_readme, markdown))
    return "".join(part if part.startswith("```") else LINK.sub(rewrite, part) for part in parts)


def part_of_readme(include: re.Match[str]) -> str:
    """The part of README.md that a page in docs/ includes, with links relative to docs/."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    part = text.partition(f"[start:{include[1]}] -->")[2].partition("<!-- --8<-- [end:")[0]
    return LINK.sub(r"../\1", part)
