"""OTEL_* variables as users write them: spans arrive, or one line has the mistake."""

import pytest

from litespan.testing import OtlpReceiver
from litespan.variables import corrected, names_service
from tests.support.program import run

pytestmark = pytest.mark.slow

TRACES, PROTOCOL = "OTEL_TRACES_EXPORTER", "OTEL_EXPORTER_OTLP_PROTOCOL"
QUIET = {"OTEL_METRICS_EXPORTER": "none", "OTEL_LOGS_EXPORTER": "none"}

CORRECTED = [
    ({}, {}),
    ({TRACES: "otlp,langfuse"}, {}),
    ({TRACES: "OTLP"}, {TRACES: "otlp"}),
    ({TRACES: "Console, SQLite"}, {TRACES: "console,sqlite"}),
    ({TRACES: "sqlite,"}, {TRACES: "sqlite"}),
    ({TRACES: " "}, {TRACES: ""}),
    ({TRACES: "sqlite,none"}, {TRACES: "sqlite"}),
    ({TRACES: "None"}, {TRACES: "none"}),
    ({TRACES: "langfus,sqlite"}, {TRACES: "sqlite"}),
    ({TRACES: "langfus"}, {TRACES: "none"}),
    ({"OTEL_METRICS_EXPORTER": "sqlite,otlp"}, {"OTEL_METRICS_EXPORTER": "otlp"}),
    ({PROTOCOL: "http/json"}, {PROTOCOL: "http/protobuf"}),
    ({PROTOCOL: "http"}, {PROTOCOL: "http/protobuf"}),
    ({PROTOCOL: "GRPC"}, {PROTOCOL: "grpc"}),
    ({PROTOCOL: "protobuf"}, {PROTOCOL: ""}),
    (
        {"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/json"},
        {"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/protobuf"},
    ),
    ({**QUIET, TRACES: "sqlite", PROTOCOL: "http/json"}, {}),
    ({TRACES: "langfus", "OTEL_CONFIG_FILE": "otel.yaml"}, {}),
]


@pytest.mark.parametrize(("given", "changes"), CORRECTED)
def test_values_that_the_sdk_rejects_are_corrected(
    given: dict[str, str], changes: dict[str, str]
) -> None:
    """Upper case and empty names are accepted; unknown names are left out."""
    assert corrected(given)[0] == changes


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ({TRACES: "langfus"}, (TRACES, "'langfus'", "did you mean langfuse?")),
        ({TRACES: "LangFus"}, (TRACES, "'LangFus'", "did you mean langfuse?")),
        ({TRACES: "otpl"}, (TRACES, "'otpl'", "did you mean otlp?")),
        ({"OTEL_LOGS_EXPORTER": "consol"}, ("OTEL_LOGS_EXPORTER", "did you mean console?")),
        ({PROTOCOL: "http/json"}, (PROTOCOL, "'http/json'", "http/protobuf is used")),
        ({PROTOCOL: "thrift"}, (PROTOCOL, "'thrift'", "its default is used")),
        ({"OTEL_ENDPOINT": "http://x"}, ("OTEL_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")),
        ({"OTEL_HEADERS": "api-key=secret"}, ("OTEL_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS")),
        ({"OTEL_EXPORTER": "otlp_http"}, ("OTEL_EXPORTER", PROTOCOL)),
    ],
)
def test_each_mistake_is_one_line_that_names_the_variable(
    given: dict[str, str], names: tuple[str, ...]
) -> None:
    """The variable, the value if it is no credential, and the fix."""
    (line,) = corrected(given)[1]
    assert [name for name in names if name not in line] == []
    assert "secret" not in line


@pytest.mark.parametrize(
    "given",
    [
        {TRACES: "OTLP"},
        {TRACES: "none", **QUIET, "OTEL_ENDPOINT": "http://x"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://y", "OTEL_ENDPOINT": "http://x"},
        {**QUIET, TRACES: "sqlite", PROTOCOL: "http/json"},
    ],
)
def test_correct_or_unused_values_are_not_logged(given: dict[str, str]) -> None:
    """No line if the value works, or is never read."""
    assert corrected(given)[1] == []


@pytest.mark.parametrize(
    ("attributes", "named"),
    [("a=b, service.name = shop", True), ("peer.service.name=shop", False), ("", False)],
)
def test_only_service_name_itself_names_the_service(attributes: str, named: bool) -> None:
    """Not an attribute whose name ends like it."""
    assert names_service({"OTEL_RESOURCE_ATTRIBUTES": attributes}) is named


SPAN = """
    from opentelemetry import trace

    with trace.get_tracer("t").start_as_current_span("probe"):
        pass
    trace.get_tracer_provider().force_flush()
"""
PROXY = f"""
    import logging

    logging.basicConfig()
    from litespan.export import provider

    print("goes to", provider.set_up())
{SPAN}
"""


@pytest.mark.parametrize("instrument", [True, False])
@pytest.mark.parametrize(
    ("wrong", "line"),
    [
        ({TRACES: "OTLP"}, ""),
        ({TRACES: "otlp,langfus"}, f"{TRACES}: there is no exporter 'langfus'"),
        ({PROTOCOL: "http/json"}, f"{PROTOCOL}: OpenTelemetry for Python does not support"),
    ],
)
def test_spans_arrive_despite_a_mistake(
    receiver: OtlpReceiver, instrument: bool, wrong: dict[str, str], line: str
) -> None:
    """Under `opentelemetry-instrument` and in the proxy: at most one line, and no traceback."""
    env = {**QUIET, **receiver.env, **wrong}
    ran = run(SPAN if instrument else PROXY, instrument=instrument, env=env)
    assert ran.code == 0
    assert "Traceback" not in ran.stderr
    output = [text for text in ran.stderr.splitlines() if "OTEL_" in text]
    assert [line in text for text in output] == ([True] if line else [])
    assert [span["name"] for span in receiver.spans] == ["probe"]


def test_the_status_line_reports_that_the_sdk_is_disabled() -> None:
    """Instead of the exporters."""
    ran = run(PROXY, env={TRACES: "console", **QUIET, "OTEL_SDK_DISABLED": "true"})
    assert "goes to none, because OTEL_SDK_DISABLED is set" in ran.stdout


def test_a_value_that_the_sdk_rejects_is_reported_with_its_variable() -> None:
    """The SDK ends its set-up with an error that does not have the variable."""
    env = {TRACES: "otlp", **QUIET, PROTOCOL: "http/protobuf"}
    ran = run(PROXY, env={**env, "OTEL_PYTHON_ID_GENERATOR": "xrai"})
    (line,) = [line for line in ran.stderr.splitlines() if "OTEL_PYTHON_ID_GENERATOR" in line]
    assert "cannot use this value" in line
