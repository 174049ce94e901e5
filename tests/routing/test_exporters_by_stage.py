"""Exporters by stage: the calls and the content that each receives."""

import asyncio
import importlib
import json
import sqlite3
import subprocess
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from threading import Barrier, get_ident
from typing import Any

import litellm
import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

import litespan
from litespan import Route
from litespan.export import GenAISpan
from litespan.instrumentation.signals import Live, Signals
from litespan.routing.configuration import Routes
from litespan.routing.destinations import BadRoute
from litespan.settings import Settings
from litespan.testing import LoopbackProvider, Telemetry
from litespan_exporters.datadog import DatadogExporter
from litespan_exporters.langfuse import LangfuseExporter
from tests.support.calls import MESSAGES, Traced
from tests.support.program import environment
from tests.support.program_files import command, run_file, write
from tests.support.server import running
from tests.support.vendors import SECRET, Datadog, Langfuse

TELLTALE = "TELLTALE in the text"


class Kept(SpanExporter):
    """An exporter that keeps the spans that it receives."""

    def __init__(self, name: str = "kept") -> None:
        self.name = name
        self.spans: list[ReadableSpan] = []
        self.ended = False

    def shutdown(self) -> None:
        self.ended = True

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.spans.extend(spans)
        return SpanExportResult.SUCCESS

    @property
    def outcomes(self) -> list[Any]:
        """The outcome of each span, in order of arrival."""
        return [(span.attributes or {}).get("litellm.outcome") for span in self.spans]

    @property
    def text(self) -> str:
        """Everything that it received."""
        return "".join(span.to_json() for span in self.spans)


class Beginning(Kept):
    """One that can also record calls that have only started."""

    def __init__(self) -> None:
        super().__init__("beginning")
        self.started: list[ReadableSpan] = []

    def export_started(self, spans: Sequence[ReadableSpan]) -> None:
        self.started.extend(spans)


@pytest.fixture
def content(loopback: LoopbackProvider, monkeypatch: pytest.MonkeyPatch) -> Iterator[Traced]:
    """LiteLLM instrumented with content on."""
    monkeypatch.setenv("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "SPAN_ONLY")
    telemetry = Telemetry()
    instrumentor = litespan.LiteLLMInstrumentor()
    instrumentor.instrument(**telemetry.providers)
    try:
        yield Traced(loopback, telemetry)
    finally:
        instrumentor.uninstrument()


@pytest.fixture(autouse=True)
def no_routes() -> Iterator[None]:
    """The lists are empty again after each test."""
    yield
    Routes.configure({"input": (), "success": (), "failure": ()})


async def every_end(traced: Traced) -> None:
    """A success, a failure, an abandoned stream and a cancelled call."""
    litellm.completion(**traced.chat())
    with pytest.raises(litellm.RateLimitError):
        litellm.completion(**traced.chat(provider={"status": 429}))
    stream = litellm.completion(**traced.chat(stream=True))
    next(stream)
    del stream
    task = asyncio.create_task(litellm.acompletion(**traced.chat(provider={"delay": 5})))
    await asyncio.sleep(0.3)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_success_and_failure_exporters_get_each_call_once(traced: Traced) -> None:
    """By the outcome of the call; an exporter in both lists has each call once."""
    good, bad, both = Kept(), Kept(), Kept()
    litespan.configure(success=[good, both], failure=[bad, both])
    tracer = traced.telemetry.tracer_provider.get_tracer("the application")
    with tracer.start_as_current_span("HTTP"):
        await every_end(traced)
    assert await asyncio.to_thread(litespan.flush, 10)
    assert good.outcomes == ["success", "abandoned"]
    assert bad.outcomes == ["failure", "cancelled"]
    assert both.outcomes == ["success", "failure", "abandoned", "cancelled"]
    assert len(traced.telemetry.spans) == 5  # everything, besides


async def test_each_attempt_is_routed_by_its_own_outcome(traced: Traced) -> None:
    """The router's own span is not routed."""
    good, bad = Kept(), Kept()
    litespan.configure(success=good, failure=bad)
    router = litellm.Router(
        model_list=[
            {"model_name": n, "litellm_params": {"model": f"openai/{m}", **traced.to(**behaviour)}}
            for n, m, behaviour in (("bad", "gpt-4o-mini", {"status": 500}), ("good", "gpt-4o", {}))
        ],
        fallbacks=[{"bad": ["good"]}],
        num_retries=0,
    )
    await router.acompletion(model="bad", messages=MESSAGES)
    assert await asyncio.to_thread(litespan.flush, 10)
    assert [span.name for span in good.spans] == ["chat gpt-4o"]
    assert [span.name for span in bad.spans] == ["chat gpt-4o-mini"]


async def test_services_that_show_routers_receive_their_spans(content: Traced) -> None:
    """Above the attempts; spans above the router are not sent."""
    with running(Langfuse()) as langfuse, running(Datadog()) as datadog:
        both = [
            LangfuseExporter(SECRET, SECRET, langfuse.url),
            DatadogExporter(SECRET, base_url=datadog.url),
        ]
        litespan.configure(success=both, failure=both)
        tracer = content.telemetry.tracer_provider.get_tracer("the application")
        with tracer.start_as_current_span("request"):
            litellm.completion(**content.chat())
            router = litellm.Router(
                model_list=[
                    {
                        "model_name": group,
                        "litellm_params": {"model": "openai/gpt-4o", **content.to(**behaviour)},
                    }
                    for group, behaviour in (("bad", {"status": 500}), ("good", {}))
                ],
                fallbacks=[{"bad": ["good"]}],
                num_retries=0,
            )
            await router.acompletion(model="bad", messages=MESSAGES)
        assert await asyncio.to_thread(litespan.flush, 10)
        assert langfuse.wrong == datadog.wrong == []
        observations = list(langfuse.accept.records.values())  # type: ignore[attr-defined]
        spans = list(datadog.accept.records.values())  # type: ignore[attr-defined]
    tops = [o["name"] for o in observations if "langfuse.internal.is_app_root" in o["attributes"]]
    assert tops == ["chat gpt-4o-mini", "litellm.router bad"]
    roots = {
        span["name"]: span["meta"]["kind"] for span in spans if span["parent_id"] == "undefined"
    }
    assert roots == {"chat gpt-4o-mini": "llm", "litellm.router bad": "workflow"}
    assert len(spans) == len(observations) == 4


def test_a_new_list_replaces_the_earlier_one(traced: Traced) -> None:
    """A list that is not passed is unchanged."""
    first, second, failed = Kept(), Kept(), Kept()
    litespan.configure(success=[first], failure=[failed])
    litellm.completion(**traced.chat())
    litespan.configure(success=[second])
    litellm.completion(**traced.chat())
    with pytest.raises(litellm.RateLimitError):
        litellm.completion(**traced.chat(provider={"status": 429}))
    assert litespan.flush(10)
    assert (first.outcomes, second.outcomes, failed.outcomes) == (
        ["success"],
        ["success"],
        ["failure"],
    )


def test_lists_may_be_set_before_the_tracer_provider(
    loopback: LoopbackProvider, telemetry: Telemetry
) -> None:
    """Lists may be given before there is a tracer provider."""
    kept = Kept()
    litespan.configure(success=[kept])
    instrumentor = litespan.LiteLLMInstrumentor()
    instrumentor.instrument(**telemetry.providers)
    try:
        litellm.completion(**Traced(loopback, telemetry).chat())
        assert litespan.flush(10)
    finally:
        instrumentor.uninstrument()
    assert kept.outcomes == ["success"]


@pytest.mark.parametrize(
    ("lists", "expected"),
    [
        pytest.param(
            {"success": ["helicon"]},
            "no exporter is called 'helicon' (did you mean helicone?); installed are ",
            id="unknown",
        ),
        pytest.param(
            {"input": ["console"]},
            "input: console cannot record calls that have only started: remove it from that "
            "list (sqlite and the other stores can)",
            id="no start",
        ),
        pytest.param(
            {"failure": [7]}, "7 is not an exporter: pass a name or a SpanExporter", id="type"
        ),
        pytest.param(
            {"success": [Route("jsonl", content=2)]},
            "jsonl: content=2 is not a share between 0 and 1",
            id="share",
        ),
    ],
)
def test_a_bad_entry_is_logged_and_the_others_apply(
    traced: Traced, lists: dict[str, Any], expected: str
) -> None:
    """One line has the mistake."""
    kept = Kept()
    with pytest.raises(BadRoute) as raised:
        litespan.configure(**{"success": [], **lists, "failure": [*lists.get("failure", ()), kept]})
    assert str(raised.value).startswith(expected)
    with pytest.raises(litellm.RateLimitError):
        litellm.completion(**traced.chat(provider={"status": 429}))
    assert litespan.flush(10)
    assert kept.outcomes == ["failure"]


def test_problems_of_other_lists_do_not_reach_the_program(
    traced: Traced, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wrong variable of the operator and an earlier mistake were reported already."""
    monkeypatch.setattr(Routes, "_from_environment", {"success": ("wrong",)})
    with pytest.raises(BadRoute):
        litespan.configure(input=["console"])
    kept = Kept()
    litespan.configure(failure=[kept])
    assert Routes.adopt({"failure": ("wrong too",)}) != []
    assert Routes.adopt({}) == []


def test_an_exporter_without_started_calls_keeps_its_other_lists(traced: Traced) -> None:
    """The error is about one list only."""
    kept = Kept()
    with pytest.raises(BadRoute, match="input: kept cannot record calls that have only started"):
        litespan.configure(input=kept, success=kept)
    litellm.completion(**traced.chat())
    assert litespan.flush(10)
    assert kept.outcomes == ["success"]


def test_an_exporter_that_stays_in_one_list_is_not_shut_down(traced: Traced) -> None:
    """It is shut down when it is in no list."""
    kept = Beginning()
    litespan.configure(input=kept, success=kept)
    litespan.configure(success=[])
    litellm.completion(**traced.chat())
    assert litespan.flush(10)
    assert (len(kept.started), kept.spans, kept.ended) == (1, [], False)
    litespan.configure(input=[])
    assert kept.ended


def test_calls_that_start_together_attach_the_exporters_once() -> None:
    """Otherwise each span would be exported twice."""
    added: list[Any] = []
    together, looked = Barrier(2, timeout=30), set()

    class Provider:
        """A tracer provider that both threads look at before one adds to it."""

        @property
        def add_span_processor(self) -> Any:
            if get_ident() not in looked:
                looked.add(get_ident())
                together.wait()
            return added.append

    signals = Signals(Settings(), TracerProvider())
    signals.providers = (Provider(), None, None)
    before, Live.signals = Live.signals, signals
    try:
        with ThreadPoolExecutor(2) as threads:
            for each in [threads.submit(Routes._attach) for _ in range(2)]:
                each.result()
    finally:
        Live.signals = before
    assert added == [Routes._processor]


def test_content_can_go_to_one_exporter_only(content: Traced) -> None:
    """The other exporter receives everything else."""
    with_content, without = Kept("with"), Kept("without")
    litespan.configure(
        success=[with_content, Route(without, content=False)],
        failure=[with_content, Route(without, content=False)],
    )
    messages = [{"role": "system", "content": TELLTALE}, {"role": "user", "content": TELLTALE}]
    litellm.completion(**content.chat(messages=messages, user="alice", provider={"text": TELLTALE}))
    with pytest.raises(litellm.BadRequestError):
        litellm.completion(
            **content.chat(messages=messages, provider={"status": 400, "message": "no: {prompt}"})
        )
    assert litespan.flush(10)
    assert with_content.text.count(TELLTALE) > 4
    assert TELLTALE not in without.text
    whole = [GenAISpan.read(span) for span in with_content.spans]
    narrow = [GenAISpan.read(span) for span in without.spans]
    for a, b in zip(whole, narrow, strict=True):
        assert a is not None
        assert b is not None
        assert (b.key, b.usage, b.cost, b.identity, b.call, b.service) == (
            a.key,
            a.usage,
            a.cost,
            a.identity,
            a.call,
            a.service,
        )
        assert b.facts == a.facts
        assert b.stages == a.stages
        assert b.input_messages is None
    assert narrow[1] is not None
    assert narrow[1].error is not None
    assert "[content]" in (narrow[1].error.message or "")


QUOTED: dict[str, tuple[str, dict[str, Any]]] = {
    "documents": (
        "rerank",
        {"model": "cohere/rerank-v3.5", "query": "which one", "documents": [TELLTALE]},
    ),
    "tools": (
        "completion",
        {
            "model": "openai/gpt-4o-mini",
            "messages": [{"role": "user", "content": "Hi there, how are you?"}],
            "tools": [{"type": "function", "function": {"name": "f", "description": TELLTALE}}],
        },
    ),
}


@pytest.mark.parametrize("name", QUOTED)
@pytest.mark.parametrize("mode", ["SPAN_ONLY", "EVENT_ONLY"])
def test_an_exporter_without_content_gets_no_quote_of_the_prompt_in_an_error(
    name: str, mode: str, monkeypatch: pytest.MonkeyPatch, loopback: LoopbackProvider
) -> None:
    """The provider's quote may be nowhere on the span."""
    monkeypatch.setenv("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", mode)
    telemetry, kept = Telemetry(), Kept()
    function, given = QUOTED[name]
    refusal = {"status": 400, "message": f"Invalid request near '{TELLTALE}'"}
    instrumentor = litespan.LiteLLMInstrumentor()
    instrumentor.instrument(**telemetry.providers)
    try:
        litespan.configure(failure=[Route(kept, content=False)])
        with pytest.raises(Exception, match="Invalid request"):
            getattr(litellm, function)(**given, **Traced(loopback, telemetry).to(**refusal))
        assert litespan.flush(10)
    finally:
        instrumentor.uninstrument()
    assert "Invalid request" in kept.text
    assert TELLTALE not in kept.text


def test_exporters_of_other_packages_can_be_listed(
    content: Traced, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Any exporter with an entry point can be named, and its content limited."""
    (tmp_path / "third_party.py").write_text(
        "from tests.routing.test_exporters_by_stage import Kept\n"
        "MADE = []\n"
        "class Theirs(Kept):\n"
        "    def __init__(self):\n"
        "        super().__init__('theirs')\n"
        "        MADE.append(self)\n"
    )
    info = tmp_path / "third_party-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: third-party\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[opentelemetry_traces_exporter]\ntheirs = third_party:Theirs\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    litespan.configure(success=[Route("theirs", content=False)])
    litellm.completion(**content.chat(messages=[{"role": "user", "content": TELLTALE}]))
    assert litespan.flush(10)
    third_party = importlib.import_module("third_party")

    (theirs,) = third_party.MADE
    assert theirs.outcomes == ["success"]
    assert TELLTALE not in theirs.text


def test_an_exporter_can_receive_content_of_a_share_of_traces(content: Traced) -> None:
    """Cost and tokens are sent for all traces."""
    kept = Kept()
    provider = TracerProvider()  # with random trace ids
    litespan.LiteLLMInstrumentor().uninstrument()
    litespan.LiteLLMInstrumentor().instrument(tracer_provider=provider)
    litespan.configure(success=[Route(kept, content=0.5)])
    for _ in range(40):
        litellm.completion(**content.chat(mock_response="Hello"))
    assert litespan.flush(10)
    read = [GenAISpan.read(span) for span in kept.spans]
    assert len(read) == 40
    given = [span is not None and span.input_messages is not None for span in read]
    assert 5 < sum(given) < 35
    assert all(span is not None and span.cost.total is not None for span in read)
    assert given == [(span.context.trace_id & (2**64 - 1)) < 0.5 * 2**64 for span in kept.spans]


def test_a_filter_selects_calls_and_a_failing_one_selects_none(
    traced: Traced, caplog: pytest.LogCaptureFixture
) -> None:
    """A function decides which calls an exporter receives."""
    dear, broken = Kept("dear"), Kept("broken")
    litespan.configure(
        success=[
            Route(dear, only=lambda span: span.request.model == "gpt-4o"),
            Route(broken, only=lambda span: 1 / 0 > 1),
        ]
    )
    litellm.completion(**traced.chat())
    litellm.completion(**traced.chat(model="openai/gpt-4o"))
    assert litespan.flush(10)
    assert [span.name for span in dear.spans] == ["chat gpt-4o"]
    assert broken.spans == []
    assert "filtering spans for broken failed: ZeroDivisionError" in caplog.text


def test_a_request_can_mute_exporters_and_its_content(content: Traced) -> None:
    """A call can exclude an exporter, and its content from all exporters."""
    one, two = Kept("one"), Kept("two")
    litespan.configure(success=[one, two])
    given = {"messages": [{"role": "user", "content": TELLTALE}]}
    litellm.completion(**content.chat(**given, metadata={"litespan": {"mute": ["one"]}}))
    litellm.completion(**content.chat(**given, metadata={"litespan": {"content": False}}))
    client = {"requester_metadata": {"litespan": {"mute": ["two"], "content": False}}}
    litellm.completion(**content.chat(**given, metadata=client))
    assert litespan.flush(10)
    assert [TELLTALE in span.to_json() for span in two.spans] == [True, False]
    assert [TELLTALE in span.to_json() for span in one.spans] == [False, False]
    assert [TELLTALE in str(span) for span in content.spans] == [True, False, False]


def test_calls_of_other_instrumentations_are_routed(traced: Traced) -> None:
    """Like litespan's own."""
    good, bad = Kept(), Kept()
    litespan.configure(success=[Route(good, content=False)], failure=bad)
    tracer = traced.telemetry.tracer_provider.get_tracer("opentelemetry.instrumentation.openai")
    attributes: dict[str, str | int] = {
        "gen_ai.system": "openai",
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": "gpt-4o",
        "gen_ai.usage.input_tokens": 7,
        "gen_ai.prompt.0.content": TELLTALE,
        "gen_ai.prompt.0.role": "user",
        "http.request.header.x": TELLTALE,
    }
    with tracer.start_as_current_span("openai.chat", attributes=attributes) as span:
        span.add_event("gen_ai.content.prompt", {"gen_ai.prompt": TELLTALE})
    with tracer.start_as_current_span(
        "execute_tool", attributes={"gen_ai.operation.name": "execute_tool"}
    ):
        pass
    assert litespan.flush(10)
    assert [span.name for span in good.spans] == ["openai.chat"]
    assert TELLTALE not in good.text
    read = GenAISpan.read(good.spans[0])
    assert read is not None
    assert read.usage.input == 7
    assert bad.spans == []


def test_an_exporter_in_the_input_list_receives_the_call_before_its_request(
    content: Traced,
) -> None:
    """With its messages and its key."""
    begun, narrow = Beginning(), Beginning()
    litespan.configure(input=[begun, Route(narrow, content=False)], success=[begun])
    sent = len(content.provider.requests)
    seen = []

    def before(kwargs: Any) -> None:
        assert litespan.flush(5) is not None
        seen.append((len(begun.started), len(content.provider.requests) - sent))

    added = litespan.add_callback(pre=before, delivery="inline")
    try:
        litellm.completion(
            **content.chat(messages=[{"role": "user", "content": TELLTALE}], user="alice")
        )
    finally:
        added.remove()
    assert litespan.flush(10)
    assert seen == [(1, 0)]
    (started,) = begun.started
    (finished,) = begun.spans
    first, last = GenAISpan.read(started), GenAISpan.read(finished)
    assert first is not None
    assert last is not None
    assert (first.key, first.call.id, first.call.outcome) == (last.key, last.call.id, "started")
    assert (first.identity.user, first.end_ns, first.start_ns) == ("alice", None, last.start_ns)
    assert first.input_messages == last.input_messages
    assert TELLTALE not in narrow.started[0].to_json()
    assert started.name == "chat gpt-4o-mini"


SQLITE_APP = """
    import os, litellm
    litellm.suppress_debug_info = True
    hi = {"model": "openai/gpt-4o-mini", "messages": [{"role": "user", "content": "Hi"}]}
    litellm.completion(**hi)
    try:
        litellm.completion(**hi, api_base=os.environ["REFUSES"], max_retries=0)
    except litellm.AuthenticationError:
        pass
    if os.environ.get("HANGS"):
        litellm.completion(**hi, api_base=os.environ["HANGS"])
"""


@pytest.fixture
def at(loopback: LoopbackProvider, tmp_path: Path) -> dict[str, str]:
    """The environment in which calls reach the loopback provider, and are stored."""
    return {
        "OPENAI_BASE_URL": loopback.url,
        "OPENAI_API_KEY": "sk-loopback",
        "REFUSES": loopback.url_for(status=401),
        "LITESPAN_SQLITE": str(tmp_path / "calls.db"),
        "LITESPAN_JSONL": str(tmp_path / "calls.jsonl"),
    }


def rows(at: dict[str, str]) -> list[str]:
    """The outcomes of the calls in the SQLite store, as far as it is there."""
    with sqlite3.connect(at["LITESPAN_SQLITE"]) as database, suppress(sqlite3.OperationalError):
        found = database.execute("select outcome from calls order by start_time")
        return [outcome for (outcome,) in found]
    return []


@pytest.mark.slow
def test_a_call_of_a_killed_process_is_recorded_as_started(
    tmp_path: Path, at: dict[str, str], loopback: LoopbackProvider
) -> None:
    """The process is killed during the call."""
    app = write(tmp_path, app=SQLITE_APP)
    quiet = {"OTEL_TRACES_EXPORTER": "none", "OTEL_METRICS_EXPORTER": "none"}
    env = {**at, **quiet, "LITESPAN_INPUT": "sqlite"}
    env["HANGS"] = loopback.url_for(delay=60)
    with subprocess.Popen(command(app, instrument=True), env=environment(env)) as program:
        until = time.monotonic() + 60
        while time.monotonic() < until:
            if len(rows(at)) == 3:
                break
            time.sleep(0.1)
        program.kill()
    assert rows(at) == ["started"] * 3


@pytest.mark.slow
def test_lists_in_the_environment_work_beside_otel_traces_exporter(
    tmp_path: Path, at: dict[str, str]
) -> None:
    """An exporter in both receives each span once."""
    app = write(tmp_path, app=SQLITE_APP)
    env = {
        **at,
        "OTEL_TRACES_EXPORTER": "sqlite",
        "LITESPAN_INPUT": "sqlite, console",
        "LITESPAN_SUCCESS": "sqlite",
        "LITESPAN_FAILURE": "jsonl, helicon",
        "LITESPAN_EXPORTER_CONTENT": "jsonl=off",
        "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "SPAN_ONLY",
    }
    ran = run_file(app, env=env, instrument=True)
    assert ran.code == 0
    assert rows(at) == ["success", "failure"]
    (line,) = map(json.loads, Path(at["LITESPAN_JSONL"]).read_text("utf-8").splitlines())
    assert line["outcome"] == "failure"
    assert "Hi" not in json.dumps(line)
    output = [line for line in ran.stderr.splitlines() if "LITESPAN_" in line or "sqlite" in line]
    assert len(output) == 3, output
    assert "sqlite is also in OTEL_TRACES_EXPORTER" in output[0]
    assert "input: console cannot record calls that have only started" in output[1]
    assert "no exporter is called 'helicon' (did you mean helicone?); installed are" in output[2]


@pytest.mark.slow
def test_the_proxys_line_sets_up_the_exporters(tmp_path: Path, at: dict[str, str]) -> None:
    """Without `opentelemetry-instrument`."""
    app = write(
        tmp_path,
        app="""
    import litellm
    from litespan.proxy import handler
    """
        + SQLITE_APP,
    )
    env = {**at, "OTEL_TRACES_EXPORTER": "jsonl", "LITESPAN_SUCCESS": "jsonl"}
    ran = run_file(app, env=env)
    assert ran.code == 0, ran.stderr
    lines = map(json.loads, Path(at["LITESPAN_JSONL"]).read_text("utf-8").splitlines())
    assert [line["outcome"] for line in lines] == ["success", "failure"]
