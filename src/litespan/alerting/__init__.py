"""Alerts from finished spans: rules detect conditions, destinations receive notices.

`docs/alerting.md` describes the rules; `litespan_exporters.slack` is an example of a destination.
"""

from litespan.alerting.alert import Example, Finding, Notice
from litespan.alerting.exporter import AlertExporter
from litespan.alerting.thresholds import Thresholds

__all__ = ["AlertExporter", "Example", "Finding", "Notice", "Thresholds"]
