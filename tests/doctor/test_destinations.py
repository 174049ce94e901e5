"""Exporters are tested with servers on loopback that accept, refuse, or have another time."""

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from email.utils import formatdate
from pathlib import Path

import pytest

from litespan import errors
from litespan.cli import main
from litespan.doctor import Finding, Setup, destinations, examine
from litespan.doctor.marked_call import send
from litespan.testing import OtlpReceiver
from tests.doctor.test_findings import GOOD
from tests.support import program
from tests.support.server import Reply, running
from tests.support.vendors import SECRET

LANGFUSE = {"LANGFUSE_PUBLIC_KEY": SECRET, "LANGFUSE_SECRET_KEY": SECRET}


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An empty folder, and no exporter set up."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(errors, "_seen", set())


def findings(
    monkeypatch: pytest.MonkeyPatch, environ: Mapping[str, str], *, offline: bool = False
) -> list[Finding]:
    """The findings about the exporters that these variables name."""
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    return list(destinations.check(replace(GOOD, environ=environ), test_calls=not offline))


def problem(monkeypatch: pytest.MonkeyPatch, environ: Mapping[str, str]) -> Finding:
    """The only problem."""
    (found,) = [each for each in findings(monkeypatch, environ) if each.level == "error"]
    return found


def test_a_service_that_accepts_the_call_is_reported_with_its_trace(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Credentials are shown by length only."""
    with running(lambda _: Reply(200, b"{}")) as vendor:
        environ = {**LANGFUSE, "LANGFUSE_BASE_URL": vendor.url, "OTEL_TRACES_EXPORTER": "langfuse"}
        (found,) = findings(monkeypatch, environ)
    assert (found.level, "look for trace" in found.text) == ("ok", True), found
    assert f"LANGFUSE_SECRET_KEY: {len(SECRET)} characters" in found.text
    assert SECRET not in found.text


@pytest.mark.parametrize("seconds", [-3600, 3600])
def test_a_wrong_clock_is_reported(seconds: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the Date header of the service's answer."""
    import time

    date = {"Date": formatdate(time.time() - seconds, usegmt=True)}
    with running(lambda _: Reply(200, b"{}", date)) as vendor:
        environ = {**LANGFUSE, "LANGFUSE_BASE_URL": vendor.url, "OTEL_TRACES_EXPORTER": "langfuse"}
        found = problem(monkeypatch, environ)
    assert ("ahead of" if seconds > 0 else "behind") in found.text
    assert found.fix == "timedatectl set-ntp true"


def test_refused_credentials_are_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the service's answer, and what to check."""
    with running(lambda _: Reply(401, b"no such key")) as vendor:
        environ = {**LANGFUSE, "LANGFUSE_BASE_URL": vendor.url, "OTEL_TRACES_EXPORTER": "langfuse"}
        found = problem(monkeypatch, environ)
    assert "401: unauthorized: check LANGFUSE_PUBLIC_KEY and LANGFUSE_SECRET_KEY" in found.text
    assert found.fix == "litespan check langfuse"


@pytest.mark.parametrize(
    ("environ", "text", "fix"),
    [
        (
            {**LANGFUSE, "LANGFUSE_BASE_URL": "http://127.0.0.1:9"},
            "no connection to http://127.0.0.1:9: check that it runs, and LANGFUSE_BASE_URL",
            "litespan check langfuse",
        ),
        (
            {"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"},
            "nothing answers at http://127.0.0.1:9 (Connection refused)",
            "start a collector there",
        ),
        ({"OTEL_TRACES_EXPORTER": "helicone"}, "HELICONE_API_KEY is not set", "set it or remove"),
        (
            {"SENTRY_DSN": "http://k@example.com/1"},
            "sentry: the URL is not https",
            "use https",
        ),
        ({"OTEL_TRACES_EXPORTER": "none"}, "calls are sent nowhere", "OTEL_TRACES_EXPORTER=sqlite"),
        ({"LITESPAN_SQLITE": "no/folder/calls.db"}, "does not exist", "mkdir -p "),
        ({"LITESPAN_INPUT": "live"}, "cannot record calls that have only", "LITESPAN_INPUT=sqlite"),
    ],
)
def test_each_destination_that_cannot_work_has_one_finding(
    environ: dict[str, str], text: str, fix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each has one finding."""
    found = problem(monkeypatch, environ)
    assert text in found.text
    assert fix in found.fix


def test_offline_opens_no_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """No request reaches the service or the collector."""
    with running(lambda _: Reply(200, b"{}")) as vendor, OtlpReceiver() as receiver:
        environ = {**LANGFUSE, "LANGFUSE_BASE_URL": vendor.url, **receiver.env}
        environ["OTEL_TRACES_EXPORTER"] = "langfuse,otlp"
        found = findings(monkeypatch, environ, offline=True)
    assert [each.level for each in found] == ["ok", "ok"]
    assert vendor.received == []


@pytest.mark.parametrize(
    ("protocol", "port"),
    [
        ({}, 4317),
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}, 4318),
        ({"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/protobuf"}, 4318),
    ],
)
def test_the_port_is_the_usual_one_of_the_protocol(
    protocol: dict[str, str], port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The variable of the signal counts, too."""
    environ = {"OTEL_TRACES_EXPORTER": "otlp", **protocol}
    (found,) = findings(monkeypatch, environ, offline=True)
    assert found.text == f"otlp: calls are sent to http://localhost:{port}, not tested"


@pytest.mark.parametrize("variable", ["OTEL_CONFIG_FILE", "OTEL_EXPERIMENTAL_CONFIG_FILE"])
def test_a_configuration_file_names_the_exporters(
    variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The variables of exporters are not used."""
    assert findings(monkeypatch, {variable: "otel.yaml"}) == []


@pytest.mark.parametrize("offline", [True, False])
def test_credentials_in_an_otlp_endpoint_are_not_shown(
    offline: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Users post the output in issues."""
    endpoint = "http://user:hunter2@127.0.0.1:9"
    environ = {"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint}
    (found,) = findings(monkeypatch, environ, offline=offline)
    assert "127.0.0.1:9" in found.text
    assert "hunter2" not in found.text


def test_a_grpc_endpoint_without_scheme_is_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDK's exporter accepts host:port."""
    with OtlpReceiver() as receiver:
        endpoint = receiver.env["OTEL_EXPORTER_OTLP_ENDPOINT"].removeprefix("http://")
        environ = {"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint}
        (found,) = findings(monkeypatch, environ)
    assert found == Finding("ok", f"otlp: {endpoint} is reachable")


def test_an_exporter_that_raises_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDK's exporters and those of other packages may raise."""
    from opentelemetry.sdk.trace.export import ConsoleSpanExporter

    def export(*_: object) -> None:
        raise ValueError("token=abcdef123456 is wrong")

    monkeypatch.setattr(ConsoleSpanExporter, "export", export)
    accepted, line = send(ConsoleSpanExporter())
    assert (accepted, line) == (False, "the exporter raised ValueError: [redacted] is wrong")


def test_errors_of_packages_end_the_examination() -> None:
    """Without LiteLLM, no exporter is tested."""
    setup = Setup(environ={}, versions={})
    assert [each.text for each in examine(setup)][-1] == "messages are not recorded"


def test_the_command_prints_json_and_fails_for_an_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Findings and counts; status 1."""
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    assert main(["doctor", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    errors = [each for each in found["findings"] if each["level"] == "error"]
    assert found["counts"]["error"] == len(errors)
    assert "unset OTEL_SDK_DISABLED" in [each["fix"] for each in errors]


@pytest.mark.slow
def test_a_working_set_up_has_no_problem(tmp_path: Path) -> None:
    """The whole command: it starts Python like litespan run, and finds LiteLLM instrumented."""
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys; from litespan.cli import main; sys.exit(main())",
            "doctor",
        ],
        env=program.environment({}),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert "LiteLLM is instrumented" in done.stdout
    assert done.stdout.endswith("no problem found\n")
    assert list(tmp_path.iterdir()) == []
