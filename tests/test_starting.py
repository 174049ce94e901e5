"""`litespan.start` sets up missing parts, once, and the end of a `with` block removes them."""

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import litellm
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import litespan
from litespan import LiteLLMInstrumentor, errors
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
