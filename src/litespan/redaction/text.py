"""Taking secrets, and echoes of the request's content, out of free text."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

MASK: Final = "[redacted]"
ECHO: Final = "[content]"
MAX_TEXT: Final = 1024  # characters of an error text that are kept
_SCANNED: Final = 4096  # characters of an error text that are looked at
_WINDOW: Final = 16  # an echo is at least this long, or a whole short message
_SHORTEST: Final = 6

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


def scrub_error(text: str, arguments: Mapping[str, Any], content: Iterable[str] | None) -> str:
    """An error text that may leave: no credentials, no echo of `content`, at most 1 KB.

    `arguments` are the call's: what their credentials, headers and URLs hold is masked
    wherever it stands. `content` is the request's text, or None where content is recorded.
    """
    text = text[:_SCANNED]
    for secret in _secrets(arguments):
        text = text.replace(secret, MASK)
    text = scrub(text)
    for message in content or ():
        text = _without_echo(text, message)
    return utf8(text[:MAX_TEXT])


def utf8(text: str) -> str:
    """`text`, with `?` for halves of surrogate pairs: OTLP cannot carry them."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _secrets(arguments: Mapping[Any, Any], *, inside: bool = False) -> Iterator[str]:
    for name, value in arguments.items():
        secret = inside or (isinstance(name, str) and bool(_SECRET_ARGUMENT.search(name)))
        if isinstance(value, Mapping):
            yield from _secrets(value, inside=secret)
        elif secret and isinstance(value, str) and len(value) >= _SHORTEST:
            yield value


def _without_echo(text: str, message: str) -> str:
    """`text` without any run of `_WINDOW` or more characters that stands in `message`."""
    if len(message) < _WINDOW:
        return text.replace(message, ECHO) if len(message) >= _SHORTEST else text
    kept: list[str] = []
    at = 0
    while at < len(text):
        end = at + _WINDOW
        if end <= len(text) and text[at:end] in message:
            while end < len(text) and text[at : end + 1] in message:
                end += 1
            kept.append(ECHO)
            at = end
        else:
            kept.append(text[at])
            at += 1
    return "".join(kept)
