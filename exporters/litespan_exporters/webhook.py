"""Any service: alerts as signed JSON.

`docs/alerting.md` lists the fields. With a secret, the header `X-Signature-256` is
`t=<s>,v1=<hex>`: the HMAC-SHA256 of `<s>.<body>` with that secret, where `<s>` is the time of
signing in s since the epoch.
"""

import hashlib
import hmac
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any, ClassVar, Final

from litespan.alerting import AlertExporter, Notice, Thresholds
from litespan.alerting.message import iso, tidy, title_of
from litespan.export import JSON, Item, Secret, Variables

SECRET_VARIABLE: Final = "LITESPAN_WEBHOOK_SECRET"
SIGNATURE: Final = "X-Signature-256"
VERSION: Final = "1"


def to_alert(notice: Notice, lost: int = 0) -> dict[str, JSON]:
    """One alert as JSON. Pure. Times are RFC 3339, money is USD."""
    finding = notice.finding
    example: dict[str, JSON] = {
        name: value if name == "trace_url" else tidy(value, 400)  # the URL is the operator's own
        for name, value in asdict(finding.example).items()
        if value
    }
    return {
        "version": VERSION,
        "id": notice.id,
        "rule": finding.rule,
        "state": "resolved" if notice.over else "test" if notice.turn == "test" else "firing",
        "severity": finding.severity,
        "dedup_key": tidy(f"litespan/{finding.key}", 1000),
        "starts_at": iso(notice.since),
        "ends_at": iso(notice.last) if notice.over else None,
        "count": notice.count,
        "suppressed": notice.suppressed,
        "lost": lost,
        "window_s": finding.window,
        "labels": {name: tidy(value) for name, value in finding.labels},
        "value": finding.value,
        "threshold": finding.threshold,
        "summary": title_of(notice),
        "details": {name: tidy(value, 400) for name, value in finding.details},
        "example": example,
    }


def signature(secret: str, body: bytes, at: int) -> str:
    """The header value for a body that is signed `at` s since the epoch."""
    digest = hmac.new(secret.encode(), b"%d." % at + body, hashlib.sha256).hexdigest()
    return f"t={at},v1={digest}"


class WebhookExporter(AlertExporter):
    """Sends signed alerts to any URL.

    Reads LITESPAN_WEBHOOK_URL, LITESPAN_WEBHOOK_SECRET. Also WEBHOOK_URL.
    """

    name: ClassVar[str] = "webhook"
    variables = Variables(keys=(), url=("LITESPAN_WEBHOOK_URL", "WEBHOOK_URL"))
    policy = replace(AlertExporter.policy, max_items=1)
    hidden_path = True

    def __init__(
        self,
        url: str | None = None,
        secret: str | None = None,
        *,
        thresholds: Thresholds | None = None,
        **options: Any,
    ) -> None:
        """Arguments take precedence over the environment.

        Args:
            url: default: LITESPAN_WEBHOOK_URL, else WEBHOOK_URL.
            secret: for signing; default: LITESPAN_WEBHOOK_SECRET, else requests are not signed.
            thresholds: default: from the environment.
            options: see `AlertExporter`.
        """
        super().__init__(thresholds=thresholds, **options)
        self._secret = Secret((secret or self.variable(SECRET_VARIABLE)).strip())
        self.turn_on(self.webhook(url=url), {})

    def message(self, notices: Sequence[Notice], lost: int) -> JSON:
        """One alert per request."""
        (notice,) = notices
        return to_alert(notice, lost)

    def request(self, notices: Sequence[Notice], lost: int) -> Item:
        """With a secret, the request is signed when it is sent."""
        item = super().request(notices, lost)
        if not self._secret.reveal():
            return item
        value = signature(self._secret.reveal(), item.data, int(time.time()))
        return replace(item, headers=((SIGNATURE, value),))
