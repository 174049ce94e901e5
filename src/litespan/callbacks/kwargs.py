"""A LiteLLM call as handlers see it: `kwargs` and `response_obj` as LiteLLM passes them.

Messages, response and exception are the real ones: capture settings apply to telemetry only.
"""

import sys
import traceback
import uuid
from collections.abc import Mapping
from threading import Lock
from typing import TYPE_CHECKING, Any, Final

from litespan import semconv as s
from litespan.callbacks.copying import (
    copied,
    copied_arguments,
    is_credential,
    jsonable,
    keywords,
    request_of_proxy,
)
from litespan.callbacks.handler import STAGE_ROWS, STAGES
from litespan.callbacks.view import HandlerArguments, local_time
from litespan.errors import suppress_errors
from litespan.instrumentation.deferred_answer import UnreadAnswer
from litespan.instrumentation.stages import Stage
from litespan.mapping.assembling import Assembled
from litespan.mapping.failures import Failure
from litespan.mapping.response import Answer
from litespan.objects import get
from litespan.redaction.text import scrub

if TYPE_CHECKING:
    from litespan.instrumentation.call import Call

# What LiteLLM left in a dict that the caller reuses for another call.
_STALE: Final = frozenset({"hidden_params", "llm_api_timing_windows"})
_TEXTS: Final = ("input", "prompt", "query")
# Fields of LiteLLM's `model_call_details` that are passed on unchanged.
_PASSED_ON: Final = ("model", "custom_llm_provider", "litellm_trace_id", "api_call_start_time")
_UNSET: Final = object()


class CallView:
    """One live call. Its arguments are copied at its start: the caller may change them later."""

    _call_id = ""
    _response: Any = _UNSET
    _payload: Any = _UNSET
    _metadata: Any = None

    def __init__(self, call: "Call") -> None:
        self._call = call
        request = call.request
        self.asynchronous = request.target.asynchronous
        self._copies = copies = copied_arguments(request.arguments)
        if request.metadata and (
            "metadata" not in copies or "litellm_metadata" in request.arguments
        ):
            self._metadata = copied(request.metadata)

    @property
    def _lock(self) -> Any:
        """Made by the first handler that needs it, not on the caller's thread."""
        return self.__dict__.setdefault("lock", Lock())  # atomic

    @property
    def _arguments(self) -> dict[str, Any]:
        """The arguments at the start of the call."""
        return {**self._call.request.arguments, **self._copies}

    @property
    def call_id(self) -> str:
        """LiteLLM's call id, or a new one if LiteLLM had not created one yet."""
        if not self._call_id:
            self._call_id = self._call.call_id or str(uuid.uuid4())
        return self._call_id

    def keywords(self) -> dict[str, Any]:
        """See `View.keywords`: what is the same at every stage."""
        call = self._call
        request = call.request
        copies = keywords(self._arguments)
        metadata = _mapping(self._metadata or self._copies.get("metadata"))
        model = _mapping(copies.get("model_info")) or _mapping(metadata.get("model_info"))
        litellm_params: dict[str, Any] = {
            "metadata": {k: v for k, v in jsonable(metadata).items() if k not in _STALE},
            "model_info": jsonable(model),
        }
        proxied = request_of_proxy(copies.pop("proxy_server_request", None))
        if proxied is not None:
            litellm_params["proxy_server_request"] = proxied
        return {
            **copies,
            "model": request.model,
            "messages": messages_of(copies),
            "user": copies.get("user") or call.attributes.get(s.USER_ID),
            "stream": request.streaming,
            "call_type": request.target.call_type,
            "litellm_call_id": self.call_id,
            "litellm_params": litellm_params,
            "optional_params": {},
            "start_time": local_time(call.started_ns),
        }

    def arguments(self, stage: Stage) -> HandlerArguments:
        """See `View.arguments`: what LiteLLM and the provider have returned at that stage."""
        name, details = STAGES[stage.name], stage.details
        call = self._call
        start, end = local_time(call.started_ns), local_time(stage.time_ns)
        added: dict[str, Any] = {
            "log_event_type": STAGE_ROWS[name].event_type,
            **{name: details[name] for name in _PASSED_ON if details.get(name) is not None},
        }
        if "optional_params" in details:
            added["optional_params"] = keywords(_mapping(details["optional_params"]))
        with suppress_errors("reading LiteLLM's details of a call"):
            added.update(_sent(details))
        if name != "pre":
            added["end_time"] = end
            added.update(_received(details))
        parameters = _scalars(details.get("litellm_params"))
        if name in ("pre", "post", "stream"):
            return HandlerArguments(added, parameters, stage.payload, start, end)
        added["completion_start_time"] = end
        if call.first_chunk is not None:
            first_ns = call.started_ns + int((call.first_chunk - call.started) * 1e9)
            added["completion_start_time"] = local_time(first_ns)
        response: Any = None
        if name == "failure":
            added.update(_failed(stage.payload))
        else:
            response = self._response_of(stage.payload)
            added.update(_succeeded(stage))
            if call.request.streaming:
                added["complete_streaming_response"] = response
                added["async_complete_streaming_response"] = response
        arguments = HandlerArguments(added, parameters, response, start, end)
        payload = self._logging_payload_of(stage, arguments)
        if payload is not None:
            added["standard_logging_object"] = copied(payload)
        return arguments

    def _logging_payload_of(self, stage: Stage, arguments: HandlerArguments) -> Any:
        """LiteLLM's `standard_logging_object`, or None."""
        with self._lock:  # handlers share it: it costs as much as all other arguments
            if self._payload is _UNSET:
                self._payload = None
                with suppress_errors("building LiteLLM's standard_logging_object"):
                    self._payload = _logging_payload(self._call, stage, arguments)
            return self._payload

    def _response_of(self, answer: Any) -> Any:
        """The real response; for a stream that was not read to its end, the part that was read."""
        raw = None if answer is None else answer.raw
        if isinstance(raw, Assembled) and raw.whole is not None:
            raw = raw.whole
        if not isinstance(raw, Assembled):
            return raw
        with self._lock:  # handlers share it
            if self._response is _UNSET:
                self._response = None
                with suppress_errors("assembling a stream"):
                    self._response = _assembled(raw, answer, messages_of(self._arguments))
            return self._response


def messages_of(arguments: Mapping[str, Any]) -> Any:
    """The messages of a call; other input text as messages, as LiteLLM does."""
    messages = arguments.get("messages")
    if messages is not None:
        return messages
    text = next((arguments[name] for name in _TEXTS if arguments.get(name)), None)
    if text is None:
        return []
    texts = text if isinstance(text, list) else [text]
    return [
        each if isinstance(each, Mapping) else {"role": "user", "content": each} for each in texts
    ]


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _scalars(parameters: Any) -> dict[str, Any]:
    """LiteLLM's own parameters of the call that are scalars and not credentials."""
    found = {
        name: value
        for name, value in dict(_mapping(parameters)).items()
        if isinstance(value, (str, bool, int, float)) and not is_credential(name)
    }
    if "api_base" in found:
        found["api_base"] = scrub(str(found["api_base"]))
    return found


def _sent(details: Mapping[str, Any]) -> dict[str, Any]:
    """What LiteLLM sent to the provider."""
    arguments = details.get("additional_args")
    sent = get(arguments, "complete_input_dict")
    added: dict[str, Any] = {}
    if sent is not None:
        added["complete_input_dict"] = keywords(sent) if isinstance(sent, Mapping) else sent
    base = get(arguments, "api_base") or get(details.get("litellm_params"), "api_base")
    if base:
        added["api_base"] = scrub(str(base))
    found: dict[str, Any] = {"additional_args": added} if added else {}
    if details.get("input") is not None:  # text or messages in the provider's format
        found["input"] = copied(details["input"])
    return found


def _received(details: Mapping[str, Any]) -> dict[str, Any]:
    """The provider's raw response."""
    added: dict[str, Any] = {}
    if isinstance(details.get("original_response"), str):
        added["original_response"] = details["original_response"]
    headers = details.get("response_headers")
    if isinstance(headers, Mapping):
        added["response_headers"] = jsonable(headers)
    return added


def _succeeded(stage: Stage) -> dict[str, Any]:
    """Cost, and whether LiteLLM's response cache had the answer."""
    answer, attributes = stage.payload, stage.attributes
    added: dict[str, Any] = {}
    if isinstance(answer, UnreadAnswer):
        attributes = answer.attributes()
    cost = attributes.get(s.COST)
    if cost is not None:
        added["response_cost"] = float(cost)
    if answer is not None:
        added["cache_hit"] = answer.cache_hit
    return added


def _failed(failure: Failure) -> dict[str, Any]:
    error = failure.error or ConnectionError(failure.message)
    return {
        "exception": error,
        "traceback_exception": "".join(
            traceback.format_exception(type(error), error, error.__traceback__)
        ),
        "response_cost": 0.0,
    }


def _assembled(raw: Assembled, answer: Answer, messages: Any) -> Any:
    """The chunks as LiteLLM assembles them, with the same token counts as the span."""
    litellm: Any = sys.modules["litellm"]
    response = litellm.stream_chunk_builder(list(raw.chunks), messages=messages)
    usage = answer.usage
    if response is not None and usage is not None:
        sent, received = usage.input or 0, usage.output or 0
        response.usage = litellm.Usage(
            prompt_tokens=sent, completion_tokens=received, total_tokens=sent + received
        )
    return response


def _logging_payload(call: "Call", stage: Stage, arguments: HandlerArguments) -> Any:
    """LiteLLM's own `StandardLoggingPayload`; None if LiteLLM has no logging object yet.

    LiteLLM builds its own later, in the background, and for every attempt.
    """
    name = "litellm.litellm_core_utils.litellm_logging"
    build = getattr(sys.modules.get(name), "get_standard_logging_object_payload", None)
    if build is None or call.logging is None or not stage.details:
        return None
    failed = STAGES[stage.name] == "failure"
    error = arguments.added.get("exception")
    return build(
        kwargs={**stage.details, "response_cost": arguments.added.get("response_cost")},
        init_response_obj={} if arguments.response_obj is None else arguments.response_obj,
        start_time=arguments.start_time,
        end_time=arguments.end_time,
        logging_obj=call.logging,
        status="failure" if failed else "success",
        **({"original_exception": error, "error_str": str(error)} if failed else {}),
    )
