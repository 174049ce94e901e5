"""`litespan forward`: OTLP/HTTP in, any litespan exporter out.

For vendors whose format no collector speaks: a collector, or any program in any language,
sends OTLP here, and the exporters send what the vendors take.
"""

from litespan.forward.decode import Undecodable, read_request, to_spans
from litespan.forward.destination import Destination
from litespan.forward.receiver import Limits, Receiver
from litespan.forward.weight import TooLarge, weight

__all__ = [
    "Destination",
    "Limits",
    "Receiver",
    "TooLarge",
    "Undecodable",
    "read_request",
    "to_spans",
    "weight",
]
