"""GenAI client metrics with the convention's buckets, and a cost histogram.

https://github.com/open-telemetry/semantic-conventions-genai (metrics). Labels are
operation, provider, models, server and error type: never a user, key, team or call.

The number of values per label is limited. Clients can invent model and provider names: a name
that LiteLLM does not know becomes a label value only after a provider has answered for it.
"""

import math
import sys
from collections.abc import Iterator, Mapping
from typing import Any, Final

from opentelemetry.metrics import Meter, NoOpHistogram
from opentelemetry.trace import SpanContext

from litespan import semconv as s
from litespan.generations import V1_41, Generation
from litespan.instrumentation.finished_call import (
    LABELS,
    EndAttributes,
    Finished,
    context_of,
    finished,
    read,
)
from litespan.mapping.provider import PROVIDERS

try:
    from litespan.instrumentation import aggregation, measurement_queue
except (ImportError, AttributeError):  # an SDK with other internals
    aggregation = None  # type: ignore[assignment]

SECONDS: Final = tuple(0.01 * 2**power for power in range(14))
TOKENS: Final = tuple(float(4**power) for power in range(14))
USD: Final = tuple(digit * 10.0**power for power in range(-6, 2) for digit in (1, 2, 5))

OTHER: Final = "_OTHER"  # the conventions' fallback value
MAX_VALUES: Final = 200  # per label

_PROVIDER_NAMES: Final = frozenset(PROVIDERS.values())
_CLIENT_SUPPLIED: Final = frozenset({s.PROVIDER, s.REQUEST_MODEL})
_MAX_SERIES: Final = 2_000


def create_histogram(
    meter: Meter, name: str | None, unit: str, about: str, buckets: tuple[float, ...]
) -> Any:
    """Create a histogram with the convention's buckets; one that records nothing without a name."""
    if name is None:
        return NoOpHistogram("none")
    return meter.create_histogram(name, unit, about, explicit_bucket_boundaries_advisory=buckets)


class Metrics:
    """The histograms of one meter, under the names of the conventions 1.41.

    If `generation` does not have these names, only the cost is recorded.

    A finished call only joins a queue, because the SDK takes longer to record its values than
    litespan takes for the rest of the call.
    """

    __slots__ = ("_histograms", "_queued", "_seen", "_series")

    def __init__(self, meter: Meter, generation: Generation = V1_41) -> None:
        self._seen: dict[str, set[Any]] = {name: set() for name in (*LABELS, s.ERROR_TYPE)}
        self._series: dict[tuple[Any, ...], list[Any]] = {}
        self._queued: bool | None = None  # not known before the application sets its provider

        def histogram(name: str, unit: str, about: str, buckets: tuple[float, ...]) -> Any:
            wanted = generation.old or name == s.METRIC_COST
            return create_histogram(meter, name if wanted else None, unit, about, buckets)

        duration = histogram(s.METRIC_DURATION, "s", "GenAI operation duration.", SECONDS)
        tokens = histogram(s.METRIC_TOKENS, "{token}", "Input and output tokens used.", TOKENS)
        cost = histogram(s.METRIC_COST, "USD", "Cost of GenAI operations.", USD)
        first_chunk = histogram(
            s.METRIC_FIRST_CHUNK, "s", "Time to the first chunk of a stream.", SECONDS
        )
        per_chunk = histogram(
            s.METRIC_PER_CHUNK, "s", "Mean time between the chunks of a stream.", SECONDS
        )
        # In the order of `_values`.
        self._histograms = (duration, tokens, tokens, cost, first_chunk, per_chunk)

    @property
    def has_reader(self) -> bool:
        """Whether metrics are collected: False without a meter provider or metric reader."""
        cost = _real(self._histograms[3])
        consumer = getattr(cost, "_measurement_consumer", None)
        return cost is not None and bool(getattr(consumer, "_reader_storages", True))

    def record(
        self,
        start: Mapping[str, Any],
        end: EndAttributes,
        seconds: float,
        *,
        first_chunk: float | None = None,
        per_chunk: float | None = None,
        span: SpanContext | None = None,
    ) -> None:
        """Record one finished call.

        Args:
            start: the span attributes at the start.
            end: the span attributes added at the end, possibly computed later.
            seconds: duration of the call.
            first_chunk: seconds to the first chunk of a stream.
            per_chunk: mean seconds between chunks.
            span: the context of its span, for exemplars.
        """
        call = finished(start, end, seconds, first_chunk, per_chunk, span)
        if self._queued is None:
            histogram = _real(self._histograms[0])
            known: Any = aggregation
            self._queued = known is not None and known.can_add_to(histogram)
        if self._queued:
            measurement_queue.queue.add(self.divide, call)
        else:
            self._record_now(call)

    def divide(self, call: Finished, batch: Any) -> None:
        """Add the values of a finished call to a batch."""
        call = read(call)
        labels = self._labels(call)
        found = self._series.get(labels)
        if found is None:
            if len(self._series) >= _MAX_SERIES:
                self._series.clear()
            found = self._series[labels] = [
                aggregation.Series(_real(histogram), attributes)
                for histogram, attributes in zip(self._histograms, _attributes(labels), strict=True)
            ]
        for series, value in zip(found, _values(call), strict=True):
            if value is not None and 0 <= value < math.inf:
                batch.add(series, value, call.span, call.time_ns)

    def attributes_of(self, call: Finished) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the attributes of a call's values, without and with `error.type`."""
        with_error, _, _, shared, *_ = _attributes(self._labels(call))
        return shared, with_error

    def _record_now(self, call: Finished) -> None:
        call = read(call)
        ctx = context_of(call.span)
        attributes = _attributes(self._labels(call))
        for histogram, own, value in zip(self._histograms, attributes, _values(call), strict=True):
            if value is not None:
                histogram.record(value, own, ctx)

    def _labels(self, call: Finished) -> tuple[Any, ...]:
        """Return the values of the labels and of `error.type`, bounded in number."""
        found = tuple([last or first for first, last in zip(call.start, call.end, strict=False)])
        error = call.end[len(LABELS)] or None
        if (*found, error) in self._series:  # all of them are known
            return (*found, error)
        succeeded = call.end[len(LABELS) + 1] == "success"
        refused = not succeeded and call.end[LABELS.index(s.RESPONSE_MODEL)] is None
        bounded = [
            value if value is None else self._bounded(label, value, refused)
            for label, value in zip((*LABELS, s.ERROR_TYPE), (*found, error), strict=True)
        ]
        return tuple(bounded)

    def _bounded(self, label: str, value: Any, refused: bool) -> Any:
        """Return `value`, or `OTHER` if it may be invented or the label has too many values."""
        seen = self._seen[label]
        if value in seen:
            return value
        if len(seen) >= MAX_VALUES or (refused and label in _CLIENT_SUPPLIED and not _known(value)):
            return OTHER
        seen.add(value)
        return value


def _known(name: Any) -> bool:
    """Whether LiteLLM has a model or provider of this name."""
    litellm = sys.modules.get("litellm")
    return (
        name in _PROVIDER_NAMES
        or name in getattr(litellm, "provider_list", ())
        or name in getattr(litellm, "model_cost", ())
    )


def _real(histogram: Any) -> Any:
    """Return the SDK's histogram behind a proxy, or None before there is one."""
    return getattr(histogram, "_real_instrument", histogram)


def _values(call: Finished) -> tuple[float | None, ...]:
    """Return the values of a call, in the order of `Metrics._histograms`."""
    return (call.seconds, *call.end[len(LABELS) + 2 :], call.first_chunk, call.per_chunk)


def _attributes(labels: tuple[Any, ...]) -> Iterator[dict[str, Any]]:
    """Yield the attributes of each value, in the order of `Metrics._histograms`."""
    names = zip(LABELS, labels, strict=False)
    shared = {name: value for name, value in names if value is not None}
    error = labels[-1]
    yield {**shared, s.ERROR_TYPE: error} if error else shared
    yield {**shared, s.TOKEN_TYPE: "input"}
    yield {**shared, s.TOKEN_TYPE: "output"}
    yield from (shared, shared, shared)
