"""Message content: off by default, in the convention's schema, bounded, redacted."""

import base64
import hashlib
import json
from typing import Any

import litellm
import pytest

from litespan.mapping.content import input_content, input_texts
from litespan.mapping.output_content import output_content, output_text
from litespan.mapping.request import Request
from litespan.mapping.targets import TARGETS
from litespan.objects import dumps
from tests.support.calls import Traced, content
from tests.support.server import Reply, running

TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "weather",
            "description": "The weather somewhere",
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
        },
    }
]
IMAGE = base64.b64encode(b"\x89PNG" * 1000).decode()


def test_content_is_off_by_default(traced: Traced) -> None:
    """Without a setting, no text of the messages is recorded."""
    litellm.completion(**traced.chat(tools=TOOLS))
    assert content(traced.span) == {}
    recorded = repr((traced.spans, traced.telemetry.logs, traced.telemetry.metrics))
    assert "everybody in this room" not in recorded
    assert "How can I help" not in recorded


@pytest.mark.parametrize(
    ("mode", "on_span", "on_event"),
    [
        ("NO_CONTENT", False, False),
        ("SPAN_ONLY", True, False),
        ("event_only", False, True),
        ("SPAN_AND_EVENT", True, True),
        ("true", True, False),
        ("yes", False, False),
    ],
)
def test_each_capture_mode_records_content_on_its_signal(
    mode: str, on_span: bool, on_event: bool, capture: Any
) -> None:
    """The standard variable's modes and earlier values; any other value means no content."""
    with capture(mode) as traced:
        litellm.completion(**traced.chat())
    assert bool(content(traced.span)) == on_span
    events = [log for log in traced.telemetry.logs if log["event"].endswith("operation.details")]
    assert [bool(log["attributes"].get("gen_ai.input.messages")) for log in events] == [
        True
    ] * on_event
    for event in events:
        assert event["span_id"] == traced.span["span_id"]


def test_chat_messages_have_roles_and_parts(capture: Any) -> None:
    """Input and output messages."""
    with capture() as traced:
        litellm.completion(
            **traced.chat(
                messages=[
                    {"role": "system", "content": "Be brief."},
                    {"role": "user", "content": "Hello", "name": "ann"},
                ]
            )
        )
    assert content(traced.span) == {
        "gen_ai.input.messages": [
            {"role": "system", "parts": [{"type": "text", "content": "Be brief."}]},
            {"role": "user", "parts": [{"type": "text", "content": "Hello"}], "name": "ann"},
        ],
        "gen_ai.output.messages": [
            {
                "role": "assistant",
                "parts": [{"type": "text", "content": "Hello! How can I help you today?"}],
                "finish_reason": "stop",
            }
        ],
    }


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
def test_tool_calls_have_definitions_arguments_and_responses(stream: bool, capture: Any) -> None:
    """Arguments are parsed, and streamed tool calls are assembled."""
    with capture() as traced:
        result = litellm.completion(**traced.chat(tools=TOOLS, stream=stream))
        if stream:
            list(result)
    found = content(traced.span)
    assert found["gen_ai.tool.definitions"] == [
        {
            "type": "function",
            "name": "weather",
            "description": "The weather somewhere",
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
        }
    ]
    (message,) = found["gen_ai.output.messages"]
    (call,) = [part for part in message["parts"] if part["type"] == "tool_call"]
    assert (message["finish_reason"], call["name"]) == ("tool_call", "weather")
    assert isinstance(call["arguments"], dict)
    assert call["id"]


def test_a_tool_call_and_its_response_are_in_the_input(capture: Any) -> None:
    """The assistant's call and the tool's response are input messages."""
    with capture() as traced:
        litellm.completion(
            **traced.chat(
                messages=[
                    {"role": "user", "content": "Weather?"},
                    {
                        "role": "assistant",
                        "content": None,
                        "tool_calls": [
                            {
                                "id": "c1",
                                "type": "function",
                                "function": {"name": "weather", "arguments": '{"city":"Bern"}'},
                            }
                        ],
                    },
                    {"role": "tool", "tool_call_id": "c1", "content": "sunny"},
                ]
            )
        )
    assert content(traced.span)["gen_ai.input.messages"][1:] == [
        {
            "role": "assistant",
            "parts": [
                {"type": "tool_call", "name": "weather", "arguments": {"city": "Bern"}, "id": "c1"}
            ],
        },
        {
            "role": "tool",
            "parts": [{"type": "tool_call_response", "response": "sunny", "id": "c1"}],
        },
    ]


def test_images_are_hashed(capture: Any) -> None:
    """Inline bytes are not recorded: their part is a `uri` with the hash of the sent data."""
    parts = [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{IMAGE}"}},
        {"type": "image_url", "image_url": {"url": "https://host/a.png?signature=secret"}},
    ]
    with capture() as traced:
        litellm.completion(**traced.chat(messages=[{"role": "user", "content": parts}]))
    assert content(traced.span)["gen_ai.input.messages"][0]["parts"] == [
        {"type": "text", "content": "What is this?"},
        {
            "type": "uri",
            "modality": "image",
            "uri": f"sha256:{hashlib.sha256(IMAGE.encode()).hexdigest()}",
            "mime_type": "image/png",
        },
        {"type": "uri", "modality": "image", "uri": "https://host/a.png"},
    ]


def test_a_refusal_is_recorded_as_text(capture: Any) -> None:
    """In the input as in the output."""
    refused = {"role": "assistant", "content": None, "refusal": "I can not."}
    answer = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1_795_165_987,
        "model": "gpt-4o-mini",
        "choices": [{"index": 0, "finish_reason": "stop", "message": refused}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 3, "total_tokens": 6},
    }
    with (
        running(lambda _: Reply(200, json.dumps(answer).encode())) as provider,
        capture() as traced,
    ):
        hi = {"role": "user", "content": "Hi"}
        given = traced.chat(messages=[hi, refused, hi])
        litellm.completion(**{**given, "api_base": f"{provider.url}/v1"})
    messages = content(traced.span)
    text = [{"type": "text", "content": "I can not."}]
    assert messages["gen_ai.input.messages"][1]["parts"] == text
    assert messages["gen_ai.output.messages"][0]["parts"] == text


def test_reasoning_is_a_separate_part(capture: Any) -> None:
    """Its type is `reasoning`."""
    with capture() as traced:
        litellm.completion(**traced.chat(provider={"reasoning_tokens": 4}))
    (message,) = content(traced.span)["gen_ai.output.messages"]
    assert [part["type"] for part in message["parts"]] == ["reasoning", "text"]
    assert traced.span["attributes"]["gen_ai.usage.reasoning.output_tokens"] == 4


def test_responses_api_items_become_messages(capture: Any) -> None:
    """Instructions are system instructions; input and output items are messages."""
    with capture() as traced:
        litellm.responses(
            model="openai/gpt-4o-mini",
            instructions="Be brief.",
            input="Hello",
            api_base=traced.provider.url,
            api_key="k",
        )
    found = content(traced.span)
    assert found["gen_ai.system_instructions"] == [{"type": "text", "content": "Be brief."}]
    assert found["gen_ai.input.messages"][0]["parts"][0]["content"] == "Hello"
    assert found["gen_ai.output.messages"][0]["parts"][0]["content"].startswith("Hello!")


def test_each_input_text_of_an_embedding_is_a_message(capture: Any) -> None:
    """Token numbers are not recorded as text."""
    with capture() as traced:
        litellm.embedding("openai/text-embedding-3-small", ["one", "two"], **traced.to())
        litellm.embedding("openai/text-embedding-3-small", [[1, 2], [3]], **traced.to())
    texts, tokens = map(content, traced.spans)
    assert texts == {
        "gen_ai.input.messages": [
            {"role": "user", "parts": [{"type": "text", "content": "one"}]},
            {"role": "user", "parts": [{"type": "text", "content": "two"}]},
        ]
    }
    assert tokens == {}


@pytest.mark.parametrize("size", [200_000, 5_000_000])
def test_long_content_is_shortened(size: int, capture: Any) -> None:
    """It stays valid JSON within the limit, and its original length is recorded."""
    with capture() as traced:
        litellm.completion(**traced.chat(messages=[{"role": "user", "content": "x" * size}] * 2))
    attributes = traced.span["attributes"]
    assert len(attributes["gen_ai.input.messages"]) <= 65536
    assert attributes["litellm.content.original_length"] > 2 * size
    assert [message["role"] for message in content(traced.span)["gen_ai.input.messages"]] == [
        "user"
    ] * 2


def test_content_stays_below_the_sdks_length_limit(capture: Any) -> None:
    """The SDK would cut JSON in the middle."""
    with capture(OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT="400") as traced:
        litellm.completion(**traced.chat(messages=[{"role": "user", "content": "x" * 5000}]))
    assert len(traced.span["attributes"]["gen_ai.input.messages"]) <= 400
    assert content(traced.span)["gen_ai.input.messages"][0]["role"] == "user"


def test_the_redactor_gets_each_value_and_its_result_is_recorded(capture: Any) -> None:
    """It receives key, value and attributes."""
    seen = []

    def redact(key: str, value: Any, attributes: Any) -> Any:
        seen.append((key, attributes["gen_ai.request.model"]))
        return None if key == "gen_ai.output.messages" else [{"role": "user", "parts": []}]

    with capture(redact=redact) as traced:
        litellm.completion(**traced.chat())
    assert content(traced.span) == {"gen_ai.input.messages": [{"role": "user", "parts": []}]}
    assert seen == [
        ("gen_ai.input.messages", "gpt-4o-mini"),
        ("gen_ai.output.messages", "gpt-4o-mini"),
    ]


@pytest.mark.parametrize(
    "path", ["nowhere:redact", "json:nothing", "json", "tests.support.schemas:SCHEMAS"]
)
def test_no_content_is_recorded_if_the_redactor_cannot_be_imported(path: str, capture: Any) -> None:
    """Unredacted content is never recorded."""
    with capture(LITESPAN_REDACT=path) as traced:
        litellm.completion(**traced.chat())
    assert content(traced.span) == {}


def test_no_content_is_recorded_if_the_redactor_fails(capture: Any) -> None:
    """The value that it received is not recorded."""

    def redact(*_: Any) -> Any:
        raise ValueError

    with capture("SPAN_AND_EVENT", redact=redact) as traced:
        litellm.completion(**traced.chat())
    assert content(traced.span) == {}
    assert "everybody in this room" not in repr((traced.spans, traced.telemetry.logs))


def test_litellms_setting_turns_content_off(capture: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """`turn_off_message_logging`, for all calls or for one."""
    with capture() as traced:
        litellm.completion(**traced.chat(metadata={"turn_off_message_logging": True}))
        monkeypatch.setattr(litellm, "turn_off_message_logging", True)
        litellm.completion(**traced.chat())
    assert [content(span) for span in traced.spans] == [{}, {}]


def test_a_failed_call_keeps_its_input(capture: Any) -> None:
    """It has input messages, and no output messages."""
    with capture() as traced, pytest.raises(litellm.InternalServerError):
        litellm.completion(**traced.chat(provider={"status": 500}))
    assert list(content(traced.span)) == ["gen_ai.input.messages"]


MESSAGES_OF_ALL_KINDS: list[Any] = [
    *({"role": role, "content": "plain"} for role in ("system", "developer", "user", "assistant")),
    *({"role": role, "content": "other role"} for role in ("tool", "model", "human", "", None, 7)),
    *({"role": "user", "content": text} for text in ("", None, 7, 'é "quoted" \n\\ \x00 \ud800')),
    {"role": "user", "content": f"data:image/png;base64,{IMAGE}"},
    {"role": "user", "content": IMAGE},
    {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
    {"role": "user", "content": "named", "name": "ada"},
    {"role": "user", "content": "with nothing else", "name": None},
    {"role": "assistant", "content": "told", "finish_reason": "length"},
    {"role": "assistant", "content": "x", "tool_calls": [{"id": "1", "function": {"name": "f"}}]},
    {"content": "no role"},
    litellm.Message(content="whole", role="assistant"),
    litellm.Message(content=None, role="assistant"),
    litellm.Message(content="thought", role="assistant", reasoning_content="hm"),
    *("a prompt", b"bytes", 7, [1, 2], None, object, {"type": "message", "content": "item"}),
]


@pytest.mark.parametrize("given", [*[[item] for item in MESSAGES_OF_ALL_KINDS], "text", (), None])
def test_plain_messages_are_written_with_the_same_bytes(given: Any) -> None:
    """The fast path writes the same JSON as the general one, for any messages."""
    arguments = {"messages": given, "tools": TOOLS, "instructions": "be brief"}
    request = Request(TARGETS[0], arguments)
    general = {name: dumps(value) for name, value in input_content(request).items()}
    assert input_texts(request) == general


@pytest.mark.parametrize("message", MESSAGES_OF_ALL_KINDS)
@pytest.mark.parametrize("reason", ["stop", "tool_calls", None, 7, 'odd "one"'])
def test_plain_answers_are_written_with_the_same_bytes(message: Any, reason: Any) -> None:
    """The same for answers, as dicts and as LiteLLM's own objects."""
    choices = [{"message": message, "finish_reason": reason, "index": 0}, {"text": "other"}]
    answers: list[Any] = [{"choices": choices}, {"choices": []}, {"output": []}, None]
    if isinstance(message, litellm.Message):
        own = litellm.ModelResponse(choices=[{"message": message.model_dump()}])
        answers += [own, litellm.ModelResponse(choices=[litellm.Choices(message=message)])]
    for answer in answers:
        general = output_content(answer)
        assert output_text(answer) == (dumps(general) if general else "")
