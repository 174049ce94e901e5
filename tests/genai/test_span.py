"""`ReadableSpan` → `GenAISpan`: litespan's own spans, the conventions' variants, rubbish."""

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import FrozenInstanceError, fields, replace
from decimal import Decimal
from types import MappingProxyType
from typing import Any
from uuid import UUID, uuid5

import pytest
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.trace import SpanContext

from litespan import semconv
from litespan.export import (
    Call,
    Cost,
    Error,
    GenAISpan,
    Identity,
    Message,
    Part,
    Request,
    Response,
    Stage,
    ToolDefinition,
    Usage,
    is_genai,
    is_router,
    key_of,
)
from litespan.genai import content
from litespan.genai import conventions as c
from litespan.genai.keys import NAMESPACE
from tests.cases import CASES, MS, OTHERS, START_NS, STARTED, span


def view(case: str) -> GenAISpan:
    """The view of a canonical span."""
    read = GenAISpan.read(CASES[case])
    assert read is not None
    return read


def made(
    attributes: Mapping[str, Any], events: Sequence[Event] = (), scope: str = "someone.else"
) -> GenAISpan:
    """The view of a foreign span with these attributes."""
    read = GenAISpan.read(span(50, "chat", attributes, events, scope=scope))
    assert read is not None
    return read


class TestOwn:
    """Spans that litespan wrote."""

    def test_ids_are_hex_and_times_nanoseconds(self) -> None:
        """The duration is in seconds."""
        v = view("chat")
        assert (v.trace_id, v.span_id, v.parent_span_id, v.start_ns, v.end_ns, v.duration) == (
            "5b8efff798038103d269b633813fc60c",
            "eee19b7ec3c10001",
            "0af7651916cd43dd",
            START_NS,
            START_NS + 1250 * MS,
            1.25,
        )

    def test_the_key_is_a_stable_uuid5_of_trace_and_span_id(self) -> None:
        """It never changes between releases."""
        v = view("chat")
        assert v.key == key_of(v.trace_id, v.span_id)
        assert v.key == UUID("b111a779-bc98-57da-a591-38ead8c07126")
        for number in range(1, 50):  # all variants of the bits that a uuid5 sets itself
            trace_id, span_id = f"{number:032x}", f"{number:016x}"
            assert key_of(trace_id, span_id) == uuid5(NAMESPACE, f"{trace_id}:{span_id}")
        assert v.key_text == str(v.key)

    def test_identity_has_metadata_without_its_prefix(self) -> None:
        """The identity of the caller."""
        assert view("chat").identity == Identity(
            user="user-42",
            session="sess-7",
            tags=("checkout", "beta"),
            metadata={"feature": "refund", "experiment": 3},
            team_id="team-1",
            team_alias="payments",
            organization_id=None,
            project_id=None,
            end_user_id="customer-9",
            api_key_hash="88dc28d0f030c55ed4ab77ed8faf098196cb1c05df778539800c9f1243fe6b4b",
            api_key_alias="prod-key",
            route=None,
            user_agent=None,
        )

    def test_request_parameters_have_plain_names(self) -> None:
        """The parameters of the request."""
        assert view("chat").request == Request(
            model="gpt-4o-mini",
            stream=False,
            server_address="api.openai.com",
            server_port=443,
            parameters={
                "max_tokens": 256,
                "temperature": 0.2,
                "top_p": 0.9,
                "stop_sequences": ("\n\n",),
                "seed": 42,
            },
            output_type=None,
            dimensions=None,
            prompt_name="greeting",
            prompt_version="3",
        )

    def test_the_response_has_the_first_chunks_time_in_seconds(self) -> None:
        """And the other facts of the response."""
        assert view("stream").response == Response(
            id="chatcmpl-AbC123",
            model="gpt-4o-mini-2024-07-18",
            finish_reasons=("stop",),
            time_to_first_chunk=0.31,
            service_tier=None,
            system_fingerprint=None,
        )

    def test_usage_has_all_tokens_and_cost_is_in_usd(self) -> None:
        """All token counts, and all amounts in USD."""
        v = view("reasoning_cached")
        assert (v.usage, v.usage.total) == (Usage(2048, 700, 1536, 256, 640, "provider"), 2748)
        assert v.cost == Cost(
            total=0.0040656,
            input=0.0009856,
            output=0.00308,
            cache_read=0.0004224,
            cache_creation=None,
            reasoning=0.002816,
            tool_usage=None,
            saved=None,
            source="litellm",
        )
        assert v.exact_cost == Decimal("0.0040656")

    def test_tokens_with_other_prices_are_read(self) -> None:
        """Audio, and cache writes by duration."""
        attributes = {
            "gen_ai.operation.name": "chat",
            "gen_ai.usage.audio.input_tokens": 4,
            "gen_ai.usage.audio.output_tokens": 5,
            "litellm.usage.cache_creation.ephemeral_5m_input_tokens": 6,
            "litellm.usage.cache_creation.ephemeral_1h_input_tokens": 7,
        }
        v = GenAISpan.read(span(1, "chat", attributes))
        assert v is not None
        assert (v.usage.audio_input, v.usage.audio_output) == (4, 5)
        assert (v.usage.cache_creation_5m, v.usage.cache_creation_1h) == (6, 7)

    def test_impossible_costs_and_token_counts_are_unknown(self) -> None:
        """From any instrumentation, so sums over spans stay correct."""
        attributes = {
            "gen_ai.operation.name": "chat",
            "gen_ai.usage.input_tokens": 10**18,
            "gen_ai.usage.cost": 1e300,
        }
        v = GenAISpan.read(span(1, "chat", attributes))
        assert v is not None
        assert (v.usage.input, v.cost.total) == (None, None)

    def test_unknown_is_none_and_free_is_zero(self) -> None:
        """An unknown cost is None; a response-cache hit has cost 0 and its saving."""
        assert (view("failure").cost.total, view("failure").usage.total) == (None, None)
        hit = view("cache_hit")
        assert (hit.exact_cost, hit.cost.saved, hit.call.cache_hit) == (Decimal(0), 9e-06, True)

    def test_the_call_has_its_attempt_and_deployment(self) -> None:
        """And its call id."""
        assert view("attempt").call == Call(
            id="00000000-0000-4000-8000-000000000011",
            type="completion",
            attempt=2,
            model_group="fast",
            deployment_id="deployment-b",
            fallback_from="smart",
            fallback_to="fast",
            provider_model="gpt-4o-mini",
            provider_request_id="req_8f14e45f",
            outcome="success",
            cache_hit=None,
            stream_end=None,
            chunks=None,
        )

    def test_an_error_has_type_message_and_http_status(self) -> None:
        """Type, message and HTTP status of a failure."""
        assert view("failure").error == Error(
            "AuthenticationError", "AuthenticationError: Incorrect API key provided", 401
        )

    @pytest.mark.parametrize(
        ("case", "outcome", "end", "failed"),
        [
            ("chat", "success", None, False),
            ("stream", "success", "complete", False),
            ("abandoned", "abandoned", "abandoned", False),
            ("cancelled", "cancelled", "cancelled", False),
            ("dropped", "failure", "dropped", True),
            ("failure", "failure", None, True),
        ],
    )
    def test_the_outcome_follows_the_end_and_the_status(
        self, case: str, outcome: str, end: str | None, failed: bool
    ) -> None:
        """There is an error only if the status is ERROR."""
        v = view(case)
        assert (v.call.outcome, v.call.stream_end, v.error is not None) == (outcome, end, failed)

    def test_stages_are_in_order_of_time_without_their_prefix(self) -> None:
        """`litellm.pre_api_call` is `pre_api_call`."""
        (pre, *_), names = view("stream").stages, [s.name for s in view("stream").stages]
        assert pre == Stage("pre_api_call", START_NS + 2 * MS, {"litellm.attempt": 1})
        assert names == ["pre_api_call", "post_api_call", "stream_chunk", "success"]

    def test_the_service_comes_from_the_resource(self) -> None:
        """Name, version and environment."""
        service = view("chat").service
        assert (service.name, service.version, service.environment) == (
            "checkout-bot",
            "1.4.2",
            "production",
        )

    def test_an_embedding_has_dimensions_and_no_messages(self) -> None:
        """An embedding has dimensions and no messages."""
        v = view("embedding")
        assert (v.operation, v.request.dimensions, v.input_messages, v.output_messages) == (
            "embeddings",
            1536,
            None,
            None,
        )

    def test_a_span_without_an_end_is_a_started_call(self) -> None:
        """A span that has not ended is a started call."""
        v = GenAISpan.read(STARTED)
        assert v is not None
        assert (v.call.outcome, v.end_ns, v.duration) == ("started", None, None)

    def test_the_view_cannot_be_changed(self) -> None:
        """It is frozen."""
        with pytest.raises(FrozenInstanceError):
            view("chat").name = "other"  # type: ignore[misc]

    def test_repr_has_no_content(self) -> None:
        """The view can be logged without messages."""
        v = view("chat")
        assert v.input_messages is not None
        assert "Say hello" not in repr(v)


class TestContent:
    """Messages, instructions and tools."""

    def test_messages_follow_the_conventions_parts_schema(self) -> None:
        """As JSON objects."""
        v = view("tool_call")
        assert v.input_messages == (
            Message("user", (Part("text", "Weather in Paris and Rome?"),)),
            Message(
                "assistant",
                (Part("tool_call", id="call_1", name="get_weather", arguments={"city": "Paris"}),),
            ),
            Message("tool", (Part("tool_call_response", id="call_1", response="14 °C, rain"),)),
        )
        (answer,) = v.output_messages or ()
        assert (answer.text, [call.arguments for call in answer.tool_calls]) == (
            "Paris is wet. Now Rome.",
            [{"city": "Rome"}],
        )
        assert [tool.name for tool in v.tool_definitions or ()] == ["get_weather"]

    def test_reasoning_is_separate_from_text_and_instructions_are_parts(self) -> None:
        """Reasoning is apart from text; instructions are parts."""
        (answer,) = view("reasoning_cached").output_messages or ()
        assert (answer.reasoning, answer.text) == ("Sieve: 25.", "25")
        assert view("multimodal").system_instructions == (Part("text", "Describe pictures."),)

    @pytest.mark.parametrize("case", [name for name in CASES if name != "huge"])
    def test_to_json_returns_the_recorded_json(self, case: str) -> None:
        """The bytes are those of the attribute."""
        v = view(case)
        for name, messages in (
            (semconv.INPUT_MESSAGES, v.input_messages),
            (semconv.OUTPUT_MESSAGES, v.output_messages),
        ):
            written = v.attributes.get(name)
            expected = json.loads(written) if isinstance(written, str) else None
            assert (None if messages is None else [m.to_json() for m in messages]) == expected

    def test_absent_content_is_none(self) -> None:
        """It is not an empty list."""
        v = view("content_off")
        assert (v.input_messages, v.output_messages, v.system_instructions, v.tool_definitions) == (
            None,
            None,
            None,
            None,
        )

    def test_content_is_parsed_once_at_first_use(self) -> None:
        """Exporters without content never parse it."""
        v = view("chat")
        assert v.input_messages is v.input_messages

    def test_facts_are_the_attributes_without_content(self) -> None:
        """Facts are the attributes without content."""
        v = view("tool_call")
        assert v.facts.keys() == v.attributes.keys() - c.CONTENT


INPUT = (Message("user", (Part("text", "Hi"),)),)
ANSWERED = (Message("assistant", (Part("text", "Hello"),), finish_reason="stop"),)
CHAT = {"gen_ai.operation.name": "chat"}


@pytest.mark.parametrize(
    ("attributes", "events"),
    [
        pytest.param(
            {
                "gen_ai.input.messages": '[{"role":"user","parts":[{"content":"Hi"}]}]',
                "gen_ai.output.messages": json.dumps(
                    [
                        {
                            "role": "assistant",
                            "parts": [{"type": "text", "content": "Hello"}],
                            "finish_reason": "stop",
                        }
                    ]
                ),
            },
            [],
            id="JSON strings",
        ),
        pytest.param(
            {
                "gen_ai.input.messages": (
                    MappingProxyType(
                        {"role": "user", "parts": ({"type": "text", "content": "Hi"},)}
                    ),
                ),
                "gen_ai.output.messages": [
                    {
                        "role": "assistant",
                        "parts": [{"type": "text", "content": "Hello"}],
                        "finish_reason": "stop",
                    }
                ],
            },
            [],
            id="structured values",
        ),
        pytest.param(
            {},
            [
                Event(
                    "gen_ai.client.inference.operation.details",
                    {
                        "gen_ai.input.messages": '[{"role":"user","parts":["Hi"]}]',
                        "gen_ai.output.messages": json.dumps(
                            [{"role": "assistant", "parts": ["Hello"], "finish_reason": "stop"}]
                        ),
                    },
                )
            ],
            id="the details event",
        ),
        pytest.param(
            {},
            [
                Event("gen_ai.user.message", {"gen_ai.system": "openai", "content": "Hi"}),
                Event(
                    "gen_ai.choice",
                    {"index": 0, "finish_reason": "stop", "message": '{"content": "Hello"}'},
                ),
            ],
            id="message events, flat",
        ),
        pytest.param(
            {},
            [
                Event("gen_ai.user.message", {"gen_ai.event.content": '{"content": "Hi"}'}),
                Event(
                    "gen_ai.choice",
                    {
                        "gen_ai.event.content": json.dumps(
                            {"message": {"content": "Hello"}, "finish_reason": "stop", "index": 0}
                        )
                    },
                ),
            ],
            id="message events, JSON body",
        ),
        pytest.param(
            {
                "gen_ai.prompt": '[{"role": "user", "content": "Hi"}]',
                "gen_ai.completion": json.dumps(
                    [{"role": "assistant", "content": "Hello", "finish_reason": "stop"}]
                ),
            },
            [],
            id="prompt and completion attributes",
        ),
        pytest.param(
            {},
            [
                Event(
                    "gen_ai.content.prompt", {"gen_ai.prompt": '[{"role":"user","content":"Hi"}]'}
                ),
                Event(
                    "gen_ai.content.completion",
                    {
                        "gen_ai.completion": json.dumps(
                            [{"role": "assistant", "content": "Hello", "finish_reason": "stop"}]
                        )
                    },
                ),
            ],
            id="prompt and completion events",
        ),
        pytest.param(
            {
                "gen_ai.prompt.0.role": "user",
                "gen_ai.prompt.0.content": "Hi",
                "gen_ai.completion.0.role": "assistant",
                "gen_ai.completion.0.content": "Hello",
                "gen_ai.completion.0.finish_reason": "stop",
            },
            [],
            id="OpenLLMetry, numbered",
        ),
    ],
)
def test_content_is_read_from_every_convention(attributes: Any, events: Any) -> None:
    """From attributes and events."""
    v = made({**CHAT, **attributes}, events)
    assert (v.input_messages, v.output_messages) == (INPUT, ANSWERED)


def test_numbered_messages_keep_their_order() -> None:
    """The tenth message comes after the ninth, not after the first."""
    v = made({**CHAT, **{f"gen_ai.prompt.{i}.content": str(i) for i in range(12)}})
    assert [m.text for m in v.input_messages or ()] == [str(i) for i in range(12)]


@pytest.mark.parametrize(
    ("tools", "expected"),
    [
        ('[{"type":"function","name":"f"}]', ToolDefinition("function", "f", None, None)),
        (
            '[{"type":"function","function":{"name":"f","parameters":{"type":"object"}}}]',
            ToolDefinition("function", "f", None, {"type": "object"}),
        ),
        (
            '[{"name":"f","description":"d","input_schema":{"type":"object"}}]',
            ToolDefinition("function", "f", "d", {"type": "object"}),
        ),
    ],
)
def test_tool_definitions_are_read_in_three_shapes(tools: str, expected: Any) -> None:
    """Tools come flat, in OpenAI's nesting and in Anthropic's."""
    assert made({**CHAT, "gen_ai.tool.definitions": tools}).tool_definitions == (expected,)


@pytest.mark.parametrize(
    ("attributes", "read", "expected"),
    [
        pytest.param(
            {"gen_ai.system": "az.ai.openai", "gen_ai.request.model": "m"},
            lambda v: (v.operation, v.provider),
            ("chat", "azure.ai.openai"),
            id="gen_ai.system",
        ),
        pytest.param(
            {**CHAT, "gen_ai.usage.prompt_tokens": 3, "gen_ai.usage.completion_tokens": 4},
            lambda v: (v.usage.input, v.usage.output),
            (3, 4),
            id="prompt and completion tokens",
        ),
        pytest.param(
            {**CHAT, "gen_ai.usage.input_tokens": 5, "gen_ai.usage.prompt_tokens": 3},
            lambda v: v.usage.input,
            5,
            id="the current name wins",
        ),
        pytest.param(
            {**CHAT, "gen_ai.usage.cache_write.input_tokens": 7},
            lambda v: v.usage.cache_creation,
            7,
            id="the coming name of cache creation",
        ),
        pytest.param(
            {"llm.request.type": "completion", "gen_ai.system": "Anthropic"},
            lambda v: (v.operation, v.provider),
            ("text_completion", "anthropic"),
            id="OpenLLMetry request type",
        ),
        pytest.param(
            {"openinference.span.kind": "TOOL", "tool.name": "f"},
            lambda v: (v.operation, v.is_call),
            ("execute_tool", False),
            id="OpenInference tool",
        ),
        pytest.param(
            {"openinference.span.kind": "LLM", "metadata": '{"a": [1, 2], "b": {"c": 1}}'},
            lambda v: v.identity.metadata,
            {"a": (1, 2)},
            id="OpenInference metadata, scalars only",
        ),
        pytest.param(
            {"gen_ai.operation.name": "invoke_agent"},
            lambda v: v.is_call,
            False,
            id="an agent is no call",
        ),
        pytest.param(
            {**CHAT, "litellm.cost.total": 0.5}, lambda v: v.cost.total, 0.5, id="LiteLLM's cost"
        ),
        pytest.param(
            {**CHAT, "llm.headers": "Bearer sk-1", "x": "y"},
            lambda v: dict(v.facts),
            {"gen_ai.operation.name": "chat"},
            id="facts of others are an allowlist",
        ),
    ],
)
def test_names_of_other_conventions_are_translated(
    attributes: Any, read: Any, expected: Any
) -> None:
    """The values have the same meaning under litespan's names."""
    assert read(made(attributes)) == expected


@pytest.mark.parametrize("name", OTHERS)
def test_spans_that_are_not_genai_have_no_view(name: str) -> None:
    """The router span has none, either."""
    other = OTHERS[name]
    assert (GenAISpan.read(other), is_genai(other), is_router(other)) == (
        None,
        False,
        name == "router",
    )


def test_a_span_without_ids_has_no_view() -> None:
    """It could not be stored."""
    assert GenAISpan.read(ReadableSpan("chat", attributes=CHAT)) is None


NAMES = sorted(
    {value for value in vars(semconv).values() if isinstance(value, str)}
    | {theirs for theirs, _ in c.RENAMES}
    | {*c.INVOCATION_KEYS, c.METADATA_JSON, c.MODEL, "litellm.metadata.x", "traceloop."}
    | {f"{prefix}.0.x" for prefixes in content.FLAT.values() for prefix in prefixes}
    | {prefix for prefixes in content.FLAT.values() for prefix in prefixes}
    | {"gen_ai.prompt.0", "gen_ai.prompt.99999999999999999999.x", "gen_ai.prompt." + "0." * 50}
)
RUBBISH = [
    None,
    True,
    -1,
    2**80,
    0.5,
    float("nan"),
    float("inf"),
    "",
    "x",
    "\ud83d",
    b"\xff",
    "[",
    "[" * 100_000,
    '[{"role": 1, "parts": [[[["x"]]], 3, null, {"type": []}]}, 7, "x"]',
    '[{"role": "user", "parts": [{"type": "tool_call", "arguments": {"x": [NaN, -1e999]}}]}]',
    '{"role": {}, "content": [{"type": "image_url", "image_url": 3}], "tool_calls": 5}',
    '[{"role": "user", "parts": {"type": "text", "content": 7}}]',
    (),
    ("a", 1, None),
    [{"role": "tool"}, []],
    {"a": {"b": object()}},
    object(),
]


@pytest.mark.parametrize("seed", range(40))
@pytest.mark.parametrize("scope", ["litespan", "someone.else"])
def test_malformed_attributes_never_raise_or_change_types(seed: int, scope: str) -> None:
    """Whatever the attributes contain."""
    pick = random.Random(seed)
    attributes = {name: pick.choice(RUBBISH) for name in NAMES}
    attributes["gen_ai.operation.name"] = "chat"
    names = [*content.MESSAGE_EVENTS[semconv.INPUT_MESSAGES], "gen_ai.choice", "exception"]
    events = [
        Event(pick.choice(names), {pick.choice(NAMES): "x", "message": "[", "content": "{"}),
        Event(pick.choice(names), {content.EVENT_BODY: pick.choice(RUBBISH[7:16])}),  # type: ignore[dict-item]
    ]
    context = SpanContext(1, 2, is_remote=False)
    # ReadableSpan keeps what it is given, unlike a live span, which cleans it.
    rubbish = ReadableSpan("chat", context, attributes=attributes, events=events)  # type: ignore[arg-type]
    rubbish._instrumentation_scope = span(1, "", {}, scope=scope).instrumentation_scope
    v = GenAISpan.read(rubbish)
    assert v is not None
    assert isinstance(v.request.parameters, dict)
    assert {type(v.usage.input), type(v.usage.output)} <= {int, type(None)}
    assert {type(v.cost.total)} <= {float, type(None)}
    for messages in (v.input_messages, v.output_messages):
        assert messages is None or all(isinstance(m, Message) for m in messages)
    assert v.tool_definitions is None or isinstance(v.tool_definitions, tuple)
    assert v.system_instructions is None or isinstance(v.system_instructions, tuple)
    json.dumps([m.to_json() for m in v.input_messages or ()], allow_nan=False)
    json.dumps(v.facts, allow_nan=False)
    assert (v.key, v.exact_cost, v.stages) == (v.key, v.exact_cost, v.stages)


@pytest.mark.parametrize(
    ("operation", "more", "expected"),
    [
        ("litellm.ocr", {}, True),
        ("litellm.batch_result", {}, True),
        ("litellm.create_file", {}, False),
        ("fetch_response", {}, False),
        ("fetch_response", {"gen_ai.usage.cost": 0.1}, True),
        ("litellm.create_container", {"gen_ai.usage.cost": 0.03}, True),
        ("retrieval", {}, False),
    ],
)
def test_requests_without_a_model_are_no_calls_unless_they_are_charged(
    operation: str, more: dict[str, Any], expected: bool
) -> None:
    """Stores and services for model calls receive every charge, but no file upload."""
    read = made({"gen_ai.operation.name": operation, **more}, scope="litespan")
    assert read.is_call is expected


def test_a_view_has_what_its_class_would_give_it() -> None:
    """Every field, and no other; it is equal to a copy, and frozen."""
    v = view("chat")
    groups = (v.identity, v.request, v.response, v.usage, v.cost, v.call)
    for record in (v, *groups):
        assert vars(record).keys() == {field.name for field in fields(record)}
        assert replace(record) == record
        with pytest.raises(FrozenInstanceError):
            record.total = 1  # type: ignore[union-attr,misc]
