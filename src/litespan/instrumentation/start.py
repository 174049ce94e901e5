"""Whether a call of a LiteLLM function is a call of its own, an attempt, or an inner step.

LiteLLM's functions call each other: `acompletion` runs `completion`, `text_completion` may
run `completion`, a router runs either, and retries and fallbacks run them again. Exactly one
span stands for each call of a provider.
"""

import sys
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Final

from opentelemetry import context as otel_context
from opentelemetry.context import Context

from litespan import identity
from litespan import semconv as s
from litespan.errors import record_error
from litespan.instrumentation.call import Call
from litespan.instrumentation.remote_client import CLIENT_KEY
from litespan.instrumentation.router_call import RouterCall
from litespan.instrumentation.signals import Live, Signals
from litespan.instrumentation.state import CALL_KEY, OWNER
from litespan.instrumentation.suppression import suppressed
from litespan.mapping.identity import (
    deployment_attributes,
    identity_attributes,
    wish_attributes,
    wishes,
    with_baggage,
)
from litespan.mapping.proxy_request import gateway_attributes
from litespan.mapping.request import Attributes, Request, request_attributes
from litespan.mapping.targets import Target
from litespan.mapping.team_settings import NONE
from litespan.objects import as_int, get, is_true
from litespan.settings import Settings

LOGGING: Final = "litellm_logging_obj"
# Where LiteLLM's proxy keeps the client's request.
REQUEST: Final = "proxy_server_request"
_NO_CONTENT: Final = "turn_off_message_logging"
_WITH_FALLBACKS: Final = frozenset({"completion", "acompletion"})
_WITH_RETRIES: Final = frozenset({"completion", "acompletion", "responses", "aresponses"})


class Untraced:
    """Stands in for a call that gets no span: everything passes through."""

    __slots__ = ()

    def __enter__(self) -> "Untraced":
        return self

    def __exit__(self, *details: object) -> None:
        return None

    def result(self, value: Any) -> Any:
        """`value`, untouched."""
        return value


UNTRACED: Final = Untraced()


class RetriedCall:
    """A router call and its first attempt in one: LiteLLM retries inside one function call."""

    __slots__ = ("_attempt", "_router")

    def __init__(self, router: RouterCall, attempt: Call) -> None:
        self._router = router
        self._attempt = attempt

    def __enter__(self) -> "RetriedCall":
        self._router.__enter__()
        self._attempt.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._attempt.__exit__(kind, error, trace)
        self._router.__exit__(kind, error, trace)

    def result(self, value: Any) -> Any:
        """What the first attempt, or the one that took over, makes of `value`."""
        return self._router.result(self._attempt.result(value))


class Inside:
    """Code that runs for a router call, but outside of its context."""

    __slots__ = ("_router", "_token")

    def __init__(self, router: RouterCall) -> None:
        self._router = router

    def __enter__(self) -> "Inside":
        self._token = otel_context.attach(self._router.context)
        return self

    def __exit__(self, *details: object) -> None:
        otel_context.detach(self._token)

    def result(self, value: Any) -> Any:
        """`value`, untouched."""
        return value


AnyCall = Call | RouterCall | RetriedCall | Inside | Untraced


def begin(
    target: Target,
    parameters: Sequence[str],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> AnyCall:
    """The call that a function's being called makes; never raises.

    `parameters` are the names of the function's positional parameters.
    """
    signals = Live.signals
    if signals is None:
        return UNTRACED
    try:
        if Live.look is not None:
            Live.look()
        ctx = otel_context.get_current()
        outer = _outer(ctx, kwargs)
        if suppressed(ctx, nested=outer is None and signals.settings.suppress_nested):
            return UNTRACED
        if outer is not None and _is_inner(outer, kwargs):
            return UNTRACED
        arguments = kwargs.copy()
        if args:
            arguments = {**dict(zip(parameters, args)), **kwargs}  # noqa: B905 - some are given
        request = Request(target, arguments)
        router = outer if isinstance(outer, RouterCall) else None
        if router is None and target.call_type in _WITH_RETRIES:
            several = _several(signals, request, ctx)
            if several is not None:
                return several
        return _attempt(signals, request, router, ctx)
    except Exception as error:  # noqa: BLE001 - the application's call goes on without a span
        record_error("starting a call", error)
        return UNTRACED


def _several(signals: Signals, request: Request, ctx: Context) -> AnyCall | None:
    """A started call that LiteLLM may try several times; None if it will not.

    With fallbacks it tries other models, each through its public function; with retries it
    calls the provider again itself.
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
    return router if fallbacks else RetriedCall(router, _attempt(signals, request, router, ctx))


def _attempt(signals: Signals, request: Request, router: RouterCall | None, ctx: Context) -> Call:
    """A started call: an attempt of `router`, or on its own under `ctx`."""
    settings = signals.settings
    arguments, metadata = request.arguments, request.metadata
    content = settings.content != "NO_CONTENT"
    who = identity.current(ctx)
    if settings.baggage and permitted("baggage", request, ctx, settings):
        who = with_baggage(who, settings.baggage, ctx)
    # Free metadata comes first: the SDK drops the oldest attributes.
    attributes: Attributes = {
        **identity_attributes(request, who),
        **request.called.attributes,
        **request_attributes(request),
    }
    if metadata:
        if "model_group" in metadata:
            attributes.update(deployment_attributes(request))
        if permitted("mute", request, ctx, settings):
            attributes.update(wish_attributes(request))
        if REQUEST in arguments:
            attributes.update(gateway_attributes(request, settings.headers, settings.body))
            client: Any = ctx.get(CLIENT_KEY)
            team = NONE if client is None else client.team
            if client is not None and "metadata" in arguments and "litellm_metadata" in arguments:
                # One is the client's own, where old versions of LiteLLM leave forged names.
                known = {name: value for name, value in client.who.items() if value is not None}
                attributes = {k: v for k, v in attributes.items() if k not in client.who} | known
            if team.exporters:  # in place of the operator's of the same name
                muted = (*attributes.get(s.MUTE, ()), *team.exporters)
                attributes[s.MUTE] = tuple(dict.fromkeys(muted))
            content = content if team.content is None else team.content
    silent = unlogged(arguments)
    if router is not None:
        attributes.update(router.fallback_attributes(request))
        silent = silent or router.silent
    call = Call(
        signals,
        request,
        attributes,
        parent=router,
        silent=silent,
        record_content=content and not _content_off(request, ctx, settings),
    )
    call.start(ctx if router is None else router.context)
    if arguments.get(LOGGING) is not None:
        adopt(call, arguments[LOGGING])
    return call


def adopt(call: Call | RouterCall, logging: Any) -> None:
    """Tie LiteLLM's logging object and the call that it logs together."""
    call.logging = logging
    if call.parent is not None and call.parent.logging is None:
        call.parent.logging = logging
    setattr(logging, OWNER, call)


def _outer(ctx: Context, kwargs: dict[str, Any]) -> Call | RouterCall | None:
    """The live call that this one happens inside of.

    Found in the context; where LiteLLM has changed threads, through its logging object.
    """
    outer: Any = ctx.get(CALL_KEY)
    if outer is None:
        if LOGGING not in kwargs:
            return None
        outer = getattr(kwargs[LOGGING], OWNER, None)
    while outer is not None and outer.ended:
        outer = outer.parent
    return outer if isinstance(outer, (Call, RouterCall)) else None


def _is_inner(outer: Call | RouterCall, kwargs: dict[str, Any]) -> bool:
    """Whether LiteLLM calls this as a step of `outer`, or somebody else calls it meanwhile.

    Until LiteLLM has made its logging object it only passes the call on. Later steps of a
    call carry that object; what comes without it comes from a handler, a guardrail or a tool.
    """
    if isinstance(outer, RouterCall):
        return outer.awaits_logging
    return kwargs.get("acompletion") is True or outer.logging is None or LOGGING in kwargs


def permitted(wish: str, request: Request, ctx: Context, settings: Settings) -> bool:
    """Whether `request` may itself decide about its record; `wish` is one of `settings.WISHES`.

    The program that calls LiteLLM may. A client of LiteLLM's proxy may what the operator permits.
    """
    if REQUEST not in request.arguments and ctx.get(CLIENT_KEY) is None:
        return True
    return wish in settings.clients_may


def unlogged(arguments: Mapping[str, Any]) -> bool:
    """Whether a call asks for no record (`no-log`), and LiteLLM's settings let it."""
    return (
        "no-log" in arguments
        and is_true(arguments["no-log"])
        and not getattr(sys.modules["litellm"], "global_disable_no_log_param", False)
    )


def _content_off(request: Request, ctx: Context, settings: Settings) -> bool:
    """Whether the user has told LiteLLM, or us, to keep messages out of logs."""
    if getattr(sys.modules["litellm"], _NO_CONTENT, None) is True:
        return True
    arguments = request.arguments
    given = is_true(arguments.get(_NO_CONTENT))
    asked = is_true(request.metadata.get(_NO_CONTENT)) or wishes(request).get("content") is False
    if not given and not asked:
        return False
    if permitted("content", request, ctx, settings):
        return True
    # LiteLLM puts the settings of a key's team beside the arguments of its client.
    body = get(arguments.get(REQUEST), "body")
    return given and not (isinstance(body, Mapping) and _NO_CONTENT in body)
