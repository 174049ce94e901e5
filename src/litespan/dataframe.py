"""`litespan.report`: the calls of a store as a pandas DataFrame."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from litespan.callbacks.flush import flush
from litespan.instrumentation.signals import Live
from litespan.stores.columns import Kind
from litespan.stores.reading import DEFAULT, records
from litespan.stores.records import KINDS, NAMES, TIME, moment_of

if TYPE_CHECKING:
    from pandas import DataFrame

_TYPES: Final[dict[Kind, str]] = {
    "integer": "Int64",
    "real": "float64",
    "money": "float64",
    "flag": "boolean",
}
_TIME: Final = "datetime64[us, UTC]"
_FLUSH: Final = 5.0  # s


def report(
    store: str = DEFAULT, *, since: str = "", columns: Sequence[str] | None = None
) -> "DataFrame":
    """Read the calls of a store as a pandas DataFrame, one row for each call, oldest first.

    Times are UTC, durations seconds, costs USD as floats. Lists and JSON, such as `tags` and
    messages, are Python objects. Unknown values are missing. What this process has recorded so
    far is written to its stores first, within 5 seconds.

    Args:
        store: a file, a folder of Parquet files, a database's URL, or a store's name, which is
            configured by its variables. Default: LITESPAN_SQLITE, else ./litespan.db.
        since: only calls that started then or later: 30m, 24h, 7d, 4w, 2026-11-01 or
            2026-11-01T12:00, in UTC unless it has an offset. Empty: all.
        columns: columns of the stores, in this order. None: all.

    Raises:
        ImportError: pandas is not installed.
        Unreadable: the store cannot be read.
        ValueError: `since` is not a time, or there is no such column.
    """
    try:
        import pandas as pd
    except ImportError as error:
        raise ImportError(
            "litespan.report() returns a pandas DataFrame, but pandas is not installed: "
            "pip install pandas. The command `litespan report` does not need it"
        ) from error
    columns = NAMES if columns is None else columns
    if wrong := [name for name in columns if name not in KINDS]:
        raise ValueError(f"there is no column {wrong[0]!r}; there are {', '.join(NAMES)}")
    start = moment_of(since).strftime(TIME) if since else ""
    if Live.signals is not None:
        flush(_FLUSH)
    found = sorted(records(store, columns, start), key=lambda record: record["start_time"])
    return pd.DataFrame(
        {
            name: pd.to_datetime(values, utc=True, format=TIME).astype(_TIME)
            if KINDS[name] == "time"
            else pd.Series(values, dtype=_TYPES.get(KINDS[name], "object"))
            for name in columns
            for values in [[record[name] for record in found]]
        }
    )
