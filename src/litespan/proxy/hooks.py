"""Where litespan looks on in LiteLLM's proxy, once that is imported."""

import asyncio
import codecs
import sys
from typing import Any, Final
from weakref import WeakKeyDictionary

import wrapt
from opentelemetry import trace

import litespan.proxy.request as requests
from litespan.errors import suppress_errors
from litespan.instrumentation.signals import Live
from litespan.proxy import passthrough, passthrough_hooks, server
from litespan.proxy.teams import TeamExporters

SERVER: Final = "litellm.proxy.proxy_server"
DRAIN_SECONDS: Final = 10.0
Args = tuple[Any, ...]
Kwargs = dict[str, Any]


def install(module: Any) -> None:
    """`litellm.proxy.proxy_server` is there: follow its requests. Safe to call twice."""
    app = getattr(module, "app", None)
    if app is None:  # it is still being imported
        return
    # A thread of LiteLLM's looks this codec up just as gunicorn forks its workers, and whoever
    # forks while another thread imports leaves that module locked in the child.
    codecs.lookup("ascii")
    with suppress_errors("following the proxy's requests"):
        server.install(app)
    with suppress_errors("serving teams"):
        _serve_teams()
    logging = getattr(sys.modules.get("litellm.proxy.utils"), "ProxyLogging", None)
    utils = sys.modules.get("litellm.utils")
    for place, name, wrapper in (
        (logging, "_init_litellm_callbacks", _before_lists),
        (utils, "function_setup", _before_lists),
        (logging, "pre_call_hook", _before_call),
        (logging, "post_call_failure_hook", _failed),
        (module, "proxy_shutdown_event", _shut_down),
        *passthrough_hooks.hooks(sys.modules),
    ):
        original = getattr(place, "__dict__", {}).get(name)  # unbound, as it is
        if original is not None and not isinstance(original, wrapt.FunctionWrapper):
            with suppress_errors(f"following the proxy's {name}"):
                setattr(place, name, wrapt.FunctionWrapper(original, wrapper))


_serving: Final["WeakKeyDictionary[Any, TeamExporters]"] = WeakKeyDictionary()


def _serve_teams() -> None:
    tracers: Any = trace.get_tracer_provider()
    if hasattr(tracers, "add_span_processor") and tracers not in _serving:
        _serving[tracers] = TeamExporters()
        tracers.add_span_processor(_serving[tracers])


def _know(request: requests.ProxyRequest, key: Any) -> None:
    """`key`, LiteLLM's `UserAPIKeyAuth`, says whose `request` this is."""
    request.known(key)
    teams = _serving.get(trace.get_tracer_provider())
    if teams is not None and key is not None:
        request.team = teams.serve(key)


def _argument(args: Args, kwargs: Kwargs, name: str, position: int) -> Any:
    return kwargs[name] if name in kwargs else args[position] if len(args) > position else None


def _before_lists(wrapped: Any, _instance: Any, args: Args, kwargs: Kwargs) -> Any:
    """LiteLLM is about to make loggers of its callback lists: at its start, and of a request."""
    if Live.look is not None:
        with suppress_errors("looking at LiteLLM's callback lists"):
            Live.look()
    return wrapped(*args, **kwargs)


def _before_call(wrapped: Any, _instance: Any, args: Args, kwargs: Kwargs) -> Any:
    """LiteLLM knows who asks, and is about to check limits and guardrails."""
    with suppress_errors("reading who a request is for"):
        request = requests.current()
        if request is not None and Live.signals is not None:
            _know(request, _argument(args, kwargs, "user_api_key_dict", 0))
    return wrapped(*args, **kwargs)


def _failed(wrapped: Any, _instance: Any, args: Args, kwargs: Kwargs) -> Any:
    """LiteLLM reports a request that fails, whether or not a provider was called."""
    with suppress_errors("reading why a request failed"):
        request = requests.current()
        if request is not None and Live.signals is not None:
            _know(request, _argument(args, kwargs, "user_api_key_dict", 2))
            error = _argument(args, kwargs, "original_exception", 1)
            data = _argument(args, kwargs, "request_data", 0)
            if isinstance(error, BaseException):
                request.failed(error, _argument(args, kwargs, "error_type", 3), data)
    with suppress_errors("ending a pass-through call"):
        passthrough.fail(
            _argument(args, kwargs, "request_data", 0),
            _argument(args, kwargs, "original_exception", 1),
        )
    return wrapped(*args, **kwargs)


async def _shut_down(wrapped: Any, _instance: Any, args: Args, kwargs: Kwargs) -> Any:
    """Deliver what there is while the proxy is still allowed to take its time."""
    try:
        return await wrapped(*args, **kwargs)
    finally:
        if Live.signals is not None:
            with suppress_errors("ending pass-through calls"):
                passthrough.settle()
            with suppress_errors("flushing at the proxy's shutdown"):
                from litespan.callbacks.flush import flush

                await asyncio.to_thread(flush, DRAIN_SECONDS)
