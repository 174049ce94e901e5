"""Many calls at once and a handler that takes a second for each: none is lost.

The short form of `python -m benchmarks callbacks`, in the same program.
"""

import pytest

from benchmarks.callbacks import delivered
from litespan.testing import LoopbackProvider

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(("way", "count"), [("end", 500), ("streams", 100), ("forked", 100)])
def test_a_slow_handler_gets_each_of_many_calls_once(
    loopback: LoopbackProvider, way: str, count: int
) -> None:
    """The program makes fifty calls at a time, and ends after the last one."""
    found = delivered(loopback.url, way, "litespan", count)
    assert found.calls == count
    assert found.seconds < 60
