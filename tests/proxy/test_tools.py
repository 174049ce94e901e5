"""Tool calls of the MCP gateway."""

import json
from typing import Any

import pytest
import wrapt
from mcp.types import CallToolResult, TextContent

from litespan.genai.span import GenAISpan
from litespan.proxy import tools
from litespan.testing.decode import Record
from tests.proxy.running import KEY, Proxy
from tests.support.calls import capture

__all__ = ["capture"]

pytestmark = pytest.mark.recent_litellm  # older ones have another gateway


def call(gateway: Proxy, way: str, tool: str) -> tuple[list[Record], Any]:
    """The spans of one tool call, and the answer."""
    arguments = {"city": "Paris"}
    answers: list[Any] = []
    rest = gateway.client(KEY)
    listed = rest.get("/mcp-rest/tools/list").json()["tools"] if way == "rest" else []
    named = [each["mcp_info"]["server_id"] for each in listed if each["name"] == tool]

    def ask(traceparent: str) -> None:
        client = gateway.client(
            KEY, traceparent=traceparent, accept="application/json, text/event-stream"
        )
        if way == "rest":
            body: Any = {"name": tool, "arguments": arguments, "server_id": named[0]}
            answers.append(client.post("/mcp-rest/tools/call", json=body))
            return
        parameters = {"name": f"weather-{tool}", "arguments": arguments}
        body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": parameters}
        answers.append(client.post("/mcp/", json=body))

    spans = gateway.trace(ask, 3)
    # MCP's own package has spans of its messages.
    return [span for span in spans if span["scope"] != "mcp-python-sdk"], answers[0]


@pytest.mark.parametrize("way", ["rest", "mcp"])
def test_a_tool_call_is_a_span(gateway: Proxy, way: str) -> None:
    """By MCP's conventions, with LiteLLM's cost and the identity of the key."""
    spans, answer = call(gateway, way, "forecast")
    assert "Sunny in Paris." in answer.text
    server, tool = spans
    assert tool["name"] == "tools/call forecast"
    assert tool["kind"] == "CLIENT"
    assert server["kind"] == "SERVER"
    attributes = tool["attributes"]
    assert attributes["mcp.method.name"] == "tools/call"
    assert attributes["gen_ai.operation.name"] == "execute_tool"
    assert attributes["gen_ai.tool.name"] == "forecast"
    assert attributes["litellm.mcp.server"] == "weather"
    assert attributes["network.transport"] == "tcp"
    assert attributes["server.address"] == "127.0.0.1"
    assert attributes["gen_ai.usage.cost"] == 0.02
    assert attributes["litellm.outcome"] == "success"
    assert attributes["litellm.team.id"] == "team-blue"
    assert attributes["litellm.api_key.hash"] == "hash-of-blue-key"
    assert server["attributes"]["litellm.api_key.hash"] == "hash-of-blue-key"
    assert not [name for name in attributes if name.startswith("litellm.metadata.")]
    assert not {"gen_ai.provider.name", "litellm.model_group", "gen_ai.tool.call.arguments"} & {
        *attributes
    }


async def test_the_content_of_a_tool_call(capture: Any) -> None:
    """Arguments and result, if content is recorded; exporters see them as messages."""

    async def local(name: str, arguments: dict[str, str]) -> Any:
        return CallToolResult(content=[TextContent(type="text", text=f"Sunny in {arguments}.")])

    wrapped = wrapt.FunctionWrapper(local, tools._call_tool)
    with capture() as traced:
        answer = await wrapped("forecast", arguments={"city": "Paris"})
        span = traced.span
        read = GenAISpan.read(traced.telemetry._spans.get_finished_spans()[0])
    assert isinstance(answer, CallToolResult)
    assert json.loads(span["attributes"]["gen_ai.tool.call.arguments"]) == {"city": "Paris"}
    (result,) = json.loads(span["attributes"]["gen_ai.tool.call.result"])
    assert result == {"type": "text", "text": "Sunny in {'city': 'Paris'}."}
    assert read is not None
    assert "Sunny in" in str(read.output_messages)
    assert not read.is_call


def test_a_failing_tool_is_a_failure(gateway: Proxy) -> None:
    """The HTTP status is a success, but the call of the tool is a failure."""
    (_, tool), answer = call(gateway, "rest", "storm")
    assert answer.status_code == 200
    assert tool["attributes"]["error.type"] == "tool_error"
    assert tool["attributes"]["litellm.outcome"] == "failure"
    assert tool["status"] == "ERROR"
