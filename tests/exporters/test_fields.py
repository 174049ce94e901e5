"""`docs/exporters/fields.md`: which field of a call reaches whom, found by trying.

One call with every field set to a value of its own is given to each exporter. A field is *sent*
if its value arrives, *derived* if what arrives changes without it, and not there otherwise.
`pytest --update-golden` writes the page.
"""

import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan

from litespan.alerting import AlertExporter, Thresholds
from litespan.export.http import HttpExporter
from litespan_exporters.sqlite import SQLiteExporter
from tests.alerting.calls import NOON
from tests.exporters.fields import FAILURE, FIELDS, call, every, fate
from tests.exporters.test_contract import shown
from tests.stores import places
from tests.support import mongo, postgres
from tests.support.exporters import stands_for_others
from tests.support.server import Reply, running
from tests.support.vendors import SECRET, Anyone

PAGE = Path(__file__).parents[2] / "docs" / "exporters" / "fields.md"
OURS: dict[str, Any] = {
    found.name: found.load()
    for found in sorted(entry_points(group="opentelemetry_traces_exporter"), key=lambda e: e.name)
    if found.value.startswith("litespan_exporters.")
    and found.name != "s3"  # has JSONL's or Parquet's rows
    and stands_for_others(found.name, found.load())
}
ALERTS: dict[str, type[AlertExporter]] = {
    name: cls for name, cls in OURS.items() if issubclass(cls, AlertExporter)
}
SERVICES: dict[str, type[HttpExporter]] = {
    name: cls for name, cls in OURS.items() if issubclass(cls, HttpExporter) and name not in ALERTS
}
STORES = [name for name in OURS if name not in {*ALERTS, *SERVICES, "live"}]  # it prints
HALVES = ((FIELDS, False), (FAILURE, True))
Column = Mapping[str, str]
"""Field → sent, derived or a dash."""


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """No exporter knows where to send anything, until a test says so."""
    for cls in (*SERVICES.values(), *ALERTS.values()):
        for variable in cls.variables_for("http://127.0.0.1:9", SECRET):
            monkeypatch.delenv(variable, raising=False)


def check(request: pytest.FixtureRequest, part: str, table: Sequence[Sequence[str]]) -> None:
    """The part of the page is this table; or is from now on, if the golden files are renewed."""
    head, *rows = [f"| {' | '.join(row)} |\n" for row in table]
    text = head + "|---" * len(table[0]) + "|\n" + "".join(rows)
    begin, end = f"<!-- {part}: begin -->\n", f"<!-- {part}: end -->\n"
    page = PAGE.read_text(encoding="utf-8")
    before, _, rest = page.partition(begin)
    if request.config.getoption("--update-golden"):
        page = before + begin + text + end + rest.partition(end)[2]
        PAGE.write_text(page, encoding="utf-8")
    assert text == page.partition(begin)[2].partition(end)[0], "run pytest --update-golden"


# --- services -------------------------------------------------------------------------------


def service(name: str, monkeypatch: pytest.MonkeyPatch) -> Column:
    """What a service is sent."""
    found: dict[str, str] = {}
    with running(Anyone()) as vendor:
        for variable, value in SERVICES[name].variables_for(vendor.url, SECRET).items():
            monkeypatch.setenv(variable, value)
        exporter = SERVICES[name]()

        def sent(span: ReadableSpan) -> str:
            vendor.received.clear()
            exporter.export([span])
            return json.dumps([shown(request) for request in vendor.received], sort_keys=True)

        for fields, failed in HALVES:
            whole = sent(call(every(fields), failed))
            for field, values in fields.items():
                less = sent(call(every(fields, field), failed))
                found[field] = fate(field, values, whole, less)
        exporter.shutdown()
    return found


def test_the_table_of_services_is_up_to_date(
    monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    """It is generated from what exporters send."""
    columns = {name: service(name, monkeypatch) for name in SERVICES}
    rows = [[field, *(c[field] for c in columns.values())] for field in (*FIELDS, *FAILURE)]
    check(request, "services", [["Field", *columns], *rows])


# --- stores ---------------------------------------------------------------------------------


@pytest.fixture
def stores(tmp_path: Path) -> Iterator[dict[str, tuple[Callable[..., Any], Callable[..., Any]]]]:
    """Each store's exporter, and what reads all its rows without any code of ours."""
    with ExitStack() as stack:
        mongodb = stack.enter_context(mongo.running())
        database = stack.enter_context(postgres.running())
        documents = mongodb.collections["calls"].values
        there = {
            "csv": places.in_csv(tmp_path / "calls.csv"),
            "duckdb": places.in_duckdb(tmp_path / "calls.duckdb"),
            "jsonl": places.in_jsonl(tmp_path / "calls.jsonl"),
            "mongodb": places.in_mongodb(mongodb.uri, "calls", documents),
            "parquet": places.in_parquet(tmp_path / "calls"),
            "postgres": places.in_postgres(database, "litespan.calls"),
        }
        file = tmp_path / "calls.db"

        def read() -> list[dict[str, Any]]:
            with closing(sqlite3.connect(file)) as connection:
                connection.row_factory = sqlite3.Row
                return [dict(row) for row in connection.execute("select * from llm_calls")]

        yield {
            **{name: (place.make, place.read) for name, place in there.items()},
            "sqlite": (lambda: SQLiteExporter(file), read),
        }


def store(make: Callable[..., Any], read: Callable[..., Any]) -> tuple[Column, Column]:
    """What a store keeps, and in which of its columns."""
    found: dict[str, str] = {}
    where: dict[str, str] = {}
    tried: list[tuple[str, Mapping[str, Any], str, str]] = []
    spans: list[ReadableSpan] = []
    for fields, failed in HALVES:
        first = len(spans) + 1
        spans.append(call(every(fields), failed, first))
        for field, values in fields.items():
            tried.append((field, values, f"{first:016x}", f"{len(spans) + 1:016x}"))
            spans.append(call(every(fields, field), failed, len(spans) + 1))
    exporter = make()
    exporter.export(spans)
    exporter.shutdown()
    rows = {row["span_id"]: row for row in read()}
    assert len(rows) == len(spans)
    for field, value, with_it, without in tried:
        whole, less = rows[with_it], rows[without]
        changed = [n for n in whole if n not in ("key", "span_id") and whole[n] != less[n]]
        # The attributes hold nearly everything: named where there is no column.
        recorded = [name for name in changed if name != "attributes"] or changed
        where[field] = ", ".join(f"`{name.removesuffix('_e10')}`" for name in recorded) or "-"
        found[field] = fate(field, value, _text(whole, recorded), _text(less, recorded))
    return found, where


def _text(row: Mapping[str, Any], names: Sequence[str]) -> str:
    return json.dumps([row[name] for name in names], default=str)


def test_the_table_of_stores_is_up_to_date(
    stores: dict[str, Any], request: pytest.FixtureRequest
) -> None:
    """It is generated from what stores return, with the column of each field."""
    assert sorted(stores) == STORES
    kept = {name: store(*stores[name]) for name in STORES}
    (where, *others) = [columns for _, columns in kept.values()]
    assert others == [where] * len(others)
    rows = [
        [field, where[field], *(found[field] for found, _ in kept.values())]
        for field in (*FIELDS, *FAILURE)
    ]
    check(request, "stores", [["Field", "column", *STORES], *rows])


# --- alerts ---------------------------------------------------------------------------------

EVERYTHING = Thresholds(
    slow=0.5,
    first_chunk=0.1,
    call_cost=0.01,
    user_day=0.01,
    team_day=0.01,
    digest=0.0,
    content=True,
)
"""Every rule that one failed call can break, it breaks."""


def alerts(name: str, monkeypatch: pytest.MonkeyPatch) -> Column:
    """What a destination receives for a call that is wrong in every way."""
    fields = {**FIELDS, **FAILURE}
    cls = ALERTS[name]
    with running(lambda _: Reply(200, b"ok")) as vendor:
        for variable, value in cls.variables_for(f"{vendor.url}/x", SECRET).items():
            monkeypatch.setenv(variable, value)

        def recorded(span: ReadableSpan) -> str:
            vendor.received.clear()
            exporter = cls(thresholds=EVERYTHING)
            assert exporter.engine is not None
            exporter.engine.clock = lambda: NOON
            exporter.export([span])
            assert exporter.force_flush(30_000)
            exporter.shutdown()
            return "\n".join(sorted(request.body.decode() for request in vendor.received))

        whole = recorded(call(every(fields), failed=True))
        return {
            field: fate(field, values, whole, recorded(call(every(fields, field), failed=True)))
            for field, values in fields.items()
        }


def test_the_table_of_alert_destinations_is_up_to_date(
    monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    """A field that no destination has gets no row."""
    columns = {name: alerts(name, monkeypatch) for name in ALERTS}
    rows = [[field, *(c[field] for c in columns.values())] for field in (*FIELDS, *FAILURE)]
    recorded = [row for row in rows if set(row[1:]) != {"-"}]
    check(request, "alerts", [["Field", *columns], *recorded])
