"""Pass-through routes: LiteLLM hands a client's request on as it is, and tells a logging object.

There is no function of LiteLLM's to wrap: a call begins where that object is told that the
provider is about to be called, and ends where it is told of the answer, which LiteLLM has read
by then as far as it knows the provider. Failures come by the proxy's own report of them.
"""

import asyncio
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlsplit
from weakref import WeakSet

from opentelemetry import context as otel_context

from litespan import semconv as s
from litespan.call.begin import LOGGING, REQUEST, begin
from litespan.call.client import CLIENT_KEY
from litespan.call.live import OWNER, Call
from litespan.call.telling import answered, failed, refusal_attributes, where_it_failed
from litespan.mapping.response import header_attributes, hidden_params, read_answer
from litespan.mapping.usage import read_usage, usage_attributes
from litespan.mapping.values import as_float, as_int, as_text, get
from litespan.patch import targets as t
from litespan.proxy.request import guardrail_of
from litespan.quiet import quiet, swallowed
from litespan.signals import Live

ROOT: Final = "litellm.proxy.pass_through_endpoints"
CALL_TYPE: Final = "pass_through_endpoint"
PASS_THROUGH: Final = t.Operation("litellm.pass_through")
# What a provider's path ends with → what the provider does.
_PATHS: Final[tuple[tuple[str, t.Operation], ...]] = (
    ("/chat/completions", t.CHAT),
    ("/completions", t.TEXT),
    ("/responses", t.CHAT),
    ("/messages", t.CHAT),
    ("/v2/chat", t.CHAT),
    (":generateContent", t.CHAT),
    (":streamGenerateContent", t.CHAT),
    ("/embeddings", t.EMBEDDINGS),
    ("/embed", t.EMBEDDINGS),
    (":embedContent", t.EMBEDDINGS),
    ("/images/generations", t.IMAGE),
    ("/images/edits", t.IMAGE),
    ("/audio/transcriptions", t.TRANSCRIPT),
    ("/audio/speech", t.SPEECH),
    ("/rerank", t.RERANK),
    ("/moderations", t.MODERATION),
)
_STREAMS: Final = (":streamGenerateContent", ":streamRawPredict")
Args = tuple[Any, ...]
Kwargs = dict[str, Any]

_KEY: Final = otel_context.create_key("litespan-pass-through")
_open: Final["WeakSet[Call]"] = WeakSet()


def operation(path: str) -> t.Operation:
    """What a provider does at `path`: one of the conventions' operations, or passing through."""
    return next((found for end, found in _PATHS if path.endswith(end)), PASS_THROUGH)


def call_arguments(
    url: str, provider: str | None, body: Mapping[str, Any], told: Mapping[str, Any]
) -> dict[str, Any]:
    """The arguments of a call of LiteLLM's that asks `url` for the same.

    `told` is what LiteLLM writes of the request for its logs: whose it is, and its id.
    """
    path = url.partition("?")[0]
    parameters = told.get("litellm_params") or {}
    own = body.get("litellm_metadata") or body.get("metadata")
    asked = parameters.get(REQUEST)
    arguments = {
        **body,
        "model": as_text(body.get("model")) or _model_in(path),
        "api_base": url,
        "custom_llm_provider": provider or _provider_in(as_text(get(asked, "url")) or ""),
        "litellm_call_id": told.get("litellm_call_id"),
        "litellm_metadata": None,
        "metadata": {
            **(parameters.get("metadata") or {}),
            "requester_metadata": own if isinstance(own, Mapping) else {},
        },
        REQUEST: asked,
    }
    if path.endswith(_STREAMS):
        arguments["stream"] = True
    return arguments


def _model_in(path: str) -> str:
    """The model in a path of Google's: `…/models/gemini-2.5-flash:generateContent`."""
    _, found, rest = path.rpartition("/models/")
    return rest.partition(":")[0].partition("/")[0] if found else ""


def _provider_in(url: str) -> str | None:
    """The provider whose route of the proxy's `url` is: `http://proxy/anthropic/v1/messages`."""
    name = urlsplit(url).path.split("/")[1:2]
    known = getattr(sys.modules.get("litellm"), "provider_list", ())
    return next((found for found in (n.replace("-", "_") for n in name) if found in known), None)


class Passing:
    """One request that is passed through, and its call, once the provider is called.

    Attributes:
        provider: LiteLLM's name of the provider, if the route is one's.
    """

    def __init__(self, provider: str | None) -> None:
        self.provider = provider
        self.call: Call | None = None

    def follow(self, logging: Any, url: str, arguments: dict[str, Any]) -> None:
        """Look on at what LiteLLM tells this request's logging object."""
        before_provider, succeeded = logging.pre_call, logging.async_success_handler

        def pre_call(*args: Any, **kwargs: Any) -> Any:
            with quiet("starting a pass-through call"):
                self._begin(url, {**arguments, LOGGING: logging})
            return before_provider(*args, **kwargs)

        async def async_success_handler(result: Any = None, *args: Any, **kwargs: Any) -> Any:
            with quiet("reading a pass-through answer"):
                self._succeed(logging, result, kwargs)
            return await succeeded(result, *args, **kwargs)

        logging.pre_call, logging.async_success_handler = pre_call, async_success_handler

    def _begin(self, url: str, arguments: dict[str, Any]) -> None:
        if self.call is not None:
            return
        target = t.Target(CALL_TYPE, operation(url.partition("?")[0]))
        call = begin(target, (), (), arguments)
        if isinstance(call, Call):
            self.call = call
            _open.add(call)
            otel_context.attach(call.context)  # until `_passed` puts its own back

    def answered(self, response: Any) -> None:
        """The provider has answered, or begun to, and the client is given that answer."""
        if self.call is not None and not self.call.ended:
            with quiet("reading a pass-through response's head"):
                head = header_attributes(response.status_code, dict(response.headers))
                self.call.stage(s.EVENT_POST, head)

    def _succeed(self, logging: Any, result: Any, told: Mapping[str, Any]) -> None:
        call = self.call
        if call is None or call.ended:
            return
        details = logging.model_call_details
        payload = details.get("passthrough_logging_payload") or {}
        if isinstance(result, Mapping) and payload.get("response_body"):
            result = payload["response_body"]  # LiteLLM could not read it
        cost = as_float(told.get("response_cost"))
        found = hidden_params(result)
        hidden = {
            **found,
            "response_cost": as_float(details.get("response_cost")) if cost is None else cost,
            "litellm_model_name": found.get("litellm_model_name") or "",  # no price of our own
        }
        answer = read_answer(call.request, result, hidden)
        if answer.usage is not None and hidden["response_cost"] is not None:
            answer.usage.cost = None  # LiteLLM's is in there
        attributes = answered(call, answer, {})
        client: Any = call.context.get(CLIENT_KEY)
        gone = client is not None and client.gone
        _take_times(call, told.get("end_time"), logging.completion_start_time)
        if call.request.streaming:
            attributes[s.STREAM_END] = "cancelled" if gone else "complete"
        if call.first_chunk is not None:
            attributes[s.TIME_TO_FIRST_CHUNK] = call.first_chunk - call.started
        call.end("cancelled" if gone else "success", attributes, answer=answer)


def _take_times(call: Call, ended: Any, first_byte: Any) -> None:
    """LiteLLM tells of an answer when it has logged it: the times are those that it noted."""
    begun = call.started_ns / 1e9
    if isinstance(ended, datetime):
        call.end_ns = max(int(ended.timestamp() * 1e9), call.started_ns)
        call.started = time.perf_counter() - (call.end_ns - call.started_ns) / 1e9
    if isinstance(first_byte, datetime) and call.request.streaming:
        call.first_chunk = call.started + max(first_byte.timestamp() - begun, 0.0)


def settle() -> None:
    """End the calls that LiteLLM has told nothing more of, as the proxy ends."""
    for call in list(_open):
        call.end("success", {})


def fail(data: Any, error: BaseException) -> None:
    """The proxy reports that the request behind `data` has failed."""
    logging: Any = data.get(LOGGING) if isinstance(data, Mapping) else None
    call = getattr(logging, OWNER, None)
    if not isinstance(call, Call) or call not in _open:
        return
    if guardrail_of(error):  # which did not like the provider's answer
        call.end("success", {})
        return
    failure = failed(call, error)
    refusal = getattr(sys.exc_info()[1], "response", None)  # what LiteLLM is reporting
    if refusal is not None:
        failure = replace(failure, code=as_int(getattr(refusal, "status_code", None)))
        call.stage(s.EVENT_POST, refusal_attributes(failure))
    attributes = where_it_failed(call)
    partial = read_usage(logging.model_call_details.get("combined_usage_object"))
    if partial is not None:  # the stream broke
        attributes.update(usage_attributes(partial))
    call.end("failure", attributes, failure=failure)


# --- where litespan looks on -----------------------------------------------------------


def hooks(modules: Mapping[str, Any]) -> Iterator[tuple[Any, str, Any]]:
    """(place, name, wrapper) of each, as far as this LiteLLM has them. `modules`: those loaded."""
    endpoints = modules.get(f"{ROOT}.pass_through_endpoints")
    helpers = getattr(endpoints, "HttpPassThroughEndpointHelpers", None)
    answers = getattr(modules.get(f"{ROOT}.success_handler"), "PassThroughEndpointLogging", None)
    streams = getattr(modules.get(f"{ROOT}.streaming_handler"), "PassThroughStreamingHandler", None)
    yield endpoints, "pass_through_request", _passed
    for prefix in ("", "_"):
        yield helpers, f"{prefix}init_kwargs_for_pass_through_endpoint", _prepared
        yield streams, f"{prefix}route_streaming_logging_to_handler", _logged
    yield answers, "pass_through_async_success_handler", _logged


async def _passed(wrapped: Any, _instance: Any, args: Args, kwargs: Kwargs) -> Any:
    """A request is passed through. Its call is current until the provider has answered."""
    passing = Passing(as_text(kwargs.get("custom_llm_provider")))
    token = otel_context.attach(otel_context.set_value(_KEY, passing))
    try:
        response = await wrapped(*args, **kwargs)
        passing.answered(response)
        return response
    except asyncio.CancelledError as error:  # LiteLLM reports what is an `Exception`
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
    body = dict(kwargs.get("_parsed_body") or {})  # LiteLLM takes its own fields out of it
    told = wrapped(*args, **kwargs)
    try:
        url = str(kwargs["passthrough_logging_payload"]["url"])
        arguments = call_arguments(url, passing.provider, body, told)
        passing.follow(kwargs["logging_obj"], url, arguments)
    except Exception as problem:  # noqa: BLE001
        swallowed("following a pass-through request", problem)
    return told


async def _logged(wrapped: Any, _instance: Any, args: Args, kwargs: Kwargs) -> Any:
    """LiteLLM has logged a success, or has found that there is nothing to log."""
    try:
        return await wrapped(*args, **kwargs)
    finally:
        call = getattr(kwargs.get("logging_obj") or kwargs.get("litellm_logging_obj"), OWNER, None)
        if isinstance(call, Call) and call in _open:
            call.end("success", {})
