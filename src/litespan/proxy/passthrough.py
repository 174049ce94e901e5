"""Pass-through routes: LiteLLM hands a client's request on as it is, and tells a logging object.

There is no function of LiteLLM's to wrap: a call begins where that object is told that the
provider is about to be called, and ends where it is told of the answer, which LiteLLM has read
by then as far as it knows the provider. Failures come by the proxy's own report of them.
"""

import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlsplit
from weakref import WeakSet

from opentelemetry import context as otel_context

from litespan import semconv as s
from litespan.errors import suppress_errors
from litespan.instrumentation.call import Call
from litespan.instrumentation.call_end import answered, failed, refusal_attributes, where_it_failed
from litespan.instrumentation.remote_client import CLIENT_KEY
from litespan.instrumentation.start import LOGGING, REQUEST, begin
from litespan.instrumentation.state import OWNER, STREAM_ENDS
from litespan.instrumentation.stream import is_stream
from litespan.mapping import targets as t
from litespan.mapping.chunks import error_in
from litespan.mapping.request import Attributes
from litespan.mapping.response import (
    Answer,
    error_in_body,
    header_attributes,
    hidden_params,
    read_answer,
)
from litespan.mapping.usage import read_usage, usage_attributes
from litespan.objects import as_float, as_int, as_text, get
from litespan.proxy.guardrails import guardrail_of

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
    ("/converse", t.CHAT),
    ("/converse-stream", t.CHAT),
    ("/images/generations", t.IMAGE),
    ("/images/edits", t.IMAGE),
    ("/audio/transcriptions", t.TRANSCRIPT),
    ("/audio/speech", t.SPEECH),
    ("/rerank", t.RERANK),
    ("/moderations", t.MODERATION),
)
_STREAMS: Final = (":streamGenerateContent", ":streamRawPredict")

_open: Final["WeakSet[Call]"] = WeakSet()


def operation(path: str) -> t.Operation:
    """What a provider does at `path`: one of the conventions' operations, or passing through."""
    return next((found for end, found in _PATHS if path.endswith(end)), PASS_THROUGH)


def call_arguments(
    provider: str | None, body: Mapping[str, Any], told: Mapping[str, Any]
) -> dict[str, Any]:
    """The arguments of a call of LiteLLM's that asks for the same.

    `told` is what LiteLLM writes of the request for its logs: whose it is, and its id.
    """
    parameters = told.get("litellm_params") or {}
    own = body.get("litellm_metadata") or body.get("metadata")
    asked = parameters.get(REQUEST)
    return {
        **body,
        "custom_llm_provider": provider or _provider_in(as_text(get(asked, "url")) or ""),
        "litellm_call_id": told.get("litellm_call_id"),
        "litellm_metadata": None,
        "metadata": {
            **(parameters.get("metadata") or {}),
            "requester_metadata": own if isinstance(own, Mapping) else {},
        },
        REQUEST: asked,
    }


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
        provider: LiteLLM's name of the provider, if LiteLLM names it.
        call: as soon as the provider is called.
    """

    provider: str | None = None
    call: Call | None = None

    def follow(self, logging: Any, arguments: dict[str, Any]) -> None:
        """Look on at what LiteLLM tells this request's logging object."""
        before_provider, succeeded = logging.pre_call, logging.async_success_handler

        def pre_call(*args: Any, **kwargs: Any) -> Any:
            with suppress_errors("starting a pass-through call"):
                url = str(kwargs["additional_args"]["api_base"])
                self._begin(url, {**arguments, LOGGING: logging})
            return before_provider(*args, **kwargs)

        async def async_success_handler(result: Any = None, *args: Any, **kwargs: Any) -> Any:
            try:
                return await succeeded(result, *args, **kwargs)
            finally:  # LiteLLM knows tokens and cost by now
                with suppress_errors("reading a pass-through answer"):
                    self._succeed(logging, result, kwargs)

        logging.pre_call, logging.async_success_handler = pre_call, async_success_handler

    def _begin(self, url: str, arguments: dict[str, Any]) -> None:
        if self.call is not None:
            return
        path = url.partition("?")[0]
        arguments["api_base"] = url
        arguments["model"] = as_text(arguments.get("model")) or _model_in(path)
        if path.endswith(_STREAMS):
            arguments["stream"] = True
        target = t.Target(CALL_TYPE, operation(path))
        call = begin(target, (), (), arguments)
        if isinstance(call, Call):
            self.call = call
            _open.add(call)
            otel_context.attach(call.context)  # until `_passed` puts its own back

    def answered(self, response: Any) -> None:
        """The provider has answered, or begun to, and the client is given that answer."""
        if self.call is not None and not self.call.ended:
            with suppress_errors("reading a pass-through response's head"):
                head = header_attributes(response.status_code, dict(response.headers))
                self.call.stage(s.EVENT_POST, head)
            with suppress_errors("reading a pass-through response"):
                # LiteLLM logs the answer when the request may have ended already.
                _note_error(self.call, error_in_body(getattr(response, "body", None)))

    async def watched(self, sending: Any) -> Any:
        """What `sending` the request brings; if it fails, the call has failed."""
        try:
            response = await sending
            with suppress_errors("reading a pass-through response"):
                self.answered(response)
                if self.call is not None and is_stream(response):
                    setattr(response, OWNER, self.call)  # LiteLLM reads it, and tells of its end
            return response
        except BaseException as error:
            if self.call is not None and not self.call.ended:
                with suppress_errors("ending a pass-through call"):
                    _fail(self.call, error, error)
            raise

    def end_with_flush(self, logging: Any) -> None:
        """End with a stream that LiteLLM has read, also where it has found nothing in it."""
        flush = logging.async_flush_passthrough_collected_chunks

        async def flushed(*args: Any, **kwargs: Any) -> Any:
            ended = time.time_ns()
            try:
                return await flush(*args, **kwargs)
            finally:
                with suppress_errors("ending a pass-through call"):
                    if self.call is not None and not self.call.ended:
                        self.call.end_ns = ended
                        _end(self.call)

        logging.async_flush_passthrough_collected_chunks = flushed

    def _succeed(self, logging: Any, result: Any, told: Mapping[str, Any]) -> None:
        call = self.call
        if call is None or call.ended:
            return
        details = logging.model_call_details
        payload = details.get("passthrough_logging_payload") or {}
        if isinstance(result, Mapping) and payload.get("response_body"):
            result = payload["response_body"]  # LiteLLM could not read it
        elif hasattr(result, "json"):
            result = _json_of(result)
        cost = as_float(told.get("response_cost"))
        found = hidden_params(result)
        hidden = {
            **found,
            "response_cost": as_float(details.get("response_cost")) if cost is None else cost,
            "litellm_model_name": found.get("litellm_model_name") or "",  # no price of our own
        }
        answer = read_answer(call.request, result, hidden)
        if answer.usage is None:
            answer.usage = read_usage(details.get("standard_logging_object"))
        if answer.usage is not None and hidden["response_cost"] is not None:
            answer.usage.cost = None  # LiteLLM's is in there
        attributes = answered(call, answer, {})
        _take_times(call, told.get("end_time"), logging.completion_start_time)
        if call.first_chunk is not None:
            attributes[s.TIME_TO_FIRST_CHUNK] = call.first_chunk - call.started
        if answer.error is not None and call.failure is None:
            call.failure = failed(call, answer.error)
        _end(call, attributes, answer)


def _end(call: Call, attributes: Attributes | None = None, answer: Answer | None = None) -> None:
    """End a call that the provider has answered to its end, or until the client was gone."""
    client: Any = call.context.get(CLIENT_KEY)
    how = "cancelled" if client is not None and client.gone else "complete"
    if call.failure is not None:
        how = "error"
    ends = {s.STREAM_END: how} if call.request.streaming else {}
    call.end(STREAM_ENDS[how], {**(attributes or {}), **ends}, answer=answer, failure=call.failure)


def _json_of(response: Any) -> Any:
    """The JSON of an HTTP response, if it is an object."""
    try:
        found = response.json()
    except Exception:  # noqa: BLE001 - anything may come from a provider
        return {}
    return found if isinstance(found, Mapping) else {}


def _take_times(call: Call, ended: Any, first_byte: Any) -> None:
    """LiteLLM tells of an answer when it has logged it: the times are those that it noted."""
    begun = call.started_ns / 1e9
    if isinstance(ended, datetime):
        call.end_ns = max(int(ended.timestamp() * 1e9), call.started_ns)
        call.started = time.perf_counter() - (call.end_ns - call.started_ns) / 1e9
    if isinstance(first_byte, datetime) and call.request.streaming:
        call.first_chunk = call.started + max(first_byte.timestamp() - begun, 0.0)


def close(logging: Any) -> None:
    """LiteLLM has logged a success, or has found that there is nothing to log."""
    call = getattr(logging, OWNER, None)
    if isinstance(call, Call) and call in _open:
        _end(call)


def streamed(logging: Any, chunks: Any) -> None:
    """A stream has ended, and nothing has been logged yet: look whether it reports an error."""
    call = getattr(logging, OWNER, None)
    if isinstance(call, Call) and call in _open and isinstance(chunks, (list, tuple)):
        _note_error(call, error_in(chunks))


def _note_error(call: Call, error: Any) -> None:
    """`call` fails if the answer reports an error; so does the request that it is for."""
    call.failure = None if error is None else failed(call, error)
    call.answered(call.failure)


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
    _fail(call, error, sys.exc_info()[1])  # the other is what LiteLLM is reporting


def _fail(call: Call, error: BaseException, refusal: Any) -> None:
    """End with `error`; `refusal` holds the provider's response if that was it."""
    failure = failed(call, error)
    response = getattr(refusal, "response", None)
    if response is not None:
        failure = replace(failure, code=as_int(getattr(response, "status_code", None)))
        call.stage(s.EVENT_POST, refusal_attributes(failure))
    attributes = where_it_failed(call)
    partial = read_usage(call.logging.model_call_details.get("combined_usage_object"))
    if partial is not None:  # the stream broke
        attributes.update(usage_attributes(partial))
    call.end("failure", attributes, failure=failure)
