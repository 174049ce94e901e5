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
from litespan.callbacks.other_instrumentations import ForeignCalls
from litespan.errors import suppress_errors
from litespan.instrumentation.call import Call
from litespan.instrumentation.state import current


class CallbackSpanProcessor(SpanProcessor):
    """Tells a handler the stages of every sampled call.

        provider.add_span_processor(CallbackSpanProcessor(MyCustomLogger()))

    Calls that are not sampled, too, are told to handlers given to `litespan.add_callback`, which
    takes the same arguments.

    Args:
        handler: a LiteLLM `CustomLogger`, or any object with some of its methods
            `log_pre_api_call`, `log_post_api_call`, `log_stream_event`, `log_success_event`,
            `log_failure_event` and their `async_` twins. A sync call runs the sync method if
            there is one, an async call the async one.
        pre: a plain function for this stage, in place of a handler. It is called by position:
            `pre(model, messages, kwargs)` or `pre(kwargs)`.
        post: the same, called with `(kwargs, response_obj, start_time, end_time)`.
        stream: the same, with a chunk of a stream as `response_obj`.
        success: the same, with the response as `response_obj`.
        failure: the same, with None as `response_obj`.
        delivery: "background", or "inline" for sync methods on the caller's thread, which may
            change nothing but run before the request is sent, and before exporters.
        loop: where async methods run: on the handler's "own" event loop, or the "caller"'s, for
            handlers that hold a connection pool or a lock which is tied to it.
        concurrency: calls of which stages are delivered at the same time; by default 200, and
            of those 16 for sync methods, which take a thread each. 1 is strictly one by one.
        max_pending: stages that may wait. Beyond it, new calls are not told to this handler,
            nor chunks of streams: they are counted, and one line is logged.
        name: of the handler in logs and counters; by default its class's.

    Raises:
        BadHandler: a TypeError that says what is wrong and how to mend it.
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
        self._foreign = ForeignCalls(self.callback)

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Follow the call, if this is the span of one."""
        with suppress_errors("following a call"):
            call = current(parent_context)
            if _is_of_litespan(span):
                if isinstance(call, Call) and call.span is INVALID_SPAN:
                    self.callback.watch(call, set_span_in_context(span, parent_context))
            else:
                inside = isinstance(call, Call) and not call.ended
                self._foreign.started(span, parent_context, inside=inside)

    def on_end(self, span: ReadableSpan) -> None:
        """Tell the end of a call that another instrumentation recorded."""
        if not _is_of_litespan(span):
            with suppress_errors("following another instrumentation's call"):
                self._foreign.ended(span)

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Deliver every stage of the calls that have begun; False if that takes too long."""
        deadline = time.monotonic() + timeout_millis / 1000
        return draining.flush_handler(self.callback.delivery, deadline)

    def shutdown(self) -> None:
        """Deliver what waits, as at the end of the process, and follow no more calls."""
        with suppress_errors("shutting a handler down"):
            draining.shut_down(self.callback.delivery)


def _is_of_litespan(span: Any) -> bool:
    scope = getattr(span, "instrumentation_scope", None)
    return scope is not None and scope.name == s.SCOPE
