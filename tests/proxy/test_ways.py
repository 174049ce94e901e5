"""The proxy with the line in its config, `opentelemetry-instrument`, both, and mistakes."""

from collections.abc import Iterator

import pytest

from litespan.testing import LoopbackProvider, OtlpReceiver
from tests.proxy.conftest import FILES, config
from tests.proxy.running import KEY, Proxy, proxy, until

CHAT = {"model": "chat", "messages": [{"role": "user", "content": "Hi"}]}


@pytest.fixture(scope="module", params=["instrumented", "instrumented, and the line"])
def instrumented(
    request: pytest.FixtureRequest,
    loopback: LoopbackProvider,
    collector: OtlpReceiver,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Proxy]:
    """A proxy under `opentelemetry-instrument`, without and with our line in its config."""
    settings = config(loopback)
    if request.param == "instrumented":
        del settings["litellm_settings"]
    folder = tmp_path_factory.mktemp("instrumented")
    with proxy(folder, settings, loopback, collector, files=FILES, instrument=True) as running:
        yield running


def test_each_call_is_recorded_once(instrumented: Proxy) -> None:
    """One server span from any instrumentation, one router span and one call, in one trace."""

    def call(traceparent: str) -> None:
        client = instrumented.client(KEY, traceparent=traceparent)
        assert client.post("/v1/chat/completions", json=CHAT).status_code == 200

    spans = instrumented.trace(call, 3)
    assert [span["kind"] for span in spans].count("SERVER") == 1
    assert [span["name"] for span in spans if span["scope"] == "litespan"][-2:] == [
        "litellm.router chat",
        "chat gpt-4o-mini",
    ]
    assert spans[0]["parent"] == "b7ad6b7169203331"
    assert spans[0]["attributes"]["litellm.team.id"] == "team-blue"
    known = {span["span_id"] for span in spans}
    assert {span["parent"] for span in spans[1:]} <= known


def test_refused_requests_are_visible(instrumented: Proxy) -> None:
    """The server span of any instrumentation has the reason, and there is no call."""

    def call(traceparent: str) -> None:
        client = instrumented.client("sk-refused-0123", traceparent=traceparent)
        assert client.post("/v1/chat/completions", json=CHAT).status_code == 401

    spans = instrumented.trace(call, 1)
    assert [span for span in spans if "gen_ai.operation.name" in span["attributes"]] == []
    (server,) = [span for span in spans if span["kind"] == "SERVER"]
    assert server["attributes"]["litellm.request.failure"] == "auth"


def test_a_client_that_disconnects_cancels_the_call(instrumented: Proxy) -> None:
    """Also inside somebody else's server span."""

    def call(traceparent: str) -> None:
        client = instrumented.client(KEY, traceparent=traceparent)
        body = {**CHAT, "model": "slow", "stream": True}
        with client.stream("POST", "/chat/completions", json=body) as stream:
            for _, _line in zip(range(6), stream.iter_lines(), strict=False):
                pass

    spans = instrumented.trace(call, 3)
    (call_span,) = [span for span in spans if span["name"] == "chat gpt-4o-mini"]
    assert call_span["attributes"]["litellm.outcome"] == "cancelled"


@pytest.fixture(scope="module")
def mistaken(
    loopback: LoopbackProvider, collector: OtlpReceiver, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Proxy]:
    """A proxy whose operator has made every mistake at once."""
    env = {
        "OTEL_TRACES_EXPORTER": "otlp,langfus,langfuse",
        "OTEL_METRICS_EXPORTER": "none",
        "LITESPAN_CALLBACKS": "my_handlers.here,nowhere.instance",
        "LITESPAN_STREAM_EVENTS": "some",
        "OTEL_PYTHON_EXCLUDED_URLS": "^/health,(",
    }
    files = {**FILES, "my_handlers.py": "there = object()\n"}
    settings = config(loopback)
    names = ("litespan.proxy.proxy_handler_instance", "litespan.proxy.handlr")
    settings["litellm_settings"]["callbacks"] = list(names)
    folder = tmp_path_factory.mktemp("mistaken")
    with proxy(folder, settings, loopback, collector, files=files, env=env) as running:
        yield running


@pytest.mark.parametrize(
    "words",
    [
        "there is no exporter 'langfus', so it is ignored (did you mean langfuse?)",
        "LANGFUSE_PUBLIC_KEY and LANGFUSE_SECRET_KEY are not set",
        "my_handlers",
        "nowhere",
        "LITESPAN_STREAM_EVENTS='some' is not one of first, all, off",
        "OTEL_PYTHON_EXCLUDED_URLS='^/health,(' is not a regular expression",
        "there is no litespan.proxy.proxy_handler_instance; litespan.proxy.handler is used",
        "there is no litespan.proxy.handlr; litespan.proxy.handler is used",
    ],
)
def test_each_mistake_is_one_clear_line_and_the_proxy_serves(mistaken: Proxy, words: str) -> None:
    """Misspelled exporters, missing keys, wrong names and values: the proxy starts all the same."""

    def call(traceparent: str) -> None:
        client = mistaken.client(KEY, traceparent=traceparent)
        assert client.post("/v1/chat/completions", json=CHAT).status_code == 200

    assert len(mistaken.trace(call, 3)) == 3
    until(lambda: mistaken.said(words), words)
    assert len(mistaken.said(words)) == 1
