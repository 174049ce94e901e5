"""`litespan forward`: receives OTLP/HTTP and passes the spans to any litespan exporter.

It serves vendors without a collector exporter: a collector, or a program in any language, sends
OTLP here, and the exporters convert it to the vendor's format.
"""

from litespan.export.decode import Undecodable, read_request, to_spans
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
