"""Stages of a call: recorded on the span, as log events, and passed to listeners."""

import time
from collections.abc import Callable
from threading import Lock
from typing import Any, Final, NamedTuple

from opentelemetry._logs import SeverityNumber
from opentelemetry.context import Context
from opentelemetry.sdk.trace import SpanLimits

from litespan import semconv as s
from litespan.errors import record_error
from litespan.instrumentation.log_events import emit_event
from litespan.instrumentation.state import CallState
from litespan.mapping.estimate import chunk_characters
from litespan.mapping.request import Attributes

_RESERVED_EVENTS: Final = 2  # for events after the last chunk: the end, and an exception
_ENDLESS: Final = 2**31


ENDS: Final = frozenset({s.EVENT_SUCCESS, s.EVENT_FAILURE})
"""The stages that end a call."""
STAGES: Final = ENDS | {s.EVENT_PRE, s.EVENT_POST}
"""The stages of a call, without chunks."""


class Stage(NamedTuple):
    """One stage of one call. Listeners share it, and may read it later on another thread.

    Attributes:
        name: the event's name: `litellm.pre_api_call`, `litellm.post_api_call`,
            `litellm.stream_chunk`, `litellm.success` or `litellm.failure`.
        time_ns: time of the stage, ns since the epoch.
        attributes: the attributes of the event; empty for a chunk whose event is not recorded.
        payload: LiteLLM's result at `post_api_call` (None for a stream), the chunk at
            `stream_chunk`, the `Answer` or `UnreadAnswer` at `success`, the `Failure` at
            `failure`.
        details: a copy of LiteLLM's `model_call_details` at that time; empty for chunks.
        span: the span of the call, or None.
    """

    name: str
    time_ns: int
    attributes: Attributes
    payload: Any
    details: dict[str, Any]
    span: Any


# Runs on the caller's thread and must return quickly.
Listener = Callable[[Stage], None]
_new: Final = tuple.__new__  # the class's own `__new__` takes three times as long


class Watchers:
    """Functions that receive every call as it starts, sampled or not, with its context."""

    all: tuple["Watcher", ...] = ()


Watcher = Callable[[Any, Context], None]
_lock: Final = Lock()


def replace_watcher(gone: Watcher | None, *new: Watcher) -> None:
    """Replace one watcher by others atomically, so that no call misses both."""
    with _lock:
        Watchers.all = (*(watch for watch in Watchers.all if watch != gone), *new)


def notify_watchers(call: CallState) -> None:
    """Pass a call that has just started to every watcher; watchers may subscribe to it."""
    for watch in Watchers.all:
        try:
            watch(call, call.context)
        except Exception as error:  # noqa: BLE001
            record_error("watching a call", error)


class StagedCall(CallState):
    """A call that records its stages."""

    _announced = False
    _add_event: Callable[[str, Attributes, int], None] | None = None

    def subscribe(self, listener: Listener, names: frozenset[str] = STAGES) -> None:
        """Call `listener` with further stages, on the thread where the stage occurs.

        Args:
            listener: must return quickly.
            names: the stages that it receives; chunks only if it subscribes before the first one.
        """
        self.needed = self.needed | names if self.listeners else names
        self.listeners += ((names, listener),)

    def announce(self, time_ns: int) -> None:
        """Record the stage before the provider call, once."""
        if not self._announced:
            self._announced = True
            self._record_stage(s.EVENT_PRE, {s.ATTEMPT: self.attempt}, None, time_ns)

    def stage(
        self, name: str, attributes: Attributes, payload: Any = None, time_ns: int | None = None
    ) -> None:
        """Record that the call has reached a stage, by default now."""
        if not self._announced:
            self.announce(self.started_ns)
        at = time_ns or self.end_ns or time.time_ns()
        self._record_stage(name, attributes, payload, at)

    def _record_stage(self, name: str, attributes: Attributes, payload: Any, time_ns: int) -> None:
        if self.silent:
            return
        try:
            if self._add_event is not None:
                self._add_event(name, attributes, time_ns)
            if self.signals.stages_on_log:
                log_stage(self, name, attributes, time_ns)
        except Exception as error:  # noqa: BLE001
            record_error(f"noting {name}", error)
        if name in self.needed:
            notify(self, name, attributes, payload, time_ns)


def log_stage(call: CallState, name: str, attributes: Attributes, time_ns: int) -> None:
    """Emit a stage as a log event, if the call is sampled."""
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


def notify(call: CallState, name: str, attributes: Attributes, payload: Any, time_ns: int) -> None:
    """Pass a stage to its listeners; an exception in one does not affect the others."""
    details: dict[str, Any] = {}
    if name != s.EVENT_CHUNK and call.logging is not None:
        try:
            details = call.logging.model_call_details.copy()
        except Exception as error:  # noqa: BLE001 - LiteLLM changes it on other threads
            record_error("reading LiteLLM's details of a call", error)
    stage = _new(Stage, (name, time_ns, attributes, payload, details, call.span))
    for names, listener in call.listeners:
        if name in names:
            try:
                listener(stage)
            except Exception as error:  # noqa: BLE001
                record_error(f"a listener to {name}", error)


class Chunks:
    """Records the chunks of one stream: the first, or all if settings or handlers require it.

    Chunk events use at most half of the span's event limit, because the SDK drops the oldest
    events beyond it. The call's `chunks_left_out` counts the rest.
    """

    __slots__ = ("_call", "_index", "_on_log", "_on_span", "each")

    def __init__(self, call: CallState) -> None:
        wanted = call.signals.settings.stream_events
        self._call = call
        self._index = 0
        self._on_log = {"off": 0, "first": 1}.get(wanted, _ENDLESS)
        self._on_span = _chunk_capacity(call.span) if wanted == "all" else self._on_log
        self.each = not call.silent and (wanted == "all" or s.EVENT_CHUNK in call.needed)

    def __call__(self, chunk: Any) -> None:
        """Record the next chunk. Never raises."""
        call, index = self._call, self._index
        self._index += 1
        try:
            if call.silent:
                return
            time_ns = time.time_ns()
            attributes: Attributes = {}
            if index < self._on_log:
                attributes = {s.CHUNK_INDEX: index, s.CHUNK_CHARACTERS: chunk_characters(chunk)}
                if index >= self._on_span:
                    call.chunks_left_out += 1
                elif call.signals.stages_on_span:
                    call.span.add_event(s.EVENT_CHUNK, attributes, time_ns)
                if call.signals.stages_on_log:
                    log_stage(call, s.EVENT_CHUNK, attributes, time_ns)
            if s.EVENT_CHUNK in call.needed:
                notify(call, s.EVENT_CHUNK, attributes, chunk, time_ns)
        except Exception as error:  # noqa: BLE001
            record_error("noting a chunk", error)


def _chunk_capacity(span: Any) -> int:
    """Return how many chunk events the span can hold without dropping other events."""
    events = getattr(span, "events", None)
    if events is None:  # not recording
        return 0
    limits: Any = getattr(span, "_limits", None) or SpanLimits()
    room = (_ENDLESS if limits.max_events is None else limits.max_events) - len(events)
    return max(0, min(room // 2, room - _RESERVED_EVENTS))
