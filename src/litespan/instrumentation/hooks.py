"""Patches of LiteLLM's internals that observe a call or propagate the context.

Each row of `hooks()` is (object, attribute name, function that wraps the original). Rows whose
attribute does not exist in the installed LiteLLM version are skipped.
"""

import contextvars
import functools
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Final

import wrapt
from opentelemetry import context as otel_context

from litespan.errors import record_error, suppress_errors
from litespan.instrumentation import conflicts
from litespan.instrumentation.call import Call
from litespan.instrumentation.jobs import PRICED
from litespan.instrumentation.router_call import RouterCall, broken_stream_of
from litespan.instrumentation.signals import Live
from litespan.instrumentation.start import (
    UNTRACED,
    AnyCall,
    WithinRouter,
    attach_logging,
    record_batch,
    unlogged,
)
from litespan.instrumentation.state import CALL_KEY, OWNER, current
from litespan.instrumentation.websocket import provider_connection, responses_are_calls
from litespan.instrumentation.wrappers import drive, wrap
from litespan.mapping.request import Request
from litespan.mapping.targets import ROUTER, TARGETS

Args = tuple[Any, ...]
Kwargs = dict[str, Any]


def hooks(wrappers: Mapping[int, Any]) -> Iterator[tuple[Any, str, Any]]:
    """Return everything to patch besides the public functions."""
    logging = _module("litellm.litellm_core_utils.litellm_logging")
    router = _module("litellm.router")
    rows = [
        (getattr(logging, "Logging", None), "__init__", _logging_init),
        (getattr(logging, "Logging", None), "pre_call", _pre_call),
        (getattr(logging, "Logging", None), "async_success_handler", _batch_priced),
        (_module("litellm"), "stream_chunk_builder", _chunk_builder),
        (_module("litellm"), "completion_with_retries", _proxied(_before_retries)),
        (_module("litellm"), "acompletion_with_retries", _proxied(_before_retries)),
        (_module("litellm"), "responses_with_retries", _proxied(_before_retries)),
        (_module("litellm"), "aresponses_with_retries", _proxied(_before_retries)),
        (_module("litellm.batch_completion.main"), "ThreadPoolExecutor", _context_executor),
        (
            _module("litellm.litellm_core_utils.fallback_utils"),
            "run_async_function",
            _proxied(_carry),
        ),
        (router, "run_async_function", _proxied(_carry)),
    ]
    rows += [
        (getattr(_module(module), kind, None), name, _static(_proxied(_bridged)))
        for module, kind, *names in _BRIDGES
        for name in names
    ]
    kind = getattr(router, "Router", None)
    rows += [
        (kind, ROUTER.name.partition(".")[2], _proxied(_router_call)),
        (kind, "async_function_with_fallbacks_common_utils", _proxied(_fall_back)),
    ]
    caching = getattr(_module("litellm.caching.caching_handler"), "LLMCachingHandler", None)
    rows += [  # newer versions have no leading underscore
        (caching, f"{prefix}combine_cached_embedding_response_with_api_result", _proxied(_combined))
        for prefix in ("", "_")
    ]
    rows += [
        (kind, name, _proxied(_passed_functions(wrappers)))
        for name in (
            "_ageneric_api_call_with_fallbacks_helper",
            "_generic_api_call_with_fallbacks",
            "_pass_through_moderation_endpoint_factory",
        )
    ]
    events = _module("litellm.responses.streaming_iterator")
    rows += [
        (
            getattr(events, "ManagedResponsesWebSocketHandler", None),
            "run",
            _proxied(responses_are_calls),
        ),
        (
            getattr(events, "ResponsesWebSocketStreaming", None),
            "backend_to_client",
            _proxied(provider_connection),
        ),
    ]
    return (row for row in rows if hasattr(row[0], row[1]))


# Where LiteLLM serves Google's APIs through another of its functions: module, class, methods.
_BRIDGES: Final = (
    (
        "litellm.google_genai.adapters.handler",
        "GenerateContentToCompletionHandler",
        "generate_content_handler",
        "async_generate_content_handler",
    ),
    (
        "litellm.interactions.litellm_responses_transformation.handler",
        "LiteLLMResponsesInteractionsHandler",
        "interactions_api_handler",
        "async_interactions_api_handler",
    ),
)
ROUTER_CORE: Final = "litellm.router_rust.core"
"""The module that runs LiteLLM's routers since 1.110; imported with the first router."""


def router_core_hooks(module: Any) -> Iterator[tuple[Any, str, Any]]:
    """Return everything to patch in `ROUTER_CORE`."""
    core = getattr(module, "RustCore", None)
    rows = [
        (core, "_drive", _proxied(_core_call)),
        (core, "_call_sync", _proxied(_core_call)),
        (core, "recover_stream", _proxied(_recover)),
        (core, "recover_stream_sync", _proxied(_recover)),
        (core, "retry_stream", _proxied(_recover)),
    ]
    return (row for row in rows if hasattr(row[0], row[1]))


def _module(name: str) -> Any:
    return sys.modules.get(name)


Prepared = tuple[Any, Args, Kwargs]


def _proxied(prepare: Callable[[Any, Args, Kwargs], Prepared]) -> Callable[[Any], Any]:
    """Return a patch whose proxy calls what `prepare(function, args, kwargs)` returns.

    If `prepare` raises, the proxy calls the original function.
    """

    def wrapper(wrapped: Any, _instance: Any, args: Args, kwargs: Kwargs) -> Any:
        function = wrapped
        try:
            function, args, kwargs = prepare(wrapped, args, kwargs)
        except Exception as problem:  # noqa: BLE001
            record_error(f"the hook in {_name(wrapped)}", problem)
        return function(*args, **kwargs)

    return lambda original: wrapt.FunctionWrapper(original, wrapper)


def _static(patch: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return `patch` for a static method."""
    return lambda original: staticmethod(patch(original))


# The next two run in every call. They are plain functions because binding a proxy is slow.


def _logging_init(original: Any) -> Any:
    """Attach LiteLLM's logging object, which has the id, cost and provider of the call."""

    @functools.wraps(original)
    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:  # noqa: N807
        original(self, *args, **kwargs)
        try:
            call: Any = otel_context.get_current().get(CALL_KEY)
            if call is not None and call.logging is None and not call.ended:
                attach_logging(call, self)
                conflicts.check_callbacks(sys.modules["litellm"])
        except Exception as error:  # noqa: BLE001
            record_error("attaching LiteLLM's logging object", error)

    return __init__


def _pre_call(original: Any) -> Any:
    """Record the pre-call stage: LiteLLM is about to call the provider."""

    @functools.wraps(original)
    def pre_call(self: Any, *args: Any, **kwargs: Any) -> Any:
        now = time.time_ns()
        try:
            return original(self, *args, **kwargs)
        finally:  # LiteLLM has stored the provider request
            try:  # as `suppress_errors`, whose calls would be made for every call
                call = getattr(self, OWNER, None)
                if isinstance(call, Call) and not call.ended:
                    # LiteLLM keeps it only until the answer.
                    details = self.model_call_details.get("additional_args")
                    call.called_url = details.get("api_base") if type(details) is dict else None
                    call.announce(now)
            except Exception as error:  # noqa: BLE001
                record_error("announcing a call", error)

    return pre_call


def _chunk_builder(original: Any) -> Any:
    """Keep the answer that LiteLLM assembled from a stream, which includes its token count."""

    @functools.wraps(original)
    def stream_chunk_builder(*args: Any, **kwargs: Any) -> Any:
        whole = original(*args, **kwargs)
        try:
            call = getattr(kwargs.get("logging_obj"), OWNER, None)
            if isinstance(call, Call):
                call.whole = whole
        except Exception as error:  # noqa: BLE001
            record_error("keeping a stream's answer", error)
        return whole

    return stream_chunk_builder


def _batch_priced(original: Any) -> Any:
    """Record the result of a batch when LiteLLM has read and priced it, in the background."""

    @functools.wraps(original)
    async def async_success_handler(
        self: Any, result: Any = None, *args: Any, **kwargs: Any
    ) -> Any:
        done = await original(self, result, *args, **kwargs)
        if hasattr(self, PRICED):
            with suppress_errors("recording the result of a batch"):
                record_batch(self, result)
        return done

    return async_success_handler


def _bridged(wrapped: Any, args: Args, kwargs: Kwargs) -> Prepared:
    """Describe the call by the function that LiteLLM delegates to.

    That function makes a new logging object, with the cost and id that LiteLLM reports.
    """
    call = current()
    if isinstance(call, Call):
        call.logging = None
    return wrapped, args, kwargs


def _combined(wrapped: Any, args: Args, kwargs: Kwargs) -> Prepared:
    """Keep the provider's part of an embedding response; the rest came from LiteLLM's cache."""
    call = current()
    if isinstance(call, Call):
        call.uncached_answer = kwargs.get("embedding_response", args[1] if len(args) > 1 else None)
    return wrapped, args, kwargs


def _before_retries(wrapped: Any, args: Args, kwargs: Kwargs) -> Prepared:
    """End the failed attempt before LiteLLM retries; its exception is being handled now."""
    call = current()
    error = sys.exc_info()[1]
    if isinstance(call, Call) and error is not None:
        call.fail(error)
    function = kwargs.get("original_function")
    target = next((row for row in TARGETS if row.call_type == _name(function)), None)
    if target is not None:
        kwargs = {**kwargs, "original_function": wrap(target, function)}
    return wrapped, args, kwargs


def _name(function: Any) -> str | None:
    return getattr(function, "__name__", None)


def _router_call(wrapped: Any, args: Args, kwargs: Kwargs) -> Prepared:
    """Open the span around a call of a `Router` method and all its attempts."""
    return drive(wrapped, _open_router), args, kwargs


def _open_router(_args: Args, kwargs: Any) -> AnyCall:
    signals = Live.signals
    outer = current()
    if signals is None or (isinstance(outer, RouterCall) and not outer.ended):
        return UNTRACED
    try:
        request = Request(ROUTER, dict(kwargs))
        call = RouterCall(signals, request, silent=unlogged(kwargs))
        call.start(otel_context.get_current())
    except Exception as error:  # noqa: BLE001 - the application's call proceeds without a span
        record_error("starting a router's call", error)
        return UNTRACED
    return call


def _core_call(wrapped: Any, args: Args, kwargs: Kwargs) -> Prepared:
    """Do the same for `RustCore`, which gets a plan and the caller's keyword arguments."""
    return drive(wrapped, _open_router_core), args, kwargs


def _open_router_core(args: Args, kwargs: Kwargs) -> AnyCall:
    given = {**dict(zip(("plan", "request"), args, strict=False)), **kwargs}
    return _open_router((), given.get("request"))


def _fall_back(wrapped: Any, args: Args, kwargs: Kwargs) -> Prepared:
    """Run a fallback inside its router call, also if a stream failed in another context."""
    return _after(args[0] if args else kwargs.get("e"), wrapped), args, kwargs


def _recover(wrapped: Any, args: Args, kwargs: Kwargs) -> Prepared:
    """Do the same for `RustCore`."""
    return _after(kwargs.get("failure", args[-1] if args else None), wrapped), args, kwargs


def _after(error: Any, function: Any) -> Any:
    """Wrap `function` to run inside the router call whose stream failed with `error`."""

    def open_call(_args: Args, _kwargs: Kwargs) -> AnyCall:
        router = broken_stream_of(error)
        if router is None or router.ended or current() is not None:
            return UNTRACED
        return WithinRouter(router)

    return drive(function, open_call)


def _passed_functions(wrappers: Mapping[int, Any]) -> Any:
    """Return a patch that replaces LiteLLM functions among the arguments by the wrapped ones.

    A router created before instrumentation holds the original functions. Some of these methods,
    such as the one behind `Router.responses`, run no other method of `Router`, so the router
    call starts here.
    """

    def hand_in(wrapped: Any, args: Args, kwargs: Kwargs) -> Prepared:
        if Live.signals is not None and wrappers:
            args = tuple(wrappers.get(id(value), value) for value in args)
            kwargs = {
                name: wrappers.get(id(value), value) if "function" in name else value
                for name, value in kwargs.items()
            }
        return drive(wrapped, _open_router), args, kwargs

    return hand_in


def _carry(wrapped: Any, args: Args, kwargs: Kwargs) -> Prepared:
    """Propagate the context to a coroutine function that LiteLLM may run in another thread."""
    ctx = otel_context.get_current()
    function, *rest = args or (kwargs["async_function"],)

    async def inside(*inner: Any, **named: Any) -> Any:
        token = otel_context.attach(ctx)
        try:
            return await function(*inner, **named)
        finally:
            otel_context.detach(token)

    given = {name: value for name, value in kwargs.items() if name != "async_function"}
    return wrapped, (inside, *rest), given


def _context_executor(_original: Any) -> type:
    return ContextExecutor


class ContextExecutor(ThreadPoolExecutor):
    """A thread pool that runs each function in the context of `submit`."""

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> "Future[Any]":
        """Submit `fn` to run in a copy of the current context."""
        return super().submit(contextvars.copy_context().run, fn, *args, **kwargs)
