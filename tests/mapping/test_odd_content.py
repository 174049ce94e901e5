"""Content of unexpected types affects no outcome, tokens or cost, and takes little time."""

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import litellm
import pytest

from litespan import LiteLLMInstrumentor
from litespan.genai.inline import text
from litespan.mapping.content import encode, input_content
from litespan.mapping.request import Request
from litespan.mapping.targets import TARGETS
from litespan.testing import LoopbackProvider, Telemetry
from tests.support.calls import Traced

CAPTURE = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
Capture = Callable[[], AbstractContextManager[Traced]]


class Unreadable(Exception):
    """A fault of ours."""


@pytest.fixture
def capture(loopback: LoopbackProvider, monkeypatch: pytest.MonkeyPatch) -> Capture:
    """Instrument with content on; used as a context manager, it gives a `Traced`."""

    @contextmanager
    def capturing() -> Iterator[Traced]:
        monkeypatch.setenv(CAPTURE, "SPAN_ONLY")
        telemetry = Telemetry()
        instrumentor = LiteLLMInstrumentor()
        instrumentor.instrument(**telemetry.providers)
        try:
            yield Traced(loopback, telemetry)
        finally:
            instrumentor.uninstrument()

    return capturing


ODD = [7, 2.5, True, b"bytes", print, object(), {1, 2}, [None], [3], [[4]], [print], {"a": 1}]


@pytest.mark.parametrize("name", ["input", "prompt", "query", "system", "instructions"])
def test_an_argument_of_an_unexpected_type_loses_only_content(name: str, capture: Capture) -> None:
    """Outcome, tokens and cost are on the span."""
    with capture() as traced:
        for odd in ODD:
            litellm.completion(**traced.chat(mock_response="Hello", **{name: odd}))
    assert len(traced.spans) == len(ODD)
    for span in traced.spans:
        attributes = span["attributes"]
        assert attributes["litellm.outcome"] == "success"
        assert attributes["gen_ai.usage.cost"] > 0
        assert "everybody in this room" in attributes["gen_ai.input.messages"]


def test_an_iterator_is_not_consumed(capture: Capture) -> None:
    """It can be read only once."""
    documents = iter(["a"])
    with capture() as traced:
        litellm.completion(**traced.chat(mock_response="Hello", input=documents))
    assert list(documents) == ["a"]
    assert traced.span["attributes"]["litellm.outcome"] == "success"


async def test_rerank_through_a_router_is_recorded_completely(capture: Capture) -> None:
    """Without an input, LiteLLM's router passes on Python's function `input`."""
    with capture() as traced:
        row = {"model_name": "m", "litellm_params": {"model": "cohere/rerank-v3.5", **traced.to()}}
        router = litellm.Router(model_list=[row], num_retries=0)
        await router.arerank(model="m", query="What is blue?", documents=["The sky", "Grass"])
    attributes = next(span for span in traced.spans if span["name"].startswith("rerank"))[
        "attributes"
    ]
    assert (attributes["litellm.outcome"], attributes["gen_ai.usage.cost"]) == ("success", 0.002)
    assert "What is blue?" in attributes["gen_ai.input.messages"]


def test_an_error_while_content_is_read_loses_only_content(
    capture: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Everything else is recorded."""

    def fault(*_: Any) -> Any:
        raise Unreadable

    for direct, name in (
        ("input_texts", "input_content"),
        ("output_text", "output_content"),
        ("input_texts", "content_attributes"),
    ):
        with capture() as traced, monkeypatch.context() as patch:
            for function in (direct, name):
                patch.setattr(f"litespan.instrumentation.recorded_content.{function}", fault)
            litellm.completion(**traced.chat())
            attributes = traced.span["attributes"]
        assert attributes["litellm.outcome"] == "success"
        assert attributes["gen_ai.usage.cost"] > 0
        assert ("gen_ai.input.messages" in attributes) == (name == "output_content")
        assert ("gen_ai.output.messages" in attributes) == (name == "input_content")


def test_content_of_any_shape_is_bounded(capture: Capture) -> None:
    """Shared and cyclic branches are not repeated, and deep JSON is no error."""
    tree: dict[str, Any] = {"leaf": 1}
    for _ in range(60):
        tree = {"left": tree, "right": tree}
    tree["itself"] = tree
    parameters = {"type": "object", "properties": tree}
    deep = '{"a":' * 5000 + "1" + "}" * 5000
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": deep}}
    messages = [
        {"role": "user", "content": "Say hello to everybody in this room."},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c", "content": tree},
    ]
    request = Request(TARGETS[0], {"messages": messages, "tools": [{"parameters": parameters}]})
    for recorded in input_content(request).values():
        text, _ = encode(recorded, 10**9)
        assert len(text) < 10**6
        json.loads(text)
    assert "everybody" in str(input_content(request))


@pytest.mark.parametrize("before", [*range(0, 300, 37), 1000])
def test_quoted_base64_is_found_anywhere(before: int) -> None:
    """Only the parts of long texts without spaces are searched, which misses none."""
    said = f'{"some words " * 100}{"x" * before}"{"QUJD" * 64}" and more words'
    assert text(said).count("sha256:") == 1
    assert text(said.replace("QUJD" * 64, "QUJD" * 63)) == said.replace("QUJD" * 64, "QUJD" * 63)
