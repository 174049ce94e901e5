"""Alertmanager: alerts for it to group, silence, route and repeat.

https://github.com/prometheus/alertmanager/blob/main/api/v2/openapi.yaml (0.25 was run). Every
process posts what it sees, with the same labels; Alertmanager makes one alert of them. An alert
ends by its `endsAt`, so that no process ends what another one still sees.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Final

from litespan.alerting import AlertExporter, Notice, Thresholds
from litespan.alerting.episodes import Flow
from litespan.alerting.exporter import details, titled
from litespan.alerting.text import iso, tidy
from litespan.export import JSON, Policy, Variables

PATH: Final = "/api/v2/alerts"
_ANNOTATIONS: Final = {"Error", "Prompt", "Call", "Trace", "Count", "User"}


def to_alert(notice: Notice, resolve: float) -> dict[str, JSON]:
    """One alert. Pure.

    Args:
        notice: what is told.
        resolve: seconds after the latest finding until the alert ends.
    """
    finding, example = notice.finding, notice.finding.example
    labels = {
        "alertname": "Litespan" + finding.rule.title().replace("_", ""),
        "rule": finding.rule,
        "severity": finding.severity,
        "service": example.service,
        "environment": example.environment,
        **dict(finding.labels),
    }
    annotations: dict[str, JSON] = {"summary": titled(notice)}
    for name, value in details(notice).items():
        if name in _ANNOTATIONS:
            annotations[name.lower()] = value
    return {
        "labels": {
            label_name(name): tidied
            for name, value in labels.items()
            if (tidied := tidy(value))  # an empty one is an error to Alertmanager
        },
        "annotations": annotations,
        "startsAt": iso(notice.since),
        "endsAt": iso(notice.last + resolve),
    }


def label_name(name: str) -> str:
    """`name` in the characters that Prometheus takes for one of a label."""
    return re.sub(r"[^a-zA-Z0-9_]", "_", name)


class AlertmanagerExporter(AlertExporter):
    """Sends alerts to Alertmanager.

    Reads ALERTMANAGER_URL.
    """

    name: ClassVar[str] = "alertmanager"
    variables = Variables(keys=(), url=("ALERTMANAGER_URL",), default_url="http://localhost:9093")
    policy = Policy(
        max_items=100, patience=10.0, timeout=30.0, hung_patience=5.0, exit_patience=3.0
    )
    rate = 10.0
    tells_end = False
    hints: ClassVar[Mapping[str, str]] = {"400": "Alertmanager did not understand the alerts"}

    def __init__(
        self,
        base_url: str | None = None,
        *,
        thresholds: Thresholds | None = None,
        **options: Any,
    ) -> None:
        """Arguments win over the environment.

        Args:
            base_url: else ALERTMANAGER_URL, else http://localhost:9093.
            thresholds: what is worth an alert; else of the environment. Its cool-down, repeat
                and digest are Alertmanager's own.
            options: as of `AlertExporter`.
        """
        super().__init__(thresholds=thresholds, **options)
        self.thresholds = replace(self.thresholds, digest=0.0)
        base = self.base_url(base_url)
        self.turn_on(None if base is None else base + PATH, {})

    def flow(self, flow: Flow) -> Flow:
        """What goes on is posted again in time, and never held back."""
        return Flow(flow.resolve, cooldown=0.0, repeat=flow.resolve / 3)

    def message(self, notices: Sequence[Notice], lost: int) -> JSON:
        """Each an alert of its own: grouping is Alertmanager's."""
        return [to_alert(notice, self.thresholds.resolve) for notice in notices]
