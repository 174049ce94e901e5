"""One row for each call in a DuckDB file (extra `duckdb`).

    OTEL_TRACES_EXPORTER=duckdb LITESPAN_DUCKDB=calls.duckdb opentelemetry-instrument python app.py
    duckdb -readonly calls.duckdb 'select model, sum(cost_usd) from llm_calls group by all'

Only one process at a time can open a file: https://duckdb.org/docs/connect/concurrency. So the file
is only open while rows are written and for 0.1 s after that. Processes take turns, and retry while
their buffers have room. Use one file for each of many busy workers:
`LITESPAN_DUCKDB=calls-{pid}.duckdb`.

There is no index except the primary key: DuckDB's statistics find times, and indexes slow down
writing.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

from litespan.stores import arrow, private_files, records
from litespan.stores.buffer import Limits, Row
from litespan.stores.columns import Kind
from litespan.stores.exporter import StoreExporter
from litespan.stores.schema import LIST, REPLACE, TABLE, add_columns, check_types, create_table
from litespan.stores.store import Away, Refused, Store, prepared

if TYPE_CHECKING:
    import duckdb

VARIABLE: Final = "LITESPAN_DUCKDB"
DEFAULT: Final = "litespan.duckdb"

TYPES: Final[dict[Kind, str]] = {
    "key": "UUID",
    "text": "VARCHAR",
    "integer": "BIGINT",
    "real": "DOUBLE",
    "money": "DECIMAL(18,10)",
    "flag": "BOOLEAN",
    "time": "TIMESTAMP WITH TIME ZONE",
    "list": "VARCHAR[]",
    "json": "JSON",
}
_UPSERTS: Final = 20  # writes after which to try a plain insert again
_HINTS: Final = (
    ("lock", f"another process has it open; use one file for each process: {VARIABLE}"),
    ("No space", "free some disk space"),
    ("Cannot open", "its folder must exist and be writable"),
    ("not a valid DuckDB", "use a DuckDB file or a new one"),
)
_INSERT: Final = f"insert into {TABLE} ({LIST}) select {LIST} from batch "  # noqa: S608
_UPSERT: Final = (
    f"{_INSERT}on conflict (key) do update set {REPLACE} "
    f"where {TABLE}.outcome = 'started' or excluded.outcome <> 'started'"
)


class DuckDBExporter(StoreExporter):
    """Writes one row per call to a DuckDB file.

    Reads LITESPAN_DUCKDB.

    Args:
        path: The file, with `{pid}` for the process id; default `LITESPAN_DUCKDB`, else
            `./litespan.duckdb`. Created if missing; its folder must exist.
        content: False excludes messages, instructions and tools.
        limits: see `StoreExporter`.
    """

    name = "duckdb"
    needs = ("duckdb", "pyarrow")
    limits = Limits(
        max_rows=20_000,
        patience=30.0,  # its libraries take seconds to import on a busy machine
        exit_patience=30.0,
        tries=8,
        backoff=0.05,
        max_backoff=1.0,
        idle=0.1,
    )
    fork_safe = False  # a child would use the parent's open database

    def __init__(
        self, path: str | os.PathLike[str] | None = None, *, content: bool = True, **limits: Any
    ) -> None:
        super().__init__(content=content, **limits)
        self.path: Final = self.file(path, VARIABLE, DEFAULT)
        self._known = 0  # inode of the file whose table is checked
        self.turn_on(self.path.as_uri())

    def connect(self) -> Store:
        """Open the file, and create the table or missing columns.

        Raises:
            Away: the file cannot be opened, or another process has it.
        """
        import duckdb

        path = str(self.path).replace("{pid}", str(os.getpid()))
        try:
            _make(path)
            file = _File(duckdb.connect(path, config={"temp_directory": ""}), path)
            known = Path(path).stat().st_ino
            if known != self._known:  # else already checked
                prepared(file, _File.ensure)
                self._known = known
        except duckdb.Error as error:
            raise failure(path, error) from None
        return file


def failure(path: str, error: "duckdb.Error") -> Exception:
    """Convert an error of DuckDB, whose message can contain content."""
    import duckdb

    if isinstance(error, duckdb.DataError | duckdb.IntegrityError):
        return Refused(type(error).__name__)
    message = str(error).partition("\n")[0]
    hint = next((hint for words, hint in _HINTS if words in message), "check the disk")
    return Away(f"cannot write {path}: {type(error).__name__} ({hint})", hint)


def _make(path: str) -> None:
    """Create a database that only its owner can read, if there is none.

    DuckDB does not accept an empty file. If this fails, DuckDB creates it or reports the error.
    """
    import duckdb

    if os.path.lexists(path):
        return
    with suppress(OSError), TemporaryDirectory(dir=Path(path).parent) as folder:
        made = Path(folder) / "made.duckdb"
        duckdb.connect(str(made)).close()
        made.chmod(private_files.FILE)
        os.link(made, path)  # unlike rename, does not replace a file


class _File:
    def __init__(self, connection: "duckdb.DuckDBPyConnection", path: str) -> None:
        self._connection = connection
        self._path = path
        self._upserts = 0  # remaining writes without a plain insert

    def write(self, rows: Sequence[Row]) -> None:
        """Upsert all rows in one transaction."""
        import duckdb

        batch = arrow.table(rows)
        try:
            self._hide_log()
            self._connection.register("batch", batch)
            try:
                self._insert()
            finally:
                self._connection.unregister("batch")
        except duckdb.Error as error:
            raise failure(self._path, error) from None

    def _insert(self) -> None:
        """Try a plain insert first, which takes half the time of an upsert."""
        import duckdb

        if not self._upserts:
            try:
                self._connection.execute(_INSERT)
            except duckdb.ConstraintException:  # no row was inserted
                self._upserts = _UPSERTS
            else:
                return
        self._upserts -= 1
        self._connection.execute(_UPSERT)

    def _hide_log(self) -> None:
        """Make the write-ahead log private before it contains rows."""
        if not os.path.exists(log := f"{self._path}.wal"):  # noqa: PTH110 - no Path each time
            self._connection.execute(f"comment on table {TABLE} is 'one row for each call'")
        with suppress(OSError):
            os.chmod(log, private_files.FILE)  # noqa: PTH101

    def close(self) -> None:
        """Close the file, so that other processes can open it."""
        self._connection.close()

    def ensure(self) -> None:
        """Create the table or missing columns.

        Raises:
            Away: a column is of another type.
        """
        self._connection.execute(create_table(TABLE, TYPES))
        described = self._connection.execute(f"describe {TABLE}").fetchall()
        present = {str(name): str(kind) for name, kind, *_ in described}
        fix = f"set another file in {VARIABLE}"
        check_types(TABLE, TYPES, present, fix, f" in {self._path}")
        for statement in add_columns(TABLE, TYPES, present):
            self._connection.execute(statement)


def read(place: str, columns: Sequence[str], since: str) -> Iterator[records.Record]:
    """The rows of a DuckDB file."""
    start = records.moment(since).timestamp() if since else 0.0
    where = "where start_time >= to_timestamp(?) order by start_time"
    return _select(place, columns, where, [start])


def find(place: str, columns: Sequence[str], prefix: str) -> Iterator[records.Record]:
    """The rows whose key, call id or trace id begins with `prefix`."""
    where = " or ".join(f"starts_with({name}::varchar, ?)" for name in records.IDS)
    return _select(place, columns, f"where {where}", [prefix] * len(records.IDS))


def _select(
    place: str, columns: Sequence[str], where: str, values: Sequence[Any]
) -> Iterator[records.Record]:
    try:
        import duckdb
    except ImportError:
        raise records.missing("duckdb", "duckdb") from None
    path = Path(place).expanduser()
    try:
        with duckdb.connect(path, read_only=True) as connection:
            described = connection.execute(f"describe {TABLE}").fetchall()
            present = {str(name) for name, *_ in described}
            # Times in UTC, because DuckDB needs another package to return time zones.
            times = {
                n: f"make_timestamp(epoch_us({n}))" for n in columns if records.KINDS[n] == "time"
            }
            chosen = ", ".join(times.get(n, n) if n in present else "null" for n in columns)
            found = connection.execute(
                f"select {chosen} from {TABLE} {where}",  # noqa: S608 - our own names
                values,
            )
            while rows := found.fetchmany(records.FETCH):
                for row in rows:
                    yield dict(zip(columns, map(records.converted, columns, row), strict=True))
    except duckdb.Error as error:
        message = str(error).partition("\n")[0]
        raise records.Unreadable(f"cannot read {path}: {message}") from error


READER: Final = records.Reader(
    read, (VARIABLE,), DEFAULT, is_one=lambda head: head[8:12] == b"DUCK", find=find
)
