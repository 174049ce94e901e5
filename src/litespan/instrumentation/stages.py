"""A stage: one moment of a call, put on its span, on the log, and told to whoever listens."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from typing import Any, Final

from opentelemetry._logs import SeverityNumber
from opentelemetry.context import Context

from litespan import semconv as s
from litespan.errors import record_error
from litespan.instrumentation.log_events import emit_event
from litespan.instrumentation.state import CallState
from litespan.mapping.estimate import chunk_characters
from litespan.mapping.request import Attributes

_SDK_EVENTS: Final = 128  # what the SDK keeps on a span, unless it is told otherwise
_STILL_TO_COME: Final = 2  # events after the last chunk: the end, and an exception
_ENDLESS: Final = 2**31


@dataclass(frozen=True, slots=True)
class Stage:
    """One moment of one call.

    Attributes:
        name: the event's name: `litellm.pre_api_call`, `litellm.post_api_call`,
            `litellm.stream_chunk`, `litellm.success` or `litellm.failure`.
        call: the call, still live or just ended.
        time_ns: when it happened, ns since the epoch.
        attributes: what the event says.
        payload: LiteLLM's result after the provider's answer (no stream: None), the chunk
            itself at a chunk, the answer (`Answer`) at success, the `Failure` at failure.
    """

    name: str
    call: CallState
    time_ns: int
    attributes: Attributes
    payload: Any = None


# Called on the caller's thread: must be quick.
Listener = Callable[[Stage], None]


class Watchers:
    """Who is shown every call as it starts, sampled or not, with the context that it runs in."""

    all: tuple["Watcher", ...] = ()


Watcher = Callable[[Any, Context], None]
_lock: Final = Lock()


def replace_watcher(gone: Watcher | None, *new: Watcher) -> None:
    """Replace one watcher by others, so that each call sees either it or them."""
    with _lock:
        Watchers.all = (*(watch for watch in Watchers.all if watch != gone), *new)


def show(call: CallState) -> None:
    """Show a call that has just started to every watcher; they may subscribe to it."""
    for watch in Watchers.all:
        try:
            watch(call, call.context)
        except Exception as error:  # noqa: BLE001
            record_error("watching a call", error)


def log(call: CallState, name: str, attributes: Attributes, time_ns: int) -> None:
    """Put a stage on the log, if the call is sampled."""
    if call.span.is_recording():
        call_id = call.call_id
        emit_event(
            call.signals.logger,
            name,
            {**attributes, s.CALL_ID: call_id} if call_id else attributes,
            call.context,
            timestamp=time_ns,
            severity=SeverityNumber.WARN if name == s.EVENT_FAILURE else SeverityNumber.INFO,
        )


def tell(stage: Stage, listeners: tuple[Listener, ...]) -> None:
    """Tell every listener; one that raises does not keep it from the others."""
    for listener in listeners:
        try:
            listener(stage)
        except Exception as error:  # noqa: BLE001
            record_error(f"a listener to {stage.name}", error)


class Chunks:
    """Notes the chunks of one stream: the first, or each if the user or a handler wants that.

    On the span they take at most half of the room that it has for events, since the SDK drops
    the oldest event for one too many. The call's `chunks_left_out` counts the others.
    """

    __slots__ = ("_call", "_index", "_on_log", "_on_span", "each")

    def __init__(self, call: CallState) -> None:
        wanted = call.signals.settings.stream_events
        self._call = call
        self._index = 0
        self._on_log = {"off": 0, "first": 1}.get(wanted, _ENDLESS)
        self._on_span = _room(call.span) if wanted == "all" else self._on_log
        self.each = not call.silent and (wanted == "all" or bool(call.chunk_listeners))

    def __call__(self, chunk: Any) -> None:
        """The next chunk has come. Never raises."""
        call, index = self._call, self._index
        self._index += 1
        try:
            if call.silent:
                return
            time_ns = time.time_ns()
            attributes: Attributes = {
                s.CHUNK_INDEX: index,
                s.CHUNK_CHARACTERS: chunk_characters(chunk),
            }
            if index < self._on_log:
                if index >= self._on_span:
                    call.chunks_left_out += 1
                elif call.signals.stages_on_span:
                    call.span.add_event(s.EVENT_CHUNK, attributes, time_ns)
                if call.signals.stages_on_log:
                    log(call, s.EVENT_CHUNK, attributes, time_ns)
            if call.chunk_listeners:
                stage = Stage(s.EVENT_CHUNK, call, time_ns, attributes, chunk)
                tell(stage, call.chunk_listeners)
        except Exception as error:  # noqa: BLE001
            record_error("noting a chunk", error)


def _room(span: Any) -> int:
    """How many chunks the span can take without losing an event of another kind."""
    events = getattr(span, "events", None)
    if events is None:  # not recording
        return 0
    room = _event_limit(span) - len(events)
    return max(0, min(room // 2, room - _STILL_TO_COME))


def _event_limit(span: Any) -> int:
    limits: Any = getattr(span, "_limits", None)
    if hasattr(limits, "max_events"):
        return _ENDLESS if limits.max_events is None else int(limits.max_events)
    text = os.environ.get("OTEL_SPAN_EVENT_COUNT_LIMIT", "").strip()
    return int(text) if text.isdigit() else _SDK_EVENTS
