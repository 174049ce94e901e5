"""Patches of LiteLLM's `Router`: its calls, their attempts, and fallbacks of broken streams.

Rows are as in `hooks`.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from opentelemetry import context as otel_context

from litespan.errors import record_error
from litespan.instrumentation.call_contexts import UNTRACED, AnyCall, WithinRouter
from litespan.instrumentation.hooks import Prepared, find, proxied
from litespan.instrumentation.options import unlogged
from litespan.instrumentation.router_call import RouterCall, broken_stream_of
from litespan.instrumentation.signals import Live
from litespan.instrumentation.state import current
from litespan.instrumentation.wrappers import Args, Kwargs, drive
from litespan.mapping.request import Request
from litespan.mapping.targets import ROUTER

ROUTER_CORE: Final = "litellm.router_rust.core"
"""The module that runs LiteLLM's routers since 1.110; imported with the first router."""


def router_hooks(wrappers: Mapping[int, Any]) -> Iterator[tuple[Any, str, Any]]:
    """Return what to patch in `Router`; `wrappers` is `id()` of a function → its wrapper."""
    kind = find("litellm.router", "Router")
    rows = [
        (kind, ROUTER.name.partition(".")[2], proxied(_router_call)),
        (kind, "async_function_with_fallbacks_common_utils", proxied(_fall_back)),
    ]
    rows += [
        (kind, name, proxied(_passed_functions(wrappers)))
        for name in (
            "_ageneric_api_call_with_fallbacks_helper",
            "_generic_api_call_with_fallbacks",
            "_pass_through_moderation_endpoint_factory",
        )
    ]
    return (row for row in rows if hasattr(row[0], row[1]))


def router_core_hooks(core_module: Any) -> Iterator[tuple[Any, str, Any]]:
    """Return everything to patch in `ROUTER_CORE`."""
    core = getattr(core_module, "RustCore", None)
    rows = [
        (core, "_drive", proxied(_core_call)),
        (core, "_call_sync", proxied(_core_call)),
        (core, "recover_stream", proxied(_recover)),
        (core, "recover_stream_sync", proxied(_recover)),
        (core, "retry_stream", proxied(_recover)),
    ]
    return (row for row in rows if hasattr(row[0], row[1]))


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
