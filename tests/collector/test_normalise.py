"""The collector gives spans of other instrumentations the current GenAI names.

`GenAISpan` is the reference: what it reads from the span that was sent, it must find under
the current names on the span that came out.
"""

from typing import Any

import pytest
from opentelemetry.sdk.trace import Event, ReadableSpan

from litespan import semconv as s
from litespan.export import GenAISpan
from tests.cases import foreign
from tests.collector.running import Collector, json_of
from tests.collector.spans import by_id, call
from tests.collector.test_redaction import through

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
# What OTTL cannot rebuild: it has no loops, so messages that are spread over numbered
# attributes or events stay as they are, as do metadata under other prefixes.
# `litespan forward` reads them.
NOT_REBUILT = {
    s.INPUT_MESSAGES,
    s.OUTPUT_MESSAGES,
    s.SYSTEM_INSTRUCTIONS,
    s.TOOL_DEFINITIONS,
}


def facts(span: ReadableSpan) -> dict[str, Any]:
    """What the typed view reads, under the current names, without messages and metadata."""
    view = GenAISpan.read(span)
    assert view is not None
    found = view.facts
    if isinstance(reason := found.get(s.RESPONSE_FINISH_REASONS), str):
        found[s.RESPONSE_FINISH_REASONS] = [reason]  # a list under its current name
    return {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in found.items()
        if name not in NOT_REBUILT and not name.startswith(s.METADATA_PREFIX)
    }


@pytest.mark.parametrize("name", SETS)
def test_every_field_has_its_current_name(running: Collector, name: str) -> None:
    """Operation, provider, models, parameters, usage, cost, user: all that the view reads."""
    sent = [span for span in foreign(name) if GenAISpan.read(span) is not None]
    for before, after in zip(sent, through(running, *sent), strict=True):
        named = {key: value for key, value in facts(before).items() if value != ()}
        attributes = dict(after.attributes or {})
        assert named == {key: attributes.get(key) for key in named}


@pytest.mark.parametrize("name", SETS)
def test_the_view_reads_the_same(running: Collector, name: str) -> None:
    """Messages, tools and metadata have the same view before and after the collector."""
    sent = [span for span in foreign(name) if GenAISpan.read(span) is not None]
    for before, after in zip(sent, through(running, *sent), strict=True):
        first, second = GenAISpan.read(before), GenAISpan.read(after)
        assert first is not None
        assert second is not None
        assert (first.input_messages, first.output_messages, first.tool_definitions) == (
            second.input_messages,
            second.output_messages,
            second.tool_definitions,
        )
        assert (first.usage, first.cost, first.identity.metadata) == (
            second.usage,
            second.cost,
            second.identity.metadata,
        )


TEXTS: dict[str, tuple[Any, Any]] = {  # as others write it → as we do
    s.RESPONSE_FINISH_REASONS: ('["stop", "length"]', ("stop", "length")),
    s.REQUEST_STOP_SEQUENCES: ("###", ("###",)),
    s.REQUEST_STREAM: ("True", True),
    s.INPUT_TOKENS: ("1200", 1200),
    s.OUTPUT_TOKENS: ("30", 30),
    s.CACHE_READ_TOKENS: ("1000", 1000),
    s.COST: ("9e-05", 9e-05),
    s.COST_INPUT: ("0.00005", 0.00005),
}
OTHER_TEXTS: dict[str, tuple[Any, Any]] = {
    s.RESPONSE_FINISH_REASONS: ("stop,length", ("stop", "length")),
    s.REQUEST_STOP_SEQUENCES: ('["###", "[end]"]', ("###", "[end]")),
    s.REQUEST_STREAM: ("False", False),
    s.INPUT_TOKENS: ("many", "many"),
    s.COST: ("NaN", "NaN"),
}


@pytest.mark.parametrize("texts", [TEXTS, OTHER_TEXTS])
def test_values_as_text_get_their_type(
    running: Collector, texts: dict[str, tuple[Any, Any]]
) -> None:
    """Numbers, booleans and lists; other text is unchanged."""
    sent = call({name: text for name, (text, _) in texts.items()} | {"note": "hi"}, scope="other")
    (got,) = through(running, sent)
    attributes = dict(got.attributes or {})
    wanted = {name: value for name, (_, value) in texts.items()} | {"note": "hi"}
    assert wanted == {name: attributes.get(name) for name in wanted}


@pytest.mark.parametrize(
    ("given", "total"),
    [
        ({s.INPUT_TOKENS: 10, s.CACHE_READ_TOKENS: 90, s.CACHE_CREATION_TOKENS: 5}, (105, None)),
        ({s.INPUT_TOKENS: 10, s.CACHE_CREATION_TOKENS: 11}, (21, None)),
        ({s.INPUT_TOKENS: 100, s.CACHE_READ_TOKENS: 90}, (100, None)),
        ({s.CACHE_READ_TOKENS: 90}, (None, None)),
        ({s.OUTPUT_TOKENS: 5, s.REASONING_TOKENS: 20}, (None, 25)),
        ({s.OUTPUT_TOKENS: 25, s.REASONING_TOKENS: 20}, (None, 25)),
    ],
)
def test_totals_include_their_parts(
    running: Collector, given: dict[str, int], total: tuple[int | None, int | None]
) -> None:
    """Totals include cached and reasoning tokens, as in the typed view."""
    sent = call(given, scope="other")
    (got,) = through(running, sent)
    view = GenAISpan.read(sent)
    assert view is not None
    assert (view.usage.input, view.usage.output) == total
    attributes = got.attributes or {}
    assert (attributes.get(s.INPUT_TOKENS), attributes.get(s.OUTPUT_TOKENS)) == total


def test_structured_messages_become_json(running: Collector) -> None:
    """A list of maps, as an attribute or in the details event, becomes one string."""
    text = {"type": "text", "content": "Hi ann@example.com"}
    messages = ({"role": "user", "parts": (text,)},)
    details = Event("gen_ai.client.inference.operation.details", {s.INPUT_MESSAGES: messages})  # type: ignore[dict-item]
    sent = (
        call({s.INPUT_MESSAGES: messages}, scope="opentelemetry.instrumentation.genai"),
        call(events=[details], scope="opentelemetry.instrumentation.genai"),
    )
    for got in through(running, *sent):
        (message,) = json_of(got, s.INPUT_MESSAGES)
        assert message["parts"] == [{"type": "text", "content": "Hi ****"}]


def test_the_old_names_stay(running: Collector) -> None:
    """A vendor that reads the sender's own convention still finds its names."""
    (sent, *_) = foreign("openinference-litellm")
    running.send([sent])
    (got,) = through(running, sent)
    assert (sent.attributes or {}).keys() <= (by_id([got]).popitem()[1].attributes or {}).keys()
