"""Reads the events of a WebSocket session: its responses and their content."""

from collections import deque
from typing import Any, Final

from opentelemetry import context as otel_context

from litespan import semconv as s
from litespan.instrumentation.call import Call
from litespan.instrumentation.call_end import to_failure
from litespan.instrumentation.router_call import RouterCall
from litespan.instrumentation.session_response import Response
from litespan.instrumentation.start import LOGGING, begin
from litespan.mapping import realtime as rt
from litespan.mapping.targets import SESSION_TIME, TRANSCRIBED, Target
from litespan.objects import as_text, contents, get

_RESPONSES_API: Final = "_aresponses_websocket"


class Events:
    """The events of one session, in order.

    Attributes:
        interruptions: number of interruptions by the user.
        model: the model that the provider reports, or None.
        provider_id: the provider's id of the session, or None.
    """

    def __init__(self, session: RouterCall) -> None:
        """`session` is the parent of the calls."""
        self._session = session
        self._open: dict[str, Response] = {}  # by response id, or by item id of a transcription
        self._pending: deque[Response] = deque()  # requested, but not created so far
        self._input: list[Any] = []  # input messages of the next response
        self._configured: rt.JSON = {}
        self._created: list[rt.JSON] = []  # the event with the model that LiteLLM charges for
        self._metered: dict[str, rt.JSON] = {}  # the last event of each type
        query = contents(session.request.arguments.get("query_params"))
        self._transcribes = query.get("intent") == "transcription"
        self.interruptions = 0
        self.model: str | None = None
        self.provider_id: str | None = None

    def client_sent(self, message: Any) -> None:
        """Read an event of the client."""
        if not isinstance(message, str) or rt.is_audio_sent(message):
            return
        event = rt.parse(message)
        kind = event.get("type")
        if kind == rt.CREATE:
            self._pending.append(self._begin(event))
        elif kind == rt.SESSION_UPDATE:
            self._configured.update(rt.parameters_of(event.get("session")))
        elif kind == rt.ITEM_CREATE:
            self._input.extend(rt.items_of(event))
        elif kind == rt.TRUNCATE:
            self.interruptions += 1

    def provider_sent(self, message: Any) -> None:
        """Read an event that LiteLLM passes on to the client."""
        if not isinstance(message, str):
            return
        kind = rt.type_of(message)
        if kind.endswith(".delta"):
            self._delta(kind, message)
            return
        event = rt.parse(message)
        kind = event.get("type") or ""
        if kind in rt.SESSIONS:
            self._configure(event)
        elif kind == rt.CREATED:
            response = self._pending.popleft() if self._pending else self._begin({})
            response.created()
            self._open[as_text(get(event.get("response"), "id")) or ""] = response
        elif kind in rt.METERED:
            self._metered[kind] = event
        elif kind in rt.ENDED:
            self._finish(event)
        elif kind == rt.COMMITTED and self._transcribes:
            self._open[as_text(event.get("item_id")) or ""] = self._begin({}, TRANSCRIBED)
        elif kind == rt.TRANSCRIBED:
            self._transcribe(event)
        elif kind == rt.ERROR:
            self._refuse(event)

    def _begin(self, event: rt.JSON, target: Target | None = None) -> Response:
        """Start the call of a response that the client's `event` asks for."""
        session, own = self._session, rt.parameters_of(event)
        messages = rt.input_of(event) or self._input
        if target is None:
            own["messages"], self._input = messages, []
        arguments = rt.arguments_of_response(session.request.arguments, self._configured, own)
        logging = rt.logging_of_response(session.logging)
        if logging is not None:
            arguments[LOGGING] = logging
        token = otel_context.attach(session.context)
        try:
            call = begin(target or session.request.target, (), (), arguments)
        finally:
            otel_context.detach(token)
        return Response(call if isinstance(call, Call) else None, as_text(event.get("event_id")))

    def _delta(self, kind: str, message: str) -> None:
        found = self._open.get(rt.response_id(message) or "")
        if found is None and self._open:
            found = next(reversed(self._open.values()))
        if found is not None:
            found.delta(kind, message)

    def _configure(self, event: rt.JSON) -> None:
        stated = contents(event.get("session"))
        if not self._created:
            self._created.append(event)
            self.provider_id = as_text(stated.get("id"))
        self.model = rt.transcribing_model(stated) or as_text(stated.get("model"))
        self._configured.update(rt.parameters_of(stated))
        if stated.get("type") == "transcription" or event["type"] in rt.TRANSCRIPTION_SESSIONS:
            self._transcribes = True

    def _finish(self, event: rt.JSON) -> None:
        stated = event.get("response")
        response = self._open.pop(as_text(get(stated, "id")) or "", None)
        if response is None:
            response = self._pending.popleft() if self._pending else self._begin({})
        response.add_input(self._input)
        self._input = []
        if rt.interruption(stated):
            self.interruptions += 1
        response.finish(stated, self.model, [*self._created, event])

    def _transcribe(self, event: rt.JSON) -> None:
        if not self._transcribes:  # else no response follows that has it as its input
            self._input.append(rt.transcript(event))
        response = self._open.pop(as_text(event.get("item_id")) or "", None)
        usage = event.get("usage")
        if response is None and self._transcribes and usage:
            response = self._begin({}, TRANSCRIBED)
        if response is not None:
            answer = {"text": event.get("transcript"), "usage": usage}
            response.finish(answer, self.model, [*self._created, event])

    def _refuse(self, event: rt.JSON) -> None:
        """Read an error: of the request for a response, or of another event."""
        session = self._session
        error = event.get("error") or {**event, "type": event.get("code")}
        about = as_text(get(error, "event_id"))
        response = next((each for each in self._pending if about in (None, each.event_id)), None)
        if response is not None:
            self._pending.remove(response)
        elif session.request.target.call_type == _RESPONSES_API and self._open:
            response = self._open.pop(next(iter(self._open)))
        if response is not None:
            response.fail(error)
            return
        failure = to_failure(session, error)
        attributes = {s.EXCEPTION_TYPE: failure.type, s.EXCEPTION_MESSAGE: failure.message}
        session.span.add_event(s.EVENT_EXCEPTION, attributes)

    def charge(self) -> None:
        """Record what LiteLLM charges for the time of the session, as a call of its own."""
        events = [*self._created, *self._metered.values()]
        cost = rt.price_of_time(self._session.logging, events) if events else None
        if cost is not None:
            self._begin({}, SESSION_TIME).charge(cost)

    def end(self, how: str, error: BaseException | None = None) -> None:
        """End the responses in progress with what was received; `how` as in `STREAM_ENDS`."""
        responses = [*self._open.values(), *self._pending]
        self._open.clear()
        self._pending.clear()
        for response in responses:
            response.cut(how, self.model, error)
