"""The place of each store, and how to read its rows without litespan's code."""

import csv
import json
import sqlite3
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import duckdb
import pyarrow.parquet
from bson.decimal128 import Decimal128
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter

from litespan.stores.columns import COLUMNS, PLACES
from litespan.stores.rows import rows
from litespan_exporters.csv_file import CsvExporter
from litespan_exporters.duckdb_file import DuckDBExporter
from litespan_exporters.jsonl import JsonlExporter
from litespan_exporters.mongodb import MongoExporter
from litespan_exporters.parquet import ParquetExporter
from litespan_exporters.postgres import PostgresExporter
from litespan_exporters.sqlite import SQLiteExporter
from tests.cases import CHAT, cost, span
from tests.support.postgres import PostgresServer

csv.field_size_limit(sys.maxsize)

PATIENT: dict[str, Any] = {"patience": 60.0, "exit_patience": 60.0}
"""A machine that is busy is no store that is away."""
Found = dict[str, Any]
"""A row as plain values: UUID, aware datetime, Decimal, list, parsed JSON, …"""


@dataclass(frozen=True)
class Place:
    """One store in one place."""

    name: str
    make: Callable[..., SpanExporter]
    read: Callable[[], list[Found]]
    """All rows, one a call as the store's documentation says, in order of start and key."""
    source: str
    """As on the command line."""
    variables: Mapping[str, str] = field(default_factory=dict)
    """What the commands need besides."""


def expected(spans: Iterable[ReadableSpan]) -> list[Found]:
    """What any store should hold after these spans."""
    made = [dict(zip(NAMES, row, strict=True)) for row in rows(spans)]
    return in_order([{name: plain(name, value) for name, value in row.items()} for row in made])


def in_order(found: Iterable[Found]) -> list[Found]:
    """Rows by time and key."""
    return sorted(found, key=lambda row: (row["start_time"], row["key"]))


def plain(name: str, value: Any) -> Any:
    """JSON text as what it says."""
    return json.loads(value) if KINDS[name] == "json" and isinstance(value, str) else value


def calls(numbers: Iterable[int], **attributes: Any) -> list[ReadableSpan]:
    """Finished calls, one a number."""
    more = {**CHAT, "litellm.outcome": "success", **cost(3e-06, 6e-06), **attributes}
    return [span(number, "chat gpt-4o-mini", more) for number in numbers]


EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
NAMES = [column.name for column in COLUMNS]
KINDS = {column.name: column.kind for column in COLUMNS}
FROM_TEXT: dict[str, Callable[[str], Any]] = {
    "key": UUID,
    "integer": int,
    "real": float,
    "money": Decimal,
    "flag": lambda text: {"true": True, "false": False, "1": True, "0": False}[text],
    "time": lambda text: datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ").replace(
        tzinfo=timezone.utc
    ),
    "list": json.loads,
    "json": json.loads,
}


def finished_first(found: Iterable[Found]) -> list[Found]:
    """One row a call: the last one, a finished one over a started one."""
    latest: dict[Any, Found] = {}
    for row in found:
        if row["outcome"] != "started" or row["key"] not in latest:
            latest[row["key"]] = row
    return in_order(latest.values())


def in_jsonl(path: Path) -> Place:
    """A file of JSON lines."""

    def read() -> list[Found]:
        found = []
        for line in path.read_text().splitlines():
            members: Mapping[str, Any] = json.loads(line)
            assert set(members) <= set(NAMES)
            found.append(
                {
                    name: FROM_TEXT[KINDS[name]](value)
                    if isinstance(value, str) and KINDS[name] in ("key", "money", "time")
                    else value
                    for name in NAMES
                    for value in [members.get(name)]
                }
            )
        return finished_first(found)

    return Place(
        "jsonl", lambda **options: JsonlExporter(path, **PATIENT | options), read, str(path)
    )


def in_csv(path: Path) -> Place:
    """A CSV file."""

    def read() -> list[Found]:
        with path.open(newline="") as file:
            found = [
                {
                    name: FROM_TEXT.get(KINDS[name], unguarded)(text) if text else None
                    for name, text in row.items()
                }
                for row in csv.DictReader(file, strict=True)
            ]
        return finished_first(found)

    return Place("csv", lambda **options: CsvExporter(path, **PATIENT | options), read, str(path))


def unguarded(text: str) -> str:
    """The apostrophe before what a spreadsheet would take for a formula is not text."""
    return text.removeprefix("'")


def by_key(found: Sequence[Found]) -> dict[str, Found]:
    """Rows by their key's text."""
    return {str(row["key"]): row for row in found}


def in_duckdb(path: Path) -> Place:
    """A DuckDB file."""

    def read() -> list[Found]:
        for _ in range(100):
            try:
                connection = duckdb.connect(path, read_only=True)
                break
            except duckdb.Error:  # the exporter has it open for a tenth of a second more
                time.sleep(0.05)
        with connection:
            # Without pytz, DuckDB gives Python no time with a zone.
            names = [f"epoch_us({n})" if KINDS[n] == "time" else n for n in NAMES]
            listed = connection.execute(f"select {', '.join(names)} from llm_calls").fetchall()
        found = [dict(zip(NAMES, row, strict=True)) for row in listed]
        for row in found:
            for name in ("start_time", "end_time"):
                row[name] = row[name] and EPOCH + timedelta(microseconds=row[name])
        return in_order(
            [{name: plain(name, value) for name, value in row.items()} for row in found]
        )

    return Place(
        "duckdb", lambda **options: DuckDBExporter(path, **PATIENT | options), read, str(path)
    )


def in_parquet(folder: Path) -> Place:
    """Parquet files in a folder."""

    def read() -> list[Found]:
        found = []
        for file in sorted(folder.glob("date=*/*.parquet")):
            for row in pyarrow.parquet.read_table(file, partitioning=None).to_pylist():
                assert file.parent.name == f"date={row['start_time']:%Y-%m-%d}"
                found.append({name: plain(name, value) for name, value in row.items()})
                found[-1]["key"] = UUID(found[-1]["key"])
        return finished_first(found)

    def make(**options: Any) -> SpanExporter:
        return ParquetExporter(folder, **{"interval": 0, **PATIENT, **options})

    return Place("parquet", make, read, str(folder))


def in_mongodb(uri: str, collection: str, documents: Callable[[], Iterable[Found]]) -> Place:
    """A collection, and how to get its documents."""

    def read() -> list[Found]:
        found = []
        for document in documents():
            assert set(document) <= {*NAMES, "_id"} - {"key"}
            row = {name: from_bson(name, document.get(name)) for name in NAMES}
            found.append({**row, "key": UUID(document["_id"])})
        return in_order(found)

    def make(**options: Any) -> SpanExporter:
        return MongoExporter(uri, collection=collection, **PATIENT | options)

    return Place("mongodb", make, read, uri, {"LITESPAN_MONGODB_COLLECTION": collection})


def from_bson(name: str, value: Any) -> Any:
    """Dates as aware ones, exact numbers as decimals or ints, keys as they were."""
    if isinstance(value, datetime):
        return value.replace(tzinfo=timezone.utc)
    if isinstance(value, Decimal128):
        return value.to_decimal() if KINDS.get(name) == "money" else int(value.to_decimal())
    if isinstance(value, Mapping):
        plain_key = str.maketrans("\uff0e\uff04", ".$")
        return {key.translate(plain_key): from_bson(key, item) for key, item in value.items()}
    return [from_bson("", item) for item in value] if isinstance(value, list) else value


def in_sqlite(path: Path) -> Place:
    """A SQLite file; money is whole 1e-10 USD there."""

    def read() -> list[Found]:
        with closing(sqlite3.connect(path)) as connection:
            connection.row_factory = sqlite3.Row
            listed = [dict(row) for row in connection.execute("select * from llm_calls")]
        return in_order(
            {
                name: from_sqlite(name, row[f"{name}_e10" if KINDS[name] == "money" else name])
                for name in NAMES
            }
            for row in listed
        )

    return Place(
        "sqlite", lambda **options: SQLiteExporter(path, **PATIENT | options), read, str(path)
    )


def from_sqlite(name: str, value: Any) -> Any:
    """Text and numbers as what they stand for."""
    kind = KINDS[name]
    if value is None or kind in ("integer", "real", "text"):
        return value
    if kind == "money":
        return value * PLACES
    return bool(value) if kind == "flag" else FROM_TEXT[kind](value)


def in_postgres(server: PostgresServer, table: str) -> Place:
    """A table of its own in a real server."""

    def read() -> list[Found]:
        listed = server.sql(f"select {', '.join(NAMES)} from {table}")
        return in_order([dict(zip(NAMES, row, strict=True)) for row in listed])

    def make(**options: Any) -> SpanExporter:
        return PostgresExporter(server.dsn(), table=table, **PATIENT | options)

    return Place("postgres", make, read, server.dsn(), {"LITESPAN_POSTGRES_TABLE": table})
