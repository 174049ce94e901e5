"""One running collector for the tests that only send and look."""

from collections.abc import Iterator

import pytest

from tests.collector.running import Collector, collector


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    """The base configuration, with a short sampling window and everything kept."""
    with collector(tmp_path_factory.mktemp("otelcol")) as started:
        yield started
