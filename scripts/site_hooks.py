"""MkDocs hooks: links are written for the repository, and work on the site, too.

`docs/` is the root of the site. A file outside it that a page links to is copied to the same
path below that root, and the links are adapted. `README.md` stands for the entry page.
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
"""Pages of the site that are not in docs/, and files that the included parts of README.md name."""
LINK = re.compile(r"(?<=\]\()(?!\w+:|#)([^)#\s]+)")
FENCE = re.compile(r"(^```.*?^```)", re.MULTILINE | re.DOTALL)


def on_config(config: MkDocsConfig) -> None:
    """Fill the list of services: every page of docs/exporters/ that is not in `nav` itself."""
    destinations = next(section for section in config.nav or [] if "Destinations" in section)
    services = next(entry for entry in destinations["Destinations"] if "Services" in entry)
    services["Services"] = [
        f"exporters/{page.name}"
        for page in sorted((ROOT / "docs/exporters").glob("*.md"))
        if f"exporters/{page.name}" not in destinations["Destinations"]
    ]


def on_files(files: Files, config: MkDocsConfig) -> None:
    """Add the reference of exporter classes, and the pages that are outside docs/."""
    reference = "reference/exporters.md"
    files.append(File.generated(config, reference, content=exporter_reference()))
    for path in OUTSIDE:
        files.append(File.generated(config, path, abs_src_path=str(ROOT / path)))


def exporter_reference() -> str:
    """The API reference of every exporter that has an entry point."""
    text = "# litespan_exporters\n\n"
    text += "How to set them up without code: [Destinations](../exporters/README.md).\n"
    for kind, classes in docs_tables.exporters().items():
        text += f"\n## {kind}\n"
        for cls in classes.values():
            text += f"\n::: {cls.__module__}.{cls.__qualname__}\n"
            text += "    options: {heading_level: 3, members: false}\n"
    return text


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Adapt the links of one page, and copy the files outside docs/ that they lead to."""
    source = page.file.src_uri
    here = posixpath.dirname(source if source in OUTSIDE else f"docs/{source}")

    def adapted(link: re.Match[str]) -> str:
        path = posixpath.normpath(posixpath.join(here, link[1]))
        target = "index.md" if path == "README.md" else path.removeprefix("docs/")
        if target == path and path not in files.src_uris and (ROOT / path).is_file():
            files.append(File.generated(config, path, abs_src_path=str(ROOT / path)))
        return posixpath.relpath(target, posixpath.dirname(source) or ".")

    parts = FENCE.split(markdown)
    return "".join(part if part.startswith("```") else LINK.sub(adapted, part) for part in parts)
