"""Other instrumentations of the same calls: suppressed below litespan, reported beside it."""

import litellm
import pytest
from openinference.instrumentation.openai import OpenAIInstrumentor as OpenInferenceOpenAI
from opentelemetry import context as otel_context
from opentelemetry.instrumentation.genai.openai import OpenAIInstrumentor as GenAIOpenAI
from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
from opentelemetry.instrumentation.litellm import LiteLLMInstrumentor as OpenLLMetryLiteLLM
from opentelemetry.instrumentation.openai import OpenAIInstrumentor as OpenLLMetryOpenAI

from tests.beside.conftest import Beside

BELOW = [
    pytest.param(OpenLLMetryOpenAI, id="OpenLLMetry"),
    pytest.param(GenAIOpenAI, id="official"),
]


def scopes(beside: Beside) -> list[str]:
    """Who made the spans, in the order of their start."""
    return [span["scope"] for span in beside.spans]


@pytest.mark.parametrize("kind", BELOW)
@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
def test_the_provider_sdks_instrumentation_is_suppressed_below_a_call(
    kind: type, stream: bool, beside: Beside
) -> None:
    """It does not report the same call again."""
    beside.switch_on(kind())
    beside.start()
    result = litellm.completion(**beside.chat(stream=stream))
    if stream:
        list(result)
    assert scopes(beside) == ["litespan"]


@pytest.mark.parametrize("kind", BELOW)
def test_http_spans_and_traceparent_stay(kind: type, beside: Beside) -> None:
    """HTTP instrumentation below the call still works, and the provider gets the trace."""
    beside.switch_on(HTTPXClientInstrumentor())
    beside.switch_on(kind())
    beside.start()
    litellm.completion(**beside.chat())
    ours, http = beside.spans
    assert (ours["scope"], http["scope"]) == ("litespan", "opentelemetry.instrumentation.httpx")
    assert http["parent"] == ours["span_id"]
    headers = {name.lower(): value for name, value in beside.provider.requests[-1].headers.items()}
    assert headers["traceparent"].split("-")[1:3] == [http["trace_id"], http["span_id"]]


@pytest.mark.parametrize("kind", BELOW)
def test_the_setting_turns_suppression_off(
    kind: type, beside: Beside, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With LITESPAN_SUPPRESS_NESTED=false, both report."""
    monkeypatch.setenv("LITESPAN_SUPPRESS_NESTED", "false")
    beside.switch_on(kind())
    beside.start()
    litellm.completion(**beside.chat())
    assert len(scopes(beside)) == 2


@pytest.mark.parametrize("kind", BELOW)
def test_the_peers_report_without_litespan(kind: type, beside: Beside) -> None:
    """So the tests above show a suppression."""
    beside.switch_on(kind())
    litellm.completion(**beside.chat())
    assert len(scopes(beside)) == 1


def test_no_span_below_a_framework_that_reports_the_call(beside: Beside) -> None:
    """OpenLLMetry's instrumentations of frameworks mark this in the context."""
    beside.start()
    token = otel_context.attach(
        otel_context.set_value("suppress_language_model_instrumentation", True)
    )
    try:
        litellm.completion(**beside.chat())
    finally:
        otel_context.detach(token)
    assert beside.spans == []


@pytest.mark.parametrize(
    ("kind", "name", "fix"),
    [
        (OpenLLMetryLiteLLM, "OpenLLMetry", "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS=litellm"),
        (OpenInferenceOpenAI, "OpenInference", "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS=openai"),
    ],
)
def test_another_instrumentation_is_reported_once_with_its_fix(
    kind: type, name: str, fix: str, beside: Beside, caplog: pytest.LogCaptureFixture
) -> None:
    """One warning with the line that turns it off, whatever the number of calls."""
    beside.switch_on(kind())
    beside.start()
    for _ in range(3):
        litellm.completion(**beside.chat())
    warned = [record.getMessage() for record in caplog.records if record.name == "litespan"]
    assert [line for line in warned if name in line and fix in line] == warned
    assert len(warned) == 1
