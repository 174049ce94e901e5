"""Slack: alerts in a channel, through an incoming webhook or a bot token.

https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks and
https://docs.slack.dev/reference/block-kit/blocks (seen 2026-11-20). Discord accepts the
same body if `/slack` is appended to its webhook URL.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, Final

from litespan.alerting import AlertExporter, Notice, Thresholds
from litespan.alerting.message import details, inert, lost_line, tidy, title_of
from litespan.export import JSON, Answer, Item, Refusal, Secret, Variables, dumps

TOKEN: Final = "SLACK_API_TOKEN"
CHANNEL: Final = "SLACK_API_CHANNEL"
API: Final = "SLACK_API_URL"
_QUOTED: Final = ("Error", "Prompt")
_SMALL: Final = ("Call", "Trace")
_MAX_FIELDS: Final = 10  # in a section; Slack's limit
_MAX_BYTES: Final = 12_000  # of all blocks; Slack refuses more than about 13 000 characters
_CUTS: Final = (400, 80, 16)  # characters of each text; the first limit that fits is used
_MARKS: Final = {"firing": "🔴", "repeat": "🔴", "resolved": "🟢", "test": "🔵"}
_MILD: Final = {"info": "🔵", "warning": "🟡"}


def to_message(notices: Sequence[Notice], lost: int = 0) -> dict[str, JSON]:
    """One message about all notices. Pure.

    Args:
        notices: at most eight, because Slack accepts 50 blocks.
        lost: number of alerts that did not fit.
    """
    titles = [_title(notice) for notice in notices]
    blocks: list[JSON] = []
    for limit in _CUTS:
        blocks = [block for notice in notices for block in _blocks(notice, limit)]
        if len(dumps(blocks)) <= _MAX_BYTES:
            break
    if lost:
        blocks.append(_context([_plain(lost_line(lost))]))
    text = titles[0] if len(titles) == 1 else f"{len(titles)} alerts: {'; '.join(titles)}"
    return {
        "text": escape(text[:1500]),
        "mrkdwn": False,
        "blocks": blocks,
        "unfurl_links": False,
        "unfurl_media": False,
    }


def _title(notice: Notice) -> str:
    mark = "" if notice.over else _MILD.get(notice.finding.severity, "")
    return f"{mark or _MARKS[notice.turn]} {title_of(notice)}"


def _blocks(notice: Notice, limit: int) -> list[JSON]:
    texts = {name: tidy(text, limit) for name, text in details(notice).items()}
    shown = [name for name in texts if name not in (*_QUOTED, *_SMALL)]
    header: dict[str, JSON] = {"type": "header", "text": _plain(_title(notice)[:150])}
    fields: list[JSON] = [_plain(f"{name}\n{texts[name]}") for name in shown[:_MAX_FIELDS]]
    blocks: list[JSON] = [header, {"type": "section", "fields": fields}]
    blocks += [_quoted(name, texts[name]) for name in _QUOTED if name in texts]
    small: list[JSON] = [
        _plain(f"{name.lower()} {texts[name]}") for name in _SMALL if name in texts
    ]
    when = int(notice.since)
    if url := notice.finding.example.trace_url:
        # `<url|text>` ends at these characters
        url = url.replace("&", "&amp;").replace("|", "%7C").replace(">", "%3E")
        small.append({"type": "mrkdwn", "text": f"<{url}|open trace>"})
    since: JSON = f"since <!date^{when}^{{date_num}} {{time_secs}}|{when}>"
    blocks.append(_context([*small, {"type": "mrkdwn", "text": since}]))
    return blocks


def _plain(text: str) -> dict[str, JSON]:
    """Text without markup: Slack shows no formatting, links, channels or mentions."""
    return {"type": "plain_text", "text": text, "emoji": True}


def _quoted(name: str, text: str) -> dict[str, JSON]:
    """A long text under its name, as a code block without markup."""
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
    """Escape `text` for fields where Slack interprets markup.

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
        "403": "the channel does not accept the alert: check SLACK_WEBHOOK_URL",
        "404": "there is no such webhook or channel: check SLACK_WEBHOOK_URL",
        "410": "the channel is archived: create a webhook for another one",
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
        """Arguments take precedence over the environment.

        Args:
            webhook_url: default: SLACK_WEBHOOK_URL, else ALERTING_WEBHOOK_URL.
            token: bot token, used without a webhook; default: SLACK_API_TOKEN.
            channel: where the bot posts; default: SLACK_API_CHANNEL.
            thresholds: default: from the environment.
            options: see `AlertExporter`.
        """
        super().__init__(thresholds=thresholds, **options)
        self._channel = ""
        token = (token or self.variable(TOKEN)).strip()
        channel = (channel or self.variable(CHANNEL)).strip()
        webhook = webhook_url or self.variable(*self.variables.url)
        if webhook or not (token and channel):
            self.turn_on(self.webhook(webhook_url=webhook_url), {})
            return
        self._channel = channel
        secret = Secret(token)
        self._secrets = [secret]
        base = self.variable(API) or "https://slack.com/api"
        self.turn_on(f"{base.rstrip('/')}/chat.postMessage", {"Authorization": secret.bearer()})

    def message(self, notices: Sequence[Notice], lost: int) -> JSON:
        """With a bot token the message names its channel."""
        channel: dict[str, JSON] = {"channel": self._channel} if self._channel else {}
        return {**channel, **to_message(notices, lost)}

    def refusals(self, answer: Answer, items: Sequence[Item]) -> Iterable[Refusal]:
        """Slack's API answers 200 also to refused messages, with `ok: false`."""
        if self._channel and answer.fields.get("ok") is False:
            yield Refusal(str(answer.fields.get("error")), count=len(items))
