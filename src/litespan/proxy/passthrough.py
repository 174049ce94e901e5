"""Pass-through routes: LiteLLM forwards a client's request unchanged and logs it.

There is no LiteLLM function to wrap. A call starts when LiteLLM's logging object receives
`pre_call` and ends when it receives the success, whose answer LiteLLM has parsed if it knows the
provider. Failures are reported by the proxy's failure hook.
"""

import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from opentelemetry import context as otel_context

from litespan import semconv as s
from litespan.errors import suppress_errors
from litespan.instrumentation.call import Call
from litespan.instrumentation.call_end import (
    answered_attributes,
    failed_server_attributes,
    refusal_attributes,
    to_failure,
)
from litespan.instrumentation.remote_client import CLIENT_KEY
from litespan.instrumentation.start import LOGGING, begin
from litespan.instrumentation.state import OWNER, STREAM_ENDS
from litespan.instrumentation.stream import is_stream
from litespan.mapping.paths import passed_on
from litespan.mapping.request import Attributes
from litespan.mapping.response import (
    Answer,
    error_in_body,
    header_attributes,
    hidden_params,
    json_of,
    read_answer,
)
from litespan.mapping.usage import read_usage, usage_attributes
from litespan.objects import as_float, as_int, as_text
from litespan.proxy.guardrails import guardrail_of
from litespan.proxy.passed_answers import native, note_error, open_calls, searched

CALL_TYPE: Final = "pass_through_endpoint"
_STREAMS: Final = (
    *(":streamGenerateContent", ":streamRawPredict"),
    *("/converse-stream", "/invoke-with-response-stream"),
)


def _model_in(path: str) -> str:
    """The model in a Google path: `…/models/gemini-2.5-flash:generateContent`."""
    _, found, rest = path.rpartition("/models/")
    return rest.partition(":")[0].partition("/")[0] if found else ""


class PassThrough:
    """One pass-through request and its call.

    Attributes:
        provider: LiteLLM's name of the provider, if known.
        call: set when the provider is called.
    """

    provider: str | None = None
    call: Call | None = None

    def wrap(self, logging: Any, arguments: dict[str, Any]) -> None:
        """Wrap the methods of the request's logging object that start and end the call."""
        before_provider, succeeded = logging.pre_call, logging.async_success_handler

        def pre_call(*args: Any, **kwargs: Any) -> Any:
            with suppress_errors("starting a pass-through call"):
                url = str(kwargs["additional_args"]["api_base"])
                self._begin(url, {**arguments, LOGGING: logging})
            return before_provider(*args, **kwargs)

        async def async_success_handler(result: Any = None, *args: Any, **kwargs: Any) -> Any:
            try:
                return await succeeded(result, *args, **kwargs)
            finally:  # now LiteLLM knows tokens and cost
                with suppress_errors("reading a pass-through response"):
                    await self._succeed(logging, result, kwargs)

        logging.pre_call, logging.async_success_handler = pre_call, async_success_handler

    def _begin(self, url: str, arguments: dict[str, Any]) -> None:
        if self.call is not None:
            return
        path = url.partition("?")[0]
        arguments["api_base"] = url
        arguments["model"] = as_text(arguments.get("model")) or _model_in(path)
        if path.endswith(_STREAMS):
            arguments["stream"] = True
        target = passed_on(CALL_TYPE, path)
        call = begin(target, (), (), arguments)
        if isinstance(call, Call):
            self.call = call
            open_calls[call] = ()
            otel_context.attach(call.context)  # until `_pass_through` detaches

    def answered(self, response: Any) -> None:
        """Record that the provider's response has started."""
        if self.call is not None and not self.call.ended:
            with suppress_errors("reading the head of a pass-through response"):
                head = header_attributes(response.status_code, dict(response.headers))
                self.call.stage(s.EVENT_POST, head)
            with suppress_errors("reading a pass-through response"):
                # LiteLLM logs the answer when the request may have ended already.
                note_error(self.call, error_in_body(getattr(response, "body", None)))

    async def awaited(self, sending: Any) -> Any:
        """Await the response of `sending`; an exception ends the call as a failure."""
        try:
            response = await sending
            with suppress_errors("reading a pass-through response"):
                self.answered(response)
                if self.call is not None and is_stream(response):
                    setattr(response, OWNER, self.call)  # `Stream` reports its end
            return response
        except BaseException as error:
            if self.call is not None and not self.call.ended:
                with suppress_errors("ending a pass-through call"):
                    _fail(self.call, error, error)
            raise

    def end_with_flush(self, logging: Any) -> None:
        """End the call when LiteLLM has logged a stream, also if LiteLLM could not parse it."""
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

    async def _succeed(self, logging: Any, result: Any, logged: Mapping[str, Any]) -> None:
        call = self.call
        if call is None or call.ended:
            return
        await searched(call)
        details = logging.model_call_details
        payload = details.get("passthrough_logging_payload") or {}
        if isinstance(result, Mapping) and payload.get("response_body"):
            result = payload["response_body"]  # LiteLLM could not parse it
        elif hasattr(result, "json"):
            result = json_of(result)
        cost = as_float(logged.get("response_cost"))
        found = hidden_params(result)
        hidden = {
            **found,
            "response_cost": as_float(details.get("response_cost")) if cost is None else cost,
            "litellm_model_name": found.get("litellm_model_name") or "",  # no estimate of our own
        }
        answer = read_answer(call.request, result, hidden)
        if answer.usage is None:
            answer.usage = read_usage(details.get("standard_logging_object"))
        if answer.usage is None:  # LiteLLM does not know the format
            answer = await native(call, answer)
        if answer.usage is not None and hidden["response_cost"] is not None:
            answer.usage.cost = None  # `response_cost` replaces it
        attributes = answered_attributes(call, answer, {})
        _set_times(call, logged.get("end_time"), logging.completion_start_time)
        if call.first_chunk is not None:
            attributes[s.TIME_TO_FIRST_CHUNK] = call.first_chunk - call.started
        if answer.error is not None and call.failure is None:
            call.failure = to_failure(call, answer.error)
        _end(call, attributes, answer)


def _end(call: Call, attributes: Attributes | None = None, answer: Answer | None = None) -> None:
    """End a call whose response is complete, or was until the client disconnected."""
    client: Any = call.context.get(CLIENT_KEY)
    how = "cancelled" if client is not None and client.gone else "complete"
    if call.failure is not None:
        how = "error"
    ends = {s.STREAM_END: how} if call.request.streaming else {}
    call.end(STREAM_ENDS[how], {**(attributes or {}), **ends}, answer=answer, failure=call.failure)


def _set_times(call: Call, ended: Any, first_byte: Any) -> None:
    """Use the times that LiteLLM recorded: it reports a response later, when it is logged."""
    started = call.started_ns / 1e9
    if isinstance(ended, datetime):
        call.end_ns = max(int(ended.timestamp() * 1e9), call.started_ns)
        call.started = time.perf_counter() - (call.end_ns - call.started_ns) / 1e9
    if isinstance(first_byte, datetime) and call.request.streaming:
        call.first_chunk = call.started + max(first_byte.timestamp() - started, 0.0)


def close(logging: Any) -> None:
    """End the call after LiteLLM has logged a success or found nothing to log."""
    call = getattr(logging, OWNER, None)
    if isinstance(call, Call) and call in open_calls:
        _end(call)


def end_all() -> None:
    """End the open calls when the proxy shuts down."""
    for call in list(open_calls):
        call.end("success", {})


def fail(data: Any, error: BaseException) -> None:
    """End the call of the failed request whose arguments are `data`."""
    logging: Any = data.get(LOGGING) if isinstance(data, Mapping) else None
    call = getattr(logging, OWNER, None)
    if not isinstance(call, Call) or call not in open_calls:
        return
    if guardrail_of(error):  # it rejected the response: the provider's call succeeded
        call.end("success", {})
        return
    _fail(call, error, sys.exc_info()[1])  # the current exception has the provider's response


def _fail(call: Call, error: BaseException, refusal: Any) -> None:
    """End the call with `error`; `refusal` may have the provider's response."""
    failure = to_failure(call, error)
    response = getattr(refusal, "response", None)
    if response is not None:
        failure = replace(failure, code=as_int(getattr(response, "status_code", None)))
        call.stage(s.EVENT_POST, refusal_attributes(failure))
    attributes = failed_server_attributes(call)
    partial = read_usage(call.logging.model_call_details.get("combined_usage_object"))
    if partial is not None:  # the stream failed
        attributes.update(usage_attributes(partial))
    call.end("failure", attributes, failure=failure)
