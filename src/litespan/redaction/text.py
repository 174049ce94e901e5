"""Taking secrets, and echoes of the request's content, out of free text."""

import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, Final

from litespan.objects import utf8
from litespan.redaction.echoes import ECHO, TooMuch, without_echoes

MASK: Final = "[redacted]"
MAX_TEXT: Final = 1024  # characters of an error text that are kept
_SCANNED: Final = 4096  # characters of an error text that are looked at
_SHORTEST: Final = 6  # characters of a credential
_MOST_VALUES: Final = 10_000  # values among a call's arguments that may be credentials

# What keys begin with, before a `-` or `_`.
_PREFIXES: Final = (
    *("sk", "pk", "rk", "gsk", "xai", "pplx", "hf", "fw", "nvapi"),
    *("ghp", "gho", "ghs", "glpat"),
)
# Shapes of credentials. Masked whole: a prefix of a key still identifies it.
_SECRET: Final = re.compile(
    rf"\b(?:{'|'.join(_PREFIXES)})"
    r"""[-_][A-Za-z0-9_\-*.]{6,}
    | \b(?:AKIA|ASIA)[A-Z0-9]{12,}
    | \bAIza[A-Za-z0-9_\-]{16,}
    | \beyJ[A-Za-z0-9_\-]{8,}\.[A-Za-z0-9_\-]{8,}(?:\.[A-Za-z0-9_\-]*)?
    | (?<=bearer\s)\S+ | (?<=basic\s)[A-Za-z0-9+/=]{8,}
    | (?<=://)[^/\s@]+(?=@)
    | (?<=\?)[^\s"'<>)\]]+(?=[\s"'<>)\]]|$)
    | (?:api[-_ ]?key|token|secret|password|authorization|credentials?)["']?\s*[:=]
      \s*["']?[^\s"',}&]+
    """,
    re.IGNORECASE | re.VERBOSE,
)
_SHORTEST_PLAIN: Final = 16  # a credential of letters and digits alone is at least this long
# What each of these shapes has, in lower case: nearly all texts have none, and `_SECRET`, which
# ignores case and looks behind, takes microseconds to find that out.
_HINT: Final = re.compile(
    "|".join(f"{prefix}[-_]" for prefix in _PREFIXES)
    + r"|akia|asia|aiza|eyj|bearer|basic|://|\?|:|="
)
_SECRET_ARGUMENT: Final = re.compile(
    r"key|token|secret|passw|credential|auth|cookie|header|aws_|vertex_", re.IGNORECASE
)

# What the names of credentials have in them; not "author", "monkey" or "keyboard".
_SECRET_NAME: Final = re.compile(
    r"""
    secret(?!ar) | passw | passphrase | credential | cookie | bearer | signature | private
    | auth(?!or(?!i[sz])) | token(?!i[sz])
    | (?<!mon|don|tur|hoc|joc|lac)(?<!whis)key(?!board|word|note|stone)
    """,
    re.IGNORECASE | re.VERBOSE,
)
# Names of numbers that count or price tokens.
_COUNT: Final = re.compile(
    r"tokens$|_per_|^max_tokens|token_?(?:limit|count|budget|cost)", re.IGNORECASE
)


def is_secret_name(name: str, value: object = None) -> bool:
    """Whether a field of this name may hold a credential.

    A number may stand under a name such as `max_tokens` or `input_cost_per_token`.
    """
    if not _SECRET_NAME.search(name):
        return False
    return not (isinstance(value, (int, float)) and _COUNT.search(name))


def scrub(text: str) -> str:
    """`text` with everything that looks like a credential masked."""
    if len(text) < _SHORTEST_PLAIN and text.isalnum():
        return text
    return _SECRET.sub(MASK, text) if _HINT.search(text.lower()) else text


def scrub_error(text: str, arguments: Mapping[str, Any], content: Iterable[str]) -> str:
    """An error text that may leave: no credentials, no echo of `content`, at most 1 KB.

    `arguments` are the call's: what their credentials, headers and URLs hold is masked
    wherever it stands. `content` is the request's text.
    """
    text = text[:_SCANNED]
    for secret in _secrets(arguments):
        text = text.replace(secret, MASK)
    text = scrub(text)
    try:
        text = without_echoes(text, content)
    except TooMuch:
        text = ECHO
    return utf8(text[:MAX_TEXT])


def _secrets(arguments: Mapping[Any, Any]) -> Iterator[str]:
    """The credentials among the arguments, however deep, each container once."""
    seen: set[int] = set()
    left = _MOST_VALUES
    stack: list[tuple[Mapping[Any, Any], bool]] = [(arguments, False)]
    while stack and left > 0:
        values, inside = stack.pop()
        if id(values) in seen:
            continue
        seen.add(id(values))
        for name, value in islice(values.items(), left):
            left -= 1
            secret = inside or (isinstance(name, str) and bool(_SECRET_ARGUMENT.search(name)))
            if isinstance(value, Mapping):
                stack.append((value, secret))
            elif secret and isinstance(value, str) and len(value) >= _SHORTEST:
                yield value
