"""The hooks for LiteLLM's pass-through routes."""

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import aclosing, contextmanager
from typing import Any, Final
from urllib.parse import urlsplit

from opentelemetry import context as otel_context

from litespan.errors import record_error, suppress_errors
from litespan.instrumentation.options import REQUEST
from litespan.instrumentation.signals import Live
from litespan.instrumentation.start import LOGGING
from litespan.instrumentation.state import OWNER
from litespan.mapping.passed import Tail
from litespan.objects import as_text, get
from litespan.proxy.passed_answers import received, searched, streamed
from litespan.proxy.passthrough import PassThrough, close

ROOT: Final = "litellm.proxy.pass_through_endpoints"
Args = tuple[Any, ...]
Kwargs = dict[str, Any]
# Streams that LiteLLM passes on without keeping their bytes. Other such answers are files.
_STREAMS: Final = ("application/vnd.amazon.eventstream", "ndjson", "jsonlines", "json-seq")
_KEY: Final = otel_context.create_key("litespan-pass-through")


def hooks(modules: Mapping[str, Any]) -> Iterator[tuple[Any, str, Any]]:
    """(owner, name, wrapper) of each hook; owners that this LiteLLM lacks are None."""
    endpoints = modules.get(f"{ROOT}.pass_through_endpoints")
    helpers = getattr(endpoints, "HttpPassThroughEndpointHelpers", None)
    answers = getattr(modules.get(f"{ROOT}.success_handler"), "PassThroughEndpointLogging", None)
    streams = getattr(modules.get(f"{ROOT}.streaming_handler"), "PassThroughStreamingHandler", None)
    yield endpoints, "pass_through_request", _pass_through
    yield endpoints, "_relay_passthrough_response_bytes", _relay
    for name in ("pass_through_endpoints", "llm_passthrough_endpoints"):
        yield modules.get(f"{ROOT}.{name}"), "websocket_passthrough_request", _websocket
    yield modules.get("litellm.passthrough.main"), "llm_passthrough_route", _router_pass_through
    for prefix in ("", "_"):
        yield helpers, f"{prefix}init_kwargs_for_pass_through_endpoint", _before_provider
        yield streams, f"{prefix}route_streaming_logging_to_handler", _log_response
    yield streams, "chunk_processor", _relay_and_log
    yield answers, "pass_through_async_success_handler", _log_response


async def _pass_through(wrapped: Any, _instance: Any, args: Args, kwargs: Kwargs) -> Any:
    """Around one pass-through request. Its call is current until the provider has answered."""
    request = PassThrough()
    with suppress_errors("tracing a pass-through request"):
        request.provider = as_text(kwargs.get("custom_llm_provider"))
    with _current(request, asyncio.CancelledError):  # LiteLLM reports `Exception`s itself
        response = await wrapped(*args, **kwargs)
        request.answered(response)
    return response


async def _websocket(wrapped: Any, _instance: Any, args: Args, kwargs: Kwargs) -> Any:
    """Around one pass-through WebSocket. LiteLLM logs it as one request when it has ended."""
    with _current(PassThrough(), BaseException):  # LiteLLM reports those of the provider itself
        return await wrapped(*args, **kwargs)


@contextmanager
def _current(request: PassThrough, ends: type[BaseException]) -> Iterator[None]:
    """Within the block `request` is current; an exception of type `ends` ends its call."""
    token = otel_context.attach(otel_context.set_value(_KEY, request))
    try:
        yield
    except ends as error:
        with suppress_errors("ending a pass-through call"):
            if request.call is not None:
                request.call.fail(error)
        raise
    finally:
        otel_context.detach(token)


def _before_provider(wrapped: Any, _instance: Any, args: Args, kwargs: Kwargs) -> Any:
    """After limits and guardrails: LiteLLM builds the logging fields of a request."""
    request = otel_context.get_value(_KEY)
    if not isinstance(request, PassThrough) or Live.signals is None:
        return wrapped(*args, **kwargs)
    body: dict[str, Any] = {}
    with suppress_errors("tracing a pass-through request"):
        body = dict(kwargs.get("_parsed_body") or {})  # LiteLLM removes its own fields
    logged = wrapped(*args, **kwargs)
    try:
        request.wrap(kwargs["logging_obj"], _call_arguments(request.provider, body, logged))
    except Exception as problem:  # noqa: BLE001
        record_error("tracing a pass-through request", problem)
    return logged


def _router_pass_through(wrapped: Any, _instance: Any, args: Args, kwargs: Kwargs) -> Any:
    """A pass-through request to a deployment of the router."""
    logging = kwargs.get(LOGGING)
    if logging is None or Live.signals is None:
        return wrapped(*args, **kwargs)
    request = PassThrough()
    with suppress_errors("tracing a pass-through request"):
        sent = kwargs.get("json") or kwargs.get("data")
        body = {**sent} if isinstance(sent, Mapping) else {}
        logged = {
            "litellm_call_id": getattr(logging, "litellm_call_id", None),
            "litellm_params": {
                "metadata": kwargs.get("litellm_metadata") or kwargs.get("metadata"),
                REQUEST: kwargs.get(REQUEST),
            },
        }
        provider = as_text(kwargs.get("custom_llm_provider"))
        arguments = _call_arguments(provider, {**body, "model": kwargs.get("model")}, logged)
        request.wrap(logging, arguments)
        request.end_with_flush(logging)
    result = wrapped(*args, **kwargs)
    return request.awaited(result) if asyncio.iscoroutine(result) else result


def _log_response(wrapped: Any, _instance: Any, args: Args, kwargs: Kwargs) -> Any:
    """Before LiteLLM logs a response; the client may not have a stream's last byte yet."""
    logging = kwargs.get("logging_obj") or kwargs.get("litellm_logging_obj")
    if "raw_bytes" in kwargs:
        with suppress_errors("reading the end of a pass-through stream"):
            streamed(logging, kwargs["raw_bytes"])
    elif "httpx_response" in kwargs:
        with suppress_errors("reading a pass-through response"):
            response = kwargs["httpx_response"]
            if getattr(response, "is_closed", False) and hasattr(response, "_content"):
                received(logging, (response.content,))
    return _close_after(wrapped, logging, args, kwargs)


def _relay(wrapped: Any, _instance: Any, args: Args, kwargs: Kwargs) -> Any:
    """LiteLLM passes on an answer that is not JSON, without keeping it."""
    chunks = wrapped(*args, **kwargs)
    with suppress_errors("reading a pass-through stream"):
        kind = str(kwargs["response"].headers.get("content-type", "")).lower()
        tail, logging = Tail(), kwargs["logging_obj"]
        if any(name in kind for name in _STREAMS) and received(logging, tail):
            return _kept(chunks, tail, logging)
    return chunks


async def _kept(chunks: Any, tail: Tail, logging: Any) -> AsyncIterator[bytes]:
    async with aclosing(chunks):
        async for chunk in chunks:
            tail.add(chunk)
            yield chunk
    with suppress_errors("reading the end of a pass-through stream"):
        streamed(logging, list(tail))
        await searched(getattr(logging, OWNER, None))


def _relay_and_log(wrapped: Any, _instance: Any, args: Args, kwargs: Kwargs) -> Any:
    """LiteLLM passes on a stream, keeps it and logs it at its end."""
    chunks = wrapped(*args, **kwargs)
    with suppress_errors("reading a pass-through stream"):
        kind = str(kwargs["response"].headers.get("content-type", "")).lower()
        if "text/event-stream" not in kind:  # of those, only the end is searched
            return _until_searched(chunks, kwargs["litellm_logging_obj"])
    return chunks


async def _until_searched(chunks: Any, logging: Any) -> AsyncIterator[bytes]:
    async with aclosing(chunks):
        async for chunk in chunks:
            yield chunk
    await searched(getattr(logging, OWNER, None))


async def _close_after(wrapped: Any, logging: Any, args: Args, kwargs: Kwargs) -> Any:
    try:
        return await wrapped(*args, **kwargs)
    finally:
        with suppress_errors("ending a pass-through call"):
            close(logging)


def _call_arguments(
    provider: str | None, body: Mapping[str, Any], logged: Mapping[str, Any]
) -> dict[str, Any]:
    """The arguments of an equivalent LiteLLM call.

    `logged` has LiteLLM's logging fields of the request: its identity and call id.
    """
    parameters = logged.get("litellm_params") or {}
    own = body.get("litellm_metadata") or body.get("metadata")
    request = parameters.get(REQUEST)
    return {
        **body,
        "custom_llm_provider": provider or _provider_in(as_text(get(request, "url")) or ""),
        "litellm_call_id": logged.get("litellm_call_id"),
        "litellm_metadata": None,
        "metadata": {
            **(parameters.get("metadata") or {}),
            "requester_metadata": own if isinstance(own, Mapping) else {},
        },
        REQUEST: request,
    }


def _provider_in(url: str) -> str | None:
    """The provider in a URL of the proxy such as `http://proxy/anthropic/v1/messages`."""
    name = urlsplit(url).path.removeprefix("/").partition("/")[0].replace("-", "_")
    return name if name in getattr(sys.modules.get("litellm"), "provider_list", ()) else None
