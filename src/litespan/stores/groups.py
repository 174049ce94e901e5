"""The groups and filters of calls in `report`, `calls` and `ui`."""

from collections.abc import Iterable, Mapping
from typing import Any, Final, TypeAlias

Row: TypeAlias = Mapping[str, Any]

FIELDS: Final[dict[str, tuple[str, ...]]] = {
    # The requested model: failures and many streams have no response model. Searches, tools and
    # agents have no model at all.
    "model": ("request_model", "model", "operation"),
    "user": ("user_id",),
    "team": ("team_alias", "team_id"),
    "session": ("session_id",),
    "tag": ("tags",),
    "provider": ("provider",),
    "key": ("api_key_alias", "api_key_hash"),
    "end-user": ("end_user_id",),
    "error": ("error_type",),
    "outcome": ("outcome",),
}
"""Name → columns. A call belongs to the first one that is set; a filter compares with each."""

COLUMNS: Final = tuple(dict.fromkeys(name for columns in FIELDS.values() for name in columns))
"""All columns that `groups` and `matches` read."""

FAILED: Final = ("failure", "cancelled")
"""Outcomes that count as failures."""


def groups(row: Row, by: str) -> Iterable[str | None]:
    """The groups of a call: one, or one for each of its tags. The name None means no value."""
    if by == "tag":
        return dict.fromkeys(row["tags"] or [None])
    return [next((row[column] for column in FIELDS[by] if row[column]), None)]


def matches(row: Row, wanted: Mapping[str, str]) -> bool:
    """Whether a call has every wanted value, by name in `FIELDS`."""
    return all(
        value in (row["tags"] or ())
        if name == "tag"
        else any(row[column] == value for column in FIELDS[name])
        for name, value in wanted.items()
    )
