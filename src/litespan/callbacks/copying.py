"""Copies for handlers: containers of their own, JSON-able metadata, no credentials."""

import re
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any, Final
from uuid import UUID

from litespan.redaction.text import scrub

_DEEPEST: Final = 32  # nested containers; what is further down is shared
_CREDENTIAL: Final = re.compile(
    r"""
    (?: ^ | [-_] ) (?:
        api[-_]?key | access[-_]key(?:[-_]id)? | secret(?:[-_]access)?[-_]key | private[-_]key
      | secret(?:[-_]fields)? | password | passwd | credentials? | (?:id|ad|auth|api)[-_]token
      | (?:access|refresh|session|security|bearer)[-_]token | token(?:[-_]provider)?
      | authorization | auth | bearer | (?:set[-_])?cookies?
    ) $
    """,
    re.IGNORECASE | re.VERBOSE,
)
# Keywords of LiteLLM's that hold the application's text: a name in there is the user's own.
_CONTENT: Final = frozenset(
    {
        "messages",
        "input",
        "prompt",
        "query",
        "documents",
        "tools",
        "functions",
        "tool_choice",
        "response_format",
    }
)
# Objects of LiteLLM's own among the keywords.
_INTERNAL: Final = frozenset({"litellm_logging_obj", "shared_session", "client", "logger_fn"})
# The proxy keeps hashes and names of its keys under names like these.
_KEY_FACTS: Final = "user_api_key"
_PLAIN: Final = (str, bool, int, float, type(None))
_AS_TEXT: Final = (datetime, date, UUID, Decimal)


def is_credential(name: object) -> bool:
    """Whether a keyword, header or field of this name holds a credential."""
    return isinstance(name, str) and _CREDENTIAL.search(name) is not None


def copied(value: Any, depth: int = _DEEPEST) -> Any:
    """`value` in containers of its own; what they hold is shared.

    Dicts, lists, tuples and sets are copied, all the way down; they may be changed by another
    thread meanwhile.
    """
    if depth == 0:
        return value
    kind = type(value)
    if kind is dict:
        return {
            name: copied(inner, depth - 1) if type(inner) in _CONTAINERS else inner
            for name, inner in value.copy().items()
        }
    if kind is list or kind is tuple:
        return kind(
            [
                copied(inner, depth - 1) if type(inner) in _CONTAINERS else inner
                for inner in value[:]
            ]
        )
    return value.copy() if kind is set else value


_CONTAINERS: Final = frozenset({dict, list, tuple, set})


def keywords(given: Mapping[str, Any]) -> dict[str, Any]:
    """The caller's keywords, copied, without credentials and LiteLLM's own objects."""
    return {
        name: inner if name in _CONTENT else _open(inner)
        for name, inner in copied(dict(given)).items()
        if name not in _INTERNAL and not is_credential(name)
    }


def _open(value: Any) -> Any:
    """`value`, a copy, without credentials in it; the application's text is left alone."""
    if type(value) is dict:
        return {
            name: inner if name in _CONTENT else _open(inner)
            for name, inner in value.items()
            if not is_credential(name)
        }
    if type(value) is list:
        return [_open(inner) for inner in value]
    return value


def jsonable(value: Mapping[Any, Any]) -> dict[str, Any]:
    """What of `value` can be written as JSON, without credentials."""
    return {
        str(name): plain
        for name, inner in dict(value).items()
        if not _is_secret(name, inner) and (plain := _plain(inner)) is not _NONE
    }


_NONE: Final = object()


def _is_secret(name: object, value: Any) -> bool:
    if isinstance(name, str) and name.startswith(_KEY_FACTS) and isinstance(value, str):
        return value.startswith("sk-")
    return is_credential(name)


def _plain(value: Any, depth: int = _DEEPEST) -> Any:
    if isinstance(value, Enum):
        value = value.value
    if isinstance(value, _PLAIN):
        return value
    if isinstance(value, _AS_TEXT):
        return str(value)
    if depth == 0:
        return _NONE
    if isinstance(value, Mapping):
        return {
            str(name): plain
            for name, inner in dict(value).items()
            if not _is_secret(name, inner) and (plain := _plain(inner, depth - 1)) is not _NONE
        }
    if isinstance(value, (list, tuple, set, frozenset)):
        made = [_plain(inner, depth - 1) for inner in list(value)]
        return [inner for inner in made if inner is not _NONE]
    return _NONE


def request_of_proxy(given: Any) -> dict[str, Any] | None:
    """`{url, method, headers, body}` of a request to the proxy, without credentials."""
    if not isinstance(given, Mapping):
        return None
    body = given.get("body")
    return {
        "url": scrub(str(given.get("url") or "")),
        "method": given.get("method"),
        "headers": jsonable(given.get("headers") or {}),
        "body": keywords(body) if isinstance(body, Mapping) else body,
    }
