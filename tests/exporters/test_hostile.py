"""Hostile and unusual spans are sent within the vendor's rules."""

import json
import time
from typing import Any

import pytest
from opentelemetry.sdk.trace import Event
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.trace import Status, StatusCode

from litespan.export.batching import LONGEST_KEPT, shrink
from litespan.export.http import HttpExporter
from litespan.objects import json_bytes
from tests.cases import CHAT, OPENAI, START_NS, span
from tests.exporters.test_contract import HTTP, PATIENT, each_http
from tests.support.server import running
from tests.support.vendors import SECRET, VENDORS, Anyone

pytestmark = pytest.mark.slow

HALF = "half \ud83d"


def message(content: str, role: str = "user") -> dict[str, Any]:
    """One message with one text."""
    return {"role": role, "parts": [{"type": "text", "content": content}]}


def nested(depth: int) -> str:
    """A tool call whose arguments are so many objects deep."""
    arguments = '{"a":' * depth + "1" + "}" * depth
    call = '{"type":"tool_call","id":"x","name":"n","arguments":%s}'
    return '[{"role":"assistant","parts":[' + call % arguments + "]}]"


HOSTILE: dict[str, dict[str, Any]] = {
    "half characters": {
        "user.id": HALF,
        "session.id": HALF,
        "gen_ai.request.model": HALF,
        "gen_ai.input.messages": json.dumps([message(HALF)]),
        f"litellm.metadata.{HALF}": HALF,
        "litellm.tags": (HALF,),
    },
    "half characters of nobody": {"session.id": HALF, "user.id": None},
    "NUL": {
        "user.id": "a\x00b",
        "gen_ai.input.messages": json.dumps([message("\x00", "us\x00er")]),
        "litellm.metadata.a\x00": "\x00",
    },
    "integers beyond 64 bits": {
        "gen_ai.request.seed": 2**80,
        "gen_ai.usage.output_tokens": 2**64,
        "litellm.metadata.n": 10**30,
    },
    "integers of thousands of digits": {
        "gen_ai.request.seed": 10**5000,
        "litellm.metadata.n": 10**5000,
    },
    "negative": {
        "gen_ai.usage.input_tokens": -5,
        "gen_ai.usage.output_tokens": -1,
        "gen_ai.usage.cost": -1.0,
        "gen_ai.request.max_tokens": -1,
        "gen_ai.response.time_to_first_chunk": -0.1,
    },
    "not a number": {
        "gen_ai.usage.cost": float("inf"),
        "litellm.cost.input": float("nan"),
        "gen_ai.request.temperature": float("nan"),
        "litellm.metadata.f": float("-inf"),
    },
    "vast": {"gen_ai.response.time_to_first_chunk": 1e300, "gen_ai.usage.cost": 1e300},
    "more cached than sent": {
        "gen_ai.usage.input_tokens": 3,
        "gen_ai.usage.output_tokens": 1,
        "gen_ai.usage.cache_read.input_tokens": 100,
        "gen_ai.usage.reasoning.output_tokens": 9,
    },
    "no messages": {"gen_ai.input.messages": "[]", "gen_ai.output.messages": "[]"},
    "no parts": {
        "gen_ai.input.messages": '[{"role":"user","parts":[]}]',
        "gen_ai.output.messages": "[{}]",
    },
    "no parts for Anthropic": {
        "gen_ai.provider.name": "anthropic",
        "gen_ai.input.messages": '[{"role":"system","parts":[]},{"role":"user","parts":[]}]',
        "gen_ai.output.messages": '[{"role":"assistant","parts":[]}]',
    },
    "400 deep": {"gen_ai.output.messages": nested(400)},
    "5,000 deep": {"gen_ai.output.messages": nested(5000)},
    "an unknown operation": {"gen_ai.operation.name": "frobnicate\n x" * 50},
    "a version that is no number": {"gen_ai.prompt.name": "p", "gen_ai.prompt.version": "²"},
    "a version of digits": {"gen_ai.prompt.name": "p", "gen_ai.prompt.version": "9" * 5000},
    "2,000 metadata": {f"litellm.metadata.k{n}": "v" * 50 for n in range(2000)},
    "names of headers": {
        "litellm.metadata.": "x",
        "litellm.metadata.a.b": 1,
        "litellm.metadata.Helicone-Auth": "Bearer x",
        "litellm.metadata.Content-Length": "5",
    },
    "no model": {"gen_ai.request.model": None},
    "no provider": {"gen_ai.provider.name": None},
    "nothing": {**dict.fromkeys(OPENAI), "gen_ai.operation.name": "chat"},
}


@each_http
@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_text_follows_the_vendors_rules(
    name: str, case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The vendor accepts it."""
    attributes = {k: v for k, v in {**CHAT, **HOSTILE[case]}.items() if v is not None}
    failed = name == "sentry"  # which receives a failure twice
    bad = [
        span(
            number,
            "x",
            {**attributes, **({"error.type": "E"} if failed else {})},
            [Event("exception", {"exception.message": HALF}, START_NS)] if failed else (),
            status=Status(StatusCode.ERROR, HALF) if failed else None,
            scope=scope,
        )
        for number, scope in enumerate(("litespan", "someone.else"), 900)
    ]
    with running(VENDORS.get(name, Anyone)()) as vendor:
        exporter = connected(name, vendor.url, monkeypatch)
        result = exporter.export(bad)
        exporter.shutdown()
    assert vendor.wrong == []
    sent = exporter.last.sent
    assert (result, sent) == (SpanExportResult.SUCCESS, 4 if failed else 2)


@each_http
@pytest.mark.parametrize(
    ("start", "end"),
    [(START_NS, START_NS - 10**9), (None, None), (2**63, 2**63 + 5)],
    ids=["ended before it began", "no times", "in another century"],
)
def test_spans_with_unusual_times_are_sent(
    name: str, start: Any, end: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Clocks can jump."""
    odd = span(901, "x", {**CHAT, "error.type": "E"}, status=Status(StatusCode.ERROR, "no"))
    odd._start_time, odd._end_time = start, end
    with running(VENDORS.get(name, Anyone)()) as vendor:
        exporter = connected(name, vendor.url, monkeypatch)
        assert exporter.export([odd]) is SpanExportResult.SUCCESS
        exporter.shutdown()
    assert vendor.wrong == []
    assert vendor.received


def connected(name: str, url: str, monkeypatch: pytest.MonkeyPatch, **limits: Any) -> HttpExporter:
    """The exporter, sending to `url`."""
    for variable, value in HTTP[name].variables_for(url, SECRET).items():
        monkeypatch.setenv(variable, value)
    exporter: HttpExporter = HTTP[name](**{**PATIENT, **limits})
    return exporter


def test_truncating_a_long_conversation_takes_few_passes() -> None:
    """With one pass per message, tens of thousands of messages would take minutes."""
    long = [message("word " * 60) for _ in range(40_000)]
    begun = time.process_time()
    cut: Any = shrink(json.loads(json.dumps({"messages": long})), 5_000_000)
    assert time.process_time() - begun < 20
    assert len(json_bytes(cut)) <= 5_000_000
    assert len(cut["messages"]) == len(long)


def test_the_longest_texts_are_cut_to_the_same_length() -> None:
    """Short texts are unchanged."""
    cut: Any = shrink({"a": "x" * 9000, "b": "y" * 8000, "c": "z" * 900}, 6000)
    lengths = {key: len(text) for key, text in cut.items()}
    assert abs(lengths["a"] - lengths["b"]) < 10
    assert lengths["c"] == 900
    assert cut["a"].endswith("originally 9000 characters]")


def test_many_short_messages_lose_their_middle() -> None:
    """No text is long enough to cut: the first and the last messages stay."""
    many: list[Any] = [{"role": "user", "content": f"no {n}"} for n in range(10_000)]
    cut: Any = shrink({"messages": [*many], "tags": ["a", "b"]}, 20_000)
    kept = [message["content"] for message in cut["messages"]]
    assert len(json_bytes(cut)) <= 20_000
    assert (kept[0], kept[-1], cut["tags"]) == ("no 0", "no 9999", ["a", "b"])
    assert LONGEST_KEPT < len(kept) < 1000


def test_several_attributes_are_cut_until_they_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not only the largest: no request exceeds the limit."""
    text = json.dumps([message("word " * 80_000)])
    large = {**CHAT, "gen_ai.input.messages": text, "gen_ai.output.messages": text}
    with running(VENDORS["logfire"]()) as vendor:
        exporter = connected("logfire", vendor.url, monkeypatch, max_bytes=200_000)
        assert exporter.export([span(902, "x", large)]) is SpanExportResult.SUCCESS
        exporter.shutdown()
    assert [len(request.body) <= 200_000 for request in vendor.received] == [True]
