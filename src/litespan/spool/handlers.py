"""The ends of calls that a handler has not received yet."""

import time
from collections import deque
from collections.abc import Sequence
from functools import partial
from typing import Any, Final

from opentelemetry.sdk.trace import ReadableSpan

from litespan.background import fork
from litespan.background.pool import Pool
from litespan.callbacks.dispatcher import Dispatcher
from litespan.callbacks.other_instrumentations import deliver_late
from litespan.counters import count
from litespan.errors import suppress_errors
from litespan.genai.keys import key_of_context
from litespan.spool.file import HANDLER, SpoolFile
from litespan.spool.record import decode
from litespan.spool.recorder import WINDOW, Recorder

_LOOK: Final = 30.0  # s between searches for the files of processes that have ended
_MOST_LATE: Final = 100  # calls of other processes that are delivered at the same time
_EXIT: Final = 10.0  # s for the last writes
Place = tuple[SpoolFile, int]  # and the id of the record


class EndOfCall:
    """The end of one call for one handler: a `Receipt`, and a `Receiver` of the recorder."""

    __slots__ = ("_context", "_keeper", "done", "key", "late", "place")

    def __init__(
        self, keeper: "HandlerKeeper", span: ReadableSpan, place: Place | None = None
    ) -> None:
        self._keeper = keeper
        self._context = span.context
        self.key = keeper.key
        self.late: Final = place is not None  # the call was made by a process that has ended
        self.place = place
        self.done = False

    @property
    def call(self) -> str:
        """The call's key, the same in every process."""
        return key_of_context(self._context)

    @property
    def facts(self) -> dict[str, Any]:
        """See `Receipt`."""
        return {"key": self.call, "late": self.late}

    def delivered(self) -> None:
        """See `Receipt`. It is removed from the disk, or never written."""
        self.done = True
        if self.place is not None:
            self._keeper.remove(self)

    def narrow(self, span: ReadableSpan) -> ReadableSpan | None:
        """See `Receiver`: None if the handler was faster than the recorder."""
        if self.done:
            return None
        if span.end_time is None:  # something else runs on the caller's thread before that
            self._keeper.try_again(self, span)
            return None
        return span

    def committed(self, file: SpoolFile, ids: Sequence[int]) -> None:
        """See `Receiver`."""
        self.place = (file, ids[0])
        if self.done:  # in the meantime
            self._keeper.remove(self)

    def hold(self, span: ReadableSpan) -> None:
        """See `Receiver`: do nothing, because it waits in the handler's queue anyway."""


class HandlerKeeper:
    """Keeps the ends of a handler's calls, and delivers those of processes that have ended."""

    def __init__(self, dispatcher: Dispatcher, recorder: Recorder) -> None:
        self.key: Final = recorder.join(HANDLER + dispatcher.name)
        self._dispatcher = dispatcher
        self._recorder = recorder
        self._directory = recorder.directory
        self._closed = False
        self._reset()
        self._pool.submit(self._look)
        fork.register(self, after_in_child=HandlerKeeper._reset)

    def _reset(self) -> None:
        """Also runs in a forked child."""
        self._pool = Pool("litespan-spool-handler")
        self._delivered: deque[EndOfCall] = deque()  # and still on disk
        self._late: dict[str, EndOfCall] = {}  # by the call's key

    def keep(self, span: ReadableSpan) -> EndOfCall:
        """See `Keeper`."""
        end = EndOfCall(self, span)
        self._recorder.add(end, span)
        return end

    def try_again(self, end: EndOfCall, span: ReadableSpan) -> None:
        """Record the end of a call once its span has ended."""
        self._pool.submit(partial(self._recorder.add, end, span), time.monotonic() + WINDOW)

    def remove(self, end: EndOfCall) -> None:
        """Remove what the handler has received from the disk, with others."""
        self._delivered.append(end)
        self._pool.submit(self._remove, time.monotonic() + WINDOW)

    def close(self, until: float) -> None:
        """See `Keeper`."""
        self.close_soon()
        self._pool.wait_for(lambda: self._closed, until)

    def close_soon(self) -> None:
        """See `Keeper`."""
        self._pool.submit(self._close)

    # --- on the thread -------------------------------------------------------------------

    def _close(self) -> None:
        if self._closed:
            return
        try:
            self._recorder.wait(time.monotonic() + _EXIT)
            self._remove()
        finally:
            self._closed = True
            self._pool.close()
            self._recorder.leave(self.key)

    def _remove(self) -> None:
        ids: dict[SpoolFile, list[int]] = {}
        late = bool(self._late)
        while self._delivered:
            end = self._delivered.popleft()
            if end.place is not None:
                ids.setdefault(end.place[0], []).append(end.place[1])
            self._late.pop(end.call, None)
        for file, numbers in ids.items():
            self._directory.settle(file, numbers)
            count("spool.settled", len(numbers))
        if late and len(self._late) < _MOST_LATE // 2:
            self._pool.submit(self._look)

    def _look(self) -> None:
        """Deliver what processes that have ended have left, and look again later."""
        with suppress_errors("spool.handlers"):
            self._directory.adopt(self._recorder.keys)
            self._deliver()
            self._directory.release(self._recorder.keys)
        self._pool.submit(self._look, time.monotonic() + _LOOK)

    def _deliver(self) -> None:
        while (room := _MOST_LATE - len(self._late)) > 0 and not self._closed:
            taken = self._directory.take(self.key, room, self._late, left=True)
            if taken is None:
                return
            for record in taken.records:
                span = decode(record.data, record.checksum)
                if span is None:
                    self._directory.set_aside(taken, [record.id])
                    continue
                end = EndOfCall(self, span, (taken.file, record.id))
                self._late[end.call] = end
                if not deliver_late(self._dispatcher, span, end):
                    del self._late[end.call]
                    return
                count(f"callbacks.{self._dispatcher.name}.late")
