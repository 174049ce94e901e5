"""What a store holds, read back: the same records from every kind of store.

A record is a dict of the columns of `litespan_exporters.rows` with plain values: text, numbers,
`Decimal` US dollars, times as ISO 8601 text in UTC with microseconds and `Z`, lists, parsed JSON.
"""

import csv
import gzip
import json
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, TextIO, TypeAlias
from urllib.parse import urlsplit

from litespan_exporters import csv_file
from litespan_exporters.rows import COLUMNS, Kind
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
    from litespan.cli import databases

    place = placed(source)
    wanted = tuple(dict.fromkeys(("key", "outcome", "start_time", *columns)))
    if place.startswith(("postgres://", "postgresql:", "postgresql+")):
        return databases.postgres(place, wanted, since)
    if place.startswith(("mongodb://", "mongodb+srv://")):
        return databases.mongodb(place, wanted, since)
    path = Path(place).expanduser()
    if path.is_dir():
        return once(_later(databases.parquet(path, wanted), since))
    kind = _kind(path)
    if kind in ("sqlite", "duckdb"):
        return getattr(databases, kind)(path, wanted, since)  # type: ignore[no-any-return]
    if kind == "parquet":
        return once(_later(databases.parquet(path, wanted), since))
    read = _jsonl if kind == "jsonl" else _csv
    return once(_later(_lines(path, read), since))


def placed(source: str) -> str:
    """The place that a store's name stands for, as its variables say; others as they are."""
    from litespan.cli import databases

    if source in _DATABASES:
        found = (os.environ.get(name, "").strip() for name in _DATABASES[source])
        place = next(filter(None, found), "")
        if source == "postgres":
            place = databases.postgres_url(place)
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


def _kind(path: Path) -> str:
    """What kind of store a file is, by its first bytes."""
    try:
        head = _head(path)
    except OSError as error:
        if not path.exists():
            raise Unreadable(
                f"there is no file {path}; record calls with OTEL_TRACES_EXPORTER=sqlite, or name "
                f"the file, here or in {VARIABLE}"
            ) from error
        raise Unreadable(f"cannot read {path}: {error.strerror}") from error
    if head.startswith(b"SQLite format 3\0") or not head:
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


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        head = file.read(16)
    if head.startswith(b"\x1f\x8b"):
        with gzip.open(path) as unpacked:
            return unpacked.read(16)
    return head


def _opened(path: Path) -> TextIO:
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8", newline="")
    return path.open(encoding="utf-8", newline="")


def _lines(path: Path, read: Callable[[TextIO], Iterator[Record | None]]) -> Iterator[Record]:
    """The records of a file, and of those that rotation has put aside for it, oldest first."""
    broken = 0
    for file in (*_put_aside(path), path):
        with _opened(file) as lines:
            for record in read(lines):
                if record is None:
                    broken += 1
                else:
                    yield record
    if broken:
        print(f"litespan: {broken} line(s) of {path} cannot be read: left out", file=sys.stderr)


def _put_aside(path: Path) -> list[Path]:
    stem, suffix = re.escape(path.stem), re.escape(path.suffix)
    name = re.compile(rf"{stem}-\d{{8}}T\d{{6}}\.\d{{6}}Z-\d+{suffix}(\.gz)?")
    return sorted(file for file in path.parent.iterdir() if name.fullmatch(file.name))


def _jsonl(lines: TextIO) -> Iterator[Record | None]:
    for line in lines:
        try:
            members = json.loads(line)
            record = {name: members.get(name) for name in NAMES}
            for name in _MONEY:
                record[name] = record[name] and Decimal(record[name])
            bytes.fromhex(record["key"].replace("-", ""))
        except (ValueError, ArithmeticError, AttributeError, TypeError):
            yield None
        else:
            yield record


def _csv(lines: TextIO) -> Iterator[Record | None]:
    csv.field_size_limit(2**31 - 1)
    for cells in csv.DictReader(lines):
        try:
            record: Record = {
                name: _FROM_TEXT[kind](cells[name]) if cells.get(name) else None
                for name, kind in KINDS.items()
            }
            bytes.fromhex(record["key"].replace("-", ""))
        except (ValueError, ArithmeticError, AttributeError, TypeError, KeyError):
            yield None
        else:
            yield record


def moment(text: str) -> datetime:
    """A record's time as an aware datetime."""
    return datetime.strptime(text, TIME).replace(tzinfo=timezone.utc)


_MONEY: Final = [name for name, kind in KINDS.items() if kind == "money"]
_FROM_TEXT: Final[dict[Kind, Callable[[str], Any]]] = {
    "key": str,
    "text": csv_file.unguarded,
    "integer": int,
    "real": float,
    "money": Decimal,
    "flag": lambda text: text == "true",
    "time": str,
    "list": json.loads,
    "json": lambda text: json.loads(csv_file.unguarded(text)),
}
