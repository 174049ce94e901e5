"""The MongoDB store on a server: what its wire protocol alone cannot show."""

import threading
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest
from opentelemetry.sdk.trace.export import SpanExportResult

from litespan.stores.schema import INDEXES
from litespan_exporters.mongodb import MongoExporter
from tests.cases import CASES, CHAT, STARTED, content, cost, span
from tests.stores.places import Place, calls, expected, in_mongodb
from tests.support.mongo_server import JavaServer, collection, running

pytestmark = pytest.mark.service

OK, FAILED = SpanExportResult.SUCCESS, SpanExportResult.FAILURE
QUICK: dict[str, Any] = {"backoff": 0.05, "max_backoff": 0.2, "patience": 60.0}
AWAY = "serverSelectionTimeoutMS=300&connectTimeoutMS=300&socketTimeoutMS=2000"
Make = Callable[..., MongoExporter]


@pytest.fixture
def make() -> Iterator[Make]:
    """Makes exporters that are shut down at the end."""
    made: list[MongoExporter] = []

    def remember(*args: Any, **options: Any) -> MongoExporter:
        made.append(MongoExporter(*args, **options))
        return made[-1]

    yield remember
    for exporter in made:
        exporter.shutdown()


@pytest.fixture(scope="module")
def server() -> Iterator[JavaServer]:
    """One that these tests may stop."""
    with running() as server:
        yield server


def eventually(read: Callable[[], Any], wanted: Any, seconds: float = 60) -> None:
    """Wait until it is so."""
    until = time.monotonic() + seconds
    while (found := read()) != wanted:
        assert time.monotonic() < until, found
        time.sleep(0.1)


def test_the_documented_indexes_exist(mongodb_server: Place, mongodb_uri: str) -> None:
    """In addition to the key."""
    exporter: Any = mongodb_server.make()
    assert exporter.export([CASES["chat"]]) is OK
    exporter.shutdown()
    with collection(mongodb_uri, exporter.collection) as there:
        found = [tuple(dict(index["key"])) for index in there.index_information().values()]
    assert sorted(found) == sorted([("_id",), *INDEXES])


def test_the_documented_query_sums_cost_by_model(mongodb_server: Place, mongodb_uri: str) -> None:
    """The query in the module's documentation, with exact results."""
    exporter: Any = mongodb_server.make()
    calls_ = [span(n, "chat", {**CHAT, **cost(0.1, 1e-10)}) for n in range(1, 11)]
    assert exporter.export(calls_) is OK
    exporter.shutdown()
    group = {"$group": {"_id": "$model", "usd": {"$sum": "$cost_usd"}}}
    with collection(mongodb_uri, exporter.collection) as there:
        (sum_,) = there.aggregate([group])
        assert there.find_one({"attributes.gen_ai\uff0erequest\uff0emodel": "gpt-4o-mini"})
    assert sum_["usd"].to_decimal() == Decimal("1.000000001")


def test_eight_writers_of_the_same_new_calls_write_each_once(mongodb_server: Place) -> None:
    """Some have only the start; each call is stored once, and finished."""
    exporters: list[Any] = [mongodb_server.make(**QUICK) for _ in range(8)]
    batch = [*calls(range(2, 60)), CASES["chat"]]

    def work(number: int) -> None:
        if number % 4 == 3:
            exporters[number].export_started([STARTED])
        else:
            exporters[number].export(batch)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for exporter in exporters:
        assert exporter.force_flush(60_000)
        exporter.shutdown()
    assert mongodb_server.read() == expected(batch)


def test_calls_exported_while_the_server_is_down_arrive_once(
    server: JavaServer, make: Make
) -> None:
    """When the server is up again."""
    exporter = make(f"{server.uri}?{AWAY}", collection="restart", **QUICK)
    with collection(server.uri, "restart") as there:
        place = in_mongodb(server.uri, "restart", there.find)
        assert exporter.export(calls(range(10))) is OK
        server.stop()
        try:
            assert exporter.export(calls(range(5, 20))) is FAILED
            assert exporter.export(calls(range(20, 30))) is FAILED
        finally:
            server.start()
        assert exporter.force_flush(60_000)
        assert exporter.export(calls(range(30, 35))) is OK
        assert place.read() == expected(calls(range(35)))


def test_a_frozen_server_has_bounded_waits_and_loses_nothing(
    server: JavaServer, make: Make
) -> None:
    """Later, all calls are written."""
    exporter = make(f"{server.uri}?{AWAY}", collection="frozen", **{**QUICK, "patience": 1.0})
    with collection(server.uri, "frozen") as there:
        place = in_mongodb(server.uri, "frozen", there.find)
        exporter.export(calls([1]))
        assert exporter.force_flush(60_000)
        with server.frozen():
            begun = time.monotonic()
            assert exporter.export(calls([2])) is FAILED
            assert exporter.export(calls([3])) is FAILED
            assert time.monotonic() - begun < 30
        eventually(place.read, expected(calls([1, 2, 3])))


def test_messages_can_be_queried_by_their_parts(mongodb_server: Place, mongodb_uri: str) -> None:
    """What was said can be searched by its parts."""
    said = [{"role": "user", "parts": [{"type": "text", "content": "find me"}]}]
    exporter: Any = mongodb_server.make()
    assert exporter.export([span(1, "chat", {**CHAT, **content(said)}), *calls([2])]) is OK
    exporter.shutdown()
    with collection(mongodb_uri, exporter.collection) as there:
        found = list(there.find({"input_messages.parts.content": "find me"}))
    assert len(found) == 1
