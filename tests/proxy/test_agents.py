"""Messages to agents through the A2A gateway."""

from typing import Any

import pytest

from litespan.testing.decode import Record
from tests.proxy.running import KEY, Proxy

pytestmark = pytest.mark.recent_litellm  # older ones have another gateway


def send(gateway: Proxy, method: str, text: str) -> tuple[list[Record], Any]:
    """The spans of a message, and the answer."""
    answers: list[Any] = []
    part = {"kind": "text", "text": text}
    message = {"role": "user", "parts": [part], "messageId": "m1", "contextId": "talk-1"}
    body = {"jsonrpc": "2.0", "id": "r1", "method": method, "params": {"message": message}}

    def ask(traceparent: str) -> None:
        client = gateway.client(KEY, traceparent=traceparent)
        answers.append(client.post("/a2a/weather", json=body))

    spans = gateway.trace(ask, 2)
    # The protocol's own package has spans of its requests.
    return [span for span in spans if span["scope"] == "litespan"], answers[0]


@pytest.mark.parametrize("method", ["message/send", "message/stream"])
def test_a_message_is_a_span(gateway: Proxy, method: str) -> None:
    """By the conventions for agents, with LiteLLM's cost and the identity of the key."""
    (server, agent), answer = send(gateway, method, "work")
    assert "in Paris." in answer.text
    assert server["kind"] == "SERVER"
    assert agent["parent"] == server["span_id"]
    assert (agent["name"], agent["kind"]) == ("invoke_agent forecaster", "CLIENT")
    said = agent["attributes"]
    assert said["gen_ai.agent.name"] == "forecaster"
    assert said["gen_ai.agent.id"]  # LiteLLM's hash of its configuration
    assert said["gen_ai.conversation.id"] == "talk-1"
    assert said["gen_ai.usage.cost"] == 0.05
    assert said["litellm.team.id"] == "team-blue"
    assert said["litellm.api_key.hash"] == "hash-of-blue-key"
    assert said["litellm.outcome"] == "success"


def test_a_task_that_fails(gateway: Proxy) -> None:
    """The answer is a success for HTTP, and a failure for the agent."""
    (_, agent), answer = send(gateway, "message/send", "fail")
    assert answer.status_code == 200
    assert agent["attributes"]["error.type"] == "task_failed"
    assert agent["attributes"]["litellm.outcome"] == "failure"
