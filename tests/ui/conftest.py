"""One store, one server and one browser for all tests of the page."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from litespan.ui.index import Index
from litespan_exporters.sqlite import SQLiteExporter
from tests.support.page import Running
from tests.ui.browser import Browser, opened
from tests.ui.sample import sample

LINK = "https://vendor.example/traces/{trace_id}"


@dataclass(frozen=True)
class Site:
    """A running page."""

    url: str
    index: Index
    path: Path
    client: httpx.Client

    def get(self, path: str, **options: object) -> httpx.Response:
        """The answer to a request."""
        return self.client.get(path, **options)  # type: ignore[arg-type]


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The page over the sample in a SQLite file, all of it read."""
    path = tmp_path_factory.mktemp("ui") / "litespan.db"
    exporter = SQLiteExporter(path)
    exporter.export(sample())
    exporter.shutdown()
    index = Index(str(path))
    index.read()
    with (
        Running(index, links={"Vendor": LINK}) as running,
        httpx.Client(base_url=running.url) as client,
    ):
        yield Site(running.url, index, path, client)
    index.close()


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """One headless Chromium."""
    with opened() as browser:
        yield browser


@pytest.fixture
def browser(chromium: Browser) -> Iterator[Browser]:
    """The browser at a desktop's width, light; afterwards its console is empty."""
    chromium.reset()
    yield chromium
    assert chromium.errors() == []
