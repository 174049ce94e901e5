"""The page in a real Chromium: loading, drawing, filters, keys, and requests to its server only.

Every test ends with a look at the console: a script that the page's policy refused, or that
failed, is there. `--update-golden` writes the pictures of the documentation.
"""

from pathlib import Path

import pytest

from litespan.ui.index import Index
from litespan_exporters.sqlite import SQLiteExporter
from tests.cases import CHAT, now, span
from tests.support.page import Running
from tests.ui.browser import PHONE, WIDE, Browser
from tests.ui.conftest import Site

pytestmark = pytest.mark.slow

IMAGES = Path(__file__).parents[2] / "docs/images"
PAGES = {
    "overview": "/",
    "calls": "/calls",
    "sessions": "/sessions",
    "session": "/session?id=chat-085",
    "call": "/calls/{retried}",
    "compare": "/compare?id={retried}&id={other}",
}
SHOWN = {("overview", "light"), ("calls", "dark"), ("call", "light")}
"""The pictures in README and documentation."""


@pytest.fixture(scope="module")
def paths(site: Site) -> dict[str, str]:
    """The path of each page."""
    some = "select key from calls where outcome = 'success' and {} limit 1"
    (retried,) = site.index.rows(some.format("attempt = 2 order by input_tokens desc, key"))
    (other,) = site.index.rows(some.format("request_model = 'gpt-4o' order by key"))
    names = {"retried": retried["key"], "other": other["key"]}
    return {name: path.format(**names) for name, path in PAGES.items()}


@pytest.mark.parametrize(
    ("size", "scheme"), [(WIDE, "light"), (WIDE, "dark"), (PHONE, "light"), (PHONE, "dark")]
)
def test_every_page_loads_fits_and_requests_only_its_own_server(
    size: tuple[int, int],
    scheme: str,
    site: Site,
    browser: Browser,
    paths: dict[str, str],
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    """At the width of a desktop and of a phone, light and dark: no error, nothing is cut off."""
    browser.look(size, scheme)
    pictures = set()
    for name, path in paths.items():
        browser.open(site.url + path)
        assert browser.all("main > #live > *"), name
        assert browser.run("document.documentElement.scrollWidth") <= size[0], name
        picture = tmp_path / f"{name}.png"
        pictures.add(browser.save(picture))
        if size == WIDE and (name, scheme) in SHOWN and request.config.getoption("--update-golden"):
            IMAGES.mkdir(exist_ok=True)
            (IMAGES / f"ui-{name}-{scheme}.png").write_bytes(picture.read_bytes())
    assert len(pictures) == len(paths)
    back = browser.run("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, back.strip("rgb()").split(", "))) < 300) is (scheme == "dark")
    assert browser.hosts() == {"127.0.0.1"}


def test_charts_are_drawn_and_have_tooltips(site: Site, browser: Browser) -> None:
    """Bars and lines have a size on the screen; pointing at a step shows its figures."""
    browser.open(f"{site.url}/")
    assert browser.texts(".chart b") == ["Calls", "Cost", "Tokens", "Latency"]
    for bars in range(1, 4):
        rectangles = browser.all(f".chart:nth-child({bars}) rect.main")
        assert sum(rectangle.size["height"] > 1 for rectangle in rectangles) > 5
    lines = browser.all(".chart:nth-child(4) polyline")
    assert len(lines) == 3
    assert all(line.size["width"] > 300 for line in lines)
    browser.run("document.querySelectorAll('.chart a')[5].dispatchEvent("
                "new PointerEvent('pointerover', {bubbles: true}))")  # fmt: skip
    assert browser.texts(".chart output")[0].startswith("Nov 20, ")
    assert "succeeded" in browser.texts(".chart output")[0]
    browser.run("document.querySelectorAll('.chart a')[5].dispatchEvent(new MouseEvent('click', "
                "{bubbles: true, cancelable: true}))")  # fmt: skip
    browser.wait(lambda: browser.path.startswith("/calls?since=2026-11-2"))


def test_filters_select_calls(site: Site, browser: Browser) -> None:
    """By the form with its suggestions, by removing a chip, and by words of messages."""
    browser.open(f"{site.url}/calls")
    browser.all(".menu summary")[0].click()
    browser.all("input[name=user]")[0].click()
    browser.wait(lambda: len(browser.all("#choices-user option")) == 9)
    browser.all("input[name=user]")[0].send_keys("ben")
    browser.all(".panel button")[0].click()
    browser.wait(lambda: browser.path == "/calls?user=ben")
    assert set(browser.texts("td.name")) == {"ben"}
    browser.press("/", "Norway", "ENTER")
    browser.wait(lambda: browser.path == "/calls?q=Norway&user=ben")
    assert set(browser.texts("td.name")) == {"ben"}
    assert any("Norway" in text for text in browser.texts("td.said"))
    browser.all(".chip")[0].click()
    browser.wait(lambda: browser.path == "/calls?q=Norway")
    browser.open(f"{site.url}/calls?q=nowhere+to+be+found")
    assert "No call matches" in browser.texts(".empty h2")


def test_keys_move_open_select_and_compare(site: Site, browser: Browser) -> None:
    """Everything without a mouse: pages, rows, one call, its neighbours, two calls."""
    browser.open(f"{site.url}/")
    browser.press("2")
    browser.wait(lambda: browser.path == "/calls")
    browser.press("j", "j", "j", "k", "x", "j", "x")
    rows = browser.all(".list tbody tr")
    assert [("at" in (row.get_attribute("class") or "")) for row in rows[:4]] == [
        *(False, False, True, False)
    ]
    second, third = (row.get_attribute("href") for row in browser.all("a.row")[1:3])
    browser.press("c")
    browser.wait(lambda: browser.path.startswith("/compare?id="))
    assert len(browser.all(".columns.even .conversation")) == 2
    browser.open(f"{site.url}/calls")
    browser.press("j", "j", "ENTER")
    browser.wait(lambda: site.url + browser.path == second)
    assert browser.all(".waterfall .here rect.good")
    assert browser.all(".message.output pre")
    browser.press("l")
    browser.wait(lambda: site.url + browser.path == third)
    browser.press("?")
    assert browser.all("dialog[open]")
    browser.press("ESCAPE")
    assert not browser.all("dialog[open]")


def test_light_and_dark_can_be_chosen(site: Site, browser: Browser) -> None:
    """The button overrides the system's setting, also on the next page."""
    dark = "getComputedStyle(document.body).backgroundColor == 'rgb(18, 19, 21)'"
    browser.open(f"{site.url}/")
    assert not browser.run(dark)
    browser.all("#theme")[0].click()
    assert browser.run(dark)
    browser.open(f"{site.url}/calls")
    assert browser.run(dark)
    browser.run("localStorage.clear()")


def test_hostile_text_is_only_text(site: Site, browser: Browser) -> None:
    """Markup in messages, errors, names and tags is shown, and no script of it runs."""
    (call,) = site.index.rows("select key from calls where user_id like '%<script>%'")
    first = "until=2026-11-19T20:01"
    pages = ("/calls?{}", "/sessions?{}", "/?by=user&{}", "/?by=tag&{}")
    for path in (f"/calls/{call['key']}", *(page.format(first) for page in pages)):
        browser.open(site.url + path)
        assert browser.title.endswith("litespan")
        assert "<script>document.title" in browser.all("main")[0].text
        assert browser.all("main script, main img") == []


def test_new_calls_appear_while_the_page_is_open(browser: Browser, tmp_path: Path) -> None:
    """First there is no file, then calls appear without a click."""
    path = tmp_path / "litespan.db"
    index, exporter = Index(str(path)), SQLiteExporter(path)
    index.start()
    with Running(index) as running:
        browser.open(f"{running.url}/calls")
        browser.wait(lambda: browser.texts(".empty h2") == ["No calls yet"])
        for number, user in enumerate(("ann", "ben"), 1):
            exporter.export([now(span(number, "chat", {**CHAT, "user.id": user}, who=False))])
            browser.wait(lambda: len(browser.texts("td.name")) == number)  # noqa: B023
        assert sorted(browser.texts("td.name")) == ["ann", "ben"]
    exporter.shutdown()
    index.close()
