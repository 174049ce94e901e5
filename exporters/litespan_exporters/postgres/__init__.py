"""One row for each call in PostgreSQL 12 or newer, through psycopg 3 (extra `postgres`).

    OTEL_TRACES_EXPORTER=postgres LITESPAN_POSTGRES=postgresql://app@db/app …
    select model, count(*), sum(cost_usd) from litespan.llm_calls group by model;

A batch is copied (COPY) into a temporary table and upserted into the table in one transaction. A
started row never replaces a finished one.

The exporter creates the table and missing columns. The table is in the schema `litespan`, because
tools that own `public`, such as LiteLLM's proxy with Prisma, drop tables that they do not know. If
the role must not create it, run the statements of `ddl()` as an owner. Writing needs USAGE on the
schema, SELECT, INSERT and UPDATE on the table, and TEMPORARY on the database.
"""

import os
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

from litespan.stores import schema
from litespan.stores.buffer import NAMES, Row
from litespan.stores.columns import Kind
from litespan.stores.exporter import StoreExporter
from litespan.stores.store import Away, Refused, Store, prepared
from litespan_exporters.postgres.libpq import for_libpq, place_of

if TYPE_CHECKING:
    from psycopg import Connection, Error

VARIABLE: Final = "LITESPAN_POSTGRES"
URL: Final = "DATABASE_URL"
TABLE_VARIABLE: Final = "LITESPAN_POSTGRES_TABLE"
DEFAULT_TABLE: Final = f"litespan.{schema.TABLE}"
LIBPQ: Final = ("PGSERVICE", "PGHOST", "PGDATABASE")
"""One of these also suffices: libpq reads them and its other variables."""

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
_NAME: Final = re.compile(r"[a-z_][a-z0-9_]{0,62}(\.[a-z_][a-z0-9_]{0,62})?")
_CUT: Final = [NAMES.index(name) for name in schema.INDEXED]
_BAD_ROW: Final = ("22", "23", "54")  # classes of SQLSTATE: data, constraints, program limits
_HINTS: Final = {
    "08": "check the server, and host, user and password in {variable}",
    "28": "check user and password in {variable}",
    "3D": "create the database, or set another one in {variable}",
    "3F": "create the schema, or allow the role to create it",
    "40": "several writers conflicted",
    "42501": "grant it, or create the table with the statements of {ddl}",
    "42": "create the table with the statements of {ddl}",
    "53": "free disk space, memory or connections on the server",
    "25": "this server is read-only; use the primary",
}
_DDL: Final = "python -m litespan_exporters.postgres"


def ddl(table: str = DEFAULT_TABLE) -> Iterator[str]:
    """The idempotent statements that create the table and its indexes."""
    named, _, name = table.rpartition(".")
    if named:
        yield f"create schema if not exists {named}"
    yield schema.create_table(table, TYPES)
    for indexed in schema.INDEXES:
        # Rows are ordered by time, so a small BRIN index suffices.
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
        content: False excludes messages, instructions and tools.
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
        self.variable = next(filter(os.environ.get, (VARIABLE, URL)), VARIABLE)
        self._dsn = for_libpq(self.setting(dsn, VARIABLE, URL))
        self.table = self.setting(table, TABLE_VARIABLE, default=DEFAULT_TABLE)
        if not self._dsn and not any(map(os.environ.get, LIBPQ)):
            self.disable(f"{VARIABLE} is not set", "set it, or DATABASE_URL, to the database's URL")
        elif not _NAME.fullmatch(self.table):
            self.disable(f"{TABLE_VARIABLE} is not a table name", "use lower case: schema.table")
        elif (place := place_of(self._dsn)) is None:
            self.disable(
                f"{self.variable} is not a PostgreSQL URL", "write postgresql://user@host/database"
            )
        else:
            self.turn_on(f"{place}#{self.table}")

    def connect(self) -> Store:
        """Connect, and create or check the table.

        Raises:
            Away: there is no connection, or no table and no permission to create it.
        """
        import psycopg

        wanted: dict[str, Any] = {
            "connect_timeout": 5,
            "tcp_user_timeout": 10_000,  # ms; by default hours
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
            return prepared(_Table(connection, self), _Table.ensure)
        except psycopg.Error as error:
            raise self.failure(error) from None

    def failure(self, error: "Error") -> Exception:
        """Convert an error of PostgreSQL, whose message can contain content."""
        state = error.sqlstate or ""
        if state.startswith(_BAD_ROW):
            return Refused(f"{type(error).__name__} ({state})")
        hint = next((h for s, h in _HINTS.items() if state.startswith(s)), _HINTS["08"])
        # libpq's message contains hosts and users but no passwords.
        first_line = str(error).strip().partition("\n")[0]
        message = error.diag.message_primary or first_line or type(error).__name__
        return Away(
            f"{message} ({hint.format(variable=self.variable, ddl=_DDL)})",
            state or type(error).__name__,
        )


class _Table:
    """A connection and its table."""

    def __init__(self, connection: "Connection[Any]", exporter: PostgresExporter) -> None:
        self._connection = connection
        self._exporter = exporter
        table = exporter.table
        self._begin = (
            "set local statement_timeout = '60s'; set local client_min_messages = warning; "
            f"create temporary table if not exists {_STAGE} "
            f"(like {table}) on commit delete rows"
        )
        self._copy = f"copy {_STAGE} ({schema.LIST}) from stdin"
        # Ordered by key, so that two writers do not deadlock.
        self._upsert = (
            f"insert into {table} as old ({schema.LIST}) "  # noqa: S608 - our own names, and a checked one
            f"select {schema.LIST} from {_STAGE} order by key "
            f"on conflict (key) do update set {schema.REPLACE} "
            "where old.outcome = 'started' or excluded.outcome <> 'started'"
        )

    def write(self, rows: Sequence[Row]) -> None:
        """Upsert all rows in one transaction."""
        import psycopg

        for row in rows:
            for column in _CUT:
                if (text := row[column]) is not None and len(text) > schema.MAX_INDEXED:
                    row[column] = f"{text[: schema.MAX_INDEXED - 1]}…"
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
        """Create the table or missing columns, in one process at a time.

        Raises:
            Away: a column is of another type.
        """
        present = self._present()
        if not set(NAMES) <= set(present):
            with self._connection.transaction():
                self._connection.execute("select pg_advisory_xact_lock(hashtext('litespan'))")
                for statement in self._missing(self._present()):
                    self._connection.execute(statement)
            present = self._present()
        schema.check_types(
            self._exporter.table, TYPES, present, f"set another table in {TABLE_VARIABLE}"
        )

    def _missing(self, present: dict[str, str]) -> Iterator[str]:
        table = self._exporter.table
        if present:
            yield from schema.add_columns(table, TYPES, present)
        found = self._connection.execute("select to_regnamespace(%s)", (table.split(".")[0],))
        (exists,) = found.fetchone() or (None,)
        # `create schema if not exists` needs permission even if the schema exists.
        yield from (s for s in ddl(table) if not (exists and s.startswith("create schema")))

    def _present(self) -> dict[str, str]:
        """Existing columns → types."""
        found = self._connection.execute(
            "select attname, format_type(atttypid, atttypmod) from pg_attribute "
            "where attrelid = to_regclass(%s) and attnum > 0 and not attisdropped",
            (self._exporter.table,),
        )
        return dict(found.fetchall())
