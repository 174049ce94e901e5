"""Reading LiteLLM's objects: pydantic models, plain objects and dicts alike."""

import json
import json.encoder
import math
from collections.abc import Callable, Mapping
from typing import Any, Final

from litespan import semconv as s
from litespan.counters import count
from litespan.errors import log_once

_ABSENT: Final = object()
_NOTHING: Final[Mapping[str, Any]] = {}


def get(holder: Any, name: str) -> Any:
    """`holder.name` or `holder["name"]`, or None if there is no such thing.

    Of a pydantic model, only what it keeps: its fields, extra fields and private attributes.
    They are looked up where the model keeps them, because `getattr` takes microseconds for an
    extra or private name, and for a name that the model does not have.
    """
    if isinstance(holder, dict):
        return holder.get(name)
    if holder is None:
        return None
    kept = getattr(holder, "__dict__", _NOTHING)
    if name in kept:
        return kept[name]
    extra: Any = getattr(holder, "__pydantic_extra__", _ABSENT)
    if extra is _ABSENT:  # no pydantic model
        return holder.get(name) if isinstance(holder, Mapping) else getattr(holder, name, None)
    if extra and name in extra:
        return extra[name]
    return (getattr(holder, "__pydantic_private__", None) or _NOTHING).get(name)


def contents(holder: Any) -> Mapping[str, Any]:
    """The fields of `holder` by name, for reading several of them; not to be written to."""
    if isinstance(holder, dict):
        return holder
    extra: Any = getattr(holder, "__pydantic_extra__", _ABSENT)
    if extra is _ABSENT and isinstance(holder, Mapping):
        return holder
    kept: Mapping[str, Any] = getattr(holder, "__dict__", _NOTHING)
    return {**kept, **extra} if extra and extra is not _ABSENT else kept


def as_int(value: Any) -> int | None:
    """`value` if it is a whole number (a bool is not)."""
    if type(value) is int:
        return value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return None


def as_float(value: Any) -> float | None:
    """`value` as a float if it is a number (a bool is not)."""
    if type(value) is float:
        return value
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError:  # an int with hundreds of digits
            return math.inf if value > 0 else -math.inf
    return None


def as_cost(value: Any) -> float | None:
    """`value` in USD if one call can cost that; what cannot be is counted and left out."""
    cost = as_float(value)
    if cost is None or 0.0 <= cost <= s.MOST_USD:
        return cost
    _refuse("cost", cost, f"{s.MOST_USD:,} USD")
    return None


def as_tokens(value: Any) -> int | None:
    """`value` if it is a number of tokens that one call can use; -1 if it is any other number."""
    if value is None or (type(value) is int and 0 <= value <= s.MOST_TOKENS):
        return value
    tokens = as_int(value)
    if tokens is None or 0 <= tokens <= s.MOST_TOKENS:
        return tokens
    _refuse("tokens", as_float(tokens), f"{s.MOST_TOKENS:,} tokens")
    return -1


def _refuse(what: str, value: float | None, most: str) -> None:
    count(f"refused.{what}")
    log_once(
        f"refused.{what}",
        "an answer states %.3g as its %s, which no call can have (0 to %s): it is left out of "
        "spans and metrics (logged once; litespan.stats() counts it as refused.%s)",
        value,
        what,
        most,
        what,
    )


def as_text(value: Any) -> str | None:
    """`value` if it is a string with something in it."""
    return value if isinstance(value, str) and value else None


def as_texts(value: Any) -> tuple[str, ...] | None:
    """A string, or the strings of a list, tuple or set, as a tuple; those of a set sorted."""
    if isinstance(value, str):
        return (value,)
    if isinstance(value, (set, frozenset)):
        value = sorted(item for item in value if isinstance(item, str))
    if isinstance(value, (list, tuple)):
        return tuple(item for item in value if isinstance(item, str)) or None
    return None


def utf8(text: str) -> str:
    """`text`, with `?` for halves of surrogate pairs: OTLP cannot carry them."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def is_true(value: Any) -> bool:
    """True for True and for the word, as it comes from headers and YAML."""
    return value is True or (isinstance(value, str) and value.lower() == "true")


def _encoder() -> Callable[[Any], str]:
    """Compact JSON. `JSONEncoder` makes its C encoder anew for every text: we keep one."""
    try:
        encode = json.encoder.c_make_encoder(  # type: ignore[attr-defined]
            None, str, json.encoder.encode_basestring, None, ":", ",", False, False, True
        )
        encode([""], 0)
    except TypeError:  # this Python has none, or one of another kind
        return json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=str).encode
    return lambda value: "".join(encode(value, 0))


_encode: Final = _encoder()


def dumps(value: Any) -> str:
    """Compact JSON; what JSON cannot say is said as text, lone surrogates are replaced."""
    return utf8(_encode(value))
