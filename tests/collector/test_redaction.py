"""Secrets and personal data are masked; everything that a reader needs stays as it was."""

import json
from typing import Any

import pytest
from opentelemetry.sdk.trace import Event, ReadableSpan

from tests.collector.running import Collector, json_of
from tests.collector.spans import by_id, call

SK = "sk-proj-" + "aB3_x-" * 6
LITELLM = "sk-" + "Zt9_Qw-" * 3 + "x"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"
PEM = "-----BEGIN RSA PRIVATE KEY-----\nMIIEow\nAAB==\n-----END RSA PRIVATE KEY-----"

MASKED = {
    "openai key": (f"my key is {SK}.", "my key is ****."),
    "litellm key": (LITELLM, "****"),
    "key after a line break": (f"keys:\n{SK}", "keys:\n****"),
    "key after an accent": (f"cl\u00e9: {SK}", "cl\u00e9: ****"),
    "langfuse": ("pk-lf-1234abcd-12ab-34cd-56ef-1234567890ab", "****"),
    "stripe": ("sk_live_" + "4eC39HqLyjWDarjtT1", "****"),
    "aws": ("AKIAIOSFODNN7EXAMPLE!", "****!"),
    "google": ("AIza" + "SyA-1234567890_abcdefghijklmnopqrst"[:35], "****"),
    "github": ("ghp_" + "a1B2" * 9, "****"),
    "slack": ("xoxb-1234567890-abcdefghij", "****"),
    "hugging face": ("hf_" + "aBcDeF" * 6, "****"),
    "jwt": (f"token {JWT} end", "token **** end"),
    "bearer": ("Authorization: Bearer abcdefghijklmnop1234", "Authorization: Bearer ****"),
    "url": ("postgres://ann:hunter2@db:5432/x", "postgres://ann:****@db:5432/x"),
    "named": ('{"password": "hunter22", "user": "ann"}', '{"password": "****", "user": "ann"}'),
    "assigned": ("API_KEY=abc12345 next", "API_KEY=**** next"),
    "private key": (f"use {PEM} now", "use **** now"),
    "e-mail": ("write to ann.o'neil@example.co.uk today", "write to ann.o'**** today"),
    "e-mail after a line break": ("to:\nann@example.com\nbye", "to:\n****\nbye"),
    "e-mail after a backslash": ("C:\\new\\nann@example.com", "C:\\new\\n****"),  # JSON stays whole
    "card": ("card 4111 1111 1111 1111.", "card ****."),
    "card with dashes": ("5500-0000-0000-0004", "****"),
    "amex": ("3782 822463 10005", "****"),
    "bare card": ("card:4111111111111111, thanks", "card:0, thanks"),
    "social security": ("SSN\n123-45-6789", "SSN\n****"),
    "phone": ("call +1 (415) 555-2671 now", "call **** now"),
}
KEPT = {
    "risk": "risk-assessment-of-a-rather-long-project",
    "task": "task-550e8400-e29b-41d4-a716-446655440000",
    "date": "2026-11-20T09:13:07.000000Z and 2026-11-20",
    "version": "opentelemetry-sdk>=1.33.1,<2",
    "float": "0.4111111111111111",
    "trace id": "4111111111111111aaaa0000bbbb1111",
    "sum": "1 + 2 = 3, a@b, max_tokens=256",
    "escapes": 'quote " backslash \\ tab \t null',
    "timestamp": "1795165987000000000",
}


def through(running: Collector, *spans: ReadableSpan) -> list[ReadableSpan]:
    """The spans as the collector passes them on."""
    running.send(spans)
    wanted = list(by_id(spans))
    got = by_id(running.wait_spans(len(by_id(running.spans())) or 1))
    while not set(wanted) <= set(got):
        got = by_id(running.wait_spans(len(got) + 1))
    return [got[span_id] for span_id in wanted]


def said(text: Any) -> str:
    """One user message, as litespan writes it."""
    parts = [{"type": "text", "content": text}]
    return json.dumps([{"role": "user", "parts": parts}], ensure_ascii=False)


@pytest.fixture(scope="module")
def texts(running: Collector) -> dict[str, str]:
    """Every text of the tables, sent in a message, as it came out."""
    sent = {name: text for name, (text, _) in MASKED.items()} | KEPT
    spans = [call({"gen_ai.input.messages": said(text)}) for text in sent.values()]
    got = through(running, *spans)
    messages = [json_of(span, "gen_ai.input.messages") for span in got]
    return {
        name: message[0]["parts"][0]["content"]
        for name, message in zip(sent, messages, strict=True)
    }


@pytest.mark.parametrize("name", MASKED)
def test_masked_in_messages(texts: dict[str, str], name: str) -> None:
    """The secret is gone, what surrounds it is not, and the message is still JSON."""
    assert MASKED[name][1] == texts[name]


@pytest.mark.parametrize("name", KEPT)
def test_kept_in_messages(texts: dict[str, str], name: str) -> None:
    """What only looks like a secret stays."""
    assert KEPT[name] == texts[name]


def test_who_and_how_much_stay(running: Collector) -> None:
    """Token counts stay integers, cost a double; user and key hash are as they were."""
    attributes = {
        "user.id": "ann@example.com",
        "session.id": "+1 415 555 2671",
        "litellm.end_user.id": SK,
        "litellm.api_key.hash": "4111111111111111" * 4,
        "gen_ai.usage.input_tokens": 4111111111111111,
        "gen_ai.usage.output_tokens": 10,
        "gen_ai.usage.cost": 0.25,
        "gen_ai.request.max_tokens": 256,
        "litellm.tags": ("beta", "checkout"),
        "gen_ai.request.stop_sequences": ("\n\n", '"'),
    }
    (got,) = through(running, call(attributes))
    assert attributes == {name: (got.attributes or {})[name] for name in attributes}


def test_json_values_stay_json(running: Collector) -> None:
    """Bare numbers in arguments become 0, secrets in any depth ****: the JSON still parses."""
    part = {"type": "tool_call", "arguments": {"card": 4111111111111111, "to": "ann@example.com"}}
    messages = json.dumps([{"role": "assistant", "parts": [part]}], separators=(",", ":"))
    (got,) = through(running, call({"gen_ai.output.messages": messages}))
    (message,) = json_of(got, "gen_ai.output.messages")
    assert message["parts"][0]["arguments"] == {"card": 0, "to": "****"}


def test_everywhere_on_a_span(running: Collector) -> None:
    """Status text, events, lists and metadata are masked; attributes named for secrets go."""
    sent = call(
        {
            "litellm.tags": ("beta", SK),
            "litellm.metadata.note": f"use {SK}",
            "litellm.metadata.api_key": "hunter2",
            "http.request.header.authorization": "Basic x",
        },
        error=f"AuthenticationError: Incorrect API key provided: {SK}",
        events=[
            Event("exception", {"exception.message": f"bad key {SK} of ann@example.com"}),
            Event("note", {"password": "hunter2", "n": 3}),
        ],
    )
    (got,) = through(running, sent)
    attributes = dict(got.attributes or {})
    assert attributes["litellm.tags"] == ("beta", "****")
    assert attributes["litellm.metadata.note"] == "use ****"
    assert "litellm.metadata.api_key" not in attributes
    assert "http.request.header.authorization" not in attributes
    assert got.status.description == "AuthenticationError: Incorrect API key provided: ****"
    assert [dict(event.attributes or {}) for event in got.events] == [
        {"exception.message": "bad key **** of ****"},
        {"n": 3},
    ]
