"""The parts of every destination's messages: title, details, and text that is safe to show.

Text from calls can contain anything; it must stay one line without control characters, mentions
or links.
"""

import re
import unicodedata
from datetime import datetime, timezone
from typing import Final

from litespan.alerting.alert import Notice

_MAX_TITLE: Final = 140  # characters
_MAX_TEXT: Final = 400  # characters
_ACTIVE: Final = re.compile(
    r"(?<!\w)[@#](?=\w)"  # mentions and channels
    r"|:(?=//)|\bwww(?=\.)|\b(?:mailto|tel|javascript|data):"  # what chats turn into links
    r"|<(?=[^\s\u200b])|\](?=\()",  # links in Slack's markup and Markdown
    re.IGNORECASE,
)
_ZERO_WIDTH_SPACE: Final = "\u200b"


def title_of(notice: Notice) -> str:
    """The alert in one line."""
    prefix = {"repeat": "Still: ", "resolved": "Resolved: "}.get(notice.turn, "")
    prefix = "Late: " if notice.delay else prefix
    return tidy(f"{prefix}{notice.finding.summary}", _MAX_TITLE)


def details(notice: Notice) -> dict[str, str]:
    """The details of the alert, by display name."""
    finding, example = notice.finding, notice.finding.example
    known = {name.capitalize(): value for name, value in finding.labels}
    known["Severity"] = finding.severity
    if notice.count > 1:
        known["Count"] = str(notice.count)
    if notice.suppressed:
        known["Suppressed"] = f"{notice.suppressed} since the last message"
    if notice.delay:
        begun, ended = iso(notice.since), iso(notice.last)
        known["Happened"] = begun if begun == ended else f"{begun} to {ended}"
    if notice.over:
        known["Lasted"] = f"{notice.last - notice.since:.0f} s"
    known.update(finding.details)
    known["Service"] = ", ".join(filter(None, (example.service, example.environment)))
    known["User"] = example.user
    known["Team"] = example.team
    known["Error"] = example.error
    known["Prompt"] = example.prompt
    known["Call"] = example.call_id
    known["Trace"] = example.trace_id
    return {name: tidy(value, _MAX_TEXT) for name, value in known.items() if value}


def lost_line(lost: int) -> str:
    """The line about `lost` alerts that are in no message."""
    return f"{lost} more suppressed: too many at once"


def tidy(text: str, limit: int = 200) -> str:
    """`text` as one inert line of about `limit` characters, without control characters."""
    text = "".join(
        " " if character.isspace() else character
        for character in text[: 4 * limit]
        if character.isspace() or not unicodedata.category(character).startswith("C")
    )
    text = " ".join(text.split())
    return inert(text if len(text) <= limit else f"{text[: limit - 1]}…")


def inert(text: str) -> str:
    """`text` without mentions, channels and links: a zero-width space breaks each of them.

    Applied for every destination, because many pass alerts on to a chat without escaping.
    """
    return _ACTIVE.sub(rf"\g<0>{_ZERO_WIDTH_SPACE}", text)


def iso(seconds: float) -> str:
    """Seconds since the epoch as RFC 3339, UTC, with milliseconds."""
    at = datetime.fromtimestamp(seconds, timezone.utc)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
