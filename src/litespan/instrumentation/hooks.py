"""Patches of LiteLLM's internals that observe a call or propagate the context.

Each row of `hooks()` is (object, attribute name, function that wraps the original). Rows whose
attribute does not exist in the installed LiteLLM version are skipped.
"""

import contextvars
import functools
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Final

import wrapt
from opentelemetry import context as otel_context

from litespan.errors import record_error, suppress_errors
from litespan.instrumentation import conflicts
from litespan.instrumentation.call import Call
from litespan.instrumentation.jobs import PRICED
from litespan.instrumentation.start import attach_logging, record_batch
from litespan.instrumentation.state import CALL_KEY, OWNER, current
from litespan.instrumentation.websocket import provider_connection, responses_are_calls
from litespan.instrumentation.wrappers import Args, Kwargs, wrap
from litespan.mapping.targets import TARGETS


def hooks() -> Iterator[tuple[Any, str, Any]]:
    """Return what to patch besides the public functions and `Router`."""
    litellm = find("litellm")
    logging = find("litellm.litellm_core_utils.litellm_logging", "Logging")
    caching = find("litellm.caching.caching_handler", "LLMCachingHandler")
    events = "litellm.responses.streaming_iterator"
    managed = find(events, "ManagedResponsesWebSocketHandler")
    passed_on = find(events, "ResponsesWebSocketStreaming")
    combine = "combine_cached_embedding_response_with_api_result"
    fallbacks = find("litellm.litellm_core_utils.fallback_utils")
    rows = [
        (logging, "__init__", _logging_init),
        (logging, "pre_call", _pre_call),
        (logging, "async_success_handler", _batch_priced),
        (litellm, "stream_chunk_builder", _chunk_builder),
        (litellm, "completion_with_retries", proxied(_before_retries)),
        (litellm, "acompletion_with_retries", proxied(_before_retries)),
        (litellm, "responses_with_retries", proxied(_before_retries)),
        (litellm, "aresponses_with_retries", proxied(_before_retries)),
        (find("litellm.batch_completion.main"), "ThreadPoolExecutor", lambda _: ContextExecutor),
        (fallbacks, "run_async_function", proxied(carry)),
        (find("litellm.router"), "run_async_function", proxied(carry)),
        (caching, combine, proxied(_combined)),
        (caching, f"_{combine}", proxied(_combined)),  # in older versions
        (managed, "run", proxied(responses_are_calls)),
        (passed_on, "backend_to_client", proxied(provider_connection)),
    ]
    rows += [
        (find(path, kind), name, _static(proxied(_bridged)))
        for path, kind, *names in _BRIDGES
        for name in names
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


def find(module: str, name: str = "") -> Any:
    """Return an imported module, or what it has under `name`; None if there is none."""
    found = sys.modules.get(module)
    return getattr(found, name, None) if name else found


Prepared = tuple[Any, Args, Kwargs]


def proxied(prepare: Callable[[Any, Args, Kwargs], Prepared]) -> Callable[[Any], Any]:
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


def carry(wrapped: Any, args: Args, kwargs: Kwargs) -> Prepared:
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


class ContextExecutor(ThreadPoolExecutor):
    """A thread pool that runs each function in the context of `submit`."""

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> "Future[Any]":
        """Submit `fn` to run in a copy of the current context."""
        return super().submit(contextvars.copy_context().run, fn, *args, **kwargs)
