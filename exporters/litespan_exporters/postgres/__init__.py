"""One row a call in PostgreSQL 12 or newer, by psycopg 3 (extra `postgres`).

    OTEL_TRACES_EXPORTER=postgres LITESPAN_POSTGRES=postgresql://app@db/app …
    select model, count(*), sum(cost_usd) from litespan.llm_calls group by model;

A batch travels by COPY into a temporary stage and from there into the table, in one transaction:
new keys are inserted, known ones replaced, finished rows never by started ones.

The table is made when it is missing, and given the columns that a newer version knows. It has a
schema of its own, `litespan`: tools that own `public`, such as LiteLLM's proxy with Prisma, drop
what they do not know there. Where the role may not make it, somebody else runs `ddl()`; writing
needs USAGE on the schema, SELECT, INSERT and UPDATE on the table, and TEMPORARY on the database.
"""

import os
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

from litespan.stores.buffer import NAMES, Row
from litespan.stores.columns import COLUMNS, Kind
from litespan.stores.exporter import StoreExporter
from litespan.stores.libpq import for_libpq
from litespan.stores.schema import INDEXES, LONGEST_INDEXED, TABLE
from litespan.stores.writer import Away, Refused, Store

if TYPE_CHECKING:
    from psycopg import Connection, Error

VARIABLE: Final = "LITESPAN_POSTGRES"
URL: Final = "DATABASE_URL"
TABLE_VARIABLE: Final = "LITESPAN_POSTGRES_TABLE"
DEFAULT_TABLE: Final = f"litespan.{TABLE}"
LIBPQ: Final = ("PGSERVICE", "PGHOST", "PGDATABASE")
"""One of these is enough, too: libpq reads them and their like itself."""

TYPES: Final[dict[Kind, str]] = {
    "key": "uuid",
    "text": "text",
    "integer": "bigint",
    "real": "double precision",
    "money": "numeric(18,10)",
    "flag": "boolean",
    "time": "timestamp with time zone",
    "list": "text[]",
    "json": "jsonb",
}
_STAGE: Final = "litespan_stage"
_LIST: Final = ", ".join(NAMES)
_NAME: Final = re.compile(r"[a-z_][a-z0-9_]{0,62}(\.[a-z_][a-z0-9_]{0,62})?")
_CUT: Final = [NAMES.index(name) for name in {n for i in INDEXES for n in i} - {"start_time"}]
_BAD_ROW: Final = ("22", "23", "54")  # classes of SQLSTATE: data, constraints, program limits
_HINTS: Final = {
    "08": "look at the server, and at host, user and password in {variable}",
    "28": "check user and password in {variable}",
    "3D": "make that database, or name another in {variable}",
    "3F": "make that schema, or let the role make it",
    "40": "several writers met",
    "42501": "grant it, or have the table made by the statements of {ddl}",
    "42": "make the table by the statements of {ddl}",
    "53": "free disk space, memory or connections of the server",
    "25": "this server takes no writes; name the primary",
}
_DDL: Final = "python -m litespan_exporters.postgres"


def ddl(table: str = DEFAULT_TABLE) -> Iterator[str]:
    """The statements that make the table and its indexes; each may run again."""
    schema, _, name = table.rpartition(".")
    if schema:
        yield f"create schema if not exists {schema}"
    columns = [
        f"{column.name} {TYPES[column.kind]}{' primary key' if column.kind == 'key' else ''}"
        for column in COLUMNS
    ]
    yield f"create table if not exists {table} (\n  {f',{chr(10)}  '.join(columns)}\n)"
    for indexed in INDEXES:
        # The calls of a day lie together: a few kilobytes of BRIN find them.
        using = "brin " if indexed == ("start_time",) else ""
        index = f"{name}_{'_'.join(indexed)}"
        yield (
            f"create index if not exists {index} on {table} "
            f"{f'using {using}' if using else ''}({', '.join(indexed)})"
        )
    yield (
        f"create index if not exists {name}_failed on {table} (start_time) "
        "where outcome <> 'success'"
    )


class PostgresExporter(StoreExporter):
    """Writes one row per call to a PostgreSQL table.

    Reads LITESPAN_POSTGRES or DATABASE_URL. Also LITESPAN_POSTGRES_TABLE.

    Args:
        dsn: URI or `key=value` string; default `LITESPAN_POSTGRES`, else `DATABASE_URL`, else
            libpq's own variables (`PGHOST`, `PGSERVICE`, …).
        table: `schema.table`; default `LITESPAN_POSTGRES_TABLE`, else `litespan.llm_calls`.
        content: False leaves messages, instructions and tools out.
        limits: see `StoreExporter`.
    """

    name = "postgres"
    needs = ("psycopg",)

    def __init__(
        self,
        dsn: str | None = None,
        *,
        table: str | None = None,
        content: bool = True,
        **limits: Any,
    ) -> None:
        super().__init__(content=content, **limits)
        self.variable = VARIABLE if os.environ.get(VARIABLE) or not os.environ.get(URL) else URL
        self._dsn = self.setting(dsn, VARIABLE, URL)
        self.table = self.setting(table, TABLE_VARIABLE, default=DEFAULT_TABLE)
        if not self._dsn and not any(map(os.environ.get, LIBPQ)):
            self.disable(f"{VARIABLE} is not set", "set it, or DATABASE_URL, to the database's URL")
        elif not _NAME.fullmatch(self.table):
            self.disable(f"{TABLE_VARIABLE} is no table's name", "use lower case: schema.table")
        elif (place := self._place()) is None:
            self.disable(
                f"{self.variable} is no PostgreSQL address", "write postgresql://user@host/database"
            )
        else:
            self.turn_on(place)

    def _place(self) -> str | None:
        """Host, port, database and table, without user and password; None if it is none."""
        self._dsn = for_libpq(self._dsn)
        try:
            from psycopg import conninfo
        except ImportError:
            return ""  # said by `turn_on`
        try:
            parts = conninfo.conninfo_to_dict(self._dsn)
        except Exception:  # noqa: BLE001 - whose text has parts of it, passwords too
            return None
        host, port = (
            str(parts.get(name) or default).partition(",")[0]
            for name, default in (("host", "localhost"), ("port", "5432"))
        )
        if not port.isdigit():
            return None
        host = f"[{host}]" if ":" in host else host
        return f"postgresql://{host}:{port}/{parts.get('dbname') or ''}#{self.table}"

    def connect(self) -> Store:
        """Connect, and make the table or check it.

        Raises:
            Away: no connection, or no such table and no right to make it.
        """
        import psycopg

        wanted: dict[str, Any] = {
            "connect_timeout": 5,
            "tcp_user_timeout": 10_000,  # ms; else a vanished server is waited for, for hours
            "keepalives_idle": 30,
            "fallback_application_name": "litespan",
        }
        given = psycopg.conninfo.conninfo_to_dict(self._dsn)
        try:
            connection = psycopg.connect(
                self._dsn,
                autocommit=True,
                prepare_threshold=None,  # for PgBouncer
                **{"client_encoding": "UTF8", **wanted, **given},
            )
            table = _Table(connection, self)
            try:
                table.ensure()
            except BaseException:
                table.close()
                raise
        except psycopg.Error as error:
            raise self.failure(error) from None
        return table

    def failure(self, error: "Error") -> Exception:
        """What an error of PostgreSQL's means for the rows. Its own text can hold their content."""
        state = error.sqlstate or ""
        if state.startswith(_BAD_ROW):
            return Refused(f"{type(error).__name__} ({state})")
        hint = next((h for s, h in _HINTS.items() if state.startswith(s)), _HINTS["08"])
        said = error.diag.message_primary or _first_line(error)
        return Away(
            f"{said} ({hint.format(variable=self.variable, ddl=_DDL)})",
            state or type(error).__name__,
        )


def _first_line(error: Exception) -> str:
    """Of libpq's report on a connection: hosts and users, never passwords."""
    return str(error).strip().partition("\n")[0] or type(error).__name__


class _Table:
    """A connection, and the table that it writes to."""

    def __init__(self, connection: "Connection[Any]", exporter: PostgresExporter) -> None:
        self._connection = connection
        self._exporter = exporter
        table = exporter.table
        news = ", ".join(f"{name} = excluded.{name}" for name in NAMES[1:])
        self._begin = (
            "set local statement_timeout = '60s'; set local client_min_messages = warning; "
            f"create temporary table if not exists {_STAGE} "
            f"(like {table}) on commit delete rows"
        )
        self._copy = f"copy {_STAGE} ({_LIST}) from stdin"
        # In the order of keys, so that two writers wait for each other instead of for ever.
        self._upsert = (
            f"insert into {table} as old ({_LIST}) "  # noqa: S608 - names of ours, one checked
            f"select {_LIST} from {_STAGE} order by key "
            f"on conflict (key) do update set {news} "
            "where old.outcome = 'started' or excluded.outcome <> 'started'"
        )

    def write(self, rows: Sequence[Row]) -> None:
        """Upsert all rows in one transaction."""
        import psycopg

        for row in rows:
            for column in _CUT:
                if (text := row[column]) is not None and len(text) > LONGEST_INDEXED:
                    row[column] = f"{text[: LONGEST_INDEXED - 1]}…"
        try:
            with self._connection.transaction(), self._connection.cursor() as cursor:
                cursor.execute(self._begin)
                with cursor.copy(self._copy) as copy:
                    for row in rows:
                        copy.write_row(row)
                cursor.execute(self._upsert)
        except psycopg.Error as error:
            raise self._exporter.failure(error) from None

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def ensure(self) -> None:
        """Make the table or its missing columns; whoever is first does it.

        Raises:
            Away: a column is of another type.
        """
        present = self._present()
        if not set(NAMES) <= set(present):
            with self._connection.transaction():
                self._connection.execute("select pg_advisory_xact_lock(hashtext('litespan'))")
                for statement in self._lacking(self._present()):
                    self._connection.execute(statement)
            present = self._present()
        for column in COLUMNS:
            if present[column.name] != TYPES[column.kind]:
                raise Away(
                    f"{self._exporter.table}.{column.name} is {present[column.name]}, not "
                    f"{TYPES[column.kind]} (name another table in {TABLE_VARIABLE})",
                    "schema",
                )

    def _lacking(self, present: dict[str, str]) -> Iterator[str]:
        table = self._exporter.table
        for column in COLUMNS if present else ():
            if column.name not in present:
                yield f"alter table {table} add column {column.name} {TYPES[column.kind]}"
        schema = self._connection.execute("select to_regnamespace(%s)", (table.split(".")[0],))
        (there,) = schema.fetchone() or (None,)
        # `create schema if not exists` wants rights on the database even when it does nothing.
        yield from (s for s in ddl(table) if not (there and s.startswith("create schema")))

    def _present(self) -> dict[str, str]:
        """The columns that there are → their types."""
        found = self._connection.execute(
            "select attname, format_type(atttypid, atttypmod) from pg_attribute "
            "where attrelid = to_regclass(%s) and attnum > 0 and not attisdropped",
            (self._exporter.table,),
        )
        return dict(found.fetchall())
