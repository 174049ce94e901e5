"""WebSocket routes of the proxy: server span, identity, session, calls."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect
from websockets.sync.connection import Connection

from litespan.testing.decode import Record
from tests.proxy.running import KEY, Proxy
from tests.support.realtime import TRANSCRIPT

pytestmark = pytest.mark.recent_litellm  # older ones have other WebSocket handlers
HELLO = {
    "type": "conversation.item.create",
    "item": {"role": "user", "type": "message", "content": [{"type": "input_text", "text": "Hi"}]},
}
IDENTITY = {
    "litellm.team.id": "team-blue",
    "litellm.api_key.alias": "blue-key",
    "litellm.api_key.hash": "hash-of-blue-key",
    "litellm.organization.id": "org-1",
}


@contextmanager
def connected(gateway: Proxy, path: str, traceparent: str, key: str = KEY) -> Iterator[Connection]:
    """A client of the proxy."""
    headers = {"authorization": f"Bearer {key}", "traceparent": traceparent}
    with connect(gateway.url.replace("http", "ws") + path, additional_headers=headers) as client:
        yield client


def hear(client: Connection, last: str) -> list[Any]:
    """The events up to one of type `last`, or to the end of the session."""
    events: list[Any] = []
    try:
        while not events or events[-1].get("type") != last:
            events.append(json.loads(client.recv(20)))
    except ConnectionClosed as closed:
        events.append({"type": "closed", "code": closed.rcvd and closed.rcvd.code})
    return events


def tree(spans: list[Record]) -> list[tuple[str, str]]:
    """(name, name of the parent) of each span but the first."""
    names = {span["span_id"]: span["name"] for span in spans}
    return [(span["name"], names[span["parent"]]) for span in spans[1:]]


def test_a_realtime_session_is_one_trace(gateway: Proxy) -> None:
    """From the client's span to the response, with the identity of the key on each."""

    def talk(traceparent: str) -> None:
        with connected(gateway, "/v1/realtime?model=talk", traceparent) as client:
            client.send(json.dumps(HELLO))
            client.send(json.dumps({"type": "response.create"}))
            hear(client, "response.done")

    spans = gateway.trace(talk, 4)
    server, _, session, response = spans
    assert server["name"] == "GET /v1/realtime"
    assert server["kind"] == "SERVER"
    assert tree(spans) == [
        ("litellm.router talk", "GET /v1/realtime"),
        ("litellm.session gpt-realtime", "litellm.router talk"),
        ("chat gpt-realtime", "litellm.session gpt-realtime"),
    ]
    assert server["attributes"]["http.response.status_code"] == 101
    assert server["attributes"]["url.scheme"] == "ws"
    for span in (server, session, response):
        assert IDENTITY.items() <= span["attributes"].items(), span["name"]
        assert span["attributes"]["litellm.outcome"] == "success"
    assert response["attributes"]["litellm.model_group"] == "talk"
    assert response["attributes"]["gen_ai.usage.audio.output_tokens"] == 91
    assert response["attributes"]["gen_ai.usage.cost"] > 0
    assert "litellm.fallback.from" not in response["attributes"]


@pytest.mark.parametrize("query", ["?model=respond", ""])
def test_responses_over_a_websocket_are_one_trace(gateway: Proxy, query: str) -> None:
    """The model is in the URL or in the first event."""

    def talk(traceparent: str) -> None:
        with connected(gateway, f"/v1/responses{query}", traceparent) as client:
            for text in ("Hello", "Again"):
                event = {"type": "response.create", "model": "respond", "input": text}
                client.send(json.dumps(event))
                assert hear(client, "response.completed")[-1]["type"] == "response.completed"

    spans = gateway.trace(talk, 5)
    assert tree(spans) == [
        ("litellm.router respond", "GET /v1/responses"),
        ("litellm.session gpt-4o-mini", "litellm.router respond"),
        ("chat gpt-4o-mini", "litellm.session gpt-4o-mini"),
        ("chat gpt-4o-mini", "litellm.session gpt-4o-mini"),
    ]
    for response in spans[3:]:
        assert response["attributes"]["gen_ai.usage.input_tokens"] == 20
        assert response["attributes"]["gen_ai.usage.cost"] > 0
        assert IDENTITY.items() <= response["attributes"].items()


def test_a_passed_through_websocket_is_a_call(gateway: Proxy) -> None:
    """With LiteLLM's cost of the audio."""

    def talk(traceparent: str) -> None:
        path = "/deepgram/v1/listen?model=nova-3"
        with connected(gateway, path, traceparent) as client:
            client.send(b"\0" * 100)
            assert TRANSCRIPT in json.dumps(hear(client, "Results"))
            client.send(json.dumps({"type": "CloseStream"}))
            hear(client, "closed")

    server, call = gateway.trace(talk, 2)
    assert server["name"] == "GET /deepgram/v1/listen"
    assert call["name"].startswith("generate_content")
    assert call["attributes"]["gen_ai.usage.cost"] > 0
    assert call["attributes"]["litellm.call_type"] == "pass_through_endpoint"
    assert IDENTITY.items() <= call["attributes"].items()


@pytest.mark.parametrize(
    ("path", "key", "failure"),
    [
        ("/v1/realtime?model=talk", "sk-nobody", "auth"),
        ("/v1/realtime?model=nothing", KEY, "internal"),
        ("/deepgram/v1/listen?model=nothing", KEY, "bad_request"),
    ],
)
def test_a_refused_websocket_is_a_failed_request(
    gateway: Proxy, path: str, key: str, failure: str
) -> None:
    """Before the handshake, or by a close code after it."""

    def talk(traceparent: str) -> None:
        with (
            pytest.raises((ConnectionClosed, InvalidStatus)),
            connected(gateway, path, traceparent, key) as client,
        ):
            while True:
                client.recv(20)

    server = gateway.trace(talk, 1)[0]
    assert server["attributes"]["litellm.outcome"] == "failure"
    assert server["attributes"]["litellm.request.failure"] == failure
