"""Adds many values at once to the SDK's histograms.

`Histogram.record` checks and hashes the attributes of every value to find the sums that it adds to.
A `Series` finds them once for all values with the same attributes. The sums, buckets and exemplars
are the SDK's own, so views, temporality, exemplar filters and cardinality limits apply as always.
"""

import math
from bisect import bisect_left
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final, NamedTuple

from opentelemetry.sdk.metrics import (
    AlignedHistogramBucketExemplarReservoir,
    Histogram,
    TraceBasedExemplarFilter,
)
from opentelemetry.sdk.metrics._internal import _view_instrument_match, aggregation
from opentelemetry.sdk.metrics._internal.measurement import Measurement
from opentelemetry.sdk.metrics._internal.measurement_consumer import SynchronousMeasurementConsumer
from opentelemetry.sdk.metrics._internal.metric_reader_storage import MetricReaderStorage
from opentelemetry.trace import SpanContext

from litespan.errors import suppress_errors
from litespan.instrumentation.finished_call import context_of

_Sums: Final = aggregation._ExplicitBucketHistogramAggregation  # noqa: SLF001
_Match: Final = _view_instrument_match._ViewInstrumentMatch  # noqa: SLF001
_hash: Final[Any] = getattr(_view_instrument_match, "_hash_attributes", None)
_OVERFLOW: Final = getattr(_view_instrument_match, "_OVERFLOW_KEY", None)
_METHODS: Final = (
    Histogram.record,
    SynchronousMeasurementConsumer.consume_measurement,
    MetricReaderStorage.consume_measurement,
    _Match.consume_measurement,
    _Sums.aggregate,
    _Sums._sample_exemplar,  # noqa: SLF001
    AlignedHistogramBucketExemplarReservoir.offer,
    AlignedHistogramBucketExemplarReservoir._find_bucket_index,  # noqa: SLF001
)
# What these methods refer to in the SDKs that litespan was checked against, 1.33.1 to 1.45.2.
_KNOWN: Final = frozenset(
    """
    BucketIndexError DefaultAggregation Measurement __class__ _aggregation _attribute_keys
    _attributes_aggregation _boundaries _create_aggregation _exemplar_reservoir_factory
    _find_bucket_index _get_empty_bucket_counts _get_or_create_aggregation
    _get_or_init_view_instrument_match _hash_attributes _instrument
    _instrument_class_aggregation _is_enabled _lock _logger _max _measurement_consumer _min
    _reader_storages _record_min_max _reservoir _reservoir_storage _reset_on_collect
    _sample_exemplar _sdk_config _sum _value _view aggregate attributes bisect_left
    consume_measurement context dict enumerate exemplar_filter frozenset get get_current
    instrument isfinite isinstance items len math max min name offer record should_sample super
    time_ns time_unix_nano value values warning
    """.split()  # noqa: SIM905
)


class Value(NamedTuple):
    """One measurement.

    Attributes:
        number: its number among all values that are added together.
        value: what was measured.
        attributes: of the measurement.
        sampled: whether it may become an exemplar.
        span: the span that it belongs to, for exemplars; None if there is none.
        time_ns: when it was measured, in ns since the epoch.
    """

    number: int
    value: float
    attributes: Mapping[str, Any]
    sampled: bool
    span: SpanContext | None
    time_ns: int


@lru_cache(maxsize=1)
def unknown_names() -> frozenset[str]:
    """Return the names that the SDK's methods refer to and that litespan does not know."""
    names: set[str] = set()
    for method in _METHODS:
        code = getattr(method, "__code__", None)
        names |= {str(method)} if code is None else {*code.co_names}
    return frozenset(names - _KNOWN)


def can_add_to(histogram: Any) -> bool:
    """Whether values can be added to this histogram by a `Series`."""
    consumer = getattr(histogram, "_measurement_consumer", None)
    ours = isinstance(histogram, Histogram) and type(consumer) is SynchronousMeasurementConsumer
    return ours and not unknown_names()


class Series:
    """The values of one histogram of the SDK with the same attributes."""

    __slots__ = ("_keys", "attributes", "histogram")

    def __init__(self, histogram: Any, attributes: Mapping[str, Any]) -> None:
        self.histogram = histogram
        self.attributes = attributes
        self._keys: dict[Any, Any] = {}  # match of a reader's view and the histogram → key

    def places(self) -> list[tuple[Any, Any]]:
        """Return where the SDK adds up its values: (match, key) for each reader and view."""
        histogram, found = self.histogram, []
        enabled = getattr(histogram, "_is_enabled", None)
        if enabled is not None and not enabled():
            return []
        for storage in histogram._measurement_consumer._reader_storages.values():  # noqa: SLF001
            for match in storage._get_or_init_view_instrument_match(histogram):  # noqa: SLF001
                if match not in self._keys:
                    self._keys[match] = self._key(match)
                found.append((match, self._keys[match]))
        return found

    def _key(self, match: Any) -> Any:
        """Return the key of the sums for these attributes, of which a view may keep some only."""
        kept = match._view._attribute_keys  # noqa: SLF001
        found = {
            name: value for name, value in self.attributes.items() if kept is None or name in kept
        }
        return frozenset(found.items()) if _hash is None else _hash(found)


class Batch:
    """Values of many series that are added together, in the order in which they were measured."""

    def __init__(self) -> None:
        self._count = 0
        self._values: dict[tuple[Any, Any], list[Value]] = {}  # by match and key
        self._lists: dict[Series, tuple[Any, list[list[Value]]]] = {}

    def add(self, series: Series, value: float, span: SpanContext | None, time_ns: int) -> None:
        """Add a value of `series`."""
        found = self._lists.get(series)
        if found is None:
            wanted = series.histogram._measurement_consumer._sdk_config.exemplar_filter  # noqa: SLF001
            lists = [self._values.setdefault(place, []) for place in series.places()]
            found = self._lists[series] = (wanted, lists)
        wanted, lists = found
        if type(wanted) is TraceBasedExemplarFilter:
            sampled = span is not None and span.trace_flags.sampled
        else:
            sampled = wanted.should_sample(value, time_ns, series.attributes, context_of(span))
        self._count += 1
        measured = Value(self._count, value, series.attributes, sampled, span, time_ns)
        for values in lists:
            values.append(measured)

    def flush(self) -> None:
        """Add all values to the SDK's sums."""
        rest: list[tuple[int, Any, Value]] = []  # values without sums of their own
        for (match, key), values in self._values.items():
            with suppress_errors("measuring a call"):
                rest += [(each.number, match, each) for each in _add(match, key, values)]
        for _, match, each in sorted(rest, key=lambda item: item[0]):
            with suppress_errors("measuring a call"):
                _consume(match, each)
                _start_at(match._attributes_aggregation.get(_OVERFLOW), each.time_ns)  # noqa: SLF001


def _add(match: Any, key: Any, values: list[Value]) -> list[Value]:
    """Add values to the sums under `key`; return those that exceed the cardinality limit."""
    for index, each in enumerate(values):
        with match._lock:  # noqa: SLF001 - a collection may replace the sums
            found = match._attributes_aggregation  # noqa: SLF001
            sums, known = found.get(key), len(found)
            if type(sums) is _Sums:
                _add_all(sums, values[index:])
                return []
        if sums is None and known >= getattr(match, "_cardinality_limit", math.inf):
            return values[index:]
        _consume(match, each)
        if sums is None:
            _start_at(found.get(key), each.time_ns)
    return []


def _consume(match: Any, each: Value) -> None:
    """Add one value as the SDK does."""
    histogram, ctx = match._instrument, context_of(each.span)  # noqa: SLF001
    measurement = Measurement(each.value, each.time_ns, histogram, ctx, {**each.attributes})
    match.consume_measurement(measurement, each.sampled)


def _start_at(sums: Any, time_ns: int) -> None:
    """Let new sums start with their first value, not when it was added."""
    if getattr(sums, "_start_time_unix_nano", 0) > time_ns:
        sums._start_time_unix_nano = time_ns  # noqa: SLF001
        sums._previous_collection_start_nano = time_ns  # noqa: SLF001


def _add_all(sums: Any, values: list[Value]) -> None:
    """Add values as `sums.aggregate` does one by one."""
    boundaries = sums._boundaries  # noqa: SLF001
    places = [bisect_left(boundaries, each.value) for each in values]
    with sums._lock:  # noqa: SLF001
        if sums._value is None:  # noqa: SLF001
            sums._value = sums._get_empty_bucket_counts()  # noqa: SLF001
        counts = sums._value  # noqa: SLF001
        for each, place in zip(values, places, strict=True):
            sums._sum += each.value  # noqa: SLF001
            counts[place] += 1
        if sums._record_min_max:  # noqa: SLF001
            figures = [each.value for each in values]
            sums._min = min(sums._min, *figures)  # noqa: SLF001
            sums._max = max(sums._max, *figures)  # noqa: SLF001
    reservoir = sums._reservoir  # noqa: SLF001
    sampled = [(place, each) for place, each in zip(places, values, strict=True) if each.sampled]
    if type(reservoir) is AlignedHistogramBucketExemplarReservoir and all(
        each.span is not None for _, each in sampled
    ):
        sampled = [*dict(sampled).items()]  # it keeps the last of each bucket
    for _, each in sampled:
        reservoir.offer(each.value, each.time_ns, each.attributes, context_of(each.span))
