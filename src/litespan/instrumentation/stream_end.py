"""The end of a stream: how it ended, its answer and its attributes."""

from typing import Any, NamedTuple

from litespan import semconv as s
from litespan.errors import record_error
from litespan.instrumentation.call_end import called_server_attributes, complete_answer, to_failure
from litespan.instrumentation.remote_client import CLIENT_KEY
from litespan.instrumentation.state import STREAM_ENDS, CallState
from litespan.mapping.chunks import read_stream
from litespan.mapping.cost import cost_attributes
from litespan.mapping.estimate import with_estimate
from litespan.mapping.failures import Failure, is_cut_off
from litespan.mapping.request import Attributes
from litespan.mapping.response import (
    Answer,
    answer_attributes,
    provider_request_id,
    response_headers,
)
from litespan.mapping.usage import usage_attributes


class StreamEnd(NamedTuple):
    """What is known of a stream that has ended.

    Attributes:
        how: a key of `STREAM_ENDS`.
        answer: the assembled answer, or None if it could not be read.
        attributes: its span attributes.
        failure: why the stream failed, or None.
    """

    how: str
    answer: Answer | None
    attributes: Attributes
    failure: Failure | None


def read_end(
    call: CallState, how: str, stream: Any, chunks: list[Any], error: BaseException | None
) -> StreamEnd:
    """Read a stream that has ended; `how` is how its reader stopped, a key of `STREAM_ENDS`."""
    answer: Answer | None = None
    attributes: Attributes = {}
    try:
        answer, finished, attributes = _read(call, stream, chunks)
        if answer.error is not None:  # regardless of how the reader stopped
            how = "error"
        elif not finished and (how == "complete" or (how == "error" and is_cut_off(error))):
            how = "dropped"
    except Exception as problem:  # noqa: BLE001
        record_error("reading a stream", problem)
    client: Any = call.context.get(CLIENT_KEY)
    if client is not None and client.gone and STREAM_ENDS[how] == "abandoned":
        how = "cancelled"
    attributes[s.STREAM_END] = how
    if call.chunks_left_out:
        attributes[s.STREAM_CHUNKS_LEFT_OUT] = call.chunks_left_out
    return StreamEnd(how, answer, attributes, stream_failure(call, how, answer, error))


def stream_failure(
    call: CallState, how: str, answer: Answer | None, error: BaseException | None
) -> Failure | None:
    """Return why a stream failed: from `error`, or from the error object in `answer`."""
    if how == "dropped":
        text = "the stream ended without a finish reason"
        return Failure("stream_dropped", text, error=error)
    if error is not None:
        return to_failure(call, error)
    return to_failure(call, answer.error) if how == "error" and answer is not None else None


def _read(call: CallState, stream: Any, chunks: list[Any]) -> tuple[Answer, bool, Attributes]:
    """Return (the assembled answer, whether it is complete, its span attributes)."""
    request = call.request
    read = read_stream(request, stream, chunks, call.whole)
    complete_answer(call, read.answer)
    read = with_estimate(request, read, chunks)
    answer = read.answer
    attributes = answer_attributes(request, answer, call.logging)
    attributes.update(called_server_attributes(call))
    request_id = provider_request_id(response_headers(answer.hidden))
    if request_id:
        attributes[s.PROVIDER_REQUEST_ID] = request_id
    attributes[s.STREAM_CHUNKS] = len(chunks)
    if call.first_chunk is not None:
        attributes[s.TIME_TO_FIRST_CHUNK] = call.first_chunk - call.started
    if answer.usage is not None:
        attributes.update(usage_attributes(answer.usage))
    if request.target.operation.charged:
        cost = cost_attributes(request, answer, call.logging, stream=True, whole=call.whole)
        attributes.update(cost)
    return answer, read.finished, attributes
