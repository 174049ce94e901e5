"""Clients of the proxy cannot change what the operator records, unless the operator permits it."""

import json
import os
import sqlite3
from collections.abc import Iterator
from typing import Any

import pytest

from litespan.proxy.server import mark_sampled
from litespan.testing import LoopbackProvider, OtlpReceiver
from litespan.testing.decode import Record
from tests.proxy.conftest import FILES, config
from tests.proxy.running import Proxy, proxy, until
from tests.support.server import Reply, Vendor, running

HI = "Say hello to everybody in this room, please."
CHAT = {"model": "chat", "messages": [{"role": "user", "content": HI}]}
ROUTES: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": CHAT,
    "/v1/responses": {"model": "chat", "input": HI},
    "/v1/messages": {"model": "claude", "max_tokens": 50, "messages": CHAT["messages"]},
    "/v1/embeddings": {"model": "embed", "input": HI},
    "/v1/completions": {"model": "text", "prompt": HI},
    "/own/chat": CHAT,
}
OPTIONS: dict[str, dict[str, Any]] = {
    "no-log": {"no-log": True},
    "mute": {"metadata": {"litespan": {"mute": ["langfuse", "sqlite", "otlp"]}}},
    "mute elsewhere": {"litellm_metadata": {"litespan": {"mute": ["langfuse", "sqlite"]}}},
    "inner call": {"acompletion": True, "aembedding": True, "atext_completion": True},
}


@pytest.fixture(scope="module")
def collector() -> Iterator[OtlpReceiver]:
    """One for this file alone: these proxies record content, which other tests must not find."""
    with OtlpReceiver() as receiver:
        yield receiver


@pytest.fixture(scope="module")
def langfuse() -> Iterator[Vendor]:
    """The operator's Langfuse."""
    with running(lambda _: Reply(207, json.dumps({"successes": [], "errors": []}).encode())) as it:
        yield it


@pytest.fixture(scope="module")
def strict(
    loopback: LoopbackProvider,
    collector: OtlpReceiver,
    langfuse: Vendor,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Proxy]:
    """A proxy with the default permissions, where LiteLLM has `no-log` switched off."""
    env = {
        "OTEL_TRACES_EXPORTER": "otlp,langfuse",
        "LITESPAN_SUCCESS": "sqlite",
        "LITESPAN_SQLITE": "calls.db",
        "LANGFUSE_PUBLIC_KEY": "pk-lf-operator",
        "LANGFUSE_SECRET_KEY": "sk-lf-operator",
        "LANGFUSE_BASE_URL": langfuse.url,
        "LITESPAN_BAGGAGE": "user.id",
        "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "SPAN_ONLY",
    }
    settings = config(loopback, global_disable_no_log_param=True)
    folder = tmp_path_factory.mktemp("strict")
    with proxy(folder, settings, loopback, collector, files=FILES, env=env) as it:
        yield it


def ask(
    gateway: Proxy, path: str, body: dict[str, Any], flags: str = "01", **headers: str
) -> list[Record]:
    """The spans of a request, by a trace that the client names. At least a call's must be there."""
    trace_id = os.urandom(16).hex()
    named = {"traceparent": f"00-{trace_id}-b7ad6b7169203331-{flags}", **headers}
    answer = gateway.client(**named).post(path, json={**ROUTES[path], **body})
    assert answer.status_code == 200, answer.text

    def call() -> list[Record]:
        spans = gateway.receiver.spans
        of = [span for span in spans if span["trace_id"] == trace_id]
        return [span for span in of if "gen_ai.operation.name" in span["attributes"]]

    until(call, f"call on record of {path} with {body} {flags}", 20)
    return call()


def stored(gateway: Proxy, span: Record) -> bool:
    """Whether the operator's store has the call."""
    path = gateway.log.parent / "calls.db"
    with sqlite3.connect(path) as database:
        try:
            found = database.execute("select span_id from llm_calls").fetchall()
        except sqlite3.OperationalError:  # the first call is not written yet
            return False
    return (span["span_id"],) in found


@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("path", ROUTES)
def test_a_client_cannot_remove_its_calls_from_the_records(
    strict: Proxy, langfuse: Vendor, path: str, option: str
) -> None:
    """Whatever it sends, each of the operator's exporters and stores receives its call."""
    before = len(langfuse.received)
    body = OPTIONS[option]
    if path == "/own/chat" and option == "inner call":
        body = {}
    span = ask(strict, path, body)[0]
    until(lambda: stored(strict, span), "call in the store")
    span_id = bytes.fromhex(span["span_id"])
    until(lambda: any(span_id in r.body for r in langfuse.received[before:]), "call in Langfuse")


@pytest.mark.parametrize("flags", ["00", "02", "fe"])
def test_a_clients_sampling_flag_is_not_followed(strict: Proxy, flags: str) -> None:
    """`traceparent` sets the trace, not the sampling decision."""
    span = ask(strict, "/v1/chat/completions", {}, flags)[0]
    until(lambda: stored(strict, span), "call in the store")


@pytest.mark.parametrize("place", ["metadata", "litellm_metadata"])
def test_a_client_cannot_switch_content_off(strict: Proxy, place: str) -> None:
    """If the operator records messages, they are recorded."""
    (span,) = ask(strict, "/v1/chat/completions", {place: {"litespan": {"content": False}}})
    assert HI in span["attributes"]["gen_ai.input.messages"]


@pytest.mark.parametrize("inside", [False, True])
def test_a_client_cannot_switch_content_off_with_litellms_parameter(
    strict: Proxy, inside: bool
) -> None:
    """`turn_off_message_logging`: newer versions of LiteLLM reject it, and litespan ignores it."""
    option = {"turn_off_message_logging": True}
    body = {**CHAT, "metadata": option} if inside else {**CHAT, **option}
    answers: list[int] = []

    def call(traceparent: str) -> None:
        client = strict.client(traceparent=traceparent)
        answers.append(client.post("/v1/chat/completions", json=body).status_code)

    spans = strict.trace(call, 1)
    if answers == [200]:
        (span,) = strict.spans_of(spans[0]["trace_id"], 3)[-1:]
        assert HI in span["attributes"]["gen_ai.input.messages"]
    else:
        assert strict.said("turn_off_message_logging is not allowed")


def test_a_clients_baggage_sets_no_identity(strict: Proxy) -> None:
    """The user is the key's, although LITESPAN_BAGGAGE has the entry."""
    (span,) = ask(strict, "/v1/chat/completions", {}, baggage="user.id=somebody-else")
    assert span["attributes"]["user.id"] == "ada"


def test_server_spans_of_others_are_recorded_too() -> None:
    """Another instrumentation's server span, such as FastAPI's, gets a sampled `traceparent`."""
    ids = b"00-4bf92f3577b34da6a3ce929d0e0e4736-b7ad6b7169203331-"
    others = [(b"host", b"proxy"), (b"x-feature", b"1")]
    scope: dict[str, Any] = {"headers": [*others, (b"traceparent", ids + b"00")]}
    mark_sampled(scope)
    assert scope["headers"] == [*others, (b"traceparent", ids + b"01")]
    for headers in (others, scope["headers"], [(b"traceparent", b"00-zz-yy-00")]):
        scope["headers"] = headers
        mark_sampled(scope)
        assert scope["headers"] is headers


@pytest.fixture(scope="module")
def lenient(
    loopback: LoopbackProvider, collector: OtlpReceiver, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Proxy]:
    """A proxy whose operator permits everything, and leaves `no-log` to LiteLLM's default."""
    env = {
        "LITESPAN_CLIENTS_MAY": "mute,content,sampling,baggage",
        "LITESPAN_BAGGAGE": "user.id",
        "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "SPAN_ONLY",
    }
    folder = tmp_path_factory.mktemp("lenient")
    with proxy(folder, config(loopback), loopback, collector, files=FILES, env=env) as it:
        yield it


def test_permitted_client_options_have_an_effect(lenient: Proxy) -> None:
    """The client then controls content, exporters and the user."""
    option = {"content": False, "mute": ["langfuse"]}
    (span,) = ask(
        lenient, "/v1/chat/completions", {"metadata": {"litespan": option}}, baggage="user.id=eve"
    )
    assert "gen_ai.input.messages" not in span["attributes"]
    assert list(span["attributes"]["litespan.mute"]) == ["langfuse"]
    assert span["attributes"]["user.id"] == "eve"


@pytest.mark.parametrize(("body", "flags"), [({"no-log": True}, "01"), ({}, "00")])
def test_a_call_is_left_out_if_the_operator_permits_it(
    lenient: Proxy, body: dict[str, Any], flags: str
) -> None:
    """By the sampling flag, and by `no-log` as long as LiteLLM follows it."""
    trace_id = os.urandom(16).hex()
    named = f"00-{trace_id}-b7ad6b7169203331-{flags}"
    client = lenient.client(traceparent=named)
    assert client.post("/v1/chat/completions", json={**CHAT, **body}).status_code == 200
    ask(lenient, "/v1/chat/completions", {})  # whatever came before it is exported by then
    spans = [span for span in lenient.receiver.spans if span["trace_id"] == trace_id]
    assert [s["name"] for s in spans if "gen_ai.operation.name" in s["attributes"]] == []
