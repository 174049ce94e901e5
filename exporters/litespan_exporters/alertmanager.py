"""Alertmanager: it groups, silences, routes and repeats the alerts.

https://github.com/prometheus/alertmanager/blob/main/api/v2/openapi.yaml (tested
with 0.25). Every process posts its alerts. Alerts with the same labels are one alert in
Alertmanager, which ends at the latest `endsAt`: no process resolves an alert of another one.
"""

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Final

from litespan.alerting import AlertExporter, Notice, Thresholds
from litespan.alerting.message import details, iso, tidy, title_of
from litespan.export import JSON, Variables

PATH: Final = "/api/v2/alerts"
_ANNOTATIONS: Final = {
    "Error",
    "Prompt",
    "Call",
    "Trace",
    "Count",
    "Happened",
    "User",
    "Team",
    "Teams",
    "Models",
}


def to_alert(notice: Notice, resolve: float, now: float = 0.0) -> dict[str, JSON]:
    """One alert. Pure.

    Args:
        notice: firing or repeated.
        resolve: s from the latest finding to the end of the alert.
        now: s since the epoch; a late alert ends `resolve` after it, or nobody would see it.
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
    annotations: dict[str, JSON] = {"summary": title_of(notice)}
    for name, value in details(notice).items():
        if name in _ANNOTATIONS:
            annotations[name.lower()] = value
    link: dict[str, JSON] = {"generatorURL": example.trace_url} if example.trace_url else {}
    return {
        **link,
        "labels": {
            label_name(name): text
            for name, value in labels.items()
            if (text := tidy(value))  # Alertmanager rejects empty labels
        },
        "annotations": annotations,
        "startsAt": iso(notice.since),
        "endsAt": iso(max(notice.last, now if notice.delay else 0.0) + resolve),
    }


def label_name(name: str) -> str:
    """`name` with only the characters that Prometheus allows in a label name."""
    return re.sub(r"[^a-zA-Z0-9_]", "_", name)


class AlertmanagerExporter(AlertExporter):
    """Sends alerts to Alertmanager.

    Reads ALERTMANAGER_URL.
    """

    name: ClassVar[str] = "alertmanager"
    variables = Variables(keys=(), url=("ALERTMANAGER_URL",), default_url="http://localhost:9093")
    policy = replace(AlertExporter.policy, max_items=100)
    rate = 10.0
    sends_resolved = False
    hints: ClassVar[Mapping[str, str]] = {"400": "Alertmanager cannot read the alerts"}

    def __init__(
        self,
        base_url: str | None = None,
        *,
        thresholds: Thresholds | None = None,
        **options: Any,
    ) -> None:
        """Arguments take precedence over the environment.

        Args:
            base_url: default: ALERTMANAGER_URL, else http://localhost:9093.
            thresholds: default: from the environment. `cooldown`, `repeat` and `digest` are
                not used: Alertmanager has its own settings for them.
            options: see `AlertExporter`.
        """
        super().__init__(thresholds=thresholds, **options)
        resolve = self.thresholds.resolve
        # An alert that still fires must be posted again before its `endsAt`.
        self.thresholds = replace(self.thresholds, digest=0.0, cooldown=0.0, repeat=resolve / 3)
        base = self.base_url(base_url)
        self.turn_on(None if base is None else base + PATH, {})

    def message(self, notices: Sequence[Notice], lost: int) -> JSON:
        """A list of alerts."""
        resolve, now = self.thresholds.resolve, time.time()
        return [to_alert(notice, resolve, now) for notice in notices]
