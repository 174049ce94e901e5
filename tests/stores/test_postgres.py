"""The PostgreSQL store, on a real server: permissions, restarts, other writers, full disks."""

import logging
import os
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest
from opentelemetry.sdk.trace.export import SpanExportResult

from litespan.cli import main
from litespan.counters import stats
from litespan.stores.columns import COLUMNS
from litespan_exporters.postgres import TYPES, PostgresExporter, ddl
from litespan_exporters.postgres.libpq import for_libpq
from tests.cases import CASES, CHAT, span
from tests.stores.disks import small_disk
from tests.stores.places import calls, expected, in_postgres
from tests.support.postgres import PASSWORD, PostgresServer, running

pytestmark = pytest.mark.service

OK, FAILED = SpanExportResult.SUCCESS, SpanExportResult.FAILURE
ROOT = Path(__file__).parents[2]
QUICK: dict[str, Any] = {"backoff": 0.05, "max_backoff": 0.2, "patience": 60.0}
Make = Callable[..., PostgresExporter]
VARIABLES = ("LITESPAN_POSTGRES", "LITESPAN_POSTGRES_TABLE", "DATABASE_URL", "PGHOST", "PGSERVICE")


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the developer's own databases."""
    for name in (*VARIABLES, "PGDATABASE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def make() -> Iterator[Make]:
    """Makes exporters that are shut down at the end."""
    made: list[PostgresExporter] = []

    def remember(dsn: str | None = None, **options: Any) -> PostgresExporter:
        made.append(PostgresExporter(dsn, **options))
        return made[-1]

    yield remember
    for exporter in made:
        exporter.shutdown()


def logged(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What litespan has logged."""
    return [r.getMessage() for r in caplog.records if r.name == "litespan"]


class TestTable:
    """What is made in the database."""

    def test_the_table_has_the_documented_columns_and_indexes(
        self, make: Make, postgres: PostgresServer, table: str
    ) -> None:
        """Including an exact cost."""
        make(postgres.dsn(), table=table).export([CASES["chat"]])
        columns = postgres.sql(
            "select attname, format_type(atttypid, atttypmod) from pg_attribute "
            f"where attrelid = '{table}'::regclass and attnum > 0 order by attnum"
        )
        assert columns == [(c.name, TYPES[c.kind]) for c in COLUMNS]
        assert dict(columns)["cost_usd"] == "numeric(18,10)"
        name = table.removeprefix("litespan.")
        indexes = postgres.sql(f"select indexdef from pg_indexes where tablename = '{name}'")
        assert sorted(d.partition(" USING ")[2] for (d,) in indexes) == [
            "brin (start_time)",
            "btree (call_id)",
            "btree (key)",
            "btree (model, start_time)",
            "btree (start_time) WHERE (outcome <> 'success'::text)",
            "btree (trace_id)",
            "btree (user_id, start_time)",
        ]

    def test_many_workers_create_one_table_at_once(
        self, make: Make, postgres: PostgresServer, table: str
    ) -> None:
        """Workers that start together create it without an error."""
        exporters = [make(postgres.dsn(), table=table) for _ in range(8)]
        results: list[Any] = []
        threads = [
            threading.Thread(target=lambda e=e, n=n: results.append(e.export(calls([n]))))
            for n, e in enumerate(exporters)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert results == [OK] * 8
        assert in_postgres(postgres, table).read() == expected(calls(range(8)))

    def test_missing_columns_are_added_to_an_older_table(
        self, make: Make, postgres: PostgresServer, table: str
    ) -> None:
        """Its rows and the user's own columns stay."""
        postgres.sql("create schema if not exists litespan")
        postgres.sql(
            f"create table {table} (mine text, key uuid primary key, outcome text, user_id text)"
        )
        postgres.sql(f"insert into {table} values ('x', gen_random_uuid(), 'success', 'ada')")
        exporter = make(postgres.dsn(), table=table)
        assert exporter.export([CASES["chat"]]) is OK
        found = postgres.sql(f"select mine, user_id, cost_usd from {table} order by mine")
        assert found == [("x", "ada", None), (None, "user-42", Decimal("0.000009"))]

    def test_a_column_of_another_type_is_refused(
        self, make: Make, postgres: PostgresServer, table: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        """No inexact cost is written; one line has the column."""
        statements = [s.replace("cost_usd numeric(18,10)", "cost_usd float") for s in ddl(table)]
        for statement in statements:
            postgres.sql(statement)
        exporter = make(postgres.dsn(), table=table, **QUICK)
        assert exporter.export([CASES["chat"]]) is FAILED
        assert logged(caplog) == [
            (
                f"postgres: {table}.cost_usd is double precision, not numeric(18,10) (set another "
                "table in LITESPAN_POSTGRES_TABLE); 1 row(s) are kept and retried (logged once)"
            )
        ]

    def test_the_printed_statements_create_the_table(
        self, make: Make, postgres: PostgresServer, table: str
    ) -> None:
        """`python -m litespan_exporters.postgres` prints them, and they run unchanged."""
        printed = subprocess.run(
            [sys.executable, "-m", "litespan_exporters.postgres"],
            env={**os.environ, "LITESPAN_POSTGRES_TABLE": table},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for _ in range(2):
            postgres.sql(printed)
        assert make(postgres.dsn(), table=table).export([CASES["chat"]]) is OK
        assert in_postgres(postgres, table).read() == expected([CASES["chat"]])


class TestRights:
    """What the role may do."""

    @pytest.fixture
    def writer(self, postgres: PostgresServer, table: str) -> str:
        """A role that may do nothing yet, and a table."""
        for statement in ddl(table):
            postgres.sql(statement)
        role = table.replace("litespan.", "writer_")
        postgres.sql(f"create role {role} login password 'w-secret'")
        return role

    def test_the_documented_permissions_are_sufficient(
        self, make: Make, postgres: PostgresServer, table: str, writer: str
    ) -> None:
        """USAGE on the schema; SELECT, INSERT and UPDATE on the table."""
        postgres.sql(f"grant usage on schema litespan to {writer}")
        postgres.sql(f"grant select, insert, update on {table} to {writer}")
        exporter = make(postgres.dsn(writer, "w-secret"), table=table)
        assert exporter.export([CASES["chat"]]) is OK
        assert exporter.export([CASES["chat"], CASES["stream"]]) is OK
        assert in_postgres(postgres, table).read() == expected([CASES["chat"], CASES["stream"]])

    def test_a_missing_permission_is_reported_and_rows_wait_for_it(
        self,
        make: Make,
        postgres: PostgresServer,
        table: str,
        writer: str,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        """One line has it; when it is granted, the rows are written."""
        postgres.sql(f"grant usage on schema litespan to {writer}")
        exporter = make(postgres.dsn(writer, "w-secret"), table=table, **QUICK)
        assert exporter.export([CASES["chat"]]) is FAILED
        (line,) = logged(caplog)
        assert line.startswith(f"postgres: permission denied for table {table[9:]} (grant it, or ")
        postgres.sql(f"grant select, insert, update on {table} to {writer}")
        assert exporter.force_flush(10_000)
        assert in_postgres(postgres, table).read() == expected([CASES["chat"]])

    def test_a_wrong_password_is_logged_without_the_password(
        self, make: Make, postgres: PostgresServer, table: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        """One line has what to check; neither it nor the exporter's repr has a password."""
        dsn = postgres.dsn(password="not-the-password")
        exporter = make(dsn, table=table, **QUICK)
        assert exporter.export([CASES["chat"]]) is FAILED
        exporter.shutdown()
        assert "password authentication failed" in logged(caplog)[0]
        assert "host, user and password in LITESPAN_POSTGRES" in logged(caplog)[0]
        assert "not-the-password" not in "".join([*logged(caplog), repr(exporter), caplog.text])
        assert repr(exporter) == (
            f"<PostgresExporter postgresql://127.0.0.1:{postgres.port}/litespan#{table}>"
        )


class TestBadTimes:
    """Servers that stop, freeze, or are full; rejected rows."""

    def test_calls_exported_during_a_restart_arrive_once(
        self, make: Make, table: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        """They are written when the server is available again."""
        with running() as server:
            exporter = make(server.dsn(), table=table, **QUICK)
            assert exporter.export(calls(range(10))) is OK
            server.stop()
            assert exporter.export(calls(range(5, 20))) is FAILED
            begun = time.monotonic()
            assert exporter.export(calls(range(20, 30))) is FAILED
            assert time.monotonic() - begun < 30  # not waited for again
            server.start()
            assert exporter.force_flush(60_000)
            assert exporter.export(calls(range(30, 35))) is OK
            assert in_postgres(server, table).read() == expected(calls(range(35)))
            exporter.shutdown()
        assert len(logged(caplog)) in (1, 2)  # the cut connection, and the refused ones

    def test_an_idle_connection_that_was_closed_loses_nothing(
        self, make: Make, postgres: PostgresServer, table: str
    ) -> None:
        """By a firewall or the server."""
        exporter = make(postgres.dsn(), table=table)
        assert exporter.export(calls([1])) is OK
        postgres.sql(
            "select pg_terminate_backend(pid) from pg_stat_activity "
            "where application_name = 'litespan'"
        )
        assert exporter.export(calls([2])) is OK
        assert in_postgres(postgres, table).read() == expected(calls([1, 2]))

    def test_idle_connections_are_closed(
        self, make: Make, postgres: PostgresServer, table: str
    ) -> None:
        """Hundreds of idle workers have no connection; the next call opens one."""
        exporter = make(postgres.dsn(), table=table, idle=0.2)
        assert exporter.export(calls([1])) is OK
        count = "select count(*) from pg_stat_activity where application_name = 'litespan'"
        deadline = time.monotonic() + 60
        while postgres.sql(count) != [(0,)] and time.monotonic() < deadline:
            time.sleep(0.05)
        assert postgres.sql(count) == [(0,)]
        assert exporter.export(calls([2])) is OK
        assert in_postgres(postgres, table).read() == expected(calls([1, 2]))

    def test_a_frozen_server_has_bounded_waits_and_loses_nothing(
        self, make: Make, postgres: PostgresServer, table: str
    ) -> None:
        """Later, all calls are written."""
        exporter = make(postgres.dsn(), table=table, patience=0.5)
        exporter.export(calls([1]))
        assert exporter.force_flush(60_000)
        with postgres.frozen():
            begun = time.monotonic()
            assert exporter.export(calls([2])) is FAILED
            assert exporter.export(calls([3])) is FAILED
            assert time.monotonic() - begun < 15
        assert exporter.force_flush(60_000)
        assert in_postgres(postgres, table).read() == expected(calls([1, 2, 3]))

    def test_exit_with_a_frozen_server_is_bounded(
        self, postgres: PostgresServer, table: str
    ) -> None:
        """It waits a few seconds, and logs what is lost."""
        body = """
            import logging, sys
            from litespan_exporters.postgres import PostgresExporter
            from tests.stores.places import calls
            logging.basicConfig(stream=sys.stdout, format="%(message)s")
            exporter = PostgresExporter(table=sys.argv[1], patience=1.0)
            exporter.export(calls([1]))
            print(exporter.force_flush(60_000), flush=True)
            sys.stdin.readline()
            print(exporter.export(calls([2])).name, flush=True)
            exporter.shutdown()
        """
        process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(body), table],
            cwd=ROOT,
            env={**os.environ, "LITESPAN_POSTGRES": postgres.dsn()},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "True\n"
        with postgres.frozen():
            begun = time.monotonic()
            output, _ = process.communicate("go\n", timeout=60)
            assert time.monotonic() - begun < 20
        assert output.splitlines() == [
            "FAILURE",
            (
                "postgres: 1 row(s) dropped: the process ended before they were written: "
                "the store was too slow; call force_flush() earlier (logged once)"
            ),
        ]

    def test_a_rejected_row_does_not_affect_its_batch(
        self, make: Make, postgres: PostgresServer, table: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        """A constraint of the table's owner rejects one row."""
        for statement in ddl(table):
            postgres.sql(statement)
        postgres.sql(f"alter table {table} add check (user_id <> 'mallory')")
        exporter = make(postgres.dsn(), table=table)
        bad = span(500, "chat", {**CHAT, "user.id": "mallory"})
        before = stats().get("export.postgres.dropped.refused", 0)
        assert exporter.export([*calls(range(100)), bad, *calls(range(100, 200))]) is FAILED
        assert in_postgres(postgres, table).read() == expected(calls(range(200)))
        assert stats()["export.postgres.dropped.refused"] - before == 1
        assert logged(caplog)[0] == (
            "postgres: a row was rejected: CheckViolation (23514) (logged once)"
        )
        assert "mallory" not in caplog.text

    def test_values_too_long_for_an_index_are_cut_in_their_column(
        self, make: Make, postgres: PostgresServer, table: str
    ) -> None:
        """The attributes have the full values."""
        long = "".join(f"{n:x}" for n in range(3000))
        exporter = make(postgres.dsn(), table=table)
        assert exporter.export([span(1, "chat", {**CHAT, "user.id": long})]) is OK
        ((user, whole),) = postgres.sql(f"select user_id, attributes ->> 'user.id' from {table}")
        assert (user, whole) == (f"{long[:499]}…", long)

    def test_two_writers_of_the_same_calls_do_not_deadlock(
        self, postgres: PostgresServer, table: str
    ) -> None:
        """They upsert the same keys in different orders."""
        body = """
            import sys
            from litespan_exporters.postgres import PostgresExporter
            from tests.stores.places import calls
            exporter = PostgresExporter(table=sys.argv[1])
            numbers = list(range(1000, 1300))[:: int(sys.argv[2])]
            done = [exporter.export(calls(numbers)).name for _ in range(6)]
            exporter.shutdown()
            sys.exit(done != ["SUCCESS"] * 6)
        """
        command = [sys.executable, "-c", textwrap.dedent(body), table]
        env = {**os.environ, "LITESPAN_POSTGRES": postgres.dsn()}
        processes = [subprocess.Popen([*command, s], cwd=ROOT, env=env) for s in ("1", "-1", "1")]
        assert [process.wait(60) for process in processes] == [0, 0, 0]
        assert in_postgres(postgres, table).read() == expected(calls(range(1000, 1300)))

    def test_a_full_disk_is_logged_once_and_loses_nothing(
        self, make: Make, table: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        """All rows are written when there is space."""
        with running() as server, small_disk(server.folder / "disk", 1_500_000) as disk:
            if disk.mounted:
                (disk.folder / "space").mkdir(mode=0o777)
                (disk.folder / "space").chmod(0o777)
                subprocess.run(
                    ["chown", "-R", f"--reference={server.data}", disk.folder], check=True
                )
                server.sql(f"create tablespace small location '{disk.folder}/space'")
                server.sql("alter database litespan set default_tablespace = small")
            else:
                server.limit_files("1500000")
            exporter = make(server.dsn(), table=table, **QUICK)
            results = [exporter.export(calls(range(n, n + 100))) for n in range(1000, 2000, 100)]
            assert (results[0], results[-1]) == (OK, FAILED)
            disk.grow()
            if not disk.mounted:
                server.limit_files("unlimited")
            assert exporter.force_flush(20_000)
            exporter.shutdown()
            assert in_postgres(server, table).read() == expected(calls(range(1000, 2000)))
            (line,) = logged(caplog)
            assert "could not extend file" in line
            if disk.mounted:
                server.sql("alter database litespan reset default_tablespace")


class TestSettings:
    """How the place to write is configured."""

    @pytest.mark.parametrize("variable", ["LITESPAN_POSTGRES", "DATABASE_URL"])
    def test_the_exporter_is_configured_by_variables(
        self,
        make: Make,
        variable: str,
        postgres: PostgresServer,
        table: str,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """The SDK creates it without arguments."""
        monkeypatch.setenv(variable, postgres.dsn())
        monkeypatch.setenv("LITESPAN_POSTGRES_TABLE", table)
        assert make().export([CASES["chat"]]) is OK
        assert in_postgres(postgres, table).read() == expected([CASES["chat"]])

    def test_libpq_variables_are_read(
        self, make: Make, postgres: PostgresServer, table: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """`PGHOST` and others, as `psql` reads them."""
        for name, value in {
            "PGHOST": "127.0.0.1",
            "PGPORT": str(postgres.port),
            "PGUSER": "litespan",
            "PGPASSWORD": PASSWORD,
            "PGDATABASE": "litespan",
        }.items():
            monkeypatch.setenv(name, value)
        assert make(table=table).export([CASES["chat"]]) is OK

    def test_a_missing_address_is_logged_once_and_exports_fail(
        self, make: Make, caplog: pytest.LogCaptureFixture
    ) -> None:
        """One line has the variable; exports return FAILURE without an exception."""
        exporter = make()
        assert exporter.export([CASES["chat"]]) is FAILED
        assert logged(caplog) == [
            (
                "LITESPAN_POSTGRES is not set: postgres export is off; set it, or DATABASE_URL, to "
                "the database's URL"
            )
        ]

    @pytest.mark.parametrize(
        "dsn",
        [
            "postgresql://app:top-secret@host:port/db",
            "mysql://app:top-secret@host/db",
            "postgresql//app:top-secret@host/db",
            "sqlite:///top-secret.db",
            "host=x nonsense=top-secret",
        ],
    )
    def test_a_bad_address_is_logged_without_its_value(
        self, make: Make, dsn: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        """The value contains passwords."""
        exporter = make(dsn)
        assert exporter.export([CASES["chat"]]) is FAILED
        assert logged(caplog) == [
            (
                "LITESPAN_POSTGRES is not a PostgreSQL URL: postgres export is off; write "
                "postgresql://user@host/database"
            )
        ]
        assert "top-secret" not in caplog.text + repr(exporter) + str(exporter.problem)

    @pytest.mark.parametrize(
        ("given", "taken"),
        [
            ("host=/tmp dbname=x", "host=/tmp dbname=x"),
            ("postgresql+psycopg2://u:p@h/db", "postgresql://u:p@h/db"),
            ("postgresql:///db?host=/tmp", "postgresql:///db?host=%2Ftmp"),
            ("postgresql://", "postgresql://"),
            ("postgres://u:p%40@h:5433/db?sslmode=require", "postgres://u:p%40@h:5433/db?sslmode=require"),
            ("postgresql://u@h/db?schema=public&connection_limit=5&sslmode=disable", "postgresql://u@h/db?sslmode=disable"),
        ],
    )  # fmt: skip
    def test_urls_of_other_tools_are_accepted(self, given: str, taken: str) -> None:
        """SQLAlchemy's driver names and Prisma's parameters are removed."""
        assert for_libpq(given) == taken

    @pytest.mark.parametrize("name", ["calls; drop table x", 'a"b', "a.b.c", "Calls", ""])
    def test_an_ambiguous_table_name_is_refused(
        self, make: Make, name: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        """In one line."""
        exporter = make("postgresql://h/db", table=name)
        assert bool(exporter.problem) == bool(name)
        assert ["is not a table name" in line for line in logged(caplog)] == [True] * bool(name)

    def test_a_missing_driver_is_logged_with_the_install_command(self) -> None:
        """Without psycopg: one line with the command that installs it."""
        body = """
            import sys
            sys.modules["psycopg"] = None
            from litespan_exporters.postgres import PostgresExporter
            print(PostgresExporter("postgresql://u:p@h/db").export([]).name)
        """
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(body)],
            check=True,
            capture_output=True,
            text=True,
        )
        assert done.stdout == "FAILURE\n"
        assert done.stderr == (
            "litespan: psycopg is not installed: postgres export is off; "
            "pip install 'litespan[postgres]'\n"
        )

    def test_check_writes_one_call_or_reports_why_it_cannot(
        self,
        postgres: PostgresServer,
        table: str,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        """`litespan check postgres`."""
        monkeypatch.setattr(logging.getLogger("litespan"), "propagate", True)  # put back after
        monkeypatch.setenv("LITESPAN_POSTGRES_TABLE", table)
        monkeypatch.setenv("LITESPAN_POSTGRES", postgres.dsn())
        assert main(["check", "postgres"]) == 0
        assert "postgres: accepted the test call" in capsys.readouterr().out
        assert postgres.sql(f"select model from {table}") == [("litespan-check",)]
        monkeypatch.setenv("LITESPAN_POSTGRES", postgres.dsn(password="not-the-password"))
        assert main(["check", "postgres"]) == 1
        (line,) = capsys.readouterr().err.splitlines()
        assert "password authentication failed" in line
        assert "not-the-password" not in line

    def test_no_connection_is_opened_before_the_first_call(self, make: Make, table: str) -> None:
        """Even if the address is wrong."""
        begun = time.monotonic()
        exporter = make("postgresql://192.0.2.1/nowhere", table=table)
        exporter.shutdown()
        assert time.monotonic() - begun < 5

    def test_the_server_of_the_tests_is_postgresql(self, postgres: PostgresServer) -> None:
        """Not an imitation."""
        ((version,),) = postgres.sql("select version()")
        assert version.startswith("PostgreSQL ")
        assert int(version.split()[1].split(".")[0]) >= 12
        assert psycopg.pq.__impl__ in {"binary", "c", "python"}
