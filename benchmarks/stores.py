"""Rows per second of each store, compared to the driver's fastest insert of the same rows.

One core's worth of work, the database server's included: rows by CPU seconds of all processes.
Both sides get the same finished rows (plain Python values, with content, fresh keys), 2,000 at a
time. litespan's side is all that an exporter does with them: its buffer, its thread, upsert by
key. The driver's side is the fastest plain insert there is: COPY into the table itself, Arrow into
DuckDB and Parquet, `insert_many`, one `writelines` a file. Goal: 70 % of it. Making the rows out of
spans is measured separately.

MongoDB: the server of `MONGODB_URI`; without it, a process that answers yes to everything, and
whose work is not counted.
"""

import csv
import json
import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

from benchmarks import _paired

BATCH = 2_000
COUNT = 3
ROUNDS = 20
QUICK = 5
GOAL = 0.7
SERVERS: list[int] = []
Rows = list[list[Any]]
Insert = Callable[[Rows], Any]


def run(*, quick: bool) -> None:
    rounds = QUICK if quick else ROUNDS
    spans, rows = made()
    mapping = _paired.times({"rows": mapper(spans)}, rounds=rounds, count=1)["rows"]
    a_row = _paired.quartiles(mapping)[0] / BATCH
    size = len(json.dumps(rows[0], default=str))
    print(f"Making a row out of a span: {a_row * 1e6:.0f} µs, {1 / a_row:,.0f} spans/s.")
    print(f"A row is about {size:,} bytes.\n")
    print("| store | litespan rows/s | driver rows/s | of the driver | quartiles | from spans/s |")
    print("|---|---|---|---|---|---|")
    for name, place in PLACES.items():
        with tempfile.TemporaryDirectory() as folder, place(Path(folder)) as (ours, theirs):
            contenders: dict[str, _paired.Block] = {
                "nothing": _paired.calls(lambda: fresh(rows)),
                "driver": _paired.calls(partial(insert_new, theirs, rows)),
                "litespan": _paired.calls(partial(insert_new, ours, rows)),
            }
            readings = _paired.measure(
                contenders,
                base="driver",
                nothing="nothing",
                rounds=rounds,
                count=COUNT,
                clock=cpu,
            )
        show(name, readings["litespan"], readings["driver"], a_row)


def show(name: str, ours: _paired.Reading, theirs: _paired.Reading, a_row: float) -> None:
    share, low, high = 1 / ours.ratio, 1 / ours.high, 1 / ours.low
    both = 1 / (a_row + ours.micros / 1e6 / BATCH)
    print(
        f"| {name} | {BATCH / ours.micros * 1e6:,.0f} | {BATCH / theirs.micros * 1e6:,.0f} | "
        f"{share:.0%}{'' if share >= GOAL else ' (below the goal)'} | "
        f"{low:.0%} to {high:.0%} | {both:,.0f} |",
        flush=True,
    )


def made() -> tuple[list[Any], Rows]:
    """Finished calls with content, and their rows."""
    from litespan.stores.rows import rows
    from tests.cases import CASES, span

    case = CASES["tool_call"]
    attributes = dict(case.attributes or {})
    spans = [span(n, case.name, attributes, case.events) for n in range(BATCH)]
    return spans, rows(spans)


def mapper(spans: Sequence[Any]) -> _paired.Block:
    from litespan.stores.rows import rows

    return lambda _: rows(spans)


def cpu() -> float:
    """CPU seconds of this process and of the database servers that it has started."""
    return time.process_time() + sum(map(tree, SERVERS))


def tree(pid: int) -> float:
    """CPU seconds of a process and of its children, also of exited ones."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    ticks = sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return ticks + sum(tree(int(child)) for child in children)


def fresh(rows: Rows) -> Rows:
    """The rows with new keys."""
    return [[uuid4(), *row[1:]] for row in rows]


def insert_new(insert: Insert, rows: Rows) -> None:
    insert(fresh(rows))


def writer(exporter: Any) -> Insert:
    """What an exporter does with rows until they are stored."""

    def insert(rows: Rows) -> None:
        if not exporter._writer.wait(exporter._writer.put(rows)):
            raise RuntimeError(f"{exporter} has not taken the rows")

    return insert


def json_line(row: list[Any]) -> str:
    from litespan.stores.buffer import NAMES

    return json.dumps(dict(zip(NAMES, row, strict=True)), default=str, ensure_ascii=False) + "\n"


@contextmanager
def counted(pid: int) -> Iterator[None]:
    """A server whose CPU is measured."""
    SERVERS.append(pid)
    try:
        yield
    finally:
        SERVERS.remove(pid)


@contextmanager
def jsonl(folder: Path) -> Iterator[tuple[Insert, Insert]]:
    from litespan_exporters.jsonl import JsonlExporter

    exporter = JsonlExporter(folder / "ours.jsonl", patience=60.0)
    with (folder / "theirs.jsonl").open("a") as file:

        def insert(rows: Rows) -> None:
            file.writelines(map(json_line, rows))
            file.flush()

        yield writer(exporter), insert
    exporter.shutdown()


@contextmanager
def csv_file(folder: Path) -> Iterator[tuple[Insert, Insert]]:
    from litespan_exporters.csv_file import CsvExporter

    exporter = CsvExporter(folder / "ours.csv", patience=60.0)
    with (folder / "theirs.csv").open("a", newline="") as file:
        plain = csv.writer(file)

        def insert(rows: Rows) -> None:
            plain.writerows(rows)
            file.flush()

        yield writer(exporter), insert
    exporter.shutdown()


@contextmanager
def sqlite(folder: Path) -> Iterator[tuple[Insert, Insert]]:
    from litespan.stores.columns import COLUMNS
    from litespan.stores.schema import TABLE
    from litespan_exporters import sqlite as store

    exporter = store.SQLiteExporter(folder / "ours.db", patience=60.0)
    connection = sqlite3.connect(folder / "theirs.db", isolation_level=None)
    connection.execute("pragma journal_mode = wal")
    connection.execute("pragma synchronous = normal")
    for statement in store._migration(connection):
        connection.execute(statement)
    marks = ", ".join("?" * len(COLUMNS))

    def insert(rows: Rows) -> None:
        """Both sides need SQLite's values, so both include the conversion."""
        connection.execute("begin")
        values = map(store._values, rows)
        connection.executemany(f"insert into {TABLE} values ({marks})", values)
        connection.execute("commit")

    yield writer(exporter), insert
    connection.close()
    exporter.shutdown()


@contextmanager
def duckdb(folder: Path) -> Iterator[tuple[Insert, Insert]]:
    import duckdb as driver

    from litespan.stores import arrow
    from litespan.stores.schema import TABLE, create_table
    from litespan_exporters.duckdb_file import TYPES, DuckDBExporter

    # Open all the time, as under steady load, and as the driver's.
    exporter = DuckDBExporter(folder / "ours.duckdb", patience=60.0, idle=60.0)
    with driver.connect(folder / "theirs.duckdb") as connection:
        connection.execute(create_table(TABLE, TYPES))

        def insert(rows: Rows) -> None:
            batch = arrow.table(rows)
            connection.register("batch", batch)
            connection.execute("insert into llm_calls select * from batch")
            connection.unregister("batch")

        yield writer(exporter), insert
    exporter.shutdown()


@contextmanager
def parquet(folder: Path) -> Iterator[tuple[Insert, Insert]]:
    from pyarrow import parquet as driver

    from litespan.stores import arrow
    from litespan_exporters.parquet import ParquetExporter

    exporter = ParquetExporter(folder / "ours", interval=0, patience=60.0)
    (folder / "theirs").mkdir()

    def insert(rows: Rows) -> None:
        path = folder / "theirs" / f"{uuid4()}.parquet"
        driver.write_table(arrow.table(rows), path, compression="zstd")

    yield writer(exporter), insert
    exporter.shutdown()


@contextmanager
def postgres(folder: Path) -> Iterator[tuple[Insert, Insert]]:
    import psycopg

    from litespan.stores.buffer import NAMES
    from litespan_exporters.postgres import PostgresExporter, ddl
    from tests.support.postgres import running

    with running() as server, counted(server.pid):
        exporter = PostgresExporter(server.dsn(), patience=60.0)
        with psycopg.connect(server.dsn()) as connection:
            for statement in ddl("public.theirs"):
                connection.execute(statement)
            connection.commit()
            sql = f"copy theirs ({', '.join(NAMES)}) from stdin"

            def insert(rows: Rows) -> None:
                with connection.cursor() as cursor, cursor.copy(sql) as copy:
                    for row in rows:
                        copy.write_row(row)
                connection.commit()

            yield writer(exporter), insert
        exporter.shutdown()


@contextmanager
def postgres_upsert(folder: Path) -> Iterator[tuple[Insert, Insert]]:
    import psycopg
    from psycopg.types.json import set_json_dumps

    from litespan.stores.buffer import NAMES
    from litespan_exporters.postgres import PostgresExporter, ddl
    from tests.support.postgres import running

    set_json_dumps(str)
    with running() as server, counted(server.pid):
        exporter = PostgresExporter(server.dsn(), patience=60.0)
        with psycopg.connect(server.dsn()) as connection:
            for statement in ddl("public.theirs"):
                connection.execute(statement)
            connection.commit()
            news = ", ".join(f"{name} = excluded.{name}" for name in NAMES[1:])
            marks = ", ".join(["%s"] * len(NAMES))
            sql = (
                f"insert into theirs ({', '.join(NAMES)}) values ({marks}) "
                f"on conflict (key) do update set {news}"
            )

            def insert(rows: Rows) -> None:
                with connection.cursor() as cursor:
                    cursor.executemany(sql, rows)
                connection.commit()

            yield writer(exporter), insert
        exporter.shutdown()


@contextmanager
def mongodb(folder: Path) -> Iterator[tuple[Insert, Insert]]:
    import pymongo
    from bson.decimal128 import Decimal128

    from litespan.stores.columns import COLUMNS
    from litespan_exporters.mongodb import MongoExporter

    convert: dict[str, Callable[[Any], Any]]
    convert = {"key": str, "money": Decimal128, "json": json.loads}
    kinds = [("_id" if c.name == "key" else c.name, convert.get(c.kind)) for c in COLUMNS]

    def document(row: list[Any]) -> dict[str, Any]:
        """The same document, but with names that have dots."""
        return {
            name: change(value) if change is not None else value
            for (name, change), value in zip(kinds, row, strict=True)
            if value is not None
        }

    with ExitStack() as stack:
        uri = os.environ.get("MONGODB_URI")
        if uri is None:
            command = [sys.executable, str(Path(__file__).with_name("_mongo_sink.py"))]
            sink = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
            stack.callback(sink.wait)
            stack.callback(sink.kill)
            assert sink.stdout is not None
            uri = f"mongodb://127.0.0.1:{sink.stdout.readline().strip()}/benchmark"
        exporter = MongoExporter(uri, collection="ours", patience=60.0)
        stack.callback(exporter.shutdown)
        client: pymongo.MongoClient[Any] = stack.enter_context(pymongo.MongoClient(uri))
        theirs = client.get_default_database("benchmark")["theirs"]
        yield writer(exporter), lambda rows: theirs.insert_many(map(document, rows), ordered=False)


PLACES: dict[str, Callable[[Path], Any]] = {
    "jsonl": jsonl,
    "csv": csv_file,
    "sqlite": sqlite,
    "postgres, to COPY": postgres,
    "postgres, to executemany upsert": postgres_upsert,
    "duckdb": duckdb,
    "parquet": parquet,
    "mongodb" if "MONGODB_URI" in os.environ else "mongodb (no server)": mongodb,
}
