"""Names and indexes for stores with tables."""

from typing import Final

TABLE: Final = "llm_calls"

INDEXES: Final = (
    ("start_time",),
    ("user_id", "start_time"),
    ("model", "start_time"),
    ("trace_id",),
    ("call_id",),
)
"""Columns of each index, in addition to the primary key `key`."""

MAX_INDEXED: Final = 500
"""Characters of indexed text. `attributes` has the full text."""
