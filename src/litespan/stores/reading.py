"""Reads recorded calls from any store with an entry point in `litespan_readers`."""

import gzip
import heapq
import os
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from importlib.metadata import entry_points
from itertools import islice
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from litespan.stores.records import IDS, NAMES, Reader, Record, Unreadable, is_gzip, reason

GROUP: Final = "litespan_readers"
DEFAULT: Final = "sqlite"
"""The store to read if none is named."""
_SHOWN: Final = 5  # ids in a message


@cache
def readers() -> dict[str, Reader]:
    """The installed readers by store name, as in `OTEL_TRACES_EXPORTER`."""
    return {found.name: found.load() for found in sorted(entry_points(group=GROUP))}


def records(source: str, columns: Sequence[str] = NAMES, since: str = "") -> Iterator[Record]:
    """The calls in `source` that started at `since` or later, each once.

    Args:
        source: A file, a folder of Parquet files, a database's URL, or a store's name.
        columns: The columns to read; `key`, `outcome` and `start_time` are always read.
        since: ISO 8601 in UTC; empty for all.

    Raises:
        Unreadable: the source is missing, or litespan did not write it.
    """
    reader, place, chosen = _opened(source, columns)
    return reader.read(place, chosen, since)


def latest(
    source: str,
    number: int,
    columns: Sequence[str] = NAMES,
    since: str = "",
    wanted: Callable[[Record], bool] = lambda _: True,
) -> list[Record]:
    """The last `number` calls that are wanted, newest first. Arguments and errors as `records`."""
    reader, place, chosen = _opened(source, columns)
    if reader.newest is not None:
        return list(islice(filter(wanted, reader.newest(place, chosen, since)), number))
    found = filter(wanted, reader.read(place, chosen, since))
    return heapq.nlargest(number, found, key=lambda record: record["start_time"])


def find(source: str, identifier: str, columns: Sequence[str] = NAMES) -> list[Record]:
    """The calls with the id `identifier`, or the only id that begins with it, oldest first.

    Raises:
        NotFound: there is no such call, or several ids begin with it.
        Unreadable: as `records`.
    """
    names = {
        record[column]
        for record in _beginning(source, identifier, IDS)
        for column in IDS
        if (record[column] or "").startswith(identifier)
    }
    if not identifier or not names:
        raise NotFound(f"no call {identifier} in {named(source)}")
    if identifier not in names and len(names) > 1:
        some = ", ".join(sorted(names)[:_SHOWN]) + (", …" if len(names) > _SHOWN else "")
        raise NotFound(f"{len(names)} ids begin with {identifier}: {some}; add more characters")
    name = identifier if identifier in names else names.pop()
    found = _beginning(source, name, dict.fromkeys((*IDS, *columns)))
    exact = (record for record in found if name in [record[column] for column in IDS])
    return sorted(exact, key=lambda record: record["start_time"])


def pick(
    source: str, keys: Sequence[str], since: str = "", columns: Sequence[str] = NAMES
) -> Iterator[Record]:
    """The calls with these keys, all of which started at `since` or later. Errors as `records`."""
    reader, place, chosen = _opened(source, columns)
    if reader.find is not None:
        for key in keys:
            yield from (r for r in reader.find(place, chosen, key) if r["key"] == key)
        return
    missing = set(keys)
    for record in reader.read(place, chosen, since):
        if record["key"] in missing:
            yield record
            missing.discard(record["key"])
            if not missing:
                return


class NotFound(Exception):
    """No call has the id, or several ids begin with it. The message says which."""


def _beginning(source: str, prefix: str, columns: Iterable[str]) -> Iterator[Record]:
    reader, place, chosen = _opened(source, columns)
    if reader.find is not None:
        return reader.find(place, chosen, prefix)
    found = reader.read(place, chosen, "")
    return (r for r in found if any((r[name] or "").startswith(prefix) for name in IDS))


def _opened(source: str, columns: Iterable[str]) -> tuple[Reader, str, tuple[str, ...]]:
    """The reader of a source, its place, and the columns to read."""
    place = placed(source)
    chosen = tuple(dict.fromkeys(("key", "outcome", "start_time", *columns)))
    return _reader(source, place), place, chosen


def placed(source: str) -> str:
    """The place of a store from its variables; a path or URL is returned unchanged.

    Raises:
        Unreadable: the store has no default place and its variable is not set.
    """
    reader = readers().get(source)
    if reader is None:
        return source
    given = (os.environ.get(name, "").strip() for name in reader.variables)
    place = reader.place(next(filter(None, given), "")) or reader.default
    if not place:
        raise Unreadable(f"{reader.variables[0]} is not set: set it to the database's URL")
    return place


def named(source: str) -> str:
    """A place for display: a database URL without user, password and options."""
    place = placed(source)
    if "://" not in place:
        return place
    parts = urlsplit(place)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _reader(source: str, place: str) -> Reader:
    """The reader of a place, by its scheme, first bytes, or the suffix of an empty file."""
    found = readers()
    for reader in found.values():
        if reader.schemes and place.startswith(reader.schemes):
            return reader
    path = Path(place).expanduser()
    if path.is_dir():
        return found["parquet"]
    try:
        head = _head(path)
    except (OSError, EOFError, zlib.error) as error:
        if not path.exists():
            raise Unreadable(
                f"there is no file {path}; record calls with OTEL_TRACES_EXPORTER=sqlite, or name "
                f"the file, here or in {found[DEFAULT].variables[0]}"
            ) from error
        raise Unreadable(f"cannot read {path}: {reason(error)}") from error
    if not head:
        suffix = Path(path.name.removesuffix(".gz")).suffix[1:]
        return found.get(source) or found.get(suffix) or found[DEFAULT]
    for reader in found.values():
        if reader.is_one(head):
            return reader
    raise Unreadable(f"{path} was not written by litespan")


def _head(path: Path) -> bytes:
    with gzip.open(path) if is_gzip(path) else path.open("rb") as file:
        return file.read(16)
