"""Helpers to test programs that use litespan: a provider, a collector, fixed ids and times.

`LoopbackProvider` answers LiteLLM's requests. `Telemetry` collects spans, metrics and logs of
this process, `OtlpReceiver` those of other processes. `litespan.testing.fixtures` has fixtures for
pytest.
"""

from litespan.testing.calls import Calls
from litespan.testing.fixed import FixedIds, StepClock
from litespan.testing.provider import LoopbackProvider
from litespan.testing.receiver import OtlpReceiver
from litespan.testing.telemetry import Telemetry
from litespan.testing.tree import span_tree

__all__ = [
    "Calls",
    "FixedIds",
    "LoopbackProvider",
    "OtlpReceiver",
    "StepClock",
    "Telemetry",
    "span_tree",
]
