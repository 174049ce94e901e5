"""The SQLite store: real files, real processes, real faults."""

import json
import logging
import signal
import sqlite3
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from datetime import datetime, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace.export import SpanExportResult

from litespan import errors
from litespan.counters import stats
from litespan.stores.columns import COLUMNS
from litespan.stores.rows import rows
from litespan_exporters import sqlite as store
from litespan_exporters.sqlite import SQLiteExporter
from tests.cases import CASES, OTHERS, STARTED, cost, foreign, span
from tests.stores.disks import small_disk

OK, FAILED = SpanExportResult.SUCCESS, SpanExportResult.FAILURE
ROOT = Path(__file__).parents[2]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the store goes."""
    return tmp_path / "calls.db"


@pytest.fixture
def exporter(path: Path) -> Iterator[SQLiteExporter]:
    """A store on `path`."""
    made = SQLiteExporter(path)
    yield made
    made.shutdown()


@pytest.fixture(autouse=True)
def forget_complaints() -> None:
    """Each test sees every log line again."""
    errors._seen.clear()


def query(path: Path, sql: str) -> list[Any]:
    """What the file says, by a connection that is not ours."""
    connection = sqlite3.connect(path)
    try:
        return connection.execute(sql).fetchall()
    finally:
        connection.close()


def program(body: str, *arguments: object, **popen: Any) -> "subprocess.Popen[str]":
    """A Python process that runs `body` with the canonical spans at hand."""
    head = (
        "import sys, os, time\n"
        "from litespan_exporters.sqlite import SQLiteExporter\n"
        "from tests.cases import CASES, span, CHAT, cost\n"
    )
    return subprocess.Popen(
        [sys.executable, "-c", head + textwrap.dedent(body), *map(str, arguments)],
        cwd=ROOT,
        text=True,
        **popen,
    )


class TestRows:
    """What is in a row."""

    def test_every_case_is_a_row(self, exporter: SQLiteExporter, path: Path) -> None:
        """Spans that are not model calls have no row."""
        assert exporter.export([*CASES.values(), *OTHERS.values()]) is OK
        assert query(path, "select count(*), count(distinct key) from llm_calls") == [
            (len(CASES), len(CASES))
        ]

    def test_columns_hold_the_span_attributes(self, exporter: SQLiteExporter, path: Path) -> None:
        """The values are those of the span."""
        exporter.export([CASES["reasoning_cached"]])
        connection = sqlite3.connect(path)
        connection.row_factory = sqlite3.Row
        row = dict(connection.execute("select * from calls").fetchone())
        connection.close()
        expected = {
            "trace_id": "5b8efff798038103d269b633813fc60c",
            "span_id": "eee19b7ec3c10005",
            "call_id": "00000000-0000-4000-8000-000000000005",
            "start_time": "2026-11-20T09:13:07.000000Z",
            "end_time": "2026-11-20T09:13:08.250000Z",
            "duration_s": 1.25,
            "outcome": "success",
            "model": "o4-mini-2025-04-16",
            "provider": "openai",
            "operation": "chat",
            "user_id": "user-42",
            "session_id": "sess-7",
            "team_id": "team-1",
            "tags": '["checkout","beta"]',
            "metadata": '{"feature":"refund","experiment":3}',
            "input_tokens": 2048,
            "output_tokens": 700,
            "cache_read_tokens": 1536,
            "cache_creation_tokens": 256,
            "reasoning_tokens": 640,
            "cost_usd": 0.0040656,
            "stream": 0,
            "error_type": None,
        }
        assert {name: row[name] for name in expected} == expected
        assert json.loads(row["output_messages"])[0]["parts"][0]["type"] == "reasoning"
        assert json.loads(row["attributes"])["gen_ai.request.reasoning.level"] == "low"

    def test_a_failure_has_its_reason_and_no_cost(
        self, exporter: SQLiteExporter, path: Path
    ) -> None:
        """The cost is unknown."""
        exporter.export([CASES["failure"]])
        sql = "select outcome, error_type, http_status, cost_usd, input_tokens from calls"
        assert query(path, sql) == [("failure", "AuthenticationError", 401, None, None)]

    def test_sums_of_cost_have_no_rounding_errors(
        self, exporter: SQLiteExporter, path: Path
    ) -> None:
        """A thousand costs that no binary fraction can represent."""
        amounts = [0.1 + i * 1e-7 for i in range(1000)]
        exporter.export(
            [span(1000 + i, "chat", {**CHAT, **cost(usd, 0.0)}) for i, usd in enumerate(amounts)]
        )
        expected = sum(Decimal(repr(round(usd, 12))) for usd in amounts)
        ((total,),) = query(path, "select sum(cost_usd_e10) from llm_calls")
        assert Decimal(total) / 10**10 == expected

    def test_with_content_off_no_column_holds_content(self, path: Path) -> None:
        """And no attribute."""
        exporter = SQLiteExporter(path, content=False)
        exporter.export([*CASES.values(), *foreign("openllmetry-openai-2025")])
        exporter.shutdown()
        data = b"".join(file.read_bytes() for file in path.parent.iterdir())
        said = [b"Say hello", b"Weather", b"lorem", b"Be brief", b"cat.png", b"get_weather"]
        assert [words for words in said if words in data] == []

    def test_calls_of_other_instrumentations_are_rows(
        self, exporter: SQLiteExporter, path: Path
    ) -> None:
        """Their agents and workflows are not."""
        exporter.export([*foreign("traceloop-sdk"), *foreign("openinference-litellm")])
        sql = "select user_id, sum(input_tokens), count(*) from calls group by 1"
        assert query(path, sql) == [("user-42", 240, 14)]

    def test_lone_surrogates_become_question_marks(
        self, exporter: SQLiteExporter, path: Path
    ) -> None:
        """The row is kept."""
        exporter.export([CASES["surrogate"], CASES["chat"]])
        assert query(path, "select user_id from calls order by span_id") == [
            ("user-42",),
            ("half ?",),
        ]

    def test_unicode_round_trips_and_nul_is_replaced(
        self, exporter: SQLiteExporter, path: Path
    ) -> None:
        """Other scripts and quotes are unchanged; NUL becomes U+FFFD as in every store."""
        exporter.export([CASES["unicode"]])
        ((user, messages),) = query(path, "select user_id, input_messages from calls")
        written = str((CASES["unicode"].attributes or {})["gen_ai.input.messages"])
        wanted = json.loads(written.replace("\\u0000", "\ufffd"))
        assert (user, json.loads(messages)) == ("Zoë-用户-🦊", wanted)

    def test_a_span_with_an_impossible_time_does_not_affect_other_rows(
        self, exporter: SQLiteExporter, path: Path
    ) -> None:
        """No calendar has its time."""
        odd = span(70, "chat", CHAT)
        odd._start_time = 10**30
        assert exporter.export([CASES["chat"], odd, CASES["stream"]]) is OK
        assert query(path, "select count(*) from calls") == [(2,)]


class TestUpsert:
    """One row a call, whatever is written twice."""

    def test_the_finished_span_completes_the_started_row(
        self, exporter: SQLiteExporter, path: Path
    ) -> None:
        """The started row is completed by the finished span."""
        exporter.export_started([STARTED])
        assert exporter.force_flush()
        sql = "select outcome, end_time is null, user_id, output_tokens from calls"
        assert query(path, sql) == [("started", 1, "user-42", None)]
        exporter.export([CASES["chat"]])
        assert query(path, sql) == [("success", 0, "user-42", 10)]

    def test_a_late_start_does_not_undo_the_end(self, exporter: SQLiteExporter, path: Path) -> None:
        """A start that arrives late does not undo the end."""
        exporter.export([CASES["chat"]])
        exporter.export_started([STARTED])
        assert exporter.force_flush()
        assert query(path, "select outcome from calls") == [("success",)]

    def test_the_same_span_twice_is_one_row(self, exporter: SQLiteExporter, path: Path) -> None:
        """The same span, in one batch and in the next, is one row."""
        exporter.export([CASES["chat"], CASES["chat"]])
        exporter.export([CASES["chat"]])
        assert query(path, "select count(*) from calls") == [(1,)]

    def test_attempts_share_a_call_id(self, exporter: SQLiteExporter, path: Path) -> None:
        """Two attempts of one call are two rows."""
        exporter.export([span(n, "chat", {**CHAT, "litellm.call_id": "c"}) for n in (81, 82)])
        assert query(path, "select call_id, count(*) from calls") == [("c", 2)]


class TestConfiguration:
    """Where the file is."""

    def test_the_variable_sets_the_file(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """LITESPAN_SQLITE names the file of an exporter that the SDK makes."""
        monkeypatch.setenv("LITESPAN_SQLITE", str(path))
        assert SQLiteExporter().path == path

    def test_the_argument_takes_precedence_over_the_variable(
        self, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """For the path of the file."""
        monkeypatch.setenv("LITESPAN_SQLITE", "/other.db")
        assert SQLiteExporter(str(path)).path == path

    @pytest.mark.parametrize("value", [None, ""])
    def test_the_default_is_litespan_db_in_the_start_folder(
        self, value: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The folder in which the program was started."""
        monkeypatch.delenv("LITESPAN_SQLITE", raising=False)
        if value is not None:
            monkeypatch.setenv("LITESPAN_SQLITE", value)
        monkeypatch.chdir(tmp_path)
        made = SQLiteExporter()
        monkeypatch.chdir("/")
        assert made.path == tmp_path / "litespan.db"

    def test_a_tilde_is_the_home_folder(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        """`~` is the home folder."""
        monkeypatch.setenv("HOME", str(tmp_path))
        assert SQLiteExporter("~/calls.db").path == tmp_path / "calls.db"

    def test_no_file_is_created_before_the_first_call(self, path: Path) -> None:
        """Creating the exporter does not open it."""
        SQLiteExporter(path)
        assert not path.exists()


def complaint(caplog: pytest.LogCaptureFixture) -> str:
    """The one line that was logged."""
    (record,) = caplog.records
    assert (record.name, record.levelno) == ("litespan", logging.WARNING)
    return record.getMessage()


class TestFaults:
    """What cannot be written: one clear line and FAILURE; the rows are kept, nothing is raised."""

    @pytest.mark.parametrize(
        ("name", "fix"),
        [
            ("missing/calls.db", "its folder must exist and be writable"),
            (".", "its folder must exist and be writable"),
            ("text.txt", "this is not a SQLite file; use another one"),
            ("theirs.db", "it is another application's database"),
            ("newer.db", "a newer litespan wrote it (schema 99, this one knows 1)"),
        ],
    )
    def test_an_unusable_file_is_logged_once_with_its_fix(
        self, name: str, fix: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        """The line has the file; one more line reports the lost rows at exit."""
        (tmp_path / "text.txt").write_text("dear diary, " * 100)
        for file, sql in (
            ("theirs.db", "create table songs (name)"),
            ("newer.db", f"pragma user_version=99; pragma application_id={store.APPLICATION}"),
        ):
            connection = sqlite3.connect(tmp_path / file)
            connection.executescript(sql)
            connection.close()
        before = {file: file.read_bytes() for file in tmp_path.iterdir()}
        exporter = SQLiteExporter(tmp_path / name, backoff=0.05, hung_patience=0.2)
        lost = stats().get("export.sqlite.dropped", 0)
        assert [exporter.export([CASES[name]]) for name in ("chat", "stream")] == [FAILED] * 2
        said = complaint(caplog)
        assert [words in said for words in (str(exporter.path), fix, "LITESPAN_SQLITE")] == (
            [True] * 3
        )
        assert exporter.problem in said
        exporter.shutdown()
        assert {file: file.read_bytes() for file in tmp_path.iterdir()} == before
        assert stats()["export.sqlite.dropped"] - lost == 2
        assert caplog.records[-1].getMessage() == (
            "sqlite: 2 row(s) dropped: the process ended before they were written: "
            f"{exporter.problem} (logged once)"
        )

    def test_a_locked_database_loses_no_call(
        self, path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Another program's long transaction delays the rows; afterwards all are written."""
        exporter = SQLiteExporter(path, patience=0.1, backoff=0.05, max_backoff=0.1)
        exporter.export([CASES["stream"]])
        assert exporter.force_flush()
        before = stats()
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("begin exclusive")
        results = [exporter.export([span(n, "chat", CHAT)]) for n in range(1000, 1050)]
        while stats().get("export.sqlite.retried", 0) == before.get("export.sqlite.retried", 0):
            time.sleep(0.01)
        other.execute("rollback")
        other.close()
        assert exporter.force_flush()
        assert (set(results), exporter.export([CASES["chat"]])) == ({FAILED}, OK)
        exporter.shutdown()
        assert "end that transaction" in complaint(caplog)
        assert query(path, "select count(*) from calls") == [(52,)]
        assert stats().get("export.sqlite.dropped", 0) == before.get("export.sqlite.dropped", 0)
        assert stats()["export.sqlite.sent"] - before["export.sqlite.sent"] == 51

    def test_a_full_disk_loses_no_call(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Rows are written when there is space, and earlier rows are intact."""
        with small_disk(tmp_path / "disk", 400_000) as disk:
            path = disk.folder / "calls.db"
            exporter = SQLiteExporter(path, backoff=0.05, max_backoff=0.1)
            assert exporter.export([CASES["chat"]]) is OK
            assert exporter.export([CASES["stream"], CASES["huge"]]) is FAILED
            assert "free" in complaint(caplog)
            disk.grow()
            assert exporter.force_flush()
            assert exporter.export([CASES["embedding"]]) is OK
            exporter.shutdown()
            assert query(path, "select count(*) from calls") == [(4,)]

    @pytest.mark.slow
    @pytest.mark.parametrize("what", ["file", "folder"])
    def test_a_read_only_database_is_logged_and_stays_readable(self, what: str, path: Path) -> None:
        """A read-only database or folder is logged with its fix; its rows can be read."""
        first = SQLiteExporter(path)
        first.export([CASES["chat"]])
        first.shutdown()
        (path if what == "file" else path.parent).chmod(0o444 if what == "file" else 0o555)
        # Root may write anywhere: the child gives that up, after everything is imported.
        body = """
            import logging
            logging.basicConfig(format="%(message)s", stream=sys.stdout)
            e = SQLiteExporter(sys.argv[1])
            if os.geteuid() == 0:
                os.setegid(65534)
                os.seteuid(65534)
            print(e.export([CASES["stream"]]).name)
        """
        for folder in (path.parent, *path.parents[1:3]):
            folder.chmod(folder.stat().st_mode | 0o055)
        process = program(body, path, stdout=subprocess.PIPE)
        output, _ = process.communicate(timeout=60)
        path.parent.chmod(0o755)
        line, result = output.splitlines()
        assert (result, f"sqlite: cannot write {path}: " in line) == ("FAILURE", True)
        assert "writable" in line
        assert query(path, "select count(*) from calls") == [(1,)]

    def test_a_removed_file_is_created_again(self, exporter: SQLiteExporter, path: Path) -> None:
        """While the program runs."""
        exporter.export([CASES["chat"]])
        path.unlink()
        assert exporter.export([CASES["stream"]]) is OK
        assert query(path, "select span_id from calls") == [("eee19b7ec3c10004",)]

    def test_after_shutdown_nothing_is_written_or_raised(self, exporter: SQLiteExporter) -> None:
        """A second shutdown has no effect."""
        exporter.export([CASES["chat"]])
        exporter.shutdown()
        exporter.shutdown()
        assert (exporter.export([CASES["stream"]]), exporter.force_flush()) == (FAILED, True)


class TestSchema:
    """Files of other versions."""

    def test_an_older_file_gets_missing_columns_and_keeps_its_rows(self, path: Path) -> None:
        """Its schema version is updated."""
        old = sqlite3.connect(path)
        old.executescript(
            f"""
            create table llm_calls (key text primary key, user_id text, cost_usd_e10 integer);
            insert into llm_calls values ('k', 'ada', 123);
            create view calls as select * from llm_calls;
            pragma application_id = {store.APPLICATION};
            pragma user_version = 0;
            """
        )
        old.close()
        exporter = SQLiteExporter(path)
        assert exporter.export([CASES["chat"]]) is OK
        exporter.shutdown()
        names = [name for _, name, *_ in query(path, "pragma table_info(calls)")]
        assert sorted(names) == sorted(column.name for column in COLUMNS)
        assert query(path, "select user_id, cost_usd, model from calls order by key desc") == [
            ("ada", 1.23e-08, None),
            ("user-42", 9e-06, "gpt-4o-mini-2024-07-18"),
        ]
        assert query(path, "pragma user_version") == [(store.VERSION,)]

    def test_a_new_set_of_columns_needs_a_new_schema_version(
        self, exporter: SQLiteExporter, path: Path
    ) -> None:
        """Increase VERSION together with this list."""
        exporter.export([CASES["chat"]])
        names = [name for _, name, *_ in query(path, "pragma table_info(llm_calls)")]
        assert (store.VERSION, len(names)) == (1, 66)

    def test_the_file_is_in_wal_mode_with_litespans_application_id(
        self, exporter: SQLiteExporter, path: Path
    ) -> None:
        """The file is in WAL mode and says whose it is."""
        exporter.export([CASES["chat"]])
        assert [query(path, f"pragma {p}") for p in ("journal_mode", "application_id")] == [
            [("wal",)],
            [(store.APPLICATION,)],
        ]


WRITER = """
    e = SQLiteExporter(sys.argv[1])
    mine, n = int(sys.argv[2]), int(sys.argv[3])
    for i in range(n):
        one = span(mine * 10000 + i, "chat", {**CHAT, **cost(1e-07, 2e-07)})
        assert e.export([one]).name == "SUCCESS"
    e.shutdown()
"""
CHAT = {"gen_ai.operation.name": "chat"}


class TestManyWriters:
    """Processes and threads."""

    @pytest.mark.slow
    def test_six_processes_write_one_new_file_without_loss(self, path: Path) -> None:
        """They create the file at the same time, and write one call at a time."""
        writers = [program(WRITER, path, i, 150) for i in range(1, 7)]
        assert [writer.wait(120) for writer in writers] == [0] * 6
        assert query(path, "select count(*), sum(cost_usd_e10) from llm_calls") == [
            (900, 900 * 3000)
        ]

    def test_threads_share_the_connection(self, exporter: SQLiteExporter, path: Path) -> None:
        """Threads share the connection."""
        results = []

        def write(mine: int) -> None:
            calls = [span(mine * 100 + i, "chat", CHAT) for i in range(50)]
            results.extend([exporter.export([call]) for call in calls])

        threads = [threading.Thread(target=write, args=(i,)) for i in range(1, 9)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert (set(results), query(path, "select count(*) from calls")) == ({OK}, [(400,)])

    @pytest.mark.slow
    def test_forked_children_and_their_parent_write_at_the_same_time(self, path: Path) -> None:
        """The parent has the file open during the forks."""
        body = """
            import threading
            e = SQLiteExporter(sys.argv[1])
            e.export([CASES["chat"]])
            stop = threading.Event()
            written = []
            def busy():
                while not stop.is_set():
                    e.export([span(5000 + len(written), "chat", CHAT)])
                    written.append(1)
            thread = threading.Thread(target=busy)
            thread.start()
            children = []
            for child in range(8):
                pid = os.fork()
                if pid == 0:
                    for i in range(20):
                        ok = e.export([span(100 * child + i + 200, "chat", CHAT)]).name == "SUCCESS"
                        if not ok:
                            os._exit(1)
                    sys.exit(0)  # a whole interpreter exit, closing what it has
                children.append(pid)
            codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children]
            stop.set()
            thread.join()
            e.shutdown()
            print(codes, 1 + 160 + len(written))
        """
        process = program(body, path, stdout=subprocess.PIPE)
        output, _ = process.communicate(timeout=120)
        assert process.returncode == 0
        codes, expected = output.rsplit(maxsplit=1)
        assert codes == str([0] * 8)
        assert query(path, "select count(*) from calls") == [(int(expected),)]
        assert query(path, "pragma integrity_check") == [("ok",)]

    @pytest.mark.slow
    def test_acknowledged_rows_survive_sigkill(self, path: Path) -> None:
        """`kill -9` in the middle of writing."""
        body = """
            e = SQLiteExporter(sys.argv[1])
            for i in range(100_000):
                if e.export([span(1000 + i, "chat", CHAT)]).name == "SUCCESS":
                    print(i, flush=True)
        """
        process = program(body, path, stdout=subprocess.PIPE)
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(200)]
        process.send_signal(signal.SIGKILL)
        lines += process.stdout.readlines()
        process.wait(60)
        process.stdout.close()
        acknowledged = len([line for line in lines if line.endswith("\n")])
        ((found,),) = query(path, "select count(*) from calls")
        assert acknowledged <= found <= acknowledged + 1
        assert query(path, "pragma integrity_check") == [("ok",)]
        exporter = SQLiteExporter(path)
        assert exporter.export([CASES["chat"]]) is OK
        exporter.shutdown()


def test_rows_are_the_same_for_every_store() -> None:
    """`rows` returns plain Python values in the order of COLUMNS, exact money, times in UTC."""
    (row,) = rows([CASES["chat"], OTHERS["http"], CASES["chat"]])
    named = dict(zip([column.name for column in COLUMNS], row, strict=True))
    assert (named["cost_usd"], named["start_time"], named["tags"], named["stream"]) == (
        Decimal("0.0000090000"),
        datetime(2026, 11, 20, 9, 13, 7, tzinfo=timezone.utc),
        ["checkout", "beta"],
        False,
    )


def test_written_rows_are_counted(exporter: SQLiteExporter) -> None:
    """In `litespan.stats()`."""
    before = stats().get("export.sqlite.sent", 0)
    exporter.export(list(CASES.values()))
    assert stats()["export.sqlite.sent"] - before == len(CASES)


def test_the_sdk_finds_the_exporter_by_its_entry_point() -> None:
    """`OTEL_TRACES_EXPORTER=sqlite`."""
    from importlib.metadata import entry_points

    (found,) = entry_points(group="opentelemetry_traces_exporter", name="sqlite")
    assert found.load() is SQLiteExporter
