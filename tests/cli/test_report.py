"""`litespan report`: exact sums, every grouping, every format, bad input."""

import csv
import io
import json
import os
import pty
import re
import sqlite3
import struct
import subprocess
import sys
import termios
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from decimal import Decimal
from fcntl import ioctl
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import Status, StatusCode

from litespan.cli import main
from litespan.cli.summary import percentile
from litespan_exporters.sqlite import APPLICATION, SQLiteExporter
from tests.cases import CHAT, STARTED, cost, span, usage
from tests.support.hostile import ESCAPE, FORMULAS

MAIN = "import sys; from litespan.cli import main; sys.exit(main())"


def call(number: int, attributes: Mapping[str, Any], ms: int = 1000) -> ReadableSpan:
    """One call."""
    given = {**CHAT, "litellm.outcome": "success", **attributes}
    return span(number, "chat", given, end_ms=ms, who=False)


def failed(number: int, kind: str, attributes: Mapping[str, Any]) -> ReadableSpan:
    """One call that failed within 100 ms."""
    made = call(number, {"error.type": kind, "litellm.outcome": "failure", **attributes}, 100)
    made._status = Status(StatusCode.ERROR, kind)
    return made


def at(day: str, made: ReadableSpan) -> ReadableSpan:
    """The same call, begun at noon UTC of another day."""
    begun = int(datetime.fromisoformat(f"{day}T12:00:00+00:00").timestamp()) * 10**9
    end = made.end_time
    assert end is not None
    assert made.start_time is not None
    made._start_time, made._end_time = begun, begun + end - made.start_time
    return made


ADA = {"user.id": "ada", "session.id": "s1"}
ALAN = {"user.id": "alan"}
PAYMENTS = {"litellm.team.id": "t1", "litellm.team.alias": "payments"}
STREAM = {"gen_ai.request.stream": True, "gen_ai.response.time_to_first_chunk": 0.25}
CALLS = [
    at(
        "2026-11-01",
        call(
            11,
            {
                **ADA,
                **PAYMENTS,
                "litellm.tags": ("beta", "web"),
                "litellm.metadata.run": 7,
                **usage(100, 10),
                **cost(0.1, 0.2),
            },
        ),
    ),
    at(
        "2026-11-01",
        call(
            12,
            {
                **ADA,
                **STREAM,
                "litellm.tags": ("beta",),
                "gen_ai.request.model": "o4-mini",
                "gen_ai.response.model": "o4-mini-2025-04-16",
                **usage(200, 20),
                **cost(1e-10, 0.0),
            },
            3000,
        ),
    ),
    at("2026-11-02", failed(13, "RateLimitError", {**ALAN, "litellm.team.id": "t2"})),
    at("2026-11-02", call(14, {**ALAN, **usage(300, 30)}, 2000)),
    at("2026-11-02", call(15, {**ALAN, "litellm.outcome": "cancelled"}, 50)),
]


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """A store with the calls above and one that never ended, of 2026-11-20."""
    path = tmp_path / "calls.db"
    exporter = SQLiteExporter(path)
    exporter.export(CALLS)
    exporter.export_started([STARTED])
    exporter.shutdown()
    return path


def figures(capsys: pytest.CaptureFixture[str], *arguments: object) -> dict[str, Any]:
    """The report as JSON."""
    assert main(["report", "--json", *map(str, arguments)]) == 0
    report: dict[str, Any] = json.loads(capsys.readouterr().out)
    return report


def counted(report: dict[str, Any]) -> dict[str | None, tuple[int, int]]:
    """Calls and failures of each group."""
    return {group["group"]: (group["calls"], group["failures"]) for group in report["groups"]}


class TestFigures:
    """What is summed up."""

    def test_the_total_has_calls_failures_tokens_percentiles_and_exact_cost(
        self, database: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Calls, failures, tokens and percentiles; the cost to the last of its ten places."""
        assert figures(capsys, database)["total"] == {
            "calls": 6,
            "failures": 2,
            "unfinished": 1,
            "input_tokens": 600,
            "output_tokens": 60,
            "cost_usd": 0.3000000001,
            "unpriced": 1,
            "latency_p50_s": 1.0,
            "latency_p95_s": 3.0,
            "first_chunk_p50_s": 0.25,
            "first_chunk_p95_s": 0.25,
        }

    @pytest.mark.parametrize(
        ("by", "expected"),
        [
            ("model", {"gpt-4o-mini": (5, 2), "o4-mini": (1, 0)}),
            ("user", {"ada": (2, 0), "alan": (3, 2), "user-42": (1, 0)}),
            ("team", {"payments": (2, 0), None: (3, 1), "t2": (1, 1)}),
            ("session", {"s1": (2, 0), None: (3, 2), "sess-7": (1, 0)}),
            ("tag", {"beta": (3, 0), "web": (1, 0), "checkout": (1, 0), None: (3, 2)}),
            ("day", {"2026-11-01": (2, 0), "2026-11-02": (3, 2), "2026-11-20": (1, 0)}),
            (
                "error",
                {
                    None: (3, 0),
                    "RateLimitError": (1, 1),
                    "(cancelled)": (1, 1),
                    "(started)": (1, 0),
                },
            ),
            ("metadata.run", {"7": (1, 0), None: (5, 2)}),
            ("metadata.none", {None: (6, 2)}),
        ],
    )
    def test_each_call_counts_under_each_group_and_once_in_total(
        self, by: str, expected: Any, database: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Each call is counted under each of its groups, and once in the total."""
        report = figures(capsys, database, "--by", by)
        assert (report["by"], counted(report), report["total"]["calls"]) == (by, expected, 6)

    def test_groups_are_ordered_by_cost_and_days_by_date(
        self, database: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """The most expensive first, then by number of calls; days by date."""
        users = [group["group"] for group in figures(capsys, database, "--by", "user")["groups"]]
        days = [group["group"] for group in figures(capsys, database, "--by", "day")["groups"]]
        assert (users, days) == (
            ["ada", "alan", "user-42"],
            ["2026-11-01", "2026-11-02", "2026-11-20"],
        )

    def test_unknown_cost_is_not_zero(
        self, database: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """A group without any known cost has no cost."""
        by_user = {g["group"]: g for g in figures(capsys, database, "--by", "user")["groups"]}
        assert (by_user["alan"]["cost_usd"], by_user["alan"]["unpriced"]) == (None, 1)

    @pytest.mark.parametrize(
        ("since", "calls"),
        [
            ("2026-11-02", 4),
            ("2026-11-02T12:00", 4),
            ("2026-11-02T12:00:01", 1),
            ("2026-11-02T13:00+01:00", 4),
            ("2026-11-02T12:00:00Z", 4),
            ("999999w", None),
            ("2026-11-20T09:13:07", 1),
        ],
    )
    def test_since_includes_only_later_calls(
        self, since: str, calls: int | None, database: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Calls from that time on; a time without an offset is UTC."""
        if calls is None:
            assert main(["report", str(database), "--since", since]) == 2
        else:
            assert figures(capsys, database, "--since", since)["total"]["calls"] == calls

    def test_since_accepts_an_age(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """`24h` and similar values count back from now."""
        exporter = SQLiteExporter(tmp_path / "now.db")
        now = datetime.now(timezone.utc)
        for number, hours in enumerate((1, 23, 25)):
            made = call(200 + number, {})
            made._start_time = int((now.timestamp() - 3600 * hours) * 1e9)
            made._end_time = made._start_time + 10**9
            exporter.export([made])
        exporter.shutdown()
        seen = [
            figures(capsys, tmp_path / "now.db", "--since", ago)["total"]["calls"]
            for ago in ("90m", "24h", "2d", "1w")
        ]
        assert seen == [1, 2, 3, 3]

    @pytest.mark.parametrize(
        ("values", "share", "expected"),
        [
            ([], 0.5, None),
            ([3.0], 0.95, 3.0),
            ([1.0, 2.0], 0.5, 1.0),
            ([4.0, 1.0, 3.0, 2.0], 0.5, 2.0),
            ([float(i) for i in range(1, 101)], 0.95, 95.0),
            ([float(i) for i in range(1, 22)], 0.95, 20.0),
        ],
    )
    def test_a_percentile_is_a_measured_value(
        self, values: list[float], share: float, expected: float | None
    ) -> None:
        """A percentile is one of the measured values, by nearest rank."""
        assert percentile(values, share) == expected


class TestForms:
    """JSON, CSV, tables."""

    def test_csv_has_a_line_per_group_and_exact_costs(
        self, database: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Unknown values are empty."""
        assert main(["report", str(database), "--by", "user", "--csv"]) == 0
        ada, alan, _ = csv.DictReader(io.StringIO(capsys.readouterr().out))
        assert (ada["user"], Decimal(ada["cost_usd"]), ada["latency_p95_s"]) == (
            "ada",
            Decimal("0.3000000001"),
            "3.0",
        )
        assert (alan["cost_usd"], alan["failures"]) == ("", "2")

    def test_csv_has_no_formulas(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """A user name cannot be a formula, whatever precedes its sign."""
        exporter = SQLiteExporter(tmp_path / "x.db")
        exporter.export([call(at, {"user.id": name}) for at, name in enumerate(FORMULAS, 1)])
        exporter.shutdown()
        main(["report", str(tmp_path / "x.db"), "--by", "user", "--csv"])
        _, *rows = csv.reader(io.StringIO(capsys.readouterr().out))
        assert len(rows) == len(FORMULAS)
        assert [name for name, *_ in rows if not name.startswith("'")] == []

    def test_the_table_has_a_line_per_group_and_a_total(
        self, database: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """It also states how many costs are unknown."""
        assert main(["report", str(database), "--by", "user"]) == 0
        title, *lines = capsys.readouterr().out.splitlines()
        assert title == (
            f"{database}: 6 calls, 2026-11-01 12:00 to 2026-11-20 09:13 UTC; times in seconds"
        )
        cells = [line.split() for line in lines]
        assert ["ada", "2", "-", "300", "30", "$0.300000", "1.00", "3.00", "0.25", "0.25"] in cells
        assert ["alan", "3", "2", "300", "30", "-", "0.10", "2.00", "-", "-"] in cells
        assert [
            "total",
            "6",
            "2",
            "600",
            "60",
            "$0.300000",
            "1.00",
            "3.00",
            "0.25",
            "0.25",
        ] in cells
        assert lines[-2:] == [
            "The cost of 1 call is unknown and not included in the sums.",
            "1 call did not finish: still running, or killed.",
        ]

    def test_names_cannot_write_to_the_screen(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Escape sequences and markup in a name are shown, not executed."""
        exporter = SQLiteExporter(tmp_path / "x.db")
        exporter.export([call(1, {"user.id": "\x1b[2Jeve\n[red]x[/red]"})])
        exporter.shutdown()
        main(["report", str(tmp_path / "x.db"), "--by", "user"])
        output = capsys.readouterr().out
        assert ("\x1b" in output, "\ufffd[2Jeve\ufffd[red]x[/red]" in output) == (False, True)

    @pytest.mark.parametrize("form", [[], ["--json"], ["--csv"], ["--call", "call-1"]])
    def test_no_format_prints_control_characters(
        self, form: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Escape, delete, C1 controls and changes of direction; JSON has them escaped."""
        exporter = SQLiteExporter(tmp_path / "x.db")
        exporter.export([call(1, {"user.id": f"eve{ESCAPE}", "litellm.call_id": "call-1"})])
        exporter.shutdown()
        assert main(["report", str(tmp_path / "x.db"), "--by", "user", *form]) == 0
        output = capsys.readouterr().out
        assert "eve" in output
        assert [line for line in output.split("\n") if not line.isprintable()] == []
        if "--call" in form:
            assert json.loads(output)["user_id"] == f"eve{ESCAPE}"

    @pytest.mark.slow
    def test_without_rich_the_table_is_plain_text(self, database: Path) -> None:
        """Without rich, the same figures are plain text."""
        without = "import sys; sys.modules['rich'] = None; " + MAIN
        command = [sys.executable, "-c", without, "report", str(database), "--by", "user"]
        output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        assert [
            line.split() for line in output.splitlines() if line.startswith(("ada", "total"))
        ] == [
            ["ada", "2", "-", "300", "30", "$0.300000", "1.00", "3.00", "0.25", "0.25"],
            ["total", "6", "2", "600", "60", "$0.300000", "1.00", "3.00", "0.25", "0.25"],
        ]

    @pytest.mark.slow
    @pytest.mark.parametrize("columns", [80, 120])
    def test_the_table_fits_a_terminal_of_80_columns(self, columns: int, tmp_path: Path) -> None:
        """At 80 and 120 columns no line is too long, and no figure is cut."""
        exporter = SQLiteExporter(tmp_path / "x.db")
        model = {"gen_ai.request.model": "us.anthropic.claude-opus-4-20250514-v1:0"}
        dear = {**usage(123_456_789, 98_765_432), **cost(12345.678, 0.001)}
        slow = {"gen_ai.response.time_to_first_chunk": 12.345}
        exporter.export([call(1, {**model, **dear, **slow}, 123_456), failed(2, "E", model)])
        exporter.shutdown()
        output = in_terminal(columns, ["report", str(tmp_path / "x.db")])
        lines = re.sub(r"\x1b\[[0-9;]*m", "", output).splitlines()[1:]
        assert max(map(len, lines)) <= columns
        figures = ["2", "1", "123M", "98.8M", "$12,345.68", "0.10", "123", "12.3", "12.3"]
        assert [line.split()[-9:] for line in lines if line.startswith("total")] == [figures]
        assert "\x1b[" in output  # a terminal gets colours

    def test_no_calls_is_not_an_error(
        self, database: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """A period without calls is not an error."""
        assert main(["report", str(database), "--since", "2027-01-01"]) == 0
        assert capsys.readouterr().out == f"No calls in {database} (in the requested time).\n"


def in_terminal(columns: int, arguments: Sequence[str]) -> str:
    """What the command writes to a real terminal of that width."""
    parent, child = pty.openpty()
    ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    environment = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "NO_COLOR")}
    process = subprocess.Popen(
        [sys.executable, "-c", MAIN, *arguments],
        stdin=child,
        stdout=child,
        env={**environment, "TERM": "xterm"},
    )
    os.close(child)
    with os.fdopen(parent, "rb", buffering=0) as terminal:
        output = b"".join(iter(lambda: _read(terminal), b""))
    assert process.wait(60) == 0
    return output.decode()


def _read(terminal: io.FileIO) -> bytes:
    try:
        return terminal.read(65536) or b""
    except OSError:  # how Linux says that the other end is closed
        return b""


class TestBadInput:
    """One clear line on stderr, status 2."""

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (["--by", "x"], "cannot group by 'x'; choose model, user, team"),
            (
                ["--by", "metadata."],
                "session, tag, day, error, provider, key, end-user or metadata",
            ),
            (["--since", "soon"], "cannot read 'soon' as a time; write 24h, 7d, 2026-11-01"),
            (["--json", "--csv"], "not allowed with"),
            (["a", "b"], "unrecognized arguments"),
            (["missing.db"], "there is no file missing.db; record calls with"),
            (["."], "there is no Parquet file in ."),
            (["text.txt"], "text.txt was not written by litespan"),
            (["theirs.db"], "theirs.db is a database that litespan did not write"),
        ],
    )
    def test_bad_input_is_one_line_with_its_fix(
        self,
        arguments: list[str],
        said: str,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        """The line has the mistake and the fix."""
        monkeypatch.chdir(tmp_path)
        (tmp_path / "text.txt").write_text("dear diary, " * 100)
        theirs = sqlite3.connect(tmp_path / "theirs.db")
        theirs.execute("create table songs (name)")
        theirs.close()
        assert main(["report", *arguments]) == 2
        captured = capsys.readouterr()
        (line,) = captured.err.splitlines()
        assert (captured.out, line.startswith("litespan report: "), said in line) == (
            "",
            True,
            True,
        )

    @pytest.mark.parametrize("arguments", [[], ["reprot"], ["--wrong"]])
    def test_an_unknown_command_is_one_line(
        self, arguments: list[str], capsys: pytest.CaptureFixture[str]
    ) -> None:
        """An unknown command is one line too."""
        assert main(arguments) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith("litespan: ")


class TestFiles:
    """Which file is read, and how."""

    def test_the_file_is_the_variables_or_the_default(
        self, database: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Without FILE it is LITESPAN_SQLITE, else ./litespan.db."""
        monkeypatch.setenv("LITESPAN_SQLITE", str(database))
        assert figures(capsys)["file"] == str(database)
        monkeypatch.delenv("LITESPAN_SQLITE")
        database.rename(database.with_name("litespan.db"))
        monkeypatch.chdir(database.parent)
        assert figures(capsys)["file"] == "litespan.db"

    def test_a_file_without_newer_columns_is_read(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Missing columns are empty."""
        path = tmp_path / "old.db"
        old = sqlite3.connect(path)
        old.executescript(
            "create table llm_calls (key text primary key, model text, start_time text, "
            "outcome text, cost_usd_e10 integer);"
            "insert into llm_calls values ('3b12f1df-5232-5804-897e-917bf397618a', 'm', "
            "'2026-11-01T00:00:00.000000Z', 'success', 1);"
            f"pragma application_id = {APPLICATION}"
        )
        old.close()
        assert figures(capsys, path)["total"]["cost_usd"] == 1e-10
        assert counted(figures(capsys, path, "--by", "user")) == {None: (1, 0)}

    def test_a_report_neither_waits_for_a_writer_nor_blocks_it(
        self, database: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """A report does not wait for a writer, and does not delay one."""
        writer = sqlite3.connect(database, isolation_level=None)
        writer.execute("begin immediate")
        writer.execute("delete from llm_calls")
        assert figures(capsys, database)["total"]["calls"] == 6
        writer.execute("rollback")
        writer.close()

    def test_a_report_writes_nothing(
        self, database: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """A report leaves the file and its folder unchanged."""
        before = {path: path.read_bytes() for path in database.parent.iterdir()}
        figures(capsys, database)
        assert {path: path.read_bytes() for path in database.parent.iterdir()} == before

    @pytest.mark.slow
    def test_a_file_in_a_read_only_folder_is_read(self, database: Path) -> None:
        """A report needs no permission to write to the folder."""
        for folder in (database.parent, *database.parents[1:3]):
            folder.chmod(0o555 if folder == database.parent else folder.stat().st_mode | 0o055)
        database.chmod(0o644)  # it was made for its owner alone
        # Root may write anywhere: the process gives that up, after everything is imported.
        nobody = (
            "import os, sys; from litespan.cli import main, report\n"
            "from litespan.stores.reading import readers; readers()\n"
            "if os.geteuid() == 0: os.setegid(65534); os.seteuid(65534)\n"
            "sys.exit(main())"
        )
        command = [sys.executable, "-c", nobody, "report", "--json", str(database)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        database.parent.chmod(0o755)
        assert (done.stderr, json.loads(done.stdout)["total"]["calls"]) == ("", 6)

    @pytest.mark.slow
    def test_a_closed_pipe_ends_without_a_traceback(self, database: Path) -> None:
        """`litespan report | head` ends without a traceback."""
        with subprocess.Popen(
            [sys.executable, "-c", MAIN, "report", str(database), "--by", "user"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            process.stdout.close()
            assert (process.stderr.read(), process.wait(60)) == (b"", 0)

    @pytest.mark.slow
    def test_a_name_that_the_output_cannot_encode_is_escaped(self, tmp_path: Path) -> None:
        """As in a terminal or a pipe whose encoding is not UTF-8."""
        path = tmp_path / "calls.db"
        exporter = SQLiteExporter(path)
        exporter.export([call(1, {"user.id": "zoë"})])
        exporter.shutdown()
        done = subprocess.run(
            [sys.executable, "-c", MAIN, "report", "--by", "user", "--csv", str(path)],
            env={**os.environ, "PYTHONIOENCODING": "ascii"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert "zo\\xeb,1," in done.stdout


def test_version_prints_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    """`litespan --version` says which."""
    assert main(["--version"]) == 0
    assert re.fullmatch(r"litespan \d+\.\d+\.\d+\S*\n", capsys.readouterr().out)
