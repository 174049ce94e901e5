"""A file that cannot be written for a while loses no call; rows lost at exit are counted."""

import threading
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace.export import SpanExportResult

from litespan.counters import stats
from tests.stores.conftest import PLACES
from tests.stores.places import Place, calls, expected

FAILED = SpanExportResult.FAILURE
SOON = {"backoff": 0.05, "max_backoff": 0.1}
NEVER = {"backoff": 3600.0, "max_backoff": 3600.0, "tries": 1}


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    """A folder that can be moved away."""
    folder = tmp_path / "disk"
    folder.mkdir()
    return folder


@pytest.fixture(params=["csv", "duckdb", "jsonl", "parquet", "sqlite"])
def place(request: pytest.FixtureRequest, disk: Path) -> Place:
    """Each store that is a file, on the disk."""
    return PLACES[request.param](request, disk)


def counted(place: Place, *names: str) -> list[int]:
    """The counters of the store."""
    return [stats().get(f"export.{place.name}.{name}", 0) for name in names]


def take_away(place: Place, disk: Path) -> None:
    """Move the folder away, as an unmounted disk is."""
    disk.rename(disk.with_name("away"))
    if place.name == "parquet":  # it makes missing folders
        disk.touch()


def bring_back(disk: Path) -> None:
    """Undo `take_away`."""
    disk.unlink(missing_ok=True)
    disk.with_name("away").rename(disk)


def test_a_folder_that_is_unavailable_for_a_while_loses_no_call(place: Place, disk: Path) -> None:
    """Delivered equals made: before, during and after the outage."""
    sent, dropped = counted(place, "sent", "dropped")
    exporter: Any = place.make(**SOON)
    exporter.export(calls(range(1000, 1020)))
    assert exporter.force_flush()
    take_away(place, disk)
    # DuckDB may still have its file open, which is as good.
    results = {exporter.export(calls(range(n, n + 20))) for n in range(1020, 1120, 20)}
    assert FAILED in results or place.name == "duckdb"
    bring_back(disk)
    assert exporter.force_flush()
    exporter.export(calls(range(1120, 1140)))
    exporter.shutdown()
    assert place.read() == expected(calls(range(1000, 1140)))
    assert counted(place, "sent", "dropped") == [sent + 140, dropped]


def test_a_folder_that_is_available_again_at_exit_loses_no_call(place: Place, disk: Path) -> None:
    """`shutdown` retries within its time, even if the next attempt was scheduled for later."""
    take_away(place, disk)
    exporter: Any = place.make(**NEVER, hung_patience=20.0)
    assert exporter.export(calls(range(1000, 1020))) is FAILED
    (retried,) = counted(place, "retried")
    closing = threading.Thread(target=exporter.shutdown)
    closing.start()
    while counted(place, "retried") == [retried]:
        closing.join(0.01)
    bring_back(disk)
    closing.join(60)
    assert place.read() == expected(calls(range(1000, 1020)))


def test_rows_lost_at_exit_are_counted_and_logged_in_one_line(
    place: Place, disk: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The line has the number, the cause and the fix."""
    take_away(place, disk)
    (dropped,) = counted(place, "dropped.shutdown")
    exporter: Any = place.make(**SOON, hung_patience=0.2)
    exporter.export(calls(range(1000, 1020)))
    exporter.export(calls(range(1020, 1030)))
    exporter.shutdown()
    assert counted(place, "dropped.shutdown") == [dropped + 30]
    _, line = [record.getMessage() for record in caplog.records]
    assert line == (
        f"{place.name}: 30 row(s) dropped: the process ended before they were written: "
        f"{exporter.problem} (logged once)"
    )
    assert "folder" in line
