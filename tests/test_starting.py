"""`litespan.start` sets up missing parts, once, and the end of a `with` block removes them."""

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import litellm
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import litespan
from litespan import LiteLLMInstrumentor, errors
from litespan.instrumentation.deferred_answer import DeferredAnswer
from litespan.mapping.request import Attributes
from litespan.testing import LoopbackProvider
from tests.support import program

HELLO = [{"role": "user", "content": "Hello"}]


@pytest.fixture(autouse=True)
def provider(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[TracerProvider]:
    """A global provider as a program has it, and nothing said yet."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(errors, "_seen", set())
    found = TracerProvider()
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: found)
    yield found
    LiteLLMInstrumentor().uninstrument()
    found.shutdown()


def call(loopback: LoopbackProvider, model: str = "gpt-4o-mini") -> None:
    """A real call."""
    litellm.completion(f"openai/{model}", HELLO, api_base=loopback.url, api_key="k")


def written(name: str = "litespan.jsonl") -> list[dict[str, object]]:
    """The calls in a file of JSON lines."""
    return [json.loads(line) for line in Path(name).read_text().splitlines()]


def test_a_with_block_records_inside_and_nothing_after(loopback: LoopbackProvider) -> None:
    """The end of the block delivers, and removes the exporters that it has added."""
    memory = InMemorySpanExporter()
    with litespan.start("jsonl", memory):
        call(loopback)
    assert [row["request_model"] for row in written()] == ["gpt-4o-mini"]
    assert len(memory.get_finished_spans()) == 1
    call(loopback)
    assert len(written()) == 1
    assert not LiteLLMInstrumentor().is_instrumented_by_opentelemetry


def test_a_second_start_adds_missing_exporters(loopback: LoopbackProvider) -> None:
    """Each exporter records each call once; the end of the inner block leaves the outer one."""
    memory = InMemorySpanExporter()
    with litespan.start("jsonl"):
        with litespan.start("jsonl", memory):
            call(loopback)
        call(loopback, "gpt-4o")
    assert [row["request_model"] for row in written()] == ["gpt-4o-mini", "gpt-4o"]
    assert len(memory.get_finished_spans()) == 1


def test_the_content_argument_takes_precedence(loopback: LoopbackProvider) -> None:
    """Over the environment."""
    for content in (None, True, False):
        with litespan.start("jsonl", content=content):
            call(loopback)
    assert ["input_messages" in row and bool(row["input_messages"]) for row in written()] == [
        False,
        True,
        False,
    ]


def messages(memory: InMemorySpanExporter) -> list[bool]:
    """Whether each span has messages."""
    assert litespan.flush(5)
    spans = memory.get_finished_spans()
    return ["gen_ai.input.messages" in (span.attributes or {}) for span in spans]


def test_the_content_argument_ends_with_its_block(loopback: LoopbackProvider) -> None:
    """The operator's own exporters receive no messages before and after it."""
    memory = InMemorySpanExporter()
    with litespan.start(memory):
        with litespan.start(content=True):
            call(loopback)
        call(loopback)
    assert messages(memory) == [True, False]


def test_the_last_start_that_runs_decides_about_content(loopback: LoopbackProvider) -> None:
    """In whatever order they stop."""
    memory = InMemorySpanExporter()
    with litespan.start(memory):
        first, second = litespan.start("jsonl", content=True), litespan.start(content=False)
        call(loopback)
        first.stop()
        call(loopback)
        third = litespan.start(content=True)
        call(loopback)
        second.stop()
        call(loopback)
        third.stop()
        call(loopback)
    assert messages(memory) == [False, False, True, True, False]


def test_messages_of_the_content_argument_are_read_after_the_call(
    loopback: LoopbackProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with the variable: the caller's thread only copies the answer."""
    read: list[DeferredAnswer] = []
    reading = DeferredAnswer.read

    def spied(answer: DeferredAnswer) -> Attributes:
        read.append(answer)
        return reading(answer)

    monkeypatch.setattr(DeferredAnswer, "read", spied)
    memory = InMemorySpanExporter()
    with litespan.start(memory, content=True):
        call(loopback)
        assert not read
        assert messages(memory) == [True]
    assert len(read) == 1


@pytest.mark.parametrize("wrong", [InMemorySpanExporter, ["sqlite"], None, 5])
def test_what_is_not_an_exporter_is_one_line(
    loopback: LoopbackProvider, caplog: pytest.LogCaptureFixture, wrong: Any
) -> None:
    """Such as a class or a list; the other exporters work."""
    with caplog.at_level(logging.WARNING), litespan.start(wrong, "jsonl"):
        call(loopback)
    (line,) = [record.getMessage() for record in caplog.records]
    assert "is not an exporter: pass a name or a SpanExporter" in line
    assert len(written()) == 1


def test_an_existing_instrumentation_stays(loopback: LoopbackProvider) -> None:
    """Its provider receives the exporters, and the end of the block leaves it."""
    own, memory = TracerProvider(), InMemorySpanExporter()
    LiteLLMInstrumentor().instrument(tracer_provider=own)
    with litespan.start(memory) as started:
        assert started.provider is own
        call(loopback)
    assert len(memory.get_finished_spans()) == 1
    assert LiteLLMInstrumentor().is_instrumented_by_opentelemetry


def test_a_wrong_exporter_name_is_one_line(
    loopback: LoopbackProvider, caplog: pytest.LogCaptureFixture
) -> None:
    """With a suggestion; the other exporters work."""
    with caplog.at_level(logging.WARNING, "litespan"), litespan.start("langfose", "jsonl"):
        call(loopback)
    (line,) = [record.getMessage() for record in caplog.records]
    assert "did you mean langfuse?" in line
    assert len(written()) == 1


def test_another_kind_of_provider_is_one_line(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It cannot have exporters."""
    monkeypatch.setattr(trace, "get_tracer_provider", trace.NoOpTracerProvider)
    with litespan.start("jsonl"):
        pass
    assert ["NoOpTracerProvider is not OpenTelemetry's SDK" in r.message for r in caplog.records]


@pytest.mark.slow
def test_a_script_needs_one_line(loopback: LoopbackProvider, tmp_path: Path) -> None:
    """No provider, no variable: the local file has every call and the script's name."""
    (tmp_path / "helpdesk.py").write_text(
        "import litespan\nlitespan.start()\nimport litellm\n"
        "litellm.completion('gpt-4o-mini', [{'role': 'user', 'content': 'Hello'}])\n"
    )
    ran = program.run(
        "import runpy, sys; sys.argv = ['helpdesk.py']; runpy.run_path('helpdesk.py')",
        env={"OPENAI_API_KEY": "k", "OPENAI_BASE_URL": loopback.url},
    )
    assert (ran.code, ran.stdout, ran.stderr) == (0, "", "")
    from litespan.stores.reading import records

    (row,) = records("litespan.db")
    assert (row["service_name"], row["request_model"]) == ("helpdesk", "gpt-4o-mini")


def test_exporters_may_be_any_span_exporter() -> None:
    """Names and objects, in any order."""
    kinds: tuple[str | SpanExporter, ...] = ("live", InMemorySpanExporter())
    with litespan.start(*kinds) as started:
        assert started.flush()
