"""Pass-through routes: one call below the server span, even if LiteLLM cannot parse the answer."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from litespan.mapping.passed import events
from litespan.testing import LoopbackProvider, OtlpReceiver
from litespan.testing.decode import Record
from tests.proxy.conftest import BREAKS, FILES, config, provider_routes
from tests.proxy.running import KEY, Proxy, proxy
from tests.support import passed

HI = [{"role": "user", "content": "Say hello to everybody in this room, please."}]
CLAUDE = {"model": "claude-haiku-4-5", "messages": HI, "max_tokens": 50}
GPT = {"model": "gpt-4o-mini", "messages": HI}
MISTRAL = {"model": "mistral-small-latest", "messages": HI}
USAGE = {"stream_options": {"include_usage": True}}
GEMINI = {"contents": [{"role": "user", "parts": [{"text": HI[0]["content"]}]}]}
FLASH = "/gemini/v1beta/models/gemini-2.5-flash"


def spans_of(gateway: Proxy, path: str, body: dict[str, Any], count: int = 2) -> list[Record]:
    """The spans of one request; its answer is kept in `spans_of.answer`."""

    def call(traceparent: str) -> None:
        google = {"x-goog-api-key": KEY}  # where Google's clients have their key
        client = gateway.client(KEY, traceparent=traceparent, **google)
        spans_of.answer = client.post(path, json=body)  # type: ignore[attr-defined]

    return gateway.trace(call, count)


def answer() -> httpx.Response:
    """What the last request was answered."""
    found: httpx.Response = spans_of.answer  # type: ignore[attr-defined]
    return found


ROUTES: list[Any] = [
    ("/anthropic/v1/messages", CLAUDE, "chat claude-haiku-4-5", "anthropic"),
    (f"{FLASH}:generateContent", GEMINI, "chat gemini-2.5-flash", "gcp.gemini"),
    ("/openai/v1/chat/completions", GPT, "chat gpt-4o-mini", "openai"),
    ("/mistral/v1/chat/completions", MISTRAL, "chat mistral-small-latest", "mistral_ai"),
]


@pytest.mark.parametrize(("path", "body", "name", "provider"), ROUTES)
def test_a_providers_route_is_one_call(
    gateway: Proxy, path: str, body: dict[str, Any], name: str, provider: str
) -> None:
    """The call has model, provider, tokens, identity, and the id in the response header."""
    server, call = spans_of(gateway, path, body)
    assert answer().status_code == 200
    attributes = call["attributes"]
    assert (call["name"], call["kind"], call["parent"]) == (name, "CLIENT", server["span_id"])
    assert attributes["gen_ai.provider.name"] == provider
    assert attributes["litellm.call_type"] == "pass_through_endpoint"
    assert (attributes["gen_ai.usage.input_tokens"], attributes["gen_ai.usage.output_tokens"]) == (
        20,
        10,
    )
    assert attributes["litellm.call_id"] == answer().headers["x-litellm-call-id"]
    assert (
        attributes["litellm.team.id"],
        attributes["litellm.api_key.hash"],
        attributes["user.id"],
    ) == (
        "team-blue",
        "hash-of-blue-key",
        "ada",
    )
    assert attributes["litellm.request.route"] == path
    assert attributes["litellm.outcome"] == server["attributes"]["litellm.outcome"] == "success"
    assert call["end"] <= server["end"]
    assert [event["name"] for event in call["events"]] == [
        "litellm.pre_api_call",
        "litellm.post_api_call",
        "litellm.success",
    ]


@pytest.mark.parametrize(("path", "body", "name", "provider"), ROUTES[:3])
def test_a_pass_through_call_has_litellms_cost(
    gateway: Proxy, path: str, body: dict[str, Any], name: str, provider: str
) -> None:
    """LiteLLM's own figure."""
    attributes = spans_of(gateway, path, body)[1]["attributes"]
    assert attributes["litellm.cost.source"] == "litellm"
    assert attributes["gen_ai.usage.cost"] > 0


STREAMS: list[Any] = [
    ("/anthropic/v1/messages", {**CLAUDE, "stream": True}),
    (f"{FLASH}:streamGenerateContent?alt=sse", GEMINI),
    ("/openai/v1/chat/completions", {**GPT, "stream": True, **USAGE}),
]


@pytest.mark.parametrize(("path", "body"), STREAMS)
def test_streams_end_with_their_last_byte(gateway: Proxy, path: str, body: dict[str, Any]) -> None:
    """Tokens and cost of a whole stream, and the time to its first byte."""
    attributes = spans_of(gateway, path, body)[1]["attributes"]
    assert len(answer().text.splitlines()) > 8
    assert (attributes["gen_ai.usage.input_tokens"], attributes["gen_ai.usage.output_tokens"]) == (
        20,
        10,
    )
    assert attributes["gen_ai.usage.cost"] > 0
    assert attributes["litellm.cost.source"] == "litellm"
    assert attributes["gen_ai.request.stream"] is True
    assert 0 < attributes["gen_ai.response.time_to_first_chunk"] < 30
    assert (attributes["litellm.outcome"], attributes["litellm.stream.end"]) == (
        "success",
        "complete",
    )


FOREIGN: list[Any] = [
    ("/model/claude/converse-stream", {"messages": HI}, 28, "end_turn"),
    ("/model/claude/invoke-with-response-stream", {"messages": HI}, 28, "end_turn"),
    ("/v1beta/models/gemini-2.5-flash:streamGenerateContent", GEMINI, 20, "STOP"),
    ("/ollama/api/chat", {"model": "llama3.2", "messages": HI}, 20, "stop"),
    ("/ollama/api/chat", {"model": "llama3.2", "messages": HI, "stream": True}, 20, "stop"),
    ("/cohere/v1/chat", {"model": "command-r", "message": "Hi"}, 20, "COMPLETE"),
    ("/cohere/v1/chat", {"model": "command-r", "message": "Hi", "stream": True}, 20, "COMPLETE"),
    ("/mine/chat/completions", {**GPT, "stream": True}, 20, "stop"),
]


@pytest.mark.recent_litellm
@pytest.mark.parametrize(("path", "body", "tokens", "reason"), FOREIGN)
def test_streams_that_litellm_does_not_read_have_the_providers_tokens(
    gateway: Proxy, path: str, body: dict[str, Any], tokens: int, reason: str
) -> None:
    """The client receives the provider's bytes. LiteLLM knows no cost, so there is none."""
    attributes = spans_of(gateway, f"/up{path.partition(':')[0]}", body)[1]["attributes"]
    assert answer().content == passed.ANSWERS[path][0]
    assert attributes["gen_ai.usage.input_tokens"] == tokens
    assert attributes["gen_ai.usage.output_tokens"] == 10
    assert attributes["litellm.usage.source"] == "provider"
    assert attributes["gen_ai.response.finish_reasons"] == [reason]
    assert attributes["litellm.outcome"] == "success"
    assert "gen_ai.usage.cost" not in attributes


@pytest.mark.recent_litellm
def test_an_exception_in_a_stream_of_bedrock_fails_the_call_and_the_request(gateway: Proxy) -> None:
    """The answer starts with status 200."""
    server, call = spans_of(gateway, "/up/model/hot/converse-stream", {"messages": HI})
    assert answer().content == passed.THROTTLED
    said = call["attributes"]
    assert (said["litellm.outcome"], said["error.type"]) == ("failure", "throttlingException")
    assert server["attributes"]["litellm.request.failure"] == "provider"


@pytest.mark.recent_litellm
@pytest.mark.parametrize("action", ["converse-stream", "invoke-with-response-stream"])
def test_bedrocks_route_has_litellms_tokens_and_cost(gateway: Proxy, action: str) -> None:
    """LiteLLM reads the stream itself, and may encode it again for its guardrails."""
    _, _, call = spans_of(gateway, f"/bedrock/model/haiku/{action}", {"messages": HI}, 3)
    assert events([answer().content]) == events([passed.ANSWERS[f"/model/claude/{action}"][0]])
    said = call["attributes"]
    assert said["gen_ai.usage.input_tokens"] == 28
    assert said["gen_ai.usage.output_tokens"] == 10
    assert said["gen_ai.usage.cost"] > 0
    assert said["litellm.cost.source"] == "litellm"
    assert (said["gen_ai.request.stream"], said["litellm.stream.end"]) == (True, "complete")


def test_an_operators_own_endpoint_has_its_price_and_tokens(gateway: Proxy) -> None:
    """The price in its configuration, and the tokens in the answer."""
    server, call = spans_of(gateway, "/own/chat", GPT)
    attributes = call["attributes"]
    assert (call["name"], server["attributes"]["http.route"]) == ("chat gpt-4o-mini", "/own/chat")
    assert (attributes["gen_ai.usage.input_tokens"], attributes["gen_ai.usage.output_tokens"]) == (
        20,
        10,
    )
    assert attributes["gen_ai.usage.cost"] == 0.25


def test_an_unknown_path_is_a_pass_through_call(gateway: Proxy) -> None:
    """If the upstream refuses it, call and request fail with its status."""
    server, call = spans_of(gateway, "/own/tool", {"anything": 1})
    assert answer().status_code == 404
    assert (call["name"], call["status"]) == ("litellm.pass_through", "ERROR")
    assert call["attributes"]["litellm.provider.error.code"] == 404
    assert server["attributes"]["litellm.request.failure"] == "provider"


def test_an_error_event_fails_the_call_and_the_request(gateway: Proxy) -> None:
    """The answer starts with status 200, and reports the error in the stream."""
    server, call = spans_of(gateway, "/own/breaks", {**CLAUDE, "stream": True})
    assert answer().status_code == 200
    attributes = call["attributes"]
    assert (attributes["litellm.outcome"], attributes["litellm.stream.end"]) == ("failure", "error")
    assert attributes["error.type"] == "api_error"
    assert (call["status"], call["description"]) == ("ERROR", BREAKS["message"])
    asked = server["attributes"]
    assert (asked["litellm.outcome"], asked["litellm.request.failure"]) == ("failure", "provider")


def test_an_answer_that_reports_a_failure_fails_the_call_and_the_request(gateway: Proxy) -> None:
    """The Responses API reports a failure in an answer with status 200."""
    server, call = spans_of(gateway, "/own/fails", {"model": "gpt-5-mini", "input": "Hi"})
    assert answer().json()["status"] == "failed"
    attributes, asked = call["attributes"], server["attributes"]
    assert (attributes["litellm.outcome"], attributes["error.type"]) == ("failure", "server_error")
    assert attributes["gen_ai.usage.output_tokens"] == 10
    assert (asked["litellm.outcome"], asked["litellm.request.failure"]) == ("failure", "provider")
    assert call["description"] == server["description"]


@pytest.mark.parametrize("stream", [False, True])
def test_a_connection_that_is_dropped_is_the_providers_failure(
    gateway: Proxy, stream: bool
) -> None:
    """Without an answer there is no status of the provider."""
    server, call = spans_of(gateway, "/own/reset", {**CLAUDE, "stream": stream})
    assert answer().status_code >= 500
    assert call["attributes"]["litellm.outcome"] == "failure"
    assert "litellm.provider.error.code" not in call["attributes"]
    assert server["attributes"]["litellm.request.failure"] == "provider"


@pytest.mark.parametrize("stream", [False, True])
def test_a_model_of_the_list_is_an_attempt_of_the_router(gateway: Proxy, stream: bool) -> None:
    """A route whose model is in `model_list`."""
    body = {"model": "llama", "messages": HI, **({"stream": True} if stream else {})}
    server, router, call = spans_of(gateway, "/vllm/chat/completions", body, 3)
    assert answer().status_code == 200
    assert (router["name"], call["name"]) == ("litellm.router llama", "chat llama")
    assert (router["parent"], call["parent"]) == (server["span_id"], router["span_id"])
    attributes = call["attributes"]
    assert attributes["litellm.outcome"] == router["attributes"]["litellm.outcome"] == "success"
    assert attributes["gen_ai.provider.name"] == "hosted_vllm"
    assert attributes["gen_ai.usage.output_tokens"] == 10
    assert (attributes["litellm.team.id"], attributes["litellm.attempt"]) == ("team-blue", 1)


def test_refused_requests_have_no_call(gateway: Proxy) -> None:
    """A request with an invalid key on a provider's route."""

    def call(traceparent: str) -> None:
        client = gateway.client("sk-refused-0123", traceparent=traceparent)
        assert client.post("/anthropic/v1/messages", json=CLAUDE).status_code == 401

    (server,) = gateway.trace(call, 1)
    assert server["attributes"]["litellm.request.failure"] == "auth"


def test_no_secret_and_no_content_leaves(gateway: Proxy) -> None:
    """Neither the provider's key, which Google's routes put into the URL, nor what was asked."""
    for path, body, *_ in ROUTES:
        said = str(spans_of(gateway, path, body))
        assert "sk-provider-secret" not in said
        assert "everybody in this room" not in said


@pytest.fixture(scope="module")
def slow(
    loopback: LoopbackProvider, collector: OtlpReceiver, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Proxy]:
    """A proxy whose providers' routes lead to a slow provider."""
    folder = tmp_path_factory.mktemp("slow")
    env = provider_routes(loopback, chunks=60, pause=0.2)
    with proxy(folder, config(loopback), loopback, collector, files=FILES, env=env) as running:
        yield running


def test_a_client_that_disconnects_cancels_the_call(slow: Proxy) -> None:
    """Request and call are cancelled; the tokens are those that had been stated by then."""

    def call(traceparent: str) -> None:
        client = slow.client(KEY, traceparent=traceparent)
        body = {**CLAUDE, "stream": True}
        with client.stream("POST", "/anthropic/v1/messages", json=body) as stream:
            for _, _line in zip(range(10), stream.iter_lines(), strict=False):
                pass

    server, call_span = slow.trace(call, 2)
    outcomes = [span["attributes"]["litellm.outcome"] for span in (server, call_span)]
    assert outcomes == ["cancelled", "cancelled"]
    assert call_span["attributes"]["litellm.stream.end"] == "cancelled"
    assert call_span["attributes"]["gen_ai.usage.input_tokens"] == 20
