"""One registered handler: follows calls and dispatches their stages."""

from typing import TYPE_CHECKING, Any, Final

from opentelemetry.context import Context

from litespan import semconv as s
from litespan.background import process_exit
from litespan.callbacks import draining, keeping
from litespan.callbacks.dispatcher import MAX_PENDING, Dispatcher
from litespan.callbacks.handler import STAGES, BadHandler, Handler
from litespan.callbacks.kwargs import CallView
from litespan.callbacks.stage_event import StageEvent
from litespan.errors import record_error
from litespan.instrumentation.stages import Stage

if TYPE_CHECKING:
    from litespan.instrumentation.call import Call

LAST: Final = frozenset({s.EVENT_SUCCESS, s.EVENT_FAILURE})


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
        pre: Any = None,
        post: Any = None,
        stream: Any = None,
        success: Any = None,
        failure: Any = None,
        delivery: str = "background",
        loop: str = "own",
        concurrency: int | None = None,
        max_pending: int = MAX_PENDING,
        name: str | None = None,
    ) -> None:
        """See `CallbackSpanProcessor` for the arguments. Raises BadHandler."""
        _one_of("delivery", delivery, "background", "inline")
        _one_of("loop", loop, "own", "caller")
        for option, value in (("concurrency", concurrency), ("max_pending", max_pending)):
            if value is not None and value < 1:
                raise BadHandler(f"{option}={value!r}: pass an integer above 0")
        self.handler = Handler(
            handler,
            {"pre": pre, "post": post, "stream": stream, "success": success, "failure": failure},
            name,
        )
        self._wanted = {
            asynchronous: self.handler.events(asynchronous=asynchronous)
            for asynchronous in (False, True)
        }
        self._needed = {
            asynchronous: LAST | self._wanted[asynchronous] for asynchronous in self._wanted
        }
        self._armed = False
        inline = delivery == "inline"
        async_methods = [method.name for method in self.handler.methods if method.asynchronous]
        if inline and async_methods:
            raise BadHandler(
                f"delivery='inline' runs sync methods only, but {async_methods[0]} of "
                f"{self.handler.name} is async: make it sync, or omit delivery"
            )
        self.dispatcher = Dispatcher(
            self.handler,
            inline=inline,
            on_callers_loop=loop == "caller",
            concurrency=concurrency,
            max_pending=max_pending,
        )
        draining.register(self.dispatcher)
        if not inline and LAST & (self._wanted[False] | self._wanted[True]):
            keeping.add(self.dispatcher)

    def watch(self, call: "Call", ctx: Context) -> None:
        """Dispatch the stages of a call that starts in `ctx`."""
        if not self._armed:
            process_exit.arm()
            self._armed = True
        if call.view is None:
            call.view = CallView(call)
        asynchronous = call.request.target.asynchronous
        queue = self.dispatcher.open_queue(call.view, ctx, asynchronous=asynchronous)
        if queue is None:
            return
        wanted, dispatcher = self._wanted[asynchronous], self.dispatcher

        def listener(stage: Stage) -> None:
            name, last = stage.name, stage.name in LAST
            if name in wanted:
                span = stage.call.span if last else None
                dispatcher.dispatch(queue, _stage_event(stage), last=last, span=span)
            elif last:
                dispatcher.close_queue(queue)

        chunks = s.EVENT_CHUNK in wanted
        call.subscribe(listener, chunks=chunks, names=self._needed[asynchronous])

    def __repr__(self) -> str:
        return f"<callback {self.handler.name}>"


def _stage_event(stage: Stage) -> StageEvent:
    details: dict[str, Any] = {}
    if stage.name != s.EVENT_CHUNK:
        try:
            details = getattr(stage.call.logging, "model_call_details", details).copy()
        except Exception as error:  # noqa: BLE001 - LiteLLM changes it on other threads
            record_error("reading LiteLLM's details of a call", error)
    return StageEvent(STAGES[stage.name], stage.time_ns, stage.attributes, stage.payload, details)


def _one_of(option: str, value: str, *known: str) -> None:
    if value not in known:
        raise BadHandler(f"{option}={value!r}: pass one of {', '.join(map(repr, known))}")
