"""Athina's own rules: one inference per request, no failures, metadata that are fields."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.trace import Status, StatusCode

from litespan.export import GenAISpan
from litespan_exporters.athina import AthinaExporter, custom_attributes, to_inference
from tests.cases import CASES, CHAT, span, usage
from tests.support.server import Vendor, running
from tests.support.vendors import SECRET, Athina

REFERENCE = json.loads((Path(__file__).parent / "reference/athina.json").read_text())


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment says nothing of Athina."""
    for name in ("API_KEY", "BASE_URL"):
        monkeypatch.delenv(f"ATHINA_{name}", raising=False)


@pytest.fixture
def vendor() -> Iterator[Vendor]:
    """Athina on loopback."""
    with running(Athina()) as vendor:
        yield vendor


def view(span: ReadableSpan) -> GenAISpan:
    """The typed view."""
    found = GenAISpan.read(span)
    assert found is not None
    return found


def test_each_inference_is_one_request(vendor: Vendor) -> None:
    """Athina accepts no batches; several requests are sent concurrently."""
    exporter = AthinaExporter(SECRET, vendor.url)
    assert exporter.export(list(CASES.values())) is SpanExportResult.SUCCESS
    assert vendor.wrong == []
    assert len(vendor.received) == len(CASES)
    assert len({request.connection for request in vendor.received}) <= 4


def test_a_failure_is_in_the_custom_attributes() -> None:
    """It has neither a response nor tokens, whatever the span has."""
    failed = view(CASES["failure"])
    made: Any = to_inference(failed)
    assert made["custom_attributes"]["status"] == "error"
    assert made["custom_attributes"]["error_type"] == "AuthenticationError"
    assert made["custom_attributes"]["error_code"] == 401
    assert not {"response", "prompt_tokens", "completion_tokens", "total_tokens"} & set(made)


def test_a_failure_after_tool_calls_has_no_response() -> None:
    """Partial text and tool calls of a broken stream are not a response."""
    attributes = {**(CASES["tool_call"].attributes or {}), "error.type": "APIConnectionError"}
    made = to_inference(view(span(1, "chat", attributes, status=Status(StatusCode.ERROR))))
    assert not {"response", "tool_calls"} & set(made)
    assert "tools" in made


def test_tools_have_openais_format() -> None:
    """The user query is the user's last message."""
    made: Any = to_inference(view(CASES["tool_call"]))
    assert made["tools"][0]["function"]["name"] == "get_weather"
    assert made["tool_calls"] == [
        {
            "id": "call_2",
            "type": "function",
            "function": {"name": "get_weather", "arguments": '{"city":"Rome"}'},
        }
    ]
    assert made["user_query"] == "Weather in Paris and Rome?"
    assert made["response"]["choices"][0]["finish_reason"] == "tool_calls"


def test_the_finish_reason_can_be_that_of_the_message() -> None:
    """Some instrumentations have no attribute for it."""
    answer = {"role": "assistant", "content": "Sunny", "finish_reason": "end_turn"}
    shown = {"gen_ai.operation.name": "chat", "gen_ai.output.messages": json.dumps([answer])}
    made: Any = to_inference(view(span(1, "chat", shown, scope="someone.else")))
    assert made["response"]["choices"][0]["finish_reason"] == "end_turn"


def test_metadata_with_names_of_fields_set_the_fields() -> None:
    """The same names as in LiteLLM's own callback."""
    given = {"prompt_slug": "refund", "customer_id": "acme", "context": "about", "session_id": 7}
    made = to_inference(
        view(span(1, "x", {**CHAT, **{f"litellm.metadata.{k}": v for k, v in given.items()}}))
    )
    assert {name: made[name] for name in given} == {**given, "session_id": "7"}


def test_metadata_with_litespans_names_stay_if_litespan_has_no_value() -> None:
    """A name without a value does not remove the user's entry."""
    given = {"error_type": "mine", "error_code": 7, "provider": "mine"}
    own = {f"litellm.metadata.{name}": value for name, value in given.items()}
    shown = custom_attributes(view(span(1, "chat", {**CHAT, **own})))
    assert {name: shown[name] for name in given} == {**given, "provider": "openai"}


@pytest.mark.parametrize(
    ("parameters", "options"),
    [
        ({}, None),
        ({"temperature": 0.2, "max_tokens": 5}, {"temperature": 0.2, "max_completion_tokens": 5}),
        ({"stop_sequences": ("a",), "seed": 1}, {"stop": ["a"], "extra_options": {"seed": 1}}),
    ],
)
def test_model_options_are_athinas_four_and_the_rest(
    parameters: dict[str, Any], options: dict[str, Any] | None
) -> None:
    """Athina's four options; the others are in `extra_options`."""
    named = {f"gen_ai.request.{name}": value for name, value in parameters.items()}
    made = to_inference(view(span(1, "chat", {**CHAT, **named})))
    assert made.get("model_options") == options


def test_the_environment_is_the_argument_the_resource_or_production(vendor: Vendor) -> None:
    """The first one that is set."""
    AthinaExporter(SECRET, vendor.url, environment="staging").export([CASES["chat"]])
    assert json.loads(vendor.received[0].body)["environment"] == "staging"


def test_inferences_have_the_fields_of_athinas_own_logger() -> None:
    """The same fields with the same types, and no others."""
    called = span(
        1,
        "chat",
        {
            **(CASES["tool_call"].attributes or {}),
            **usage(20, 10),
            "gen_ai.request.temperature": 0.2,
            "gen_ai.request.max_tokens": 256,
            "gen_ai.request.top_p": 0.9,
            "gen_ai.request.stop_sequences": ("x",),
        },
    )
    ours, theirs = to_inference(view(called)), REFERENCE["requests"][0]["body"]
    assert set(ours) == set(theirs)
    for name, value in theirs.items():
        assert type(ours[name]) is type(value), name
    options: Any = ours["model_options"]
    assert set(options) == set(theirs["model_options"])
