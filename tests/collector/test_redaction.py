"""Secrets and personal data are masked; other data is unchanged."""

import json
import re
from random import Random
from typing import Any
from uuid import UUID

import pytest
from opentelemetry.sdk.trace import Event, ReadableSpan

from tests.collector.running import BASE, Collector, json_of
from tests.collector.spans import by_id, call

SK = "sk-proj-" + "aB3_x-" * 6
LITELLM = "sk-" + "Zt9_Qw-" * 3 + "x"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"
PEM = "-----BEGIN RSA PRIVATE KEY-----\nMIIEow\nAAB==\n-----END RSA PRIVATE KEY-----"

KEYS = {  # by the service that gives them out
    "anthropic": "sk-ant-api03-" + "aB3_x-" * 15 + "AA",
    "groq": "gsk_" + "aB3x" * 13,
    "xai": "xai-" + "aB3x" * 20,
    "perplexity": "pplx-" + "aB3x" * 12,
    "nvidia": "nvapi-" + "aB3x" * 16,
    "replicate": "r8_" + "aB3x" * 9 + "a",
    "databricks": "dapi" + "0a1b" * 8,
    "google oauth": "GOCSPX-" + "aB3x" * 7,
    "gitlab": "glpat-" + "aB3x" * 5,
    "slack app": "xapp-1-A0123-123-" + "aB3x" * 10,
    "webhook": "whsec_" + "aB3x" * 8,
    "npm": "npm_" + "aB3x" * 9,
    "sendgrid": "SG." + "aB3x" * 5 + "aB." + "aB3x" * 10 + "aB3",
    "twilio": "SK" + "0a1b" * 8,
    "vault": "hvs." + "aB3x" * 20,
    "logfire": "pylf_v1_us_" + "aB3x" * 11,
    "posthog": "phc_" + "aB3x" * 11,
}
MASKED = {
    "openai key": (f"my key is {SK}.", "my key is ****."),
    "litellm key": (LITELLM, "****"),
    "short key": ("sk-" + "aB3x" * 4, "****"),
    "key after a line break": (f"keys:\n{SK}", "keys:\n****"),
    "key after an accent": (f"cl\u00e9: {SK}", "cl\u00e9: ****"),
    "langfuse": ("pk-lf-1234abcd-12ab-34cd-56ef-1234567890ab", "****"),
    "stripe": ("sk_live_" + "4eC39HqLyjWDarjtT1", "****"),
    "aws": ("AKIAIOSFODNN7EXAMPLE!", "****!"),
    "google": ("AIza" + "SyA-1234567890_abcdefghijklmnopqrst"[:35], "****"),
    "github": ("ghp_" + "a1B2" * 9, "****"),
    "slack": ("xoxb-1234567890-abcdefghij", "****"),
    "hugging face": ("hf_" + "aBcDeF" * 6, "****"),
    **{kind: (f"use {key}.", "use ****.") for kind, key in KEYS.items()},
    "aws secret": (
        "aws_secret_access_key=wJalrXUtnFEMI/K7MDENG/bPxRfiCY",
        "aws_secret_access_key=****",
    ),
    "azure storage": (f"AccountKey={'aB3x' * 21}==;Suffix=x", "AccountKey=****;Suffix=x"),
    "signed url": (f"https://x.net/c?sv=1&sig={'aB3' * 14}%3D", "https://x.net/c?sv=1&sig=****"),
    "slack hook": (
        "https://hooks.slack.com/services/T00000000/B00000000/XXXXXXXXXXXX",
        "https://hooks.slack.com/services/****",
    ),
    "url without a user": ("redis://:hunter2@db:6379", "redis://:****@db:6379"),
    "header": ("x-api-key: 0123456789abcdef", "x-api-key: ****"),
    "told": ("my password: hunter22, ok?", "my password: ****, ok?"),
    "private key, cut": (f"use {PEM[:40]}", "use ****"),
    "jwt": (f"token {JWT} end", "token **** end"),
    "bearer": ("Authorization: Bearer abcdefghijklmnop1234", "Authorization: Bearer ****"),
    "url": ("postgres://ann:hunter2@db:5432/x", "postgres://ann:****@db:5432/x"),
    "named": ('{"password": "hunter22", "user": "ann"}', '{"password": "****", "user": "ann"}'),
    "named, JSON in a tool's JSON answer": (
        json.dumps({"answer": json.dumps({"password": "hunter22", "user": "ann"})}),
        json.dumps({"answer": json.dumps({"password": "****", "user": "ann"})}),
    ),
    "named, two more JSONs around it": (
        json.dumps([json.dumps([json.dumps([json.dumps({"api_key": "hunter22"})])])]),
        json.dumps([json.dumps([json.dumps([json.dumps({"api_key": "****"})])])]),
    ),
    "assigned": ("API_KEY=abc12345 next", "API_KEY=**** next"),
    "private key": (f"use {PEM} now", "use **** now"),
    "e-mail": ("write to ann.o'neil@example.co.uk today", "write to ann.o'**** today"),
    "e-mail after a line break": ("to:\nann@example.com\nbye", "to:\n****\nbye"),
    "e-mail after a backslash": ("C:\\new\\nann@example.com", "C:\\new\\n****"),  # JSON stays whole
    "e-mail after a domain": ("CORP\\ann@example.com", "CORP\\****"),
    "e-mail in a URL": ("/users/ann%40example.com", "/users/****"),
    "e-mail with letters of its own": ("jos\u00e9@ex\u00e4mple.de", "****"),
    "card": ("card 4111 1111 1111 1111.", "card ****."),
    "card with dashes": ("5500-0000-0000-0004", "****"),
    "amex": ("3782 822463 10005", "****"),
    "bare card": ("card:4111111111111111, thanks", "card:0, thanks"),
    "mastercard": ("2223 0031 2200 3222", "****"),
    "jcb": ("3530111333300000", "0"),
    "card with dots": ("4111.1111.1111.1111", "****"),
    "iban": ("DE89 3704 0044 0532 0130 00", "****"),
    "iban without spaces": ("to GB29NWBK60161331926819.", "to ****."),
    "social security": ("SSN\n123-45-6789", "SSN\n****"),
    "phone": ("call +1 (415) 555-2671 now", "call **** now"),
    "phone in France": ("+33 6 12 34 56 78", "****"),
    "phone in Japan": ("+81-3-1234-5678", "****"),
    "phone at home": ("(415) 555-2671 or 415-555-2671", "**** or ****"),
    "phone in a film": ("555-123-4567, (555) 123-4567", "****, ****"),
    "phone, free": ("1-800-555-0199 or 1 (800) 555-0199", "**** or ****"),
    "phone with its 1": ("Tel.1-415-555-2671\n1-415-555-2672", "Tel.****\n****"),
    "phone with dots": ("call 415.555.2671.", "call ****."),
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
    "microseconds": "1795165987000000",
    "sha256": "4111111111111111" * 4,
    "uuid": "550e8400-e29b-41d4-a716-446655440000",
    "place": "37.7749295,-122.4194155",
    "decorator": "\n@app.route('/x')\n@dataclass",  # `n@app.route` is no address
    "packages": "npm i @types/node@18.0.0 lodash@4.17.21",
    "code": "def f(api_key: str, password: Optional[str] = None) -> None",
    "prose": "I forgot my password. Can you help? The secret: patience.",
    "class": ".sk-folding-cube and mask-rcnn-resnet50-fpn-coco-2017",
    "image": "app@sha256:" + "0a1b" * 16,
    "arn": "arn:aws:iam::123456789012:role/x",
    "money": "+12 345 678 EUR",
    "isbn": "978-3-16-148410-0",
    "dotted numbers": "10.200.300.4000, v1.234.567.8901, 2026.555.1234 and 3.415.555.2671",
    "ids with dashes": "id-555-123-4567, 2555-123-4567, 555-123-45678 and a555-123-4567",
    "short words": "sk-folding-cube, pk-customer-orders",
    "upper case": "RESTART THE SERVER AT ONCE",
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
def test_secrets_in_messages_are_masked(texts: dict[str, str], name: str) -> None:
    """The text around the secret is kept, and the message is still JSON."""
    assert MASKED[name][1] == texts[name]


@pytest.mark.parametrize("name", KEPT)
def test_text_that_only_looks_like_a_secret_is_kept(texts: dict[str, str], name: str) -> None:
    """What only looks like a secret stays."""
    assert KEPT[name] == texts[name]


def test_uuids_start_no_expensive_search() -> None:
    """Each call has one: of 2,000, almost none starts a pattern over the whole text."""
    looks = re.findall(r'IsMatch\(cache\["(?:all|low)"\], ("(?:[^"\\]|\\.)*")\)', BASE.read_text())
    patterns = [re.compile(text) for look in looks if "\\p{" not in (text := json.loads(look))]
    assert len(patterns) > 20
    random = Random(3)
    ids = [str(UUID(int=random.getrandbits(128), version=4)) for _ in range(2000)]
    assert sum(any(pattern.search(found) for pattern in patterns) for found in ids) < 10


def test_identity_and_numbers_are_unchanged(running: Collector) -> None:
    """Token counts stay integers, cost a double; user and key hash are the same."""
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
    """Bare numbers in arguments become 0, secrets at any depth ****: the JSON still parses."""
    part = {"type": "tool_call", "arguments": {"card": 4111111111111111, "to": "ann@example.com"}}
    messages = json.dumps([{"role": "assistant", "parts": [part]}], separators=(",", ":"))
    (got,) = through(running, call({"gen_ai.output.messages": messages}))
    (message,) = json_of(got, "gen_ai.output.messages")
    assert message["parts"][0]["arguments"] == {"card": 0, "to": "****"}


def test_secrets_are_masked_everywhere_on_a_span(running: Collector) -> None:
    """Status text, events, lists and metadata; attributes with names of secrets are removed."""
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


def test_any_mixture_stays_json(running: Collector) -> None:
    """2,000 random messages of secrets, escapes and quotes parse as before."""
    random = Random(5)
    pieces = [text for text, _ in MASKED.values()] + list(KEPT.values())
    glue = [
        "\\",
        "\n",
        "\r",
        "\b",
        '"',
        "\u00e9",
        "@",
        "@a.b",
        "n",
        "u",
        "u00e9",
        " ",
        "",
        "=",
        ": ",
    ]

    def text() -> str:
        parts = random.choices(pieces, k=random.randint(1, 3))
        return "".join(random.choice(glue) + random.choice(glue) + part for part in parts)

    def messages() -> str:
        said = text() if random.random() < 0.7 else json.dumps({"password": text()})
        arguments = {"api_key": text(), "card": 4111111111111111}
        parts = [{"type": "text", "content": said}, {"type": "tool_call", "arguments": arguments}]
        return json.dumps([{"role": "user", "parts": parts}], ensure_ascii=random.random() < 0.5)

    sent = [call({"gen_ai.input.messages": messages()}) for _ in range(2000)]
    for span in through(running, *sent):
        (message,) = json_of(span, "gen_ai.input.messages")
        assert [part["type"] for part in message["parts"]] == ["text", "tool_call"]
        assert message["parts"][1]["arguments"].keys() == {"api_key", "card"}


def test_values_that_cannot_be_masked_are_dropped(running: Collector) -> None:
    """A NaN among the values makes their text unreadable: nothing leaves unmasked."""
    known: dict[str, Any] = {"user.id": "ann@example.com", "gen_ai.usage.input_tokens": 12}
    text: dict[str, Any] = {"note": SK, "temperature": float("nan")}
    event = Event("exception", {"exception.type": "ValueError", **text})
    (got,) = through(running, call({**known, **text}, error=f"bad {SK}", events=[event]))
    failed = {"litespan.redact.failed": True}
    kept = {name: (got.attributes or {}).get(name) for name in (*known, *failed)}
    assert kept == known | failed
    assert (got.status.description, "note" in (got.attributes or {})) == ("****", False)
    assert dict(got.events[0].attributes or {}) == {"exception.type": "ValueError", **failed}
