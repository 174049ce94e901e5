"""A span for each run of a guardrail, also if the request passes."""

import inspect
import sys
from collections.abc import Awaitable, Mapping
from typing import Any, Final

import httpx
import wrapt
from opentelemetry import context as otel_context
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, set_span_in_context

from litespan import semconv as s
from litespan.errors import suppress_errors
from litespan.instrumentation.signals import Live
from litespan.objects import as_text, get
from litespan.proxy.failures import status_of
from litespan.proxy.guardrails import raised_by
from litespan.proxy.request import MAX_LENGTH

Args = tuple[Any, ...]
Kwargs = dict[str, Any]
# Method of LiteLLM's `CustomGuardrail` → when it runs.
_STREAMING: Final = "async_post_call_streaming_iterator_hook"
_MODES: Final[Mapping[str, str]] = {
    "async_pre_call_hook": "pre_call",
    "async_moderation_hook": "during_call",
    "async_post_call_success_hook": "post_call",
    _STREAMING: "post_call",
    "apply_guardrail": "",  # by its argument `input_type`
}
_MODULE: Final = "litellm.integrations.custom_guardrail"
_RUNNING: Final = otel_context.create_key("litespan-guardrail")
_INTERNAL: Final = 500
_seen: Final[set[type]] = set()


def observe() -> None:
    """Wrap the methods of all guardrails that LiteLLM has now; an operator may add some later."""
    kind = getattr(sys.modules.get(_MODULE), "CustomGuardrail", None)
    for callback in getattr(sys.modules.get("litellm"), "callbacks", ()):
        if type(callback) not in _seen:
            _seen.add(type(callback))
            if kind is not None and isinstance(callback, kind):
                _wrap(type(callback), kind)


def _wrap(guardrail: type, base: type) -> None:
    for owner in guardrail.__mro__[: guardrail.__mro__.index(base)]:
        for name in _MODES:
            method = owner.__dict__.get(name)
            if callable(method) and not isinstance(method, wrapt.FunctionWrapper):
                with suppress_errors(f"wrapping {name} of a guardrail"):
                    wrapper = _run_on_stream if name == _STREAMING else _run
                    setattr(owner, name, wrapt.FunctionWrapper(method, wrapper))


def _run(wrapped: Any, instance: Any, args: Args, kwargs: Kwargs) -> Any:
    """A method of a guardrail; a sync one has no span: LiteLLM calls async ones only."""
    result = wrapped(*args, **kwargs)
    if not inspect.isawaitable(result):
        return result
    return _run_async(wrapped.__name__, result, instance, args, kwargs)


async def _run_async(
    method: str, running: Awaitable[Any], guardrail: Any, args: Args, kwargs: Kwargs
) -> Any:
    ctx = otel_context.get_current()
    span: Span | None = None
    with suppress_errors("starting a guardrail's span"):
        if ctx.get(_RUNNING) is not guardrail:  # a method may call another one
            span = _start(method, guardrail, args, kwargs)
    if span is None:
        return await running
    inside = set_span_in_context(span, otel_context.set_value(_RUNNING, guardrail, ctx))
    token = otel_context.attach(inside)
    try:
        result = await running
    except BaseException as error:
        _end(span, _verdict_of_error(error), error)
        raise
    else:
        if isinstance(result, Exception):  # LiteLLM raises it
            _end(span, _verdict_of_error(result), result)
        else:
            _end(span, _verdict(kwargs.get("inputs", args[0] if args else None), result))
        return result
    finally:
        otel_context.detach(token)


def _run_on_stream(wrapped: Any, instance: Any, args: Args, kwargs: Kwargs) -> Any:
    chunks = wrapped(*args, **kwargs)
    if not hasattr(chunks, "__anext__") or otel_context.get_value(_RUNNING) is instance:
        return chunks
    return _read(chunks, instance)


async def _read(chunks: Any, guardrail: Any) -> Any:
    """Yield what a guardrail lets through. Its span ends with the stream.

    The context is attached during each step only, never across a `yield`.
    """
    inside, span = otel_context.get_current(), None
    with suppress_errors("starting a guardrail's span"):
        span = _start(_STREAMING, guardrail, (), {})
        if span is not None:
            inside = set_span_in_context(span, otel_context.set_value(_RUNNING, guardrail, inside))
    try:
        while True:
            token = otel_context.attach(inside)
            try:
                chunk = await anext(chunks)
            except StopAsyncIteration:
                break
            finally:
                otel_context.detach(token)
            yield chunk
    except BaseException as error:
        refused = isinstance(error, Exception) and raised_by(error) is guardrail
        _end(span, _verdict_of_error(error) if refused else None, error if refused else None)
        if hasattr(chunks, "aclose"):
            await chunks.aclose()
        raise
    else:
        _end(span, "passed")


def _start(method: str, guardrail: Any, args: Args, kwargs: Kwargs) -> Span | None:
    signals = Live.signals
    if signals is None:
        return None
    name = as_text(getattr(guardrail, "guardrail_name", None)) or type(guardrail).__name__
    mode = _MODES[method]
    if not mode:
        direction = kwargs.get("input_type", args[2] if len(args) > 2 else None)
        mode = "post_call" if direction == "response" else "pre_call"
    name = name[:MAX_LENGTH]
    attributes = {s.GUARDRAIL_NAME: name, s.GUARDRAIL_MODE: mode}
    return signals.tracer.start_span(
        f"{s.GUARDRAIL_SPAN} {name}", kind=SpanKind.INTERNAL, attributes=attributes
    )


def _end(span: Span | None, verdict: str | None, error: BaseException | None = None) -> None:
    """End a span; without a verdict if the client or the provider ended the stream first."""
    if span is None:
        return
    with suppress_errors("ending a guardrail's span"):
        if verdict is not None:
            span.set_attribute(s.GUARDRAIL_VERDICT, verdict)
        if error is not None:
            span.set_attribute(s.ERROR_TYPE, type(error).__name__)
        if verdict == "error":
            span.set_status(Status(StatusCode.ERROR))
        span.end()


def _verdict(given: Any, result: Any) -> str:
    """`masked` if the guardrail returns other texts; a text is its refusal."""
    if isinstance(result, str):
        return "blocked"
    texts = get(given, "texts") if isinstance(given, Mapping) else None
    changed = get(result, "texts") if isinstance(result, Mapping) else None
    return "masked" if texts is not None and changed not in (None, texts) else "passed"


def _verdict_of_error(error: BaseException) -> str:
    """A guardrail may refuse with any exception; its own service may fail, too."""
    failed = isinstance(error, (httpx.HTTPError, OSError, TimeoutError))
    if failed or not isinstance(error, Exception):
        return "error"
    status = status_of(error)
    return "error" if status is not None and status >= _INTERNAL else "blocked"
