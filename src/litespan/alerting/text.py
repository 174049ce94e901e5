"""Text of calls made safe for people's screens: one line, no controls, no mentions, no links."""

import re
import unicodedata
from datetime import datetime, timezone
from typing import Final

_CALLS: Final = re.compile(
    r"(?<!\w)[@#](?=\w)"  # people and channels
    r"|:(?=//)|\bwww(?=\.)|\b(?:mailto|tel|javascript|data):"  # what chats make links of
    r"|<(?=[^\s\u200b])|\](?=\()",  # links as Slack and Markdown write them
    re.IGNORECASE,
)
_NOTHING: Final = "\u200b"  # looks the same and calls nobody


def tidy(text: str, most: int = 200) -> str:
    """One inert line of about `most` characters, without control and direction characters."""
    text = "".join(
        " " if character.isspace() else character
        for character in text[: 4 * most]
        if character.isspace() or not unicodedata.category(character).startswith("C")
    )
    text = " ".join(text.split())
    return inert(text if len(text) <= most else f"{text[: most - 1]}…")


def inert(text: str) -> str:
    """`text` with nothing in it that a chat makes a mention, a channel or a link of.

    For all destinations alike: alerts are passed on to chats by others, which escape nothing.
    """
    return _CALLS.sub(rf"\g<0>{_NOTHING}", text)


def iso(seconds: float) -> str:
    """Seconds since the epoch as RFC 3339, UTC, ms."""
    at = datetime.fromtimestamp(seconds, timezone.utc)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
