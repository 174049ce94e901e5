"""Reads the PostgreSQL table of the exporter."""

import os
from collections.abc import Iterator, Sequence
from typing import Final
from urllib.parse import quote, urlencode

from litespan.stores.records import FETCH, IDS, Reader, Record, Unreadable, converted, missing
from litespan_exporters.postgres import (
    DEFAULT_TABLE,
    LIBPQ,
    TABLE_VARIABLE,
    URL,
    VARIABLE,
)
from litespan_exporters.postgres.libpq import for_libpq

_SINCE: Final = "where start_time >= %s::timestamptz order by start_time"


def read(place: str, columns: Sequence[str], since: str) -> Iterator[Record]:
    """The rows of the PostgreSQL table."""
    return _select(place, columns, _SINCE, (since or "-infinity",))


def newest(place: str, columns: Sequence[str], since: str) -> Iterator[Record]:
    """The rows of the PostgreSQL table, newest first."""
    return _select(place, columns, f"{_SINCE} desc", (since or "-infinity",))


def find(place: str, columns: Sequence[str], prefix: str) -> Iterator[Record]:
    """The rows whose key, call id or trace id begins with `prefix`."""
    where = " or ".join(f"starts_with({name}::text, %s)" for name in IDS)
    return _select(place, columns, f"where {where}", (prefix,) * len(IDS))


def _select(
    place: str, columns: Sequence[str], where: str, values: Sequence[str]
) -> Iterator[Record]:
    try:
        import psycopg
    except ImportError:
        raise missing("psycopg", "postgres") from None
    table = os.environ.get(TABLE_VARIABLE, "").strip() or DEFAULT_TABLE
    try:
        with psycopg.connect(for_libpq(place), connect_timeout=10) as connection:
            described = connection.execute(
                "select attname from pg_attribute where attrelid = to_regclass(%s)", (table,)
            ).fetchall()
            if not described:
                raise Unreadable(f"there is no table {table}; set its name in {TABLE_VARIABLE}")
            present = {str(name) for (name,) in described}
            chosen = ", ".join(name if name in present else "null" for name in columns)
            with connection.cursor("litespan_records") as cursor:
                cursor.itersize = FETCH
                cursor.execute(
                    f"select {chosen} from {table} {where}",  # noqa: S608 - our own names
                    values,
                )
                for row in cursor:
                    yield dict(zip(columns, map(converted, columns, row), strict=True))
    except psycopg.Error as error:
        message = error.diag.message_primary or type(error).__name__
        raise Unreadable(f"cannot read the PostgreSQL table {table}: {message}") from None


def postgres_url(dsn: str) -> str:
    """The exporter's connection string as a URL; empty if there is none."""
    if not dsn:
        return "postgresql://" if any(map(os.environ.get, LIBPQ)) else ""
    if "://" in dsn:
        return dsn
    try:
        from psycopg import Error
        from psycopg.conninfo import conninfo_to_dict
    except ImportError:
        raise missing("psycopg", "postgres") from None
    try:
        parts = conninfo_to_dict(dsn)
    except Error:  # the message can contain the password
        raise Unreadable("LITESPAN_POSTGRES is not a PostgreSQL URL") from None
    name = quote(str(parts.pop("dbname", "")), safe="")
    return f"postgresql:///{name}?{urlencode(parts)}"


READER: Final = Reader(
    read,
    (VARIABLE, URL),
    schemes=("postgres://", "postgresql:", "postgresql+"),
    place=postgres_url,
    newest=newest,
    find=find,
)
