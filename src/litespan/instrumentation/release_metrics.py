"""GenAI client metrics of the conventions v0.1.0: per operation, and tokens by modality.

https://github.com/open-telemetry/semantic-conventions-genai/blob/v0.1.0/docs/gen-ai/client-inference.md
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from opentelemetry.metrics import Meter, NoOpCounter
from opentelemetry.trace import SpanContext

from litespan import semconv as s
from litespan.background.deferred import Deferred
from litespan.generations import KINDS, METRICS, Generation
from litespan.instrumentation.finished_call import EndAttributes, context_of, finished
from litespan.instrumentation.metrics import SECONDS, TOKENS, Metrics, create_histogram

UNKNOWN: Final = "unknown"  # the conventions' modality of tokens without a breakdown
_USED: Final[Mapping[str, tuple[str, Mapping[str, str]]]] = {
    "used.input": (
        s.INPUT_TOKENS,
        {
            "text": s.TEXT_INPUT_TOKENS,
            "image": s.IMAGE_INPUT_TOKENS,
            "audio": s.AUDIO_INPUT_TOKENS,
        },
    ),
    "used.output": (
        s.OUTPUT_TOKENS,
        {
            "text": s.TEXT_OUTPUT_TOKENS,
            "image": s.IMAGE_OUTPUT_TOKENS,
            "audio": s.AUDIO_OUTPUT_TOKENS,
        },
    ),
    "used.cache_read": (
        s.CACHE_READ_TOKENS,
        {
            "text": s.TEXT_CACHE_READ_TOKENS,
            "image": s.IMAGE_CACHE_READ_TOKENS,
            "audio": s.AUDIO_CACHE_READ_TOKENS,
        },
    ),
    "used.cache_write": (s.CACHE_WRITE_TOKENS, {}),
    "used.reasoning": (s.REASONING_TOKENS, {}),
}
"""Counter → the attribute with all tokens, and those with the tokens of each modality."""


class ReleaseMetrics(Metrics):
    """The metrics of v0.1.0, in place of those of 1.41 or beside them."""

    __slots__ = ("_durations", "_input", "_output", "_stream_gap", "_stream_start", "_used")

    def __init__(self, meter: Meter, generation: Generation) -> None:
        super().__init__(meter, generation)

        def histogram(key: str, unit: str, about: str, buckets: tuple[float, ...]) -> Any:
            return create_histogram(meter, generation.added(METRICS[key]), unit, about, buckets)

        def counter(key: str) -> Any:
            name = generation.added(METRICS[key])
            return (
                meter.create_counter(name, "{token}", "Tokens used.") if name else NoOpCounter(key)
            )

        self._durations = {
            kind: histogram(f"{kind}.duration", "s", "Duration of the operation.", SECONDS)
            for kind in ("inference", "embeddings", "other")
        }
        self._input = {
            kind: histogram(f"{kind}.input", "{token}", "Input tokens of an operation.", TOKENS)
            for kind in ("inference", "embeddings")
        }
        self._output = histogram(
            "inference.output", "{token}", "Output tokens of an operation.", TOKENS
        )
        self._stream_start = histogram(
            "first_chunk", "s", "Time to the first chunk of a stream.", SECONDS
        )
        self._stream_gap = histogram(
            "per_chunk", "s", "Mean time between the chunks of a stream.", SECONDS
        )
        self._used = {key: counter(key) for key in _USED}

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
        """Record one finished call at once; see `Metrics.record`.

        A call without a token count, such as a failed one, counts as 0 tokens of unknown modality.
        """
        if isinstance(end, Deferred):
            end = end()
        call = finished(start, end, seconds, first_chunk, per_chunk, span)
        self._record_now(call)
        labels, with_error = self.attributes_of(call)
        ctx = context_of(span)
        kind = KINDS.get(labels.get(s.OPERATION, ""), "other")
        self._durations[kind].record(seconds, with_error, ctx)
        if kind in self._input:
            self._input[kind].record(end.get(s.INPUT_TOKENS, 0), with_error, ctx)
        if kind == "inference":
            self._output.record(end.get(s.OUTPUT_TOKENS, 0), with_error, ctx)
            for key, (total, parts) in _USED.items():
                for modality, tokens in by_modality(end, total, parts):
                    self._used[key].add(tokens, {**labels, s.TOKEN_MODALITY: modality}, ctx)
            if first_chunk is not None:
                self._stream_start.record(first_chunk, labels, ctx)
            if per_chunk is not None:
                self._stream_gap.record(per_chunk, labels, ctx)


def by_modality(
    attributes: Mapping[str, Any], total: str, parts: Mapping[str, str]
) -> Iterator[tuple[str, int]]:
    """Return (modality, tokens) for the attribute `total`, which sum up to it.

    Tokens without a modality are `unknown`, and so are all of them if the parts exceed the total.
    """
    tokens = attributes.get(total, 0)
    found = {kind: count for kind, name in parts.items() if (count := attributes.get(name))}
    rest = tokens - sum(found.values())
    if rest < 0:
        found, rest = {}, tokens
    yield from found.items()
    if rest or not found:
        yield UNKNOWN, rest
