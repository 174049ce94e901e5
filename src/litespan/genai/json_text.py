"""Compact, valid JSON in UTF-8."""

from typing import Final

from litespan.objects import JSON, encoder, plain


def dumps(value: JSON) -> bytes:
    """Compact JSON in UTF-8. NaN and infinities become null, lone surrogates `?`."""
    return to_text(value).encode("utf-8", "replace")


def to_text(value: JSON) -> str:
    """Compact JSON as text. NaN and infinities become null, lone surrogates stay."""
    try:
        return _encode(value)
    except ValueError:  # NaN, infinity, an integer of thousands of digits
        return _encode(plain(value))


def _refuse(value: object) -> JSON:
    raise TypeError(f"{type(value).__name__} is not JSON")


_encode: Final = encoder(_refuse)
