"""Messages to agents by the A2A protocol: an agent of the protocol's own package answers."""

import asyncio
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import litellm
import pytest
from litellm.integrations.custom_logger import CustomLogger

import litespan
from litespan import LiteLLMInstrumentor
from litespan.mapping import a2a as mapping
from litespan.testing import Telemetry
from tests.support.agent_server import TEXT, agent_server
from tests.support.calls import Traced, content

pytestmark = pytest.mark.recent_litellm

PRICED = {"litellm_params": {"cost_per_query": 0.05}, "agent_id": "agent-7"}
PART = {"kind": "text", "text": ""}


@pytest.fixture(scope="module")
def agent() -> Iterator[str]:
    """The URL of an agent."""
    with agent_server() as url:
        yield url


def a2a() -> Any:
    """LiteLLM's functions, which it imports when they are first used."""
    return import_module("litellm.a2a_protocol")


def message(text: str, *, stream: bool = False) -> Any:
    """A request with one text."""
    types: Any = import_module("a2a.compat.v0_3.types")
    given = {"role": "user", "parts": [{**PART, "text": text}], "messageId": "m", "contextId": "c"}
    kind = types.SendStreamingMessageRequest if stream else types.SendMessageRequest
    return kind(id="r1", params=types.MessageSendParams(message=given))


async def streamed(text: str, url: str) -> list[Any]:
    """The events of a stream."""
    request = message(text, stream=True)
    events = a2a().asend_message_streaming(request=request, api_base=url, **PRICED)
    return [event async for event in events]


def texts(span: dict[str, Any]) -> list[str]:
    """The texts of the last message: the agent's."""
    (said,) = content(span)["gen_ai.output.messages"]
    return [part["content"] for part in said["parts"]]


async def test_a_message_is_a_span(agent: str, capture: Any) -> None:
    """By the conventions for agents, with LiteLLM's figure and the name on the agent's card."""
    with capture() as traced:
        request = message("answer me")
        answer = await a2a().asend_message(request=request, api_base=agent, **PRICED)
        span = traced.span
    assert answer.result["parts"] == [{**PART, "text": TEXT}]
    assert (span["name"], span["kind"]) == ("invoke_agent forecaster", "CLIENT")
    said = span["attributes"]
    assert said["gen_ai.operation.name"] == "invoke_agent"
    assert said["gen_ai.agent.name"] == "forecaster"
    assert said["gen_ai.agent.id"] == "agent-7"
    assert said["gen_ai.conversation.id"] == "c"
    assert said["gen_ai.response.id"] == answer.result["messageId"]
    assert said["server.address"] == "127.0.0.1"
    assert said["gen_ai.usage.cost"] == answer._hidden_params["response_cost"] == 0.05
    assert not [name for name in said if "tokens" in name or "request.model" in name]
    (asked,) = content(span)["gen_ai.input.messages"]
    assert asked == {"role": "user", "parts": [{"type": "text", "content": "answer me"}]}
    assert texts(span) == [TEXT]


async def test_a_stream_is_one_span(agent: str, capture: Any) -> None:
    """It ends with the stream, and has the artifacts of the task and the same cost."""
    with capture() as traced:
        events = await streamed("work", agent)
        span = traced.span
    said = span["attributes"]
    assert said["litellm.stream.chunks"] == len(events)
    assert said["litellm.result.status"] == "completed"
    assert said["gen_ai.usage.cost"] == 0.05
    assert "".join(texts(span)) == TEXT
    names = [event["name"] for event in span["events"]]
    assert names[-1] == "litellm.success"
    assert "litellm.stream_chunk" in names


async def test_a_stream_that_is_not_read_to_the_end(agent: str, traced: Traced) -> None:
    """LiteLLM charges nothing for it."""
    request = message("work", stream=True)
    events = a2a().asend_message_streaming(request=request, api_base=agent, **PRICED)
    await anext(events)
    await events.aclose()
    assert traced.span["attributes"]["litellm.outcome"] == "abandoned"
    assert "gen_ai.usage.cost" not in traced.span["attributes"]


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
async def test_a_task_that_fails(stream: bool, agent: str, traced: Traced) -> None:
    """The caller gets the task, and the call has failed."""
    if stream:
        await streamed("fail", agent)
    else:
        await a2a().asend_message(request=message("fail"), api_base=agent, **PRICED)
    said = traced.span["attributes"]
    assert (said["litellm.outcome"], said["error.type"]) == ("failure", "task_failed")
    assert traced.span["status"] == "ERROR"


async def test_an_agent_that_breaks(agent: str, traced: Traced) -> None:
    """The caller gets LiteLLM's exception."""
    with pytest.raises(Exception, match="too hot") as raised:
        await streamed("break", agent)
    assert traced.span["attributes"]["error.type"] == type(raised.value).__name__
    assert traced.span["name"] == "invoke_agent forecaster"


def test_a_program_without_a_loop(agent: str, traced: Traced) -> None:
    """The sync function runs the async one, and the call has one span."""
    client = asyncio.run(a2a().create_a2a_client(base_url=agent))
    answer = a2a().send_message(a2a_client=client, request=message("answer me"))
    assert answer.result["parts"] == [{**PART, "text": TEXT}]
    assert traced.span["attributes"]["litellm.call_type"] == "send_message"


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
async def test_a_model_as_an_agent(stream: bool, traced: Traced) -> None:
    """LiteLLM calls the model: its span has tokens and cost, and is below the agent's."""
    model = {"custom_llm_provider": "openai", "model": "gpt-4o-mini", "api_key": "sk-loopback"}
    to = {"api_base": traced.provider.url, "litellm_params": model}
    if stream:
        request = message("hello", stream=True)
        assert [each async for each in a2a().asend_message_streaming(request=request, **to)]
    else:
        await a2a().asend_message(request=message("hello"), **to)
    above, below = traced.spans
    assert (above["name"], below["name"]) == ("invoke_agent", "chat gpt-4o-mini")
    assert below["parent"] == above["span_id"]
    assert "gen_ai.usage.cost" in below["attributes"]
    assert "gen_ai.usage.cost" not in above["attributes"]


async def test_handlers_receive_the_stages(agent: str, traced: Traced) -> None:
    """The answer of a plain message, each event of a stream."""
    stages: list[tuple[str, Any]] = []

    class Handler(CustomLogger):
        def log_stream_event(self, kwargs: Any, response_obj: Any, **_: Any) -> None:
            stages.append(("stream", response_obj))

        def log_success_event(self, kwargs: Any, response_obj: Any, **_: Any) -> None:
            stages.append(("success", response_obj))

    added = litespan.add_callback(Handler())
    events = await streamed("work", agent)
    assert litespan.flush(60)  # handlers receive different calls at the same time
    answer = await a2a().asend_message(request=message("answer"), api_base=agent, **PRICED)
    assert litespan.flush(60)
    added.remove()
    assert [kind for kind, _ in stages] == [*["stream"] * len(events), "success", "success"]
    assert stages[-1][1].result == answer.result


async def test_functions_are_released(agent: str, telemetry: Telemetry) -> None:
    """LiteLLM's own functions are back, although it imports them late."""
    instrumentor = LiteLLMInstrumentor()
    instrumentor.instrument(**telemetry.providers)
    instrumentor.uninstrument()
    await a2a().asend_message(request=message("answer me"), api_base=agent, **PRICED)
    assert telemetry.spans == []
    assert litellm.a2a_protocol.asend_message is litellm.a2a_protocol.main.asend_message


@pytest.mark.parametrize(
    "result",
    [
        None,
        7,
        {"kind": "message", "parts": 7},
        {"kind": "task", "artifacts": [None, {"parts": [None, 3, {"kind": "file", "file": 1}]}]},
        {"kind": "task", "status": {"state": 5, "message": "x"}, "contextId": 3},
    ],
)
def test_an_answer_of_a_wrong_shape_is_read_without_an_error(result: Any) -> None:
    """An agent may answer anything."""
    answer = {"jsonrpc": "2.0", "id": 1, "result": result}
    for read in (answer, mapping.joined([answer, answer])):
        assert not set(mapping.fields(read)) - {"id", "contextId", "status"}
        assert mapping.error(read) is None
        said = mapping.message(read, "assistant")
        assert said is None or said["content"]
