"""Slack: alerts in a channel, by an incoming webhook or by a bot's token.

https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks and
https://docs.slack.dev/reference/block-kit/blocks (seen 2026-11-20). Discord takes the same body
where `/slack` is appended to its webhook's URL.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, Final

from litespan.alerting import AlertExporter, Notice, Thresholds
from litespan.alerting.exporter import details, more, titled
from litespan.alerting.text import inert, tidy
from litespan.export import JSON, Answer, Item, Refusal, Secret, Variables, dumps, parse

TOKEN: Final = "SLACK_API_TOKEN"
CHANNEL: Final = "SLACK_API_CHANNEL"
API: Final = "SLACK_API_URL"
_QUOTED: Final = ("Error", "Prompt")
_SMALL: Final = ("Call", "Trace")
_FIELDS: Final = 10  # Slack takes so many in a section
_MOST_TEXT: Final = 12_000  # bytes of all blocks; Slack refuses more than about 13 000 characters
_CUTS: Final = (400, 80, 16)  # characters of each text, so that all of it fits
_MARKS: Final = {"firing": "🔴", "repeat": "🔴", "resolved": "🟢", "test": "🔵"}


def to_message(notices: Sequence[Notice], lost: int = 0) -> dict[str, JSON]:
    """One message for all notices. Pure.

    Args:
        notices: at most eight: Slack takes 50 blocks.
        lost: how many more there were.
    """
    titles = [_title(notice) for notice in notices]
    blocks: list[JSON] = []
    for most in _CUTS:
        blocks = [block for notice in notices for block in _blocks(notice, most)]
        if len(dumps(blocks)) <= _MOST_TEXT:
            break
    if lost:
        blocks.append(_context([_plain(more(lost))]))
    text = titles[0] if len(titles) == 1 else f"{len(titles)} alerts: {'; '.join(titles)}"
    return {
        "text": escape(text[:1500]),
        "mrkdwn": False,
        "blocks": blocks,
        "unfurl_links": False,
        "unfurl_media": False,
    }


def _title(notice: Notice) -> str:
    mark = "🟡" if notice.finding.severity == "warning" and not notice.over else ""
    return f"{mark or _MARKS[notice.turn]} {titled(notice)}"


def _blocks(notice: Notice, most: int) -> list[JSON]:
    said = {name: tidy(text, most) for name, text in details(notice).items()}
    shown = [name for name in said if name not in (*_QUOTED, *_SMALL)]
    header: dict[str, JSON] = {"type": "header", "text": _plain(_title(notice)[:150])}
    fields: list[JSON] = [_plain(f"{name}\n{said[name]}") for name in shown[:_FIELDS]]
    blocks: list[JSON] = [header, {"type": "section", "fields": fields}]
    blocks += [_quoted(name, said[name]) for name in _QUOTED if name in said]
    small: list[JSON] = [_plain(f"{name.lower()} {said[name]}") for name in _SMALL if name in said]
    when = int(notice.since)
    since: JSON = f"since <!date^{when}^{{date_num}} {{time_secs}}|{when}>"
    blocks.append(_context([*small, {"type": "mrkdwn", "text": since}]))
    return blocks


def _plain(text: str) -> dict[str, JSON]:
    """Text that Slack shows as it is: no formatting, links, channels or mentions."""
    return {"type": "plain_text", "text": text, "emoji": True}


def _quoted(name: str, text: str) -> dict[str, JSON]:
    """A long text under its name, in a box, as it is."""
    title: JSON = {"type": "text", "text": name, "style": {"bold": True}}
    quoted: JSON = {"type": "text", "text": text}
    return {
        "type": "rich_text",
        "elements": [
            {"type": "rich_text_section", "elements": [title]},
            {"type": "rich_text_preformatted", "elements": [quoted]},
        ],
    }


def _context(elements: list[JSON]) -> dict[str, JSON]:
    return {"type": "context", "elements": elements}


def escape(text: str) -> str:
    """`text` as Slack shows it where it reads its own markup: no links, no mentions.

    https://docs.slack.dev/messaging/formatting-message-text#escaping
    """
    return inert(text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;"))


class SlackExporter(AlertExporter):
    """Sends alerts to Slack.

    Reads SLACK_WEBHOOK_URL, or SLACK_API_TOKEN and SLACK_API_CHANNEL. Also ALERTING_WEBHOOK_URL
    and SLACK_API_URL.
    """

    name: ClassVar[str] = "slack"
    variables = Variables(keys=(), url=("SLACK_WEBHOOK_URL", "ALERTING_WEBHOOK_URL"))
    hidden_path = True
    hints: ClassVar[Mapping[str, str]] = {
        "403": "the channel does not take it: check SLACK_WEBHOOK_URL",
        "404": "there is no such webhook or channel: check SLACK_WEBHOOK_URL",
        "410": "the channel is archived: make a webhook for another one",
        "rejected": "refused: check SLACK_API_TOKEN, SLACK_API_CHANNEL and the bot's scope "
        "chat:write",
    }

    def __init__(
        self,
        webhook_url: str | None = None,
        *,
        token: str | None = None,
        channel: str | None = None,
        thresholds: Thresholds | None = None,
        **options: Any,
    ) -> None:
        """Arguments win over the environment.

        Args:
            webhook_url: else SLACK_WEBHOOK_URL, else ALERTING_WEBHOOK_URL.
            token: a bot's, where there is no webhook; else SLACK_API_TOKEN.
            channel: that the bot posts to; else SLACK_API_CHANNEL.
            thresholds: what is worth an alert; else of the environment.
            options: as of `AlertExporter`.
        """
        super().__init__(thresholds=thresholds, **options)
        self._channel = ""
        token = (token or self.variable(TOKEN)).strip()
        channel = (channel or self.variable(CHANNEL)).strip()
        given = webhook_url or self.variable(*self.variables.url)
        if given or not (token and channel):
            self.turn_on(self.webhook(webhook_url=webhook_url), {})
            return
        self._channel = channel
        self._secrets = [Secret(token)]
        base = self.variable(API) or "https://slack.com/api"
        headers = {"Authorization": Secret(f"Bearer {token}")}
        self.turn_on(f"{base.rstrip('/')}/chat.postMessage", headers)

    def message(self, notices: Sequence[Notice], lost: int) -> JSON:
        """By a bot the message names its channel."""
        channel: dict[str, JSON] = {"channel": self._channel} if self._channel else {}
        return {**channel, **to_message(notices, lost)}

    def refusals(self, answer: Answer, items: Sequence[Item]) -> Iterable[Refusal]:
        """The API answers 200 to everything; `ok` says what it means."""
        said = parse(answer.body.decode("utf-8", "replace")) if self._channel else None
        if isinstance(said, dict) and said.get("ok") is False:
            yield Refusal(str(said.get("error")), count=len(items))
