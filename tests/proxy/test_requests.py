"""One line in `config.yaml` traces requests to the proxy, from client to provider."""

from typing import Any

import httpx
import openai
import pytest
from opentelemetry.context import Context

from litespan.proxy.request import ProxyRequest
from litespan.settings import Settings
from litespan.testing import LoopbackProvider, Telemetry
from litespan.testing.decode import Record
from tests.proxy.running import KEY, Proxy, by_name, until

HI = {"role": "user", "content": "Say hello to everybody in this room, please."}
CHAT = {"model": "chat", "messages": [HI]}
CLIENT_SPAN = "b7ad6b7169203331"


def post(gateway: Proxy, path: str, body: dict[str, Any], key: str = KEY) -> Any:
    """A call for `Proxy.trace`; its response is kept in `post.response`."""

    def call(traceparent: str) -> None:
        post.response = gateway.client(key, traceparent=traceparent).post(path, json=body)  # type: ignore[attr-defined]

    return call


def response() -> httpx.Response:
    """What the last `post` was answered."""
    found: httpx.Response = post.response  # type: ignore[attr-defined]
    return found


def chain(spans: list[Record]) -> list[tuple[str, str, str | None]]:
    """(name, kind, name of the parent) of each span; the client's own is `client`."""
    names = {span["span_id"]: span["name"] for span in spans} | {CLIENT_SPAN: "client"}
    return [(span["name"], span["kind"], names.get(span["parent"])) for span in spans]


def test_traceparent_is_continued(gateway: Proxy) -> None:
    """Client span → server span → router → LLM call, each the parent of the next."""
    spans = gateway.trace(post(gateway, "/v1/chat/completions", CHAT), 3)
    assert chain(spans) == [
        ("POST /v1/chat/completions", "SERVER", "client"),
        ("litellm.router chat", "INTERNAL", "POST /v1/chat/completions"),
        ("chat gpt-4o-mini", "CLIENT", "litellm.router chat"),
    ]
    assert {span["scope"] for span in spans} == {"litespan"}


def test_server_span_follows_the_http_conventions(gateway: Proxy) -> None:
    """Method, route, path, status, peers, outcome and identity."""
    spans = gateway.trace(post(gateway, "/v1/chat/completions", CHAT), 3)
    attributes = spans[0]["attributes"]
    port = attributes.pop("server.port")
    assert gateway.url == f"http://127.0.0.1:{port}"
    assert attributes.pop("litellm.call_id") == response().headers["x-litellm-call-id"]
    assert attributes == {
        "http.request.method": "POST",
        "http.route": "/v1/chat/completions",
        "http.response.status_code": 200,
        "url.path": "/v1/chat/completions",
        "url.scheme": "http",
        "network.protocol.version": "1.1",
        "server.address": "127.0.0.1",
        "client.address": "127.0.0.1",
        "user_agent.original": f"python-httpx/{httpx.__version__}",
        "litellm.outcome": "success",
        "litellm.request.route": "/v1/chat/completions",
        "litellm.team.id": "team-blue",
        "litellm.team.alias": "Blue",
        "litellm.organization.id": "org-1",
        "litellm.project.id": "project-9",
        "litellm.end_user.id": "customer-7",
        "litellm.api_key.hash": "hash-of-blue-key",
        "litellm.api_key.alias": "blue-key",
        "user.id": "ada",
    }
    assert spans[0]["status"] == "UNSET"


def test_fallback_shows_every_attempt(gateway: Proxy) -> None:
    """A failing model group and its fallback are two calls of one successful request."""
    spans = gateway.trace(post(gateway, "/chat/completions", {**CHAT, "model": "broken"}), 4)
    assert [(span["name"], span["status"]) for span in spans] == [
        ("POST /chat/completions", "UNSET"),
        ("litellm.router broken", "UNSET"),
        ("chat gpt-4o-mini", "ERROR"),
        ("chat gpt-4o-mini", "UNSET"),
    ]
    last = spans[-1]["attributes"]
    assert (last["litellm.fallback.from"], last["litellm.fallback.to"]) == ("broken", "chat")
    assert [span["attributes"]["litellm.attempt"] for span in spans[2:]] == [1, 2]


def test_a_failing_provider_is_the_requests_failure(
    gateway: Proxy, loopback: LoopbackProvider
) -> None:
    """Without another fallback, the server span is an error with the reason `provider`."""
    body = {**CHAT, "model": "broken", "disable_fallbacks": True}
    spans = gateway.trace(post(gateway, "/chat/completions", body), 3)
    server = spans[0]
    assert (response().status_code, server["status"]) == (500, "ERROR")
    assert server["attributes"]["litellm.request.failure"] == "provider"
    assert server["attributes"]["error.type"] == "InternalServerError"
    assert [span["status"] for span in spans] == ["ERROR"] * 3


REFUSED = [
    pytest.param("sk-refused-0123", CHAT, 401, "auth", "ProxyException", id="no such key"),
    pytest.param("sk-stranger-0123", CHAT, 401, "auth", "HTTPException", id="custom_auth refuses"),
    pytest.param("sk-broke-0123", CHAT, None, "budget", "BudgetExceededError", id="budget"),
    pytest.param(
        KEY, {**CHAT, "model": "none"}, 400, "bad_request", "ProxyModelNotFoundError", id="no model"
    ),
    pytest.param(
        KEY,
        {**CHAT, "messages": [{"role": "user", "content": "Tell me of the moon above us"}]},
        400,
        "guardrail",
        "GuardrailRaisedException",
        id="guardrail",
    ),
]


@pytest.mark.parametrize(("key", "body", "status", "kind", "error"), REFUSED)
def test_refused_requests_are_failed_requests_without_calls(
    gateway: Proxy, key: str, body: dict[str, Any], status: int | None, kind: str, error: str
) -> None:
    """A request that never reaches a provider is one span with the reason."""
    spans = gateway.trace(post(gateway, "/v1/chat/completions", body, key), 1)
    (span,) = spans
    attributes = span["attributes"]
    assert status in (None, response().status_code)
    assert attributes["http.response.status_code"] == response().status_code
    assert (attributes["litellm.request.failure"], attributes["error.type"]) == (kind, error)
    assert (attributes["litellm.outcome"], span["status"]) == (
        "failure",
        "UNSET",
    )  # the client's mistake
    assert [event["name"] for event in span["events"]] == ["exception"]


def test_a_request_over_the_rate_limit_is_refused_and_recorded(gateway: Proxy) -> None:
    """The second request within a minute, of a key that may make one."""
    kinds = []
    for count in (3, 1):
        spans = gateway.trace(post(gateway, "/v1/chat/completions", CHAT, "sk-limited-0123"), count)
        kinds.append(spans[0]["attributes"].get("litellm.request.failure"))
    assert kinds == [None, "rate_limit"]
    assert spans[0]["attributes"]["litellm.team.id"] == "team-blue"


def test_guardrail_is_named_and_its_text_keeps_the_content_out(gateway: Proxy) -> None:
    """The exception event has the operator's text, not the client's."""
    moon = "Tell me of the moon above us"
    body = {**CHAT, "messages": [{"role": "user", "content": moon}]}
    (span,) = gateway.trace(post(gateway, "/v1/chat/completions", body), 1)
    assert span["attributes"]["litellm.guardrail.name"] == "no-moon"
    assert "not to be talked about" in span["events"][0]["attributes"]["exception.message"]
    assert moon not in str(span)


def test_a_guardrail_may_raise_any_exception(gateway: Proxy) -> None:
    """A `ValueError`, as in LiteLLM's own example, is a rejection by the guardrail."""
    body = {**CHAT, "messages": [{"role": "user", "content": "What about the sunshine?"}]}
    (span,) = gateway.trace(post(gateway, "/v1/chat/completions", body), 1)
    attributes = span["attributes"]
    assert (attributes["litellm.request.failure"], attributes["litellm.guardrail.name"]) == (
        "guardrail",
        "no-sun",
    )
    assert attributes["error.type"] == "ValueError"


def test_a_guardrail_has_the_operators_name(gateway: Proxy) -> None:
    """Not the constant in the exception of LiteLLM's generic guardrail."""
    body = {**CHAT, "guardrails": ["remote"]}
    (span,) = gateway.trace(post(gateway, "/v1/chat/completions", body), 1)
    assert span["attributes"]["litellm.request.failure"] == "guardrail"
    assert span["attributes"]["litellm.guardrail.name"] == "remote"


def test_a_guardrail_may_reject_the_answer(gateway: Proxy) -> None:
    """The provider's call is a success; the guardrail rejects the request."""
    body = {**CHAT, "guardrails": ["no-hello"]}
    server, _, last = gateway.trace(post(gateway, "/v1/chat/completions", body), 3)
    assert response().status_code >= 400
    assert server["attributes"]["litellm.request.failure"] == "guardrail"
    assert server["attributes"]["litellm.guardrail.name"] == "no-hello"
    assert (last["attributes"]["litellm.outcome"], last["status"]) == ("success", "UNSET")


def test_an_unknown_path_is_a_failed_request_named_by_its_method(gateway: Proxy) -> None:
    """Without a route, the span is named by the method alone."""
    (span,) = gateway.trace(post(gateway, "/nothing/here", {}), 1)
    assert (span["name"], span["attributes"]["http.response.status_code"]) == ("POST", 404)
    assert span["attributes"]["litellm.request.failure"] == "bad_request"


def test_health_checks_have_no_spans(gateway: Proxy) -> None:
    """They are excluded by the default of OTEL_PYTHON_EXCLUDED_URLS."""

    def call(traceparent: str) -> None:
        client = gateway.client(traceparent=traceparent)
        assert client.get("/health/liveliness").status_code == 200
        client.post("/v1/chat/completions", json=CHAT)

    spans = gateway.trace(call, 3)
    assert [span["name"] for span in spans if span["kind"] == "SERVER"] == [
        "POST /v1/chat/completions"
    ]


@pytest.mark.parametrize(
    ("path", "body", "tokens"),
    [
        ("/v1/chat/completions", {"messages": [HI]}, 10),
        ("/v1/responses", {"input": HI["content"]}, 10),
        ("/v1/messages", {"messages": [HI], "max_tokens": 50}, 10),
        # LiteLLM does not ask the provider for the usage of these: it is estimated.
        ("/v1/completions", {"prompt": HI["content"], "model": "text"}, 8),
    ],
)
def test_streams_end_with_their_last_byte(
    gateway: Proxy, path: str, body: dict[str, Any], tokens: int
) -> None:
    """A stream that is read to its end is complete on the call, and a success on both spans."""

    def call(traceparent: str) -> None:
        client = gateway.client(traceparent=traceparent)
        with client.stream("POST", path, json={"model": "chat", **body, "stream": True}) as stream:
            assert len(list(stream.iter_lines())) > 8

    server, *_, last = gateway.trace(call, 3)
    assert (server["attributes"]["litellm.outcome"], server["status"]) == ("success", "UNSET")
    assert last["attributes"]["litellm.stream.end"] == "complete"
    assert last["attributes"]["gen_ai.usage.output_tokens"] == tokens
    assert server["end"] >= last["end"]


@pytest.mark.parametrize(
    ("path", "model", "sent"),
    [
        ("/v1/messages", "claude-breaks", {"messages": [HI], "max_tokens": 9}),
        ("/v1/messages", "chat-breaks", {"messages": [HI], "max_tokens": 9}),
        ("/v1/responses", "chat-breaks", {"input": "Hi"}),
        ("/v1/chat/completions", "chat-breaks", {"messages": [HI]}),
    ],
)
def test_a_stream_that_breaks_fails_the_call_the_router_and_the_request(
    gateway: Proxy, path: str, model: str, sent: dict[str, Any]
) -> None:
    """All have the provider's error, although the client received a 200."""
    body = {"model": model, "stream": True, **sent}
    spans = gateway.trace(post(gateway, path, body), 3)
    assert response().status_code == 200
    assert {span["attributes"]["litellm.outcome"] for span in spans} == {"failure"}
    assert {span["status"] for span in spans} == {"ERROR"}
    call = spans[-1]
    assert call["attributes"]["litellm.stream.end"] == "error"
    assert call["attributes"]["error.type"] != "stream_dropped"
    assert "gen_ai.response.finish_reasons" not in call["attributes"]
    for span in spans:
        assert "the machine is too hot" in span["description"]
    assert spans[0]["attributes"]["litellm.request.failure"] == "provider"


def test_a_client_that_disconnects_cancels_the_call(gateway: Proxy) -> None:
    """A client that hangs up in mid-stream: request and call are cancelled, usage is partial."""

    def call(traceparent: str) -> None:
        client = gateway.client(traceparent=traceparent)
        body = {**CHAT, "model": "slow", "stream": True}
        with client.stream("POST", "/chat/completions", json=body) as stream:
            for _, _line in zip(range(10), stream.iter_lines(), strict=False):
                pass

    spans = gateway.trace(call, 3)
    outcomes = {span["name"]: span["attributes"]["litellm.outcome"] for span in spans}
    assert outcomes == {
        "POST /chat/completions": "cancelled",
        "litellm.router slow": "cancelled",
        "chat gpt-4o-mini": "cancelled",
    }
    call_span = spans[-1]
    assert call_span["attributes"]["litellm.stream.end"] == "cancelled"
    assert 0 < call_span["attributes"]["gen_ai.usage.output_tokens"] < 50
    assert [span["status"] for span in spans] == ["UNSET"] * 3
    assert call_span["end"] - call_span["start"] < 8e9  # and not the 10 s that it would take


def test_the_openai_client_makes_one_trace_per_call(gateway: Proxy) -> None:
    """Plain and streamed: one trace each, with the id from the response."""
    client = openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=KEY, max_retries=0)
    trace_id = f"{0xA11CE:032x}"
    headers = {"traceparent": f"00-{trace_id}-{CLIENT_SPAN}-01"}
    plain = client.chat.completions.with_raw_response.create(
        model="chat",
        messages=[{"role": "user", "content": "Hi"}],
        extra_headers=headers,
    )
    chunks = client.chat.completions.create(
        model="chat",
        messages=[{"role": "user", "content": "Hi"}],
        extra_headers=headers,
        stream=True,
    )
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    client.close()
    assert text == "Hello! How can I help you today?"
    calls = [span for span in gateway.spans_of(trace_id, 6) if span["kind"] == "CLIENT"]
    assert [span["attributes"].get("gen_ai.request.stream", False) for span in calls] == [
        False,
        True,
    ]
    assert calls[0]["attributes"]["litellm.call_id"] == plain.headers["x-litellm-call-id"]


def test_the_start_line_has_versions_destinations_and_content(gateway: Proxy) -> None:
    """One line at start has the versions, the exporters, and that content is off."""
    (line,) = gateway.said("litespan 0")
    assert "spans go to otlp; content off" in line


def test_metrics_of_the_calls_are_exported(gateway: Proxy) -> None:
    """The proxy's process has a meter provider, too."""
    gateway.client().post("/v1/chat/completions", json=CHAT)
    until(
        lambda: [m for m in gateway.receiver.metrics if m["name"].startswith("gen_ai.client.")],
        "metrics",
    )


def test_no_secret_and_no_content_leaves(gateway: Proxy) -> None:
    """Keys of clients and of providers, and messages, are in none of the signals."""
    gateway.trace(post(gateway, "/v1/chat/completions", CHAT), 3)
    seen = str((gateway.receiver.spans, gateway.receiver.metrics, gateway.receiver.logs))
    for secret in (KEY, "sk-provider-secret", "everybody in this room", "s3cret", "7f3a9c5e"):
        assert secret not in seen


def test_each_operation_has_one_span_in_a_trace(gateway: Proxy) -> None:
    """Nothing is reported twice."""
    spans = gateway.trace(post(gateway, "/v1/embeddings", {"model": "embed", "input": "a"}), 3)
    assert sorted(by_name(spans)) == [
        "POST /v1/embeddings",
        "embeddings text-embedding-3-small",
        "litellm.router embed",
    ]


def test_an_error_without_text_is_recorded_by_its_message(telemetry: Telemetry) -> None:
    """In older versions of LiteLLM, the text of `ProxyException` is only in its `message`."""

    class Refused(Exception):
        def __init__(self, *, message: str) -> None:
            self.message = message

    tracer = telemetry.tracer_provider.get_tracer("the proxy")
    scope = {"type": "http", "method": "POST", "path": "/chat/completions", "headers": ()}
    request = ProxyRequest(tracer, scope, Context(), Settings())
    request.set_failure(Refused(message="Authentication Error, the key has expired"), None, {})
    request.answered(500, ())
    request.end()
    assert telemetry.spans[0]["description"] == "Authentication Error, the key has expired"


def test_an_exception_of_the_application_is_status_500(telemetry: Telemetry) -> None:
    """The server sends it, for example for a request without a key."""
    tracer = telemetry.tracer_provider.get_tracer("the proxy")
    scope = {"type": "http", "method": "POST", "path": "/chat/completions", "headers": ()}
    request = ProxyRequest(tracer, scope, Context(), Settings())
    request.end(RuntimeError("No api key passed in."))
    assert telemetry.spans[0]["attributes"]["http.response.status_code"] == 500
    assert telemetry.spans[0]["status"] == "ERROR"


@pytest.mark.recent_litellm
@pytest.mark.parametrize(
    ("text", "more", "runs"),
    [
        ("Hi", {}, [("no-moon", "pre_call", "passed"), ("no-sun", "pre_call", "passed")]),
        (
            "Hi",
            {"stream": True},
            [
                ("no-moon", "pre_call", "passed"),
                ("no-sun", "pre_call", "passed"),
                ("no-sun", "post_call", "passed"),
            ],
        ),
        ("the moon", {}, [("no-moon", "pre_call", "blocked")]),
        (
            "Hi",
            {"guardrails": ["no-hello", "remote"]},
            [
                ("no-moon", "pre_call", "passed"),
                ("no-sun", "pre_call", "passed"),
                ("remote", "pre_call", "blocked"),
            ],
        ),
        (
            "Hi",
            {"guardrails": ["no-hello"]},
            [
                ("no-moon", "pre_call", "passed"),
                ("no-sun", "pre_call", "passed"),
                ("no-hello", "post_call", "blocked"),
            ],
        ),
    ],
)
def test_each_run_of_a_guardrail_is_a_span(
    gateway: Proxy, text: str, more: dict[str, Any], runs: list[tuple[str, str, str]]
) -> None:
    """Below the server span, with name, mode and verdict."""
    body = {"model": "chat", "messages": [{"role": "user", "content": text}], **more}
    server = gateway.trace(post(gateway, "/v1/chat/completions", body), 1)[0]
    spans = gateway.guardrails(server["trace_id"])
    names = [f"litellm.guardrail.{name}" for name in ("name", "mode", "verdict")]
    assert [tuple(span["attributes"][name] for name in names) for span in spans] == runs
    assert {span["parent"] for span in spans} == {server["span_id"]}
    assert not [span for span in spans if span["status"] == "ERROR"]
