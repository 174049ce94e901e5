"""How other instrumentations name what litespan names in `semconv`: tables, no logic."""

from collections.abc import Sequence
from typing import Final

from opentelemetry.sdk.trace import Event

from litespan import semconv as s
from litespan.export.values import Attributes

PARAMETERS: Final = (
    ("max_tokens", s.REQUEST_MAX_TOKENS),
    ("temperature", s.REQUEST_TEMPERATURE),
    ("top_p", s.REQUEST_TOP_P),
    ("top_k", s.REQUEST_TOP_K),
    ("frequency_penalty", s.REQUEST_FREQUENCY_PENALTY),
    ("presence_penalty", s.REQUEST_PRESENCE_PENALTY),
    ("stop_sequences", s.REQUEST_STOP_SEQUENCES),
    ("seed", s.REQUEST_SEED),
    ("choice_count", s.REQUEST_CHOICE_COUNT),
    ("encoding_formats", s.REQUEST_ENCODING_FORMATS),
    ("reasoning_level", s.REQUEST_REASONING_LEVEL),
    ("previous_response_id", s.REQUEST_PREVIOUS_RESPONSE_ID),
    ("service_tier", s.OPENAI_REQUEST_SERVICE_TIER),
)
"""Plain name of a request parameter → attribute."""

STRUCTURE: Final = frozenset(
    {"execute_tool", "invoke_agent", "create_agent", "invoke_workflow", "plan", "retrieval"}
)
"""Operations that are not themselves a call of a model."""


def is_genai(attributes: Attributes) -> bool:
    """Does any convention mark these attributes as a GenAI span's?"""
    return s.OPERATION in attributes


def rename(attributes: Attributes) -> Attributes:
    """The attributes under litespan's names."""
    return attributes


def content(name: str, attributes: Attributes, events: Sequence[Event]) -> object:
    """The raw value of the content attribute `name`, or None."""
    return attributes.get(name)
