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
_MOST_CONTAINERS: Final = 20_000  # in one walk; those beyond are shared
_MOST_VALUES: Final = 10_000  # in one walk, where the result is to be written as JSON
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


def copied(value: Any) -> Any:
    """`value` in containers of its own; what they hold is shared.

    Dicts, lists, tuples and sets are copied, all the way down; they may be changed by another
    thread meanwhile.
    """
    return _Copies().of(value)


def keywords(given: Mapping[str, Any]) -> dict[str, Any]:
    """The caller's keywords, copied, without credentials and LiteLLM's own objects."""
    clean = _CleanCopies()
    return {
        name: clean.field(name, inner, _DEEPEST)
        for name, inner in dict(given).items()
        if name not in _INTERNAL and not is_credential(name)
    }


class _Copies:
    """The copies of one walk: one of each container, so cycles and shared branches cost nothing."""

    __slots__ = ("_left", "_made")

    def __init__(self) -> None:
        self._left = _MOST_CONTAINERS
        # By id: (the container, which must live for its id to be its own, and its copy).
        self._made: dict[int, tuple[Any, Any]] = {}

    def of(self, value: Any, depth: int = _DEEPEST) -> Any:
        """`value`, or its copy if it is a container."""
        kind = type(value)
        if kind not in _CONTAINERS:
            return value
        known = self._made.get(id(value))
        if known is not None:
            return known[1]
        if depth == 0 or self._left == 0:
            return self.rest(value)
        self._left -= 1
        if kind is set:
            return value.copy()
        made: Any = {} if kind is dict else []
        self._made[id(value)] = (value, made)
        if kind is dict:
            for name, inner in value.copy().items():
                if self.keeps(name):
                    made[name] = self.field(name, inner, depth - 1)
            return made
        made += [self.of(inner, depth - 1) for inner in value[:]]
        if kind is tuple:
            made = tuple(made)
            self._made[id(value)] = (value, made)
        return made

    def rest(self, value: Any) -> Any:
        """What stands for a container that is too deep, or one too many: itself."""
        return value

    def keeps(self, _name: object) -> bool:
        """Whether a field of this name is copied."""
        return True

    def field(self, _name: object, value: Any, depth: int) -> Any:
        """The copy of a dict's field."""
        return self.of(value, depth)


class _CleanCopies(_Copies):
    """Copies without credentials; the application's text is left alone."""

    __slots__ = ("_text",)

    def __init__(self) -> None:
        super().__init__()
        self._text = _Copies()

    def rest(self, value: Any) -> Any:
        """Nothing of it: it may hold credentials."""
        return type(value)()

    def keeps(self, name: object) -> bool:
        """All fields but credentials."""
        return not is_credential(name)

    def field(self, name: object, value: Any, depth: int) -> Any:
        """The copy of a field; a name inside the application's text is the application's own."""
        return self._text.of(value, depth) if name in _CONTENT else self.of(value, depth)


_CONTAINERS: Final = frozenset({dict, list, tuple, set})


def jsonable(value: Mapping[Any, Any]) -> dict[str, Any]:
    """What of `value` can be written as JSON, without credentials: `_MOST_VALUES` at most."""
    return _Plain().fields(value, _DEEPEST)


_NONE: Final = object()


def _is_secret(name: object, value: Any) -> bool:
    if isinstance(name, str) and name.startswith(_KEY_FACTS) and isinstance(value, str):
        return value.startswith("sk-")
    return is_credential(name)


class _Plain:
    """One walk. Each value counts as often as JSON would repeat it."""

    __slots__ = ("_left",)

    def __init__(self) -> None:
        self._left = _MOST_VALUES

    def fields(self, value: Mapping[Any, Any], depth: int) -> dict[str, Any]:
        """The fields of a mapping."""
        found: dict[str, Any] = {}
        for name, inner in dict(value).items():
            if self._left <= 0 and not isinstance(inner, _PLAIN):
                continue
            if not _is_secret(name, inner) and (plain := self.of(inner, depth)) is not _NONE:
                found[str(name)] = plain
        return found

    def of(self, value: Any, depth: int) -> Any:
        """`value`, or `_NONE` if it can not be written, is too deep, or one too many."""
        self._left -= 1
        if isinstance(value, Enum):
            value = value.value
        if isinstance(value, _PLAIN):
            return value
        if isinstance(value, _AS_TEXT):
            return str(value)
        if depth == 0 or self._left <= 0:
            return _NONE
        if isinstance(value, Mapping):
            return self.fields(value, depth - 1)
        if isinstance(value, (list, tuple, set, frozenset)):
            found = []
            for inner in list(value):
                if self._left <= 0:
                    break
                if (plain := self.of(inner, depth - 1)) is not _NONE:
                    found.append(plain)
            return found
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
