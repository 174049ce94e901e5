"""Each store in a place of its own."""

import os
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace.export import SpanExporter

from tests.stores import places
from tests.stores.places import Place
from tests.support import mongo, mongo_server
from tests.support.logs import fresh_logs
from tests.support.mongo import MongoServer
from tests.support.postgres import PostgresServer, running

__all__ = ["fresh_logs"]

TABLES = count()

PLACES: dict[str, Callable[[pytest.FixtureRequest, Path], Place]] = {
    "jsonl": lambda _, folder: places.in_jsonl(folder / "calls.jsonl"),
    "csv": lambda _, folder: places.in_csv(folder / "calls.csv"),
    "duckdb": lambda _, folder: places.in_duckdb(folder / "calls.duckdb"),
    "mongodb": lambda request, _: mongodb_place(request.getfixturevalue("mongodb")),
    "mongodb_server": lambda request, _: request.getfixturevalue("mongodb_server"),
    "parquet": lambda _, folder: places.in_parquet(folder / "calls"),
    "postgres": lambda request, _: places.in_postgres(
        request.getfixturevalue("postgres"), f"litespan.calls_{next(TABLES)}"
    ),
    "sqlite": lambda _, folder: places.in_sqlite(folder / "calls.db"),
}


def mongodb_place(server: MongoServer) -> Place:
    """A collection of its own, read from where the server keeps it."""
    name = f"calls_{next(TABLES)}"
    return places.in_mongodb(server.uri, name, server.collections[name].values)


@pytest.fixture(scope="session")
def mongodb() -> Iterator[MongoServer]:
    """One server for all tests; each has a collection of its own."""
    with mongo.running() as server:
        yield server


@pytest.fixture(scope="session")
def mongodb_uri() -> Iterator[str]:
    """A server that is not ours to answer for: the developer's, or one for all tests."""
    if uri := os.environ.get("MONGODB_URI"):
        yield uri
        return
    with mongo_server.running() as server:
        yield server.uri


@pytest.fixture
def mongodb_server(mongodb_uri: str) -> Iterator[Place]:
    """A collection of its own there, that is dropped at the end."""
    name = f"calls_{os.getpid()}_{next(TABLES)}"
    with mongo_server.collection(mongodb_uri, name) as collection:
        yield places.in_mongodb(mongodb_uri, name, collection.find)


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """One server for all tests; each has tables of its own."""
    with running() as server:
        yield server


@pytest.fixture
def table() -> str:
    """A table that no other test has."""
    return f"litespan.calls_{next(TABLES)}"


SERVERS = ("mongodb_server", "postgres")


def marked(name: str) -> Any:
    """The store as a parameter; one that is a server is marked so."""
    return pytest.param(name, marks=[pytest.mark.service] if name in SERVERS else [])


@pytest.fixture(params=[marked(name) for name in sorted(PLACES)])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """Each store in turn, empty."""
    return PLACES[request.param](request, tmp_path)


@pytest.fixture
def exporter(place: Place) -> Iterator[Any]:
    """The store's exporter, shut down at the end."""
    made: SpanExporter = place.make()
    yield made
    made.shutdown()
