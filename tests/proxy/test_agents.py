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


def ask(gateway: Proxy, method: str, **params: Any) -> tuple[list[Record], Any]:
    """The spans of a request about a task, and the answer."""
    answers: list[Any] = []
    body = {"jsonrpc": "2.0", "id": "r2", "method": method, "params": params}

    def send_it(traceparent: str) -> None:
        client = gateway.client(KEY, traceparent=traceparent)
        answers.append(client.post("/a2a/weather", json=body))

    spans = gateway.trace(send_it, 2)
    return [span for span in spans if span["scope"] == "litespan"], answers[0]


@pytest.fixture(scope="module")
def task(gateway: Proxy) -> dict[str, Any]:
    """A task of the agent that has ended."""
    found: dict[str, Any] = send(gateway, "message/send", "work")[1].json()["result"]
    return found


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


def test_a_request_about_a_task_is_a_call_without_cost(
    gateway: Proxy, task: dict[str, Any]
) -> None:
    """With the agent, the task, its state, and the identity of the key; no tokens."""
    (server, call), answer = ask(gateway, "tasks/get", id=task["id"])
    assert answer.json()["result"]["status"]["state"] == "completed"
    assert call["parent"] == server["span_id"]
    assert (call["name"], call["kind"]) == ("litellm.get_task forecaster", "CLIENT")
    said = call["attributes"]
    assert said["litellm.call_type"] == "tasks/get"
    assert said["gen_ai.agent.name"] == "forecaster"
    assert said["gen_ai.agent.id"]
    assert said["gen_ai.response.id"] == task["id"]
    assert said["gen_ai.conversation.id"] == "talk-1"
    assert said["litellm.result.status"] == "completed"
    assert said["litellm.team.id"] == "team-blue"
    assert said["litellm.api_key.hash"] == "hash-of-blue-key"
    assert said["litellm.outcome"] == "success"
    assert not [name for name in said if "tokens" in name or "cost" in name]


def test_a_request_about_a_failed_task_is_a_success(gateway: Proxy) -> None:
    """The task has failed, not the request."""
    failed = send(gateway, "message/send", "fail")[1].json()["result"]
    (_, call), _ = ask(gateway, "tasks/get", id=failed["id"])
    said = call["attributes"]
    assert (said["litellm.result.status"], said["litellm.outcome"]) == ("failed", "success")


@pytest.mark.parametrize(
    ("method", "operation"),
    [
        ("tasks/cancel", "litellm.cancel_task"),
        ("tasks/resubscribe", "litellm.subscribe_to_task"),
        ("tasks/pushNotificationConfig/get", "litellm.get_task_push_notification_config"),
    ],
)
def test_a_refusal_of_the_agent_is_a_failure(
    gateway: Proxy, task: dict[str, Any], method: str, operation: str
) -> None:
    """The task has ended, and the agent sends no push notifications. HTTP's status is 200."""
    (_, call), answer = ask(gateway, method, id=task["id"])
    assert "error" in answer.text
    said = call["attributes"]
    assert call["name"] == f"{operation} forecaster"
    assert said["gen_ai.response.id"] == task["id"]
    assert (said["litellm.call_type"], said["litellm.outcome"]) == (method, "failure")


def test_a_method_that_litellm_refuses_has_no_call(gateway: Proxy) -> None:
    """The agent is not asked."""
    body = {"jsonrpc": "2.0", "id": "r3", "method": "tasks/burn", "params": {}}

    def call(traceparent: str) -> None:
        client = gateway.client(KEY, traceparent=traceparent)
        assert "not found" in client.post("/a2a/weather", json=body).text

    (server,) = gateway.trace(call, 1)
    assert server["kind"] == "SERVER"
