"""Spans of each generation of the conventions are read the same, also those with both names."""

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

import jsonschema
from opentelemetry.sdk.trace import ReadableSpan

from litespan.genai.span import GenAISpan
from litespan.mapping.release import adapt_content
from litespan.stores.columns import COLUMNS
from litespan_exporters.langfuse.span import REPLACED
from tests.cases import span as made
from tests.instrumentation import test_conventions as scenarios
from tests.support.schemas import RELEASE

VARYING = (
    *("attributes", "output_messages", "stages"),
    *("call_id", "response_id", "provider_request_id", "server_address"),
)
"""Columns that differ between two runs, beside times and keys."""
CALLS = (scenarios.caching, scenarios.tool_calling, scenarios.multimodal, scenarios.responses)


def view(span: ReadableSpan) -> dict[str, Any]:
    """All that exporters and stores read, but for times and the attributes themselves.

    The finish reasons of messages may be LiteLLM's or the provider's; none is missing.
    """
    read = GenAISpan.read(span)
    assert read is not None
    assert read.output_messages is not None
    assert all(message.finish_reason for message in read.output_messages)
    return {
        "usage": read.usage,
        "cost": read.cost,
        "request": dataclasses.replace(read.request, server_port=None),
        "response": dataclasses.replace(read.response, id=None),
        "input": read.input_messages,
        "output": [(message.role, message.parts) for message in read.output_messages],
        "instructions": read.system_instructions,
        "tools": read.tool_definitions,
        **{
            column.name: column.read(read)
            for column in COLUMNS
            if column.kind not in ("key", "time", "real") and column.name not in VARYING
        },
    }


def test_each_generation_is_read_the_same(capture: Any) -> None:
    """Tokens, messages and instructions of one call, with the names of any generation."""
    views = []
    for opt_in in ("", scenarios.NEW, scenarios.DUP):
        with scenarios.recorded(capture, opt_in, *CALLS) as telemetry:
            views.append([view(span) for span in telemetry._spans.get_finished_spans()])
    old, *others = views
    assert len(old) == len(CALLS) + 1  # a tool is called twice
    for other in others:
        for one, two in zip(old, other, strict=True):
            assert {name for name in one if one[name] != two[name]} == set()
    assert old[0]["usage"].cache_creation == 20


def test_spans_of_other_instrumentations_may_have_the_new_names() -> None:
    """The conventions' own packages write them; input tokens without cached ones become totals."""
    attributes: Mapping[str, Any] = {
        "gen_ai.operation.name": "chat",
        "gen_ai.usage.input_tokens": 10,
        "gen_ai.usage.cache_write.input_tokens": 15,
    }
    span = made(1, "chat m", attributes, scope="opentelemetry.util.genai")
    read = GenAISpan.read(span)
    assert read is not None
    assert (read.usage.input, read.usage.cache_creation) == (25, 15)


def test_parts_of_any_type_are_read_without_loss() -> None:
    """Generic and unknown parts keep their type and fields; malformed ones do not affect others."""
    parts: list[Any] = [
        {"type": "text", "content": "seen"},
        {"type": "generic", "generic_type": "search_result", "source": "https://a.example"},
        {"type": "hologram", "depth": 3},
        {"type": "generic"},
        {"type": "generic", "generic_type": 7, "kept": True},
        {"type": "tool_call_response", "id": "c1", "result": "rainy"},
        7,
        None,
        {"no": "type"},
    ]
    messages = [{"role": "assistant", "parts": parts}, "not a message", {"parts": "text"}, None]
    read = GenAISpan.read(
        made(
            1,
            "chat",
            {"gen_ai.operation.name": "chat", "gen_ai.output.messages": json.dumps(messages)},
        )
    )
    assert read is not None
    assert read.output_messages is not None
    found = [part for message in read.output_messages for part in message.parts]
    assert [part.type for part in found][:6] == [
        *("text", "search_result", "hologram", "generic", "generic", "tool_call_response"),
    ]
    assert dict(found[1].extra) == {"source": "https://a.example"}
    assert dict(found[2].extra) == {"depth": 3}
    assert found[4].extra["kept"] is True
    assert found[5].response == "rainy"


def test_other_parts_are_written_as_generic() -> None:
    """Types that v0.1.0 does not define; they are read back unchanged."""
    odd: list[Any] = [
        {"type": "search_result", "source": "https://a.example", "content": "found"},
        {"type": "redacted_thinking"},
        {"type": "text", "content": "seen"},
    ]
    old = {
        "gen_ai.input.messages": [{"role": "user", "parts": odd}],
        "gen_ai.output.messages": [{"role": "assistant", "parts": odd, "finish_reason": "stop"}],
        "gen_ai.system_instructions": odd,
    }
    new = adapt_content(old)
    for name, value in new.items():
        jsonschema.validate(value, RELEASE[name])
    texts = {name: json.dumps(value) for name, value in new.items()}
    attributes = {
        "gen_ai.operation.name": "chat",
        "gen_ai.response.finish_reasons": ("stop",),
        **texts,
    }
    read = GenAISpan.read(made(1, "chat", attributes))
    assert read is not None
    for name, messages in (("input", read.input_messages), ("output", read.output_messages)):
        assert [m.to_json() for m in messages or ()] == old[f"gen_ai.{name}.messages"]
    assert [part.to_json() for part in read.system_instructions or ()] == odd


def test_langfuse_gets_no_token_count_twice(capture: Any) -> None:
    """It sums up every count under `gen_ai.usage`, so no duplicates may be left."""
    for opt_in in (scenarios.NEW, scenarios.DUP):
        with scenarios.recorded(capture, opt_in, *CALLS) as telemetry:
            left = {
                name
                for span in telemetry.spans
                for name in span["attributes"].keys() - REPLACED
                if name.startswith("gen_ai.usage.")
            }
            assert left == set()
