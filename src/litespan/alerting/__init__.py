"""Alerts from finished spans: rules find, a state machine decides, a destination is told.

`litespan_exporters.slack` and its like are the destinations; `docs/alerting.md` has the rules.
"""

from litespan.alerting.alert import Example, Finding, Notice
from litespan.alerting.exporter import AlertExporter
from litespan.alerting.thresholds import Thresholds

__all__ = ["AlertExporter", "Example", "Finding", "Notice", "Thresholds"]
