"""Content of odd types and shapes costs content only: no outcome, no figure, and little time."""

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import litellm
import pytest

from litespan import LiteLLMInstrumentor
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
def test_an_argument_of_an_odd_type_costs_content_only(name: str, capture: Capture) -> None:
    """Outcome, tokens and cost are on the span whatever else was given."""
    with capture() as traced:
        for odd in ODD:
            litellm.completion(**traced.chat(mock_response="Hello", **{name: odd}))
    assert len(traced.spans) == len(ODD)
    for span in traced.spans:
        said = span["attributes"]
        assert said["litellm.outcome"] == "success"
        assert said["gen_ai.usage.cost"] > 0
        assert "everybody in this room" in said["gen_ai.input.messages"]


def test_an_iterator_is_left_to_litellm(capture: Capture) -> None:
    """It can be read only once."""
    documents = iter(["a"])
    with capture() as traced:
        litellm.completion(**traced.chat(mock_response="Hello", input=documents))
    assert list(documents) == ["a"]
    assert traced.span["attributes"]["litellm.outcome"] == "success"


async def test_rerank_by_a_router_is_recorded_whole(capture: Capture) -> None:
    """LiteLLM's router hands on Python's `input` function where it has no input."""
    with capture() as traced:
        row = {"model_name": "m", "litellm_params": {"model": "cohere/rerank-v3.5", **traced.to()}}
        router = litellm.Router(model_list=[row], num_retries=0)
        await router.arerank(model="m", query="What is blue?", documents=["The sky", "Grass"])
    said = next(span for span in traced.spans if span["name"].startswith("rerank"))["attributes"]
    assert (said["litellm.outcome"], said["gen_ai.usage.cost"]) == ("success", 0.002)
    assert "What is blue?" in said["gen_ai.input.messages"]


def test_a_fault_in_reading_content_costs_content_only(
    capture: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What cannot be read is missing; the rest is there."""

    def fault(*_: Any) -> Any:
        raise Unreadable

    for direct, name in (
        ("input_texts", "input_content"),
        ("output_text", "output_content"),
        ("input_texts", "content_attributes"),
    ):
        with capture() as traced, monkeypatch.context() as patch:
            for function in (direct, name):
                patch.setattr(f"litespan.instrumentation.call_end.{function}", fault)
            litellm.completion(**traced.chat())
        said = traced.span["attributes"]
        assert said["litellm.outcome"] == "success"
        assert said["gen_ai.usage.cost"] > 0
        assert ("gen_ai.input.messages" in said) == (name == "output_content")
        assert ("gen_ai.output.messages" in said) == (name == "input_content")


def test_content_of_any_shape_is_bounded(capture: Capture) -> None:
    """Branches that are shared or hold themselves do not multiply, and deep JSON is no error."""
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
