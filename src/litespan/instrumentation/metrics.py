"""GenAI client metrics with the convention's buckets, and a cost histogram.

https://github.com/open-telemetry/semantic-conventions-genai (metrics). Labels are
operation, provider, models, server and error type: never a user, key, team or call.

The number of values per label is limited. Clients can invent model and provider names: a name
that LiteLLM does not know becomes a label value only after a provider has answered for it.
"""

import sys
from collections.abc import Mapping
from typing import Any, Final

from opentelemetry.metrics import Meter, NoOpHistogram

from litespan import semconv as s
from litespan.generations import V1_41, Generation
from litespan.mapping.provider import PROVIDERS

SECONDS: Final = tuple(0.01 * 2**power for power in range(14))
TOKENS: Final = tuple(float(4**power) for power in range(14))
USD: Final = tuple(digit * 10.0**power for power in range(-6, 2) for digit in (1, 2, 5))

OTHER: Final = "_OTHER"  # the conventions' fallback value
MAX_VALUES: Final = 200  # per label

_LABELS: Final = (
    s.OPERATION,
    s.PROVIDER,
    s.REQUEST_MODEL,
    s.RESPONSE_MODEL,
    s.SERVER_ADDRESS,
    s.SERVER_PORT,
)
Labels = dict[str, Any]

_PROVIDER_NAMES: Final = frozenset(PROVIDERS.values())
_CLIENT_SUPPLIED: Final = frozenset({s.PROVIDER, s.REQUEST_MODEL})


class Metrics:
    """The histograms of one meter, under the names of the conventions 1.41.

    If `generation` does not have these names, only the cost is recorded.
    """

    __slots__ = ("_cost", "_duration", "_first_chunk", "_per_chunk", "_seen", "_tokens")

    def __init__(self, meter: Meter, generation: Generation = V1_41) -> None:
        self._seen: dict[str, set[Any]] = {name: set() for name in (*_LABELS, s.ERROR_TYPE)}

        def histogram(name: str, unit: str, about: str, buckets: tuple[float, ...]) -> Any:
            if not (generation.old or name == s.METRIC_COST):
                return NoOpHistogram(name)
            return meter.create_histogram(
                name, unit, about, explicit_bucket_boundaries_advisory=buckets
            )

        self._duration = histogram(s.METRIC_DURATION, "s", "GenAI operation duration.", SECONDS)
        self._tokens = histogram(
            s.METRIC_TOKENS, "{token}", "Input and output tokens used.", TOKENS
        )
        self._first_chunk = histogram(
            s.METRIC_FIRST_CHUNK, "s", "Time to the first chunk of a stream.", SECONDS
        )
        self._per_chunk = histogram(
            s.METRIC_PER_CHUNK, "s", "Mean time between the chunks of a stream.", SECONDS
        )
        self._cost = histogram(s.METRIC_COST, "USD", "Cost of GenAI operations.", USD)

    @property
    def has_reader(self) -> bool:
        """Whether metrics are collected: False without a meter provider or metric reader."""
        cost: Any = getattr(self._cost, "_real_instrument", self._cost)
        consumer = getattr(cost, "_measurement_consumer", None)
        return cost is not None and bool(getattr(consumer, "_reader_storages", True))

    def record(
        self,
        start: Mapping[str, Any],
        end: Mapping[str, Any],
        seconds: float,
        *,
        first_chunk: float | None = None,
        per_chunk: float | None = None,
    ) -> tuple[Labels, Labels]:
        """Record one finished call; return its labels without and with `error.type`.

        Args:
            start: the span attributes at the start.
            end: the span attributes added at the end.
            seconds: duration of the call.
            first_chunk: seconds to the first chunk of a stream.
            per_chunk: mean seconds between chunks.
        """
        labels: Labels = {}
        refused = end.get(s.OUTCOME) != "success" and s.RESPONSE_MODEL not in end
        for name in _LABELS:
            value = end.get(name) or start.get(name)
            if value is not None:
                seen = value in self._seen[name]
                labels[name] = value if seen else self._bounded(name, value, refused)
        with_error = labels
        error = end.get(s.ERROR_TYPE)
        if error:
            with_error = {**labels, s.ERROR_TYPE: self._bounded(s.ERROR_TYPE, error, refused)}
        self._duration.record(seconds, with_error)
        for kind, name in (("input", s.INPUT_TOKENS), ("output", s.OUTPUT_TOKENS)):
            tokens = end.get(name)
            if tokens is not None:
                self._tokens.record(tokens, {**labels, s.TOKEN_TYPE: kind})
        cost = end.get(s.COST)
        if cost is not None:
            self._cost.record(cost, labels)
        if first_chunk is not None:
            self._first_chunk.record(first_chunk, labels)
        if per_chunk is not None:
            self._per_chunk.record(per_chunk, labels)
        return labels, with_error

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
