"""Compact, valid JSON in UTF-8."""

import json
from typing import Final

from litespan.objects import JSON, plain


def dumps(value: JSON) -> bytes:
    """Compact JSON in UTF-8. NaN and infinities become null, lone surrogates `?`."""
    return to_text(value).encode("utf-8", "replace")


def to_text(value: JSON) -> str:
    """Compact JSON as text. NaN and infinities become null, lone surrogates stay."""
    try:
        return _ENCODER.encode(value)
    except ValueError:  # NaN, infinity, an integer of thousands of digits
        return _ENCODER.encode(plain(value))


_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False)
