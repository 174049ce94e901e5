"""With content off, no span has a provider's quote of the request."""

import asyncio
import inspect
import json
import re
import urllib.parse
from collections.abc import Callable
from typing import Any

import litellm
import pytest

from litespan import LiteLLMInstrumentor
from litespan.redaction import echoes
from litespan.redaction.echoes import ECHO, sent_texts, without_echoes
from litespan.redaction.text import MAX_TEXT, scrub_error
from litespan.testing import LoopbackProvider, Telemetry
from tests.support.calls import Traced

pytestmark = pytest.mark.slow

PROMPT = "Patient Jane Roe, born on 3 May, was found to have a rare disease."
REFUSED = {"status": 400, "message": f"Invalid request near '{PROMPT}' (see the docs)"}
WORDS = re.compile(r"\w+")


def quoted(traced: Traced) -> list[str]:
    """Pieces of `SAID`, three words each, that stand in any span or log."""
    recorded = " ".join(WORDS.findall(repr((traced.spans, traced.telemetry.logs)))).lower()
    words = WORDS.findall(PROMPT.lower())
    pieces = [" ".join(words[at : at + 3]) for at in range(len(words) - 2)]
    return [piece for piece in pieces if piece in recorded]


async def refused(function: Callable[..., Any], **given: Any) -> None:
    """Make a call that the provider refuses."""
    with pytest.raises(Exception, match="Invalid request"):
        result = function(**given)
        result = await result if inspect.isawaitable(result) else result
        assert not [chunk async for chunk in result]


PARTS = [{"role": "user", "content": [{"type": "text", "text": PROMPT}]}]
TOOL = {"type": "function", "function": {"name": "f", "description": PROMPT, "parameters": {}}}
CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": json.dumps([PROMPT])}}
HISTORY = [
    {"role": "user", "content": "Hi there, how are you?"},
    {"role": "assistant", "content": None, "tool_calls": [CALL]},
    {"role": "tool", "tool_call_id": "c", "content": "done"},
]
CHAT = {"model": "openai/gpt-4o-mini"}
CALLS: dict[str, tuple[str, dict[str, Any]]] = {
    "messages": ("completion", {**CHAT, "messages": [{"role": "user", "content": PROMPT}]}),
    "parts": ("acompletion", {**CHAT, "messages": PARTS}),
    "stream": ("acompletion", {**CHAT, "messages": PARTS, "stream": True}),
    "retries": ("completion", {**CHAT, "messages": PARTS, "num_retries": 1}),
    "async retries": ("acompletion", {**CHAT, "messages": PARTS, "num_retries": 1}),
    "fallbacks": ("completion", {**CHAT, "messages": PARTS, "fallbacks": ["openai/gpt-4o"]}),
    "tool": ("completion", {**CHAT, "messages": HISTORY[:1], "tools": [TOOL]}),
    "tool arguments": ("completion", {**CHAT, "messages": HISTORY}),
    "pydantic": (
        "completion",
        {**CHAT, "messages": [litellm.Message(role="user", content=PROMPT)]},
    ),
    "instructions": ("responses", {**CHAT, "input": "x", "instructions": PROMPT}),
    "input": ("aresponses", {**CHAT, "input": [{"role": "user", "content": PROMPT}]}),
    "embedding": ("embedding", {"model": "openai/text-embedding-3-small", "input": [PROMPT]}),
    "aembedding": ("aembedding", {"model": "openai/text-embedding-3-small", "input": PROMPT}),
    "image": ("image_generation", {"model": "openai/gpt-image-1", "prompt": PROMPT}),
    "speech": ("speech", {"model": "openai/tts-1", "input": PROMPT, "voice": "alloy"}),
    "documents": ("rerank", {"model": "cohere/rerank-v3.5", "query": "q", "documents": [PROMPT]}),
    "extra body": ("completion", {**CHAT, "messages": HISTORY[:1], "extra_body": {"note": PROMPT}}),
    "response format": (
        "completion",
        {
            **CHAT,
            "messages": HISTORY[:1],
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "x", "schema": {"type": "object", "description": PROMPT}},
            },
        },
    ),
}


@pytest.mark.parametrize("name", CALLS)
async def test_no_call_records_a_providers_quote_of_the_prompt(name: str, traced: Traced) -> None:
    """On its span, on the router's span, or in an event."""
    function, given = CALLS[name]
    await refused(getattr(litellm, function), **given, **traced.to(**REFUSED))
    assert "Invalid request" in repr(traced.spans)
    assert quoted(traced) == []


@pytest.mark.parametrize("method", ["completion", "acompletion", "aembedding", "arerank"])
async def test_a_router_records_no_quote_of_the_prompt(method: str, traced: Traced) -> None:
    """On its own span and on those of its attempts."""
    model = "cohere/rerank-v3.5" if method == "arerank" else "openai/gpt-4o-mini"
    row = {"model_name": "m", "litellm_params": {"model": model, **traced.to(**REFUSED)}}
    router = litellm.Router(model_list=[row], num_retries=0, disable_cooldowns=True)
    given: dict[str, dict[str, Any]] = {
        "aembedding": {"input": [PROMPT]},
        "arerank": {"query": "q", "documents": [PROMPT]},
    }
    chat = {"messages": PARTS}
    await refused(getattr(router, method), model="m", **given.get(method, chat))
    assert [span["name"] for span in traced.spans if "router" in span["name"]]
    assert "Invalid request" in repr(traced.spans)
    assert quoted(traced) == []


def without_digits(_key: str, value: Any, _attributes: Any) -> Any:
    """A redactor that takes numbers out."""
    return json.loads(re.sub(r"\d{3}-\d{2}-\d{4}", "[number]", json.dumps(value)))


@pytest.mark.parametrize("quote", ["my number is 123-45-6789, please help", "123-45-6789"])
@pytest.mark.parametrize("retries", [0, 1])
def test_an_error_has_no_text_that_the_redactor_removed(
    quote: str,
    retries: int,
    loopback: LoopbackProvider,
    telemetry: Telemetry,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Content is on, and recorded without it."""
    monkeypatch.setenv("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "SPAN_ONLY")
    instrumentor = LiteLLMInstrumentor()
    instrumentor.instrument(**telemetry.providers, redact=without_digits)
    traced = Traced(loopback, telemetry)
    messages = [{"role": "user", "content": "my number is 123-45-6789, please help"}]
    refusal = {"status": 400, "message": f"Bad input: {quote}"}
    try:
        with pytest.raises(litellm.BadRequestError):
            litellm.completion(
                **traced.chat(messages=messages, provider=refusal, num_retries=retries)
            )
    finally:
        instrumentor.uninstrument()
    recorded = repr(traced.spans)
    assert "[number]" in recorded
    assert "Bad input" in recorded
    assert "6789" not in recorded


@pytest.mark.parametrize(
    "quote",
    [
        PROMPT,
        PROMPT.upper(),
        PROMPT.replace(" ", "\n"),
        json.dumps({"content": PROMPT}),
        json.dumps(json.dumps([{"text": PROMPT}])),
        repr([{"text": PROMPT}]),
        PROMPT[10:40],
        "".join(f"\\u{ord(c):04x}" for c in PROMPT),
        urllib.parse.quote(PROMPT),
    ],
)
def test_a_quote_is_found_in_any_notation(quote: str) -> None:
    """In another case, with other white space, as JSON, or in a URL."""
    text = without_echoes(f"Bad request: {quote} (see docs)", [PROMPT])
    assert text.startswith("Bad request: ")
    assert text.endswith(" (see docs)")
    assert ECHO in text
    assert "patient" not in text.lower()
    assert "disease" not in text.lower()


SAID = "患者简罗伊出生于一九八零年三月被诊断出患有罕见疾病"


@pytest.mark.parametrize(
    "quote",
    [
        json.dumps(SAID)[1:-1],
        repr(SAID.encode())[2:-1],
        urllib.parse.quote(SAID),
        SAID.encode("ascii", "xmlcharrefreplace").decode(),
        "".join(f"&#x{ord(c):X};" for c in SAID),
    ],
    ids=["JSON", "bytes", "URL", "HTML", "hexadecimal HTML"],
)
def test_text_in_other_scripts_is_found(quote: str) -> None:
    """Every character is an escape there."""
    assert without_echoes(f"bad: '{quote}'", [SAID]) == f"bad: '{ECHO}'"


def test_text_that_is_no_quote_is_kept() -> None:
    """Common words are not a quote."""
    text = "This model's maximum context length is 128000 tokens, you asked for 130000."
    assert without_echoes(text, [PROMPT, "How long is the context of this model?"]) == text


LONG = " ".join(f"word{number * 7919 % 99991}" for number in range(100_000))


@pytest.mark.parametrize(
    ("text", "sent"),
    [
        (LONG[500_000:504_000], LONG),
        ("ab" * 2_000, "ab" * 500_000 + " c"),
        ("a b " * 1_000, "b a " * 250_000),
        (" ".join(LONG.split()[:400]), " ".join(sorted(LONG.split()))),
    ],
    ids=["quoted", "repeated", "shifted", "the same words"],
)
def test_the_search_is_bounded(text: str, sent: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a prompt of a megabyte, few positions are compared byte by byte."""
    compared: list[int] = []
    run = echoes._run

    def counted(*args: Any) -> tuple[int, int]:
        start, end = run(*args)
        compared.append(end - start)
        return start, end

    monkeypatch.setattr(echoes, "_run", counted)
    scrub_error(text, (), sent_texts({"messages": [{"role": "user", "content": sent}]}))
    assert 0 < len(compared) <= echoes._MAX_STEPS
    assert sum(compared) <= 16 * echoes._MAX_STEPS


def test_the_whole_text_is_removed_if_the_request_is_too_large_to_compare() -> None:
    """Text that was not compared may be a quote."""
    many = {"messages": [{"role": "user", "content": f"message number {n}"} for n in range(50_000)]}
    assert scrub_error("Bad: message number 49999", (), sent_texts(many)) == ECHO
    huge = {"messages": [{"role": "user", "content": LONG * 4}]}
    assert scrub_error("Bad: word1", (), sent_texts(huge)) == ECHO


def test_images_do_not_count_as_text() -> None:
    """Only the ends of base64 are compared: with a large image, an error keeps its text."""
    url = "data:image/png;base64," + "iVBORw0K" * 10**6
    image = {"type": "image_url", "image_url": {"url": url}}
    sent = {"messages": [{"role": "user", "content": [image, {"type": "text", "text": PROMPT}]}]}
    text = scrub_error(f"image too large: {url[:60]} {PROMPT}", (), sent_texts(sent))
    assert text == f"image too large: {ECHO}."


def test_arguments_with_cycles_and_shared_branches_keep_the_failures_text(traced: Traced) -> None:
    """Each is read once, including credentials in it."""
    tree: dict[str, Any] = {"api_key": "tree-key-0123456789"}
    for _ in range(60):
        tree = {"left": tree, "right": tree}
    tree["itself"] = tree
    given = traced.chat(
        provider={"status": 400, "message": "Bad key tree-key-0123456789"}, metadata={"tree": tree}
    )
    with pytest.raises(litellm.BadRequestError):
        litellm.completion(**given)
    description = traced.span["description"]
    assert "Bad key [redacted]" in description
    assert len(description) <= MAX_TEXT


async def test_the_request_is_read_on_failures_only(traced: Traced, monkeypatch: Any) -> None:
    """A successful call is not searched."""
    searched: list[Any] = []
    monkeypatch.setattr("litespan.redaction.text.without_echoes", lambda *a: searched.append(a))
    await asyncio.to_thread(litellm.completion, **traced.chat())
    assert searched == []


def test_images_are_recognised_without_reading_all_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """The work does not grow with an image; text after base64 is still text."""
    image = "iVBORw0KGgo" * 1_000_000
    read: list[int] = []
    letters = echoes._letters

    def counted(text: str) -> bytes:
        read.append(len(text))
        return letters(text)

    monkeypatch.setattr(echoes, "_letters", counted)
    quote = "a sentence that the provider quotes"
    sent = [f"data:image/png;base64,{image}", image, f"{image[:50_000]} {quote}"]
    assert without_echoes(f"Invalid: {quote}.", sent) == f"Invalid: {echoes.ECHO}."
    assert sum(read) < 100_000
