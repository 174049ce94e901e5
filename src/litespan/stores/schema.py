"""Names, indexes and statements for stores with tables."""

from collections.abc import Mapping
from typing import Final

from litespan.stores.buffer import NAMES
from litespan.stores.columns import COLUMNS, Kind
from litespan.stores.store import Away

TABLE: Final = "llm_calls"

INDEXES: Final = (
    ("start_time",),
    ("user_id", "start_time"),
    ("model", "start_time"),
    ("trace_id",),
    ("call_id",),
)
"""Columns of each index, in addition to the primary key `key`."""

INDEXED: Final = {name for index in INDEXES for name in index} - {"start_time"}
"""Columns with text in an index."""
MAX_INDEXED: Final = 500
"""Characters of indexed text. `attributes` has the full text."""

LIST: Final = ", ".join(NAMES)
"""All columns, for `insert` and `select`."""
REPLACE: Final = ", ".join([f"{name} = excluded.{name}" for name in NAMES[1:]])
"""For `on conflict (key) do update set`: the new values of all other columns."""


def create_table(table: str, types: Mapping[Kind, str]) -> str:
    """The statement that creates `table` if there is none. `types` has the type of each kind."""
    columns = [
        f"{column.name} {types[column.kind]}{' primary key' if column.kind == 'key' else ''}"
        for column in COLUMNS
    ]
    return f"create table if not exists {table} (\n  {f',{chr(10)}  '.join(columns)}\n)"


def add_columns(table: str, types: Mapping[Kind, str], present: Mapping[str, str]) -> list[str]:
    """The statements that add the columns that are not in `present` (column → type)."""
    return [
        f"alter table {table} add column {column.name} {types[column.kind]}"
        for column in COLUMNS
        if column.name not in present
    ]


def check_types(
    table: str, types: Mapping[Kind, str], present: Mapping[str, str], fix: str, where: str = ""
) -> None:
    """Check the types of the columns in `present` (column → type).

    Raises:
        Away: a column has another type. The message names it, `where` it is, and `fix`.
    """
    for column in COLUMNS:
        found, wanted = present.get(column.name), types[column.kind]
        if found not in (None, wanted):
            raise Away(f"{table}.{column.name}{where} is {found}, not {wanted} ({fix})", "schema")
