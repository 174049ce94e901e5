"""Attributes, metrics and stage data at the end of a call."""

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from opentelemetry.trace import Status, StatusCode, get_current_span

from litespan import semconv as s
from litespan.background.deferred import Deferred
from litespan.errors import record_error, suppress_errors
from litespan.instrumentation import jobs
from litespan.instrumentation.log_events import emit_exception
from litespan.instrumentation.recorded_content import record_content, redacted_text
from litespan.instrumentation.span import CallSpan
from litespan.instrumentation.state import CallState, Outcome
from litespan.mapping.a2a import agent_name
from litespan.mapping.answer_copy import OPENAI
from litespan.mapping.chunks import kept_usage
from litespan.mapping.cost import cost_attributes, saved_attributes
from litespan.mapping.failures import Failure, answer_headers, read_failure, stated_failure
from litespan.mapping.provider import server_attributes
from litespan.mapping.release import adapt
from litespan.mapping.request import Attributes
from litespan.mapping.response import (
    Answer,
    answer_attributes,
    header_attributes,
    hidden_params,
    native_finish_reasons,
    read_answer,
    response_headers,
    stated_error,
)
from litespan.mapping.targets import AGENT
from litespan.mapping.usage import read_usage, usage_attributes
from litespan.objects import contents, get

_COMPLETIONS: Final = frozenset({"completion", "acompletion"})
_SUCCESS_ATTRIBUTES: Final = (s.INPUT_TOKENS, s.OUTPUT_TOKENS, s.COST)


def post_attributes(hidden: Mapping[str, Any]) -> Attributes:
    """Return the attributes of the post-call stage: status, request id and rate limits.

    Response headers prove that the provider answered; LiteLLM raises for any status but 200.
    """
    headers = response_headers(hidden)
    return header_attributes(200, headers) if headers else {}


def refusal_attributes(failure: Failure) -> Attributes:
    """Return the attributes of the post-call stage for an error response."""
    return header_attributes(failure.code, answer_headers(failure.error))


def answered_attributes(call: CallState, answer: Answer, post: Attributes) -> Attributes:
    """Return the span attributes of a complete answer; `post` are those of the post-call stage."""
    request = call.request
    combined = None
    if call.uncached_answer is not None:  # the response cache had the rest of the answer
        combined = replace(answer, hidden={})
        hidden = {**answer.hidden, **hidden_params(call.uncached_answer), "cache_hit": None}
        paid = read_answer(request, call.uncached_answer, hidden)
        answer.usage, answer.hidden = paid.usage, paid.hidden
    complete_answer(call, answer)
    usage = answer.usage
    if request.called.provider not in OPENAI and answer.finish_reasons:
        details = getattr(call.logging, "model_call_details", None)
        native = native_finish_reasons(get(details, "original_response"))
        answer.finish_reasons = native or answer.finish_reasons
    attributes = answer_attributes(request, answer, call.logging)
    if call.called_url is not None:
        attributes.update(called_server_attributes(call))
    if s.PROVIDER_REQUEST_ID in post:
        attributes[s.PROVIDER_REQUEST_ID] = post[s.PROVIDER_REQUEST_ID]
    if usage is not None:
        embeddings = request.target.operation.name == "embeddings"
        attributes.update(usage_attributes(usage, embeddings=embeddings))
    if request.target.operation.charged:
        attributes.update(cost_attributes(request, answer, call.logging))
    if "status" in answer.fields:
        attributes.update(jobs.job_attributes(call, answer))
    if combined is not None:
        attributes.update(saved_attributes(request, combined, call.logging, attributes))
    return attributes


def complete_answer(call: CallState, answer: Answer) -> None:
    """Add what the provider's answer states, if LiteLLM translated it to another API.

    A translated answer lacks the error, and details of the usage, such as cached tokens; a stream
    that stops early lacks the usage so far.
    """
    usage, whole = answer.usage, call.whole
    if whole is None or call.request.target.call_type in _COMPLETIONS:
        return
    answer.error = answer.error or stated_error(contents(whole))
    if usage is None:
        answer.usage = kept_usage(whole)
        return
    stated = get(whole, "usage") or get(get(get(whole, "completed_response"), "response"), "usage")
    counted = read_usage(stated)
    if counted is not None and (counted.input, counted.output) == (usage.input, usage.output):
        answer.usage = replace(counted, source=usage.source)


def to_failure(call: Any, error: Any) -> Failure:
    """Return the redacted failure for an exception or for a provider's error object.

    Its message never quotes the request: some exporters receive a span without its content.
    """
    signals = call.signals
    try:
        read = read_failure if isinstance(error, BaseException) else stated_failure
        failure = read(call.request, error)
        if signals.redactor is not None and failure.message:
            known = getattr(call, "attributes", {})
            failure = replace(failure, text=redacted_text(signals, failure.message, known))
        return failure
    except Exception as problem:  # noqa: BLE001
        record_error("reading an error", problem)
        exception = error if isinstance(error, BaseException) else None
        return Failure(type(error).__name__ if exception else "provider_error", "", error=exception)


def called_server_attributes(call: CallState) -> Mapping[str, Any]:
    """Return the server attributes of the URL that LiteLLM called.

    What LiteLLM states with the answer is the provider's usual URL, also if OPENAI_BASE_URL or a
    similar variable is set.
    """
    if call.called_url is None:
        return {}
    url = str(call.called_url)  # some clients have a type for it
    return server_attributes(url) if "://" in url else {}


def failed_server_attributes(call: CallState) -> Attributes:
    """Return the server attributes of a failed call, if LiteLLM had resolved the API base."""
    details = getattr(call.logging, "model_call_details", None)
    base = get(get(details, "litellm_params"), "api_base")
    resolved = {**server_attributes(base)} if isinstance(base, str) and base else {}
    return {**resolved, **called_server_attributes(call)}


def record_end(
    call: CallState,
    outcome: Outcome,
    attributes: Attributes,
    *,
    answer: Answer | None,
    failure: Failure | None,
    chunks: int,
) -> None:
    """Record the end of a call in metrics, on the span and in log events."""
    add_outcome(call, outcome, attributes)
    _name_agent(call, attributes)
    if outcome == "failure" and failure is not None:
        attributes[s.ERROR_TYPE] = failure.type
        if failure.code is not None:
            attributes[s.ERROR_CODE] = failure.code
    if call.signals.generation.new:
        _adapt(call, attributes, answer)
    measure(call, attributes, chunks)
    span: Any = call.span
    if call.silent or not span.is_recording():
        return
    if call.record_content:
        record_content(call, attributes, None if answer is None else answer.raw)
    (span.keep if type(span) is CallSpan else span.set_attributes)(attributes)
    if outcome == "failure" and failure is not None:
        set_failure(span, failure, event=True)
        emit_exception(call.signals, call.attributes, failure, call.context)


def add_outcome(call: CallState, outcome: Outcome, attributes: Attributes) -> None:
    """Add the call id and the outcome."""
    call_id = getattr(call.logging, "litellm_call_id", None)
    if type(call_id) is not str or not call_id:
        call_id = call.call_id
    if call_id:
        attributes[s.CALL_ID] = call_id
    attributes[s.OUTCOME] = outcome


def _name_agent(call: CallState, attributes: Attributes) -> None:
    """Add the name that LiteLLM has read in the agent's card, during the call."""
    if call.request.target.operation is not AGENT or s.AGENT_NAME in call.attributes:
        return
    name = agent_name(getattr(call.logging, "model", None))
    if name:
        attributes[s.AGENT_NAME] = name
        call.span.update_name(f"{AGENT.name} {name}")


def set_failure(span: Any, failure: Failure, *, event: bool) -> None:
    """Set the status of a failed span, and add the exception as an event if `event`."""
    if type(span) is CallSpan and span.fail(failure.type, failure.text, event=event):
        return
    span.set_status(Status(StatusCode.ERROR, failure.message or failure.type))
    if event:
        span.add_event(
            s.EVENT_EXCEPTION,
            {s.EXCEPTION_TYPE: failure.type, s.EXCEPTION_MESSAGE: failure.message},
        )


def success_attributes(attributes: Attributes) -> Attributes:
    """Return the attributes of the success stage: tokens and cost."""
    return {name: attributes[name] for name in _SUCCESS_ATTRIBUTES if name in attributes}


def _adapt(call: CallState, attributes: Attributes, answer: Answer | None) -> None:
    with suppress_errors("converting attributes to the conventions v0.1.0"):
        adapt(call.signals.generation, call.request, answer, attributes)


def measure(
    call: CallState, attributes: Attributes | Deferred[Attributes], chunks: int = 0
) -> None:
    """Record a finished call in metrics, if they are collected."""
    if not call.signals.metrics.has_reader:
        return
    try:
        seconds = time.perf_counter() - call.started
        first = per_chunk = None
        if call.first_chunk is not None:
            first = call.first_chunk - call.started
            per_chunk = (seconds - first) / (chunks - 1) if chunks > 1 else None
        span = get_current_span(call.context) if call.silent else call.span
        call.signals.metrics.record(
            call.attributes,
            attributes,
            seconds,
            first_chunk=first,
            per_chunk=per_chunk,
            span=span.get_span_context(),
        )
    except Exception as problem:  # noqa: BLE001
        record_error("measuring a call", problem)
