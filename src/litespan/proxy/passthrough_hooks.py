"""Where litespan looks on as LiteLLM passes requests through."""

import asyncio
from collections.abc import Iterator, Mapping
from typing import Any, Final

from opentelemetry import context as otel_context

from litespan.errors import record_error, suppress_errors
from litespan.instrumentation.signals import Live
from litespan.instrumentation.start import LOGGING, REQUEST
from litespan.objects import as_text
from litespan.proxy.passthrough import Passing, call_arguments, close, streamed

ROOT: Final = "litellm.proxy.pass_through_endpoints"
Args = tuple[Any, ...]
Kwargs = dict[str, Any]
_KEY: Final = otel_context.create_key("litespan-pass-through")


def hooks(modules: Mapping[str, Any]) -> Iterator[tuple[Any, str, Any]]:
    """(place, name, wrapper) of each, as far as this LiteLLM has them. `modules`: those loaded."""
    endpoints = modules.get(f"{ROOT}.pass_through_endpoints")
    helpers = getattr(endpoints, "HttpPassThroughEndpointHelpers", None)
    answers = getattr(modules.get(f"{ROOT}.success_handler"), "PassThroughEndpointLogging", None)
    streams = getattr(modules.get(f"{ROOT}.streaming_handler"), "PassThroughStreamingHandler", None)
    yield endpoints, "pass_through_request", _passed
    yield modules.get("litellm.passthrough.main"), "llm_passthrough_route", _routed
    for prefix in ("", "_"):
        yield helpers, f"{prefix}init_kwargs_for_pass_through_endpoint", _prepared
        yield streams, f"{prefix}route_streaming_logging_to_handler", _logged
    yield answers, "pass_through_async_success_handler", _logged


async def _passed(wrapped: Any, _instance: Any, args: Args, kwargs: Kwargs) -> Any:
    """A request is passed through. Its call is current until the provider has answered."""
    passing = Passing()
    with suppress_errors("following a pass-through request"):
        passing.provider = as_text(kwargs.get("custom_llm_provider"))
    token = otel_context.attach(otel_context.set_value(_KEY, passing))
    try:
        response = await wrapped(*args, **kwargs)
        passing.answered(response)
        return response
    except asyncio.CancelledError as error:  # LiteLLM reports what is an `Exception`
        with suppress_errors("ending a pass-through call"):
            if passing.call is not None:
                passing.call.fail(error)
        raise
    finally:
        otel_context.detach(token)


def _prepared(wrapped: Any, _instance: Any, args: Args, kwargs: Kwargs) -> Any:
    """Limits and guardrails have let a request pass, and LiteLLM knows whose it is."""
    passing = otel_context.get_value(_KEY)
    if not isinstance(passing, Passing) or Live.signals is None:
        return wrapped(*args, **kwargs)
    body: dict[str, Any] = {}
    with suppress_errors("following a pass-through request"):
        body = dict(kwargs.get("_parsed_body") or {})  # LiteLLM takes its own fields out of it
    told = wrapped(*args, **kwargs)
    try:
        passing.follow(kwargs["logging_obj"], call_arguments(passing.provider, body, told))
    except Exception as problem:  # noqa: BLE001
        record_error("following a pass-through request", problem)
    return told


def _routed(wrapped: Any, _instance: Any, args: Args, kwargs: Kwargs) -> Any:
    """A request is passed through to a deployment of the router."""
    logging = kwargs.get(LOGGING)
    if logging is None or Live.signals is None:
        return wrapped(*args, **kwargs)
    passing = Passing()
    with suppress_errors("following a pass-through request"):
        asked = kwargs.get("json") or kwargs.get("data")
        body = {**asked} if isinstance(asked, Mapping) else {}
        told = {
            "litellm_call_id": getattr(logging, "litellm_call_id", None),
            "litellm_params": {
                "metadata": kwargs.get("litellm_metadata") or kwargs.get("metadata"),
                REQUEST: kwargs.get(REQUEST),
            },
        }
        provider = as_text(kwargs.get("custom_llm_provider"))
        arguments = call_arguments(provider, {**body, "model": kwargs.get("model")}, told)
        passing.follow(logging, arguments)
        passing.end_with_flush(logging)
    result = wrapped(*args, **kwargs)
    return passing.watched(result) if asyncio.iscoroutine(result) else result


def _logged(wrapped: Any, _instance: Any, args: Args, kwargs: Kwargs) -> Any:
    """LiteLLM is about to log an answer; a stream's last byte may still be on its way."""
    logging = kwargs.get("logging_obj") or kwargs.get("litellm_logging_obj")
    if "raw_bytes" in kwargs:
        with suppress_errors("reading the end of a stream that was passed through"):
            streamed(logging, kwargs["raw_bytes"])
    return _logging(wrapped, logging, args, kwargs)


async def _logging(wrapped: Any, logging: Any, args: Args, kwargs: Kwargs) -> Any:
    try:
        return await wrapped(*args, **kwargs)
    finally:  # it has logged a success, or has found that there is nothing to log
        with suppress_errors("ending a pass-through call"):
            close(logging)
