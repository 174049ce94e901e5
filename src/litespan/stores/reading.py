"""What a store holds, read back: the same records from every kind of store.

A record is a dict of the columns of `litespan.stores.columns` with plain values: text, numbers,
`Decimal` US dollars, times as ISO 8601 text in UTC with microseconds and `Z`, lists, parsed JSON.
"""

import gzip
import json
import math
import os
import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, TypeAlias
from urllib.parse import urlsplit

from litespan.stores.columns import COLUMNS, Kind
from litespan_exporters import csv_file
from litespan_exporters.sqlite import VARIABLE

Record: TypeAlias = dict[str, Any]

KINDS: Final[dict[str, Kind]] = {column.name: column.kind for column in COLUMNS}
NAMES: Final = tuple(KINDS)
TIME: Final = "%Y-%m-%dT%H:%M:%S.%fZ"
"""How a record writes times."""

_FILES: Final = {"sqlite": "db", "jsonl": "jsonl", "csv": "csv", "duckdb": "duckdb"}
_DATABASES: Final = {
    "postgres": ("LITESPAN_POSTGRES", "DATABASE_URL"),
    "mongodb": ("LITESPAN_MONGODB", "MONGODB_URI"),
}
STORES: Final = (*_FILES, "parquet", *_DATABASES)
"""A store's name stands for the place that its variable names."""


class Unreadable(Exception):
    """There is nothing to be had from this place; the text says why, and what to do."""


def records(source: str, columns: Sequence[str] = NAMES, since: str = "") -> Iterator[Record]:
    """The calls in `source` that began at `since` (ISO 8601, UTC) or later, each once.

    Args:
        source: A file, a folder of Parquet files, a database's URL, or a store's name.
        columns: What to read of each call; `key`, `outcome` and `start_time` are always read.
        since: ISO 8601 in UTC; empty for all.

    Raises:
        Unreadable: nothing is there, or it is none of ours.
    """
    from litespan.stores import read_databases, read_lines

    place = placed(source)
    wanted = tuple(dict.fromkeys(("key", "outcome", "start_time", *columns)))
    if place.startswith(("postgres://", "postgresql:", "postgresql+")):
        return read_databases.postgres(place, wanted, since)
    if place.startswith(("mongodb://", "mongodb+srv://")):
        return read_databases.mongodb(place, wanted, since)
    path = Path(place).expanduser()
    if path.is_dir():
        return once(_later(read_databases.parquet(path, wanted), since))
    kind = _kind(path, source)
    if kind in ("sqlite", "duckdb"):
        return getattr(databases, kind)(path, wanted, since)  # type: ignore[no-any-return]
    if kind == "parquet":
        return once(_later(read_databases.parquet(path, wanted), since))
    return once(_later(read_lines.calls(path, kind), since))


def placed(source: str) -> str:
    """The place that a store's name stands for, as its variables say; others as they are."""
    from litespan.stores import read_databases

    if source in _DATABASES:
        found = (os.environ.get(name, "").strip() for name in _DATABASES[source])
        place = next(filter(None, found), "")
        if source == "postgres":
            place = read_databases.postgres_url(place)
        if not place:
            raise Unreadable(f"{_DATABASES[source][0]} is not set: set it to the database's URL")
        return place
    if source == "parquet" or source in _FILES:
        default = f"litespan.{_FILES[source]}" if source in _FILES else "litespan-parquet"
        return os.environ.get(f"LITESPAN_{source.upper()}", "").strip() or default
    return source


def named(source: str) -> str:
    """A place as it may be shown: a database's URL without user, password and options."""
    place = placed(source)
    if "://" not in place:
        return place
    parts = urlsplit(place)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


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


def _later(found: Iterable[Record], since: str) -> Iterator[Record]:
    return (record for record in found if (record["start_time"] or "") >= since)


def _kind(path: Path, source: str) -> str:
    """What kind of store a file is, by its first bytes; of an empty one by its name."""
    try:
        head = _head(path)
    except (OSError, EOFError, zlib.error) as error:
        if not path.exists():
            raise Unreadable(
                f"there is no file {path}; record calls with OTEL_TRACES_EXPORTER=sqlite, or name "
                f"the file, here or in {VARIABLE}"
            ) from error
        raise Unreadable(f"cannot read {path}: {said(error)}") from error
    if not head:
        return source if source in _FILES else _empty_kind(path)
    if head.startswith(b"SQLite format 3\0"):
        return "sqlite"
    if head[8:12] == b"DUCK":
        return "duckdb"
    if head.startswith(b"PAR1"):
        return "parquet"
    if head.startswith(b"{"):
        return "jsonl"
    if head.startswith(csv_file.CsvExporter.header[:8]):
        return "csv"
    raise Unreadable(f"{path} is nothing that litespan wrote")


def _empty_kind(path: Path) -> str:
    suffix = Path(path.name.removesuffix(".gz")).suffix
    return suffix[1:] if suffix in (".jsonl", ".csv") else "sqlite"


def said(error: Exception) -> str:
    """What an error of reading says, in a few words."""
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def packed(path: Path) -> bool:
    """Is it a file of gzip's?"""
    with path.open("rb") as file:
        return file.read(2) == b"\x1f\x8b"


def _head(path: Path) -> bytes:
    with gzip.open(path) if packed(path) else path.open("rb") as file:
        return file.read(16)


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
