"""Logfire's own rules: tokens and regions, levels, names, service and environment."""

import json
import os
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult

from litespan.export import GenAISpan
from litespan_exporters.logfire import LogfireExporter, attributes, region_of, short
from tests.cases import CASES, CHAT, foreign, span
from tests.support.server import Reply, Vendor, running
from tests.support.tools import environment
from tests.support.vendors import SECRET, Logfire
from tests.support.vendors.otlp import attributes_of


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment says nothing of Logfire."""
    for name in ("TOKEN", "BASE_URL", "SERVICE_NAME", "ENVIRONMENT", "SEND_TO_LOGFIRE"):
        monkeypatch.delenv(f"LOGFIRE_{name}", raising=False)


@pytest.fixture
def vendor() -> Iterator[Vendor]:
    """Logfire on loopback."""
    with running(Logfire()) as vendor:
        yield vendor


def view(span: ReadableSpan) -> GenAISpan:
    """The typed view."""
    found = GenAISpan.read(span)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("token", "url"),
    [
        ("pylf_v1_eu_abc", "https://logfire-eu.pydantic.dev"),
        ("pylf_v1_us_abc", "https://logfire-us.pydantic.dev"),
        ("pylf_v2_mars_abc", "https://logfire-us.pydantic.dev"),
        ("abc", "https://logfire-us.pydantic.dev"),
    ],
)
def test_the_region_follows_from_the_token(token: str, url: str) -> None:
    """From its prefix; old and unknown tokens belong to the US."""
    assert region_of(token) == url
    assert url in repr(LogfireExporter(token))


@pytest.mark.parametrize(
    ("case", "level"),
    [("chat", 9), ("failure", 17), ("dropped", 17), ("abandoned", 13), ("cancelled", 13)],
)
def test_the_level_follows_the_outcome(case: str, level: int) -> None:
    """Error for errors, warning for cancelled and abandoned calls, else info."""
    assert attributes(view(CASES[case]))["logfire.level_num"] == level


def test_the_copy_has_the_added_attributes() -> None:
    """Cost, provider, first chunk, tags, and which attributes are JSON."""
    shown = attributes(view(CASES["stream"]))
    assert shown["operation.cost"] == 9e-06
    assert shown["gen_ai.system"] == "openai"
    assert shown["gen_ai.client.operation.time_to_first_chunk"] == 0.31
    assert shown["logfire.tags"] == ["checkout", "beta"]
    assert json.loads(shown["logfire.json_schema"])["properties"] == {
        "gen_ai.input.messages": {"type": "array"},
        "gen_ai.output.messages": {"type": "array"},
    }
    assert attributes(view(CASES["content_off"]))["logfire.json_schema"] is None


@pytest.mark.parametrize("name", ["a" * 600, "世" * 600, "chat", ""])
def test_names_are_cut_to_512_bytes(name: str) -> None:
    """Between characters."""
    cut = short(name)
    assert name.startswith(cut)
    assert len(cut.encode()) in (512, 510, len(name))


def test_service_and_environment_come_from_logfires_variables(
    vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They take precedence over the resource, on the copy only."""
    monkeypatch.setenv("LOGFIRE_SERVICE_NAME", "shop")
    monkeypatch.setenv("LOGFIRE_ENVIRONMENT", "staging")
    LogfireExporter(SECRET, vendor.url).export([CASES["chat"]])
    (record,) = vendor.accept.records.values()  # type: ignore[attr-defined]
    resource = record["resource"]
    assert resource["service.name"] == "shop"
    assert resource["deployment.environment.name"] == "staging"
    assert resource["service.version"] == "1.4.2"
    assert CASES["chat"].resource.attributes["service.name"] == "checkout-bot"


@pytest.mark.parametrize(
    ("variable", "value", "line"),
    [
        ("LOGFIRE_SEND_TO_LOGFIRE", "false", "LOGFIRE_SEND_TO_LOGFIRE is false"),
        ("LOGFIRE_TOKEN", "one,two", "LOGFIRE_TOKEN contains several tokens"),
        ("LOGFIRE_BASE_URL", "http://logfire.example", "LOGFIRE_BASE_URL is not https"),
    ],
)
def test_a_disabled_exporter_logs_the_reason_in_one_line(
    variable: str,
    value: str,
    line: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The line has the variable."""
    monkeypatch.setenv("LOGFIRE_TOKEN", SECRET)
    monkeypatch.setenv(variable, value)
    assert LogfireExporter().export([CASES["chat"]]) is SpanExportResult.FAILURE
    (message,) = [record.getMessage() for record in caplog.records]
    assert message.startswith(line)


def test_old_spans_are_logged_once(vendor: Vendor, caplog: pytest.LogCaptureFixture) -> None:
    """Logfire rejects spans older than a day."""
    old: Any = span(1, "chat", CHAT)
    old._start_time = 1_600_000_000_000_000_000
    LogfireExporter(SECRET, vendor.url).export([old])
    assert ["older than 24 hours" in r.getMessage() for r in caplog.records] == [True]


@pytest.mark.parametrize("name", ["openllmetry-litellm", "openinference-litellm"])
def test_spans_of_other_instrumentations_have_the_names_that_logfire_reads(
    name: str, vendor: Vendor
) -> None:
    """Model, provider and tokens."""
    LogfireExporter(SECRET, vendor.url).export(foreign(name))
    assert vendor.wrong == []
    assert any(
        record["attributes"].get("gen_ai.usage.input_tokens")
        for record in vendor.accept.records.values()  # type: ignore[attr-defined]
    )


REFERENCE = """
import os
import logfire
logfire.configure(
    send_to_logfire=True, token=os.environ["KEY"], service_name="s", environment="staging",
    console=False, inspect_arguments=False,
    advanced=logfire.AdvancedOptions(base_url=os.environ["URL"]))
said = {"model": "m", "messages": [{"role": "user"}]}
with logfire.span("chat {model}", _tags=["a"], _level="warn", **said):
    pass
logfire.shutdown()
"""


@pytest.mark.slow
def test_requests_match_those_of_logfires_own_sdk(request: pytest.FixtureRequest) -> None:
    """Path, headers, encoding and Logfire's own attributes."""
    python = environment(request.config.cache.mkdir("logfire"), "logfire==5.2.0")
    with running(lambda _: Reply(200, b"{}")) as theirs:
        known = {**os.environ, "KEY": SECRET, "URL": theirs.url}
        subprocess.run([python, "-c", REFERENCE], check=True, env=known, timeout=120)
    their = [r for r in theirs.received if r.path == "/v1/traces"][-1]
    with running(Logfire()) as ours:
        LogfireExporter(SECRET, ours.url, environment="staging").export([CASES["chat"]])
    (our,) = ours.received
    for name in ("authorization", "content-type", "content-encoding"):
        assert our.headers[name] == their.headers[name]
    sdk, mine = (_attributes(r.body) for r in (their, our))
    named = {name for name in sdk if name.startswith("logfire.")}
    assert named - set(mine) == set()
    assert {name: type(sdk[name]) for name in named} == {name: type(mine[name]) for name in named}
    assert json.loads(sdk["logfire.json_schema"])["properties"]["messages"] == {"type": "array"}
    assert set(json.loads(mine["logfire.json_schema"])) == {"type", "properties"}


def _attributes(body: bytes) -> dict[str, Any]:
    batch = ExportTraceServiceRequest.FromString(body)
    spans = [s for r in batch.resource_spans for scope in r.scope_spans for s in scope.spans]
    return attributes_of(spans[-1].attributes)
