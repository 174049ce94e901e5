"""The spans above calls, at the services that show them: Langfuse and Datadog."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import litellm
import pytest
from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor, SpanExporter
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    TraceFlags,
    set_span_in_context,
)

from litespan import LiteLLMInstrumentor
from litespan.genai.ancestors import (
    MAX_CONTENT,
    MAX_MISSING_PARENTS,
    Ancestors,
    Lineage,
    Summary,
)
from litespan.testing import LoopbackProvider
from litespan_exporters.datadog import DatadogExporter
from litespan_exporters.datadog_otlp import DatadogOtlpExporter
from litespan_exporters.langfuse import LangfuseExporter
from tests.support.server import Vendor, running
from tests.support.vendors import SECRET, Datadog, DatadogOtlp, Langfuse

HI = [{"role": "user", "content": "Say hello"}]
CHAT = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o"}
AGENT = {"gen_ai.operation.name": "invoke_agent"}
REMOTE = SpanContext(0xABC, 0xDEF, is_remote=True, trace_flags=TraceFlags(1))
IN_OUT = ("langfuse.observation.input", "langfuse.observation.output")
TOP = "langfuse.internal.is_app_root"
Process = Callable[[SpanExporter], SpanProcessor]

in_parts = pytest.mark.parametrize(
    "process", [SimpleSpanProcessor, BatchSpanProcessor], ids=["one by one", "one batch"]
)


@pytest.fixture
def langfuse() -> Iterator[Vendor]:
    """Langfuse on loopback."""
    with running(Langfuse()) as vendor:
        yield vendor


@pytest.fixture
def datadog() -> Iterator[Vendor]:
    """Datadog on loopback."""
    with running(Datadog()) as vendor:
        yield vendor


def records(vendor: Vendor) -> list[dict[str, Any]]:
    """What arrived."""
    assert vendor.wrong == []
    return list(vendor.accept.records.values())  # type: ignore[attr-defined]


def by_name(vendor: Vendor) -> dict[str, dict[str, Any]]:
    """What arrived, by the spans' names."""
    return {record["name"]: record for record in records(vendor)}


def provider(process: Process, exporter: SpanExporter) -> TracerProvider:
    """A tracer provider with this exporter."""
    made = TracerProvider(shutdown_on_exit=False)
    made.add_span_processor(process(exporter))
    return made


def fall_back(
    traces: TracerProvider, loopback: LoopbackProvider, above: Context | None = None, **given: Any
) -> None:
    """A router's call: two attempts that fail, and one that succeeds."""
    failing, key = loopback.url_for(status=500), "sk-loopback"
    bad = {"model": "openai/gpt-4o-mini", "api_base": failing, "api_key": key, "max_retries": 0}
    good = {"model": "openai/gpt-4o", "api_base": loopback.url, "api_key": key}
    router = litellm.Router(
        model_list=[
            {"model_name": "bad", "litellm_params": bad},
            {"model_name": "good", "litellm_params": good},
        ],
        fallbacks=[{"bad": ["good"]}],
        num_retries=1,
        retry_after=0,
    )
    instrumentor = LiteLLMInstrumentor()
    instrumentor.instrument(tracer_provider=traces)
    try:
        tracer = traces.get_tracer("app")
        with tracer.start_as_current_span("POST /ask", above, SpanKind.SERVER) as server:
            server.set_attribute("user.id", "the key's")
            router.completion("bad", HI, **given)
    finally:
        instrumentor.uninstrument()
        traces.shutdown()


@pytest.fixture
def content(monkeypatch: pytest.MonkeyPatch) -> None:
    """Content is recorded."""
    monkeypatch.setenv("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "SPAN_ONLY")
    monkeypatch.setattr(litellm, "suppress_debug_info", True)


@pytest.fixture
def no_content(monkeypatch: pytest.MonkeyPatch) -> None:
    """Content is not recorded."""
    monkeypatch.setenv("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "NO_CONTENT")
    monkeypatch.setattr(litellm, "suppress_debug_info", True)


# --- Langfuse ---------------------------------------------------------------------


@in_parts
@pytest.mark.usefixtures("content")
def test_langfuse_lists_a_proxys_trace_with_name_input_and_output(
    process: Process, langfuse: Vendor, loopback: LoopbackProvider
) -> None:
    """The topmost span of this process is marked, although its parent is a client's."""
    traces = provider(process, LangfuseExporter(SECRET, SECRET, langfuse.url))
    fall_back(traces, loopback, set_span_in_context(NonRecordingSpan(REMOTE)), user="ann")
    found = by_name(langfuse)
    tops = {name for name, record in found.items() if TOP in record["attributes"]}
    assert tops == {"POST /ask"}
    server = found["POST /ask"]["attributes"]
    assert server[TOP] is True
    assert server["langfuse.trace.name"] == "POST /ask"
    for name in ("POST /ask", "litellm.router bad"):
        asked, attributes = [json.loads(found[name]["attributes"][side]) for side in IN_OUT]
        assert asked == HI
        assert attributes == json.loads(found["chat gpt-4o"]["attributes"][IN_OUT[1]])


@in_parts
@pytest.mark.usefixtures("content")
def test_langfuse_takes_the_user_from_the_call(
    process: Process, langfuse: Vendor, loopback: LoopbackProvider
) -> None:
    """The user of a span above would replace it."""
    traces = provider(process, LangfuseExporter(SECRET, SECRET, langfuse.url))
    fall_back(traces, loopback, user="ann")
    users = {name: r["attributes"].get("user.id") for name, r in by_name(langfuse).items()}
    assert users["chat gpt-4o"] == "ann"
    assert users["POST /ask"] is None


@in_parts
@pytest.mark.usefixtures("no_content")
def test_spans_above_have_no_content_if_the_call_has_none(
    process: Process, langfuse: Vendor, loopback: LoopbackProvider
) -> None:
    """They copy only recorded content."""
    traces = provider(process, LangfuseExporter(SECRET, SECRET, langfuse.url))
    fall_back(traces, loopback)
    assert len(records(langfuse)) == 5
    for record in records(langfuse):
        assert not set(IN_OUT) & set(record["attributes"])


@in_parts
@pytest.mark.usefixtures("content")
def test_langfuse_does_not_charge_failures(
    process: Process, langfuse: Vendor, loopback: LoopbackProvider
) -> None:
    """A failure without tokens has cost 0; otherwise Langfuse estimates its input."""
    traces = provider(process, LangfuseExporter(SECRET, SECRET, langfuse.url))
    fall_back(traces, loopback)
    failed = [r["attributes"] for r in records(langfuse) if r["name"] == "chat gpt-4o-mini"]
    assert len(failed) == 2
    for attributes in failed:
        assert json.loads(attributes["langfuse.observation.cost_details"]) == {"total": 0.0}
        assert "langfuse.observation.usage_details" not in attributes


def test_the_root_has_the_users_name_for_the_trace(langfuse: Vendor) -> None:
    """Otherwise the name of the topmost span would replace it."""
    traces = provider(SimpleSpanProcessor, LangfuseExporter(SECRET, SECRET, langfuse.url))
    tracer = traces.get_tracer("app")
    with tracer.start_as_current_span("request"):
        named = {**CHAT, "litellm.metadata.trace_name": "refunds"}
        tracer.start_span("chat", attributes=named).end()
    traces.shutdown()
    assert by_name(langfuse)["request"]["attributes"]["langfuse.trace.name"] == "refunds"


def test_a_call_that_outlives_its_parent_is_the_topmost(langfuse: Vendor) -> None:
    """A stream that is read after its request has ended: the parent was not sent."""
    traces = provider(SimpleSpanProcessor, LangfuseExporter(SECRET, SECRET, langfuse.url))
    tracer = traces.get_tracer("app")
    parent = tracer.start_span("request")
    call = tracer.start_span("chat", set_span_in_context(parent), attributes=CHAT)
    parent.end()
    call.end()
    traces.shutdown()
    (record,) = records(langfuse)
    assert record["attributes"][TOP] is True
    assert record["attributes"]["langfuse.trace.name"] == "chat"


@in_parts
@pytest.mark.parametrize("others", ["ancestors", "all", "none"])
def test_exactly_the_topmost_is_marked(process: Process, others: str, langfuse: Vendor) -> None:
    """Whichever spans are sent, from any instrumentation."""
    exporter = LangfuseExporter(SECRET, SECRET, langfuse.url, other_spans=others)
    traces = provider(process, exporter)
    tracer = traces.get_tracer("somebody.else")
    with tracer.start_as_current_span("request"):
        tracer.start_span("chat", attributes=CHAT).end()
    traces.shutdown()
    tops = {name for name, record in by_name(langfuse).items() if TOP in record["attributes"]}
    assert tops == ({"chat"} if others == "none" else {"request"})


# --- Datadog ----------------------------------------------------------------------


@in_parts
@pytest.mark.usefixtures("content")
def test_datadog_has_one_trace_per_router_call(
    process: Process, datadog: Vendor, loopback: LoopbackProvider
) -> None:
    """One root, a workflow with input and output, and the attempts below the router's span."""
    traces = provider(process, DatadogExporter(SECRET, base_url=datadog.url))
    fall_back(traces, loopback, set_span_in_context(NonRecordingSpan(REMOTE)))
    spans = records(datadog)
    (root,) = [span for span in spans if span["parent_id"] == "undefined"]
    (router,) = [span for span in spans if span["name"] == "litellm.router bad"]
    ids = {span["span_id"] for span in spans}
    assert {span["parent_id"] for span in spans} <= {"undefined", *ids}
    for workflow in (root, router):
        meta = workflow["meta"]
        assert meta["kind"] == "workflow"
        assert meta["input"] == {"value": "Say hello"}
        assert meta["output"]["value"]
        assert "metrics" not in workflow
    attempts = [span for span in spans if span["meta"]["kind"] == "llm"]
    assert [span["parent_id"] for span in attempts] == [router["span_id"]] * 3


@pytest.mark.usefixtures("content")
def test_datadog_by_otlp_has_the_routers_workflow(loopback: LoopbackProvider) -> None:
    """With the messages of the first and the last attempt."""
    with running(DatadogOtlp()) as vendor:
        exporter = DatadogOtlpExporter(SECRET, base_url=vendor.url)
        fall_back(provider(SimpleSpanProcessor, exporter), loopback)
        found = by_name(vendor)
        router, last = [found[n]["attributes"] for n in ("litellm.router bad", "chat gpt-4o")]
        assert router["gen_ai.operation.name"] == "invoke_workflow"
        for name in ("gen_ai.input.messages", "gen_ai.output.messages"):
            assert router[name] == last[name]


@in_parts
def test_a_parent_that_outlives_a_batch_keeps_its_children(
    process: Process, datadog: Vendor
) -> None:
    """The calls of an agent are below it, although it ends in a later export."""
    traces = provider(process, DatadogExporter(SECRET, base_url=datadog.url))
    tracer = traces.get_tracer("agents")
    with tracer.start_as_current_span("agent", attributes=AGENT):
        tracer.start_span("chat", attributes=CHAT).end()
    traces.shutdown()
    found = by_name(datadog)
    assert found["chat"]["parent_id"] == found["agent"]["span_id"]
    assert found["agent"]["parent_id"] == "undefined"
    assert found["agent"]["meta"]["kind"] == "agent"


def test_no_call_is_below_a_span_that_datadog_never_gets(datadog: Vendor) -> None:
    """If its parent ended before it, or is in another process, a call is a root."""
    traces = provider(SimpleSpanProcessor, DatadogExporter(SECRET, base_url=datadog.url))
    tracer = traces.get_tracer("app")
    parent = tracer.start_span("request")
    late = tracer.start_span("late", set_span_in_context(parent), attributes=CHAT)
    parent.end()
    late.end()
    tracer.start_span("far", set_span_in_context(NonRecordingSpan(REMOTE)), attributes=CHAT).end()
    traces.shutdown()
    assert {span["name"]: span["parent_id"] for span in records(datadog)} == {
        "late": "undefined",
        "far": "undefined",
    }


# --- the mechanism ----------------------------------------------------------------


def local(number: int) -> SpanContext:
    """A span's context in this process."""
    return SpanContext(1, number, is_remote=False, trace_flags=TraceFlags(1))


def plain(number: int, parent: int | None = None) -> ReadableSpan:
    """A span of that number."""
    above = None if parent is None else local(parent)
    return ReadableSpan("work", local(number), above, start_time=1, end_time=2)


def among(ancestors: Ancestors, spans: list[ReadableSpan], **calls: Summary) -> Lineage:
    """The lineage of a batch in which the spans `_1`, `_2`, … are calls."""
    return ancestors.find(spans, {(1, int(name[1:])): below for name, below in calls.items()})


def all_above() -> Ancestors:
    """Every span above a call is sent."""
    return Ancestors(lambda _span, below, _awaited: below is not None, remembered=3)


@pytest.mark.parametrize("order", [1, -1])
def test_the_order_in_a_batch_does_not_matter(order: int) -> None:
    """Within one export, ancestors are found in any order."""
    batch = [plain(3, 2), plain(2, 1), plain(1)][::order]
    assert set(among(all_above(), batch, _3=Summary(1, 2)).kept) == {(1, 1), (1, 2)}


def test_remembered_parents_are_bounded() -> None:
    """Their number and their content are limited."""
    ancestors = all_above()
    for number in range(10, 20):
        among(ancestors, [plain(number + 100, number)], **{f"_{number + 100}": Summary(1, 2)})
    assert set(among(ancestors, [plain(n) for n in range(10, 20)]).kept) == {
        (1, 17),
        (1, 18),
        (1, 19),
    }
    huge = Summary(1, 2, "x" * (MAX_CONTENT + 1))
    assert len(among(ancestors, [plain(2, 1)], _2=huge).kept) == 0
    (below,) = among(ancestors, [plain(1)]).kept.values()
    assert below is not None
    assert below.input is None


def test_parents_that_never_arrive_are_not_awaited() -> None:
    """For example those of another tracer provider, until one arrives after all."""
    ancestors = Ancestors(lambda _span, below, _awaited: below is not None)
    call = plain(2, 1)
    assert among(ancestors, [call], _2=Summary(1, 2)).parent(call) == local(1)
    for number in range(10, 10 + MAX_MISSING_PARENTS):
        among(ancestors, [plain(number + 100, number)], **{f"_{number + 100}": Summary(1, 2)})
    other = plain(4, 3)
    assert among(ancestors, [other], _4=Summary(1, 2)).parent(other) is None
    assert among(ancestors, [plain(3)]).kept
    late = plain(6, 5)
    assert among(ancestors, [late], _6=Summary(1, 2)).parent(late) == local(5)


def test_a_cycle_of_parents_ends() -> None:
    """Forwarded spans may be forged."""
    lineage = among(all_above(), [plain(3, 2), plain(2, 1), plain(1, 2)], _3=Summary(1, 2))
    assert set(lineage.kept) == {(1, 1), (1, 2)}


def test_spans_above_have_the_first_input_and_the_last_output() -> None:
    """Of the calls with content, in any order of arrival."""
    first, last = Summary(1, 5, "a", "b"), Summary(3, 9, "c", "d")
    nothing = Summary(0, 20)
    for one, other in ((first, last), (last, first)):
        both = nothing.merge(one).merge(other).merge(nothing)
        assert (both.input, both.output) == ("a", "d")
