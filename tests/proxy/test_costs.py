"""What a request costs the proxy: function calls on its event loop, which have no noise."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from litespan.background.deferred import LARGE
from litespan.testing import LoopbackProvider, OtlpReceiver
from tests.proxy.running import HERE, MASTER, Proxy, model, proxy
from tests.support import passed
from tests.support.server import Received, Reply
from tests.support.server import running as serving

HI = [{"role": "user", "content": "Say hello to everybody in this room, please."}]
PARTS = [passed.event(*passed.CONVERSE_EVENTS[1])] * 20_000
ENDS = {"good": passed.event(*passed.CONVERSE_EVENTS[-1]), "hot": passed.THROTTLED}


def large(request: Received) -> Reply:
    """A stream of some MB that ends well or not."""
    body = b"".join([*PARTS, ENDS[request.path.split("/")[2]]])
    assert len(body) > 2 * LARGE
    return Reply(200, body, {"Content-Type": passed.EVENT_STREAM})


@pytest.fixture(scope="module")
def counted(
    loopback: LoopbackProvider, collector: OtlpReceiver, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Proxy]:
    """A proxy with the default configuration that counts."""
    with serving(large) as foreign:
        config = {
            "model_list": [
                model("openai/gpt-4o-mini", loopback, "chat"),
                model("openai/text-embedding-3-small", loopback, "embed"),
                model("anthropic/claude-3-5-haiku-latest", loopback, "claude"),
            ],
            "litellm_settings": {"callbacks": ["litespan.proxy.handler", "counting.counter"]},
            "general_settings": {
                "pass_through_endpoints": [
                    {"path": f"/up/{path}", "target": f"{foreign.url}/model/{path}"}
                    for path in (f"{name}/converse-stream" for name in ENDS)
                ]
            },
        }
        files = {"counting.py": (HERE / "counting.py").read_text()}
        folder = tmp_path_factory.mktemp("counted")
        with proxy(folder, config, loopback, collector, files=files) as running:
            yield running


def function_calls(counted: Proxy, request: Callable[[], Any], times: int = 10) -> float:
    """The function calls of litespan and OpenTelemetry for one request."""
    client = counted.client(MASTER)
    for _ in range(3):
        request()
    before = client.get("/counted").json()["calls"]
    for _ in range(times):
        request()
    return (client.get("/counted").json()["calls"] - before) / times


@pytest.mark.parametrize(
    ("stream", "most"), [(False, 1000), (True, 1430)], ids=["plain", "streamed"]
)
def test_a_request_makes_few_function_calls(counted: Proxy, *, stream: bool, most: int) -> None:
    """For its three spans, of litespan and OpenTelemetry together; LiteLLM makes 30,000."""
    client = counted.client(MASTER)
    body = {"model": "chat", "messages": HI, "stream": stream}

    def request() -> None:
        assert client.post("/v1/chat/completions", json=body).status_code == 200

    assert function_calls(counted, request) <= most


@pytest.mark.parametrize(
    ("path", "model_name", "more"),
    [
        ("chat/completions", "chat", {}),
        ("embeddings", "embed", {"input": "Hello"}),
        ("messages", "claude", {"max_tokens": 99}),
        ("responses", "chat", {"input": "Hello"}),
    ],
)
def test_a_finished_request_leaves_no_reference_cycles(
    counted: Proxy, path: str, model_name: str, more: dict[str, Any]
) -> None:
    """They would keep all data of a request until LiteLLM's large heap is collected.

    For a stream, LiteLLM itself makes a class, which is a cycle.
    """
    client = counted.client(MASTER)
    body = {"model": model_name, "messages": HI} | more
    if "input" in more:
        del body["messages"]
    for _ in range(3):
        client.get("/garbage")
        client.post(f"/v1/{path}", json=body)
        time.sleep(0.5)
    assert client.get("/garbage").json() == []


@pytest.mark.recent_litellm
@pytest.mark.parametrize(("end", "outcome"), [("good", "success"), ("hot", "failure")])
def test_a_large_stream_is_not_read_on_the_event_loop(
    counted: Proxy, end: str, outcome: str
) -> None:
    """Other clients do not wait; the request's own span still has the outcome."""
    client = counted.client(MASTER)
    before = len(client.get("/counted").json()["read"])

    def request(traceparent: str) -> None:
        headers = {"traceparent": traceparent}
        sent = client.post(f"/up/{end}/converse-stream", json={"messages": HI}, headers=headers)
        assert sent.status_code == 200

    server, call = counted.trace(request, 2)
    said = (call["attributes"]["litellm.outcome"], server["attributes"]["litellm.outcome"])
    assert said == (outcome, outcome)
    if end == "good":
        assert call["attributes"]["gen_ai.usage.output_tokens"] == 10
    read = client.get("/counted").json()["read"][before:]
    assert any(size >= LARGE for size, _ in read)
    assert not any(on_loop for size, on_loop in read if size >= LARGE)
