"""Spans of agents, as other instrumentations write them, in what services receive."""

import re

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import StatusCode

from litespan.export.http import HttpExporter
from litespan.export.otlp import OtlpExporter
from tests.cases import START_NS, span
from tests.exporters.test_contract import HTTP, each_http
from tests.genai.test_frameworks import AGENT
from tests.support.vendors import SECRET

URL = "http://127.0.0.1:9"


@pytest.fixture
def exporter(name: str, monkeypatch: pytest.MonkeyPatch) -> HttpExporter:
    """The exporter, which sends nothing."""
    for variable, value in HTTP[name].variables_for(URL, SECRET).items():
        monkeypatch.setenv(variable, value)
    made: HttpExporter = HTTP[name]()
    return made


def copies(exporter: HttpExporter, *spans: ReadableSpan) -> list[ReadableSpan]:
    """The spans that an OTLP service receives."""
    return [item.data for item in exporter.items(spans)]


@each_http
def test_no_service_adds_the_tokens_of_an_agent_to_those_of_its_calls(
    exporter: HttpExporter,
) -> None:
    """Whether they arrive under the names of the conventions, of frameworks or of the service."""
    agent = span(60, "agent", {**AGENT, "gen_ai.usage.output_tokens": 987_654}, scope="strands")
    bodies = b"".join(batch.body for batch in exporter.pack(list(exporter.items([agent]))))
    assert not re.search(rb"usage|token_count|tokensUsage|_tokens|987654|operation.cost", bodies)


OTLP = [name for name, cls in HTTP.items() if issubclass(cls, OtlpExporter)]


@pytest.mark.parametrize("name", OTLP)
def test_a_copy_does_not_end_before_it_starts(exporter: HttpExporter) -> None:
    """Services subtract unsigned numbers."""
    back = span(61, "chat", {"gen_ai.operation.name": "chat"})
    back._end_time = START_NS - 10**9
    assert [copy.end_time for copy in copies(exporter, back)] == [START_NS]


@pytest.mark.parametrize("name", [name for name in OTLP if name != "langfuse"])
def test_a_copy_of_a_failure_has_its_status(exporter: HttpExporter) -> None:
    """Services show the status; Langfuse reads a level instead."""
    unset = {"gen_ai.operation.name": "chat", "error.type": "TimeoutError"}
    found = copies(exporter, span(62, "chat", unset, scope="someone.else"))[0]
    assert found.status.status_code is StatusCode.ERROR
