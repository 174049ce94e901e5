"""The two generations of the GenAI conventions, and both names of each thing that differs.

Those of 1.41 are the default. OTEL_SEMCONV_STABILITY_OPT_IN selects the release v0.1.0, or both:
https://github.com/open-telemetry/semantic-conventions-genai/tree/v0.1.0
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from litespan import semconv as s


class Names(NamedTuple):
    """The names of one thing in 1.41 and in v0.1.0; None where it does not exist."""

    old: str | None
    new: str | None


ATTRIBUTES: Final[Mapping[str, Names]] = {
    "cache_write": Names(s.CACHE_CREATION_TOKENS, s.CACHE_WRITE_TOKENS),
    "text_input": Names(None, s.TEXT_INPUT_TOKENS),
    "image_input": Names(None, s.IMAGE_INPUT_TOKENS),
    "text_output": Names(None, s.TEXT_OUTPUT_TOKENS),
    "image_output": Names(None, s.IMAGE_OUTPUT_TOKENS),
    "text_cache_read": Names(None, s.TEXT_CACHE_READ_TOKENS),
    "image_cache_read": Names(None, s.IMAGE_CACHE_READ_TOKENS),
    "audio_cache_read": Names(None, s.AUDIO_CACHE_READ_TOKENS),
    "compacted": Names(None, s.CONVERSATION_COMPACTED),
}
"""Span attributes; all others have the same name and meaning in both."""

METRICS: Final[Mapping[str, Names]] = {
    "inference.duration": Names(s.METRIC_DURATION, s.METRIC_INFERENCE_DURATION),
    "embeddings.duration": Names(s.METRIC_DURATION, s.METRIC_EMBEDDINGS_DURATION),
    "other.duration": Names(s.METRIC_DURATION, s.METRIC_DURATION),
    "first_chunk": Names(s.METRIC_FIRST_CHUNK, s.METRIC_INFERENCE_FIRST_CHUNK),
    "per_chunk": Names(s.METRIC_PER_CHUNK, s.METRIC_INFERENCE_PER_CHUNK),
    "tokens": Names(s.METRIC_TOKENS, None),
    "inference.input": Names(None, s.METRIC_INFERENCE_INPUT),
    "inference.output": Names(None, s.METRIC_INFERENCE_OUTPUT),
    "embeddings.input": Names(None, s.METRIC_EMBEDDINGS_INPUT),
    "used.input": Names(None, s.METRIC_USED_INPUT),
    "used.output": Names(None, s.METRIC_USED_OUTPUT),
    "used.cache_read": Names(None, s.METRIC_USED_CACHE_READ),
    "used.cache_write": Names(None, s.METRIC_USED_CACHE_WRITE),
    "used.reasoning": Names(None, s.METRIC_USED_REASONING),
    "cost": Names(s.METRIC_COST, s.METRIC_COST),
}

EVENTS: Final[Mapping[str, Names]] = {
    "details": Names(s.EVENT_DETAILS, s.EVENT_DETAILS),
    "inference.exception": Names(None, s.EVENT_INFERENCE_EXCEPTION),
    "embeddings.exception": Names(None, s.EVENT_OPERATION_EXCEPTION),
    "other.exception": Names(None, s.EVENT_OPERATION_EXCEPTION),
}
"""Log events. Both generations also have the span event `exception`."""

RENAMED: Final = tuple(
    [(names.old, names.new) for names in ATTRIBUTES.values() if names.old and names.new]
)
"""Span attributes as (name in 1.41, name in v0.1.0)."""

KINDS: Final[Mapping[str, str]] = {
    "chat": "inference",
    "text_completion": "inference",
    "generate_content": "inference",
    "embeddings": "embeddings",
}
"""Operation → its prefix in the tables above; `other` for the rest."""


@dataclass(frozen=True, slots=True)
class Generation:
    """What is written: the names of 1.41 (`old`), those of v0.1.0 (`new`), or both.

    A value that has the same name in both is written once, in the form of 1.41 if that is written.
    """

    name: str
    old: bool
    new: bool

    def __str__(self) -> str:
        """The name, for messages and documentation."""
        return self.name

    @property
    def schema_url(self) -> str | None:
        """The schema URL of tracer, meter and logger; v0.1.0 has published none."""
        return s.SCHEMA_URL if self.old else None

    def added(self, names: Names) -> str | None:
        """The name that v0.1.0 adds to what is written under the name of 1.41, or None."""
        return names.new if self.new and not (self.old and names.old == names.new) else None


V1_41: Final = Generation("1.41", old=True, new=False)
V0_1_0: Final = Generation("v0.1.0", old=False, new=True)
BOTH: Final = Generation("1.41 and v0.1.0", old=True, new=True)

OPT_IN: Final = "gen_ai_latest_experimental"
BY_OPT_IN: Final[Mapping[str, Generation]] = {f"{OPT_IN}/dup": BOTH, OPT_IN: V0_1_0}
"""Values of OTEL_SEMCONV_STABILITY_OPT_IN; an earlier one has precedence."""
