"""Microsoft Teams: alerts as adaptive cards, through the webhook of a workflow or channel.

https://learn.microsoft.com/microsoftteams/platform/webhooks-and-connectors/how-to/connectors-using
and https://adaptivecards.io/explorer/ (seen 2026-11-20). Texts from calls are text runs,
because Teams interprets Markdown in other elements.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from litespan.alerting import AlertExporter, Notice, Thresholds
from litespan.alerting.message import details, iso, lost_line, title_of
from litespan.export import JSON, Variables

_COLORS = {"info": "Accent", "warning": "Warning", "error": "Attention", "critical": "Attention"}


def to_message(notices: Sequence[Notice], lost: int = 0) -> dict[str, JSON]:
    """One card about all notices. Pure."""
    body: list[JSON] = []
    for notice in notices:
        color = "Good" if notice.over else _COLORS[notice.finding.severity]
        body.append(_line(title_of(notice), weight="Bolder", color=color))
        for name, value in {**details(notice), "Since": iso(notice.since)}.items():
            body.append(_line(f"{name}: {value}", size="Small"))
        if url := notice.finding.example.trace_url:
            action: JSON = {"type": "Action.OpenUrl", "url": url}
            body.append(_line("Open trace", size="Small", selectAction=action))
    if lost:
        body.append(_line(lost_line(lost), size="Small"))
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
        "the webhook does not exist, or its workflow is off: check MS_TEAMS_WEBHOOK_URL",
    )

    def __init__(
        self,
        webhook_url: str | None = None,
        *,
        thresholds: Thresholds | None = None,
        **options: Any,
    ) -> None:
        """Arguments take precedence over the environment.

        Args:
            webhook_url: default: MS_TEAMS_WEBHOOK_URL.
            thresholds: default: from the environment.
            options: see `AlertExporter`.
        """
        super().__init__(thresholds=thresholds, **options)
        self.turn_on(self.webhook(webhook_url=webhook_url), {})

    def message(self, notices: Sequence[Notice], lost: int) -> JSON:
        """One card."""
        return to_message(notices, lost)
