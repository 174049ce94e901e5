"""Reads attribute values with type checks: the requested type or None, never an error.

Span attributes come from any instrumentation and can have any type. A value of another type than
the requested one is ignored.
"""

import json
import math
from collections.abc import Mapping
from typing import Final, TypeAlias

from litespan.objects import INT64, JSON, plain, whole
from litespan.semconv import MOST_TOKENS, MOST_USD

Scalar: TypeAlias = str | bool | int | float
Attributes: TypeAlias = Mapping[str, object]


def _finite(number: str) -> float | None:
    value = float(number)  # of "1e999": infinity
    return value if math.isfinite(value) else None


# Python accepts NaN and Infinity, which are not valid JSON.
_DECODER: Final = json.JSONDecoder(parse_constant=lambda _: None, parse_float=_finite)


def string(attributes: Attributes, key: str) -> str | None:
    """The non-empty string under `key`, or None."""
    value = attributes.get(key)
    return value if isinstance(value, str) and value else None


def integer(attributes: Attributes, key: str) -> int | None:
    """The 64-bit integer under `key` (a whole float counts, a bool does not), or None."""
    value = attributes.get(key)
    if type(value) is float and value.is_integer():
        value = int(value)
    return value if type(value) is int and -INT64 <= value < INT64 else None


def amount(attributes: Attributes, key: str) -> int | None:
    """The count under `key`; None if it is negative."""
    value = integer(attributes, key)
    return value if value is not None and value >= 0 else None


def tokens(attributes: Attributes, key: str) -> int | None:
    """The number of tokens under `key`; None if it is implausibly large."""
    value = attributes.get(key)
    if type(value) is int and 0 <= value <= MOST_TOKENS:  # the usual case
        return value
    value = amount(attributes, key)
    return value if value is not None and value <= MOST_TOKENS else None


def money(attributes: Attributes, key: str) -> float | None:
    """The USD under `key`; None if the amount is implausibly large."""
    value = attributes.get(key)
    if type(value) is float and 0.0 <= value <= MOST_USD:  # the usual case
        return value
    value = quantity(attributes, key)
    return value if value is not None and value <= MOST_USD else None


def quantity(attributes: Attributes, key: str) -> float | None:
    """The seconds or money under `key`; None if it is negative or not finite."""
    value = number(attributes, key)
    return value if value is not None and value >= 0 else None


def number(attributes: Attributes, key: str) -> float | None:
    """The finite number under `key` as float, or None."""
    value = attributes.get(key)
    if type(value) is float:
        return value if math.isfinite(value) else None
    return float(value) if type(value) is int and -INT64 <= value < INT64 else None


def boolean(attributes: Attributes, key: str) -> bool | None:
    """The bool under `key`, or None."""
    value = attributes.get(key)
    return value if isinstance(value, bool) else None


def strings(attributes: Attributes, key: str) -> tuple[str, ...]:
    """The strings under `key`, from a sequence, a JSON array or one plain string."""
    value = attributes.get(key)
    if isinstance(value, str):
        parsed = parse(value) if value.startswith("[") else None
        value = parsed if isinstance(parsed, list) else (value,)
    if not isinstance(value, list | tuple):
        return ()
    return tuple([item for item in value if isinstance(item, str) and item])


def scalar(value: object) -> Scalar | tuple[Scalar, ...] | None:
    """`value` if it is a scalar, a tuple of its scalars if it is a sequence, else None.

    An integer beyond 64 bits becomes text.
    """
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if type(value) is int:
        return whole(value)
    if isinstance(value, str | bool | int):
        return value
    if isinstance(value, list | tuple):
        scalars = [scalar(item) for item in value if not isinstance(item, list | tuple)]
        return tuple([item for item in scalars if isinstance(item, str | bool | int | float)])
    return None


def parse(value: object) -> JSON:
    """Parse JSON text, or convert a structured value with `plain`; None for invalid JSON."""
    if isinstance(value, str):
        try:
            parsed: JSON = _DECODER.decode(value)
        except (ValueError, RecursionError):
            return None
        return parsed
    return plain(value)
