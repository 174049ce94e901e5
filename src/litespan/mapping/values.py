"""Reading LiteLLM's objects: pydantic models, plain objects and dicts alike."""

from collections.abc import Mapping
from typing import Any


def get(holder: Any, name: str) -> Any:
    """`holder.name` or `holder["name"]`, or None if there is no such thing."""
    if holder is None:
        return None
    if isinstance(holder, Mapping):
        return holder.get(name)
    return getattr(holder, name, None)


def as_int(value: Any) -> int | None:
    """`value` if it is a whole number (a bool is not)."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return None


def as_float(value: Any) -> float | None:
    """`value` as a float if it is a number (a bool is not)."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    return None


def as_text(value: Any) -> str | None:
    """`value` if it is a string with something in it."""
    return value if isinstance(value, str) and value else None


def as_texts(value: Any) -> tuple[str, ...] | None:
    """A string or a list of strings as a tuple of strings."""
    if isinstance(value, str):
        return (value,)
    if isinstance(value, (list, tuple)):
        return tuple(item for item in value if isinstance(item, str)) or None
    return None


def is_true(value: Any) -> bool:
    """True for True and for the word, as it comes from headers and YAML."""
    return value is True or (isinstance(value, str) and value.lower() == "true")
