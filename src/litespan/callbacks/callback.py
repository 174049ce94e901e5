"""One registered handler: follows calls and dispatches their stages."""

from functools import partial
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.context import Context

from litespan.background import process_exit
from litespan.callbacks import draining, keeping
from litespan.callbacks.call_view import CallView
from litespan.callbacks.dispatcher import MAX_PENDING, Dispatcher
from litespan.callbacks.handler import STAGE_ROWS, BadHandler, Handler
from litespan.callbacks.inline import InlineDispatcher
from litespan.errors import did_you_mean
from litespan.instrumentation.stages import ENDS

if TYPE_CHECKING:
    from litespan.instrumentation.call import Call

_OPTIONS: Final = (*STAGE_ROWS, "delivery", "loop", "concurrency", "max_pending", "name")


class Callback:
    """One registered handler.

    Attributes:
        handler: its methods.
        dispatcher: delivers stages to it.
    """

    def __init__(
        self,
        handler: Any = None,
        *,
        delivery: str = "background",
        loop: str = "own",
        concurrency: int | None = None,
        max_pending: int = MAX_PENDING,
        name: str | None = None,
        **functions: Any,
    ) -> None:
        """See `CallbackSpanProcessor` for the arguments. Raises BadHandler."""
        _one_of("delivery", delivery, "background", "inline")
        _one_of("loop", loop, "own", "caller")
        numbers: dict[str, Any] = {"concurrency": concurrency, "max_pending": max_pending}
        for option, value in numbers.items():
            if value is not None and (not isinstance(value, int) or value < 1):
                raise BadHandler(f"{option}={value!r}: pass an integer above 0")
        for unknown in functions.keys() - STAGE_ROWS.keys():
            raise BadHandler(f"there is no argument {unknown!r}{did_you_mean(unknown, _OPTIONS)}")
        self.handler = Handler(handler, functions, name)
        events = self.handler.events
        self._names = {asynchronous: ENDS | names for asynchronous, names in events.items()}
        self._armed = False
        inline = delivery == "inline"
        async_methods = [method.name for method in self.handler.methods if method.asynchronous]
        if inline and async_methods:
            raise BadHandler(
                f"delivery='inline' runs sync methods only, but {async_methods[0]} of "
                f"{self.handler.name} is async: make it sync, or omit delivery"
            )
        self.dispatcher = (InlineDispatcher if inline else Dispatcher)(
            self.handler,
            on_callers_loop=loop == "caller",
            concurrency=concurrency,
            max_pending=max_pending,
        )
        draining.register(self.dispatcher)
        if not inline and ENDS & (events[False] | events[True]):
            keeping.add(self.dispatcher)

    def watch(self, call: "Call", ctx: Context) -> None:
        """Dispatch the stages of a call that starts in `ctx`."""
        if not self._armed:
            process_exit.arm()
            self._armed = True
        view = call.view
        if view is None:
            view = call.view = CallView(call)
        queue = self.dispatcher.open_queue(view, ctx)
        if queue is not None:
            call.subscribe(partial(self.dispatcher.dispatch, queue), self._names[view.asynchronous])

    def __repr__(self) -> str:
        return f"<callback {self.handler.name}>"


def _one_of(option: str, value: str, *known: str) -> None:
    if value not in known:
        raise BadHandler(f"{option}={value!r}: pass one of {', '.join(map(repr, known))}")
