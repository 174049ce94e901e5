"""The hooks that litespan installs in LiteLLM's proxy."""

import asyncio
import codecs
import sys
from collections.abc import Iterable
from typing import Any, Final
from weakref import WeakKeyDictionary

import wrapt
from opentelemetry import trace

import litespan.proxy.request as requests
from litespan.errors import suppress_errors
from litespan.instrumentation.signals import Live
from litespan.proxy import (
    agents,
    guardrail_runs,
    passthrough,
    passthrough_hooks,
    server,
    services,
    tools,
)
from litespan.proxy.teams import TeamExporters

SERVER: Final = "litellm.proxy.proxy_server"
DRAIN_SECONDS: Final = 10.0
Args = tuple[Any, ...]
Kwargs = dict[str, Any]


def install(module: Any) -> None:
    """Install the hooks in `litellm.proxy.proxy_server` and its helpers. Safe to call twice."""
    app = getattr(module, "app", None)
    if app is None:  # still being imported
        return
    # A LiteLLM thread looks up this codec while gunicorn forks its workers. A fork during an
    # import in another thread leaves the module locked in the child, so import it now.
    codecs.lookup("ascii")
    with suppress_errors("tracing the proxy's requests"):
        server.install(app)
    with suppress_errors("setting up exporters of teams"):
        _add_team_exporters()
    logging = getattr(sys.modules.get("litellm.proxy.utils"), "ProxyLogging", None)
    utils = sys.modules.get("litellm.utils")
    rows = (
        (logging, "_init_litellm_callbacks", _before_callbacks),
        (utils, "function_setup", _before_callbacks),
        (logging, "pre_call_hook", _before_call),
        (logging, "post_call_failure_hook", _failed),
        (module, "proxy_shutdown_event", _shut_down),
        *passthrough_hooks.hooks(sys.modules),
        *services.hooks(sys.modules),
    )
    _wrap(rows)
    for lazy in (*tools.MODULES, agents.MODULE):
        wrapt.register_post_import_hook(_gateway_imported, lazy)


def _wrap(rows: Iterable[tuple[Any, str, Any]]) -> None:
    """Wrap each (owner, name, wrapper); owners that this LiteLLM lacks are None."""
    for place, name, wrapper in rows:
        original = getattr(place, "__dict__", {}).get(name)  # unbound
        if original is not None and getattr(original, "_self_wrapper", None) is not wrapper:
            with suppress_errors(f"wrapping the proxy's {name}"):
                setattr(place, name, wrapt.FunctionWrapper(original, wrapper))


def _gateway_imported(module: Any) -> None:
    """LiteLLM imports its gateways for tools and agents when they are first used."""
    _wrap((*tools.hooks(sys.modules), *agents.hooks(sys.modules)))
    server.mute_fastapi(getattr(module, "app", None), like=sys.modules[SERVER].app)


_team_exporters: Final["WeakKeyDictionary[Any, TeamExporters]"] = WeakKeyDictionary()


def _add_team_exporters() -> None:
    tracers: Any = trace.get_tracer_provider()
    if hasattr(tracers, "add_span_processor") and tracers not in _team_exporters:
        _team_exporters[tracers] = TeamExporters()
        tracers.add_span_processor(_team_exporters[tracers])


def _identify(request: requests.ProxyRequest, key: Any) -> None:
    """Record the identity in `key`, LiteLLM's `UserAPIKeyAuth`, and its team's settings."""
    request.set_identity(key)
    teams = _team_exporters.get(trace.get_tracer_provider())
    if teams is not None and key is not None:
        request.team = teams.settings_of(key)


def _argument(args: Args, kwargs: Kwargs, name: str, position: int) -> Any:
    return kwargs[name] if name in kwargs else args[position] if len(args) > position else None


def _before_callbacks(wrapped: Any, _instance: Any, args: Args, kwargs: Kwargs) -> Any:
    """Before LiteLLM creates loggers from its callback lists, at start and for a request."""
    if Live.look is not None:
        with suppress_errors("checking LiteLLM's callback lists"):
            Live.look()
    return wrapped(*args, **kwargs)


def _before_call(wrapped: Any, _instance: Any, args: Args, kwargs: Kwargs) -> Any:
    """After LiteLLM authenticated a request, before it checks limits and guardrails."""
    with suppress_errors("reading the identity of a request"):
        request = requests.current()
        if request is not None and Live.signals is not None:
            _identify(request, _argument(args, kwargs, "user_api_key_dict", 0))
            request.arguments = _argument(args, kwargs, "data", 1)
    with suppress_errors("observing guardrails"):
        guardrail_runs.observe()
    return wrapped(*args, **kwargs)


def _failed(wrapped: Any, _instance: Any, args: Args, kwargs: Kwargs) -> Any:
    """When LiteLLM reports a failed request, whether or not a provider was called."""
    data = _argument(args, kwargs, "request_data", 0)
    error = _argument(args, kwargs, "original_exception", 1)
    with suppress_errors("reading the failure of a request"):
        request = requests.current()
        if request is not None and Live.signals is not None:
            _identify(request, _argument(args, kwargs, "user_api_key_dict", 2))
            if isinstance(error, BaseException):
                request.set_failure(error, _argument(args, kwargs, "error_type", 3), data)
    with suppress_errors("ending a pass-through call"):
        passthrough.fail(data, error)
    return wrapped(*args, **kwargs)


async def _shut_down(wrapped: Any, _instance: Any, args: Args, kwargs: Kwargs) -> Any:
    """Flush during the proxy's own shutdown."""
    try:
        return await wrapped(*args, **kwargs)
    finally:
        if Live.signals is not None:
            with suppress_errors("ending pass-through calls"):
                passthrough.end_all()
            with suppress_errors("flushing at the proxy's shutdown"):
                from litespan.callbacks.flush import flush

                await asyncio.to_thread(flush, DRAIN_SECONDS)
