"""Recorded calls as plain dicts, the same from every store, and the reader of a store.

A record has the columns of `litespan.stores.columns` with plain values: text, numbers, `Decimal`
US dollars, times as ISO 8601 text in UTC with microseconds and `Z`, lists, parsed JSON.
"""

import csv
import json
import math
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, TypeAlias

from litespan.redaction.text import printable
from litespan.stores.columns import COLUMNS, Kind, time_text

Record: TypeAlias = dict[str, Any]
Read: TypeAlias = Callable[[str, Sequence[str], str], Iterator[Record]]

KINDS: Final[dict[str, Kind]] = {column.name: column.kind for column in COLUMNS}
NAMES: Final = tuple(KINDS)
TIME: Final = "%Y-%m-%dT%H:%M:%S.%fZ"
"""Format of times in records."""
IDS: Final = ("key", "call_id", "trace_id")
"""The columns that identify calls; a call id can be that of several attempts."""
_UNITS: Final = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
FETCH: Final = 2_000
"""Rows to fetch at a time."""


_MAX_MESSAGE: Final = 500  # characters


class Unreadable(Exception):
    """The place cannot be read. The message says why and how to fix it.

    It is one line that is safe to print: a driver's message can quote a damaged file.
    """

    def __init__(self, message: str) -> None:
        super().__init__(printable(message[:_MAX_MESSAGE]))


def missing(module: str, extra: str) -> Unreadable:
    """The error for a driver that is not installed."""
    return Unreadable(f"{module} is not installed; pip install 'litespan[{extra}]'")


BROKEN: Final = (ValueError, ArithmeticError, AttributeError, TypeError, RecursionError, csv.Error)
"""Raised for damaged lines and rows, and those that litespan did not write."""


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads the records of one store. Registered as an entry point in `litespan_readers`.

    Attributes:
        read: `(place, columns, since)` → records. A place is a path or a URL, `since` is ISO
            8601 text in UTC or empty. Raises Unreadable.
        variables: environment variables with the place; the first one set wins.
        default: the place if no variable is set; empty if there is none.
        schemes: prefixes of the store's URLs; empty for a file.
        is_one: whether a file is such a store, from its first 16 bytes.
        place: converts the value of a variable to a place for `read`.
        newest: as `read`, but newest first; None if the store cannot do that.
        find: `(place, columns, prefix)` → the calls of which a column in `IDS` begins with
            `prefix`; None if the store has no faster way than to read all.
    """

    read: Read
    variables: tuple[str, ...]
    default: str = ""
    schemes: tuple[str, ...] = ()
    is_one: Callable[[bytes], bool] = lambda _: False
    place: Callable[[str], str] = str
    newest: Read | None = None
    find: Read | None = None


def once(found: Iterable[Record]) -> Iterator[Record]:
    """Remove duplicate calls; finished calls take precedence over started ones."""
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
    """Convert a driver's value to the value in a record."""
    if value is None:
        return None
    kind = KINDS[name]
    if kind == "time":
        at = value if value.tzinfo is not None else value.replace(tzinfo=timezone.utc)
        return time_text(at.astimezone(timezone.utc))
    if kind == "key":
        return str(value)
    return json.loads(value) if kind == "json" and isinstance(value, str) else value


def later(found: Iterable[Record], since: str) -> Iterator[Record]:
    """The records of calls that started at `since` or later."""
    return (record for record in found if (record["start_time"] or "") >= since)


def report_broken(count: int, unit: str, path: Path) -> None:
    """Print how many lines or rows of a file were left out, if any."""
    if count:
        left_out = f"{count} {unit}(s) of {path} cannot be read and are left out"
        print(f"litespan: {left_out}", file=sys.stderr)


def reason(error: Exception) -> str:
    """A short message for an error."""
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def is_gzip(path: Path) -> bool:
    """Whether the file is compressed with gzip."""
    with path.open("rb") as file:
        return file.read(2) == b"\x1f\x8b"


def moment(text: str) -> datetime:
    """A record's time as an aware datetime."""
    return datetime.strptime(text, TIME).replace(tzinfo=timezone.utc)


def moment_of(text: str) -> datetime:
    """A time that a person has written, or an age, such as 24h, as an aware datetime in UTC.

    Raises:
        ValueError: the message says what to write.
    """
    try:
        if ago := re.fullmatch(r"(\d{1,6})([mhdw])", text):
            return datetime.now(timezone.utc) - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        at = datetime.fromisoformat(re.sub(r"[zZ]$", "+00:00", text))
        at = at.replace(tzinfo=timezone.utc) if at.tzinfo is None else at
        return at.astimezone(timezone.utc)
    except (ValueError, OverflowError) as error:
        raise ValueError(
            f"cannot read {text!r} as a time; write 24h, 7d, 2026-11-01 or 2026-11-01T12:00"
        ) from error


def checked(record: Record) -> Record:
    """Check that all values of `record` are valid, and return it.

    Raises:
        ValueError: a value is invalid or missing; the message is its column.
    """
    for name, value in record.items():
        fits = name not in _REQUIRED if value is None else _FORMS[name](value)
        if not fits:
            raise ValueError(name)
    return record


_REQUIRED: Final = frozenset({"key", "trace_id", "span_id", "start_time", "outcome"})


def _is(*types: type) -> Callable[[Any], bool]:
    return lambda value: type(value) in types


def _matches(pattern: str) -> Callable[[Any], bool]:
    found = re.compile(pattern).fullmatch
    return lambda value: type(value) is str and found(value) is not None


def _is_time(value: str) -> bool:
    start = datetime.fromisoformat(value.removesuffix("Z"))
    return f"{start.isoformat(timespec='microseconds')}Z" == value


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
"""Column → check of values that are not None."""
