"""The limits of a spool: beyond them, the oldest content goes first, and calls last."""

from collections.abc import Callable
from dataclasses import dataclass
from sqlite3 import Connection
from typing import Final
from zlib import crc32

from litespan.counters import count
from litespan.errors import log_once
from litespan.spool.record import without_content

LEAST_FREED: Final = 0.1  # of the limit, so that not every record is followed by a search
_DROPPED: Final = {
    "content": "LITESPAN_SPOOL_MAX_BYTES is reached: the oldest %d call(s) lost their content",
    "size": "LITESPAN_SPOOL_MAX_BYTES is reached: the oldest %d call(s) were dropped",
    "age": "LITESPAN_SPOOL_MAX_AGE: %d call(s) were not accepted in time and were dropped",
}


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of the files of one process."""

    max_bytes: int = 1_000_000_000
    max_age: float = 604_800.0  # s
    sync: str = "normal"


def report(cause: str, number: int) -> None:
    """Count records that lost their content or were dropped, and log it once."""
    if number:
        count(f"spool.dropped.{cause}", number)
        log_once(f"spool.dropped.{cause}", f"{_DROPPED[cause]} (logged once)", number)


def strip(connection: Connection, excess: int) -> tuple[int, int]:
    """Remove the content of the oldest records. Returns (records, bytes freed)."""
    number = freed = last = 0
    while freed < excess:
        row = connection.execute(
            "select id, checksum, data from calls where not stripped and id > ? "
            "order by id limit 1",
            (last,),
        ).fetchone()
        if row is None:
            break
        last, checksum, old = row
        data = without_content(old, checksum)
        if not data or len(data) >= len(old):
            connection.execute("update calls set stripped = 1 where id = ?", (last,))
            continue
        number, freed = number + 1, freed + len(old) - len(data)
        connection.execute(
            "update calls set stripped = 1, data = ?, size = ?, checksum = ? where id = ?",
            (data, len(data), crc32(data), last),
        )
    return number, freed


def drop(connection: Connection, excess: int) -> tuple[int, int]:
    """Delete the oldest records. Returns (records, bytes freed)."""
    ids, freed = [], 0
    for number, size in connection.execute("select id, size from calls order by id"):
        if freed >= excess:
            break
        ids.append((number,))
        freed += size
    connection.executemany("delete from calls where id = ?", ids)
    return len(ids), freed


FREE: Final[tuple[tuple[Callable[[Connection, int], tuple[int, int]], str], ...]] = (
    (strip, "content"),
    (drop, "size"),
)
"""What frees bytes in a file, in this order, and what it is counted as."""
