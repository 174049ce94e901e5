"""Spans of frameworks, and of instrumentations in other languages, have the same view."""

import json
import random
from typing import Any

import pytest
from opentelemetry.sdk.trace import Event

from litespan.export import GenAISpan, Part, ToolDefinition
from litespan.genai import framework_content, frameworks, openai
from litespan.genai.content import is_content
from tests.cases import span

SCHEMA: dict[str, Any] = {"type": "object", "properties": {"city": {"type": "string"}}}
WEATHER = ToolDefinition("function", "get_weather", "Weather of a city", SCHEMA)
CALL = Part("tool_call", id="c1", name="get_weather", arguments={"city": "Paris"})


def read(attributes: dict[str, Any], events: Any = ()) -> GenAISpan:
    """The view of another instrumentation's span."""
    view = GenAISpan.read(span(70, "x", attributes, events, scope="somebody.else"))
    assert view is not None
    return view


def output_parts(view: GenAISpan) -> list[Any]:
    """The input, one line a message."""
    return [(m.role, m.text) for m in view.input_messages or ()]


VERCEL = {
    "operation.name": "ai.streamText.doStream my-app",
    "ai.operationId": "ai.streamText.doStream",
    "ai.model.id": "gpt-4o-mini",
    "ai.model.provider": "openai.responses",
    "ai.telemetry.metadata.userId": "user-42",
    "ai.telemetry.metadata.sessionId": "sess-7",
    "ai.telemetry.metadata.feature": "refund",
    "ai.prompt.messages": json.dumps(
        [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": [{"type": "text", "text": "Weather in Paris?"}]},
            {
                "role": "assistant",
                "content": [
                    {
                        "type": "tool-call",
                        "toolCallId": "c1",
                        "toolName": "get_weather",
                        "input": {"city": "Paris"},
                    }
                ],
            },
            {
                "role": "tool",
                "content": [
                    {
                        "type": "tool-result",
                        "toolCallId": "c1",
                        "toolName": "get_weather",
                        "output": {"type": "text", "value": "14 °C"},
                    }
                ],
            },
        ]
    ),
    "ai.prompt.tools": (
        json.dumps(
            {
                "type": "function",
                "name": "get_weather",
                "description": "Weather of a city",
                "inputSchema": SCHEMA,
            }
        ),
    ),
    "ai.response.text": "Rain.",
    "ai.response.toolCalls": json.dumps(
        [{"toolCallId": "c1", "toolName": "get_weather", "input": {"city": "Paris"}}]
    ),
    "ai.response.finishReason": "tool-calls",
    "ai.response.id": "resp_1",
    "ai.response.model": "gpt-4o-mini-2024-07-18",
    "ai.response.msToFirstChunk": 310.0,
    "ai.usage.inputTokens": 120,
    "ai.usage.outputTokens": 40,
    "ai.usage.cachedInputTokens": 100,
    "ai.usage.reasoningTokens": 16,
    "gen_ai.system": "openai.responses",
    "gen_ai.request.model": "gpt-4o-mini",
    "gen_ai.request.temperature": 0.2,
}


def test_vercels_ai_sdk_spans_are_read() -> None:
    """A stream with a tool: its facts, its tokens once, its messages and its answer."""
    view = read(VERCEL)
    assert (view.operation, view.provider, view.model) == (
        "chat",
        "openai",
        "gpt-4o-mini-2024-07-18",
    )
    used = view.usage
    assert (used.input, used.output, used.cache_read, used.reasoning) == (120, 40, 100, 16)
    assert view.response.time_to_first_chunk == 0.31
    assert (view.identity.user, view.identity.session) == ("user-42", "sess-7")
    assert view.identity.metadata["feature"] == "refund"
    assert output_parts(view)[:2] == [("system", "Be brief."), ("user", "Weather in Paris?")]
    messages = view.input_messages or ()
    assert messages[2].tool_calls == (CALL,)
    (answer,) = messages[3].tool_responses
    assert (answer.id, answer.response) == ("c1", "14 °C")
    (answered,) = view.output_messages or ()
    assert (answered.text, answered.tool_calls) == ("Rain.", (CALL,))
    assert view.tool_definitions == (WEATHER,)


def test_vercels_tools_and_embeddings_are_read() -> None:
    """A tool is not a model call; an embedding has its texts and tokens."""
    tool = read(
        {
            "ai.operationId": "ai.toolCall",
            "ai.toolCall.id": "c1",
            "ai.toolCall.name": "get_weather",
            "ai.toolCall.args": '{"city":"Paris"}',
            "ai.toolCall.result": '{"sky":"rain"}',
        }
    )
    assert (tool.operation, tool.is_call) == ("execute_tool", False)
    assert (tool.input_messages or ())[0].tool_calls == (CALL,)
    (answer,) = (tool.output_messages or ())[0].tool_responses
    assert (answer.name, answer.response) == ("get_weather", {"sky": "rain"})
    embedding = read(
        {
            "ai.operationId": "ai.embedMany.doEmbed",
            "ai.model.provider": "openai.embedding",
            "ai.values": ('"one"', '"two"'),
            "ai.usage.tokens": 8,
        }
    )
    assert (embedding.operation, embedding.provider, embedding.usage.input) == (
        "embeddings",
        "openai",
        8,
    )
    assert output_parts(embedding) == [("user", "one"), ("user", "two")]


def test_vercels_outer_span_is_not_a_genai_span() -> None:
    """It repeats the same tokens."""
    outer = span(71, "x", {"ai.operationId": "ai.generateText", "ai.usage.inputTokens": 5})
    assert GenAISpan.read(outer) is None


ADK = {
    "gen_ai.system": "gcp.vertex.agent",
    "gen_ai.request.model": "gemini-2.5-flash",
    "gcp.vertex.agent.session_id": "sess-7",
    "gcp.vertex.agent.llm_request": json.dumps(
        {
            "model": "gemini-2.5-flash",
            "config": {
                "system_instruction": "Be brief.",
                "tools": [
                    {
                        "function_declarations": [
                            {
                                "name": "get_weather",
                                "description": "Weather of a city",
                                "parameters": SCHEMA,
                            }
                        ]
                    }
                ],
            },
            "contents": [
                {"role": "user", "parts": [{"text": "Weather in Paris?"}]},
                {
                    "role": "model",
                    "parts": [
                        {
                            "function_call": {
                                "id": "c1",
                                "name": "get_weather",
                                "args": {"city": "Paris"},
                            }
                        }
                    ],
                },
                {
                    "role": "user",
                    "parts": [
                        {
                            "function_response": {
                                "id": "c1",
                                "name": "get_weather",
                                "response": {"result": "14 °C"},
                            }
                        }
                    ],
                },
            ],
        }
    ),
    "gcp.vertex.agent.llm_response": json.dumps(
        {
            "content": {
                "role": "model",
                "parts": [{"text": "It rains.", "thought": True}, {"text": "Rain."}],
            }
        }
    ),
    "gen_ai.usage.input_tokens": 20,
    "gen_ai.usage.output_tokens": 10,
    "gen_ai.response.finish_reasons": ("stop",),
}


def test_googles_adk_contents_are_read() -> None:
    """Contents in the format of Google's API, with calls, responses and thoughts."""
    view = read(ADK)
    assert (view.operation, view.provider, view.identity.session) == (
        "chat",
        "gcp.gen_ai",
        "sess-7",
    )
    messages = view.input_messages or ()
    assert [m.role for m in messages] == ["user", "assistant", "user"]
    assert (messages[0].text, messages[1].tool_calls) == ("Weather in Paris?", (CALL,))
    assert messages[2].tool_responses[0].response == {"result": "14 °C"}
    (answered,) = view.output_messages or ()
    assert (answered.role, answered.text, answered.reasoning) == (
        "assistant",
        "Rain.",
        "It rains.",
    )
    assert view.system_instructions == (Part("text", "Be brief."),)
    assert view.tool_definitions == (WEATHER,)


def test_googles_adk_without_content_has_no_messages() -> None:
    """It then writes empty objects."""
    empty = dict.fromkeys(("gcp.vertex.agent.llm_request", "gcp.vertex.agent.llm_response"), "{}")
    view = read({**ADK, **empty})
    assert (view.input_messages, view.output_messages, view.tool_definitions) == (None, None, None)


def test_spans_of_pydantic_ai_1_are_read() -> None:
    """The old events as one attribute, its token names and its cost."""
    events: list[dict[str, Any]] = [
        {"event.name": "gen_ai.system.message", "role": "system", "content": "Be brief."},
        {"event.name": "gen_ai.user.message", "role": "user", "content": "Weather in Paris?"},
        {
            "event.name": "gen_ai.choice",
            "index": 0,
            "message": {
                "role": "assistant",
                "tool_calls": [
                    {
                        "id": "c1",
                        "type": "function",
                        "function": {"name": "get_weather", "arguments": {"city": "Paris"}},
                    }
                ],
            },
        },
    ]
    tools = [
        {
            "name": "get_weather",
            "description": "Weather of a city",
            "parameters_json_schema": SCHEMA,
        }
    ]
    view = read(
        {
            "gen_ai.operation.name": "chat",
            "gen_ai.system": "openai",
            "events": json.dumps(events),
            "model_request_parameters": json.dumps({"function_tools": tools}),
            "gen_ai.usage.input_tokens": 120,
            "gen_ai.usage.details.cache_read_tokens": 100,
            "gen_ai.usage.output_tokens": 40,
            "gen_ai.usage.details.reasoning_tokens": 16,
            "operation.cost": 4.2e-05,
        }
    )
    assert output_parts(view) == [("system", "Be brief."), ("user", "Weather in Paris?")]
    assert [m.tool_calls for m in view.output_messages or ()] == [(CALL,)]
    assert view.tool_definitions == (WEATHER,)
    assert (view.usage.cache_read, view.usage.reasoning, view.cost.total) == (100, 16, 4.2e-05)


def test_pydantic_ai_tools_are_read() -> None:
    """The arguments and the result of a tool."""
    view = read(
        {
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": "get_weather",
            "gen_ai.tool.call.id": "c1",
            "gen_ai.tool.call.arguments": '{"city":"Paris"}',
            "gen_ai.tool.call.result": "14 °C",
        }
    )
    assert (view.input_messages or ())[0].tool_calls == (CALL,)
    assert (view.output_messages or ())[0].tool_responses[0].response == "14 °C"


def test_logfires_own_openai_instrumentation_is_read() -> None:
    """Request and response as JSON, streams by their text."""
    asked = {"messages": [{"role": "user", "content": "Hi"}], "model": "gpt-4o-mini"}
    for answer in (
        {"message": {"role": "assistant", "content": "Hello"}},
        {"combined_chunk_content": "Hello", "chunk_count": 2},
    ):
        view = read(
            {
                "gen_ai.system": "openai",
                "request_data": json.dumps(asked),
                "response_data": json.dumps(answer),
            }
        )
        assert output_parts(view) == [("user", "Hi")]
        assert [(m.role, m.text) for m in view.output_messages or ()] == [("assistant", "Hello")]


@pytest.mark.parametrize(
    ("prompt", "completion"),
    [
        (
            {"messages": [{"role": "user", "content": "Hi"}], "model": "gpt-4o-mini"},
            {"id": "x", "choices": [{"message": {"role": "assistant", "content": "Hello"}}]},
        ),
        (
            {
                "messages": [
                    [
                        {
                            "lc": 1,
                            "type": "constructor",
                            "id": ["langchain", "HumanMessage"],
                            "kwargs": {"content": "Hi", "type": "human"},
                        }
                    ]
                ]
            },
            {
                "generations": [
                    [
                        {
                            "text": "Hello",
                            "message": {"lc": 1, "kwargs": {"content": "Hello", "type": "ai"}},
                        }
                    ]
                ]
            },
        ),
    ],
    ids=["OpenAI", "LangChain"],
)
def test_langsmith_runs_are_read(prompt: Any, completion: Any) -> None:
    """From its OpenTelemetry exporter."""
    view = read(
        {
            "langsmith.span.kind": "llm",
            "gen_ai.system": "openai",
            "gen_ai.prompt": json.dumps(prompt),
            "gen_ai.completion": json.dumps(completion),
            "langsmith.metadata.session_id": "sess-7",
        }
    )
    assert (view.operation, view.identity.session) == ("chat", "sess-7")
    assert output_parts(view) == [("user", "Hi")]
    assert [(m.role, m.text) for m in view.output_messages or ()] == [("assistant", "Hello")]


def test_langtrace_content_is_read_from_events() -> None:
    """Its content is in events of the first convention."""
    view = read(
        {"langtrace.service.type": "llm", "gen_ai.operation.name": "chat"},
        [
            Event("gen_ai.content.prompt", {"gen_ai.prompt": '[{"role":"user","content":"Hi"}]'}),
            Event("gen_ai.content.completion", {"gen_ai.completion": "Hello"}),
        ],
    )
    assert output_parts(view) == [("user", "Hi")]
    assert [m.text for m in view.output_messages or ()] == ["Hello"]


def test_openinference_tools_and_retrievers_have_their_texts() -> None:
    """Embeddings, too."""
    embedding = read(
        {
            "openinference.span.kind": "EMBEDDING",
            "embedding.embeddings.0.embedding.text": "one",
            "embedding.embeddings.0.embedding.vector": (0.1, 0.2),
        }
    )
    assert output_parts(embedding) == [("user", "one")]
    tool = read(
        {
            "openinference.span.kind": "TOOL",
            "tool.name": "get_weather",
            "input.value": '{"city":"Paris"}',
            "output.value": "14 °C",
        }
    )
    assert (tool.input_messages or ())[0].tool_calls[0].arguments == {"city": "Paris"}
    assert (tool.output_messages or ())[0].tool_responses[0].response == "14 °C"
    retriever = read(
        {
            "openinference.span.kind": "RETRIEVER",
            "input.value": "What is Paris?",
            "retrieval.documents.0.document.content": "A city.",
            "retrieval.documents.1.document.content": "A person.",
        }
    )
    assert output_parts(retriever) == [("user", "What is Paris?")]
    assert [m.text for m in retriever.output_messages or ()] == ["A city.", "A person."]


SHAPES = {
    "Anthropic's call": (
        {"type": "tool_use", "id": "c1", "name": "get_weather", "input": {"city": "Paris"}},
        CALL,
    ),
    "Anthropic's answer": (
        {"type": "tool_result", "tool_use_id": "c1", "content": "14 °C"},
        Part("tool_call_response", id="c1", response="14 °C"),
    ),
    "Anthropic's thought": (
        {"type": "thinking", "thinking": "Hm.", "signature": "x"},
        Part("reasoning", "Hm."),
    ),
    "Anthropic's picture": (
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AA=="}},
        Part("blob", "AA==", modality="image", mime_type="image/png"),
    ),
    "Anthropic's link": (
        {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}},
        Part("uri", modality="image", uri="https://example.com/a.png"),
    ),
    "OpenAI's sound": (
        {"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}},
        Part("blob", "AA==", modality="audio", mime_type="audio/wav"),
    ),
    "OpenAI's file": ({"type": "file", "file": {"file_id": "f1"}}, Part("file", file_id="f1")),
    "Vercel's picture": (
        {"type": "image", "image": "data:image/png;base64,AA=="},
        Part("blob", "AA==", modality="image", mime_type="image/png"),
    ),
    "Google's picture": (
        {"inline_data": {"mime_type": "image/png", "data": "AA=="}},
        Part("blob", "AA==", modality="image", mime_type="image/png"),
    ),
    "Google's thought": ({"text": "Hm.", "thought": True}, Part("reasoning", "Hm.")),
    "Google's code": (
        {"executableCode": {"language": "PYTHON", "code": "1+1"}},
        Part(
            "tool_call",
            name="code_execution",
            arguments={"language": "PYTHON", "code": "1+1"},
        ),
    ),
    "Google's answer": (
        {"functionResponse": {"id": "c1", "name": "get_weather", "response": {"is": "rain"}}},
        Part("tool_call_response", id="c1", name="get_weather", response={"is": "rain"}),
    ),
    "Bedrock's text": ({"text": "Hello"}, Part("text", "Hello")),
    "Bedrock's picture": (
        {"image": {"format": "png", "source": {"bytes": "AA=="}}},
        Part("blob", "AA==", modality="image", mime_type="image/png"),
    ),
    "Bedrock's call": (
        {"toolUse": {"toolUseId": "c1", "name": "get_weather", "input": {"city": "Paris"}}},
        CALL,
    ),
    "Bedrock's answer": (
        {"toolResult": {"toolUseId": "c1", "content": [{"text": "14 °C"}]}},
        Part("tool_call_response", id="c1", response="14 °C"),
    ),
    "Bedrock's thought": (
        {"reasoningContent": {"reasoningText": {"text": "Hm.", "signature": "x"}}},
        Part("reasoning", "Hm."),
    ),
    "MCP's resource": (
        {"type": "resource", "resource": {"uri": "file:///a", "text": "all of it"}},
        Part("text", "all of it"),
    ),
    "MCP's sound": (
        {"type": "audio", "data": "AA==", "mimeType": "audio/wav"},
        Part("blob", "AA==", modality="audio", mime_type="audio/wav"),
    ),
    "Google's file": (
        {"fileData": {"mimeType": "video/mp4", "fileUri": "gs://b/v.mp4"}},
        Part("uri", modality="video", mime_type="video/mp4", uri="gs://b/v.mp4"),
    ),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_message_parts_of_providers_apis_are_read(shape: str) -> None:
    """As instrumentations that copy the request write them."""
    theirs, ours = SHAPES[shape]
    messages = [{"role": "user", "content": [theirs]}]
    view = read({"gen_ai.system": "x", "gen_ai.prompt": json.dumps(messages)})
    assert (view.input_messages or ())[0].parts == (ours,)


def test_items_of_the_responses_api_are_read() -> None:
    """Tool calls and results are items beside the messages."""
    items = [
        {"role": "user", "content": [{"type": "input_text", "text": "Weather?"}]},
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm."}]},
        {
            "type": "function_call",
            "id": "fc_1",
            "call_id": "c1",
            "name": "get_weather",
            "arguments": '{"city":"Paris"}',
        },
        {"type": "function_call_output", "call_id": "c1", "output": "14 °C"},
    ]
    messages = read({"gen_ai.system": "x", "gen_ai.prompt": json.dumps(items)}).input_messages or ()
    assert [m.role for m in messages] == ["user", "assistant", "assistant", "tool"]
    assert (messages[1].reasoning, messages[2].tool_calls) == ("Hm.", (CALL,))
    assert messages[3].tool_responses[0].response == "14 °C"


@pytest.mark.parametrize(
    ("attributes", "usage"),
    [
        ({"input": 20, "output": 5, "cache_read.input": 100}, (120, 5)),
        ({"input": 20, "output": 5, "cache_creation.input": 30}, (50, 5)),
        ({"input": 120, "output": 5, "cache_read.input": 100}, (120, 5)),
        ({"input": 20, "output": 5, "reasoning.output": 9}, (20, 14)),
    ],
)
def test_totals_include_cached_and_reasoning_tokens(
    attributes: dict[str, int], usage: tuple[int, int]
) -> None:
    """For every instrumentation, also those that report them separately."""
    shown = {f"gen_ai.usage.{name}_tokens": tokens for name, tokens in attributes.items()}
    used = read({"gen_ai.system": "anthropic", **shown}).usage
    assert (used.input, used.output) == usage


@pytest.mark.parametrize(
    ("attributes", "cost", "stream"),
    [
        ({"gen_ai.cost.total_cost": 0.5, "llm.is_streaming": "True"}, 0.5, True),
        ({"gen_ai.cost.total_tokens": 0.5, "gen_ai.response.streaming": False}, 0.5, False),
        ({"gen_ai.usage.cost": 0.5, "gen_ai.request.is_stream": True}, 0.5, True),
    ],
    ids=["LiteLLM", "Sentry", "OpenLIT"],
)
def test_cost_and_stream_are_read_under_other_names(
    attributes: dict[str, Any], cost: float, stream: bool
) -> None:
    """The names of other instrumentations."""
    view = read({"gen_ai.system": "openai", **attributes})
    assert (view.cost.total, view.request.stream) == (cost, stream)


WORDS = [
    *(
        "type",
        "role",
        "content",
        "parts",
        "text",
        "toolCallId",
        "input",
        "args",
        "output",
        "result",
    ),
    *("function_call", "functionCall", "function_response", "inline_data", "file_data", "source"),
    *("data", "media_type", "image", "url", "file", "summary", "thinking", "tool_calls", "name"),
    *(
        "result",
        "kwargs",
        "messages",
        "choices",
        "generations",
        "message",
        "prompt",
        "config",
        "contents",
    ),
    *("system_instruction", "tools", "function_declarations", "event.name", "input_audio"),
]
VALUES = [
    *("text", "tool-call", "tool_use", "tool-result", "function_call", "reasoning", "image"),
    *("file", "input_audio", "assistant", "tool", "gen_ai.choice", "data:image/png;base64,AA"),
    *("http://x", "", None, 1, True, 2**80, 1.5, '{"a":1}', "\ud83d"),
]
NAMES = [
    *(name for sources in framework_content.SOURCES.values() for name, _ in sources),
    *(
        *framework_content.TEXTS,
        *framework_content.CALLS,
        *framework_content.ARGUMENTS,
        *framework_content.RESULT,
        *(name for names in framework_content.ANY.values() for name in names),
    ),
    *(*frameworks.VERCEL, *frameworks.OTHERS, frameworks.MILLISECONDS, "gen_ai.prompt"),
]


def rubbish(depth: int, pick: random.Random) -> Any:
    """JSON with the words that matter, in any order."""
    chance = pick.random()
    if depth == 0 or chance < 0.3:
        return pick.choice(VALUES)
    if chance < 0.65:
        return {pick.choice(WORDS): rubbish(depth - 1, pick) for _ in range(pick.randint(0, 5))}
    return [rubbish(depth - 1, pick) for _ in range(pick.randint(0, 3))]


@pytest.mark.parametrize("seed", range(300))
def test_malformed_content_never_raises(seed: int) -> None:
    """It is read or left out."""
    pick = random.Random(seed)
    attributes: dict[str, Any] = {"gen_ai.operation.name": pick.choice(["chat", "execute_tool"])}
    for name in pick.sample(NAMES, pick.randint(1, 8)):
        value = rubbish(5, pick)
        attributes[name] = json.dumps(value) if pick.random() < 0.8 else value
    view = read(attributes)
    for messages in (view.input_messages, view.output_messages):
        json.dumps([message.to_json() for message in messages or ()], allow_nan=False)
    json.dumps([openai.input_of(view), openai.output_of(view), openai.tools(view)], allow_nan=False)
    assert view.tool_definitions is None or isinstance(view.tool_definitions, tuple)
    assert view.system_instructions is None or isinstance(view.system_instructions, tuple)


def test_attributes_with_content_are_recognized() -> None:
    """Attributes with messages count as content; names and counts do not."""
    held = [
        *("gen_ai.input.messages", "gen_ai.prompt.0.content", "gen_ai.prompt", "input.value"),
        *("llm.input_messages.0.message.content", "ai.prompt.messages", "ai.response.text"),
        *("gcp.vertex.agent.llm_request", "events", "gen_ai.tool.call.arguments"),
    ]
    held += [
        *("llm.prompt_template.variables", "traceloop.prompt.template", "llm.function_call"),
        *("reranker.query", "reranker.input_documents.0.document.content"),
        "gen_ai.retrieval.query.text",
    ]
    other = ["gen_ai.prompt.name", "gen_ai.usage.input_tokens", "gen_ai.request.model", "user.id"]
    assert [is_content(name) for name in (*held, *other)] == [True] * 16 + [False] * 4


def test_numbered_messages_without_roles_are_read() -> None:
    """OpenLLMetry's Replicate, Bedrock and Anthropic: `user` prompts, answers without role."""
    view = read(
        {
            "gen_ai.system": "Replicate",
            "gen_ai.operation.name": "chat",
            "gen_ai.prompt.name": "jokes",
            "gen_ai.prompt.0.user": "Tell me a joke",
            "gen_ai.completion.0.content": "Ha",
        }
    )
    assert output_parts(view) == [("user", "Tell me a joke")]
    assert [(m.role, m.text) for m in view.output_messages or ()] == [("assistant", "Ha")]


def test_thinking_in_a_separate_message_is_reasoning() -> None:
    """OpenLLMetry's Anthropic: it is merged into the answer, if there is one."""
    thought = {
        "gen_ai.operation.name": "chat",
        "gen_ai.completion.0.role": "thinking",
        "gen_ai.completion.0.content": "I add.",
    }
    answer = {"gen_ai.completion.1.role": "assistant", "gen_ai.completion.1.content": "4"}
    for attributes, text in ((thought | answer, "4"), (thought, "")):
        (message,) = read(attributes).output_messages or ()
        assert (message.role, message.reasoning, message.text) == ("assistant", "I add.", text)


@pytest.mark.parametrize(
    "message",
    [
        {"role": "assistant", "content": None, "refusal": "I can not."},
        {"role": "assistant", "content": [{"type": "refusal", "refusal": "I can not."}]},
        {"role": "assistant", "parts": [{"type": "refusal", "refusal": "I can not."}]},
    ],
    ids=["field", "content", "part"],
)
def test_a_refusal_is_text(message: dict[str, Any]) -> None:
    """OpenAI has a separate field for it."""
    view = read({"gen_ai.operation.name": "chat", "gen_ai.output.messages": json.dumps([message])})
    (answer,) = view.output_messages or ()
    assert answer.text == "I can not."


def test_openais_old_function_call_is_read() -> None:
    """From before there were several tool calls."""
    call = {"name": "get_weather", "arguments": '{"city": "Paris"}'}
    output_parts = [{"role": "assistant", "content": None, "function_call": call}]
    view = read(
        {"gen_ai.operation.name": "chat", "gen_ai.output.messages": json.dumps(output_parts)}
    )
    (answer,) = view.output_messages or ()
    assert [(c.name, c.arguments) for c in answer.tool_calls] == [("get_weather", CALL.arguments)]


AGENT: dict[str, Any] = {
    "gen_ai.operation.name": "invoke_agent",
    "gen_ai.request.model": "claude",
    "gen_ai.usage.input_tokens": 1000,
    "gen_ai.usage.prompt_tokens": 1000,
    "gen_ai.usage.cache_write_input_tokens": 7,
    "llm.token_count.completion": 50,
    "operation.cost": 0.5,
}
"""Strands, Pydantic AI and others give an agent the sums of its calls."""


def test_agents_have_no_tokens_and_costs_because_their_calls_have_them() -> None:
    """Else a service shows each token twice."""
    agent = read(AGENT)
    assert not agent.is_call
    assert (agent.usage.total, agent.usage.cache_creation, agent.cost.total) == (None, None, None)
    assert not any("usage" in name or "cost" in name for name in agent.facts)
    call = read({**AGENT, "gen_ai.operation.name": "chat"})
    assert (call.usage.total, call.usage.cache_creation, call.cost.total) == (1050, 7, 0.5)


@pytest.mark.parametrize(
    ("attributes", "operation", "is_call"),
    [
        ({"gen_ai.system": "strands-agents", "event_loop.cycle_id": "1"}, "", False),
        ({"gen_ai.operation.name": "execute_event_loop_cycle"}, "execute_event_loop_cycle", False),
        ({"gen_ai.operation.name": "vectordb", "db.system": "chroma"}, "vectordb", False),
        ({"gen_ai.operation.name": "chat.completions"}, "chat", True),
        ({"gen_ai.operation.name": "text.completions"}, "text_completion", True),
        ({"gen_ai.operation.name": "dream", "gen_ai.request.model": "m"}, "dream", True),
        ({"gen_ai.system": "gcp.vertex.agent", "gen_ai.request.model": "m"}, "chat", True),
        ({"gen_ai.operation.name": "chat"}, "chat", True),
    ],
)
def test_unknown_operations_are_calls_if_they_name_a_model(
    attributes: dict[str, Any], operation: str, is_call: bool
) -> None:
    """A cycle of an agent, or a query of a database, is no call."""
    view = read(attributes)
    assert (view.operation, view.is_call) == (operation, is_call)


@pytest.mark.parametrize(
    ("attributes", "seconds"),
    [
        ({"gen_ai.system": "strands-agents", "gen_ai.server.time_to_first_token": 250}, 0.25),
        ({"gen_ai.system": "openai", "gen_ai.server.time_to_first_token": 0.25}, 0.25),
        ({"gen_ai.system": "openai", "ai.response.msToFirstChunk": 250.0}, 0.25),
        ({"gen_ai.system": "x", "gen_ai.response.time_to_first_chunk": 0.25}, 0.25),
    ],
    ids=["Strands", "OpenLIT", "Vercel", "conventions"],
)
def test_the_first_chunk_is_in_seconds(attributes: dict[str, Any], seconds: float) -> None:
    """Strands and Vercel record milliseconds."""
    assert read(attributes).response.time_to_first_chunk == seconds


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ('[{"text": "Sunny"}]', "Sunny"),
        ('{"content": "Sunny"}', "Sunny"),
        ("Sunny", "Sunny"),
        ("42", "42"),
        ("[sic]", "[sic]"),
    ],
)
def test_a_choice_event_has_parts_a_message_or_text(message: str, shown: str) -> None:
    """Strands writes the parts of Bedrock's Converse."""
    view = read({"gen_ai.system": "x"}, [Event("gen_ai.choice", {"message": message})])
    assert [answer.text for answer in view.output_messages or ()] == [shown]


def test_an_error_type_is_a_failure_even_if_the_status_is_unset() -> None:
    """Not if it is OK, and not an exception event alone, which may have been handled."""
    failed = read({"gen_ai.system": "x", "error.type": "TimeoutError"})
    assert failed.error is not None
    assert (failed.error.type, failed.call.outcome) == ("TimeoutError", "failure")
    handled = read({"gen_ai.system": "x"}, [Event("exception", {"exception.type": "E"})])
    assert (handled.error, handled.call.outcome) == (None, "success")


def test_a_text_part_without_text_is_empty() -> None:
    """Not the word null."""
    parts = [{"type": "text", "content": None}]
    messages = json.dumps([{"role": "assistant", "parts": parts}])
    (message,) = (
        read({"gen_ai.system": "x", "gen_ai.output.messages": messages}).output_messages or ()
    )
    assert message.text == ""


@pytest.mark.parametrize(
    ("recorded", "shown"),
    [("FinishReason.STOP", "stop"), ("FinishReason.TOOL_CALLS", "tool_calls"), ("stop", "stop")],
)
def test_finish_reasons_of_enums_are_those_of_the_api(recorded: str, shown: str) -> None:
    """Semantic Kernel writes the name of the enum."""
    view = read({"gen_ai.system": "x", "gen_ai.response.finish_reason": recorded})
    assert openai.finish_reason(view, 0) == shown


@pytest.mark.parametrize(
    ("attributes", "events"),
    [
        ({"llm.prompts": ("Hello", "Bye")}, ()),
        ({"input.value": '["Hello", "Bye"]'}, ()),
        ({}, [Event("gen_ai.content.prompt", {"gen_ai.prompt": '["Hello", "Bye"]'})]),
        ({}, [Event("gen_ai.user.message", {"gen_ai.event.content": t}) for t in ("Hello", "Bye")]),
        ({"llm.prompts": ("Hello", '{"role": "user", "content": "Bye"}')}, ()),
    ],
)  # fmt: skip
def test_a_list_of_texts_has_a_message_for_each(attributes: dict[str, Any], events: Any) -> None:
    """Prompts of a completion, inputs of an embedding, and texts in events."""
    view = read({"gen_ai.system": "openai", "gen_ai.request.model": "m", **attributes}, events)
    assert [(m.role, m.text) for m in view.input_messages or ()] == [
        ("user", "Hello"),
        ("user", "Bye"),
    ]


def test_a_rerank_of_openinference_has_its_query_and_documents() -> None:
    """The query is the input, the best documents are the output."""
    view = read(
        {
            "openinference.span.kind": "RERANKER",
            "reranker.model_name": "rerank-v3.5",
            "reranker.query": "capital of Italy",
            "reranker.input_documents.0.document.content": "Oslo",
            "reranker.output_documents.0.document.content": "Rome",
            "reranker.output_documents.0.document.score": 0.9,
        }
    )
    assert (view.operation, view.model, view.is_call) == ("rerank", "rerank-v3.5", True)
    assert [m.text for m in view.input_messages or ()] == ["capital of Italy"]
    assert [m.text for m in view.output_messages or ()] == ["Rome"]


def test_a_streamed_message_of_langchain_is_the_assistants() -> None:
    """Its type is `AIMessageChunk`, not `ai`."""
    message = {"kwargs": {"type": "AIMessageChunk", "content": "Hi"}}
    view = read({"gen_ai.system": "x", "output.value": json.dumps({"generations": [[message]]})})
    assert [(m.role, m.text) for m in view.output_messages or ()] == [("assistant", "Hi")]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("traceloop.span.kind", "workflow"),
        ("traceloop.span.kind", "task"),
        ("openinference.span.kind", "CHAIN"),
        ("langsmith.span.kind", "chain"),
    ],
)
def test_the_structure_of_a_program_is_no_call(name: str, kind: str) -> None:
    """Even with a provider, a model and tokens, which sum up the calls below it."""
    named = {"gen_ai.system": "langchain", "gen_ai.request.model": "m"}
    view = read({name: kind, **named, "gen_ai.usage.input_tokens": 9})
    assert (view.is_call, view.usage.input) == (False, None)


def test_users_and_dimensions_of_openlit_are_read() -> None:
    """It writes an empty user if there is none."""
    asked = {"gen_ai.system": "openai", "gen_ai.request.embedding_dimension": 256}
    view = read({**asked, "gen_ai.request.user": "ann"})
    assert (view.identity.user, view.request.dimensions) == ("ann", 256)
    assert read({**asked, "gen_ai.request.user": ""}).identity.user is None
