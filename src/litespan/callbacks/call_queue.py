"""The queue of one call's stages for one handler."""

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
from litespan.callbacks.view import Receipt, View
from litespan.errors import suppress_errors
from litespan.instrumentation.stages import ENDS, Stage
from litespan.instrumentation.suppression import silenced

_NEEDED: Final = frozenset({"model", "messages", "litellm_params"})  # at every stage
_NONE: Final[deque[Stage]] = deque()  # a deque of its own for each call would be 600 bytes


class CallQueue:
    """The stages of one call, waiting for one handler.

    Attributes:
        view: the call.
        thread: the id of the thread that made the call.
        home: the event loop for async methods; None for the handler's own.
        keywords: the handler's `kwargs`, one dict for all stages.
        waiting: stages that have not been delivered.
        current: the stage that is being delivered.
        receipt: of the end of the call, if it is kept on disk.
        open: whether more stages may come.
        busy: whether stages are being delivered, or are scheduled to be.
    """

    home: asyncio.AbstractEventLoop | None = None
    keywords: dict[str, Any] | None = None
    receipt: Receipt | None = None
    waiting: deque[Stage] = _NONE
    current: Stage | None = None
    open = True
    busy = False

    def __init__(self, view: View, ctx: Context) -> None:
        self.view = view
        self.thread = threading.get_ident()
        self._variables = contextvars.copy_context()
        self._ctx: Context | None = ctx

    @property
    def context(self) -> contextvars.Context:
        """The context variables of the caller, for a method; instrumentation is suppressed."""
        if self._ctx is not None:
            self._variables.run(otel_context.attach, silenced(self._ctx))
            self._ctx = None
        return self._variables.copy()

    @property
    def undelivered(self) -> list[Stage]:
        """The stages that have not been delivered, including the current one."""
        return [*([self.current] if self.current else ()), *self.waiting]

    def bind(self, method: Method, stage: Stage) -> Callable[[], Any] | None:
        """Bind the method to its arguments; None if they cannot be built, which is logged."""
        with suppress_errors("building a handler's arguments"):
            if self.keywords is None:
                self.keywords = self.view.keywords()
            arguments = self.view.arguments(stage)
            keywords = self.keywords
            if not isinstance(keywords.get("litellm_params"), dict):
                keywords.pop("litellm_params", None)
            if not keywords.keys() >= _NEEDED:  # the handler removed some
                for name, value in self.view.keywords().items():
                    keywords.setdefault(name, value)
            keywords.update(arguments.added)
            if self.receipt is not None and stage.name in ENDS:
                keywords["litespan"] = self.receipt.facts
            keywords["litellm_params"].update(arguments.parameters)
            return partial(
                method.run,
                model=keywords["model"],
                messages=keywords["messages"],
                kwargs=keywords,
                response_obj=arguments.response_obj,
                start_time=arguments.start_time,
                end_time=arguments.end_time,
            )
        return None


def running_loop() -> asyncio.AbstractEventLoop | None:
    """The event loop that runs on this thread, or None."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
