"""Text of calls made safe for people's screens: one line, no controls, no mentions."""

import re
import unicodedata
from datetime import datetime, timezone
from typing import Final

_MENTION: Final = re.compile(r"(?<!\w)@(?=\w)")
_COMMAND: Final = re.compile(r"<(?=[!@#])")  # `<!channel>`, in whatever is passed on to Slack
_NOTHING: Final = "\u200b"  # looks the same and calls nobody


def tidy(text: str, most: int = 200) -> str:
    """One line of at most `most` characters, without control and direction characters.

    Nor is there any of Slack's `<!channel>` in it: alerts are passed on to chats by others, too.
    """
    text = "".join(
        " " if character.isspace() else character
        for character in text[: 4 * most]
        if character.isspace() or not unicodedata.category(character).startswith("C")
    )
    text = _COMMAND.sub(f"<{_NOTHING}", " ".join(text.split()))
    return text if len(text) <= most else f"{text[: most - 1]}…"


def unmentioned(text: str) -> str:
    """`text` with no `@name` that a chat would take for a mention."""
    return _MENTION.sub(f"@{_NOTHING}", text)


def iso(seconds: float) -> str:
    """Seconds since the epoch as RFC 3339, UTC, ms."""
    at = datetime.fromtimestamp(seconds, timezone.utc)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
