"""The same call, sent by our exporter in the process and by the collector: the same fields.

What differs is listed here by name, and in docs/collector.md with what to do about it.
"""

import json
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.trace import SpanContext, TraceFlags

from litespan_exporters.datadog_otlp import DatadogOtlpExporter
from litespan_exporters.langfuse import LangfuseExporter
from litespan_exporters.logfire import LogfireExporter
from litespan_exporters.posthog import PosthogExporter
from litespan_exporters.traceloop import TraceloopExporter
from tests import cases
from tests.collector.running import wait_for
from tests.collector.test_overlays import PLACES, sending
from tests.support.server import running as serving
from tests.support.vendors import SECRET, DatadogOtlp, Langfuse, Otlp

KINDS = {
    "litellm.usage.cache_creation.ephemeral_5m_input_tokens": 56,
    "litellm.usage.cache_creation.ephemeral_1h_input_tokens": 200,
    "gen_ai.usage.audio.input_tokens": 100,
    "gen_ai.usage.audio.output_tokens": 40,
}


def called(number: int, parent: SpanContext | None, **more: Any) -> ReadableSpan:
    """A call below such a parent."""
    shown = {**cases.CHAT, "litellm.outcome": "success", **more}
    made = cases.span(number, "chat gpt-4o-mini", shown)
    made._parent = parent
    return made


CALLS: dict[str, ReadableSpan] = {
    **{name: span for name, span in cases.CASES.items() if name not in ("surrogate", "unicode")},
    "kinds of tokens": cases.span(
        901, "chat", {**(cases.CASES["reasoning_cached"].attributes or {}), **KINDS}
    ),
    "root": called(902, None),
    "free": called(903, None, **{"gen_ai.usage.cost": 0.0, "gen_ai.usage.input_tokens": 4}),
    "below a client": called(904, SpanContext(cases.TRACE_ID, 0xDEF, True, TraceFlags(1))),
}

MESSAGES = {
    "gen_ai.input.messages",
    "gen_ai.output.messages",
    "gen_ai.system_instructions",
    "gen_ai.tool.definitions",
}
# Langfuse reads tool calls and pictures only from messages in OpenAI's shape. OTTL has no loops
# to rebuild them, so through the collector the messages keep the convention's shape.
OTHER_SHAPE = {
    "langfuse": {"langfuse.observation.input", "langfuse.observation.output", *MESSAGES},
    "posthog": {"$ai_tools"},
}
# Our exporters cut content to what the service takes; the collector sends it, or loses the call.
CUT = {("huge", name): MESSAGES for name in ("logfire", "posthog", "traceloop")}

EXPORTERS: dict[str, type[SpanExporter]] = {
    "langfuse": LangfuseExporter,
    "datadog": DatadogOtlpExporter,
    "logfire": LogfireExporter,
    "posthog": PosthogExporter,
    "traceloop": TraceloopExporter,
}
RULES = {"langfuse": Langfuse, "datadog": DatadogOtlp}


def parsed(attributes: dict[str, Any], without: set[str]) -> dict[str, Any]:
    """Attributes, those that hold JSON as values: the order of keys says nothing."""
    found = {}
    for name, value in attributes.items():
        if name not in without and value != []:
            holds_json = isinstance(value, str) and value[:1] in ("{", "[")
            found[name] = json.loads(value) if holds_json else value
    return found


def by_exporter(name: str, spans: list[ReadableSpan]) -> dict[str, Any]:
    """What the vendor has after our exporter sent the spans."""
    vendor = RULES.get(name, Otlp)()
    with serving(vendor) as server:
        exporter: Any = EXPORTERS[name]
        keys = (SECRET, SECRET) if name == "langfuse" else (SECRET,)
        sender = exporter(*keys, base_url=server.url)
        assert sender.export(spans) is SpanExportResult.SUCCESS, server.wrong
        sender.shutdown()
    return vendor.records


def by_collector(name: str, spans: list[ReadableSpan], data: Path) -> dict[str, Any]:
    """What the vendor has after the collector with this overlay sent them."""
    vendor = RULES.get(name, Otlp)()
    keys = ("LANGFUSE_PUBLIC_KEY", "LANGFUSE_SECRET_KEY", "DD_API_KEY")
    used = PLACES[name].env("")
    env = {key: SECRET for key in keys if key in used}
    with serving(vendor) as server, sending(name, data, server, **env) as running:
        running.send(spans)
        wait_for(lambda: len(vendor.records) >= len(spans) or server.wrong, "the vendor's records")
        assert server.wrong == []
    return vendor.records


@pytest.fixture(scope="module", params=sorted(EXPORTERS))
def both(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """The vendor's name, its records by exporter and by collector, by span id."""
    name = request.param
    spans = list(CALLS.values())
    data = tmp_path_factory.mktemp(name)
    return name, by_exporter(name, spans), by_collector(name, spans, data)


@pytest.mark.parametrize("case", CALLS)
def test_the_collector_sends_each_attribute_of_the_exporter(
    both: tuple[str, dict[str, Any], dict[str, Any]], case: str
) -> None:
    """With the same value."""
    name, ours, theirs = both
    context = CALLS[case].context
    assert context is not None
    key = f"{context.span_id:016x}"
    without = OTHER_SHAPE.get(name, set()) | CUT.get((case, name), set())
    assert parsed(ours[key]["attributes"], without) == parsed(theirs[key]["attributes"], without)
    same = ("name", "parent", "status", "start", "end", "resource")
    assert {part: ours[key][part] for part in same} == {part: theirs[key][part] for part in same}


def test_messages_have_the_conventions_format_if_the_exporters_differs(
    both: tuple[str, dict[str, Any], dict[str, Any]],
) -> None:
    """The collector sends the convention's messages."""
    name, ours, theirs = both
    context = CALLS["tool_call"].context
    assert context is not None
    key = f"{context.span_id:016x}"
    if name == "langfuse":
        assert "langfuse.observation.input" in ours[key]["attributes"]
    sent = dict(CALLS["tool_call"].attributes or {})
    got = theirs[key]["attributes"]
    assert {part: got.get(part) for part in MESSAGES & set(sent)} == {
        part: sent[part] for part in MESSAGES & set(sent)
    }
