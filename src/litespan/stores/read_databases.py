"""Records out of databases and Parquet files; see `litespan.stores.reading`."""

import json
import os
import sqlite3
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlencode

from litespan.stores.reading import KINDS, Record, Unreadable, checked, converted, moment
from litespan.stores.schema import TABLE
from litespan_exporters import sqlite as sqlite_store
from litespan_exporters.mongodb import COLLECTION, DEFAULT_DATABASE
from litespan_exporters.postgres import DEFAULT_TABLE, LIBPQ, TABLE_VARIABLE, for_libpq

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MANY: Final = 2_000  # rows that are fetched at a time


def sqlite(path: Path, columns: Sequence[str], since: str) -> Iterator[Record]:
    """The rows of a SQLite file."""
    try:
        connection = _open(path)
        try:
            present = {name for _, name, *_ in connection.execute(f"pragma table_info({TABLE})")}
            names = [f"{n}_e10" if KINDS[n] == "money" else n for n in columns]
            # A file of an older schema lacks columns until this version writes to it.
            chosen = ", ".join(name if name in present else "null" for name in names)
            sql = f"select {chosen} from {TABLE} where start_time >= ? order by start_time"  # noqa: S608 - names of ours
            for row in connection.execute(sql, (since,)):
                yield {n: _of_sqlite(n, v) for n, v in zip(columns, row, strict=True)}
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise Unreadable(f"cannot read {path}: {error}") from error


def _of_sqlite(name: str, value: Any) -> Any:
    kind = KINDS[name]
    if value is None or kind in ("text", "key", "time", "integer", "real"):
        return value
    if kind == "money":
        return Decimal(value).scaleb(-10)
    return bool(value) if kind == "flag" else json.loads(value)


def _open(path: Path) -> sqlite3.Connection:
    place = f"file:{quote(str(path))}?"
    try:
        # For reading only; but "mode=ro" would leave WAL's helper files behind.
        return _checked(sqlite3.connect(place + "mode=rw", uri=True), path)
    except sqlite3.OperationalError:  # a folder where SQLite may not put those files
        return _checked(sqlite3.connect(place + "immutable=1", uri=True), path)


def _checked(connection: sqlite3.Connection, path: Path) -> sqlite3.Connection:
    try:
        connection.execute("pragma query_only = on")
        (application,) = connection.execute("pragma application_id").fetchone()
    except sqlite3.Error:
        connection.close()
        raise
    if application != sqlite_store.APPLICATION:
        connection.close()
        raise Unreadable(f"{path} is a database, but not one that litespan wrote")
    return connection


def duckdb(path: Path, columns: Sequence[str], since: str) -> Iterator[Record]:
    """The rows of a DuckDB file."""
    try:
        import duckdb as library
    except ImportError:
        raise _missing("duckdb", "duckdb") from None
    try:
        with library.connect(path, read_only=True) as connection:
            described = connection.execute(f"describe {TABLE}").fetchall()
            present = {str(name) for name, *_ in described}
            # Times as numbers: for zones, Python needs a package that DuckDB does not bring.
            times = {name: f"epoch_us({name})" for name, kind in KINDS.items() if kind == "time"}
            chosen = ", ".join(times.get(n, n) if n in present else "null" for n in columns)
            begun = moment(since).timestamp() if since else 0.0
            found = connection.execute(
                f"select {chosen} from {TABLE} where start_time >= to_timestamp(?) "  # noqa: S608
                "order by start_time",
                [begun],
            )
            while rows := found.fetchmany(_MANY):
                for row in rows:
                    yield dict(zip(columns, map(_of_duckdb, columns, row), strict=True))
    except library.Error as error:
        said = str(error).partition("\n")[0]
        raise Unreadable(f"cannot read {path}: {said}") from error


def _of_duckdb(name: str, value: Any) -> Any:
    if KINDS[name] == "time" and value is not None:
        return converted(name, _EPOCH + timedelta(microseconds=value))
    return converted(name, value)


def parquet(path: Path, columns: Sequence[str]) -> Iterator[Record]:
    """The rows of a Parquet file, or of all in a folder and its folders, oldest file first."""
    try:
        from pyarrow import ArrowException
        from pyarrow import parquet as library
    except ImportError:
        raise _missing("pyarrow", "parquet") from None
    files = [path] if path.is_file() else sorted(path.rglob("*.parquet"), key=lambda f: f.name)
    if not files:
        raise Unreadable(f"there is no Parquet file in {path}")
    for file in files:
        try:
            opened = library.ParquetFile(file)
            there = [name for name in columns if name in opened.schema_arrow.names]
            if "key" not in there:
                raise Unreadable(f"{file} is nothing that litespan wrote")
            for batch in opened.iter_batches(_MANY, columns=there):
                for row in batch.to_pylist():
                    yield _of_parquet(file, {name: row.get(name) for name in columns})
        except (OSError, ArrowException) as error:
            said = str(error).partition("\n")[0]
            raise Unreadable(f"cannot read {file}: {said}") from error


def _of_parquet(file: Path, row: Record) -> Record:
    try:
        return checked({name: converted(name, value) for name, value in row.items()})
    except (ValueError, AttributeError) as error:  # columns of these names, of other kinds
        raise Unreadable(f"{file} is nothing that litespan wrote") from error


def postgres_url(dsn: str) -> str:
    """What the exporter takes for an address, as a URL; empty if there is none."""
    if not dsn:
        return "postgresql://" if any(map(os.environ.get, LIBPQ)) else ""
    if "://" in dsn:
        return dsn
    try:
        from psycopg import Error
        from psycopg.conninfo import conninfo_to_dict
    except ImportError:
        raise _missing("psycopg", "postgres") from None
    try:
        parts = conninfo_to_dict(dsn)
    except Error:  # whose text has parts of it, passwords too
        raise Unreadable("LITESPAN_POSTGRES is no PostgreSQL address") from None
    name = quote(str(parts.pop("dbname", "")), safe="")
    return f"postgresql:///{name}?{urlencode(parts)}"


def postgres(dsn: str, columns: Sequence[str], since: str) -> Iterator[Record]:
    """The rows of the PostgreSQL table that the exporter writes to."""
    try:
        import psycopg
    except ImportError:
        raise _missing("psycopg", "postgres") from None
    table = os.environ.get(TABLE_VARIABLE, "").strip() or DEFAULT_TABLE
    try:
        with psycopg.connect(for_libpq(dsn), connect_timeout=10) as connection:
            described = connection.execute(
                "select attname from pg_attribute where attrelid = to_regclass(%s)", (table,)
            ).fetchall()
            if not described:
                raise Unreadable(f"there is no table {table}; name it in {TABLE_VARIABLE}")
            present = {str(name) for (name,) in described}
            chosen = ", ".join(name if name in present else "null" for name in columns)
            with connection.cursor("litespan_records") as cursor:
                cursor.itersize = _MANY
                cursor.execute(
                    f"select {chosen} from {table} "  # noqa: S608
                    "where start_time >= %s::timestamptz order by start_time",
                    (since or "-infinity",),
                )
                for row in cursor:
                    yield dict(zip(columns, map(converted, columns, row), strict=True))
    except psycopg.Error as error:
        said = error.diag.message_primary or type(error).__name__
        raise Unreadable(f"cannot read the PostgreSQL table {table}: {said}") from None


def mongodb(uri: str, columns: Sequence[str], since: str) -> Iterator[Record]:
    """The documents of the MongoDB collection that the exporter writes to."""
    try:
        import pymongo
        from pymongo.errors import ConfigurationError, PyMongoError
    except ImportError:
        raise _missing("pymongo", "mongodb") from None
    name = os.environ.get(COLLECTION, "").strip() or TABLE
    try:
        client: pymongo.MongoClient[Any] = pymongo.MongoClient(uri, serverSelectionTimeoutMS=10_000)
        with client:
            try:
                collection = client.get_default_database()[name]
            except ConfigurationError:
                collection = client[DEFAULT_DATABASE][name]
            chosen = {"_id" if column == "key" else column: 1 for column in columns}
            wanted = {"start_time": {"$gte": moment(since)}} if since else {}
            for document in collection.find(wanted, chosen).sort("start_time"):
                document["key"] = document.pop("_id")
                yield {n: converted(n, _of_bson(n, document.get(n))) for n in columns}
    except PyMongoError as error:
        raise Unreadable(f"cannot read MongoDB: {type(error).__name__}") from None


def _of_bson(name: str, value: Any) -> Any:
    """Exact numbers as decimals or ints, pairs as objects, keys as they were."""
    from bson.decimal128 import Decimal128
    from bson.int64 import Int64

    if isinstance(value, Decimal128):
        exact = value.to_decimal()
        return exact if KINDS.get(name) == "money" else int(exact)
    if type(value) is Int64:
        return int(value)
    if isinstance(value, dict):
        plain = {key.replace("\uff0e", "."): item for key, item in value.items()}
        return {
            f"${key[1:]}" if key.startswith("\uff04") else key: _of_bson(key, item)
            for key, item in plain.items()
        }
    return [_of_bson("", item) for item in value] if isinstance(value, list) else value


def _missing(module: str, extra: str) -> Unreadable:
    return Unreadable(f"{module} is not installed; pip install 'litespan[{extra}]'")
