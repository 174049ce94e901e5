"""Removes secrets, quotes of the request's content and control characters from text."""

import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from itertools import islice, repeat
from typing import Any, Final

from litespan.objects import utf8
from litespan.redaction.echoes import CONTENT, without_echoes

MASK: Final = "[redacted]"
MAX_TEXT: Final = 1024  # characters of an error message
_MAX_SCANNED: Final = 4096  # characters of an error message that are processed
_MAX_SEARCHED: Final = 16_384  # characters in which credentials are searched: some are long
_SHORTEST: Final = 6  # characters: minimum length of a credential
_MAX_VALUES: Final = 10_000  # arguments searched for credentials

# Prefixes of API keys, before a `-` or `_`.
_PREFIXES: Final = (
    *("sk", "pk", "rk", "gsk", "csk", "pcsk", "xai", "pplx", "hf", "fw", "nvapi", "tvly"),
    *("gh[oprsu]", "github_pat", "glpat", "xox[abeprs]", "xapp", "lsv2", "glsa", "gocspx"),
)
# Patterns of credentials. They are masked completely, because a prefix would identify the key.
_SECRET: Final = re.compile(
    rf"\b(?:{'|'.join(_PREFIXES)})"
    r"""[-_][A-Za-z0-9_\-*.]{6,}
    | \b(?:AKIA|ASIA)[A-Z0-9]{12,}
    | \bAIza[A-Za-z0-9_\-]{16,} | \b(?:AQ|ya29)\.[A-Za-z0-9_\-]{16,}
    | \bdapi[a-f0-9]{32} | \bABSK[A-Za-z0-9+/=]{16,} | \br8_[A-Za-z0-9]{16,} | \bek_[a-f0-9]{16,}
    | \beyJ[A-Za-z0-9_\-]{8,}\.[A-Za-z0-9_\-]{8,}(?:\.[A-Za-z0-9_\-]*)?
    | (?<=bearer\s)\S+ | (?<=basic\s)[A-Za-z0-9+/=]{8,}
    | -----BEGIN[A-Z ]*PRIVATE\ KEY[A-Z ]*-----[^-]*(?:-----END[A-Z ]*-----)?
    | (?<=://)[^/\s@]+(?:@[^/\s@"'<>,]+)*(?=@)
    | (?<=\?)[^\s"'<>)\]]+(?=[\s"'<>)\]]|$)
    | (?:(?:api|access|account|private|subscription|secret)[-_ ]?key|token|secret|passw(?:or)?d
      |passphrase|pwd|authorization|credentials?)\\*["']?\s*[:=]\s*\\*["']?[^\s"'\\,}&]+
    | (?:(?<=key\ provided:\ )|(?<=token\ provided:\ ))[^\s,]+
    """,
    re.IGNORECASE | re.VERBOSE,
)
_SHORTEST_PLAIN: Final = 16  # characters: minimum length of an alphanumeric credential
# Every match of `_SECRET` contains one of these, in lower case. Checking this first is fast, and
# most texts contain none.
_HINT: Final = re.compile(
    "|".join(f"{prefix}[-_]" for prefix in _PREFIXES)
    + r"|akia|asia|aiza|aq\.|ya29\.|dapi|absk|r8_|ek_|eyj|bearer|basic|-----begin|://|\?|:|="
)
_SECRET_ARGUMENT: Final = re.compile(
    r"key|token|secret|passw|credential|auth|cookie|header|aws_|vertex_", re.IGNORECASE
)
_SCHEMAS: Final = frozenset({"schema", "parameters", "input_schema"})

# Parts of the names of credentials; not "author", "monkey" or "keyboard".
_SECRET_NAME: Final = re.compile(
    r"""
    secret(?!ar) | passw | passphrase | pwd | credential | cookie | bearer | jwt | signature
    | private | auth(?!or(?!i[sz])) | token(?!i[sz])
    | (?<!mon|don|tur|hoc|joc|lac)(?<!whis)key(?!board|word|note|stone)
    """,
    re.IGNORECASE | re.VERBOSE,
)
# Names of numbers that count or price tokens.
_COUNT: Final = re.compile(
    r"tokens$|_per_|^max_tokens|token_?(?:limit|count|budget|cost)", re.IGNORECASE
)


def is_secret_name(name: str, value: object = None) -> bool:
    """Whether a field with this name may contain a credential.

    Numbers under names such as `max_tokens` or `input_cost_per_token` are not credentials.
    """
    if not _SECRET_NAME.search(name):
        return False
    return not (isinstance(value, (int, float)) and _COUNT.search(name))


def is_plain(text: str) -> bool:
    """Whether `text` is too short and simple to be or contain a credential, and is ASCII."""
    return len(text) < _SHORTEST_PLAIN and text.isalnum() and text.isascii()


def scrub(text: str) -> str:
    """Mask everything in `text` that looks like a credential."""
    if len(text) < _SHORTEST_PLAIN and text.isalnum():
        return text
    return _SECRET.sub(MASK, text) if _HINT.search(text.lower()) else text


@lru_cache(maxsize=1024)
def scrub_name(text: str) -> str:
    """Mask credentials in a user, key, team or path, and make it valid UTF-8.

    Cached, because they repeat.
    """
    return utf8(scrub(text))


def scrub_error(text: str, secrets: Iterable[str], content: Iterable[str]) -> str:
    """Return an error message without credentials or quotes of content, at most 1 KB.

    Args:
        text: the original message.
        secrets: the call's credentials, headers and URLs, which are masked.
        content: the request's texts.
    """
    text = text[:_MAX_SEARCHED]
    for secret in sorted(secrets, key=len, reverse=True):  # one may start with another
        text = text.replace(secret, MASK)
    return utf8(without_echoes(scrub(text[:_MAX_SCANNED]), content)[:MAX_TEXT])


def printable(text: str, instead: Callable[[str], str] = lambda _: "\ufffd") -> str:
    """`text` without control characters and other characters that a terminal acts on.

    Args:
        text: from a call or a service.
        instead: returns the replacement of a character that cannot be printed.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else instead(c) for c in text)


def secrets(arguments: Mapping[Any, Any]) -> Iterator[str]:
    """Yield the credentials in nested arguments, visiting each container once.

    Content and JSON schemas have none, but may have fields with such names.
    """
    seen: set[int] = set()
    left = _MAX_VALUES
    found: deque[tuple[Any, bool]] = deque([(arguments, False)])
    while found and left > 0:
        values, inside = found.popleft()
        if id(values) in seen:
            continue
        seen.add(id(values))
        named = values.items() if isinstance(values, Mapping) else zip(repeat(""), values)
        for name, value in islice(named, left):
            left -= 1
            if name in _SCHEMAS or (values is arguments and name in CONTENT):
                continue
            secret = inside or (isinstance(name, str) and bool(_SECRET_ARGUMENT.search(name)))
            if isinstance(value, (Mapping, list, tuple)):
                found.append((value, secret))
            elif secret and isinstance(value, str) and len(value) >= _SHORTEST:
                yield value
