"""One call on its way to one handler."""

import asyncio
import contextvars
import threading
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from opentelemetry import context as otel_context
from opentelemetry.context import Context

from litespan.callbacks.handler import Method
from litespan.callbacks.stage_event import StageEvent, View
from litespan.errors import suppress_errors
from litespan.instrumentation.suppression import silenced

_NEEDED: Final = frozenset({"model", "messages", "litellm_params"})  # at every stage


class CallQueue:
    """One call on its way to one handler.

    Attributes:
        view: the call.
        asynchronous: whether it is an async call.
        thread: where it began.
        home: the loop on which its async methods are to run; None is the handler's own.
        keywords: the handler's `kwargs`, one dict for all stages.
        waiting: its stages that have not been delivered.
        current: the one that is being delivered.
        open: whether the call has not ended yet.
        busy: whether stages are being delivered, or are about to be.
    """

    __slots__ = (
        "asynchronous",
        "busy",
        "context",
        "current",
        "generation",
        "home",
        "keywords",
        "open",
        "thread",
        "view",
        "waiting",
    )

    def __init__(self, view: View, ctx: Context, *, asynchronous: bool) -> None:
        self.view = view
        self.asynchronous = asynchronous
        self.thread = threading.get_ident()
        self.context = contextvars.copy_context()
        self.context.run(otel_context.attach, silenced(ctx))
        self.home: asyncio.AbstractEventLoop | None = None
        self.keywords: dict[str, Any] | None = None
        self.waiting: deque[StageEvent] = deque()
        self.current: StageEvent | None = None
        self.generation = 0
        self.open = True
        self.busy = False

    @property
    def owed(self) -> list[StageEvent]:
        """What has not been delivered, whatever is being delivered included."""
        return [*([self.current] if self.current else ()), *self.waiting]

    def prepared(self, method: Method, event: StageEvent) -> Callable[[], Any] | None:
        """The method with what it is shown; None if that can not be made, which is logged."""
        with suppress_errors("showing a call to a handler"):
            if self.keywords is None:
                self.keywords = self.view.keywords()
            shown = self.view.show(event)
            keywords = self.keywords
            if not isinstance(keywords.get("litellm_params"), dict):
                keywords.pop("litellm_params", None)
            if not keywords.keys() >= _NEEDED:  # the handler took some away
                for name, value in self.view.keywords().items():
                    keywords.setdefault(name, value)
            keywords.update(shown.added)
            keywords["litellm_params"].update(shown.parameters)
            return partial(
                method.run,
                model=keywords["model"],
                messages=keywords["messages"],
                kwargs=keywords,
                response_obj=shown.response_obj,
                start_time=shown.start_time,
                end_time=shown.end_time,
            )
        return None


def running_loop() -> asyncio.AbstractEventLoop | None:
    """The event loop that runs on this thread, if one does."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
