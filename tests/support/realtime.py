"""A provider on loopback that speaks OpenAI's protocols over WebSockets.

https://platform.openai.com/docs/guides/realtime-websocket, and the Responses API over WebSocket.
What the user says decides what the provider does: see `Conversation.answer`.
"""

import json
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import Thread
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.sync.server import Server, ServerConnection, serve

JSON = dict[str, Any]
TRANSCRIPT = "Hello! How can I help you today?"
GARBAGE = "{not json \N{SNOWMAN}"
USAGE: JSON = {
    "total_tokens": 253,
    "input_tokens": 132,
    "output_tokens": 121,
    "input_token_details": {
        "text_tokens": 119,
        "audio_tokens": 13,
        "image_tokens": 0,
        "cached_tokens": 64,
        "cached_tokens_details": {"text_tokens": 64, "audio_tokens": 0, "image_tokens": 0},
    },
    "output_token_details": {"text_tokens": 30, "audio_tokens": 91},
}
RESPONSES_USAGE: JSON = {
    "input_tokens": 20,
    "input_tokens_details": {"cached_tokens": 0},
    "output_tokens": 10,
    "output_tokens_details": {"reasoning_tokens": 4},
    "total_tokens": 30,
}


class RealtimeProvider:
    """Listens on 127.0.0.1 in threads.

    Attributes:
        received: every event of every client, in order of arrival.
    """

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.received: list[JSON] = []
        self._scheme = "http" if tls is None else "https"
        self._server: Server = serve(self._talk, "127.0.0.1", 0, process_request=_refuse, ssl=tls)
        self.port: int = self._server.socket.getsockname()[1]
        Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        """LiteLLM's `api_base` for both protocols."""
        return f"{self._scheme}://localhost:{self.port}/v1"

    def _talk(self, connection: ServerConnection) -> None:
        path = connection.request.path if connection.request is not None else ""
        kind = Responses if "/responses" in path else Listen if "/listen" in path else Realtime
        with suppress(ConnectionClosed):
            kind(connection, path, self.received.append).run()

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()


def _refuse(connection: ServerConnection, request: Any) -> Any:
    key = request.headers.get("authorization", "")
    return connection.respond(401, "no") if "refused" in key else None


@contextmanager
def realtime_provider(tls: ssl.SSLContext | None = None) -> Iterator[RealtimeProvider]:
    """A provider that is stopped at the end."""
    provider = RealtimeProvider(tls)
    try:
        yield provider
    finally:
        provider.close()


class Protocol:
    """One connection."""

    def __init__(
        self, connection: ServerConnection, path: str, keep: Callable[[JSON], None]
    ) -> None:
        self.connection = connection
        self.path = path
        self.keep = keep
        self.said = ""
        self.count = 0

    def send(self, kind: str, **fields: Any) -> None:
        """Send one event."""
        self.connection.send(json.dumps({"type": kind, "event_id": f"event_{kind}", **fields}))

    def events(self) -> Iterator[JSON]:
        """The client's events."""
        for message in self.connection:
            event = json.loads(message)
            self.keep(event)
            yield event

    def run(self) -> None:
        """Serve the connection."""
        raise NotImplementedError


class Listen(Protocol):
    """Deepgram's transcription of live audio: https://developers.deepgram.com/docs/live-streaming-audio."""

    def run(self) -> None:
        """Transcribe until the client ends the audio."""
        for message in self.connection:
            if isinstance(message, bytes):
                words = {"alternatives": [{"transcript": TRANSCRIPT}]}
                self.send("Results", channel=words, is_final=True, start=0.0, duration=12.0)
            else:
                self.send("Metadata", request_id="r1", duration=12.0, channels=1)
                return


class Realtime(Protocol):
    """The realtime API."""

    def run(self) -> None:
        """Serve one session."""
        session = {"id": "sess_1", "object": "realtime.session", "model": "gpt-realtime"}
        if "intent=transcription" in self.path:
            transcription = {"input": {"transcription": {"model": "gpt-realtime-whisper"}}}
            session = {"id": "sess_1", "type": "transcription", "audio": transcription}  # type: ignore[dict-item]
        self.send("session.created", session=session)
        for event in self.events():
            kind = event["type"]
            if kind == "session.update":
                self.send("session.updated", session={**session, **event["session"]})
            elif kind == "conversation.item.create":
                self.said = "".join(part.get("text", "") for part in event["item"]["content"])
            elif kind == "input_audio_buffer.commit":
                self.hear()
            elif kind == "response.create":
                self.answer(event)
            elif kind == "response.cancel":
                self.done("cancelled", reason="client_cancelled")

    def hear(self) -> None:
        """Transcribe what the user said, and answer as the provider decides itself."""
        item = f"item_{self.count}"
        self.send("input_audio_buffer.committed", item_id=item)
        usage = {"type": "duration", "seconds": 12}
        transcribed = "conversation.item.input_audio_transcription.completed"
        if "intent=transcription" not in self.path:
            self.start()
            self.pieces()
        self.send(transcribed, item_id=item, transcript="What did I say?", usage=usage)
        if "intent=transcription" not in self.path:
            self.done("completed")

    def answer(self, event: JSON) -> None:
        """Answer as the user's words ask for: garbage, refuse, cut, half, fail, interrupt."""
        if "refuse" in self.said:
            error = {"type": "invalid_request_error", "code": "busy", "message": "One at a time."}
            self.send("error", error={**error, "event_id": event.get("event_id")})
            return
        if "garbage" in self.said:
            for message in (GARBAGE, "[1, 2]", '"text"', json.dumps({"type": 7}), "{}"):
                self.connection.send(message)
            self.connection.send(json.dumps({"type": "response.done", "response": "none"}))
            self.connection.send(json.dumps({"type": "response.output_text.delta", "delta": 3}))
        self.start()
        if "half" in self.said:
            self.pieces()
            return
        if "cut" in self.said:
            self.pieces()
            self.connection.socket.shutdown(socket.SHUT_RDWR)
            return
        if "close" in self.said:
            self.pieces()
            self.connection.close(4000, "too long a session")
            return
        self.pieces()
        if "interrupt" in self.said:
            self.send("input_audio_buffer.speech_started", item_id="item_x")
            self.done("cancelled", reason="turn_detected")
        elif "fail" in self.said:
            error = {"type": "server_error", "code": "overloaded", "message": "Too much."}
            self.done("failed", error=error)
        else:
            self.done("completed")

    def start(self) -> None:
        """Begin a response."""
        self.count += 1
        stated = {"id": f"resp_{self.count}", "object": "realtime.response"}
        self.send("response.created", response={**stated, "status": "in_progress", "output": []})

    def pieces(self) -> None:
        """Send text, and audio."""
        at = {"response_id": f"resp_{self.count}", "item_id": "item_1", "output_index": 0}
        for piece in ("Hello! ", "How can I help you today?"):
            self.send("response.output_audio_transcript.delta", **at, delta=piece)
        for _ in range(3):
            self.send("response.output_audio.delta", **at, delta="AAAA" * 64)

    def done(self, status: str, reason: str | None = None, error: JSON | None = None) -> None:
        """End the response."""
        content = [{"type": "output_audio", "transcript": TRANSCRIPT}]
        item = {"id": "item_1", "type": "message", "role": "assistant", "content": content}
        details = {"type": status, "reason": reason, "error": error}
        self.send(
            "response.done",
            response={
                "object": "realtime.response",
                "id": f"resp_{self.count}",
                "status": status,
                "status_details": None if status == "completed" else details,
                "output": [item],
                "usage": USAGE,
            },
        )


class Responses(Protocol):
    """The Responses API over a WebSocket."""

    def run(self) -> None:
        """Serve one connection."""
        for event in self.events():
            body = event.get("response") or event
            text = json.dumps(body.get("input"))
            if "refuse" in text:
                error = {"code": "invalid_prompt", "message": "No.", "type": "invalid_request"}
                self.send("error", status=400, error=error)
                continue
            self.count += 1
            response = {
                "id": f"resp_{self.count}",
                "object": "response",
                "created_at": 1_767_225_600,
                "model": "gpt-4o-mini-2024-07-18",
                "output": [],
                "parallel_tool_calls": True,
                "tool_choice": "auto",
                "tools": [],
            }
            self.send("response.created", response={**response, "status": "in_progress"})
            at = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
            self.send("response.output_text.delta", **at, delta="Hello!")
            if "cut" in text:
                self.connection.close(1011, "gone")
                return
            content = [{"type": "output_text", "text": "Hello!", "annotations": []}]
            item = {"id": "msg_1", "type": "message", "role": "assistant", "content": content}
            ended = {"status": "completed", "output": [item], "usage": RESPONSES_USAGE}
            self.send("response.completed", response={**response, **ended})
