"""The values of a finished call that metrics need."""

from collections.abc import Mapping
from time import time_ns
from typing import Any, Final, NamedTuple

from opentelemetry.context import Context
from opentelemetry.trace import NonRecordingSpan, SpanContext, set_span_in_context

from litespan import semconv as s
from litespan.background.deferred import Deferred

LABELS: Final = (
    s.OPERATION,
    s.PROVIDER,
    s.REQUEST_MODEL,
    s.RESPONSE_MODEL,
    s.SERVER_ADDRESS,
    s.SERVER_PORT,
)
AT_END: Final = (*LABELS, s.ERROR_TYPE, s.OUTCOME, s.INPUT_TOKENS, s.OUTPUT_TOKENS, s.COST)
EndAttributes = Mapping[str, Any] | Deferred[dict[str, Any]]


class Finished(NamedTuple):
    """The values of a finished call that metrics need, without its content, which may be large.

    Attributes:
        start: values of `LABELS` at its start.
        end: values of `AT_END` at its end, or a `Deferred` of its attributes then.
        seconds: duration of the call.
        first_chunk: seconds to the first chunk of a stream.
        per_chunk: mean seconds between chunks.
        span: its span, for exemplars.
        time_ns: time of its end, in ns since the epoch.
    """

    start: tuple[Any, ...]
    end: Any
    seconds: float
    first_chunk: float | None
    per_chunk: float | None
    span: SpanContext | None
    time_ns: int


def context_of(span: SpanContext | None) -> Context:
    """Return a context with only `span`."""
    nowhere = Context()
    return nowhere if span is None else set_span_in_context(NonRecordingSpan(span), nowhere)


def finished(
    start: Mapping[str, Any],
    end: EndAttributes,
    seconds: float,
    first_chunk: float | None,
    per_chunk: float | None,
    span: SpanContext | None,
) -> Finished:
    """Return the values that metrics need, for a call that ends now."""
    at_end = end if isinstance(end, Deferred) else _at_end(end)
    return Finished(
        (*map(start.get, LABELS),), at_end, seconds, first_chunk, per_chunk, span, time_ns()
    )


def _at_end(attributes: Mapping[str, Any]) -> tuple[Any, ...]:
    return (*map(attributes.get, AT_END),)


def read(call: Finished) -> Finished:
    """Return the call with the values at its end."""
    end = call.end
    return call._replace(end=_at_end(end())) if isinstance(end, Deferred) else call
