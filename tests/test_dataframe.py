"""`litespan.report`: the calls of a store as a DataFrame, and clear errors."""

import sys
from pathlib import Path

import litellm
import pandas as pd
import pytest

import litespan
from litespan.stores.records import NAMES, Unreadable
from litespan.testing import LoopbackProvider
from litespan_exporters.sqlite import SQLiteExporter
from tests.cases import CASES


@pytest.fixture
def store(tmp_path: Path) -> str:
    """The canonical calls in a SQLite file, the newest first."""
    exporter = SQLiteExporter(tmp_path / "calls.db")
    exporter.export([*reversed(CASES.values())])
    exporter.shutdown()
    return str(tmp_path / "calls.db")


def test_every_column_has_its_type(store: str) -> None:
    """Numbers can be summed, times can be compared, and rows are in order."""
    frame = litespan.report(store)
    assert tuple(frame.columns) == NAMES
    assert frame["start_time"].is_monotonic_increasing
    assert str(frame["start_time"].dt.tz) == "UTC"
    dtypes = {name: str(frame[name].dtype) for name in ("input_tokens", "cost_usd", "stream")}
    assert dtypes == {"input_tokens": "Int64", "cost_usd": "float64", "stream": "boolean"}
    call = frame[frame["user_id"] == "user-42"].iloc[0]
    assert (call["request_model"], call["input_messages"][0]["role"]) == ("gpt-4o-mini", "user")
    costs = frame.groupby("request_model")["cost_usd"].sum()
    assert costs.sum() == pytest.approx(frame["cost_usd"].sum())
    assert costs.sum() > 0


def test_columns_and_start_time_can_be_selected(store: str) -> None:
    """Only these columns, in their order; only later calls."""
    chosen = ["model", "start_time", "cost_usd", "cache_hit"]
    frame = litespan.report(store, columns=chosen)
    assert list(frame.columns) == chosen
    last = frame["start_time"].max()
    later = litespan.report(store, since=last.isoformat(), columns=chosen)
    assert set(later["start_time"]) == {last}
    none = litespan.report(store, since="2100-01-01", columns=chosen)
    assert len(none) == 0
    pd.testing.assert_series_equal(none.dtypes, frame.dtypes)


def test_pending_calls_are_written_first(
    loopback: LoopbackProvider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a flush by the program."""
    monkeypatch.setenv("LITESPAN_SQLITE", str(tmp_path / "calls.db"))
    hi = [{"role": "user", "content": "Hi"}]
    with litespan.start("sqlite"):
        litellm.completion("gpt-4o-mini", hi, api_key="none", api_base=loopback.url)
        assert list(litespan.report()["outcome"]) == ["success"]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"since": "soon"}, ValueError, "cannot read 'soon' as a time; write 24h"),
        ({"columns": ["costs"]}, ValueError, "there is no column 'costs'; there are key, trace_id"),
        ({"store": "/no/calls.db"}, Unreadable, "there is no file /no/calls.db"),
    ],
    ids=["since", "columns", "store"],
)
def test_a_wrong_argument_is_explained(
    arguments: dict, error: type[Exception], message: str, store: str
) -> None:
    """In one line."""
    with pytest.raises(error, match=message):
        litespan.report(**{"store": store, **arguments})


def test_without_pandas_the_error_has_the_fix(store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It also has the command that does not need pandas."""
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match="pip install pandas") as raised:
        litespan.report(store)
    assert "litespan report" in str(raised.value)
