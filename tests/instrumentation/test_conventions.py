"""Each operation in each generation of the GenAI conventions, checked against their table."""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import jsonschema
import litellm
import pytest

from litespan import generations, semconv
from litespan.testing import Telemetry
from tests.support import conventions
from tests.support.calls import Traced
from tests.support.conformance import undeclared, violations
from tests.support.schemas import RELEASE

OPT_IN = "OTEL_SEMCONV_STABILITY_OPT_IN"
NEW = "gen_ai_latest_experimental"
DUP = f"{NEW}/dup"
OPT_INS = pytest.mark.parametrize("opt_in", ["", NEW, DUP], ids=["1.41", "v0.1.0", "both"])
OLD_NAMES = {*conventions.OLD_ATTRIBUTES, *conventions.OLD_METRICS}
NEW_NAMES = {
    names.new
    for table in (generations.ATTRIBUTES, generations.METRICS, generations.EVENTS)
    for names in table.values()
    if names.new and names.new != names.old
}
HI = [{"role": "user", "content": "Say this is a test"}]
PARAMETERS: dict[str, Any] = {
    "max_tokens": 100,
    "temperature": 0.5,
    "top_p": 0.9,
    "frequency_penalty": 0.1,
    "presence_penalty": 0.2,
    "stop": ["\n\n"],
    "seed": 42,
}
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}
PIXEL = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAAAElFTkSuQmCC"
ANTHROPIC = "anthropic/claude-sonnet-4-5"


def anthropic(traced: Traced, **behaviour: Any) -> dict[str, Any]:
    """The keywords of a call to Anthropic."""
    to = traced.to(**behaviour)
    to["api_base"] = to["api_base"].removesuffix("/v1")
    return {"model": ANTHROPIC, "messages": HI, **to}


def inference(traced: Traced) -> None:
    """Every parameter, with a system message."""
    messages = [{"role": "system", "content": "You are helpful."}, *HI]
    litellm.completion(**traced.chat(messages=messages, **PARAMETERS))


def tool_calling(traced: Traced) -> None:
    """A tool call, and its result."""
    given = traced.chat(messages=HI, tools=[WEATHER])
    asked = litellm.completion(**given).choices[0].message
    result = {"role": "tool", "tool_call_id": asked.tool_calls[0].id, "content": "rainy"}
    litellm.completion(**{**given, "messages": [*HI, asked.model_dump(), result]})


def multimodal(traced: Traced) -> None:
    """An image and text, with tokens by modality."""
    shown = [{"type": "text", "text": "Which colour?"}, {"type": "image_url", "image_url": PIXEL}]
    behaviour = {"input_tokens": 100, "image_tokens": 70, "audio_tokens": 10}
    litellm.completion(
        **traced.chat(messages=[{"role": "user", "content": shown}], provider=behaviour)
    )


def images(traced: Traced) -> None:
    """An image is generated."""
    litellm.image_generation(prompt="a dot", model="openai/gpt-image-1", **traced.to())


def reasoning(traced: Traced) -> None:
    """The model thinks first."""
    litellm.completion(**traced.chat(provider={"reasoning_tokens": 4}))


def caching(traced: Traced) -> None:
    """The provider's cache is read and written; the prompt is sent apart from the messages."""
    system = [{"role": "system", "content": "You are helpful."}]
    given = anthropic(traced, input_tokens=90, cached_tokens=30, cache_write_tokens=20)
    litellm.completion(**{**given, "messages": [*system, *HI]}, top_k=40)


def embeddings(traced: Traced) -> None:
    """A text becomes a vector."""
    litellm.embedding(
        model="openai/text-embedding-3-small",
        input=["a text"],
        dimensions=8,
        encoding_format="float",
        **traced.to(),
    )


def streaming(traced: Traced) -> None:
    """A stream with usage."""
    given = traced.chat(stream=True, stream_options={"include_usage": True})
    list(litellm.completion(**given))


def responses(traced: Traced) -> None:
    """The Responses API: instructions, and a conversation that was shortened before."""
    compacted = {"type": "compaction", "id": "cmp_1", "encrypted_content": "aaaa"}
    litellm.responses(
        model="openai/gpt-4o-mini",
        input=[compacted, *HI],
        instructions="You are helpful.",
        **traced.to(),
    )


def error(traced: Traced) -> None:
    """The provider refuses."""
    with pytest.raises(litellm.RateLimitError):
        litellm.completion(**traced.chat(provider={"status": 429}))


def failed_embeddings(traced: Traced) -> None:
    """The provider refuses to embed."""
    with pytest.raises(litellm.RateLimitError):
        litellm.embedding(
            model="openai/text-embedding-3-small", input=["a"], **traced.to(status=429)
        )


def rerank(traced: Traced) -> None:
    """An operation that the conventions have no name for."""
    to = traced.to()
    to["api_base"] += "/rerank"
    litellm.rerank(model="cohere/rerank-english-v3.0", query="q", documents=["a", "b"], **to)


SCENARIOS: tuple[Callable[[Traced], None], ...] = (
    *(inference, tool_calling, multimodal, images, reasoning, caching, embeddings, streaming),
    *(responses, error, failed_embeddings, rerank),
)


@contextmanager
def recorded(
    capture: Any, opt_in: str, *scenarios: Callable[[Traced], None]
) -> Iterator[Telemetry]:
    """What these scenarios record, with content on spans and events."""
    with capture("SPAN_AND_EVENT", **{OPT_IN: opt_in}) as traced:
        for scenario in scenarios:
            scenario(traced)
        yield traced.telemetry


def names(telemetry: Telemetry) -> set[str]:
    """The names of all attributes, metrics, labels and events."""
    return {
        *(name for span in telemetry.spans for name in span["attributes"]),
        *(point["name"] for point in telemetry.metrics),
        *(name for point in telemetry.metrics for name in point["attributes"]),
        *(log["event"] for log in telemetry.logs),
    }


@OPT_INS
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
def test_each_operation_follows_the_conventions(
    scenario: Callable[[Traced], None], opt_in: str, capture: Any
) -> None:
    """Spans, metrics and events, with the names of the chosen generation."""
    with recorded(capture, opt_in, scenario) as telemetry:
        said = names(telemetry)
        assert undeclared(telemetry.spans, telemetry.metrics, telemetry.logs) == set()
        assert telemetry.spans
        assert telemetry.metrics
    if opt_in == NEW:
        assert said & OLD_NAMES == set()
        assert {*odd_content(telemetry)} == set()
    elif opt_in == "":
        assert said & NEW_NAMES == set()


def odd_content(telemetry: Telemetry) -> Iterator[str]:
    """What v0.1.0 does not have in content: other parts, instructions, finish reasons."""
    for span in telemetry.spans:
        for name, schema in RELEASE.items():
            if name in span["attributes"]:
                found = json.loads(span["attributes"][name])
                errors = jsonschema.Draft202012Validator(schema).iter_errors(found)
                yield from (f"{name}: {error.message}" for error in errors)


def values(telemetry: Telemetry, name: str) -> list[Any]:
    """The values of an attribute on all spans."""
    return [span["attributes"].get(name) for span in telemetry.spans]


def usage(telemetry: Telemetry, kind: str) -> dict[str, int]:
    """Modality → tokens of a usage counter of v0.1.0, labels apart."""
    name = f"gen_ai.client.inference.usage.{kind}"
    found: dict[str, int] = {}
    for point in telemetry.metrics:
        if point["name"] == name:
            modality = point["attributes"]["gen_ai.token.modality"]
            found[modality] = found.get(modality, 0) + point["value"]
    return found


@pytest.mark.recent_litellm
def test_tokens_are_counted_by_modality(capture: Any) -> None:
    """With the provider's counts; the parts of a counter sum up to the total."""
    with recorded(capture, NEW, multimodal, caching) as telemetry:
        assert values(telemetry, "gen_ai.usage.image.input_tokens") == [70, None]
        assert values(telemetry, "gen_ai.usage.text.input_tokens") == [20, None]
        assert values(telemetry, "gen_ai.usage.cache_write.input_tokens") == [None, 20]
        assert values(telemetry, "gen_ai.request.top_k") == [None, 40]
        assert usage(telemetry, "input_tokens") == {
            "text": 20,
            "image": 70,
            "audio": 10,
            "unknown": 90,
        }
        assert usage(telemetry, "output_tokens") == {"unknown": 20}
        assert usage(telemetry, "cache_read.input_tokens") == {"unknown": 30}
        assert usage(telemetry, "cache_write.input_tokens") == {"unknown": 20}
        assert usage(telemetry, "reasoning.output_tokens") == {"unknown": 0}


def test_a_failed_call_counts_as_zero_tokens(capture: Any) -> None:
    """In every counter and histogram of tokens; its exception is an event."""
    with recorded(capture, NEW, error) as telemetry:
        assert usage(telemetry, "input_tokens") == {"unknown": 0}
        (tokens,) = [m for m in telemetry.metrics if m["name"].endswith("operation.input_tokens")]
        assert (tokens["count"], tokens["sum"]) == (1, 0)
        assert tokens["attributes"]["error.type"] == "RateLimitError"
        (event,) = [log for log in telemetry.logs if log["event"].endswith(".exception")]
        assert event["event"] == "gen_ai.client.inference.exception"
        assert event["attributes"]["exception.type"] == "RateLimitError"
        assert event["span_id"] == telemetry.spans[0]["span_id"]


def test_both_generations_have_the_same_values(capture: Any) -> None:
    """With `/dup`, each value has both names; an unchanged name appears once."""
    with recorded(capture, DUP, caching, streaming, embeddings) as telemetry:
        for old, new in generations.RENAMED:
            assert values(telemetry, old) == values(telemetry, new) == [20, None, None]
        durations: Counter[str] = Counter()
        for point in telemetry.metrics:
            if point["name"].endswith(".duration"):
                durations[point["name"]] += point["count"]
        assert durations == {
            "gen_ai.client.operation.duration": 3,
            "gen_ai.client.inference.duration": 2,
            "gen_ai.client.embeddings.duration": 1,
        }
        details = [log for log in telemetry.logs if log["event"] == semconv.EVENT_DETAILS]
        assert len(details) == 3


def test_a_shortened_conversation_is_marked(capture: Any) -> None:
    """True, or absent: only v0.1.0 has the attribute."""
    with recorded(capture, NEW, responses, inference) as telemetry:
        assert values(telemetry, "gen_ai.conversation.compacted") == [True, None]


def test_the_declared_gaps_are_those_that_exist(capture: Any) -> None:
    """A closed gap must be removed from the list, and a new one needs a reason."""
    seen = set()
    for opt_in in ("", NEW):
        with recorded(capture, opt_in, *SCENARIOS) as telemetry:
            seen |= {*violations(telemetry.spans, telemetry.metrics, telemetry.logs)}
    chunks = next(
        span["attributes"]["litellm.stream.chunks"]
        for span in telemetry.spans
        if "litellm.stream.chunks" in span["attributes"]
    )
    (point,) = [each for each in telemetry.metrics if "per_output_chunk" in each["name"]]
    if point["count"] != chunks - 1:
        seen.add("one time per output chunk for a stream")
    assert seen == conventions.GAPS.keys()


SPAN: dict[str, Any] = {
    "name": "chat m",
    "kind": "CLIENT",
    "status": "UNSET",
    "scope": "litespan",
    "attributes": {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "m",
    },
}
POINT: dict[str, Any] = {
    "name": "gen_ai.client.inference.duration",
    "unit": "s",
    "bounds": conventions.SECONDS,
    "attributes": {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai"},
}
LOG: dict[str, Any] = {
    "event": "gen_ai.client.inference.exception",
    "severity": "WARN",
    "attributes": {"exception.type": "T"},
}


@pytest.mark.parametrize(
    ("kind", "change", "attributes", "violation"),
    [
        ("spans", {}, {}, None),
        ("spans", {}, {"gen_ai.usage.input": 3}, "unknown attribute gen_ai.usage.input"),
        ("spans", {}, {"gen_ai.request.top_k": 4.0}, "type of gen_ai.request.top_k: float"),
        ("spans", {}, {"gen_ai.output.type": "poem"}, "value 'poem' of gen_ai.output.type"),
        ("spans", {}, {"gen_ai.provider.name": None}, "missing gen_ai.provider.name on chat"),
        ("spans", {}, {"error.type": "T"}, "error.type with status UNSET"),
        ("spans", {}, {"gen_ai.input.messages": "[7]"}, "schema of gen_ai.input.messages: 7 is"),
        ("spans", {"status": "OK"}, {}, "status OK"),
        ("spans", {"kind": "SERVER"}, {}, "kind SERVER of chat"),
        ("spans", {"name": "chat"}, {}, "name 'chat' of chat"),
        ("metrics", {}, {}, None),
        ("metrics", {"name": "gen_ai.calls"}, {}, "unknown metric gen_ai.calls"),
        ("metrics", {"bounds": [1.0]}, {}, "buckets of gen_ai.client.inference.duration"),
        ("metrics", {"unit": "ms"}, {}, "unit ms of gen_ai.client.inference.duration"),
        ("metrics", {}, {"user.id": "u"}, "label user.id of gen_ai.client.inference.duration"),
        ("metrics", {}, {"gen_ai.provider.name": None}, "missing label gen_ai.provider.name of"),
        ("logs", {}, {}, None),
        ("logs", {"severity": "INFO"}, {}, "severity INFO of gen_ai.client.inference.exception"),
        ("logs", {"event": "gen_ai.failed"}, {}, "unknown event gen_ai.failed"),
        ("logs", {}, {"exception.type": None}, "missing exception.type of"),
    ],
)
def test_the_check_finds_each_violation(
    kind: str, change: dict[str, Any], attributes: dict[str, Any], violation: str | None
) -> None:
    """Unknown names, wrong types, values, units and buckets, and missing attributes."""
    good = {"spans": SPAN, "metrics": POINT, "logs": LOG}[kind]
    changed = {**good["attributes"], **attributes}
    kept = {name: value for name, value in changed.items() if value is not None}
    given: Any = {kind: [{**good, **change, "attributes": kept}]}
    found = undeclared(**given)
    if violation is None:
        assert found == set()
    else:
        assert [text for text in found if text.startswith(violation)]


def test_every_written_name_is_in_the_conventions_or_declared() -> None:
    """Every `gen_ai.*` name that litespan can write is in the table or declared."""
    table = {
        *conventions.ATTRIBUTES,
        *conventions.OLD_ATTRIBUTES,
        *conventions.METRICS,
        *conventions.OLD_METRICS,
        *conventions.EVENTS,
        *conventions.FOR_SERVICES,
        *(gap.rpartition(" ")[2] for gap in conventions.GAPS if gap.startswith("unknown")),
    }
    ours = {
        value
        for name, value in vars(semconv).items()
        if isinstance(value, str) and value.startswith("gen_ai.") and not name.startswith("FOR_")
    }
    assert ours - table == set()
