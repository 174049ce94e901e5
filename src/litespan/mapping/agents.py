"""Parses the `metadata.user_id` of coding agents, which contains device, account and session.

Claude Code and agents built on it send it to Anthropic's Messages API, as
`user_<device>_account_<account>_session_<session>` or, since 2.1.78, as JSON.
"""

import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from litespan.objects import parsed

_MAX_LENGTH: Final = 2048  # characters; longer texts are not parsed
_TEXT: Final = re.compile(
    r"user_(?P<device>.*?)(?:_account_(?P<account>.*?))?_session_(?P<session>.+)", re.DOTALL
)
_ACCOUNT: Final = ("account_uuid", "account_id", "account")
_DEVICE: Final = ("device_id", "device", "user_id")
_SESSION: Final = ("session_id", "session")


class Agent(NamedTuple):
    """The user and the session of a coding agent; each None if unknown."""

    user: str | None
    session: str | None


def read_agent(given: Any) -> Agent | None:
    """Parse a coding agent's user id; return None if `given` is not one.

    The user is the account, or the device if there is no account. It does not contain the
    session, so that each developer is one user.
    """
    stated: Any = given
    if isinstance(given, str):
        if len(given) > _MAX_LENGTH:
            return None
        if given.startswith("{"):
            stated = parsed(given)
        elif found := _TEXT.fullmatch(given):
            device, account, session = found.group("device", "account", "session")
            return Agent(account or device or None, session)
    if not isinstance(stated, Mapping):
        return None
    session = _first(stated, _SESSION)
    user = _first(stated, _ACCOUNT) or _first(stated, _DEVICE)
    return Agent(user, session) if user or session else None


def person(given: Any) -> Any:
    """Return the user of a coding agent's user id, and any other value unchanged."""
    agent = read_agent(given)
    return given if agent is None else agent.user


def _first(stated: Mapping[Any, Any], names: tuple[str, ...]) -> str | None:
    found = (stated.get(name) for name in names)
    return next((value for value in found if value and isinstance(value, str)), None)
