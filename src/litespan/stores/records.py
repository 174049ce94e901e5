"""One recorded call as a plain dict, the same from every store; and what a store reads with.

A record has the columns of `litespan.stores.columns` with plain values: text, numbers, `Decimal`
US dollars, times as ISO 8601 text in UTC with microseconds and `Z`, lists, parsed JSON.
"""

import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, TypeAlias

from litespan.stores.columns import COLUMNS, Kind

Record: TypeAlias = dict[str, Any]

KINDS: Final[dict[str, Kind]] = {column.name: column.kind for column in COLUMNS}
NAMES: Final = tuple(KINDS)
TIME: Final = "%Y-%m-%dT%H:%M:%S.%fZ"
"""How a record writes times."""
FETCH: Final = 2_000
"""Rows that a reader fetches at a time."""


class Unreadable(Exception):
    """The place cannot be read. The message says why, and what to do."""


def missing(module: str, extra: str) -> Unreadable:
    """The error for a driver that is not installed."""
    return Unreadable(f"{module} is not installed; pip install 'litespan[{extra}]'")


@dataclass(frozen=True, slots=True)
class Reader:
    """How the records of one store are read. Found by the entry points in `litespan_readers`.

    Attributes:
        read: `(place, columns, since)` → records. A place is a path or a URL, `since` is ISO
            8601 text in UTC or empty. Raises Unreadable.
        variables: environment variables that name the place, the first one set wins.
        default: the place where no variable is set; empty if there is none.
        schemes: what a URL of such a store begins with; empty for a file.
        is_one: whether a file is such a store, by its first 16 bytes.
        place: turns the value of a variable into a place that `read` takes.
    """

    read: Callable[[str, Sequence[str], str], Iterator[Record]]
    variables: tuple[str, ...]
    default: str = ""
    schemes: tuple[str, ...] = ()
    is_one: Callable[[bytes], bool] = lambda _: False
    place: Callable[[str], str] = str


def once(found: Iterable[Record]) -> Iterator[Record]:
    """Each call once, where it can be there several times: finished rather than started."""
    seen: set[bytes] = set()
    started: dict[bytes, Record] = {}
    for record in found:
        key = bytes.fromhex(record["key"].replace("-", ""))
        if key in seen:
            continue
        if record["outcome"] == "started":
            started[key] = record
        else:
            seen.add(key)
            started.pop(key, None)
            yield record
    yield from started.values()


def converted(name: str, value: Any) -> Any:
    """A driver's value as a record has it."""
    if value is None:
        return None
    kind = KINDS[name]
    if kind == "time":
        at = value if value.tzinfo is not None else value.replace(tzinfo=timezone.utc)
        return at.astimezone(timezone.utc).strftime(TIME)
    if kind == "key":
        return str(value)
    return json.loads(value) if kind == "json" and isinstance(value, str) else value


def later(found: Iterable[Record], since: str) -> Iterator[Record]:
    """The records of calls that began at `since` or later."""
    return (record for record in found if (record["start_time"] or "") >= since)


def said(error: Exception) -> str:
    """What an error of reading says, in a few words."""
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def packed(path: Path) -> bool:
    """Is it a file of gzip's?"""
    with path.open("rb") as file:
        return file.read(2) == b"\x1f\x8b"


def moment(text: str) -> datetime:
    """A record's time as an aware datetime."""
    return datetime.strptime(text, TIME).replace(tzinfo=timezone.utc)


def checked(record: Record) -> Record:
    """`record`, if its values are such as litespan writes.

    Raises:
        ValueError: one is not, or is missing; the text is its column.
    """
    for name, value in record.items():
        fits = name not in _NEEDED if value is None else _FORMS[name](value)
        if not fits:
            raise ValueError(name)
    return record


_NEEDED: Final = frozenset({"key", "trace_id", "span_id", "start_time", "outcome"})


def _is(*types: type) -> Callable[[Any], bool]:
    return lambda value: type(value) in types


def _matches(pattern: str) -> Callable[[Any], bool]:
    found = re.compile(pattern).fullmatch
    return lambda value: type(value) is str and found(value) is not None


def _is_time(value: str) -> bool:
    begun = datetime.fromisoformat(value.removesuffix("Z"))
    return f"{begun.isoformat(timespec='microseconds')}Z" == value


_OF_KIND: Final[dict[Kind, Callable[[Any], bool]]] = {
    "key": _matches("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"),
    "text": _is(str),
    "integer": _is(int),
    "real": lambda value: type(value) in (int, float) and math.isfinite(value),
    "money": lambda value: type(value) is Decimal and value.is_finite(),
    "flag": _is(bool),
    "time": lambda value: type(value) is str and _is_time(value),
    "list": lambda value: type(value) is list and all(type(item) is str for item in value),
    "json": _is(list),
}
_FORMS: Final[dict[str, Callable[[Any], bool]]] = {
    **{name: _OF_KIND[kind] for name, kind in KINDS.items()},
    **dict.fromkeys(("metadata", "attributes"), _is(dict)),
    "trace_id": _matches("[0-9a-f]{32}"),
    **dict.fromkeys(("span_id", "parent_span_id"), _matches("[0-9a-f]{16}")),
}
"""Column → is this (not None) a value of it?"""
