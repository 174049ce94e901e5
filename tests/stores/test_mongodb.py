"""The MongoDB store, by the wire protocol: what is sent, and what comes of the answers."""

import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from bson.decimal128 import Decimal128
from opentelemetry.sdk.trace.export import SpanExportResult

from litespan.counters import stats
from litespan.stores.buffer import NAMES
from litespan.stores.rows import rows
from litespan.stores.schema import INDEXES
from litespan_exporters.mongodb import MongoExporter
from litespan_exporters.mongodb.documents import document
from tests.cases import CASES, CHAT, STARTED, content, span, text
from tests.stores.places import calls, expected, in_mongodb
from tests.support.mongo import Command, MongoServer

OK, FAILED = SpanExportResult.SUCCESS, SpanExportResult.FAILURE
ROOT = Path(__file__).parents[2]
QUICK: dict[str, Any] = {"backoff": 0.02, "max_backoff": 0.05}
Make = Callable[..., MongoExporter]


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the developer's own databases."""
    for name in ("LITESPAN_MONGODB", "MONGODB_URI", "LITESPAN_MONGODB_COLLECTION"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def server(mongodb: MongoServer) -> Iterator[MongoServer]:
    """The server, that serves again after the test, and has forgotten."""
    mongodb.commands.clear()
    mongodb.collections.clear()
    mongodb.indexes.clear()
    yield mongodb
    mongodb.fault = None


@pytest.fixture
def make(server: MongoServer) -> Iterator[Make]:
    """Makes exporters that are shut down at the end; the URI is the server's."""
    made: list[MongoExporter] = []

    def remember(uri: str | None = None, **options: Any) -> MongoExporter:
        patient = f"{server.uri}?serverSelectionTimeoutMS=300"
        made.append(MongoExporter(patient if uri is None else uri, **options))
        return made[-1]

    yield remember
    for exporter in made:
        exporter.shutdown()


def stored(server: MongoServer) -> list[dict[str, Any]]:
    """The calls that the server has."""
    return in_mongodb(server.uri, "", server.collections["llm_calls"].values).read()


def logged(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What litespan has logged."""
    return [r.getMessage() for r in caplog.records if r.name == "litespan"]


def test_indexes_are_created_once_and_each_batch_is_one_update(
    server: MongoServer, make: Make
) -> None:
    """An unordered update: replacements, and inserts of new calls."""
    exporter = make()
    assert exporter.export([CASES["chat"], CASES["stream"]]) is OK
    exporter.export_started([STARTED])
    assert exporter.force_flush()
    indexes, finished, started = server.commands
    assert [tuple(index["key"]) for index in indexes["indexes"]] == list(INDEXES)
    assert (finished["update"], finished["ordered"], finished["$db"]) == (
        "llm_calls",
        False,
        "shop",
    )
    chat, _ = finished["updates"]
    assert chat["q"] == {"_id": "b111a779-bc98-57da-a591-38ead8c07126"}
    assert (chat["upsert"], chat["u"]["_id"]) == (True, chat["q"]["_id"])
    assert chat["u"]["cost_usd"] == Decimal128("0.0000090000")
    assert chat["u"]["attributes"]["gen_ai\uff0erequest\uff0eseed"] == 42
    assert [name for name, value in chat["u"].items() if value is None] == []
    (snapshot,) = started["updates"]
    assert list(snapshot["u"]) == ["$setOnInsert"]
    assert snapshot["u"]["$setOnInsert"]["outcome"] == "started"


def test_calls_exported_during_an_outage_are_written_once(
    server: MongoServer, make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    """When the server is available again."""
    exporter = make(**QUICK, patience=60.0)
    assert exporter.export(calls(range(10))) is OK
    server.stop()
    try:
        assert exporter.export(calls(range(5, 20))) is FAILED
        begun = time.monotonic()
        assert exporter.export(calls(range(20, 30))) is FAILED
        assert time.monotonic() - begun < 30  # not waited for again
    finally:
        server.start()
    assert exporter.force_flush(60_000)
    assert exporter.export(calls(range(30, 35))) is OK
    assert stored(server) == expected(calls(range(35)))
    assert all("check the server and LITESPAN_MONGODB" in line for line in logged(caplog))


def test_a_connection_cut_during_a_write_loses_nothing(server: MongoServer, make: Make) -> None:
    """The write is repeated."""
    exporter = make(**QUICK)
    cuts = [True, True]
    server.fault = lambda command: "update" in command and bool(cuts) and cuts.pop()
    assert exporter.export(calls(range(10))) is OK
    assert cuts == []
    assert stored(server) == expected(calls(range(10)))


def test_a_server_that_does_not_answer_has_bounded_waits(server: MongoServer, make: Make) -> None:
    """Later, all calls are written."""
    exporter = make(patience=0.3)
    exporter.export(calls([1]))
    assert exporter.force_flush(60_000)
    answers = threading.Event()
    server.fault = lambda _: bool(answers.wait(60)) and None
    begun = time.monotonic()
    assert exporter.export(calls([2])) is FAILED
    assert exporter.export(calls([3])) is FAILED
    assert time.monotonic() - begun < 15
    answers.set()
    assert exporter.force_flush(60_000)
    assert stored(server) == expected(calls([1, 2, 3]))


def test_a_rejected_document_does_not_affect_its_batch(
    server: MongoServer, make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    """A validation rule of the collection rejects one document."""
    bad = span(500, "chat", {**CHAT, "user.id": "mallory"})

    def validate(command: Command) -> Command | None:
        broken = [
            {"index": index, "code": 121, "errmsg": f"Document failed validation: {update['u']}"}
            for index, update in enumerate(command.get("updates", ()))
            if update["u"].get("user_id") == "mallory"
        ]
        return {"ok": 1, "n": 0, "nModified": 0, "writeErrors": broken} if broken else None

    server.fault = validate
    before = stats().get("export.mongodb.dropped.refused", 0)
    exporter = make()
    assert exporter.export([*calls(range(20)), bad, *calls(range(20, 40))]) is FAILED
    assert stored(server) == expected(calls(range(40)))
    assert stats()["export.mongodb.dropped.refused"] - before == 1
    assert logged(caplog)[0] == "mongodb: a row was rejected: write error 121 (logged once)"
    assert "mallory" not in caplog.text


def test_two_writers_of_a_new_call_write_it_once(server: MongoServer, make: Make) -> None:
    """Two upserts of one new key at the same time: the second one is retried."""
    lost = [{"index": 0, "code": 11000, "errmsg": "E11000 duplicate key"}]
    races = [{"ok": 1, "n": 0, "nModified": 0, "writeErrors": lost}]
    server.fault = lambda command: races.pop() if races and "update" in command else None
    exporter = make(**QUICK)
    assert exporter.export(calls([1])) is OK
    assert races == []
    assert stored(server) == expected(calls([1]))


@pytest.mark.parametrize(
    ("what", "code", "result", "line"),
    [
        ("createIndexes", 13, OK, "mongodb: no permission to create indexes, so queries are slow"),
        (
            "update",
            13,
            FAILED,
            (
                "mongodb: OperationFailure 13 (check user and password in LITESPAN_MONGODB, and "
                "the user's role); 1 row(s) are kept and retried (logged once)"
            ),
        ),
    ],
)
def test_a_missing_permission_is_reported_in_one_line(
    what: str,
    code: int,
    result: SpanExportResult,
    line: str,
    server: MongoServer,
    make: Make,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Indexes are optional; other missing permissions are reported."""
    refusal = {"ok": 0, "code": code, "codeName": "Unauthorized", "errmsg": "not authorized on x"}
    server.fault = lambda command: refusal if what in command else None
    assert make(**QUICK).export([CASES["chat"]]) is result
    assert logged(caplog) == [line]


def test_a_document_beyond_16_mb_is_stored_without_content(
    server: MongoServer, make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    """The call, its tokens and its cost are stored."""
    giant = [text("user", "x" * 17_000_000)]
    attributes = {**dict(CASES["chat"].attributes or {}), **content(giant)}
    exporter = make(patience=20.0)
    assert exporter.export([span(1, "chat gpt-4o-mini", attributes), *calls([2])]) is OK
    (_, row) = sorted(stored(server), key=lambda row: row["span_id"], reverse=True)
    assert (row["input_messages"], row["output_messages"]) == (None, None)
    assert (row["input_tokens"], row["cost_usd"]) == (20, Decimal("0.000009"))
    assert logged(caplog) == ["mongodb: content beyond 16 MB is left out (logged once)"]


def test_content_that_grows_beyond_16_mb_in_bson_is_left_out() -> None:
    """A short number takes 2 bytes as JSON and 13 in BSON."""
    (row,) = rows([CASES["chat"]])
    row[NAMES.index("input_messages")] = f"[{'1,' * 1_500_000}1]"
    made = document(row)
    assert "input_messages" not in made
    assert made["input_tokens"] == 20


def test_nesting_beyond_mongodbs_limit_becomes_json_text(server: MongoServer, make: Make) -> None:
    """Beyond what MongoDB nests, the rest is JSON text."""
    deep: Any = "bottom"
    for _ in range(90):
        deep = {"d": deep}
    call = {"type": "tool_call", "name": "f", "arguments": deep}
    sent = content([text("user", "Hi.")], [{"role": "assistant", "parts": [call]}])
    assert make().export([span(1, "chat", {**CHAT, **sent})]) is OK
    (document,) = server.collections["llm_calls"].values()
    value, levels = document["output_messages"][0]["parts"][0]["arguments"], 0
    while not isinstance(value, str):
        value, levels = value["d"], levels + 1
    assert levels < 60
    assert value.count('{"d": ') == 90 - levels
    assert value.endswith("}")


def test_integers_of_any_size_are_stored(server: MongoServer, make: Make) -> None:
    """64 bits as integers, larger ones as text, in content as Decimal128 up to 34 digits."""
    numbers = [2**63 - 1, -(2**63), 2**63, 10**33, 10**34]
    arguments = {f"n{i}": number for i, number in enumerate(numbers)}
    call = {"type": "tool_call", "name": "f", "arguments": arguments}
    attributes = {f"litellm.metadata.{name}": number for name, number in arguments.items()}
    more = content(received=[{"role": "assistant", "parts": [call]}])
    assert make().export([span(1, "chat", {**CHAT, **attributes, **more})]) is OK
    (document,) = server.collections["llm_calls"].values()
    texts = [str(number) for number in numbers]
    assert [document["metadata"][name] for name in arguments] == [*numbers[:2], *texts[2:]]
    (part,) = document["output_messages"][0]["parts"]
    assert list(part["arguments"].values()) == [
        *numbers[:2],
        *[Decimal128(digits) for digits in texts[2:4]],
        texts[4],
    ]


@pytest.mark.slow
def test_exit_during_an_outage_is_bounded(server: MongoServer) -> None:
    """It waits a few seconds, and logs what is lost."""
    body = """
        import logging, sys, time
        from litespan_exporters.mongodb import MongoExporter
        from tests.stores.places import calls
        logging.basicConfig(stream=sys.stdout, format="%(name)s %(message)s")
        uri = "mongodb://app:m-secret@127.0.0.1:9/shop?serverSelectionTimeoutMS=500"
        exporter = MongoExporter(uri, patience=1.0)
        exporter.export(calls([1]))
        begun = time.monotonic()
        exporter.shutdown()
        print(time.monotonic() - begun < 15)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(body)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    lines = [line for line in done.stdout.splitlines() if not line.startswith("pymongo")]
    dropped = "litespan mongodb: 1 row(s) dropped: the process ended before they were written: "
    assert [lines[-2][: len(dropped)], lines[-1]] == [dropped, "True"]
    assert "m-secret" not in done.stdout + done.stderr


@pytest.mark.parametrize("variable", ["LITESPAN_MONGODB", "MONGODB_URI"])
def test_the_exporter_is_configured_by_variables(
    variable: str, server: MongoServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The SDK creates it without arguments."""
    monkeypatch.setenv(variable, server.uri)
    monkeypatch.setenv("LITESPAN_MONGODB_COLLECTION", "other")
    exporter = MongoExporter()
    assert exporter.export([CASES["chat"]]) is OK
    exporter.shutdown()
    assert len(server.collections["other"]) == 1
    assert repr(exporter) == f"<MongoExporter mongodb://127.0.0.1:{server.port}/shop#other>"


def test_a_missing_address_is_logged_once_and_exports_fail(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """One line has the variable; exports return FAILURE without an exception."""
    exporter = MongoExporter()
    assert exporter.export([CASES["chat"]]) is FAILED
    assert logged(caplog) == [
        (
            "LITESPAN_MONGODB is not set: mongodb export is off; set it, or MONGODB_URI, to the "
            "database's URI"
        )
    ]


@pytest.mark.parametrize(
    ("uri", "place"),
    [
        ("mongodb://[::1]/d", "[::1]:27017/d"),
        ("mongodb://u:p@[::1]:27018/d", "[::1]:27018/d"),
        ("mongodb://a,b:2/d?replicaSet=x", "a:27017/d"),
        ("mongodb+srv://u:p@cluster.example", "cluster.example:27017/litespan"),
    ],
)
def test_addresses_are_reported_without_credentials(uri: str, place: str) -> None:
    """Without user and password, for every kind of address."""
    exporter = MongoExporter(uri)
    assert (exporter.problem, exporter.place) == ("", f"mongodb://{place}#llm_calls")


@pytest.mark.parametrize(
    "uri", ["localhost:27017", "http://u:top-secret@h/d", "mongodb://u:top-secret@h:port/d", "x["]
)
def test_a_bad_address_is_logged_without_its_value(
    uri: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The value contains passwords."""
    exporter = MongoExporter(uri)
    assert exporter.export([CASES["chat"]]) is FAILED
    assert logged(caplog) == [
        (
            "LITESPAN_MONGODB is not a MongoDB URI: mongodb export is off; write "
            "mongodb://user@host/database"
        )
    ]
    assert "top-secret" not in caplog.text + repr(exporter)


def test_a_uri_that_pymongo_rejects_is_logged_without_its_password(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """For example a password that is not escaped."""
    exporter = MongoExporter("mongodb://u:top@secret@127.0.0.1/d", **QUICK)
    assert exporter.export([CASES["chat"]]) is FAILED
    exporter.shutdown()
    assert logged(caplog)[0].startswith(
        "mongodb: LITESPAN_MONGODB is invalid: InvalidURI (escape special characters in the "
        "password as %40; check the options); "
    )
    assert "secret" not in caplog.text


@pytest.mark.slow
def test_a_missing_driver_is_logged_with_the_install_command() -> None:
    """Without PyMongo: one line with the command that installs it."""
    body = """
        import sys
        sys.modules["pymongo"] = None
        from litespan_exporters.mongodb import MongoExporter
        print(MongoExporter("mongodb://u:p@h/db").export([]).name)
    """
    command = [sys.executable, "-c", textwrap.dedent(body)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert done.stdout == "FAILURE\n"
    assert done.stderr == (
        "litespan: pymongo is not installed: mongodb export is off; "
        "pip install 'litespan[mongodb]'\n"
    )
