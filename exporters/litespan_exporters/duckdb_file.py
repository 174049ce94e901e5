"""One row a call in a DuckDB file (extra `duckdb`).

    OTEL_TRACES_EXPORTER=duckdb LITESPAN_DUCKDB=calls.duckdb opentelemetry-instrument python app.py
    duckdb -readonly calls.duckdb 'select model, sum(cost_usd) from llm_calls group by all'

DuckDB lets one process at a time open a file: https://duckdb.org/docs/connect/concurrency. So the
file is open only while rows are written and a tenth of a second after that; processes take turns,
and whoever finds it taken tries again, for as long as it has room to keep rows. Many busy workers
had better write a file each: `LITESPAN_DUCKDB=calls-{pid}.duckdb`.

No indexes but the primary key: DuckDB's own statistics find times, and others slow down writing.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

from litespan.stores import arrow, private_files
from litespan.stores.buffer import NAMES, Limits, Row
from litespan.stores.columns import COLUMNS, Kind
from litespan.stores.exporter import StoreExporter
from litespan.stores.records import (
    FETCH,
    KINDS,
    Reader,
    Record,
    Unreadable,
    converted,
    missing,
    moment,
)
from litespan.stores.schema import TABLE
from litespan.stores.writer import Away, Refused, Store

if TYPE_CHECKING:
    import duckdb

VARIABLE: Final = "LITESPAN_DUCKDB"
DEFAULT: Final = "litespan.duckdb"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=timezone.utc)

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
_AGAIN: Final = 20  # writes after which a plain insert is tried again
_HINTS: Final = (
    ("lock", f"another process has it open; they take turns, or name a file each: {VARIABLE}"),
    ("No space", "free some disk space"),
    ("Cannot open", "its folder must exist and be writable"),
    ("not a valid DuckDB", "name a file of DuckDB's, or a new one"),
)
_LIST: Final = ", ".join(NAMES)
_NEWS: Final = ", ".join([f"{name} = excluded.{name}" for name in NAMES[1:]])
_INSERT: Final = f"insert into {TABLE} ({_LIST}) select {_LIST} from batch "  # noqa: S608
_UPSERT: Final = (
    f"{_INSERT}on conflict (key) do update set {_NEWS} "
    f"where {TABLE}.outcome = 'started' or excluded.outcome <> 'started'"
)


def ddl() -> str:
    """The statement that makes the table."""
    columns = [
        f"{column.name} {TYPES[column.kind]}{' primary key' if column.kind == 'key' else ''}"
        for column in COLUMNS
    ]
    return f"create table if not exists {TABLE} (\n  {f',{chr(10)}  '.join(columns)}\n)"


class DuckDBExporter(StoreExporter):
    """Writes one row per call to a DuckDB file.

    Reads LITESPAN_DUCKDB.

    Args:
        path: The file, `{pid}` in it for the process's number; default `LITESPAN_DUCKDB`, else
            `./litespan.duckdb`. Made when missing; its folder must exist.
        content: False leaves messages, instructions and tools out.
        limits: see `StoreExporter`.
    """

    name = "duckdb"
    needs = ("duckdb", "pyarrow")
    limits = Limits(max_rows=20_000, tries=8, backoff=0.05, max_backoff=1.0, idle=0.1)
    fork_safe = False  # a child would find, and use, the parent's open database

    def __init__(
        self, path: str | os.PathLike[str] | None = None, *, content: bool = True, **limits: Any
    ) -> None:
        super().__init__(content=content, **limits)
        given = None if path is None else os.fspath(path)
        chosen = self.setting(given, VARIABLE, default=DEFAULT)
        self.path: Final = Path(chosen).expanduser().absolute()
        self._known = 0  # inode of the file whose table is known to be right
        self.turn_on(self.path.as_uri())

    def connect(self) -> Store:
        """Open the file, and make the table or what it lacks.

        Raises:
            Away: the file cannot be opened, or another process has it.
        """
        import duckdb

        path = str(self.path).replace("{pid}", str(os.getpid()))
        try:
            _make(path)
            file = _File(duckdb.connect(path, config={"temp_directory": ""}), path)
            known = Path(path).stat().st_ino
            if known != self._known:  # else it has been looked at before
                file.ensure()
                self._known = known
        except duckdb.Error as error:
            raise failure(path, error) from None
        return file


def failure(path: str, error: "duckdb.Error") -> Exception:
    """What an error of DuckDB's means for the rows. Its own text can hold their content."""
    import duckdb

    if isinstance(error, duckdb.DataError | duckdb.IntegrityError):
        return Refused(type(error).__name__)
    said = str(error).partition("\n")[0]
    hint = next((hint for words, hint in _HINTS if words in said), "look at the disk")
    return Away(f"cannot write {path}: {type(error).__name__} ({hint})", hint)


def _make(path: str) -> None:
    """Make a database that only its owner may read, if there is none.

    DuckDB takes no empty file for one. Where this is not possible, DuckDB makes it, or says why.
    """
    import duckdb

    if os.path.lexists(path):
        return
    with suppress(OSError), TemporaryDirectory(dir=Path(path).parent) as folder:
        made = Path(folder) / "made.duckdb"
        duckdb.connect(str(made)).close()
        made.chmod(private_files.FILE)
        os.link(made, path)  # unlike a renaming, it replaces nothing


class _File:
    """An open file."""

    def __init__(self, connection: "duckdb.DuckDBPyConnection", path: str) -> None:
        self._connection = connection
        self._path = path
        self._upserts = 0  # writes that are upserts without a try at a plain insert

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
        """New calls are the rule, and plainly inserted in half the time that an upsert takes."""
        import duckdb

        if not self._upserts:
            try:
                self._connection.execute(_INSERT)
            except duckdb.ConstraintException:  # of all rows none is in
                self._upserts = _AGAIN
            else:
                return
        self._upserts -= 1
        self._connection.execute(_UPSERT)

    def _hide_log(self) -> None:
        """Make the write-ahead log private before rows are in it; DuckDB makes it readable."""
        if not os.path.exists(log := f"{self._path}.wal"):  # noqa: PTH110 - no Path each time
            self._connection.execute(f"comment on table {TABLE} is 'one row a call'")
        with suppress(OSError):
            os.chmod(log, private_files.FILE)  # noqa: PTH101

    def close(self) -> None:
        """Close the file, for others to open it."""
        self._connection.close()

    def ensure(self) -> None:
        """Make the table or its missing columns; close the file if that fails."""
        try:
            self._ensure()
        except BaseException:
            self.close()
            raise

    def _ensure(self) -> None:
        present = self._present()
        if present is None:
            self._connection.execute(ddl())
            return
        for column in COLUMNS:
            kind = TYPES[column.kind]
            if column.name not in present:
                self._connection.execute(f"alter table {TABLE} add column {column.name} {kind}")
            elif present[column.name] != kind:
                raise Away(
                    f"{TABLE}.{column.name} in {self._path} is {present[column.name]}, not {kind} "
                    f"(name another file in {VARIABLE})",
                    "schema",
                )

    def _present(self) -> dict[str, str] | None:
        """The columns that there are → their types; None if there is no table."""
        found = self._connection.execute(
            "select column_name, data_type from information_schema.columns where table_name = ?",
            [TABLE],
        ).fetchall()
        return {str(name): str(kind) for name, kind in found} or None


def read(place: str, columns: Sequence[str], since: str) -> Iterator[Record]:
    """The rows of a DuckDB file."""
    try:
        import duckdb
    except ImportError:
        raise missing("duckdb", "duckdb") from None
    path = Path(place).expanduser()
    try:
        with duckdb.connect(path, read_only=True) as connection:
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
            while rows := found.fetchmany(FETCH):
                for row in rows:
                    yield dict(zip(columns, map(_value, columns, row), strict=True))
    except duckdb.Error as error:
        said = str(error).partition("\n")[0]
        raise Unreadable(f"cannot read {path}: {said}") from error


def _value(name: str, value: Any) -> Any:
    if KINDS[name] == "time" and value is not None:
        return converted(name, _EPOCH + timedelta(microseconds=value))
    return converted(name, value)


READER: Final = Reader(read, (VARIABLE,), DEFAULT, is_one=lambda head: head[8:12] == b"DUCK")
