"""The public test helpers observe real programs, repeatably."""

import asyncio
import io
import logging
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import httpx
import litellm
import pytest
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import LoggingHandler
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.trace import SpanKind, Status, StatusCode

from litespan import LiteLLMInstrumentor
from litespan.testing import LoopbackProvider, OtlpReceiver, StepClock, Telemetry, span_tree
from litespan.testing.fixed import MILLISECOND, START
from litespan.testing.provider import Behaviour
from litespan.testing.provider.media import MP3, PNG

HI = [{"role": "user", "content": "Hi"}]
OPENAI, ANTHROPIC = "openai/gpt-4o-mini", "anthropic/claude-sonnet-4-5"
GEMINI = "gemini/gemini-2.5-flash"
EMBEDDING, RERANK = "openai/text-embedding-3-small", "cohere/rerank-english-v3.0"
INSTRUCT = "text-completion-openai/gpt-3.5-turbo-instruct"
PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}}
WEATHER = {"name": "get_weather", "parameters": PARAMETERS}
At = Callable[..., dict[str, Any]]
TOOLS = [{"type": "function", "function": WEATHER}]


@pytest.fixture
def provider(loopback: LoopbackProvider) -> LoopbackProvider:
    """The provider, with no request recorded."""
    loopback.clear()
    return loopback


@pytest.fixture
def at(provider: LoopbackProvider) -> At:
    """LiteLLM's arguments that lead to a provider with this behaviour."""
    return lambda **behaviour: {"api_base": provider.url_for(**behaviour), "api_key": "sk-loopback"}


def file(name: str, content: bytes) -> io.BytesIO:
    """An open file, as LiteLLM's uploads want it."""
    stream = io.BytesIO(content)
    stream.name = name
    return stream


CALLS = [
    pytest.param(function, arguments, path, id=f"{function}-{shape}")
    for function, shape, path, arguments in [
        ("completion", "openai", "/chat/completions", {"model": OPENAI, "messages": HI}),
        ("completion", "anthropic", "/messages", {"model": ANTHROPIC, "messages": HI}),
        ("completion", "gemini", ":generateContent", {"model": GEMINI, "messages": HI}),
        ("text_completion", "openai", "/completions", {"model": INSTRUCT, "prompt": "Hi"}),
        ("responses", "openai", "/responses", {"model": OPENAI, "input": "Hi"}),
        ("embedding", "openai", "/embeddings", {"model": EMBEDDING, "input": ["a", "b"]}),
        (
            "image_generation",
            "openai",
            "/images/generations",
            {"model": "openai/gpt-image-1", "prompt": "cat"},
        ),
        (
            "image_edit",
            "openai",
            "/images/edits",
            {"model": "openai/gpt-image-1", "prompt": "hat", "image": file("a.png", PNG)},
        ),
        (
            "image_variation",
            "openai",
            "/images/variations",
            {"model": "openai/dall-e-2", "image": file("a.png", PNG)},
        ),
        (
            "transcription",
            "openai",
            "/audio/transcriptions",
            {"model": "openai/whisper-1", "file": file("a.mp3", MP3)},
        ),
        (
            "speech",
            "openai",
            "/audio/speech",
            {"model": "openai/tts-1", "input": "Hi", "voice": "alloy"},
        ),
        ("rerank", "cohere", "/rerank", {"model": RERANK, "query": "q", "documents": ["a", "b"]}),
    ]
]


@pytest.mark.parametrize(("function", "arguments", "path"), CALLS)
def test_the_provider_answers_every_route_of_litellm(
    provider: LoopbackProvider, at: At, function: str, arguments: dict[str, Any], path: str
) -> None:
    """LiteLLM's sync and async functions accept the answers as those of a real provider."""
    sync = getattr(litellm, function)(**arguments, **at())
    later = asyncio.run(getattr(litellm, f"a{function}")(**arguments, **at()))
    assert type(sync) is type(later)
    assert [path, path] == [request.path[-len(path) :] for request in provider.requests]


def test_the_provider_answers_anthropics_messages_api(at: At) -> None:
    """`litellm.anthropic.messages` gets Anthropic's format."""
    call = litellm.anthropic.messages.acreate(
        model=ANTHROPIC, messages=HI, max_tokens=9, **at(input_tokens=30, cached_tokens=20)
    )
    message = asyncio.run(call)
    assert message["content"] == [{"type": "text", "text": Behaviour().text}]
    assert (message["usage"]["input_tokens"], message["usage"]["cache_read_input_tokens"]) == (
        10,
        20,
    )


def test_the_provider_answers_moderations(
    provider: LoopbackProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Older LiteLLM reads the address only from the environment."""
    monkeypatch.setenv("OPENAI_BASE_URL", provider.url)
    verdict = litellm.moderation(
        input="Hi", model="omni-moderation-latest", api_key="k", api_base=provider.url
    )
    assert [result.flagged for result in verdict.results] == [False]


@pytest.mark.parametrize("model", [OPENAI, ANTHROPIC, GEMINI])
def test_the_url_sets_the_usage(at: At, model: str) -> None:
    """Cached and reasoning tokens are in every provider's own format."""
    how = at(input_tokens=1200, cached_tokens=1024, output_tokens=50, reasoning_tokens=40)
    usage = litellm.completion(model, HI, **how).usage
    assert (usage.prompt_tokens, usage.completion_tokens) == (1200, 50)
    assert usage.prompt_tokens_details.cached_tokens == 1024


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
@pytest.mark.parametrize("model", [OPENAI, ANTHROPIC, GEMINI])
def test_the_provider_calls_the_tools_of_the_request(at: At, model: str, stream: bool) -> None:
    """Plain and streamed."""
    answer = litellm.completion(model, HI, tools=TOOLS, stream=stream, **at())
    if stream:
        answer = litellm.stream_chunk_builder(list(answer))
    choice = answer.choices[0]
    called = choice.message.tool_calls[0].function
    assert (called.name, called.arguments.replace(" ", "")) == ("get_weather", '{"city":"Paris"}')
    assert choice.finish_reason == "tool_calls"


def test_the_provider_answers_in_text_after_a_tool_result(at: At) -> None:
    """So a usual tool loop ends."""
    called = litellm.completion(OPENAI, HI, tools=TOOLS, **at()).choices[0].message
    result = {"role": "tool", "tool_call_id": called.tool_calls[0].id, "content": "sunny"}
    history = [*HI, called.model_dump(exclude_none=True), result]
    answer = litellm.completion(OPENAI, history, tools=TOOLS, **at(text="Sunny."))
    assert answer.choices[0].message.content == "Sunny."


@pytest.mark.parametrize("model", [OPENAI, ANTHROPIC, GEMINI])
def test_the_url_sets_the_stream(at: At, model: str) -> None:
    """The number of pieces, any character, and usage if LiteLLM requests it."""
    text = "Grüße 世界 🌍 ~ 100 % & a=b/c?"
    options = {"stream": True, "stream_options": {"include_usage": True}}
    chunks = list(litellm.completion(model, HI, **options, **at(text=text)))
    whole = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert (whole, chunks[-1].usage.total_tokens) == (text, 30)
    many = [c for c in litellm.completion(model, HI, stream=True, **at(chunks=200)) if c.choices]
    assert sum(bool(chunk.choices[0].delta.content) for chunk in many) == 200


def test_the_provider_returns_n_choices(at: At) -> None:
    """Streamed ones have their index."""
    assert len(litellm.completion(OPENAI, HI, n=3, **at()).choices) == 3
    chunks = httpx.post(
        f"{at()['api_base']}/chat/completions", json={"n": 2, "stream": True}
    ).text.split("\n\n")
    assert chunks[0].count('"index"') == 2


@pytest.mark.parametrize("model", [OPENAI, ANTHROPIC, GEMINI])
@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, "BadRequestError"),
        (401, "AuthenticationError"),
        (404, "NotFoundError"),
        (429, "RateLimitError"),
        (500, "InternalServerError"),
        (503, "ServiceUnavailableError"),
    ],
)
def test_errors_have_the_format_of_each_provider(
    at: At, model: str, status: int, error: str
) -> None:
    """LiteLLM raises the right exception for each."""
    with pytest.raises(getattr(litellm, error)):
        litellm.completion(model, HI, max_retries=0, **at(status=status))


def test_an_error_may_echo_the_prompt(at: At) -> None:
    """`{prompt}` in the message is replaced by the request's text."""
    how = at(status=400, message="no: {prompt}")
    with pytest.raises(litellm.BadRequestError, match=r"no: .*a secret plan"):
        litellm.completion(OPENAI, [{"role": "user", "content": "a secret plan"}], **how)


def test_times_limits_the_number_of_failures(provider: LoopbackProvider, at: At) -> None:
    """`times=2` is two failures, then an answer; each URL has its own count."""
    for _ in range(2):
        provider.clear()
        litellm.completion(OPENAI, HI, num_retries=2, **at(status=429, retry_after=0, times=2))
        assert len(provider.requests) == 3


@pytest.mark.parametrize(
    ("how", "error"),
    [
        ({"delay": 30}, "Timeout"),
        ({"reset": True}, "InternalServerError"),
    ],
    ids=["slow", "reset"],
)
def test_the_provider_can_answer_late_or_reset_the_connection(
    at: At, how: dict[str, Any], error: str
) -> None:
    """The client's timeout ends the request; a reset is a connection error."""
    with pytest.raises(getattr(litellm, error)):
        litellm.completion(OPENAI, HI, max_retries=0, timeout=0.5, **at(**how))


@pytest.mark.parametrize("route", ["chat/completions", "messages", "responses"])
@pytest.mark.parametrize("how", ["drop_after", "break_after", "error_after"])
def test_a_stream_can_end_early(at: At, route: str, how: str) -> None:
    """After 3 frames: the body ends, the connection breaks, or an error frame is sent."""
    url = f"{at(**{how: 3})['api_base']}/{route}"
    frames, error = [], None
    with httpx.stream("POST", url, json={"model": "m", "messages": [], "stream": True}) as stream:
        try:
            for line in stream.iter_lines():
                frames += [line] if line.startswith("data:") else []
        except httpx.RemoteProtocolError as broken:
            error = broken
    assert len(frames) == (4 if how == "error_after" else 3)
    assert (error is not None) == (how == "break_after")
    assert ("error" in frames[-1]) == (how == "error_after")


def test_the_provider_records_its_requests(provider: LoopbackProvider, at: At) -> None:
    """Path without the behaviour, lower-case headers, the parsed body."""
    how = at(text="Hey") | {"extra_headers": {"X-Team": "blue"}}
    litellm.completion(OPENAI, HI, temperature=0.5, **how)
    (request,) = provider.requests
    assert request.path == "/v1/chat/completions"
    assert (request.headers["x-team"], request.headers["authorization"]) == (
        "blue",
        "Bearer sk-loopback",
    )
    assert (request.body["messages"], request.body["temperature"]) == (HI, 0.5)


@pytest.mark.parametrize(
    ("behaviour", "complaint"),
    [
        ("statsu=429", "unknown behaviour 'statsu'; known: status, "),
        ("status=often", "behaviour status='often' is not a number"),
    ],
)
def test_an_unknown_behaviour_in_the_url_is_a_400(
    provider: LoopbackProvider, behaviour: str, complaint: str
) -> None:
    """The body has the reason."""
    answer = httpx.post(f"{provider.root}/{behaviour}/v1/embeddings", json={})
    assert answer.status_code == 400
    assert answer.json()["error"]["message"].startswith(complaint)


def test_the_provider_serves_200_clients_at_once(provider: LoopbackProvider) -> None:
    """200 connections that are open together, each for two requests."""
    url, together = f"{provider.url}/embeddings", Barrier(200)

    def ask(_: int) -> tuple[int, int]:
        with httpx.Client(timeout=60, verify=False) as client:
            first = client.post(url, json={"input": "a"}).status_code
            together.wait(120)
            return first, client.post(url, json={"input": "a"}).status_code

    with ThreadPoolExecutor(200) as pool:
        assert set(pool.map(ask, range(200))) == {(200, 200)}


def test_closing_the_provider_does_not_wait_for_requests() -> None:
    """Neither for slow answers nor for idle connections."""
    provider = LoopbackProvider()
    with httpx.Client() as client, ThreadPoolExecutor(1) as pool:
        client.post(f"{provider.url}/embeddings", json={})
        slow = pool.submit(httpx.post, f"{provider.url_for(delay=60)}/embeddings", json={})
        while len(provider.requests) < 2:
            time.sleep(0.01)
        began = time.monotonic()
        provider.close()
        assert time.monotonic() - began < 30
        assert slow.exception(timeout=30) or slow.result().status_code == 200


@pytest.mark.slow
def test_the_provider_can_run_in_its_own_process() -> None:
    """`python -m litespan.testing.provider` prints its URL first, and ends on SIGINT."""
    command = [sys.executable, "-m", "litespan.testing.provider", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as p:
        assert p.stdout
        url = p.stdout.readline().strip()
        answer = httpx.post(f"{url}/moderations", json={"input": "Hi"}).json()
        p.send_signal(signal.SIGINT)
        _, errors = p.communicate(timeout=10)
    assert (answer["id"], p.returncode, errors) == ("modr-loopback", 0, "")


def record(telemetry: Telemetry) -> None:
    """A parent with a failing child, a measurement and a log record."""
    tracer = telemetry.tracer_provider.get_tracer("app")
    with tracer.start_as_current_span("parent"):
        child = tracer.start_span("child", kind=SpanKind.CLIENT, attributes={"sizes": [1, 2]})
        child.add_event("seen", {"at": "once"})
        child.set_status(Status(StatusCode.ERROR, "no luck"))
        child.end()
    meter = telemetry.meter_provider.get_meter("app")
    meter.create_histogram("took", unit="s").record(1.5, {"where": "here"})


CHILD = {
    "name": "child",
    "kind": "CLIENT",
    "status": "ERROR",
    "description": "no luck",
    "attributes": {"sizes": [1, 2]},
    "events": [{"name": "seen", "time": 1767225600002000000, "attributes": {"at": "once"}}],
    "trace_id": "00000000000000000000000000000001",
    "span_id": "0000000000000002",
    "parent": "0000000000000001",
    "links": [],
    "start": 1767225600001000000,
    "end": 1767225600003000000,
    "scope": "app",
}


def test_telemetry_is_the_same_in_every_run() -> None:
    """With fixed ids and a stepping clock, a test can compare a whole span."""
    for _ in range(2):
        telemetry = Telemetry()
        with StepClock().ticking():
            record(telemetry)
        assert telemetry.spans[0] == CHILD
        assert [(m["name"], m["unit"], m["attributes"], m["sum"]) for m in telemetry.metrics] == [
            ("took", "s", {"where": "here"}, 1.5)
        ]


def test_the_clock_sets_the_times_of_calls(provider: LoopbackProvider, at: At) -> None:
    """The span of a LiteLLM call, below a span of the application."""
    telemetry = Telemetry()
    instrumentor = LiteLLMInstrumentor()
    instrumentor.instrument(**telemetry.providers)
    try:
        with StepClock().ticking():
            tracer = telemetry.tracer_provider.get_tracer("app")
            with tracer.start_as_current_span("order"):
                litellm.completion(OPENAI, HI, **at())
    finally:
        instrumentor.uninstrument()
    call, order = telemetry.spans
    assert START == order["start"] < call["start"] < call["end"] < order["end"]
    assert order["end"] < START + 100 * MILLISECOND  # a few readings


def test_the_system_clock_is_restored() -> None:
    """After `ticking()`, spans have the time of day again."""
    telemetry = Telemetry()
    with StepClock().ticking():
        pass
    record(telemetry)
    assert abs(telemetry.spans[0]["end"] - time.time_ns()) < 60e9


@pytest.mark.filterwarnings("ignore:.LoggingHandler.")  # the SDK's own is on its way out
def test_log_records_are_plain_dicts() -> None:
    """A standard `logging` record has its text, severity and span."""
    telemetry = Telemetry()
    logger = logging.getLogger("tests.shop")
    handler = LoggingHandler(logger_provider=telemetry.logger_provider)
    logger.addHandler(handler)
    with telemetry.tracer_provider.get_tracer("app").start_as_current_span("parent"):
        logger.warning("low on %s", "stock")
    logger.removeHandler(handler)
    (log,) = telemetry.logs
    assert (log["body"], log["severity"], log["span_id"]) == (
        "low on stock",
        "WARN",
        "0000000000000001",
    )


def test_clear_removes_recorded_telemetry() -> None:
    """A new test starts with nothing recorded."""
    telemetry = Telemetry()
    record(telemetry)
    telemetry.clear()
    assert (telemetry.spans, telemetry.logs) == ([], [])


def test_span_tree_prints_children_below_their_parent() -> None:
    """With name, duration, error, the selected attributes, and events on request."""
    telemetry = Telemetry()
    with StepClock().ticking():
        record(telemetry)
    assert span_tree(telemetry.spans, ["sizes", "absent"], events=True).splitlines() == [
        "parent  4 ms",
        "└─ child  2 ms  ERROR",
        "      sizes = [1, 2]",
        "      · seen +1 ms",
    ]


@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_the_receiver_decodes_the_spans_of_an_otlp_exporter(compression: str) -> None:
    """Compressed or not."""
    telemetry = Telemetry()
    with OtlpReceiver() as receiver, StepClock().ticking():
        exporter = OTLPSpanExporter(
            endpoint=f"{receiver.env['OTEL_EXPORTER_OTLP_ENDPOINT']}/v1/traces",
            compression=Compression(compression),
        )
        telemetry.tracer_provider.add_span_processor(SimpleSpanProcessor(exporter))
        record(telemetry)
    assert receiver.spans == telemetry.spans


@pytest.mark.parametrize(
    ("path", "kind", "status", "reason"),
    [
        ("/v1/profiles", "application/x-protobuf", 404, "send to one of /v1/traces"),
        ("/v1/traces", "application/json", 415, "OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf"),
    ],
)
def test_the_receiver_says_what_it_accepts(path: str, kind: str, status: int, reason: str) -> None:
    """To exporters of other languages, whose default is JSON."""
    with OtlpReceiver() as receiver:
        url = receiver.env["OTEL_EXPORTER_OTLP_ENDPOINT"] + path
        answer = httpx.post(url, content=b"{}", headers={"content-type": kind})
    assert answer.status_code == status
    assert reason in answer.text
