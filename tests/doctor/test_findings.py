"""Each broken set-up has one finding with its fix."""

import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from litespan.doctor import Finding, Setup, current_setup, environment, packages, proxy_config

VERSIONS = {
    "litellm": "1.108.7",
    "opentelemetry-sdk": "1.45.2",
    "opentelemetry-instrumentation": "0.66b2",
    "opentelemetry-distro": "0.66b1",
}
GOOD = Setup(environ={}, versions=VERSIONS)
ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
PROTOCOL = "OTEL_EXPORTER_OTLP_PROTOCOL"
CONFIG = "model_list: []\nlitellm_settings:\n  callbacks: litespan.proxy.handler\n"


def problems(setup: Setup) -> list[Finding]:
    """What is wrong with a set-up."""
    return [each for each in found(setup) if each.level in ("warning", "error")]


def found(setup: Setup) -> Iterator[Finding]:
    """The findings of the checks without connections."""
    yield from packages.check(setup)
    yield from environment.check(setup)
    yield from proxy_config.check(setup)


def test_a_good_set_up_has_no_problem() -> None:
    """No finding has a fix."""
    assert problems(GOOD) == []


@pytest.mark.parametrize(
    ("changed", "text", "fix"),
    [
        ({"litellm": ""}, "litellm is not installed", "pip install litellm"),
        ({"litellm": "1.73.6"}, "1.73.6 is older than 1.74", "pip install -U litellm"),
        ({"litellm": "1.82.7"}, "compromised", "pip install 'litellm!=1.82.7,!=1.82.8'"),
        ({"litellm": "1.82.8"}, "compromised", "pip install 'litellm!=1.82.7,!=1.82.8'"),
        (
            {"opentelemetry-sdk": "1.29.0"},
            "opentelemetry-sdk 1.29.0 is older than 1.33.1",
            "pip install -U 'opentelemetry-sdk>=1.33.1'",
        ),
        (
            {"opentelemetry-distro": "0.48b0"},
            "0.48b0 is from 2024",
            "pip install -U 'opentelemetry-distro>=0.54b1'",
        ),
        ({"openlit": "1.45.0"}, "openlit is installed", 'disabled_instrumentors=["litellm"]'),
        ({"traceloop-sdk": "0.62.4"}, "traceloop-sdk is installed", "block_instruments="),
    ],
)
def test_each_problem_with_a_package_is_found(
    changed: Mapping[str, str], text: str, fix: str
) -> None:
    """Missing, too old, compromised, or conflicting."""
    versions = {name: each for name, each in {**VERSIONS, **changed}.items() if each}
    (problem,) = problems(replace(GOOD, versions=versions))
    assert text in problem.text
    assert fix in problem.fix


@pytest.mark.parametrize(
    ("name", "distribution"),
    [
        ("litellm", "opentelemetry-instrumentation-litellm"),
        ("litellm", "openinference-instrumentation-litellm"),
        ("openai", "openinference-instrumentation-openai"),
    ],
)
def test_another_instrumentation_is_reported_until_it_is_disabled(
    name: str, distribution: str
) -> None:
    """Reported, until it is turned off."""
    setup = replace(GOOD, instrumentors={name: (distribution,)})
    (problem,) = problems(setup)
    assert problem.fix == f"OTEL_PYTHON_DISABLED_INSTRUMENTATIONS={name}"
    variable, _, value = problem.fix.partition("=")
    assert problems(replace(setup, environ={variable: value})) == []


@pytest.mark.parametrize(
    ("environ", "text", "fix"),
    [
        ({"LITESPAN_ADOBT": "1"}, "did you mean LITESPAN_ADOPT?", "correct the variable"),
        ({"LITESPAN_CONTENT_LIMIT": "64K"}, "not a whole number", "correct the variable"),
        ({"OTEL_TRACES_EXPORTER": "langfose"}, "did you mean langfuse?", "correct the variable"),
        ({"OTEL_METRICS_EXPORTER": "otpl"}, "did you mean otlp?", "correct the variable"),
        ({PROTOCOL: "http/json"}, "does not support 'http/json'", "correct the variable"),
        ({"OTEL_ENDPOINT": "http://h"}, "only LiteLLM's own", "correct the variable"),
        ({"OTEL_SDK_DISABLED": "true"}, "turns all recording off", "unset OTEL_SDK_DISABLED"),
        (
            {"OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "flask, litespan"},
            "LiteLLM is not instrumented",
            "remove litespan from OTEL_PYTHON_DISABLED_INSTRUMENTATIONS",
        ),
        (
            {"OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "*"},
            "LiteLLM is not instrumented",
            "remove * from OTEL_PYTHON_DISABLED_INSTRUMENTATIONS",
        ),
        ({"OTEL_TRACES_SAMPLER": "ALWAYS_OFF"}, "drops every call", "parentbased_always_on"),
        (
            {"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.00"},
            "drops every call",
            "parentbased_always_on",
        ),
        (
            {"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.1"},
            "only 0.1 of the traces",
            "OTEL_TRACES_SAMPLER=parentbased_always_on",
        ),
        (
            {"OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT": "32"},
            "drops attributes of calls",
            "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT=128",
        ),
        (
            {"OTEL_ATTRIBUTE_COUNT_LIMIT": "32"},
            "drops attributes of calls",
            "OTEL_ATTRIBUTE_COUNT_LIMIT=128",
        ),
        ({"OTEL_CONFIG_FILE": "nope.yaml"}, "correct the path", "correct the variable"),
        ({ENDPOINT: "h:4318"}, "has no scheme", f"{ENDPOINT}=http://h:4318"),
        (
            {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "h:4318/v1/traces"},
            "has no scheme",
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=http://h:4318/v1/traces",
        ),
        ({ENDPOINT: "http://h:port"}, "no valid port", f"{ENDPOINT}=http://127.0.0.1:4318"),
        (
            {ENDPOINT: "http://h:4318", PROTOCOL: "grpc"},
            "port 4318 of the OTLP endpoint is usual for http/protobuf",
            f"{PROTOCOL}=http/protobuf",
        ),
        (
            {ENDPOINT: "http://h:4317", PROTOCOL: "http/protobuf"},
            "port 4317 of the OTLP endpoint is usual for grpc",
            f"{PROTOCOL}=grpc",
        ),
        (
            {ENDPOINT: "http://h:4318/v1/traces"},
            "already ends with it",
            f"{ENDPOINT}=http://h:4318",
        ),
        (
            {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://h:4318"},
            "it has no path",
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=http://h:4318/v1/traces",
        ),
        (
            {ENDPOINT: "http://h:4318", "OTEL_EXPORTER_OTLP_HEADERS": "Bearer x"},
            "not a list of name=value",
            "OTEL_EXPORTER_OTLP_HEADERS='authorization=Bearer%20TOKEN'",
        ),
        (
            {ENDPOINT: "http://h:4318", "OTEL_EXPORTER_OTLP_TRACES_HEADERS": "Bearer x"},
            "not a list of name=value",
            "OTEL_EXPORTER_OTLP_TRACES_HEADERS='authorization=Bearer%20TOKEN'",
        ),
        (
            {"LANGFUSE_SECRET_KEY": "sk-lf-1"},
            "LANGFUSE_PUBLIC_KEY is not",
            "set LANGFUSE_PUBLIC_KEY",
        ),
        (
            {"LANGFUSE_PUBLIC_KEY": "sk-lf-1", "LANGFUSE_SECRET_KEY": "pk-lf-1"},
            "are swapped",
            "LANGFUSE_PUBLIC_KEY=pk-lf-",
        ),
        (
            {"LITESPAN_REDACT": "nope:redact"},
            "cannot be imported",
            "LITESPAN_REDACT=module:function",
        ),
        ({"LITESPAN_REDACT": "os:sep"}, "is not callable", "LITESPAN_REDACT=module:function"),
        ({"LITESPAN_CALLBACKS": "nope.handler"}, "there is no module 'nope'", "correct the name"),
        ({"LITESPAN_CALLBACKS": "os.path"}, "LITESPAN_CALLBACKS: os.path: ", "correct the name"),
        (
            {"LITESPAN_EXPORTER_CONTENT": "langfuse=off"},
            "in none of LITESPAN_INPUT",
            "LITESPAN_SUCCESS=langfuse LITESPAN_FAILURE=langfuse",
        ),
    ],
)
def test_each_problem_with_a_variable_is_found(
    environ: dict[str, str], text: str, fix: str
) -> None:
    """Misspelled, contradictory, or without effect."""
    (problem,) = problems(replace(GOOD, environ=environ))
    assert text in problem.text
    assert fix in problem.fix


@pytest.mark.parametrize("environ", [{ENDPOINT: "h:4317"}, {ENDPOINT: "h:1", PROTOCOL: "grpc"}])
def test_a_grpc_endpoint_needs_no_scheme(environ: dict[str, str]) -> None:
    """The SDK's exporter accepts host:port."""
    assert problems(replace(GOOD, environ=environ)) == []


@pytest.mark.parametrize("endpoint", ["https://u:hunter2@h:port", "https://u:hunter2@h/v1/traces"])
def test_credentials_in_an_endpoint_are_not_shown(endpoint: str) -> None:
    """Neither in the text nor in the fix: users post the output in issues."""
    (problem,) = problems(replace(GOOD, environ={ENDPOINT: endpoint}))
    assert "hunter2" not in problem.text + problem.fix


@pytest.mark.parametrize("setting", ["LITESPAN_REDACT=exits:f", "LITESPAN_CALLBACKS=exits.f"])
def test_a_module_that_ends_the_program_is_reported(
    setting: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A script without `if __name__ == "__main__"`: it must end neither the program nor this."""
    (tmp_path / "exits.py").write_text("import sys; sys.exit(3)")
    monkeypatch.syspath_prepend(tmp_path)
    variable, _, value = setting.partition("=")
    (problem,) = problems(replace(GOOD, environ={variable: value}))
    assert "SystemExit: 3" in problem.text


@pytest.mark.parametrize(
    ("environ", "text"),
    [
        ({}, "messages are not recorded"),
        ({"OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "true"}, "(SPAN_ONLY), without"),
    ],
)
def test_whether_messages_are_recorded_is_stated(environ: dict[str, str], text: str) -> None:
    """In every case."""
    assert [text in each.text for each in environment.check(replace(GOOD, environ=environ))][-1]


@pytest.mark.parametrize(
    ("config", "environ", "text", "fix"),
    [
        ("model_list: [", {}, "is not valid YAML in line 1", "correct the file"),
        ("- 1", {}, "has no settings", "correct the file"),
        ("a: 2026-99-99", {}, "is not valid YAML", "correct the file"),
        (
            CONFIG.replace("handler", "hander"),
            {},
            "there is no litespan.proxy.hander",
            "callbacks: litespan.proxy.handler",
        ),
        (
            f"{CONFIG}  success_callback: [otel]\n",
            {},
            "LiteLLM's own otel reports the same calls",
            "use litespan's otlp, and remove otel",
        ),
        (
            f"{CONFIG}  success_callback: [langfuse]\n",
            {"LANGFUSE_PUBLIC_KEY": "pk", "LANGFUSE_SECRET_KEY": "sk"},
            "both send to langfuse",
            "LITESPAN_ADOPT=true",
        ),
        (
            f"{CONFIG}  failure_callback: [my_handlers.instance]\n",
            {},
            "there is no module my_handlers",
            "put my_handlers.py beside",
        ),
        (
            f"{CONFIG}general_settings: {{master_key: os.environ/NO_SUCH_KEY}}\n",
            {},
            "NO_SUCH_KEY is not set",
            "export NO_SUCH_KEY=…",
        ),
    ],
)
def test_each_problem_with_the_proxys_configuration_is_found(
    config: str, environ: dict[str, str], text: str, fix: str, tmp_path: Path
) -> None:
    """LiteLLM would report them late, or not at all."""
    file = tmp_path / "config.yaml"
    file.write_text(config)
    (problem,) = problems(replace(GOOD, environ=environ, config=file))
    assert text in problem.text
    assert fix in problem.fix


def test_a_missing_configuration_is_one_finding(tmp_path: Path) -> None:
    """One finding."""
    (problem,) = problems(replace(GOOD, config=tmp_path / "none.yaml"))
    assert "cannot be read" in problem.text


def test_langfuse_5_beside_litellms_own_callback_is_an_error(tmp_path: Path) -> None:
    """Every call would fail."""
    file = tmp_path / "config.yaml"
    file.write_text(f"{CONFIG}  success_callback: [langfuse]\n")
    versions = {**VERSIONS, "langfuse": "5.0.4"}
    (problem,) = problems(replace(GOOD, versions=versions, config=file))
    assert "every call fails" in problem.text
    adopted = {"LITESPAN_ADOPT": "true"}  # the fix of the finding
    assert problems(replace(GOOD, versions=versions, config=file, environ=adopted)) == []


def test_variables_that_the_configuration_sets_are_not_missing(tmp_path: Path) -> None:
    """LiteLLM's proxy sets those in `environment_variables` before it reads the models."""
    file = tmp_path / "config.yaml"
    file.write_text(
        f"{CONFIG}environment_variables: {{MY_KEY: abc}}\n"
        "general_settings: {master_key: os.environ/MY_KEY}\n"
    )
    assert problems(replace(GOOD, config=file)) == []


def test_the_first_of_two_installed_versions_is_the_one_in_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Python imports it."""
    for version in ("1.0", "2.0"):
        metadata = tmp_path / version / f"twice-{version}.dist-info" / "METADATA"
        metadata.parent.mkdir(parents=True)
        metadata.write_text(f"Metadata-Version: 2.1\nName: twice\nVersion: {version}\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path / "1.0"), *sys.path, str(tmp_path / "2.0")])
    assert current_setup().versions["twice"] == "1.0"


def test_a_handler_beside_the_configuration_is_found(tmp_path: Path) -> None:
    """Like the proxy, the check looks beside the file."""
    (tmp_path / "my_handlers.py").write_text("")
    file = tmp_path / "config.yaml"
    file.write_text(f"{CONFIG}  failure_callback: [my_handlers.instance]\n")
    assert problems(replace(GOOD, config=file)) == []
