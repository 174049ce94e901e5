"""Every query of Grafana's dashboard for PostgreSQL, on a real server with calls of every kind."""

import json
import re
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import pytest

from tests.cases import CASES
from tests.stores.places import expected, in_postgres
from tests.support.postgres import PostgresServer

DASHBOARD: Final = json.loads(
    (Path(__file__).parents[2] / "collector/dashboards/postgres.json").read_text()
)
TABLE: Final = "litespan.llm_calls"
PANELS: Final = {p["title"]: p for p in DASHBOARD["panels"] if p["type"] != "row"}
SINCE, UNTIL = "2026-11-20T00:00:00Z", "2026-11-21T00:00:00Z"
Query = Callable[[str], list[dict[str, Any]]]


def expanded(sql: str, chosen: dict[str, list[str]]) -> str:
    """The query as Grafana sends it: macros and variables replaced."""
    between = rf"\1 BETWEEN '{SINCE}' AND '{UNTIL}'"
    sql = re.sub(r"\$__timeFilter\((\w+)\)", between, sql)
    group = r'floor(extract(epoch from \1)/3600)*3600 AS "time"'
    sql = re.sub(r"\$__timeGroupAlias\((\w+), \$__interval\)", group, sql)
    for name, values in chosen.items():
        quoted = ",".join("'" + value.replace("'", "''") + "'" for value in values)
        sql = sql.replace(f"${{{name}:sqlstring}}", quoted)
    assert "$" not in sql
    return sql


@pytest.fixture(scope="module")
def query(postgres: PostgresServer) -> Iterator[Query]:
    """Runs a query of the dashboard, with all values of its variables, as a role that reads."""
    import psycopg
    from psycopg.rows import dict_row

    from litespan_exporters.postgres import PostgresExporter

    table = "litespan.dashboard"
    exporter = PostgresExporter(postgres.dsn(), table=table)
    exporter.export(list(CASES.values()))
    exporter.shutdown()
    postgres.sql("create role grafana login password 'reads-only'")
    postgres.sql(f"grant usage on schema litespan to grafana; grant select on {table} to grafana")
    with psycopg.connect(
        postgres.dsn("grafana", "reads-only"), autocommit=True, row_factory=dict_row
    ) as connection:
        chosen: dict[str, list[str]] = {}

        def ask(sql: str) -> list[dict[str, Any]]:
            assert TABLE in sql
            return connection.execute(expanded(sql, chosen).replace(TABLE, table)).fetchall()

        for variable in DASHBOARD["templating"]["list"]:
            if variable["type"] == "query":
                chosen[variable["name"]] = [row["coalesce"] for row in ask(variable["query"])]
        yield ask


@pytest.fixture(scope="module")
def rows(query: Query, postgres: PostgresServer) -> list[dict[str, Any]]:
    """The calls in the table that have ended."""
    found = in_postgres(postgres, "litespan.dashboard").read()
    assert found == expected(list(CASES.values()))
    return [row for row in found if row["outcome"] != "started"]


@pytest.mark.parametrize("title", PANELS)
def test_every_panel_shows_something(query: Query, title: str) -> None:
    """Its query is valid, and finds calls."""
    (target,) = PANELS[title]["targets"]
    found = query(target["rawSql"])
    assert any(value is not None for row in found for value in row.values())
    if PANELS[title]["type"] == "timeseries":
        assert target["format"] == "time_series"
        assert all("time" in row for row in found)


def test_the_totals_are_those_of_the_calls(query: Query, rows: list[dict[str, Any]]) -> None:
    """Number, share of failures, cost and tokens, without calls that have only started."""

    def shown(title: str) -> Any:
        ((value,),) = (row.values() for row in query(PANELS[title]["targets"][0]["rawSql"]))
        return value

    failed = [row for row in rows if row["outcome"] == "failure"]
    assert shown("Calls") == len(rows)
    assert float(shown("Failed")) == pytest.approx(len(failed) / len(rows))
    assert shown("US dollars") == sum(Decimal(row["cost_usd"] or 0) for row in rows)
    tokens = [row[name] or 0 for row in rows for name in ("input_tokens", "output_tokens")]
    assert shown("Tokens") == sum(tokens)
    teams = query(PANELS["By team"]["targets"][0]["rawSql"])
    assert sum(team["Calls"] for team in teams) == len(rows)
    assert len(query(PANELS["Latest failures"]["targets"][0]["rawSql"])) == len(failed)


def test_every_unit_belongs_to_a_column(query: Query) -> None:
    """Tables set units by the names of their columns."""
    for title, panel in PANELS.items():
        named = {override["matcher"]["options"] for override in panel["fieldConfig"]["overrides"]}
        assert named <= query(panel["targets"][0]["rawSql"])[0].keys(), title
