"""Compact, valid JSON in UTF-8."""

import math
from typing import Final

from litespan.genai.values import JSON
from litespan.objects import encoder


def dumps(value: JSON) -> bytes:
    """Compact JSON in UTF-8. NaN and infinities become null, lone surrogates `?`."""
    return to_text(value).encode("utf-8", "replace")


def to_text(value: JSON) -> str:
    """Compact JSON as text. NaN and infinities become null, lone surrogates stay."""
    try:
        return _encode(value)
    except ValueError:
        return _encode(_finite(value))


def _refuse(value: object) -> JSON:
    raise TypeError(f"{type(value).__name__} is not JSON")


_encode: Final = encoder(_refuse, allow_nan=False)


def _finite(value: JSON) -> JSON:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value
