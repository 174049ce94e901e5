"""A row that a store rejects: it is dropped once, and the others of its batch are written once."""

import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from opentelemetry.sdk.trace.export import SpanExportResult

from litespan.counters import stats
from litespan.forward.destination import Destination, Outcome
from litespan.stores.buffer import NAMES, Row
from litespan.stores.exporter import StoreExporter
from litespan.stores.store import Store
from litespan_exporters.parquet import ParquetExporter
from litespan_exporters.sqlite import SQLiteExporter
from tests.spool.calls import Program, waiting
from tests.stores.places import calls

TRIGGER = """
create trigger refuse before insert on llm_calls when new.request_model = 'm1'
begin select raise(abort, 'not this one'); end
"""


@pytest.fixture
def strict(tmp_path: Path) -> Iterator[SQLiteExporter]:
    """A SQLite store whose owner rejects the model `m1`."""
    path = tmp_path / "calls.db"
    first = SQLiteExporter(path)
    first.export(calls(range(900, 901)))
    first.shutdown()
    with sqlite3.connect(path) as file:
        file.execute(TRIGGER)
    exporter = SQLiteExporter(path)
    yield exporter
    exporter.shutdown()


@pytest.fixture
def counted() -> Callable[[str], int]:
    """How much a counter of SQLite has grown since the test began."""
    before = stats()
    return lambda name: stats()[f"export.sqlite.{name}"] - before.get(f"export.sqlite.{name}", 0)


def test_it_leaves_the_spool(
    strict: SQLiteExporter, tmp_path: Path, counted: Callable[[str], int]
) -> None:
    """The store has dropped it, so it is not tried again; neither are the others."""
    program = Program(strict, tmp_path / "spool")
    program.calls(4)
    assert program.deliver()
    assert program.deliver()
    assert waiting(tmp_path / "spool") == 0
    assert (counted("sent"), counted("dropped.refused")) == (3, 1)
    program.provider.shutdown()


def test_rows_that_the_store_cannot_take_now_stay_in_the_spool(tmp_path: Path) -> None:
    """They are not refused: the folder is missing."""
    program = Program(SQLiteExporter(tmp_path / "none" / "calls.db", tries=1), tmp_path / "spool")
    program.calls(2)
    assert not program.deliver()
    assert waiting(tmp_path / "spool") == 2
    program.provider.shutdown()


def test_a_sender_does_not_send_it_again(strict: SQLiteExporter) -> None:
    """`litespan forward` answers with a partial success, as for a vendor that rejects a span."""
    bad = calls(range(3, 4), **{"gen_ai.request.model": "m1"})
    destination = Destination("sqlite", strict)
    assert destination.send(calls(range(3)), 5.0) == Outcome()
    assert destination.send([*calls(range(4, 6)), *bad], 5.0) == Outcome(1, cause="refused")


def test_a_sender_sends_rows_again_that_the_store_cannot_take_now(tmp_path: Path) -> None:
    """The folder is missing."""
    exporter = SQLiteExporter(tmp_path / "none" / "calls.db", tries=1)
    assert Destination("sqlite", exporter).send(calls(range(2)), 5.0).again
    exporter.shutdown()


def test_rows_that_are_collected_are_not_lost(tmp_path: Path) -> None:
    """A store that collects rows has accepted them: metrics show no error."""
    exporter = ParquetExporter(tmp_path, interval=60)
    assert exporter.export(calls(range(3))) is SpanExportResult.SUCCESS
    assert (exporter.last.sent, exporter.last.dropped) == (3, {})
    exporter.shutdown()


class Panic(BaseException):
    """As of a driver in Rust: no `Exception`."""


class Breaking(StoreExporter):
    """A store whose driver raises what `error` returns."""

    name = "breaking"

    def __init__(self, error: Callable[[Sequence[Row]], BaseException | None]) -> None:
        super().__init__(backoff=0.01)
        self.error = error
        self.taken = 0
        self.turn_on("file:///breaking")

    def connect(self) -> Store:
        """The store itself."""
        return self

    def write(self, rows: Sequence[Row]) -> None:
        """Take all rows, or none."""
        if (error := self.error(rows)) is not None:
            raise error
        self.taken += len(rows)

    def close(self) -> None:
        """Nothing is open."""


def test_a_panic_of_a_driver_loses_no_other_row() -> None:
    """The row that causes it is dropped and counted."""
    user = NAMES.index("user_id")
    before = stats().get("export.breaking.dropped.refused", 0)
    exporter = Breaking(lambda rows: Panic() if "x" in [row[user] for row in rows] else None)
    exporter.export([*calls(range(3)), *calls(range(3, 4), **{"user.id": "x"})])
    assert exporter.force_flush()
    assert exporter.taken == 3
    assert stats()["export.breaking.dropped.refused"] - before == 1
    exporter.shutdown()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_write_that_is_interrupted_is_repeated() -> None:
    """The thread ends, the rows stay."""
    errors: list[BaseException] = [SystemExit()]
    exporter = Breaking(lambda _: errors.pop() if errors else None)
    exporter.export_started(calls(range(3)))
    while errors:
        time.sleep(0.01)
    assert exporter.force_flush()
    assert exporter.taken == 3
    exporter.shutdown()
