"""What the stores with tables and indexes share: names, and which look-ups are quick."""

from typing import Final

TABLE: Final = "llm_calls"

INDEXES: Final = (
    ("start_time",),
    ("user_id", "start_time"),
    ("model", "start_time"),
    ("trace_id",),
    ("call_id",),
)
"""Columns of each index, beside the primary key `key`."""

LONGEST_INDEXED: Final = 500
"""Characters of an indexed text. The attributes have it whole."""
