"""Decides whether a LiteLLM function call is a new call, an attempt, or an inner step.

LiteLLM's functions call each other: `acompletion` runs `completion`, `text_completion` may
run `completion`, a router runs either, and retries and fallbacks run them again. Each provider
call gets exactly one span.
"""

import sys
from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeGuard

from opentelemetry import context as otel_context
from opentelemetry.context import Context

from litespan import identity
from litespan.errors import record_error, suppress_errors
from litespan.instrumentation import jobs
from litespan.instrumentation.call import Call
from litespan.instrumentation.call_contexts import UNTRACED, AnyCall, RetriedCall, Translated
from litespan.instrumentation.metadata import read_metadata
from litespan.instrumentation.options import REQUEST, content_off, permitted, unlogged
from litespan.instrumentation.remote_client import CLIENT_KEY
from litespan.instrumentation.router_call import RouterCall
from litespan.instrumentation.signals import Live, Signals
from litespan.instrumentation.state import CALL_KEY, OWNER
from litespan.instrumentation.suppression import suppressed
from litespan.mapping.identity import (
    identity_attributes,
    with_baggage,
)
from litespan.mapping.paths import passed_on
from litespan.mapping.request import Attributes, Request, request_attributes
from litespan.mapping.response import Answer, answer_attributes
from litespan.mapping.targets import AGENT, BATCH, CHAT, Target
from litespan.objects import as_int, contents, get

LOGGING: Final = "litellm_logging_obj"
_WITH_FALLBACKS: Final = frozenset({"completion", "acompletion"})
_WITH_RETRIES: Final = frozenset({"completion", "acompletion", "responses", "aresponses"})


def begin(
    target: Target,
    parameters: Sequence[str],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> AnyCall:
    """Start and return the call for one function call; never raises.

    `parameters` are the names of the function's positional parameters.
    """
    signals = Live.signals
    if signals is None:
        return UNTRACED
    try:
        if (look := Live.look) is not None:
            look()
        ctx = otel_context.get_current()
        outer = _outer(ctx, kwargs) if CALL_KEY in ctx or LOGGING in kwargs else None
        if ctx and suppressed(ctx, nested=outer is None and signals.settings.suppress_nested):
            return UNTRACED
        if outer is not None and _is_inner(outer, kwargs):
            return Translated(outer) if _translates(outer, target) else UNTRACED
        arguments = kwargs.copy()
        if args:
            arguments = {**dict(zip(parameters, args)), **kwargs}  # noqa: B905 - args may be shorter
        request = Request(target, arguments)
        router = outer if isinstance(outer, RouterCall) else None
        if router is None and target.call_type in _WITH_RETRIES:
            retried = _start_with_retries(signals, request, ctx)
            if retried is not None:
                return retried
        return _start_call(signals, request, router, ctx)
    except Exception as error:  # noqa: BLE001 - the application's call proceeds without a span
        record_error("starting a call", error)
        return UNTRACED


def begin_passed_on(target: Target, _args: tuple[Any, ...], kwargs: dict[str, Any]) -> AnyCall:
    """Start the call of a request that LiteLLM passes on to a provider unchanged; never raises.

    The proxy has hooks of its own for these requests.
    """
    if Live.signals is None or REQUEST in kwargs or otel_context.get_value(CLIENT_KEY) is not None:
        return UNTRACED
    try:
        path = str(kwargs.get("endpoint")).partition("?")[0]
        body = kwargs.get("json") or kwargs.get("data")
        sent = body if isinstance(body, Mapping) else {}
        arguments = {**sent, **{k: v for k, v in kwargs.items() if k not in ("json", "data")}}
        row = passed_on(target.call_type, f"/{path.strip('/')}")
    except Exception as error:  # noqa: BLE001 - the application's call proceeds without a span
        record_error("starting a call", error)
        return UNTRACED
    return begin(row, (), (), arguments)


def _start_with_retries(signals: Signals, request: Request, ctx: Context) -> AnyCall | None:
    """Start a call that LiteLLM may attempt several times; return None if it will not.

    For fallbacks, LiteLLM calls its public function again for each model. For retries, it calls
    the provider again itself.
    """
    arguments, litellm = request.arguments, sys.modules["litellm"]
    fallbacks = request.target.call_type in _WITH_FALLBACKS and (
        arguments.get("fallbacks") or getattr(litellm, "model_fallbacks", None)
    )
    if not fallbacks:
        retries = arguments.get("num_retries")
        if retries is None:
            retries = getattr(litellm, "num_retries", None)
        if not (retries and as_int(retries)) and not arguments.get("retry_policy"):
            return None
    router = RouterCall(signals, request, silent=unlogged(arguments))
    router.start(ctx)
    return router if fallbacks else RetriedCall(router, _start_call(signals, request, router, ctx))


def _start_call(
    signals: Signals, request: Request, router: RouterCall | None, ctx: Context
) -> Call:
    """Start a call: an attempt of `router`, or a separate call in `ctx`."""
    settings = signals.settings
    arguments, metadata = request.arguments, request.metadata
    content = settings.content != "NO_CONTENT"
    caller = identity.current(ctx)
    if settings.baggage and permitted("baggage", request, ctx, settings):
        caller = with_baggage(caller, settings.baggage, ctx)
    try:  # no argument may keep a call from being recorded
        # Metadata comes first, because the SDK drops the oldest attributes.
        attributes: Attributes = {
            **identity_attributes(request, caller),
            **request.called.attributes,
            **request_attributes(request),
        }
        if metadata:
            of_team = read_metadata(request, ctx, settings, attributes)
            content = content if of_team is None else of_team
    except Exception as error:  # noqa: BLE001
        record_error("reading the arguments of a call", error)
        content = False
        attributes = dict(request.called.attributes)
        with suppress_errors("reading whose call it is"):
            attributes.update(identity_attributes(request, caller))
        with suppress_errors("reading the parameters of a call"):
            attributes.update(request_attributes(request))
        with suppress_errors("reading the metadata of a call"):
            read_metadata(request, ctx, settings, attributes)
    silent = "no-log" in arguments and unlogged(arguments)
    if router is not None:
        attributes.update(router.fallback_attributes(request))
        silent = silent or router.silent
    call = Call(
        signals,
        request,
        attributes,
        parent=router,
        silent=silent,
        record_content=content and not content_off(request, ctx, settings),
    )
    call.start(ctx if router is None else router.context)
    jobs.link(call)
    if arguments.get(LOGGING) is not None:
        attach_logging(call, arguments[LOGGING])
    return call


def record_batch(logging: Any, batch: Any) -> None:
    """Record the result of a batch that LiteLLM has priced, as a call of its own."""
    signals = Live.signals
    found = None if signals is None else jobs.priced_batch(logging, batch)
    if signals is None or found is None:
        return
    identifier, ctx, attributes = found
    details: Any = getattr(logging, "model_call_details", None)
    arguments = {
        "batch_id": identifier,
        "custom_llm_provider": get(details, "custom_llm_provider"),
        "litellm_call_id": getattr(logging, "litellm_call_id", None),
    }
    call = _start_call(signals, Request(BATCH, arguments), None, ctx)
    answer = Answer(batch, contents(batch), (), None, {})
    call.end("success", {**answer_attributes(call.request, answer), **attributes}, answer=answer)


def attach_logging(call: Call | RouterCall, logging: Any) -> None:
    """Link LiteLLM's logging object and its call."""
    call.logging = logging
    if call.parent is not None and call.parent.logging is None:
        call.parent.logging = logging
    setattr(logging, OWNER, call)


def _outer(ctx: Context, kwargs: dict[str, Any]) -> Call | RouterCall | None:
    """Return the open call that encloses this one, or None.

    It is in the context or, if LiteLLM has switched threads, on LiteLLM's logging object.
    """
    outer: Any = ctx.get(CALL_KEY)
    if outer is None:
        if LOGGING not in kwargs:
            return None
        outer = getattr(kwargs[LOGGING], OWNER, None)
    while isinstance(outer, (Call, RouterCall)):  # a mock has every attribute, without end
        if not outer.ended:
            return outer
        outer = outer.parent
    return None


def _is_inner(outer: Call | RouterCall, kwargs: dict[str, Any]) -> bool:
    """Whether this is a step of `outer` rather than a separate call during it.

    Until LiteLLM has created its logging object it only delegates. Later steps pass that object
    on; calls without it come from a handler, a guardrail or a tool, or are how LiteLLM calls an
    agent.
    """
    if isinstance(outer, RouterCall):
        return outer.awaits_logging
    delegates = outer.logging is None and outer.request.target.operation is not AGENT
    return kwargs.get("acompletion") is True or delegates or LOGGING in kwargs


def _translates(outer: Call | RouterCall, target: Target) -> TypeGuard[Call]:
    """Whether LiteLLM serves `outer`, a call of another API, by this one."""
    return (
        target.operation is CHAT
        and isinstance(outer, Call)
        and outer.request.target.call_type.removeprefix("a") != target.call_type.removeprefix("a")
    )
