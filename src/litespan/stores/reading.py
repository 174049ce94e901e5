"""Reads recorded calls from any store with an entry point in `litespan_readers`."""

import gzip
import os
import zlib
from collections.abc import Iterator, Sequence
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from litespan.stores.records import NAMES, Reader, Record, Unreadable, is_gzip, reason

GROUP: Final = "litespan_readers"
DEFAULT: Final = "sqlite"
"""The store to read if none is named."""


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
    place = placed(source)
    wanted = tuple(dict.fromkeys(("key", "outcome", "start_time", *columns)))
    return _reader(source, place).read(place, wanted, since)


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
