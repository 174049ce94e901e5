"""Recorded spans of other instrumentations have the same view as litespan's own."""

from typing import Any

import pytest

from litespan.export import GenAISpan, Part, ToolDefinition
from tests.cases import foreign

SETS = [
    "genai-openai",
    "openai-v2",
    "openai-v2-1.36",
    "openinference-litellm",
    "openinference-openai",
    "openllmetry-litellm",
    "openllmetry-openai",
    "openllmetry-openai-2025",
    "traceloop-sdk",
]
WITHOUT_CONTENT = {"openai-v2-1.36"}  # writes it to log records, not to spans
WITH_CONTENT = [name for name in SETS if name not in WITHOUT_CONTENT]
WITHOUT_EMBEDDINGS = {"openai-v2-1.36"}  # does not instrument them
# The instrumentation reads usage of a stream only when it may count tokens itself.
WITHOUT_STREAM_USAGE = {"openllmetry-openai-2025"}
WITHOUT_CACHED_TOKENS = {"openai-v2", "openai-v2-1.36"}
IDENTIFIED = {"openinference-litellm", "openinference-openai", "traceloop-sdk"}

# the order of the calls in record.py
CHAT, STREAM, TOOL_CALL, TOOL_ANSWER, PICTURE = range(5)
WEATHER: dict[str, Any] = {"type": "object", "properties": {"city": {"type": "string"}}}


def read(name: str) -> list[GenAISpan]:
    """The GenAI spans of a set."""
    return [view for span in foreign(name) if (view := GenAISpan.read(span)) is not None]


@pytest.mark.parametrize("name", SETS)
class TestEverySet:
    """What holds for the spans of each instrumentation."""

    def test_operation_provider_and_model_are_read(self, name: str) -> None:
        """A chat of its provider, with the requested model."""
        view = read(name)[CHAT]
        assert (view.operation, view.provider, view.request.model, view.is_call) == (
            "chat",
            "openai",
            "gpt-4o-mini",
            True,
        )

    def test_request_parameters_have_plain_names_and_types(self, name: str) -> None:
        """From every instrumentation."""
        parameters = read(name)[CHAT].request.parameters
        assert {key: parameters.get(key) for key in ("max_tokens", "temperature", "top_p")} == {
            "max_tokens": 64,
            "temperature": 0.2,
            "top_p": 0.9,
        }

    def test_tokens_are_read_with_cached_ones(self, name: str) -> None:
        """If the instrumentation writes them."""
        usage = read(name)[CHAT].usage
        cached = None if name in WITHOUT_CACHED_TOKENS else 8
        assert (usage.input, usage.output, usage.cache_read) == (20, 10, cached)

    def test_a_stream_has_tokens_and_time_to_first_chunk(self, name: str) -> None:
        """The time, if it was recorded."""
        view = read(name)[STREAM]
        tokens = (None, None) if name in WITHOUT_STREAM_USAGE else (20, 10)
        assert (view.usage.input, view.usage.output) == tokens
        first = view.response.time_to_first_chunk
        assert first is None or 0 < first < (view.duration or 0)

    def test_the_finish_reason_is_the_providers(self, name: str) -> None:
        """Unchanged."""
        assert read(name)[CHAT].response.finish_reasons == ("stop",)

    def test_a_rejected_call_is_a_failure_with_its_reason(self, name: str) -> None:
        """The failure has the message of the provider."""
        view = read(name)[-1]
        assert view.error is not None
        assert (view.call.outcome, "Incorrect API key" in (view.error.message or "")) == (
            "failure",
            True,
        )

    def test_no_secret_in_facts(self, name: str) -> None:
        """`facts` of other instrumentations' spans have no content and no key."""
        shown = repr([view.facts for view in read(name)])
        assert [word for word in ("Say hello", "sk-secret", "Paris") if word in shown] == []


@pytest.mark.parametrize("name", [name for name in SETS if name not in WITHOUT_EMBEDDINGS])
def test_an_embedding_has_its_input_tokens(name: str) -> None:
    """Its operation is `embeddings`."""
    view = read(name)[5]
    assert (view.operation, view.request.model, view.usage.input) == (
        "embeddings",
        "text-embedding-3-small",
        20,
    )


@pytest.mark.parametrize("name", WITH_CONTENT)
class TestContent:
    """What holds for the content of each instrumentation that writes it to spans."""

    def test_chat_messages_are_in_order_as_text(self, name: str) -> None:
        """System, user and assistant messages."""
        view = read(name)[CHAT]
        said = [(m.role, m.text) for m in (view.input_messages or ())]
        answered = [(m.role, m.text) for m in (view.output_messages or ())]
        assert (said, answered) == (
            [("system", "Be brief."), ("user", "Say hello.")],
            [("assistant", "Hello! How can I help you today?")],
        )

    def test_a_tool_call_has_id_name_and_parsed_arguments(self, name: str) -> None:
        """Arguments are an object."""
        messages = read(name)[TOOL_CALL].output_messages or ()
        expected = Part(
            "tool_call", id="call_loopback_1", name="get_weather", arguments={"city": "Paris"}
        )
        assert [call for message in messages for call in message.tool_calls] == [expected]

    def test_the_tools_answer_follows_its_call(self, name: str) -> None:
        """It is a response part after the call."""
        messages = read(name)[TOOL_ANSWER].input_messages or ()
        assert [m.role for m in messages] == ["user", "assistant", "tool"]
        assert [call.id for call in messages[1].tool_calls] == ["call_0"]
        (answer,) = messages[2].tool_responses
        # OpenInference's LiteLLM instrumentation drops the id of the call.
        lost = name == "openinference-litellm"
        assert (answer.id, answer.response) == (None if lost else "call_0", "14 °C, rain")

    def test_an_image_is_a_uri_part(self, name: str) -> None:
        """It is not text; openai-v2 drops the whole list of parts."""
        (message,) = read(name)[PICTURE].input_messages or ()
        expected = [
            ("text", "What is this?", None),
            ("uri", None, "https://example.com/cat.png"),
        ]
        parts = [(part.type, part.content, part.uri) for part in message.parts]
        assert parts == ([] if name == "openai-v2" else expected)


@pytest.mark.parametrize("name", [name for name in WITH_CONTENT if name != "openai-v2"])
def test_tool_definitions_are_read_flat_or_nested(name: str) -> None:
    """openai-v2 does not write them."""
    assert read(name)[TOOL_CALL].tool_definitions == (
        ToolDefinition("function", "get_weather", "Weather of a city", WEATHER),
    )


@pytest.mark.parametrize("name", sorted(IDENTIFIED))
def test_user_session_and_metadata_are_found(name: str) -> None:
    """As the application set them."""
    who = read(name)[CHAT].identity
    assert (who.user, who.session, who.metadata["feature"]) == ("user-42", "sess-7", "refund")


def test_openinference_tags_and_cost_are_read() -> None:
    """OpenInference's tags and cost are read."""
    view = read("openinference-litellm")[CHAT]
    assert (view.identity.tags, view.cost.total) == (("beta", "checkout"), 8.400000000000001e-06)


def test_openinference_has_the_answering_model() -> None:
    """The response model; the requested one is among the parameters."""
    view = read("openinference-openai")[CHAT]
    assert (view.request.model, view.response.model) == ("gpt-4o-mini", "gpt-4o-mini-2024-07-18")


def test_a_workflow_span_is_not_a_genai_span() -> None:
    """A Traceloop workflow span belongs to the application."""
    spans = foreign("traceloop-sdk")
    assert [span.name for span in spans if GenAISpan.read(span) is None] == ["shop.workflow"]
