"""Supabase's own rules: two tables, upserts on a real PostgreSQL, started rows, its SDK."""

import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import psycopg
import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult

from litespan.export import GenAISpan
from litespan.stores.columns import COLUMNS
from litespan.stores.rows import rows
from litespan_exporters.postgres import ddl
from litespan_exporters.supabase import SupabaseExporter, request_log, row
from tests.cases import CASES, CHAT, OTHERS, STARTED, span
from tests.support import postgres
from tests.support.server import Reply, Vendor, running
from tests.support.vendors import SECRET, Supabase
from tests.support.vendors.supabase import LITELLMS_TABLE

pytestmark = pytest.mark.service

REFERENCE = json.loads((Path(__file__).parent / "reference/supabase.json").read_text())
OURS = "litespan.llm_calls"


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment says nothing of Supabase."""
    for name in ("URL", "KEY", "TABLE"):
        monkeypatch.delenv(f"SUPABASE_{name}", raising=False)


@pytest.fixture(scope="module")
def connection() -> Iterator[Any]:
    """A database with both tables."""
    with (
        postgres.running() as server,
        psycopg.connect(server.dsn(), autocommit=True) as connection,
    ):
        for statement in (LITELLMS_TABLE, *ddl(OURS)):
            connection.execute(statement)
        yield connection


@pytest.fixture
def vendor(connection: Any) -> Iterator[Vendor]:
    """Supabase on loopback, with empty tables."""
    connection.execute(f"truncate request_logs, {OURS}")
    with running(Supabase(lambda sql, body: connection.execute(sql, (body,)))) as vendor:
        yield vendor


def view(span: ReadableSpan) -> GenAISpan:
    """The typed view."""
    found = GenAISpan.read(span)
    assert found is not None
    return found


@pytest.mark.parametrize("table", ["request_logs", OURS])
def test_every_case_is_one_row(table: str, vendor: Vendor, connection: Any) -> None:
    """Also with NUL characters and lone surrogates; sending it twice changes nothing."""
    exporter = SupabaseExporter(vendor.url, SECRET, table=table)
    for _ in range(2):
        sent = exporter.export([*CASES.values(), *OTHERS.values()])
        assert (sent, vendor.wrong) == (SpanExportResult.SUCCESS, [])
    assert connection.execute(f"select count(*) from {table}").fetchone() == (len(CASES),)


@pytest.mark.parametrize("table", ["request_logs", OURS])
def test_a_finished_call_replaces_its_started_row(
    table: str, vendor: Vendor, connection: Any
) -> None:
    """Never vice versa."""
    exporter = SupabaseExporter(vendor.url, SECRET, table=table)
    column = "status" if table == "request_logs" else "outcome"
    found = []
    for export in (exporter.export_started, exporter.export, exporter.export_started):
        export([STARTED if export != exporter.export else CASES["chat"]])
        found += connection.execute(f"select {column} from {table}").fetchall()
    begun = "initiated" if table == "request_logs" else "started"
    assert found == [(begun,), ("success",), ("success",)]
    assert vendor.wrong == []


def test_attempts_share_litellms_row(vendor: Vendor, connection: Any) -> None:
    """LiteLLM's table has one row per call id: the last attempt's, also within one request."""
    call = {**CHAT, "litellm.call_id": "one"}
    spans = [span(1, "chat", {**call, "litellm.attempt": n}) for n in (1, 2)]
    spans[1]._context = span(2, "x", {}).context
    exporter = SupabaseExporter(vendor.url, SECRET)
    assert exporter.export(spans) is SpanExportResult.SUCCESS
    assert vendor.wrong == []
    query = "select additional_details->>'litellm.attempt' from request_logs"
    assert connection.execute(query).fetchall() == [("2",)]


def test_litespans_columns_equal_those_of_the_postgresql_store(
    vendor: Vendor, connection: Any
) -> None:
    """Including exact money."""
    SupabaseExporter(vendor.url, SECRET, table=OURS).export([CASES["reasoning_cached"]])
    (cost, tags, finish, began, metadata) = connection.execute(
        f"select cost_usd, tags, finish_reasons, start_time, metadata from {OURS}"
    ).fetchone()
    (expected,) = rows([CASES["reasoning_cached"]])
    named = dict(zip([column.name for column in COLUMNS], expected, strict=True))
    assert (cost, began) == (Decimal("0.0040656"), named["start_time"])
    assert (tags, finish) == (["checkout", "beta"], ["stop"])
    assert metadata == json.loads(named["metadata"])


def test_litellms_columns_have_its_names_and_status_words() -> None:
    """Data without a column is in `additional_details`."""
    made = request_log(view(CASES["failure"]))
    details: Any = made.pop("additional_details")
    assert made == {
        "litellm_call_id": "00000000-0000-4000-8000-000000000007",
        "model": "gpt-4o-mini",
        "messages": [{"role": "user", "content": "Say hello."}],
        "response": None,
        "end_user": "user-42",
        "status": "failure",
        "error": {
            "type": "AuthenticationError",
            "message": "AuthenticationError: Incorrect API key provided",
            "code": 401,
        },
        "response_time": 1.25,
        "total_cost": None,
    }
    chat: Any = request_log(view(CASES["chat"]))
    assert (chat["status"], chat["total_cost"]) == ("success", 9e-06)
    assert chat["response"] == {"role": "assistant", "content": "Hello!"}
    used = chat["additional_details"]
    assert (used["input_tokens"], used["output_tokens"], used["total_tokens"]) == (20, 10, 30)
    assert details["outcome"] == "failure"


def test_long_names_fit_the_indexes() -> None:
    """PostgreSQL does not index more than 2700 bytes."""
    made = row(view(span(1, "chat", {**CHAT, "user.id": "x" * 5000})))
    assert len(str(made["user_id"])) == 500


def test_requests_match_those_of_supabases_own_sdk(vendor: Vendor) -> None:
    """Path, query and headers of an upsert of many rows."""
    SupabaseExporter(vendor.url, SECRET).export([CASES["chat"]])
    theirs = REFERENCE["requests"][1]
    (ours,) = vendor.received
    assert urlsplit(ours.path).path == urlsplit(theirs["path"]).path
    asked, expected = (parse_qs(urlsplit(r).query) for r in (ours.path, theirs["path"]))
    assert set(asked) == set(expected)
    assert asked["on_conflict"] == expected["on_conflict"]
    assert set(expected["columns"][0].split(",")) < set(asked["columns"][0].split(","))
    for name, value in theirs["headers"].items():
        mine = ours.headers[name].replace(SECRET, "sb_secret_key")
        assert set(mine.split(",")) == set(value.split(","))
    assert isinstance(json.loads(ours.body), type(theirs["body"]))


def test_a_schema_in_the_table_name_selects_the_profile(vendor: Vendor) -> None:
    """`schema.table`."""
    SupabaseExporter(vendor.url, SECRET, table=OURS).export([CASES["chat"]])
    assert vendor.received[0].headers["content-profile"] == "litespan"
    assert vendor.received[0].path.startswith("/rest/v1/llm_calls?on_conflict=key&")


def test_a_missing_url_is_logged_in_one_line(caplog: pytest.LogCaptureFixture) -> None:
    """There is no default."""
    assert SupabaseExporter(key=SECRET).export([CASES["chat"]]) is SpanExportResult.FAILURE
    (line,) = [record.getMessage() for record in caplog.records]
    assert line.startswith("SUPABASE_URL is not set: supabase export is off")


def test_a_404_is_reported_as_a_missing_table(caplog: pytest.LogCaptureFixture) -> None:
    """PostgREST answers 404 for a missing table."""
    missing = b'{"code":"PGRST205","message":"Could not find the table"}'
    with running(lambda _: Reply(404, missing)) as vendor:
        SupabaseExporter(vendor.url, SECRET).export([CASES["chat"]])
    (line,) = [record.getMessage() for record in caplog.records]
    assert "table not found: create it, or set its name in SUPABASE_TABLE" in line
