"""Each store in a place of its own."""

from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace.export import SpanExporter

from litespan import quiet
from tests.stores import places
from tests.stores.places import Place
from tests.support.postgres import PostgresServer, running

TABLES = count()

PLACES: dict[str, Callable[[pytest.FixtureRequest, Path], Place]] = {
    "jsonl": lambda _, folder: places.in_jsonl(folder / "calls.jsonl"),
    "csv": lambda _, folder: places.in_csv(folder / "calls.csv"),
    "duckdb": lambda _, folder: places.in_duckdb(folder / "calls.duckdb"),
    "parquet": lambda _, folder: places.in_parquet(folder / "calls"),
    "postgres": lambda request, _: places.in_postgres(
        request.getfixturevalue("postgres"), f"litespan.calls_{next(TABLES)}"
    ),
}


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """One server for all tests; each has tables of its own."""
    with running() as server:
        yield server


@pytest.fixture
def table() -> str:
    """A table that no other test has."""
    return f"litespan.calls_{next(TABLES)}"


@pytest.fixture(params=sorted(PLACES))
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """Each store in turn, empty."""
    return PLACES[request.param](request, tmp_path)


@pytest.fixture
def exporter(place: Place) -> Iterator[Any]:
    """The store's exporter, shut down at the end."""
    made: SpanExporter = place.make()
    yield made
    made.shutdown()


@pytest.fixture(autouse=True)
def forget_complaints() -> None:
    """Each test hears every complaint again."""
    quiet._seen.clear()
