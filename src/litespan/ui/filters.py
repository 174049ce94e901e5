"""The filters in a URL's query, as SQL for the index and as links to other selections."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any, Final
from urllib.parse import urlencode

from litespan.stores import groups
from litespan.ui.index import Index

NONE: Final = "(none)"
"""The value of a filter for calls that have none."""
RANGES: Final = {
    "1h": timedelta(hours=1),
    "24h": timedelta(days=1),
    "7d": timedelta(days=7),
    "30d": timedelta(days=30),
    "": None,
}
"""The choices of `range`; the empty one is all time."""
_NUMBERS: Final = {"min_cost": "cost_usd >= ?", "min_seconds": "duration_s >= ?"}
_TIMES: Final = {"since": "start_time >= ?", "until": "start_time < ?"}


def value_of(name: str) -> str:
    """SQL for the group of a call, by name in `groups.FIELDS`; null if it has none."""
    return f"coalesce({', '.join(groups.FIELDS[name])})"


@dataclass(frozen=True, slots=True)
class Filters:
    """The filters in a URL. Invalid values are ignored."""

    given: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, query: Mapping[str, str]) -> "Filters":
        """The known, valid parameters of a query string."""
        names = (*groups.FIELDS, *_NUMBERS, *_TIMES, "range", "q", "failed")
        kept = {name: query[name].strip() for name in names if query.get(name, "").strip()}
        return cls({name: value for name, value in kept.items() if _is_valid(name, value)})

    @property
    def active(self) -> dict[str, str]:
        """All filters except the range, for display."""
        return {name: value for name, value in self.given.items() if name != "range"}

    def get(self, name: str) -> str:
        """The value of a parameter; empty if it is not given."""
        return self.given.get(name, "")

    def query(self, **changes: str | None) -> str:
        """The query string with changes; None removes a parameter."""
        kept = {k: v for k, v in {**self.given, **changes}.items() if v}
        return f"?{urlencode(kept, errors='replace')}" if kept else ""

    def where(self, index: Index) -> tuple[str, list[Any]]:
        """A condition in SQL, and its values."""
        conditions, values = ["true"], list[Any]()
        for name, value in self.given.items():
            if name in groups.FIELDS:
                condition, more = _field(name, value)
            elif name in _NUMBERS:
                condition, more = _NUMBERS[name], [float(value)]
            elif name in _TIMES:
                condition, more = _TIMES[name], [_time(value)]
            elif name == "range":
                now = datetime.now(timezone.utc).replace(tzinfo=None)
                condition, more = "start_time >= ?", [now - (RANGES[value] or timedelta())]
            elif name == "q":
                condition, more = (
                    "key in (select unnest(?::varchar[]))",
                    [index.texts.matching(value)],
                )
            else:
                condition, more = f"outcome in {groups.FAILED}", []
            conditions.append(condition)
            values += more
        return " and ".join(conditions), values


def _field(name: str, value: str) -> tuple[str, list[Any]]:
    columns = groups.FIELDS[name]
    if name == "tag":
        return ("tags[1] is null", []) if value == NONE else ("list_contains(tags, ?)", [value])
    if value == NONE:
        return f"{value_of(name)} is null", []
    return f"({' or '.join(f'{column} = ?' for column in columns)})", [value] * len(columns)


def _is_valid(name: str, value: str) -> bool:
    if name in _NUMBERS:
        return re.fullmatch(r"\d{1,9}(\.\d{1,10})?", value) is not None
    if name == "range":
        return value in RANGES
    if name in _TIMES:
        try:
            return bool(_time(value))
        except (ValueError, OverflowError):  # a year below 1 or above 9999, in UTC
            return False
    return True


def _time(value: str) -> datetime:
    at = datetime.fromisoformat(re.sub(r"[zZ]$", "+00:00", value))
    return at.astimezone(timezone.utc).replace(tzinfo=None) if at.tzinfo else at
