"""Rows as an Arrow table, for DuckDB and Parquet."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from litespan.background.fork import import_lock
from litespan.stores.buffer import Row
from litespan.stores.columns import COLUMNS, Kind

if TYPE_CHECKING:
    import pyarrow as pa


def schema() -> "pa.Schema":
    """The columns as Arrow types: keys and JSON as strings, money as decimal128(18, 10)."""
    import pyarrow as pa

    types: dict[Kind, Any] = {
        "key": pa.string(),
        "text": pa.string(),
        "integer": pa.int64(),
        "real": pa.float64(),
        "money": pa.decimal128(18, 10),
        "flag": pa.bool_(),
        "time": pa.timestamp("us", "UTC"),
        "list": pa.list_(pa.string()),
        "json": pa.string(),
    }
    return pa.schema([(column.name, types[column.kind]) for column in COLUMNS])


def table(rows: Sequence[Row]) -> "pa.Table":
    """The rows as a table with that schema."""
    with import_lock:  # the first `pa.array` imports pandas, if it is installed
        import pyarrow as pa

        wanted = schema()
        columns = [
            pa.array([str(v) for v in values] if column.kind == "key" else values, field.type)
            for column, field, values in zip(COLUMNS, wanted, zip(*rows, strict=True), strict=True)
        ]
        return pa.Table.from_arrays(columns, schema=wanted)
