"""Copies of calls' arguments for handlers: own containers, no credentials."""

import re
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any, Final
from uuid import UUID

from litespan.redaction.text import scrub

_MAX_DEPTH: Final = 32  # nested containers; deeper ones are shared
_MAX_CONTAINERS: Final = 20_000  # in one walk; the rest is shared
_MAX_VALUES: Final = 10_000  # in one walk, where the result is written as JSON
# At the end of a name, as a word of its own: `api_key`, `X-Api-Key`, `openaiApiKey`.
_CREDENTIAL: Final = re.compile(
    r"""
    (?: ^ | [-_] | (?-i: (?<=[a-z0-9])(?=[A-Z]) ) ) (?:
        (?: api | access | secret | secret[-_]?access | private | account | subscription | oci )
        [-_]?key (?: [-_]?id )?
      | secrets? | secret[-_]?fields | password | passwd | passphrase | credentials? | jwt
      | token (?: [-_]?provider )? | authorization | auth | bearer | (?: set[-_]? )? cookies?
    ) $ | ^ x-key $
    """,
    re.IGNORECASE | re.VERBOSE,
)
# LiteLLM's keywords that hold the application's text: field names inside them are the user's.
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
# LiteLLM's own objects among the keywords.
_INTERNAL: Final = frozenset({"litellm_logging_obj", "shared_session", "client", "logger_fn"})
# The proxy stores hashes and aliases of its keys under names with this prefix.
_KEY_PREFIX: Final = "user_api_key"
_PLAIN: Final = (str, bool, int, float, type(None))
_AS_TEXT: Final = (datetime, date, UUID, Decimal)


def is_credential(name: object) -> bool:
    """Whether a keyword, header or field of this name holds a credential."""
    return isinstance(name, str) and _CREDENTIAL.search(name) is not None


def copied(value: Any) -> Any:
    """A deep copy of dicts, lists, tuples and sets; other objects are shared.

    Another thread may change them at the same time.
    """
    return _Copies().of(value)


def copied_arguments(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Deep copies of the arguments that are dicts, lists, tuples or sets."""
    copies: dict[str, Any] = {}
    walk: _Copies | None = None
    for name, value in arguments.items():
        if type(value) in _CONTAINERS:
            copy = _flat_copy(value)
            if copy is None:
                walk = walk or _Copies()
                copy = walk.of(value)
            copies[name] = copy
    return copies


def _flat_copy(value: Any) -> Any:
    """A copy of a flat dict, or of a list of flat dicts, such as messages of text; else None.

    With few function calls: this runs on the caller's thread.
    """
    if type(value) is dict:
        copy: Any = {**value}
        for inner in copy.values():
            if type(inner) in _CONTAINERS:
                return None
        return copy
    if type(value) is not list:
        return None
    copy = [{**each} if type(each) is dict else each for each in value]
    for each in copy:
        if type(each) is dict:
            for inner in each.values():
                if type(inner) in _CONTAINERS:
                    return None
        elif type(each) in _CONTAINERS:
            return None
    return copy


def keywords(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of the caller's arguments, without credentials and LiteLLM's own objects."""
    clean = _CleanCopies()
    return {
        name: clean.field(name, inner, _MAX_DEPTH)
        for name, inner in dict(arguments).items()
        if name not in _INTERNAL and not is_credential(name)
    }


class _Copies:
    """One walk. Each container is copied once, so cycles and shared branches stay so."""

    __slots__ = ("_copies", "_left")
    _cleans = False

    def __init__(self) -> None:
        self._left = _MAX_CONTAINERS
        # By id: (the container, kept alive so that its id stays unique, and its copy).
        self._copies: dict[int, tuple[Any, Any]] = {}

    def of(self, value: Any, depth: int = _MAX_DEPTH) -> Any:
        """`value`, or a copy if it is a container."""
        kind = type(value)
        if kind not in _CONTAINERS:
            return value
        number, copies = id(value), self._copies
        if number in copies:
            return copies[number][1]
        if depth == 0 or self._left == 0:
            return self.rest(value)
        depth, self._left = depth - 1, self._left - 1
        # With few function calls: this runs in every call that has a handler.
        copy: Any = {**value} if kind is dict else {*value} if kind is set else [*value]
        copies[number] = (value, copy)
        if kind is dict and self._cleans:
            self._clean_fields(copy, depth)
        elif kind is not set:
            for place, inner in copy.items() if kind is dict else enumerate(copy):
                if type(inner) in _CONTAINERS:
                    copy[place] = self.of(inner, depth)
        if kind is tuple:
            copy = tuple(copy)
            copies[number] = (value, copy)
        return copy

    def _clean_fields(self, copy: dict[Any, Any], depth: int) -> None:
        """Copy the fields of a copied dict, if this class `_cleans` them."""

    def rest(self, value: Any) -> Any:
        """The replacement for a container beyond the limits: the container itself."""
        return value


class _CleanCopies(_Copies):
    """Copies without credentials; the application's text is unchanged."""

    __slots__ = ("_text",)
    _cleans = True

    def __init__(self) -> None:
        super().__init__()
        self._text = _Copies()

    def rest(self, value: Any) -> Any:
        """An empty container: it may hold credentials."""
        return type(value)()

    def _clean_fields(self, copy: dict[Any, Any], depth: int) -> None:
        """All fields but credentials; those inside the application's text are all kept."""
        for name in [name for name in copy if is_credential(name)]:
            del copy[name]
        for name, inner in copy.items():
            copy[name] = self.field(name, inner, depth)

    def field(self, name: object, value: Any, depth: int) -> Any:
        """The copy of a field."""
        return self._text.of(value, depth) if name in _CONTENT else self.of(value, depth)


_CONTAINERS: Final = frozenset({dict, list, tuple, set})


def jsonable(value: Mapping[Any, Any]) -> dict[str, Any]:
    """The part of `value` that JSON can represent, without credentials; at most `_MAX_VALUES`."""
    return _Plain().fields(value, _MAX_DEPTH)


_NONE: Final = object()


def _is_secret(name: object, value: Any) -> bool:
    if isinstance(name, str) and name.startswith(_KEY_PREFIX) and isinstance(value, str):
        return value.startswith("sk-")
    return is_credential(name)


class _Plain:
    """One walk. A shared value counts each time, as JSON repeats it."""

    __slots__ = ("_left",)

    def __init__(self) -> None:
        self._left = _MAX_VALUES

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
        """`value`, or `_NONE` if JSON cannot represent it or it is beyond the limits."""
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


def request_of_proxy(request: Any) -> dict[str, Any] | None:
    """`{url, method, headers, body}` of a request to the proxy, without credentials."""
    if not isinstance(request, Mapping):
        return None
    body = request.get("body")
    return {
        "url": scrub(str(request.get("url") or "")),
        "method": request.get("method"),
        "headers": jsonable(request.get("headers") or {}),
        "body": keywords(body) if isinstance(body, Mapping) else body,
    }
