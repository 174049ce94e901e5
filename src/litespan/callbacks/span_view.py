"""A call that is known only by its span, as handlers see it."""

from typing import Any

from litespan.callbacks.handler import STAGE_ROWS, STAGES
from litespan.callbacks.response import Fields, response_of
from litespan.callbacks.view import HandlerArguments, local_time
from litespan.genai import openai
from litespan.genai.span import GenAISpan
from litespan.instrumentation.stages import Stage


class SpanView:
    """A call of another instrumentation, or of a process that has ended."""

    def __init__(self, span: GenAISpan, *, asynchronous: bool) -> None:
        self.asynchronous = asynchronous
        self.call_id = span.call.id or span.key_text

    def keywords(self) -> dict[str, Any]:
        """See `View.keywords`: only the id, since attributes may still change."""
        return {"litellm_call_id": self.call_id, "litellm_params": {"model_info": {}}}

    def arguments(self, stage: Stage) -> HandlerArguments:
        """See `View.arguments`: what the attributes state at that stage."""
        span: GenAISpan = stage.payload
        name = STAGES[stage.name]
        start, end = local_time(span.start_ns), local_time(stage.time_ns)
        parameters = openai.parameters(span)
        added: dict[str, Any] = {
            **parameters,
            "log_event_type": STAGE_ROWS[name].event_type,
            "model": span.request.model or span.model or "",
            "messages": openai.sent(span) or [],
            "user": span.identity.user,
            "stream": span.request.stream,
            "call_type": span.call.type or span.operation,
            "custom_llm_provider": span.provider,
            "optional_params": dict(parameters),
            "start_time": start,
        }
        metadata = {"metadata": _metadata(span)}
        if name == "pre":
            return HandlerArguments(added, metadata, None, start, end)
        response: Fields | None = None
        added["end_time"] = added["completion_start_time"] = end
        if span.response.time_to_first_chunk is not None:
            first_ns = span.start_ns + int(span.response.time_to_first_chunk * 1e9)
            added["completion_start_time"] = local_time(first_ns)
        if name == "failure":
            error = SpanError(span)
            added["exception"] = error
            added["traceback_exception"] = str(error)
            added["response_cost"] = 0.0
        else:
            response = response_of(span)
            if span.cost.total is not None:
                added["response_cost"] = span.cost.total
            if span.call.cache_hit is not None:
                added["cache_hit"] = span.call.cache_hit
        arguments = HandlerArguments(added, metadata, response, start, end)
        added["standard_logging_object"] = _logging_payload(span, self.call_id, arguments)
        return arguments


class SpanError(Exception):
    """The error that a span states.

    Attributes:
        status_code: the HTTP status; None if unknown.
    """

    def __init__(self, span: GenAISpan) -> None:
        error = span.error
        super().__init__((error.message or error.type) if error is not None else "cancelled")
        self.status_code = error.code if error is not None else None


def _metadata(span: GenAISpan) -> dict[str, Any]:
    """The caller's metadata, and the names of LiteLLM's proxy for its key, team and end user."""
    identity = span.identity
    known = {
        "user_api_key_hash": identity.api_key_hash,
        "user_api_key_alias": identity.api_key_alias,
        "user_api_key_team_id": identity.team_id,
        "user_api_key_team_alias": identity.team_alias,
        "user_api_key_org_id": identity.organization_id,
        "user_api_key_project_id": identity.project_id,
        "user_api_key_end_user_id": identity.end_user_id,
        "user_api_key_request_route": identity.route,
    }
    return {
        **identity.metadata,
        **{name: value for name, value in known.items() if value is not None},
    }


def _logging_payload(span: GenAISpan, call_id: str, arguments: HandlerArguments) -> dict[str, Any]:
    """The fields of LiteLLM's `StandardLoggingPayload` that a span knows.

    https://docs.litellm.ai/docs/proxy/logging_spec
    """
    added, error = arguments.added, span.error
    failed = "exception" in added
    usage, end_ns = span.usage, span.end_ns or span.start_ns
    payload: dict[str, Any] = {
        "id": span.response.id or call_id,
        "trace_id": span.trace_id,
        "litellm_call_id": call_id,
        "call_type": added["call_type"],
        "stream": span.request.stream,
        "status": "failure" if failed else "success",
        "custom_llm_provider": span.provider,
        "model": added["model"],
        "model_id": span.call.deployment_id,
        "model_group": span.call.model_group,
        "prompt_tokens": usage.input or 0,
        "completion_tokens": usage.output or 0,
        "total_tokens": usage.total or 0,
        "response_cost": added.get("response_cost"),
        "startTime": span.start_ns / 1e9,
        "endTime": end_ns / 1e9,
        "completionStartTime": added["completion_start_time"].timestamp(),
        "response_time": (end_ns - span.start_ns) / 1e9,
        "metadata": dict(arguments.parameters["metadata"]),
        "model_parameters": dict(added["optional_params"]),
        "cache_hit": span.call.cache_hit,
        "request_tags": list(span.identity.tags),
        "end_user": span.identity.end_user_id or "",
        "user_agent": span.identity.user_agent,
        "messages": openai.sent(span),
        "response": arguments.response_obj.json() if arguments.response_obj else None,
        "error_str": None,
    }
    if failed:
        payload["error_str"] = str(added["exception"])
        payload["error_information"] = {
            "error_code": str(error.code) if error is not None and error.code else "",
            "error_class": error.type if error is not None else "",
            "error_message": payload["error_str"],
            "llm_provider": span.provider or "",
        }
    return payload
