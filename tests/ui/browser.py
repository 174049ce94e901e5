"""A headless Chromium, its console output, and the hosts that it requested."""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

from tests.support.needs import missing

WIDE, PHONE = (1280, 860), (390, 800)
_WAIT_S = 30


class Browser:
    """What tests do with the browser."""

    def __init__(self, driver: webdriver.Chrome) -> None:
        self._driver = driver

    def reset(self) -> None:
        """A desktop, light, without what was printed before."""
        self.look(WIDE, "light")
        self.errors()
        self.hosts()

    def look(self, size: tuple[int, int], scheme: str) -> None:
        """Set the window's size, and whether the system is light or dark."""
        width, height = size
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self._driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        self._driver.execute_cdp_cmd("Emulation.setEmulatedMedia", media)

    def open(self, url: str) -> None:
        """Load a page."""
        self._driver.get(url)

    def all(self, selector: str) -> list[WebElement]:
        """The elements of a CSS selector."""
        return self._driver.find_elements(By.CSS_SELECTOR, selector)

    def texts(self, selector: str) -> list[str]:
        """The visible texts of a CSS selector's elements."""
        return [element.text for element in self.all(selector)]

    def press(self, *keys: str) -> None:
        """Type keys into the page, or into what has the focus."""
        for key in keys:
            self._driver.switch_to.active_element.send_keys(getattr(Keys, key, key))

    def run(self, script: str) -> Any:
        """The result of a script."""
        return self._driver.execute_script(f"return {script}")

    def wait(self, until: Callable[[], Any]) -> Any:
        """Wait until a condition holds; elements may be replaced meanwhile."""
        from selenium.common.exceptions import WebDriverException

        wait = WebDriverWait(
            self._driver, _WAIT_S, 0.05, ignored_exceptions=[WebDriverException, IndexError]
        )
        return wait.until(lambda _: until())

    @property
    def path(self) -> str:
        """Path and query of the page."""
        parts = urlsplit(self._driver.current_url)
        return f"{parts.path}?{parts.query}" if parts.query else parts.path

    @property
    def title(self) -> str:
        """The page's title."""
        return self._driver.title

    def errors(self) -> list[str]:
        """What was printed to the console since the last time."""
        return [entry["message"] for entry in self._driver.get_log("browser")]

    def hosts(self) -> set[str]:
        """The hosts that were asked since the last time."""
        entries = [json.loads(e["message"])["message"] for e in self._driver.get_log("performance")]
        urls = [
            entry["params"]["request"]["url"]
            for entry in entries
            if entry["method"] == "Network.requestWillBeSent"
        ]
        return {str(urlsplit(url).hostname) for url in urls if not url.startswith("data:")}

    def save(self, path: Path) -> bytes:
        """A picture of what is visible."""
        self._driver.save_screenshot(str(path))
        return path.read_bytes()


@contextmanager
def opened() -> Iterator[Browser]:
    """A browser of Debian's packages, which is closed at the end."""
    binary, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not binary or not driver:
        missing("Chromium", "apt-get install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = binary
    for argument in (
        *("--headless=new", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"),
        *("--disable-background-networking", "--disable-component-update", "--no-first-run"),
        *(["--no-sandbox"] if os.geteuid() == 0 else []),
    ):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    chrome = webdriver.Chrome(options=options, service=Service(driver))
    try:
        yield Browser(chrome)
    finally:
        chrome.quit()
