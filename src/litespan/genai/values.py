"""Checked reading of attribute values: the right type or None, never a cast, never an error.

Span attributes come from any instrumentation and can hold anything. These functions are
the only way in: what has another type than the one asked for counts as absent.
"""

import json
import math
from collections.abc import Mapping
from typing import Final, TypeAlias

from litespan.semconv import MOST_TOKENS, MOST_USD

JSON: TypeAlias = "dict[str, JSON] | list[JSON] | str | int | float | bool | None"
Scalar: TypeAlias = str | bool | int | float
Attributes: TypeAlias = Mapping[str, object]

_INT64: Final = 2**63  # what OTLP and every store can hold
_MOST_BITS: Final = 4096  # Python refuses to write thousands of decimal digits


def _finite(number: str) -> float | None:
    value = float(number)  # of "1e999": infinity
    return value if math.isfinite(value) else None


# Python reads and writes NaN and Infinity, which no other JSON reader takes.
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
    return value if type(value) is int and -_INT64 <= value < _INT64 else None


def amount(attributes: Attributes, key: str) -> int | None:
    """The integer under `key` that counts something: a negative one is a mistake, so None."""
    value = integer(attributes, key)
    return value if value is not None and value >= 0 else None


def tokens(attributes: Attributes, key: str) -> int | None:
    """The number of tokens under `key`; None for one that no call can use."""
    value = amount(attributes, key)
    return value if value is not None and value <= MOST_TOKENS else None


def money(attributes: Attributes, key: str) -> float | None:
    """The USD under `key`; None for an amount that no call can cost."""
    value = quantity(attributes, key)
    return value if value is not None and value <= MOST_USD else None


def quantity(attributes: Attributes, key: str) -> float | None:
    """The finite number under `key` of seconds or money: a negative one is a mistake, so None."""
    value = number(attributes, key)
    return value if value is not None and value >= 0 else None


def number(attributes: Attributes, key: str) -> float | None:
    """The finite number under `key` as float, or None."""
    value = attributes.get(key)
    if type(value) is float:
        return value if math.isfinite(value) else None
    return float(value) if type(value) is int and -_INT64 <= value < _INT64 else None


def boolean(attributes: Attributes, key: str) -> bool | None:
    """The bool under `key`, or None."""
    value = attributes.get(key)
    return value if isinstance(value, bool) else None


def strings(attributes: Attributes, key: str) -> tuple[str, ...]:
    """The strings under `key`: a sequence's strings, a JSON array's, or one plain string."""
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
    """A JSON string parsed, a structured value as plain lists and dicts; None if neither."""
    if isinstance(value, str):
        try:
            parsed: JSON = _DECODER.decode(value)
        except (ValueError, RecursionError):
            return None
        return parsed
    return plain(value)


def plain(value: object, depth: int = 64) -> JSON:
    """`value` as JSON-able lists, dicts and scalars; the rest becomes a str, NaN None.

    So do integers beyond 64 bits, which most readers of JSON would round.
    """
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, str | bool | int):
        return whole(value) if type(value) is int else value
    if depth == 0:
        return None
    if isinstance(value, Mapping):
        return {str(key): plain(item, depth - 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item, depth - 1) for item in value]
    return str(value)


def whole(value: int) -> int | str:
    """`value`, as text if it has more than 64 bits; in hex if it has thousands of digits."""
    if -_INT64 <= value < _INT64:
        return value
    return str(value) if value.bit_length() < _MOST_BITS else hex(value)
