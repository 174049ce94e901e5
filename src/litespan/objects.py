"""Helpers that read pydantic models, plain objects and dicts alike."""

import json.encoder
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeAlias

from litespan import semconv as s
from litespan.counters import count
from litespan.errors import log_once

JSON: TypeAlias = "dict[str, JSON] | list[JSON] | str | int | float | bool | None"

INT64: Final = 2**63
"""The range of integers in OTLP and in every store."""

MOST_USD: Final = float(s.MOST_USD)  # faster to compare with costs than an int

_ABSENT: Final = object()
_NOTHING: Final[Mapping[str, Any]] = {}
_LONG: Final = 4096  # characters
_ESCAPES: Final = (("\\", "\\\\"), ('"', '\\"'), ("\n", "\\n"), ("\r", "\\r"), ("\t", "\\t"))
# 1 for every other character that JSON escapes.
_RARE: Final = bytes(code < 32 and chr(code) not in "\n\r\t" for code in range(256))


def get(holder: Any, name: str) -> Any:
    """Return `holder.name` or `holder["name"]`, or None if it does not exist.

    Reads fields, extra fields and private attributes of a pydantic model directly from its
    storage: `getattr` takes microseconds for extra, private and missing names.
    """
    if isinstance(holder, dict):
        return holder.get(name)
    if holder is None:
        return None
    kept = getattr(holder, "__dict__", _NOTHING)
    if name in kept:
        return kept[name]
    extra: Any = getattr(holder, "__pydantic_extra__", _ABSENT)
    if extra is _ABSENT:  # not a pydantic model
        return holder.get(name) if isinstance(holder, Mapping) else getattr(holder, name, None)
    if extra and name in extra:
        return extra[name]
    return (getattr(holder, "__pydantic_private__", None) or _NOTHING).get(name)


def contents(holder: Any) -> Mapping[str, Any]:
    """Return the fields of `holder` by name. Do not modify the result."""
    if isinstance(holder, dict):
        return holder
    extra: Any = getattr(holder, "__pydantic_extra__", _ABSENT)
    if extra is _ABSENT and isinstance(holder, Mapping):
        return holder
    kept: Mapping[str, Any] = getattr(holder, "__dict__", _NOTHING)
    return {**kept, **extra} if extra and extra is not _ABSENT else kept


def first(fields: Mapping[str, Any], *names: str) -> Any:
    """Return the value of the first of these fields that is set, or None."""
    return next((fields[name] for name in names if fields.get(name) is not None), None)


def as_int(value: Any) -> int | None:
    """Return `value` as an int if it is a whole number of 64 bits, else None, as for a bool."""
    if type(value) is not int and isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if type(value) is int and -INT64 <= value < INT64 else None


def as_float(value: Any) -> float | None:
    """Return `value` as a float if it is a number, else None; a bool is not a number."""
    if type(value) is float:
        return value
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError:  # an int with hundreds of digits
            return math.inf if value > 0 else -math.inf
    return None


def to_float(value: Any) -> float | None:
    """Return a number, which may also be text; None for anything else."""
    try:
        return None if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        return None


def as_cost(value: Any) -> float | None:
    """Return `value` as USD; None, counted and logged, if it is not a possible cost of a call."""
    cost = value if type(value) is float else as_float(value)
    if cost is None or 0.0 <= cost <= MOST_USD:
        return cost
    _refuse("cost", cost, f"{s.MOST_USD:,} USD")
    return None


def as_tokens(value: Any) -> int | None:
    """Return `value` if it is a possible token count of one call, -1 for any other number."""
    if value is None or (type(value) is int and 0 <= value <= s.MOST_TOKENS):
        return value
    tokens, number = as_int(value), as_float(value)
    if number is None or (tokens is None and not abs(number) >= INT64):  # a fraction, or NaN
        return None
    if tokens is not None and 0 <= tokens <= s.MOST_TOKENS:
        return tokens
    _refuse("tokens", number, f"{s.MOST_TOKENS:,} tokens")
    return -1


def _refuse(what: str, value: float | None, most: str) -> None:
    count(f"refused.{what}")
    log_once(
        f"refused.{what}",
        "a response reports %.3g as its %s, which is outside the valid range (0 to %s): the value "
        "is left out of spans and metrics (logged once; litespan.stats() counts refused.%s)",
        value,
        what,
        most,
        what,
    )


def as_text(value: Any) -> str | None:
    """Return `value`, without lone surrogates, if it is a non-empty string, else None."""
    return utf8(value) if isinstance(value, str) and value else None


def as_list(value: Any) -> Sequence[Any]:
    """Return `value` if it is a list or tuple, else nothing."""
    return value if isinstance(value, (list, tuple)) else ()


def safe_str(value: Any) -> str:
    """Return `str(value)`; if that raises, as objects of other libraries can, the type's name.

    Of a member of a string enum, return its value. Integers of thousands of digits, which Python
    refuses to format, become hexadecimal.
    """
    try:
        return str.__str__(value) if isinstance(value, str) else str(value)
    except Exception:  # noqa: BLE001
        return hex(value) if isinstance(value, int) else f"<{type(value).__name__}>"


def as_texts(value: Any) -> tuple[str, ...] | None:
    """Return a string, or the strings of a list, tuple or set (sorted), as a tuple."""
    if isinstance(value, str):
        return (utf8(value),)
    if isinstance(value, (set, frozenset)):
        value = sorted(item for item in value if isinstance(item, str))
    if isinstance(value, (list, tuple)):
        return tuple(utf8(item) for item in value if isinstance(item, str)) or None
    return None


def utf8(text: str) -> str:
    """Replace lone surrogates, which OTLP cannot encode, by `?`, and a string enum by its value."""
    if not text.isascii():
        return text.encode("utf-8", "replace").decode()
    return text if type(text) is str else str.__str__(text)


def parsed(text: str | bytes) -> Any:
    """Parse JSON; None if it is invalid or nested too deeply."""
    try:
        return json.loads(text)
    except (ValueError, TypeError, RecursionError):
        return None


def is_true(value: Any) -> bool:
    """Whether `value` is True or the text "true", as in headers and YAML."""
    return value is True or (isinstance(value, str) and value.lower() == "true")


def plain(value: object, depth: int = 64) -> JSON:
    """`value` as lists, dicts and scalars of JSON. Other types become text, NaN becomes None.

    Integers beyond 64 bits become text, because most JSON parsers round them.
    """
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, (str, bool, int)):  # faster than a union
        return whole(value) if type(value) is int else value
    if depth == 0:
        return None
    if isinstance(value, (list, tuple)):
        return [plain(item, depth - 1) for item in value]
    if isinstance(value, Mapping):
        return {safe_str(key): plain(item, depth - 1) for key, item in value.items()}
    return safe_str(value)


def whole(value: int) -> int | str:
    """`value`, or text if it exceeds 64 bits: hexadecimal for thousands of digits."""
    return value if -INT64 <= value < INT64 else safe_str(value)


def quoted(text: str) -> str:
    """Return the JSON of a string; lone surrogates stay."""
    if len(text) < _LONG or text.count('"') > len(text) // 64:
        return json.encoder.encode_basestring(text)
    if 1 in text.encode("utf-8", "surrogatepass").translate(_RARE):
        return json.encoder.encode_basestring(text)
    for character, escape in _ESCAPES:  # faster, if there are few
        text = text.replace(character, escape)
    return f'"{text}"'


def _encoder() -> Callable[[Any], str]:
    """Return a compact JSON encoder, which raises ValueError for NaN, infinity and huge integers.

    `json.JSONEncoder` creates a C encoder for each value; this one is created once.
    """
    try:
        encode = json.encoder.c_make_encoder(  # type: ignore[attr-defined]
            *(None, safe_str, json.encoder.encode_basestring, None, ":", ","),
            *(False, False, False),
        )
        encode([""], 0)
    except TypeError:  # no C encoder, or one with another signature
        return json.JSONEncoder(
            ensure_ascii=False, separators=(",", ":"), default=safe_str, allow_nan=False
        ).encode
    return lambda value: "".join(encode(value, 0))


_encode: Final = _encoder()


def encoded(value: Any) -> str:
    """Return compact JSON. Other types become text, NaN and infinity null; lone surrogates stay."""
    try:
        return _encode(value)
    except ValueError:  # NaN, infinity, an integer of thousands of digits
        return _encode(plain(value))


def dumps(value: Any) -> str:
    """Return compact JSON; other types become text, lone surrogates `?`."""
    return utf8(encoded(value))


def json_bytes(value: Any) -> bytes:
    """Return compact JSON in UTF-8; other types become text, lone surrogates `?`."""
    return encoded(value).encode("utf-8", "replace")
