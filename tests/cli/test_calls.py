"""`litespan calls`, `tail` and `show`: listed calls, filters, ids, and no control characters."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan

from litespan.cli import main
from litespan.cli.calls import COLUMNS
from litespan.stores import reading
from litespan.stores.following import Follower
from litespan_exporters.sqlite import SQLiteExporter
from tests.cases import CASES, CHAT, STARTED, content, cost, now, span, text, usage
from tests.support.hostile import ESCAPE

HOSTILE = span(
    300,
    f"chat {ESCAPE}",
    {
        **CHAT,
        "gen_ai.request.model": f"model{ESCAPE}",
        "user.id": f"eve{ESCAPE}",
        "litellm.tags": (ESCAPE,),
        "litellm.metadata.x": ESCAPE,
        "litellm.outcome": "failure",
        "error.type": f"Bad{ESCAPE}",
        "litellm.call_id": f"call{ESCAPE}",
        **content(
            [text("user", f"one\r\n{ESCAPE}")],
            [{"role": ESCAPE, "parts": [{"type": ESCAPE}, {"type": "tool_call", "name": ESCAPE}]}],
        ),
    },
)


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """The canonical calls in a SQLite file."""
    return stored(tmp_path / "calls.db", *CASES.values())


def stored(path: Path, *spans: ReadableSpan) -> Path:
    """A SQLite file with these calls."""
    exporter = SQLiteExporter(path)
    exporter.export(spans)
    exporter.shutdown()
    return path


def listed(capsys: pytest.CaptureFixture[str], *arguments: object) -> list[dict[str, Any]]:
    """What `litespan calls --json` lists."""
    assert main(["calls", "--json", *map(str, arguments)]) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def shown(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """What `litespan show` prints."""
    assert main(["show", *map(str, arguments)]) == 0
    return capsys.readouterr().out


class TestCalls:
    """Which calls are listed, and how."""

    def test_a_line_has_id_outcome_model_user_tokens_cost_and_times(
        self, database: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """One line per call below a heading; the id is the beginning of the key."""
        assert main(["calls", str(database), "--outcome", "abandoned"]) == 0
        head, line = capsys.readouterr().out.splitlines()
        (call,) = listed(capsys, database, "--outcome", "abandoned")
        assert line.split() == [
            *("11-20", "09:13:07", call["key"][:8], "abandoned", "gpt-4o-mini", "user-42"),
            *("20", "2", "$0.000004", "1.25", "0.31"),
        ]
        assert head.split() == [
            *("time", "(UTC)", "id", "outcome", "model", "user", "in", "out", "cost", "s", "first")
        ]

    @pytest.mark.parametrize(
        ("arguments", "found"),
        [
            (["--user", "half ?"], 1),
            (["--user", "nobody"], 0),
            (["--model", "o4-mini"], 1),
            (["--model", "o4-mini-2025-04-16"], 1),
            (["--team", "payments", "--tag", "beta", "--outcome", "abandoned"], 1),
            (["--team", "team-1", "--outcome", "abandoned"], 1),
            (["--key", "prod-key", "--end-user", "customer-9", "--model", "o4-mini"], 1),
            (["--provider", "openai", "--session", "nothing"], 0),
            (["--error", "AuthenticationError"], 1),
            (["--failed"], 3),
            (["--min-cost", "0.001"], 2),
            (["--min-seconds", "1.3"], 0),
            (["--since", "2026-11-21"], 0),
            (["--until", "2026-11-20"], 0),
            (["-n", "2"], 2),
        ],
    )
    def test_filters_select_the_calls_that_match_all(
        self,
        arguments: list[str],
        found: int,
        database: Path,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        """Single filters and combinations; `-n` limits the number."""
        assert len(listed(capsys, database, *arguments)) == found

    def test_the_last_calls_are_listed_oldest_first(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """As in a log file, the newest call is the last line."""
        spans = [span(i, "chat", {**CHAT, "user.id": f"u{i}"}) for i in range(1, 6)]
        for minutes, each in enumerate(spans):
            assert each.start_time is not None
            each._start_time = each.start_time - minutes * 60 * 10**9
        path = stored(tmp_path / "calls.db", *spans)
        assert [call["user_id"] for call in listed(capsys, path, "-n", 3)] == ["u3", "u2", "u1"]

    def test_no_matching_call_is_not_an_error(
        self, database: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """One line says that no call was found."""
        assert main(["calls", str(database), "--user", "nobody"]) == 0
        assert capsys.readouterr().out == "No matching calls.\n"

    @pytest.mark.parametrize(
        "arguments",
        [
            ["--min-cost", "x"],
            ["--min-cost", "nan"],
            ["--min-seconds", "-1"],
            ["-n", "0"],
            ["--until", "soon"],
            ["no.db"],
        ],
    )
    def test_bad_input_is_one_line(
        self, arguments: list[str], capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Status 2, and one line with the mistake."""
        assert main(["calls", *arguments]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith("litespan calls: ")


class TestShow:
    """One call as text."""

    def test_show_has_trace_timeline_tokens_cost_and_messages(
        self, database: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Including a tool call with its result."""
        output = shown(capsys, "00000000-0000-4000-8000-000000000002", database)
        lines = [" ".join(line.split()) for line in output.splitlines()]
        assert lines[0] == "chat gpt-4o-mini ok 1.25 s $0.000042"
        for line in (
            "+0.002 s pre_api_call litellm.attempt=1",
            "input 120 $0.0000180000",
            "total $0.0000420000",
            "Weather in Paris and Rome?",
            "calls get_weather call_2",
            '"city": "Rome"',
            "result of call_1",
            "14 °C, rain",
            "tags checkout, beta",
        ):
            assert line in lines
        assert sum("[====" in line for line in lines) == len(CASES) - 1  # one took 3 ms
        assert sum(line.startswith("> [") for line in lines) == 1

    def test_a_failure_has_its_error(
        self, database: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """The type, the provider's status and the message."""
        (call,) = listed(capsys, database, "--error", "AuthenticationError")
        output = shown(capsys, call["key"][:8], database)
        assert "Error: AuthenticationError (HTTP 401)" in output
        assert "Incorrect API key provided" in output

    def test_long_text_is_shortened_without_full(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """`--full` prints all of it."""
        long = span(1, "chat", {**CHAT, **content([text("user", "x" * 3000)])})
        path = stored(tmp_path / "calls.db", long)
        key = listed(capsys, path)[0]["key"]
        assert "... 1,000 more characters: --full shows them" in shown(capsys, key, path)
        assert "x" * 3000 in shown(capsys, key, path, "--full")

    def test_attempts_below_a_call_are_indented(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """A call whose parent is a recorded call is listed below it."""
        parent, child = span(1, "chat", CHAT), span(2, "chat", CHAT)
        child._parent = parent.context
        path = stored(tmp_path / "calls.db", parent, child)
        output = shown(capsys, "00000000-0000-4000-8000-000000000001", path).splitlines()
        first, second = (line for line in output if "[===" in line)
        assert second.index("chat") == first.index("chat") + 2


class TestIds:
    """The first characters of an id are enough in every command that takes an id."""

    @pytest.mark.parametrize("identifier", ["key", "call_id", "trace_id"])
    def test_the_first_characters_of_an_id_are_enough(
        self, identifier: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """`show`, `report --call` and `replay --call` find the call by the first characters."""
        path = stored(tmp_path / "calls.db", CASES["chat"])
        (call,) = listed(capsys, path)
        begins = call[identifier][:6]
        assert "Say hello." in shown(capsys, begins, path)
        assert main(["report", str(path), "--call", begins]) == 0
        assert json.loads(capsys.readouterr().out)["key"] == call["key"]

    @pytest.mark.parametrize("command", [["show"], ["report", "--call"]])
    @pytest.mark.parametrize(
        ("given", "said"),
        [
            ("0000", f"{len(CASES)} ids begin with 0000: 00000000-0000-4000-8000-000000000001, "),
            ("nothing", "no call nothing in "),
        ],
    )
    def test_an_unknown_or_ambiguous_id_is_one_line(
        self,
        command: list[str],
        given: str,
        said: str,
        database: Path,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        """The line lists the first ids that match."""
        assert main([*command, given, str(database)]) == 1
        (line,) = capsys.readouterr().err.splitlines()
        assert said in line

    def test_replay_sends_one_call(
        self, database: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any
    ) -> None:
        """`replay --call` with the beginning of a key."""
        (call,) = listed(capsys, database, "--error", "AuthenticationError")
        monkeypatch.setenv("LITESPAN_JSONL", str(tmp_path / "one.jsonl"))
        arguments = ["replay", str(database), "--to", "jsonl", "--call"]
        assert main([*arguments, call["key"][:8]]) == 0
        assert capsys.readouterr().out == "jsonl: 1 sent\n"
        assert main([*arguments, "0000"]) == 2


@pytest.mark.parametrize(
    "command", [["calls"], ["calls", "--json"], ["show", "{key}"], ["show", "--json", "{key}"]]
)
def test_nothing_of_a_call_acts_on_a_terminal(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Escape sequences in names, errors, roles and messages are shown, not executed."""
    path = stored(tmp_path / "calls.db", HOSTILE)
    key = listed(capsys, path)[0]["key"]
    assert main([word.format(key=key) for word in command] + [str(path)]) == 0
    output = capsys.readouterr().out
    assert "model" in output
    assert [line for line in output.split("\n") if not line.isprintable()] == []


def test_a_follower_reads_each_call_once_and_again_when_it_ends(tmp_path: Path) -> None:
    """A started call is read, and again with its end; no other call is read twice."""
    path = tmp_path / "calls.db"
    exporter = SQLiteExporter(path)
    exporter.export([CASES["stream"]])
    exporter.export_started([STARTED])
    exporter.force_flush()
    follower = Follower(str(path), COLUMNS)
    assert [r["outcome"] for r in follower.read()] == ["success", "started"]
    assert list(follower.read()) == []
    exporter.export([CASES["chat"]])  # the end of the started one
    assert [r["outcome"] for r in follower.read()] == ["success"]
    assert list(follower.read()) == []
    exporter.shutdown()


def test_a_clock_in_the_future_hides_no_call(tmp_path: Path) -> None:
    """A call with a start time in 2100 does not prevent later calls from being read."""
    path = tmp_path / "calls.db"
    exporter = SQLiteExporter(path)
    future = now(span(1, "chat", CHAT))
    future._start_time = 4_102_444_800 * 10**9
    exporter.export([future])
    follower = Follower(str(path), COLUMNS)
    assert len(list(follower.read())) == 1
    exporter.export([now(span(2, "chat", CHAT))])
    assert len(list(follower.read())) == 1
    exporter.shutdown()


@pytest.mark.slow
def test_tail_waits_for_the_file_and_lists_calls_as_they_end(tmp_path: Path) -> None:
    """The program starts after `tail`, and makes a call while it runs."""
    path = tmp_path / "calls.db"
    main_ = "import sys; from litespan.cli import main; sys.exit(main())"
    command = [sys.executable, "-u", "-c", main_, "tail", str(path), "--user", "ann"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ}
    ) as tail:
        assert tail.stdout is not None
        assert tail.stderr is not None
        assert "waiting for" in tail.stderr.readline()
        exporter = SQLiteExporter(path)
        paid = {**CHAT, "user.id": "ann", **usage(20, 10), **cost(3e-06, 6e-06)}
        exporter.export([now(span(1, "chat", paid))])
        assert tail.stdout.readline().startswith("time (UTC)")
        assert "$0.000009" in tail.stdout.readline()
        time.sleep(0.1)
        exporter.export([now(span(2, "chat", {**paid, "user.id": "bob"}))])
        exporter.export([now(span(3, "chat", {**paid, "litellm.outcome": "failure"}))])
        assert " failed " in tail.stdout.readline()
        exporter.shutdown()
        tail.terminate()


def test_a_store_without_find_is_read_completely(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The calls are the same, newest first."""
    path = str(stored(tmp_path / "calls.db", *CASES.values()))
    wanted = [r["key"] for r in reading.latest(path, 3)], len(reading.find(path, "5b8eff"))
    sqlite = reading.readers()["sqlite"]
    plain = type(sqlite)(sqlite.read, sqlite.variables, is_one=sqlite.is_one)
    monkeypatch.setattr(reading, "readers", lambda: {"sqlite": plain})
    found = [r["key"] for r in reading.latest(path, 3)], len(reading.find(path, "5b8eff"))
    assert (len(found[0]), found[1]) == (len(wanted[0]), wanted[1])
