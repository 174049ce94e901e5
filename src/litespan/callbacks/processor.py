"""`CallbackSpanProcessor`: LiteLLM's `CustomLogger` handlers as an OpenTelemetry processor."""

import time
from typing import Any

from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor
from opentelemetry.trace import INVALID_SPAN, set_span_in_context

from litespan import semconv as s
from litespan.callbacks import draining
from litespan.callbacks.callback import Callback
from litespan.callbacks.dispatcher import MAX_PENDING
from litespan.callbacks.other_instrumentations import ExternalCalls
from litespan.errors import suppress_errors
from litespan.instrumentation.call import Call
from litespan.instrumentation.state import current


class CallbackSpanProcessor(SpanProcessor):
    """Delivers the stages of every sampled call to a handler.

        provider.add_span_processor(CallbackSpanProcessor(MyCustomLogger()))

    To receive calls that are not sampled, too, use `litespan.add_callback`, which takes the same
    arguments.

    Args:
        handler: a LiteLLM `CustomLogger`, or any object with some of its methods
            `log_pre_api_call`, `log_post_api_call`, `log_stream_event`, `log_success_event`,
            `log_failure_event` and their `async_` twins. A sync call runs the sync method if
            there is one, an async call the async one.
        pre: a plain function for this stage, in place of a handler. It is called with positional
            arguments: `pre(model, messages, kwargs)` or `pre(kwargs)`.
        post: the same, called with `(kwargs, response_obj, start_time, end_time)`.
        stream: the same, with a chunk of a stream as `response_obj`.
        success: the same, with the response as `response_obj`.
        failure: the same, with None as `response_obj`.
        delivery: "background", or "inline" to run sync methods on the caller's thread: before the
            request is sent and before exporters. They cannot change the call.
        loop: the event loop for async methods: the handler's "own", or the "caller"'s, for
            handlers that use a connection pool or a lock of that loop.
        concurrency: the maximum number of calls whose stages are delivered at the same time;
            default 200, and 16 for sync methods, which use a thread each. 1 delivers one stage
            at a time.
        max_pending: the maximum number of stages that wait. Beyond it, new calls and chunks of
            streams are dropped for this handler; they are counted, and one line is logged.
        name: the handler's name in logs and counters; default its class name.

    Raises:
        BadHandler: a TypeError that says what is wrong and how to fix it.
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
        self.callback = Callback(
            handler,
            pre=pre,
            post=post,
            stream=stream,
            success=success,
            failure=failure,
            delivery=delivery,
            loop=loop,
            concurrency=concurrency,
            max_pending=max_pending,
            name=name,
        )
        self._external = ExternalCalls(self.callback)

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Follow the call, if the span is one."""
        with suppress_errors("following a call"):
            call = current(parent_context)
            if _is_of_litespan(span):
                if isinstance(call, Call) and call.span is INVALID_SPAN:
                    self.callback.watch(call, set_span_in_context(span, parent_context))
            else:
                inside = isinstance(call, Call) and not call.ended
                self._external.on_start(span, parent_context, inside=inside)

    def on_end(self, span: ReadableSpan) -> None:
        """Deliver the end of a call that another instrumentation recorded."""
        if not _is_of_litespan(span):
            with suppress_errors("following a call of another instrumentation"):
                self._external.on_end(span)

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Deliver every stage of the calls that have started; False if the time is up."""
        deadline = time.monotonic() + timeout_millis / 1000
        return draining.flush_handler(self.callback.dispatcher, deadline)

    def shutdown(self) -> None:
        """Deliver waiting stages, as at process exit, and follow no more calls."""
        with suppress_errors("shutting down a handler"):
            draining.shut_down(self.callback.dispatcher)


def _is_of_litespan(span: Any) -> bool:
    scope = getattr(span, "instrumentation_scope", None)
    return scope is not None and scope.name == s.SCOPE
