"""The identity of a call on every route, and request data that is recorded by allowlist."""

import json
from typing import Any

import pytest

from tests.proxy.running import KEY, Proxy

HI = [{"role": "user", "content": "Hi"}]
WHO = {
    "litellm.team.id": "team-blue",
    "litellm.team.alias": "Blue",
    "litellm.organization.id": "org-1",
    "litellm.project.id": "project-9",
    "litellm.end_user.id": "customer-7",
    "litellm.api_key.hash": "hash-of-blue-key",
    "litellm.api_key.alias": "blue-key",
    "user_agent.original": "tests/1",
    "litellm.tags": ["from-key"],
}
ROUTES: list[Any] = [
    ("/chat/completions", {"json": {"model": "chat", "messages": HI}}, "chat"),
    ("/v1/chat/completions", {"json": {"model": "chat", "messages": HI}}, "chat"),
    ("/v1/completions", {"json": {"model": "text", "prompt": "Hi"}}, "text_completion"),
    ("/v1/embeddings", {"json": {"model": "embed", "input": "Hi"}}, "embeddings"),
    ("/v1/responses", {"json": {"model": "chat", "input": "Hi"}}, "chat"),
    ("/v1/messages", {"json": {"model": "claude", "messages": HI, "max_tokens": 9}}, "chat"),
    ("/v1/messages", {"json": {"model": "chat", "messages": HI, "max_tokens": 9}}, "chat"),
    ("/v1/images/generations", {"json": {"model": "image", "prompt": "Hi"}}, "generate_content"),
    (
        "/v1/audio/speech",
        {"json": {"model": "speak", "input": "Hi", "voice": "alloy"}},
        "generate_content",
    ),
    (
        "/v1/audio/transcriptions",
        {"data": {"model": "hear"}, "files": {"file": ("a.wav", b"RIFF" + b"0" * 99)}},
        "generate_content",
    ),
    ("/v1/rerank", {"json": {"model": "rank", "query": "Hi", "documents": ["a"]}}, "rerank"),
]


@pytest.mark.parametrize(
    ("route", "sent", "operation"), ROUTES, ids=[f"{row[0]} {row[2]}" for row in ROUTES]
)
def test_identity_on_every_route(
    gateway: Proxy, route: str, sent: dict[str, Any], operation: str
) -> None:
    """Key, team, organisation, project, user, end user, route, group, deployment and call id."""
    ids: list[str] = []

    def call(traceparent: str) -> None:
        client = gateway.client(KEY, traceparent=traceparent, **{"user-agent": "tests/1"})
        answer = client.post(route, **sent)
        assert answer.status_code == 200, answer.text
        ids.append(answer.headers["x-litellm-call-id"])

    spans = gateway.trace(call, 3)
    last = spans[-1]["attributes"]
    group = (sent.get("json") or sent["data"])["model"]
    assert {name: last.get(name) for name in WHO} == WHO
    assert last["gen_ai.operation.name"] == operation
    assert last["litellm.request.route"] == route
    assert last["litellm.model_group"] == group
    assert len(last["litellm.deployment.id"]) > 8
    assert last["user.id"] == "ada"
    assert [last["litellm.call_id"]] == ids
    assert len(spans) == 3


def test_the_clients_identity_takes_precedence(gateway: Proxy) -> None:
    """User, session, tags and metadata of the request precede those of the key."""
    body = {
        "model": "chat",
        "messages": HI,
        "user": "grace",
        "metadata": {"session_id": "s-1", "feature": "search", "tags": ["nightly"], "api_key": "x"},
    }

    def call(traceparent: str) -> None:
        gateway.client(KEY, traceparent=traceparent).post("/v1/chat/completions", json=body)

    last = gateway.trace(call, 3)[-1]["attributes"]
    assert last["user.id"] == "grace"
    assert last["session.id"] == last["gen_ai.conversation.id"] == "s-1"
    assert last["litellm.metadata.feature"] == "search"
    assert set(last["litellm.tags"]) == {"nightly", "from-key"}
    assert "litellm.metadata.api_key" not in last


@pytest.mark.parametrize(
    ("route", "body", "feature"),
    [
        # LiteLLM mixes it with its own there: who it is can be told from that, and no more.
        ("/v1/chat/completions", {"messages": HI}, None),
        ("/v1/responses", {"input": "Hi"}, "search"),
        ("/v1/messages", {"messages": HI, "max_tokens": 9}, "search"),
    ],
)
def test_litellm_metadata_is_recorded(
    gateway: Proxy, route: str, body: dict[str, Any], feature: str | None
) -> None:
    """The client's metadata under LiteLLM's other name, for APIs with their own `metadata`."""
    said = {"user_id": "grace", "session_id": "s-2", "feature": "search", "tags": ["nightly"]}
    sent = {"model": "chat", **body, "litellm_metadata": said}

    def call(traceparent: str) -> None:
        assert gateway.client(KEY, traceparent=traceparent).post(route, json=sent).is_success

    last = gateway.trace(call, 3)[-1]["attributes"]
    assert (last["user.id"], last["session.id"]) == ("grace", "s-2")
    assert last.get("litellm.metadata.feature") == feature
    assert set(last["litellm.tags"]) == {"nightly", "from-key"}


def test_tags_of_the_key_are_kept_beside_those_in_metadata_for_openai(gateway: Proxy) -> None:
    """`metadata` of the Responses API is the provider's, so LiteLLM keeps its own apart."""
    body = {"model": "chat", "input": "Hi", "metadata": {"tags": ["nightly"]}}

    def call(traceparent: str) -> None:
        gateway.client(KEY, traceparent=traceparent).post("/v1/responses", json=body)

    last = gateway.trace(call, 3)[-1]["attributes"]
    assert set(last["litellm.tags"]) == {"nightly", "from-key"}


def test_langfuse_headers_are_metadata(gateway: Proxy) -> None:
    """As in LiteLLM's own Langfuse callback; headers with keys are left out."""
    said = {
        "langfuse_session_id": "hs",
        "langfuse_trace_user_id": "hu",
        "langfuse_trace_name": "checkout",
        "langfuse_public_key": "pk-0",
    }
    body = {"model": "chat", "messages": HI}

    def call(traceparent: str) -> None:
        client = gateway.client(KEY, traceparent=traceparent, **said)
        assert client.post("/v1/chat/completions", json=body).is_success

    last = gateway.trace(call, 3)[-1]["attributes"]
    assert (last["user.id"], last["session.id"]) == ("hu", "hs")
    assert last["litellm.metadata.trace_name"] == "checkout"
    assert "pk-0" not in str(last)


@pytest.mark.parametrize("where", ["header", "body"])
def test_spend_logs_metadata_is_metadata(gateway: Proxy, where: str) -> None:
    """In LiteLLM's request header, and under `litellm_metadata`."""
    spend = {"owner": "ml", "feature": "search"}
    body: dict[str, Any] = {"model": "chat", "messages": HI}
    headers = {}
    if where == "header":
        headers["x-litellm-spend-logs-metadata"] = json.dumps(spend)
    else:
        body["litellm_metadata"] = {"spend_logs_metadata": spend}

    def call(traceparent: str) -> None:
        client = gateway.client(KEY, traceparent=traceparent, **headers)
        assert client.post("/v1/chat/completions", json=body).is_success

    last = gateway.trace(call, 3)[-1]["attributes"]
    assert last["litellm.metadata.owner"] == "ml"
    assert last["litellm.metadata.feature"] == "search"


def test_headers_that_the_operator_configures_become_tags(gateway: Proxy) -> None:
    """`extra_spend_tag_headers` of `litellm_settings`, in LiteLLM's format."""
    body = {"model": "chat", "messages": HI}

    def call(traceparent: str) -> None:
        client = gateway.client(KEY, traceparent=traceparent, **{"x-cost-centre": "blue"})
        assert client.post("/v1/chat/completions", json=body).is_success

    last = gateway.trace(call, 3)[-1]["attributes"]
    assert set(last["litellm.tags"]) == {"from-key", "X-Cost-Centre: blue"}


def test_a_user_in_a_form_is_recorded(gateway: Proxy) -> None:
    """LiteLLM sets the key's user on a request whose form has another user."""
    sent: dict[str, Any] = {
        "data": {"model": "hear", "metadata": json.dumps({"trace_user_id": "grace"})},
        "files": {"file": ("a.wav", b"RIFF" + b"0" * 99)},
    }

    def call(traceparent: str) -> None:
        client = gateway.client(KEY, traceparent=traceparent)
        assert client.post("/v1/audio/transcriptions", **sent).is_success

    assert gateway.trace(call, 3)[-1]["attributes"]["user.id"] == "grace"


def test_a_coding_agents_end_user_is_its_account(gateway: Proxy) -> None:
    """LiteLLM uses the whole `user_id` as the end user; call and request have the account."""
    body: dict[str, Any] = {"model": "claude", "messages": HI, "max_tokens": 9}
    body["metadata"] = {"user_id": "user_d1_account_a1_session_s1"}

    def call(traceparent: str) -> None:
        client = gateway.client(KEY, traceparent=traceparent)
        assert client.post("/v1/messages", json=body).is_success

    server, *_, last = gateway.trace(call, 3)
    assert (last["attributes"]["user.id"], last["attributes"]["session.id"]) == ("a1", "s1")
    for span in (server, last):
        assert "_session_" not in str(span["attributes"])


def test_headers_and_fields_only_by_allowlist(gateway: Proxy) -> None:
    """Configured headers and fields are recorded, others are not, and credentials never."""
    body = {"model": "chat", "messages": HI, "temperature": 0.5, "safety_identifier": "abc", "n": 1}

    def call(traceparent: str) -> None:
        extra = {"x-feature": "search", "x-other": "no", "traceparent": traceparent}
        gateway.client(KEY, **extra).post("/v1/chat/completions", json=body)

    server, _, last = gateway.trace(call, 3)
    asked = ("http.request.header.", "litellm.request.body.")
    attributes = {
        name: value for name, value in last["attributes"].items() if name.startswith(asked)
    }
    assert attributes == {
        "http.request.header.x-feature": ["search"],
        "litellm.request.body.temperature": 0.5,
        "litellm.request.body.safety_identifier": "abc",
    }
    headers = {name for name in server["attributes"] if name.startswith(asked[0])}
    assert headers == {"http.request.header.x-feature"}


def test_model_info_is_recorded_without_secrets(gateway: Proxy) -> None:
    """The operator's entries for a deployment, without secrets and LiteLLM's own fields."""

    def call(traceparent: str) -> None:
        body = {"model": "chat", "messages": HI}
        gateway.client(KEY, traceparent=traceparent).post("/v1/chat/completions", json=body)

    last = gateway.trace(call, 3)[-1]["attributes"]
    told = {name: value for name, value in last.items() if name.startswith("litellm.model_info.")}
    assert told == {
        "litellm.model_info.owner": "platform",
        "litellm.model_info.rank": 2,
        "litellm.model_info.base_model": "gpt-4o-mini",
    }


@pytest.mark.parametrize("metadata", [None, {}, {"feature": "search"}, {"trace_id": "mine"}])
def test_a_traceparent_adds_no_metadata(gateway: Proxy, metadata: dict[str, str] | None) -> None:
    """LiteLLM writes its trace id into the client's metadata."""
    sent: dict[str, Any] = {"model": "chat", "messages": HI}
    if metadata is not None:
        sent["metadata"] = metadata

    def call(traceparent: str) -> None:
        client = gateway.client(KEY, traceparent=traceparent)
        assert client.post("/v1/chat/completions", json=sent).status_code == 200

    attributes = gateway.trace(call, 3)[-1]["attributes"]
    prefix = "litellm.metadata."
    found = {
        name[len(prefix) :]: attributes[name] for name in attributes if name.startswith(prefix)
    }
    assert found == (metadata or {})
