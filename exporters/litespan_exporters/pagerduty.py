"""PagerDuty: alerts as events that are triggered and resolved under one key.

https://developer.pagerduty.com/docs/events-api-v2-overview (seen 2026-11-20).
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from typing import Any, ClassVar, Final

from litespan.alerting import AlertExporter, Notice, Thresholds
from litespan.alerting.message import details, iso, tidy, title_of
from litespan.export import JSON, Variables

_MAX_KEY: Final = 255  # characters
PATH: Final = "/v2/enqueue"


def to_event(notice: Notice, routing_key: str, lost: int = 0) -> dict[str, JSON]:
    """The event that triggers or resolves one alert. Pure."""
    finding, example = notice.finding, notice.finding.example
    event: dict[str, JSON] = {
        "routing_key": routing_key,
        "event_action": "resolve" if notice.over else "trigger",
        "dedup_key": dedup_key(notice),
    }
    if notice.over:
        return event
    labels = dict(finding.labels)
    payload: dict[str, JSON] = {
        "summary": title_of(notice),
        "source": tidy(example.service) or "litespan",
        "severity": finding.severity,
        "timestamp": iso(notice.since),
        "class": finding.rule,
        "custom_details": {
            **details(notice),
            "value": finding.value,
            "threshold": finding.threshold,
            "window_s": finding.window,
            "lost": lost,
        },
    }
    if "model" in labels:
        payload["component"] = tidy(labels["model"])
        payload["group"] = tidy(labels["provider"])
    event["payload"] = payload
    if example.trace_url:
        event["links"] = [{"href": example.trace_url, "text": "Trace"}]
    return event


def dedup_key(notice: Notice) -> str:
    """The same key for trigger and resolve, in all processes; at most 255 characters."""
    key = tidy(f"litespan/{notice.finding.key}", 10_000)
    if len(key) <= _MAX_KEY:
        return key
    end = sha256(key.encode("utf-8", "replace")).hexdigest()[:16]
    return f"{key[: _MAX_KEY - 17]}/{end}"


class PagerdutyExporter(AlertExporter):
    """Sends alerts to PagerDuty.

    Reads PAGERDUTY_API_KEY or PAGERDUTY_ROUTING_KEY. Also PAGERDUTY_API_BASE.
    """

    name: ClassVar[str] = "pagerduty"
    variables = Variables(
        keys=("PAGERDUTY_API_KEY",),
        url=("PAGERDUTY_API_BASE",),
        default_url="https://events.pagerduty.com",
    )
    policy = replace(AlertExporter.policy, max_items=1)
    hints: ClassVar[Mapping[str, str]] = {
        "400": "PagerDuty did not accept the event: check PAGERDUTY_API_KEY, which is the routing "
        "key of an Events API v2 integration"
    }

    def __init__(
        self,
        routing_key: str | None = None,
        base_url: str | None = None,
        *,
        thresholds: Thresholds | None = None,
        **options: Any,
    ) -> None:
        """Arguments take precedence over the environment.

        Args:
            routing_key: of an Events API v2 integration; default: PAGERDUTY_API_KEY (LiteLLM's
                name for it), else PAGERDUTY_ROUTING_KEY.
            base_url: default: PAGERDUTY_API_BASE, else https://events.pagerduty.com.
            thresholds: default: from the environment.
            options: see `AlertExporter`.
        """
        super().__init__(thresholds=thresholds, **options)
        names = (self.variables.keys[0], "PAGERDUTY_ROUTING_KEY")
        if routing_key is None:
            routing_key = self.variable(*names) or None
        keys, base = self.credentials(routing_key=routing_key), self.base_url(base_url)
        if keys and base:
            self._routing_key = keys[0]
            self.turn_on(base + PATH, {})

    def message(self, notices: Sequence[Notice], lost: int) -> JSON:
        """One event per request."""
        (notice,) = notices
        return to_event(notice, self._routing_key.reveal(), lost)
