"""What must hold before any test imports LiteLLM; what `make test-quick` leaves out."""

import gc
import os
from importlib.metadata import version
from pathlib import Path

import pytest

# LiteLLM fetches its price map from the network while it is imported, unless configured not to.
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"

pytest_plugins = ["litespan.testing.fixtures", "tests.support.fixtures", "tests.support.golden"]

TESTS = Path(__file__).parent
FOLDERS = {
    "background": "slow",
    "collector": "service",
    "forward": "slow",
    "offload": "slow",
    "proxy": "service",
}
SERVERS = {"mongodb_uri", "postgres", "redis_url"}
"""Fixtures that start a server."""
RECENT_LITELLM = (1, 106)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark the tests of whole folders, and those that ask for a server.

    Tests of what only a recent LiteLLM supports or passes on are not collected with an old one.
    """
    if tuple(map(int, version("litellm").split(".")[:2])) < RECENT_LITELLM:
        old = [item for item in items if item.get_closest_marker("recent_litellm")]
        config.hook.pytest_deselected(items=old)
        items[:] = [item for item in items if item not in old]
    for item in items:
        if mark := FOLDERS.get(item.path.relative_to(TESTS).parts[0]):
            item.add_marker(mark)
        if SERVERS.intersection(getattr(item, "fixturenames", ())):
            item.add_marker("service")


@pytest.fixture(scope="module", autouse=True)
def _small_collections() -> None:
    """Keep what earlier modules left behind out of the garbage collections that tests wait for."""
    gc.collect()
    gc.freeze()
