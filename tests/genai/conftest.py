"""Every test of an exporter starts with a clean log and leaves no connection open."""

from tests.support.calls import capture
from tests.support.exporters import fresh_exporters

__all__ = ["capture", "fresh_exporters"]
