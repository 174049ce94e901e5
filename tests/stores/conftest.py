"""Each store in a place of its own."""

import os
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace.export import SpanExporter
from pymongo import MongoClient

from litespan import quiet
from tests.stores import places
from tests.stores.places import Place
from tests.support import mongo
from tests.support.mongo import MongoServer
from tests.support.postgres import PostgresServer, running

TABLES = count()

PLACES: dict[str, Callable[[pytest.FixtureRequest, Path], Place]] = {
    "jsonl": lambda _, folder: places.in_jsonl(folder / "calls.jsonl"),
    "csv": lambda _, folder: places.in_csv(folder / "calls.csv"),
    "duckdb": lambda _, folder: places.in_duckdb(folder / "calls.duckdb"),
    "mongodb": lambda request, _: mongodb_place(request.getfixturevalue("mongodb")),
    "parquet": lambda _, folder: places.in_parquet(folder / "calls"),
    "postgres": lambda request, _: places.in_postgres(
        request.getfixturevalue("postgres"), f"litespan.calls_{next(TABLES)}"
    ),
}


def mongodb_place(server: MongoServer) -> Place:
    """A collection of its own, read from where the server keeps it."""
    name = f"calls_{next(TABLES)}"
    return places.in_mongodb(server.uri, name, server.collections[name].values)


def real_mongodb_place(uri: str) -> Place:
    """A collection of its own in the server that the developer has named."""
    client: MongoClient[Any] = MongoClient(uri)
    collection = client.get_default_database("litespan")[f"calls_{os.getpid()}_{next(TABLES)}"]
    return places.in_mongodb(uri, collection.name, collection.find)


if "MONGODB_URI" in os.environ:
    PLACES["mongodb_server"] = lambda request, _: real_mongodb_place(os.environ["MONGODB_URI"])


@pytest.fixture(scope="session")
def mongodb() -> Iterator[MongoServer]:
    """One server for all tests; each has a collection of its own."""
    with mongo.running() as server:
        yield server


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
