"""WebSocket sessions with a real client, a real server and a provider that speaks the protocol."""

import asyncio
import gc
import json
import ssl
import time
from collections.abc import Callable, Iterator
from threading import Thread
from typing import Any
from urllib.parse import urlencode

import fastapi
import litellm
import pytest
import uvicorn
from litellm.integrations.custom_logger import CustomLogger
from litellm.llms.custom_httpx import http_handler
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect
from websockets.sync.connection import Connection

import litespan
from litespan.instrumentation.session import Session
from tests.support.calls import KEY, Traced, content
from tests.support.realtime import GARBAGE, TRANSCRIPT, RealtimeProvider, realtime_provider
from tests.support.tls import server_context

pytestmark = pytest.mark.recent_litellm  # older ones have other WebSocket handlers
SPOKEN = ("response.done", "response.completed", "error")


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealtimeProvider]:
    """One provider for the module. LiteLLM uses the Responses API only over TLS."""
    tls, trusted = server_context(tmp_path_factory.mktemp("tls"), "localhost")
    trusting = ssl.create_default_context(cafile=str(trusted))
    with (
        pytest.MonkeyPatch.context() as patch,
        realtime_provider(tls) as running,
    ):
        patch.setattr(http_handler, "_shared_realtime_ssl_context", trusting)
        yield running


class Application:
    """A program with a WebSocket route that passes its client on to LiteLLM.

    Attributes:
        ended: what LiteLLM's function returned or raised, in order.
    """

    def __init__(self, provider: RealtimeProvider) -> None:
        self.ended: list[Any] = []
        self.limit: float | None = None
        app = fastapi.FastAPI()

        @app.websocket("/{function}")
        async def serve(websocket: fastapi.WebSocket, function: str, model: str) -> None:
            await websocket.accept()
            given = {"api_base": provider.url, "api_key": KEY}
            given.update(json.loads(websocket.query_params.get("more", "{}")))
            try:
                call = getattr(litellm, function)(model=model, websocket=websocket, **given)
                self.ended.append(await asyncio.wait_for(call, self.limit))
            except BaseException as error:
                self.ended.append(error)
                raise

        config = uvicorn.Config(app, port=0, log_level="critical", ws="websockets-sansio")
        self.server = uvicorn.Server(config)
        self.thread = Thread(target=self.server.run, daemon=True)
        self.thread.start()
        until(lambda: self.server.started)
        port = self.server.servers[0].sockets[0].getsockname()[1]
        self.url = f"ws://127.0.0.1:{port}"

    def session(self, function: str = "_arealtime", **query: Any) -> Connection:
        """A client's connection."""
        given = {"model": "openai/gpt-realtime", **query}
        given["more"] = json.dumps(given.get("more", {}))
        return connect(f"{self.url}/{function}?{urlencode(given)}")

    def close(self) -> None:
        """Stop."""
        self.server.should_exit = True
        self.thread.join(10)


@pytest.fixture(scope="module")
def app(provider: RealtimeProvider) -> Iterator[Application]:
    """One program for the module."""
    running = Application(provider)
    yield running
    running.close()


def until(condition: Callable[[], Any]) -> None:
    """Wait for another thread."""
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def say(client: Connection, text: str, **create: Any) -> None:
    """Send what the user says, and ask for a response."""
    part = {"type": "input_text", "text": text}
    item = {"type": "message", "role": "user", "content": [part]}
    client.send(json.dumps({"type": "conversation.item.create", "item": item}))
    client.send(json.dumps({"type": "response.create", **create}))


def hear(client: Connection, last: tuple[str, ...] = SPOKEN) -> list[Any]:
    """The events up to one of type `last`, or to the end of the session."""
    events: list[Any] = []
    try:
        while not events or not isinstance(events[-1], dict) or events[-1].get("type") not in last:
            message = client.recv(10)
            try:
                events.append(json.loads(message))
            except ValueError:
                events.append(message)
    except ConnectionClosed as closed:
        events.append(closed.rcvd.code if closed.rcvd is not None else None)
    return events


def spans_of(traced: Traced, app: Application, count: int) -> list[dict[str, Any]]:
    """The spans of a session that has ended: its own comes first."""
    until(lambda: len(traced.telemetry.spans) >= count)
    session, *responses = traced.spans
    assert len(responses) == count - 1
    assert session["name"].startswith("litellm.session")
    assert all(each["parent"] == session["span_id"] for each in responses)
    return [session, *responses]


def talk(app: Application, *texts: str, **query: Any) -> list[list[Any]]:
    """One session in which the user says `texts`; the events after each."""
    with app.session(**query) as client:
        events = [hear(client, ("session.created",))]
        for text in texts:
            say(client, text)
            events.append(hear(client))
    return events


def test_a_session_is_one_span_and_each_response_a_call(traced: Traced, app: Application) -> None:
    """The calls have times, tokens by modality, and costs that sum up to the session's."""
    costs: list[float] = []

    class Costs(CustomLogger):
        async def async_log_success_event(self, kwargs: Any, **_: Any) -> None:
            if "realtime" in kwargs["model"]:  # LiteLLM may still report calls of earlier tests
                costs.append(kwargs["response_cost"])

    litellm.callbacks = [Costs()]
    talk(app, "Hello", "And again")
    session, first, second = spans_of(traced, app, 3)
    assert session["kind"] == "CLIENT"
    assert "gen_ai.operation.name" not in session["attributes"]
    attributes = {name: session["attributes"].get(name) for name in session["attributes"]}
    assert attributes["litellm.call_type"] == "_arealtime"
    assert attributes["gen_ai.provider.name"] == "openai"
    assert attributes["gen_ai.response.model"] == "gpt-realtime"
    assert attributes["litellm.session.end"] == "client"
    assert attributes["litellm.session.responses"] == 2
    assert attributes["litellm.session.provider_id"] == "sess_1"
    assert attributes["litellm.outcome"] == "success"
    for response, number in ((first, 1), (second, 2)):
        attributes = response["attributes"]
        assert response["name"] == "chat gpt-realtime"
        assert attributes["gen_ai.response.id"] == f"resp_{number}"
        assert attributes["gen_ai.response.model"] == "gpt-realtime"
        assert attributes["gen_ai.usage.input_tokens"] == 132
        assert attributes["gen_ai.usage.output_tokens"] == 121
        assert attributes["gen_ai.usage.cache_read.input_tokens"] == 64
        assert attributes["gen_ai.usage.audio.input_tokens"] == 13
        assert attributes["gen_ai.usage.audio.output_tokens"] == 91
        assert attributes["gen_ai.usage.text.input_tokens"] == 119
        assert attributes["gen_ai.usage.text.output_tokens"] == 30
        assert attributes["litellm.stream.chunks"] == 5
        first_text = attributes["litellm.response.time_to_first_text"]
        assert first_text == attributes["gen_ai.response.time_to_first_chunk"]
        assert attributes["litellm.response.time_to_first_audio"] >= first_text > 0
        assert attributes["litellm.outcome"] == "success"
        assert not {"gen_ai.input.messages", "gen_ai.output.messages"} & {*attributes}
        assert [event["name"] for event in response["events"]] == [
            "litellm.pre_api_call",
            "litellm.post_api_call",
            "litellm.stream_chunk",
            "litellm.success",
        ]
    until(lambda: costs)
    both = [span["attributes"]["gen_ai.usage.cost"] for span in (first, second)]
    assert sum(both) == pytest.approx(costs[0])
    assert both[0] > 0


def test_the_time_of_a_session_is_charged_once(traced: Traced, app: Application) -> None:
    """A span of its own has it, if LiteLLM charges by the second or by the message."""
    costs: list[float] = []

    class Costs(CustomLogger):
        async def async_log_success_event(self, kwargs: Any, **_: Any) -> None:
            if "grok" in kwargs["model"]:
                costs.append(kwargs["response_cost"])

    litellm.callbacks = [Costs()]
    talk(app, "Hello", model="xai/grok-voice-latest")
    spans = spans_of(traced, app, 3)
    (charged,) = [
        span for span in spans if span["name"] == "litellm.session_time grok-voice-latest"
    ]
    session = spans[0]
    assert charged["parent"] == session["span_id"]
    assert session["attributes"]["litellm.session.responses"] == 1
    until(lambda: costs)
    found = [span["attributes"].get("gen_ai.usage.cost") or 0 for span in spans]
    assert sum(found) == pytest.approx(costs[0], abs=0.01)  # LiteLLM's clock stops later
    assert charged["attributes"]["gen_ai.usage.cost"] > 0


def test_transcripts_follow_the_content_policy(capture: Any, app: Application) -> None:
    """A transcript is on the response that answers it."""
    with capture() as traced:
        with app.session() as client:
            update = {"type": "realtime", "instructions": "Be brief."}
            client.send(json.dumps({"type": "session.update", "session": update}))
            say(client, "Hello")
            hear(client)
            client.send(json.dumps({"type": "input_audio_buffer.append", "audio": "AAAA"}))
            client.send(json.dumps({"type": "input_audio_buffer.commit"}))
            hear(client)
        _, typed, spoken = spans_of(traced, app, 3)
    found = content(typed)
    assert found["gen_ai.input.messages"] == [
        {"role": "user", "parts": [{"type": "text", "content": "Hello"}]}
    ]
    assert found["gen_ai.system_instructions"] == [{"type": "text", "content": "Be brief."}]
    answer = found["gen_ai.output.messages"][0]
    assert answer["parts"] == [{"type": "text", "content": TRANSCRIPT}]
    (messages,) = content(spoken)["gen_ai.input.messages"]
    assert messages["parts"] == [{"type": "text", "content": "What did I say?"}]


@pytest.mark.parametrize(
    ("text", "outcome", "said"),
    [
        ("interrupt", "cancelled", {"litellm.response.interrupted": "turn_detected"}),
        ("fail", "failure", {"error.type": "overloaded"}),
        ("refuse", "failure", {"error.type": "busy"}),
    ],
)
def test_a_response_that_ends_early_has_the_reason(
    traced: Traced, app: Application, text: str, outcome: str, said: dict[str, Any]
) -> None:
    """The user's voice, the provider, or an error before it starts."""
    talk(app, text, "Hello")
    session, early, whole = spans_of(traced, app, 3)
    assert early["attributes"]["litellm.outcome"] == outcome
    assert said.items() <= early["attributes"].items()
    assert (early["status"] == "ERROR") is (outcome == "failure")
    assert ("gen_ai.usage.cost" in early["attributes"]) is (text != "refuse")
    assert whole["attributes"]["litellm.outcome"] == "success"
    assert session["attributes"]["litellm.outcome"] == "success"
    interruptions = session["attributes"].get("litellm.session.interruptions", 0)
    assert interruptions == (1 if text == "interrupt" else 0)


def test_a_transcription_is_a_call(traced: Traced, app: Application) -> None:
    """In a session for transcriptions, LiteLLM charges for each piece."""
    query = {"intent": "transcription"}
    model = "openai/gpt-realtime-whisper"
    with app.session(model=model, more={"query_params": query}) as client:
        client.send(json.dumps({"type": "input_audio_buffer.commit"}))
        hear(client, ("conversation.item.input_audio_transcription.completed",))
    _, heard = spans_of(traced, app, 2)
    assert heard["name"] == "generate_content gpt-realtime-whisper"
    assert heard["attributes"]["gen_ai.usage.cost"] == pytest.approx(12 * 0.000283333333333)
    assert heard["attributes"]["gen_ai.output.type"] == "text"


def test_a_session_for_transcriptions_keeps_no_transcripts(
    traced: Traced, app: Application
) -> None:
    """No response follows that has them as its input, and such a session can last for hours."""
    more = {"query_params": {"intent": "transcription"}}
    with app.session(model="openai/gpt-realtime-whisper", more=more) as client:
        client.send(json.dumps({"type": "input_audio_buffer.commit"}))
        hear(client, ("conversation.item.input_audio_transcription.completed",))
        found = [each for each in gc.get_objects() if isinstance(each, Session)]
        assert [each.events._input for each in found if not each.ended] == [[]]
    spans_of(traced, app, 2)


@pytest.mark.parametrize(
    ("text", "end", "outcome", "code"),
    [
        ("half", "client", "cancelled", 1000),
        ("cut", "error", "failure", 1006),
        ("close", "error", "failure", 4000),
    ],
)
def test_an_interrupted_session_ends_once_with_the_received_data(
    capture: Any, app: Application, text: str, end: str, outcome: str, code: int
) -> None:
    """Ended by the client, the network or the provider."""
    with capture() as traced:
        with app.session() as client:
            say(client, text)
            if text == "half":
                hear(client, ("response.output_audio.delta",))
            else:
                hear(client)
        session, response = spans_of(traced, app, 2)
    assert session["attributes"]["litellm.session.end"] == end
    assert response["attributes"]["litellm.outcome"] == outcome
    assert content(response)["gen_ai.output.messages"][0]["parts"][0]["content"] == TRANSCRIPT
    assert "gen_ai.usage.cost" not in response["attributes"]
    assert session["attributes"]["litellm.outcome"] == ("success" if text == "half" else "failure")


def test_a_session_whose_client_leaves_while_an_event_is_sent_is_a_success(
    traced: Traced, app: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server then states the code of a cut connection, whatever the client's code is."""
    send = fastapi.WebSocket.send_text

    async def send_or_fail(socket: fastapi.WebSocket, data: str) -> None:
        if '"response.output_audio.delta"' in data:
            raise fastapi.WebSocketDisconnect(1006)
        await send(socket, data)

    monkeypatch.setattr(fastapi.WebSocket, "send_text", send_or_fail)
    with app.session() as client:
        say(client, "half")
        hear(client, ("response.created",))
    session, response = spans_of(traced, app, 2)
    assert session["attributes"]["litellm.session.end"] == "client"
    assert session["attributes"]["litellm.outcome"] == "success"
    assert response["attributes"]["litellm.outcome"] == "cancelled"


def test_the_close_code_of_a_client_is_the_first_one(
    traced: Traced, app: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    """LiteLLM may receive again; the server's error has no code then."""
    leave = Session.client_left

    def leave_twice(session: Session, error: BaseException, *, receiving: bool) -> None:
        leave(session, error, receiving=receiving)
        leave(session, RuntimeError("not connected"), receiving=receiving)

    monkeypatch.setattr(Session, "client_left", leave_twice)
    with app.session() as client:
        say(client, "Hello")
        hear(client)
    session, _ = spans_of(traced, app, 2)
    assert session["attributes"]["litellm.session.close_code"] == 1000


def test_a_session_that_takes_too_long_is_cancelled(
    traced: Traced, app: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A time limit of the program is not a failure of the provider."""
    monkeypatch.setattr(app, "limit", 0.5)
    app.ended.clear()
    with app.session() as client:
        say(client, "half")
        hear(client)
    session, response = spans_of(traced, app, 2)
    assert session["attributes"]["litellm.outcome"] == "cancelled"
    assert response["attributes"]["litellm.outcome"] == "cancelled"
    assert isinstance(app.ended[-1], asyncio.TimeoutError)


def test_a_refused_session_is_a_failure(traced: Traced, app: Application) -> None:
    """The provider does not accept the key."""
    with app.session(more={"api_key": "sk-refused"}) as client:
        hear(client)
    (session,) = spans_of(traced, app, 1)
    assert session["attributes"]["litellm.outcome"] == "failure"
    assert session["attributes"]["error.type"].startswith("websocket_")
    assert session["attributes"]["litellm.session.responses"] == 0


@pytest.mark.parametrize("text", ["Hello", "garbage", "refuse", "cut", "close"])
def test_a_session_is_the_same_for_the_client_as_without_litespan(
    traced: Traced, app: Application, text: str
) -> None:
    """Every event, close code and result is the same."""
    app.ended.clear()
    watched = talk(app, text)
    litespan.LiteLLMInstrumentor().uninstrument()
    plain = talk(app, text)
    assert watched == plain
    assert (GARBAGE in watched[1]) is (text == "garbage")
    until(lambda: len(app.ended) == 2)
    assert type(app.ended[0]) is type(app.ended[1])


def test_handlers_receive_the_stages_of_each_response(traced: Traced, app: Application) -> None:
    """As for any other call."""
    stages: list[tuple[str, Any]] = []

    class Handler(CustomLogger):
        def log_pre_api_call(self, model: Any, messages: Any, kwargs: Any) -> None:
            stages.append(("pre", messages))

        def log_success_event(self, kwargs: Any, **_: Any) -> None:
            stages.append(("success", kwargs["response_cost"]))

    added = litespan.add_callback(Handler())
    try:
        talk(app, "Hello", "Hello")
        spans_of(traced, app, 3)
        assert litespan.flush(10)
    finally:
        added.remove()
    assert sorted(name for name, _ in stages) == ["pre", "pre", "success", "success"]
    assert all(cost > 0 for name, cost in stages if name == "success")


def test_responses_over_a_websocket_are_calls(capture: Any, app: Application) -> None:
    """The Responses API over its WebSocket."""
    with capture() as traced:
        with app.session("_aresponses_websocket", model="openai/gpt-4o-mini") as client:
            for text in ("Hello", "refuse", "cut"):
                client.send(json.dumps({"type": "response.create", "input": text}))
                last = "response.output_text.delta" if text == "cut" else ""
                hear(client, (*SPOKEN, last))
            until(lambda: len(traced.telemetry.spans) == 3)  # LiteLLM leaves the client connected
        session, whole, refused, cut = spans_of(traced, app, 4)
    assert session["attributes"]["litellm.call_type"] == "_aresponses_websocket"
    attributes = whole["attributes"]
    assert whole["name"] == "chat gpt-4o-mini"
    assert attributes["gen_ai.usage.input_tokens"] == 20
    assert attributes["gen_ai.usage.reasoning.output_tokens"] == 4
    assert attributes["gen_ai.usage.cost"] == pytest.approx(20 * 1.5e-7 + 10 * 6e-7)
    assert attributes["gen_ai.response.model"] == "gpt-4o-mini-2024-07-18"
    assert content(whole)["gen_ai.input.messages"][0]["parts"][0]["content"] == "Hello"
    assert refused["attributes"]["error.type"] == "invalid_prompt"
    assert cut["attributes"]["error.type"] == "stream_dropped"
    assert content(cut)["gen_ai.output.messages"][0]["parts"][0]["content"] == "Hello!"


def test_http_responses_below_a_websocket_are_recorded_once(
    traced: Traced, app: Application
) -> None:
    """For other providers, LiteLLM makes an HTTP call for each response."""
    more = {"api_base": traced.provider.url}
    model = "anthropic/claude-haiku-4-5"
    with app.session("_aresponses_websocket", model=model, more=more) as client:
        client.send(json.dumps({"type": "response.create", "input": "Hello"}))
        events = hear(client)
    assert events[-1]["type"] == "response.completed"
    _, response = spans_of(traced, app, 2)
    assert response["attributes"]["litellm.call_type"] == "aresponses"
    assert response["attributes"]["gen_ai.usage.output_tokens"] == 10


def test_a_finished_session_holds_no_arguments(app: Application, traced: Traced) -> None:
    """Contexts of LiteLLM's tasks and of the connection keep the session itself for longer."""
    with app.session() as client:
        say(client, "Hello")
        hear(client)
    until(lambda: any(span["name"].startswith("litellm.session") for span in traced.spans))
    sessions = [each for each in gc.get_objects() if isinstance(each, Session) and each.ended]
    assert sessions
    until(lambda: not any(each.request.arguments for each in sessions))
