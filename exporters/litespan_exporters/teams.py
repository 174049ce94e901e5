"""Microsoft Teams: alerts as adaptive cards, by a workflow's or an incoming webhook.

https://learn.microsoft.com/microsoftteams/platform/webhooks-and-connectors/how-to/connectors-using
and https://adaptivecards.io/explorer/ (seen 2026-11-20). Texts of calls are text runs, which
Teams shows as they are: it reads Markdown in other elements.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from litespan.alerting import AlertExporter, Notice, Thresholds
from litespan.alerting.exporter import details, more, titled
from litespan.alerting.text import iso
from litespan.export import JSON, Variables

_COLOURS = {"info": "Accent", "warning": "Warning", "error": "Attention", "critical": "Attention"}


def to_message(notices: Sequence[Notice], lost: int = 0) -> dict[str, JSON]:
    """One card for all notices. Pure."""
    body: list[JSON] = []
    for notice in notices:
        colour = "Good" if notice.over else _COLOURS[notice.finding.severity]
        body.append(_line(titled(notice), weight="Bolder", color=colour))
        for name, value in {**details(notice), "Since": iso(notice.since)}.items():
            body.append(_line(f"{name}: {value}", size="Small"))
    if lost:
        body.append(_line(more(lost), size="Small"))
    card: dict[str, JSON] = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": body,
    }
    attachment: JSON = {"contentType": "application/vnd.microsoft.card.adaptive", "content": card}
    return {"type": "message", "attachments": [attachment]}


def _line(text: str, **style: JSON) -> dict[str, JSON]:
    run: dict[str, JSON] = {"type": "TextRun", "text": text, **style}
    return {"type": "RichTextBlock", "inlines": [run]}


class TeamsExporter(AlertExporter):
    """Sends alerts to Microsoft Teams.

    Reads MS_TEAMS_WEBHOOK_URL.
    """

    name: ClassVar[str] = "teams"
    variables = Variables(keys=(), url=("MS_TEAMS_WEBHOOK_URL",))
    hidden_path = True
    hints: ClassVar[Mapping[str, str]] = dict.fromkeys(
        ("401", "403", "404", "410"),
        "there is no such webhook, or its workflow is off: check MS_TEAMS_WEBHOOK_URL",
    )

    def __init__(
        self,
        webhook_url: str | None = None,
        *,
        thresholds: Thresholds | None = None,
        **options: Any,
    ) -> None:
        """Arguments win over the environment.

        Args:
            webhook_url: else MS_TEAMS_WEBHOOK_URL.
            thresholds: what is worth an alert; else of the environment.
            options: as of `AlertExporter`.
        """
        super().__init__(thresholds=thresholds, **options)
        self.turn_on(self.webhook(webhook_url=webhook_url), {})

    def message(self, notices: Sequence[Notice], lost: int) -> JSON:
        """One card."""
        return to_message(notices, lost)
