"""A LiteLLM call in this process as its handlers see it."""

import uuid
from collections.abc import Callable
from threading import Lock
from typing import TYPE_CHECKING, Any, Final

from litespan import semconv as s
from litespan.callbacks.copying import (
    copied,
    copied_arguments,
    jsonable,
    keywords,
    request_of_proxy,
)
from litespan.callbacks.handler import STAGE_ROWS, STAGES
from litespan.callbacks.kwargs import (
    assembled,
    failed,
    logging_payload,
    mapping,
    messages_of,
    received,
    scalars,
    sent,
    succeeded,
)
from litespan.callbacks.view import HandlerArguments, local_time
from litespan.errors import suppress_errors
from litespan.instrumentation.stages import Stage
from litespan.mapping.assembling import Assembled

if TYPE_CHECKING:
    from litespan.instrumentation.call import Call

# What LiteLLM left in a dict that the caller reuses for another call.
_STALE: Final = frozenset({"hidden_params", "llm_api_timing_windows"})
# Fields of LiteLLM's `model_call_details` that are passed on unchanged.
_PASSED_ON: Final = ("model", "custom_llm_provider", "litellm_trace_id", "api_call_start_time")


class CallView:
    """One live call. Its arguments are copied at its start: the caller may change them later."""

    _call_id = ""
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
        metadata = mapping(self._metadata or self._copies.get("metadata"))
        model = mapping(copies.get("model_info")) or mapping(metadata.get("model_info"))
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
            added["optional_params"] = keywords(mapping(details["optional_params"]))
        with suppress_errors("reading LiteLLM's details of a call"):
            added.update(sent(details))
        if name != "pre":
            added["end_time"] = end
            added.update(received(details))
        parameters = scalars(details.get("litellm_params"))
        if name in ("pre", "post", "stream"):
            return HandlerArguments(added, parameters, stage.payload, start, end)
        added["completion_start_time"] = end
        if call.first_chunk is not None:
            first_ns = call.started_ns + int((call.first_chunk - call.started) * 1e9)
            added["completion_start_time"] = local_time(first_ns)
        response: Any = None
        if name == "failure":
            added.update(failed(stage.payload))
        else:
            response = self._response_of(stage.payload)
            added.update(succeeded(stage))
            if call.request.streaming:
                added["complete_streaming_response"] = response
                added["async_complete_streaming_response"] = response
        arguments = HandlerArguments(added, parameters, response, start, end)
        payload = self._shared(  # it costs as much as all other arguments
            "building LiteLLM's standard_logging_object",
            lambda: logging_payload(call, stage, arguments),
        )
        if payload is not None:
            added["standard_logging_object"] = copied(payload)
        return arguments

    def _shared(self, what: str, make: Callable[[], Any]) -> Any:
        """What `make` returns, made once for all handlers; None if that fails, which is logged."""
        kept = self.__dict__
        with kept.setdefault("lock", Lock()):  # atomic; not made on the caller's thread
            if what not in kept:
                kept[what] = None
                with suppress_errors(what):
                    kept[what] = make()
            return kept[what]

    def _response_of(self, answer: Any) -> Any:
        """The real response; for a stream that was not read to its end, the part that was read."""
        raw = None if answer is None else answer.raw
        if isinstance(raw, Assembled) and raw.whole is not None:
            raw = raw.whole
        if not isinstance(raw, Assembled):
            return raw
        return self._shared(
            "assembling a stream", lambda: assembled(raw, answer, messages_of(self._arguments))
        )
