"""Helicone's own rules: routes and formats by provider, headers, statuses, errors in a 200."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.trace import Status, StatusCode

from litespan.export import GenAISpan
from litespan_exporters.helicone import HeliconeExporter, path, status, to_log
from litespan_exporters.helicone.meta import header_value, meta
from tests.cases import CASES, PIXEL, WEATHER_TOOL, content, cost, span, text, usage
from tests.support.server import Reply, Vendor, in_turn, running
from tests.support.vendors import SECRET, Helicone


@pytest.fixture
def vendor() -> Iterator[Vendor]:
    """Helicone on loopback."""
    with running(Helicone()) as vendor:
        yield vendor


def view(attributes: dict[str, Any], **more: Any) -> GenAISpan:
    """A GenAI span with these attributes."""
    found = GenAISpan.read(
        span(500, "chat", {"gen_ai.operation.name": "chat", **attributes}, **more)
    )
    assert found is not None
    return found


def case(name: str) -> GenAISpan:
    """A canonical span."""
    found = GenAISpan.read(CASES[name])
    assert found is not None
    return found


CLAUDE = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "anthropic",
    "gen_ai.request.model": "claude-sonnet-4-5",
    "gen_ai.request.max_tokens": 100,
    "gen_ai.request.stop_sequences": ("END",),
    "gen_ai.response.id": "msg_1",
    "gen_ai.response.finish_reasons": ("tool_calls",),
    **usage(100, 20, cache_read__input_tokens=60, cache_creation__input_tokens=10),
    **cost(0.0003, 0.0003),
    **content(
        [
            text("system", "Be brief."),
            text("user", "Weather?"),
            {
                "role": "assistant",
                "parts": [
                    {"type": "tool_call", "id": "t1", "name": "get_weather", "arguments": {"c": 1}}
                ],
            },
            {
                "role": "tool",
                "parts": [{"type": "tool_call_response", "id": "t1", "response": {"t": 14}}],
            },
            {
                "role": "user",
                "parts": [
                    {"type": "uri", "modality": "image", "uri": "https://example.com/a.png"},
                    {
                        "type": "blob",
                        "modality": "image",
                        "mime_type": "image/png",
                        "content": PIXEL,
                    },
                ],
            },
        ],
        [
            {
                "role": "assistant",
                "parts": [
                    {"type": "reasoning", "content": "Hm."},
                    {"type": "text", "content": "One more."},
                    {"type": "tool_call", "id": "t2", "name": "get_weather", "arguments": {}},
                ],
            }
        ],
        tool__definitions=[WEATHER_TOOL],
    ),
}


def test_unusual_content_keeps_anthropics_format(vendor: Vendor) -> None:
    """A developer message is an instruction; incomplete arguments are still an object."""
    call = {"type": "tool_call", "id": "t", "name": "n", "arguments": '{"city": "Par'}
    odd = CLAUDE | content(
        [text("developer", "Be brief."), text("user", "Hi")],
        [{"role": "assistant", "parts": [call]}, text("assistant", "4")],
    )
    HeliconeExporter(SECRET, vendor.url).export([span(501, "chat", odd)])
    assert vendor.wrong == []
    log: Any = to_log(view(odd))
    asked = log["providerRequest"]["json"]
    assert "Be brief." in asked["system"]
    assert [message["role"] for message in asked["messages"]] == ["user"]
    assert log["providerResponse"]["json"]["content"] == [
        {"type": "tool_use", "id": "t", "name": "n", "input": {"value": '{"city": "Par'}},
        {"type": "text", "text": "4"},
    ]


def test_anthropic_calls_have_anthropics_format(vendor: Vendor) -> None:
    """So Helicone's parser and prices for Anthropic apply."""
    HeliconeExporter(SECRET, vendor.url).export([span(500, "chat", CLAUDE)])
    assert vendor.wrong == []
    assert vendor.received[0].path == "/anthropic/v1/log"
    log = to_log(view(CLAUDE))
    assert log["providerRequest"]["json"] == {  # type: ignore[call-overload, index]
        "model": "claude-sonnet-4-5",
        "max_tokens": 100,
        "stop_sequences": ["END"],
        "system": "Be brief.",
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "Weather?"}]},
            {
                "role": "assistant",
                "content": [
                    {"type": "tool_use", "id": "t1", "name": "get_weather", "input": {"c": 1}}
                ],
            },
            {
                "role": "user",
                "content": [{"type": "tool_result", "tool_use_id": "t1", "content": '{"t":14}'}],
            },
            {
                "role": "user",
                "content": [
                    {
                        "type": "image",
                        "source": {"type": "url", "url": "https://example.com/a.png"},
                    },
                    {
                        "type": "image",
                        "source": {"type": "base64", "media_type": "image/png", "data": PIXEL},
                    },
                ],
            },
        ],
        "tools": [
            {
                "name": "get_weather",
                "description": "Weather of a city",
                "input_schema": WEATHER_TOOL["parameters"],
            }
        ],
    }
    assert log["providerResponse"]["json"] == {  # type: ignore[call-overload, index]
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-4-5",
        "content": [
            {"type": "thinking", "thinking": "Hm."},
            {"type": "text", "text": "One more."},
            {"type": "tool_use", "id": "t2", "name": "get_weather", "input": {}},
        ],
        "stop_reason": "tool_use",
        "usage": {
            "input_tokens": 30,
            "output_tokens": 20,
            "cache_read_input_tokens": 60,
            "cache_creation_input_tokens": 10,
            "cache_creation": {"ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 0},
        },
    }


def test_cache_writes_have_their_duration() -> None:
    """Helicone prices them separately, and one version fails without them."""
    hour = {
        "litellm.usage.cache_creation.ephemeral_5m_input_tokens": 4,
        "litellm.usage.cache_creation.ephemeral_1h_input_tokens": 6,
    }
    assert used({**CLAUDE, **hour})["cache_creation"] == {
        "ephemeral_5m_input_tokens": 4,
        "ephemeral_1h_input_tokens": 6,
    }
    plain = {"gen_ai.provider.name": "anthropic", **usage(100, 20)}
    assert used(plain)["cache_creation"] == {
        "ephemeral_5m_input_tokens": 0,
        "ephemeral_1h_input_tokens": 0,
    }


def test_audio_tokens_are_written_like_openais() -> None:
    """In OpenAI's format."""
    audio = {"gen_ai.usage.audio.input_tokens": 8, "gen_ai.usage.audio.output_tokens": 9}
    stated = used({"gen_ai.provider.name": "openai", **usage(20, 10), **audio})
    assert stated["prompt_tokens_details"] == {"audio_tokens": 8}
    assert stated["completion_tokens_details"] == {"audio_tokens": 9}


@pytest.mark.parametrize("provider", ["openai", "anthropic", "mistral_ai"])
def test_an_answer_from_the_cache_is_free(provider: str) -> None:
    """Helicone computes a cost from tokens, so these answers have none."""
    hit = {"litellm.cache_hit": True, **usage(20, 10), **cost(0.0, 0.0, saved=9e-06)}
    call = {"gen_ai.provider.name": provider, "gen_ai.request.model": "m", **hit}
    tokens = {name: n for name, n in used(call).items() if isinstance(n, int)}
    assert tokens
    assert set(tokens.values()) == {0}
    shown = meta(view(call))
    assert shown["Helicone-Property-saved_input_tokens"] == "20"
    assert shown["Helicone-Property-saved_output_tokens"] == "10"
    assert shown["Helicone-Property-cost_saved_usd"] == "0.000009"
    paid = {**call, **cost(3e-06, 6e-06)}  # of several inputs some were not in the cache
    assert 20 in used(paid).values()


def used(attributes: dict[str, Any]) -> dict[str, Any]:
    """The usage in the log of a call."""
    log: Any = to_log(view(attributes))
    stated: dict[str, Any] = log["providerResponse"]["json"]["usage"]
    return stated


@pytest.mark.parametrize(
    ("attributes", "endpoint"),
    [
        ({"gen_ai.provider.name": "openai"}, "/oai/v1/log"),
        ({"gen_ai.provider.name": "openai", "gen_ai.operation.name": "rerank"}, "/custom/v1/log"),
        ({"gen_ai.provider.name": "azure.ai.openai"}, "/custom/v1/log"),
        ({"gen_ai.provider.name": "anthropic"}, "/anthropic/v1/log"),
        ({}, "/custom/v1/log"),
    ],
)
def test_the_route_is_the_providers_if_its_format_matches(
    attributes: dict[str, Any], endpoint: str
) -> None:
    """Otherwise it is the custom endpoint."""
    assert path(view(attributes)) == endpoint


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("chat", 200),
        ("failure", 401),
        ("dropped", 500),
        ("cancelled", -3),
        ("abandoned", -3),
        ("cache_hit", 200),
    ],
)
def test_the_status_is_the_failures_500_or_minus_3(name: str, code: int) -> None:
    """The HTTP status of the failure, 500 without one, -3 for an unfinished stream."""
    assert status(case(name)) == code


def test_invalid_error_codes_are_500() -> None:
    """A failure is never logged as a success."""
    failed = Status(StatusCode.ERROR)
    assert status(view({"litellm.provider.error.code": 200}, status=failed)) == 500


def test_a_stream_is_logged_as_a_complete_response() -> None:
    """Without the stream flag, with which it would be parsed as events."""
    log: Any = to_log(case("stream"))
    assert "stream" not in log["providerRequest"]["json"]
    assert log["providerRequest"]["meta"]["Helicone-Property-stream"] == "true"
    assert log["timing"]["timeToFirstToken"] == 310


def test_an_error_in_a_200_is_a_rejection(vendor: Vendor, caplog: pytest.LogCaptureFixture) -> None:
    """The body `{"error": …}` is logged once, and not retried."""
    vendor.fault = in_turn(Reply(200, b'{"error":"endTime is missing"}'))
    exporter = HeliconeExporter(SECRET, vendor.url)
    assert exporter.export([CASES["chat"]]) is SpanExportResult.FAILURE
    assert exporter.last.dropped == {"rejected": 1}
    assert "endTime is missing" in caplog.records[-1].getMessage()
    assert len(vendor.received) == 1


@pytest.mark.parametrize(
    ("value", "shaped"),
    [
        ("plain, with (signs)", "plain, with (signs)"),
        ("50%", "50%"),
        ("Zoë", "Zo%C3%AB"),
        ("日本", "%E6%97%A5%E6%9C%AC"),
        ("two\r\nlines: 100%", "two%0D%0Alines: 100%25"),
        ("nul\0", "nul%00"),
        ("half \ud83d", "half ?"),
        ("é" * 600, "%C3%A9" * 166),
        (" padded ", "padded"),
    ],
)
def test_header_values_are_percent_encoded_and_cut(value: str, shaped: str) -> None:
    """Printable ASCII is unchanged; other text is encoded, and cut between characters."""
    assert header_value(value).startswith(shaped)
    assert header_value(value).isascii()
    assert len(header_value(value)) <= 1000


def test_header_names_are_valid_and_unique() -> None:
    """Metadata become properties; litespan's own properties take precedence."""
    found = meta(
        view(
            {
                "litellm.metadata.two words": "a",
                "litellm.metadata.TWO WORDS": "b",
                "litellm.metadata.cost_usd": "999",
                "litellm.metadata.Helicone-Property-plan": "gold",
                "litellm.metadata.Helicone-User-Id": "someone else",
                "litellm.metadata.Helicone-Auth": "Bearer x",
                "litellm.metadata.flag": True,
                "litellm.metadata.list": ("a", "b"),
                "litellm.metadata.empty": "",
                **cost(0.1, 0.2),
            }
        )
    )
    assert found["Helicone-Property-two_words"] == "a"
    assert "Helicone-Property-TWO_WORDS" not in found
    assert found["Helicone-Property-cost_usd"] == "0.3"
    assert found["Helicone-Property-plan"] == "gold"
    assert found["Helicone-User-Id"] == "user-42"
    assert "Helicone-Auth" not in found
    assert found["Helicone-Property-flag"] == "true"
    assert found["Helicone-Property-list"] == "a,b"
    assert "Helicone-Property-empty" not in found


def test_too_many_headers_are_only_in_the_body(vendor: Vendor) -> None:
    """Servers limit headers, but not `meta`."""
    many = {f"litellm.metadata.k{n}": "v" * 900 for n in range(20)}
    exporter = HeliconeExporter(SECRET, vendor.url)
    asked = {"gen_ai.operation.name": "chat", **many}
    assert exporter.export([span(500, "chat", asked)]) is SpanExportResult.SUCCESS
    assert "helicone-property-k0" not in vendor.received[0].headers
    assert vendor.wrong == []


def test_logs_are_sent_concurrently(vendor: Vendor) -> None:
    """Each request has one log."""
    vendor.fault = lambda _: Reply(200, b"ok", delay=0.3)
    exporter = HeliconeExporter(SECRET, vendor.url)
    spans = [span(n, "chat", {"gen_ai.operation.name": "chat"}) for n in range(32)]
    begun = time.monotonic()
    assert exporter.export(spans) is SpanExportResult.SUCCESS
    assert time.monotonic() - begun < 32 * 0.3 / 2
    assert len(vendor.received) == 32


def test_agents_and_tools_are_not_sent(vendor: Vendor) -> None:
    """A log is one model call; spans above calls would count them twice."""
    exporter = HeliconeExporter(SECRET, vendor.url)
    around = [
        span(1, "a", {"gen_ai.operation.name": name}) for name in ("invoke_agent", "execute_tool")
    ]
    assert exporter.export(around) is SpanExportResult.SUCCESS
    assert vendor.received == []


def test_text_completions_and_embeddings_have_openais_formats() -> None:
    """Each operation has its own shape at OpenAI."""
    sent = content([text("user", "Once")], [text("assistant", " upon", finish_reason="length")])
    openai = {"gen_ai.provider.name": "openai", **sent}
    log: Any = to_log(view({**openai, "gen_ai.operation.name": "text_completion"}))
    assert log["providerRequest"]["json"]["prompt"] == "Once"
    assert log["providerRequest"]["url"] == "https://api.openai.com/v1/completions"
    assert log["providerResponse"]["json"]["choices"] == [
        {"index": 0, "finish_reason": "length", "text": " upon"}
    ]
    log = to_log(view({**openai, "gen_ai.operation.name": "embeddings"}))
    assert log["providerRequest"]["json"]["input"] == ["Once"]
    assert log["providerResponse"]["json"]["data"] == []
