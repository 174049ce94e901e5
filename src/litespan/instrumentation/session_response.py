"""One response in a WebSocket session, and its call."""

import time
from collections.abc import Sequence
from typing import Any

from litespan import semconv as s
from litespan.instrumentation.call import Call
from litespan.instrumentation.call_end import answered_attributes, to_failure
from litespan.instrumentation.stages import Chunks
from litespan.instrumentation.state import STREAM_ENDS
from litespan.instrumentation.stream_end import stream_failure
from litespan.mapping import realtime as rt
from litespan.mapping.failures import Failure
from litespan.mapping.request import Attributes
from litespan.mapping.response import Answer


class Response:
    """A response from its request, or from its first event, to its end.

    Attributes:
        event_id: the client's id of the event that asked for it.
    """

    __slots__ = ("_call", "_chunks", "_count", "_first_audio", "_first_text", "_texts", "event_id")

    def __init__(self, call: Call | None, event_id: str | None = None) -> None:
        """`call` is None if nothing is recorded."""
        self._call = call
        self.event_id = event_id
        self._chunks: Chunks | None = None
        self._count = 0
        self._first_audio: float | None = None
        self._first_text: float | None = None
        self._texts: list[str] = []

    def created(self) -> None:
        """Record that the provider has started the response."""
        if self._call is not None:
            self._call.stage(s.EVENT_POST, {})

    def delta(self, kind: str, message: str) -> None:
        """Record the event `message`, which has a piece of the response."""
        call = self._call
        if call is None:
            return
        now = time.perf_counter()
        self._count += 1
        if self._chunks is None:
            call.first_chunk = now
            self._chunks = Chunks(call)
            self._chunks(rt.parse(message))
        elif self._chunks.each:
            self._chunks(rt.parse(message))
        if kind in rt.AUDIO:
            self._first_audio = self._first_audio or now
        elif kind in rt.TEXT:
            self._first_text = self._first_text or now
            if call.record_content:
                self._texts.append(str(rt.parse(message).get("delta") or ""))

    def add_input(self, messages: list[Any]) -> None:
        """Add a transcript that arrived after the response had started."""
        if self._call is not None and messages:
            arguments = self._call.request.arguments
            arguments["messages"] = [*arguments.get("messages", ()), *messages]

    def finish(self, stated: Any, model: str | None, events: Sequence[rt.JSON]) -> None:
        """End with the answer `stated` in the provider's last event; LiteLLM prices `events`."""
        call = self._call
        if call is None or call.ended:
            return
        cost = rt.price_of_events(call.logging, events)
        hidden = {"response_cost": cost, "litellm_model_name": ""}
        answer = rt.read_response(call.request, stated, model, hidden)
        attributes = answered_attributes(call, answer, {})
        attributes.update(rt.modality_attributes(answer.fields.get("usage")))
        failure = None if answer.error is None else to_failure(call, answer.error)
        interrupted = rt.interruption(stated)
        how = "complete" if failure is None else "error"
        if interrupted is not None:
            how = "cancelled"
            attributes[s.RESPONSE_INTERRUPTED] = interrupted[:128]
        self._end(call, how, attributes, answer, failure)

    def charge(self, cost: float) -> None:
        """End with a cost in USD alone."""
        call = self._call
        if call is not None:
            call.record_content = False
            call.end("success", {s.COST_SOURCE: "litellm", s.COST: cost, s.COST_TOTAL: cost})

    def fail(self, error: Any) -> None:
        """End with the provider's error object."""
        call = self._call
        if call is None or call.ended:
            return
        self._end(call, "error", {}, None, to_failure(call, error))

    def cut(self, how: str, model: str | None, error: BaseException | None) -> None:
        """End with what was received; `how` is a key of `STREAM_ENDS`."""
        call = self._call
        if call is None or call.ended:
            return
        answer = rt.read_response(call.request, rt.partial_response(self._texts), model, {})
        attributes = answered_attributes(call, answer, {})
        failed = STREAM_ENDS[how] == "failure"
        failure = stream_failure(call, how, answer, error) if failed else None
        self._end(call, how, attributes, answer, failure)

    def _end(
        self,
        call: Call,
        how: str,
        attributes: Attributes,
        answer: Answer | None,
        failure: Failure | None,
    ) -> None:
        attributes[s.STREAM_END] = how
        if self._count:
            attributes[s.STREAM_CHUNKS] = self._count
            if call.chunks_left_out:
                attributes[s.STREAM_CHUNKS_LEFT_OUT] = call.chunks_left_out
            for name, moment in (
                (s.TIME_TO_FIRST_CHUNK, call.first_chunk),
                (s.TIME_TO_FIRST_AUDIO, self._first_audio),
                (s.TIME_TO_FIRST_TEXT, self._first_text),
            ):
                if moment is not None:
                    attributes[name] = moment - call.started
        outcome = STREAM_ENDS[how]
        call.end(outcome, attributes, answer=answer, failure=failure, chunks=self._count)
