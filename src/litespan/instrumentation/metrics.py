"""The GenAI client metrics, with the convention's buckets, and one for cost.

https://github.com/open-telemetry/semantic-conventions-genai (metrics). Labels are
operation, provider, models, server and error type: never a user, key, team or call.

Each label has a bounded number of values. Clients can make up names of models and providers: a
name that LiteLLM does not know has series of its own once a provider has answered to it.
"""

import sys
from collections.abc import Mapping
from typing import Any, Final

from opentelemetry.metrics import Meter

from litespan import semconv as s
from litespan.mapping.provider import PROVIDERS

SECONDS: Final = tuple(0.01 * 2**power for power in range(14))
TOKENS: Final = tuple(float(4**power) for power in range(14))
USD: Final = tuple(digit * 10.0**power for power in range(-6, 2) for digit in (1, 2, 5))

OTHER: Final = "_OTHER"  # as in the conventions: a value that is not in the list
MOST_VALUES: Final = 200  # of one label

_LABELS: Final = (
    s.OPERATION,
    s.PROVIDER,
    s.REQUEST_MODEL,
    s.RESPONSE_MODEL,
    s.SERVER_ADDRESS,
    s.SERVER_PORT,
)
_PROVIDER_NAMES: Final = frozenset(PROVIDERS.values())
_MADE_UP: Final = frozenset({s.PROVIDER, s.REQUEST_MODEL})  # maybe, by whoever calls


class Metrics:
    """The histograms of one meter."""

    __slots__ = ("_cost", "_duration", "_first_chunk", "_per_chunk", "_seen", "_tokens")

    def __init__(self, meter: Meter) -> None:
        self._seen: dict[str, set[Any]] = {name: set() for name in (*_LABELS, s.ERROR_TYPE)}

        def histogram(name: str, unit: str, about: str, buckets: tuple[float, ...]) -> Any:
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
    def heard(self) -> bool:
        """Whether there may be a listener: no, without a meter provider or a reader of its."""
        duration: Any = getattr(self._duration, "_real_instrument", self._duration)
        consumer = getattr(duration, "_measurement_consumer", None)
        return duration is not None and bool(getattr(consumer, "_reader_storages", True))

    def record(
        self,
        start: Mapping[str, Any],
        end: Mapping[str, Any],
        seconds: float,
        *,
        first_chunk: float | None = None,
        per_chunk: float | None = None,
    ) -> None:
        """Record one finished call; times in seconds.

        `start` and `end` are the attributes that its span got at its start and at its end.
        """
        labels: dict[str, Any] = {}
        refused = end.get(s.OUTCOME) != "success" and s.RESPONSE_MODEL not in end
        for name in _LABELS:
            value = end.get(name) or start.get(name)
            if value is not None:
                seen = value in self._seen[name]
                labels[name] = value if seen else self._bounded(name, value, refused)
        error = end.get(s.ERROR_TYPE)
        if error:
            error = self._bounded(s.ERROR_TYPE, error, refused)
            self._duration.record(seconds, {**labels, s.ERROR_TYPE: error})
        else:
            self._duration.record(seconds, labels)
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

    def _bounded(self, label: str, value: Any, refused: bool) -> Any:
        """`value`, or `OTHER` if it may be made up, or the label has too many values."""
        seen = self._seen[label]
        if value in seen:
            return value
        if len(seen) >= MOST_VALUES or (refused and label in _MADE_UP and not _known(value)):
            return OTHER
        seen.add(value)
        return value


def _known(name: Any) -> bool:
    """Whether LiteLLM knows a model or a provider of this name."""
    litellm = sys.modules.get("litellm")
    return (
        name in _PROVIDER_NAMES
        or name in getattr(litellm, "provider_list", ())
        or name in getattr(litellm, "model_cost", ())
    )
