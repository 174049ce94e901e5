"""A model provider on the loopback interface, for tests, demos and benchmarks.

In a process of its own: `python -m litespan.testing.provider --port 0` prints its base URL.
"""

from litespan.testing.provider.behaviour import Behaviour
from litespan.testing.provider.http import Recorded
from litespan.testing.provider.server import LoopbackProvider

__all__ = ["Behaviour", "LoopbackProvider", "Recorded"]
