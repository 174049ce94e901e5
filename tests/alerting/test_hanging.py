"""Calls that hang, by real LiteLLM calls and the list of those that start."""

import json
import threading

import litellm

import litespan
from litespan.alerting import Thresholds
from litespan_exporters.slack import SlackExporter
from tests.support.calls import Traced, quiet_litellm, traced
from tests.support.server import Received, Reply, running

__all__ = ["quiet_litellm", "traced"]

LIMIT = 5.0  # s
ANSWER = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1_795_176_000,
    "model": "gpt-4o-mini",
    "choices": [
        {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Hi."}}
    ],
    "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
}


def test_only_the_hanging_call_is_an_alert(traced: Traced) -> None:
    """One alert while it hangs.

    The webhook receives calls that start and calls that fail, but not those that succeed.
    """
    litellm.completion(**traced.chat())  # the first call of a process loads what it needs
    shown = threading.Event()

    def slack_accepts(_: Received) -> Reply:
        shown.set()
        return Reply(200, b"ok")

    def hang(_: Received) -> Reply:
        shown.wait(60)
        return Reply(200, json.dumps(ANSWER).encode(), {"Content-Type": "application/json"})

    with running(slack_accepts) as slack, running(hang) as provider:
        thresholds = Thresholds(hanging=LIMIT)
        exporter = SlackExporter(f"{slack.url}/services/T", thresholds=thresholds)
        litespan.configure(input=[exporter], failure=[exporter])
        try:
            litellm.completion(**traced.chat(model="openai/gpt-4o"))  # would be another alert
            ask = {**traced.chat(), "api_base": provider.url}
            assert litellm.completion(**ask).choices[0].message.content == "Hi."
            assert litespan.flush(30)
        finally:
            litespan.configure(input=[], failure=[])
        bodies = [request.body.decode() for request in slack.received]
    assert len(bodies) == 1
    assert "A call of gpt-4o-mini has not ended after 5 s" in bodies[0]
    assert "A call of gpt-4o has" not in bodies[0]
