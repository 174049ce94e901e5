"""Slack's own SDK validates the messages, and posts its own to the same server."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from slack_sdk.models.blocks import Block, ContextBlock, HeaderBlock, RichTextBlock, SectionBlock
from slack_sdk.webhook import WebhookClient

from litespan_exporters.slack import SlackExporter, escape, to_message
from tests.alerting.calls import RATE_LIMIT, span
from tests.alerting.test_destinations import FULL, SHOWN
from tests.support.server import Received, Reply, running

KINDS = {
    "header": HeaderBlock,
    "section": SectionBlock,
    "context": ContextBlock,
    "rich_text": RichTextBlock,
}


def judge(message: dict[str, Any]) -> None:
    """Raise what Slack's SDK, or its documentation, says against the message."""
    for block in message["blocks"]:
        made: Block = KINDS[block["type"]](**{k: v for k, v in block.items() if k != "type"})
        assert made.to_dict() == block
        assert all(len(field["text"]) <= 2000 for field in block.get("fields", ()))
    assert len(message["blocks"]) <= 50
    assert len(json.dumps(message["blocks"], ensure_ascii=False)) <= 13_200
    assert 0 < len(message["text"]) <= 40_000


@pytest.mark.parametrize("case", SHOWN | FULL)
def test_the_sdks_classes_accept_every_block(case: str) -> None:
    """The SDK's classes accept every block, and write the same JSON."""
    judge(to_message((SHOWN | FULL)[case], lost=3))


def test_slacks_sdk_rejects_a_message_that_is_too_long() -> None:
    """So the SDK's validation is real."""
    message: Any = to_message(SHOWN["firing"])
    message["blocks"][0]["text"]["text"] = "x" * 151
    with pytest.raises(Exception, match="150"):
        judge(message)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a < b && c > d", "a &lt; b &amp;&amp; c &gt; d"),
        ("<!channel>", "&lt;!channel&gt;"),
        ("<@U12345>", "&lt;@\u200bU12345&gt;"),
        ("@here, @everyone!", "@\u200bhere, @\u200beveryone!"),
        ("ann@example.com", "ann@example.com"),
    ],
)
def test_text_of_a_call_is_never_a_link_or_mention(text: str, expected: str) -> None:
    """In Slack's syntax."""
    assert escape(text) == expected


def test_the_same_request_as_the_sdk() -> None:
    """The SDK's webhook client posts the same JSON to the same path."""
    with running(lambda _: Reply(200, b"ok")) as vendor:
        url = f"{vendor.url}/services/T/B/x"
        message = to_message(SHOWN["firing"])
        answer = WebhookClient(url).send_dict(message)
        assert (answer.status_code, answer.body) == (200, "ok")
        exporter = SlackExporter(url)
        assert exporter._send(SHOWN["firing"], 0) == "sent"
        exporter.shutdown()
    theirs, ours = vendor.received
    assert (theirs.path, json.loads(theirs.body)) == (ours.path, json.loads(ours.body))
    assert theirs.headers["content-type"].startswith(ours.headers["content-type"])


class Api:
    """Slack's Web API: `chat.postMessage`, which answers 200 also to what it refuses.

    https://docs.slack.dev/reference/methods/chat.postMessage
    """

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []

    def __call__(self, request: Received) -> Reply:
        if request.path != "/chat.postMessage":
            return Reply(404)
        if request.headers.get("authorization") != "Bearer xoxb-token-0123456789":
            return Reply(200, b'{"ok":false,"error":"invalid_auth"}')
        message = json.loads(request.body)
        if message["channel"] != "C0123":
            return Reply(200, b'{"ok":false,"error":"channel_not_found"}')
        self.messages.append(message)
        return Reply(200, b'{"ok":true}')


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    """It runs, and the variables that users of LiteLLM have set point to it."""
    api = Api()
    with running(api) as vendor:
        monkeypatch.setenv("SLACK_API_URL", vendor.url)
        monkeypatch.setenv("SLACK_API_TOKEN", "xoxb-token-0123456789")
        monkeypatch.setenv("SLACK_API_CHANNEL", "C0123")
        yield api


def test_a_bot_posts_with_a_token_and_a_channel(api: Api) -> None:
    """With a token and a channel instead of a webhook."""
    exporter = SlackExporter()
    exporter.export([span(**RATE_LIMIT)])
    assert exporter.force_flush(5000)
    exporter.shutdown()
    assert [message["channel"] for message in api.messages] == ["C0123"]
    judge({"blocks": api.messages[0]["blocks"], "text": api.messages[0]["text"]})


def test_the_reason_for_a_refused_bot_message_is_logged(
    api: Api, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The reason is in the body of a 200."""
    monkeypatch.setenv("SLACK_API_CHANNEL", "C0000")
    exporter = SlackExporter()
    exporter.export([span(**RATE_LIMIT)])
    assert not exporter.force_flush(5000)
    exporter.shutdown()
    assert "channel_not_found" in caplog.text
    assert "xoxb" not in caplog.text
