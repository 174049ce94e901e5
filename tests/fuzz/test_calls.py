"""Calls with any arguments and any answer: the caller gets the same, and the span is whole."""

from collections.abc import Iterator
from typing import Any

import litellm
import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

import litespan
from benchmarks import _call
from litespan import LiteLLMInstrumentor
from tests.fuzz import corpus
from tests.fuzz.values import ARGUMENTS, SCALARS, answers
from tests.support.vendors import strict

CONTENT = ("gen_ai.input.messages", "gen_ai.output.messages", "gen_ai.tool.definitions")


class Calls:
    """LiteLLM's functions, instrumented, which return what the test says."""

    def __init__(self, bare: _call.Functions, last: _call.Last) -> None:
        self.bare = bare
        self.last = last
        self.answer: Any = None

    def made(self, arguments: dict[str, Any]) -> None:
        """The result of a call; its span is whole, and reading it was no error."""
        before, self.last.span = errors(), None
        result = litellm.completion(**{"model": "openai/gpt-4o-mini", **arguments})
        if arguments.get("stream"):
            chunks = list(result)
            assert all(one is other for one, other in zip(chunks, self.answer, strict=True))
        else:
            assert result is self.answer
        assert {name: n for name, n in errors().items() if before.get(name) != n} == {}
        span = self.last.span
        assert span.attributes["litellm.outcome"] in ("success", "failure")
        encode_spans([span])
        for name in CONTENT:
            if name in span.attributes:
                assert isinstance(strict(span.attributes[name].encode()), list)


def errors() -> dict[str, int]:
    """What litespan has suppressed so far, but for LiteLLM's own errors in calculating a price."""
    return {
        name: n
        for name, n in litespan.stats().items()
        if name.startswith("errors.") and name != "errors.pricing an answer"
    }


@pytest.fixture(scope="module")
def calls() -> Iterator[Calls]:
    """With content, all metrics, and answers by the test."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "SPAN_ONLY")
        patch.setattr(litellm, "callbacks", [])
        provider, last = _call.traced()
        meters = MeterProvider([InMemoryMetricReader()], shutdown_on_exit=False)

        def answer(stream: bool) -> Any:
            return _call.ReadyStream(held.answer) if stream else held.answer

        with _call.ready_litellm(answer) as bare:
            held = Calls(bare, last)
            LiteLLMInstrumentor().instrument(tracer_provider=provider, meter_provider=meters)
            yield held
            LiteLLMInstrumentor().uninstrument()


@given(
    model=st.one_of(st.just("openai/gpt-4o-mini"), SCALARS),
    arguments=st.fixed_dictionaries({}, optional=ARGUMENTS),
)
def test_any_arguments(calls: Calls, model: Any, arguments: dict[str, Any]) -> None:
    """Whatever the caller passes is read without an error."""
    calls.answer = _call.ready_response()
    calls.made({**arguments, "model": model})


@given(answer=answers("message"))
def test_any_answer(calls: Calls, answer: Any) -> None:
    """Whatever the provider answers is read without an error."""
    calls.answer = answer
    calls.made({"messages": []})


@given(chunks=st.lists(answers("delta"), max_size=5))
def test_any_chunks(calls: Calls, chunks: list[Any]) -> None:
    """So is whatever it streams."""
    calls.answer = chunks
    calls.made({"messages": [], "stream": True})


@pytest.mark.parametrize("case", corpus.ARGUMENTS)
def test_arguments_that_failed_once(calls: Calls, case: str) -> None:
    """As above."""
    calls.answer = _call.ready_response()
    calls.made({"model": "openai/gpt-4o-mini", **corpus.ARGUMENTS[case]})


@pytest.mark.parametrize("case", corpus.ANSWERS)
def test_an_answer_that_failed_once(calls: Calls, case: str) -> None:
    """As above."""
    calls.answer = corpus.ANSWERS[case]
    calls.made({"messages": []})


@pytest.mark.parametrize("case", corpus.CHUNKS)
def test_chunks_that_failed_once(calls: Calls, case: str) -> None:
    """As above."""
    calls.answer = corpus.CHUNKS[case]
    calls.made({"messages": [], "stream": True})
