"""`litespan run`: its variables, its two lines, and an unchanged program."""

import argparse
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from litespan import detect
from litespan.cli import main
from litespan.cli.run import _command, _parser, prepared
from litespan.export import registry
from litespan.export.http import HttpExporter
from litespan.testing import LoopbackProvider
from tests.support import program

LITESPAN = [sys.executable, "-c", "import sys; from litespan.cli import main; sys.exit(main())"]
APP = """
import sys
import litellm

hello = [{"role": "user", "content": "Hello"}]
print(sys.argv[1:], litellm.completion("openai/gpt-4o-mini", hello, user="ann").object)
for _ in litellm.completion("openai/gpt-4o-mini", hello, stream=True):
    pass
try:
    litellm.completion("openai/gpt-4o", hello, mock_response="litellm.RateLimitError")
except litellm.RateLimitError:
    sys.exit(3)
"""


def parsed(*argv: str) -> argparse.Namespace:
    """The options of a command line."""
    return _parser().parse_args(argv)


@pytest.mark.parametrize(
    ("argv", "command"),
    [
        (["app.py", "--live", "-m", "x"], [sys.executable, "app.py", "--live", "-m", "x"]),
        (["--live", "app.py"], [sys.executable, "app.py"]),
        (["-m", "pytest", "-q", "--to", "x"], [sys.executable, "-m", "pytest", "-q", "--to", "x"]),
        (["--", "litellm", "--config", "x.yaml"], ["litellm", "--config", "x.yaml"]),
        (["-q", "uvicorn", "app:app", "--", "x"], ["uvicorn", "app:app", "--", "x"]),
        ([], []),
    ],
)
def test_the_program_gets_its_own_arguments(argv: list[str], command: list[str]) -> None:
    """Options after the program belong to it."""
    assert _command(parsed(*argv)) == command


@pytest.mark.parametrize(
    ("environ", "argv", "traces", "metrics"),
    [
        ({}, [], "sqlite", "none"),
        ({"OTEL_TRACES_EXPORTER": "none"}, [], "sqlite", "none"),
        ({"OTEL_TRACES_EXPORTER": "JSONL,sqlite"}, [], "jsonl,sqlite", "none"),
        ({"SENTRY_DSN": "https://k@h/1", "DD_API_KEY": "k"}, [], "datadog,sentry,sqlite", "none"),
        ({"SENTRY_DSN": "https://k@h/1"}, ["--to", "jsonl"], "jsonl,sqlite", "none"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "https://h:4318"}, [], "otlp,sqlite", "otlp"),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "https://h/v1"}, [], "otlp,sqlite", "none"),
        ({"DATABASE_URL": "postgres://h", "SLACK_WEBHOOK_URL": "https://h"}, [], "sqlite", "none"),
    ],
)
def test_exporters_are_those_whose_variables_are_set(
    environ: dict[str, str], argv: list[str], traces: str, metrics: str
) -> None:
    """The local file is always one; metrics and logs go nowhere without an endpoint."""
    changes, lines = prepared(environ, parsed(*argv), [sys.executable, "src/help_desk.py"])
    assert (changes["OTEL_TRACES_EXPORTER"], lines) == (traces, [])
    assert changes["OTEL_METRICS_EXPORTER"] == changes["OTEL_LOGS_EXPORTER"] == metrics
    assert changes["OTEL_SERVICE_NAME"] == "help_desk"
    assert changes["LITESPAN_SQLITE"] == str(Path.cwd() / "litespan.db")


@pytest.mark.parametrize(
    ("environ", "line"),
    [
        ({"OTEL_TRACES_EXPORTER": "langfose,jsonl"}, r"'langfose'.*did you mean langfuse\?"),
        ({"LANGFUSE_PUBLIC_KEY": "k"}, "set LANGFUSE_SECRET_KEY, too"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}, "nothing listens at .*:9: start"),
    ],
)
def test_a_wrong_exporter_name_is_one_line(environ: dict[str, str], line: str) -> None:
    """The other exporters are used."""
    changes, (said,) = prepared(environ, parsed(), ["litellm"])
    assert re.search(line, said)
    assert changes["OTEL_TRACES_EXPORTER"].endswith("sqlite")


@pytest.mark.parametrize(
    ("environ", "set_to"),
    [
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "https://h:4317"}, "grpc"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "https://h:4318"}, "http/protobuf"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "https://h/otlp"}, "http/protobuf"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "h:4317"}, "grpc"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "h:x", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, None),
    ],
)
def test_the_protocol_follows_the_port(environ: dict[str, str], set_to: str | None) -> None:
    """`opentelemetry-instrument` alone would use gRPC for all of them."""
    changes, _ = prepared(environ, parsed(), ["litellm"])
    assert changes.get("OTEL_EXPORTER_OTLP_PROTOCOL") == set_to


def test_each_endpoint_has_its_own_protocol() -> None:
    """Metrics may go to another server than traces, or alone."""
    metrics, traces = (
        {f"OTEL_EXPORTER_OTLP_{signal}_ENDPOINT": endpoint}
        for signal, endpoint in (("METRICS", "http://h:4318/v1/metrics"), ("TRACES", "h:4317"))
    )
    for environ in (metrics, {**metrics, **traces}):
        changes, _ = prepared(environ, parsed(), ["litellm"])
        assert changes["OTEL_EXPORTER_OTLP_METRICS_PROTOCOL"] == "http/protobuf"
        assert changes.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL") == (
            "grpc" if len(environ) > 1 else None
        )
        assert "OTEL_EXPORTER_OTLP_PROTOCOL" not in changes


@pytest.mark.parametrize(
    ("command", "name"),
    [
        (["app.py"], "app"),
        ([sys.executable, "src/app.py"], "app"),
        ([sys.executable, "-m", "app"], "app"),
        ([sys.executable, "-m"], Path(sys.executable).stem),
        ([sys.executable, "-c", "1"], Path(sys.executable).stem),
        ([sys.executable], Path(sys.executable).stem),
    ],
)
def test_the_service_has_the_name_of_the_program(command: list[str], name: str) -> None:
    """Also for Python alone, an interactive session."""
    assert prepared({}, parsed(), command)[0]["OTEL_SERVICE_NAME"] == name


def test_options_become_variables() -> None:
    """`--live` keeps the lists in the environment, `--content` sets the standard variable."""
    changes, _ = prepared({"LITESPAN_SUCCESS": "jsonl"}, parsed("--live", "--content"), ["x"])
    assert (changes["LITESPAN_SUCCESS"], changes["LITESPAN_FAILURE"]) == ("jsonl,live", "live")
    assert changes["OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"] == "SPAN_ONLY"


def test_run_sets_no_exporters_beside_a_configuration_file() -> None:
    """The SDK then reads no exporter variable."""
    changes, _ = prepared({"OTEL_CONFIG_FILE": "otel.yaml"}, parsed(), ["x"])
    assert "OTEL_TRACES_EXPORTER" not in changes


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        ([], "name a program"),
        (["nope.py"], "there is no file nope.py"),
        (["--", "nope-nope"], "there is no command 'nope-nope'"),
        (["--bogus", "app.py"], "see litespan run --help"),
    ],
)
def test_a_bad_command_line_is_one_line(
    argv: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The status is 2."""
    assert main(["run", *argv]) == 2
    output = capsys.readouterr().err
    assert words in output
    assert output.count("\n") == 1


@pytest.mark.parametrize("name", detect.CREDENTIALS)
def test_detected_variables_are_those_of_the_exporter(name: str) -> None:
    """The table has no variable that the exporter does not read."""
    exporter = registry.load(name)
    variables = detect.CREDENTIALS[name]
    if issubclass(exporter, HttpExporter) and exporter.variables.keys:
        assert variables == exporter.variables.keys
    else:
        assert all(variable in (exporter.__doc__ or "") for variable in variables)


def test_each_variable_of_litespans_own_is_detected() -> None:
    """Nobody sets them for another reason; the local file is always used."""
    ours = {name: str(registry.load(name).__doc__) for name in registry.names()}
    named = {name for name, about in ours.items() if re.search(r"Reads LITESPAN_", about)}
    assert len(named) > 10
    assert named - {"sqlite"} <= detect.CREDENTIALS.keys()


Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def run(tmp_path: Path, loopback: LoopbackProvider) -> Run:
    """Runs `litespan run` in a folder with `app.py`."""
    (tmp_path / "app.py").write_text(APP)

    def run_(
        *argv: str, env: dict[str, str] | None = None, python: Path = program.PYTHON
    ) -> object:
        at = {"OPENAI_API_KEY": "k", "OPENAI_BASE_URL": loopback.url}
        return subprocess.run(
            [str(python), *LITESPAN[1:], "run", *argv],
            cwd=tmp_path,
            env=program.environment({**at, **(env or {})}),
            capture_output=True,
            text=True,
            check=False,
        )

    return run_  # type: ignore[return-value]


@pytest.mark.slow
def test_a_program_runs_unchanged_with_a_line_before_and_one_after(run: Run) -> None:
    """Its output, arguments and exit status are unchanged; its calls are in the file."""
    ran = run("--live", "app.py", "--live")
    assert (ran.returncode, ran.stdout) == (3, "['--live'] chat.completion\n")
    first, *lines, last = ran.stderr.splitlines()
    assert re.fullmatch(
        r"litespan \S+ · LiteLLM \S+ · calls go to litespan.db · content off", first
    )
    marks = [line[0] for line in lines]
    assert marks == ["✓", "✓", "✗"], ran.stderr
    assert re.fullmatch(
        r"litespan: 3 calls, 1 failed, \d+ tokens, \$0\.0000\d+ → litespan.db · litespan \w+", last
    )


@pytest.mark.slow
def test_run_works_without_the_distro_and_as_a_module(run: Run, tmp_path: Path) -> None:
    """The plain installation is sufficient; one misspelled exporter is one line."""
    python = program.python_without(tmp_path / "venv", "opentelemetry_distro")
    ran = run("-m", "app", env={"OTEL_TRACES_EXPORTER": "jsonl,sqlit"}, python=python)
    assert ran.returncode == 3, ran.stderr
    bad, first, last = ran.stderr.splitlines()
    assert "'sqlit', so it is ignored (did you mean sqlite?)" in bad
    assert "calls go to jsonl, litespan.db" in first
    assert last.startswith("litespan: 3 calls, 1 failed")
    assert len((tmp_path / "litespan.jsonl").read_text().splitlines()) == 3


@pytest.mark.slow
def test_the_last_line_reports_a_program_without_calls(run: Run, tmp_path: Path) -> None:
    """Zero calls are a sentence, not a sum; children and quiet runs print nothing."""
    child = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'print(1)'])"
    ran = run("--", sys.executable, "-c", child)
    assert ran.stdout == "1\n"
    assert [line for line in ran.stderr.splitlines() if "no calls were recorded" in line] == [
        ran.stderr.splitlines()[-1]
    ]
    assert not (tmp_path / "litespan.db").exists()
    quiet = run("-q", "--", sys.executable, "-c", "pass")
    assert (quiet.returncode, quiet.stderr) == (0, "")


def test_the_process_is_the_programs_own() -> None:
    """The command becomes the program: the same process receives signals and has the terminal."""
    code = "import os; print(os.getppid())"
    ran = subprocess.run(
        [*LITESPAN, "run", "-q", "--", sys.executable, "-c", code],
        env=program.environment({}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.stdout == f"{os.getpid()}\n", ran.stderr
