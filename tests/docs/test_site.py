"""The site builds without warnings and without a network, and all of its links work."""

import html
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote

import pytest

from tests.docs.pages import ROOT
from tests.support.program import environment

pytestmark = pytest.mark.slow

NOWHERE = "http://127.0.0.1:9"  # nothing listens on the discard port
LOADED = re.compile(r"<(?:script|link|img|iframe|source)\b[^>]*?\s(?:src|href)=\"?([^\s\">]+)")
LINK = re.compile(r"\s(?:src|href)=\"?([^\s\">]+)")
STYLE = re.compile(r"url\(['\"]?([^)'\"]+)|@import ['\"]([^'\"]+)")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site. A warning, or a request to anywhere, would fail the build."""
    folder = tmp_path_factory.mktemp("site")
    proxies = dict.fromkeys(("http_proxy", "https_proxy", "all_proxy"), NOWHERE)
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", folder],
        cwd=ROOT,
        env=environment({**proxies, "NO_MKDOCS_2_WARNING": "1"}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, "WARNING" in done.stderr) == (0, False), done.stderr
    return folder


def pages(site: Path) -> dict[Path, str]:
    """The HTML of each page."""
    return {path: path.read_text(encoding="utf-8") for path in site.rglob("*.html")}


def test_the_site_loads_only_its_own_files(site: Path) -> None:
    """Scripts, styles, fonts and pictures."""
    for path, text in pages(site).items():
        for url in LOADED.findall(text):
            assert not url.startswith(("http:", "https:", "//")), f"{path.name} loads {url}"
    for sheet in site.rglob("*.css"):
        for url in [a or b for a, b in STYLE.findall(sheet.read_text(encoding="utf-8"))]:
            assert not url.startswith(("http:", "https:", "//")), f"{sheet.name} loads {url}"


def test_every_internal_link_leads_to_a_page_and_an_anchor(site: Path) -> None:
    """Including those of the navigation and of the API reference."""
    found = pages(site)
    ids = {path: set(re.findall(r"\sid=\"?([^\s\">]+)", text)) for path, text in found.items()}
    wrong = []
    for path, text in found.items():
        for link in map(html.unescape, LINK.findall(text)):
            target, _, anchor = link.partition("#")
            if re.match(r"\w+:|//", link) or path.name == "404.html":
                continue
            file = (path.parent / unquote(target)).resolve() if target not in ("", ".") else path
            missing = anchor and file in ids and unquote(anchor) not in ids[file]
            if missing or not file.is_file():
                wrong.append(f"{path.name}: {link}")
    assert wrong == []


@pytest.mark.parametrize(
    ("page", "names"),
    [
        ("litespan", ["LiteLLMInstrumentor", "CallbackSpanProcessor", "add_callback", "context"]),
        ("export", ["GenAISpan", "HttpExporter", "OtlpExporter"]),
        ("exporters", ["LangfuseExporter", "PostgresExporter", "SlackExporter"]),
        ("offload", ["Offloading", "restored"]),
        ("alerting", ["AlertExporter", "Thresholds"]),
        ("testing", ["LoopbackProvider", "Behaviour", "Telemetry", "OtlpReceiver", "span_tree"]),
    ],
)
def test_the_reference_has_the_public_names(site: Path, page: str, names: list[str]) -> None:
    """Each has its own heading."""
    text = (site / f"reference/{page}.html").read_text(encoding="utf-8")
    headings = re.findall(r"<h\d id=\"([^\"]+)\"", text)
    assert [name for name in names if not any(h.split(".")[-1] == name for h in headings)] == []
