"""A row as a MongoDB document, and a document's values as those of a record. Pure."""

import json
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final

from litespan.errors import log_once
from litespan.stores.buffer import KEY, NAMES, Row
from litespan.stores.columns import COLUMNS, Kind
from litespan.stores.records import KINDS

_DEEPEST: Final = 60  # levels; MongoDB's limit is 100
_LARGEST: Final = 16_000_000  # bytes; MongoDB's limit is 16 MiB
_GROWTH: Final = 8  # bytes of BSON for a character of JSON, at most: `1,` takes up to 14


def document(row: Row) -> dict[str, Any]:
    """A row as a document without None, and without content if it is too large."""
    made = {
        name: convert(value) if convert is not None else value
        for (name, convert), value in zip(_FIELDS, row, strict=True)
        if value is not None
    }
    if sum(len(row[i]) for i in _CONTENT if row[i] is not None) > _LARGEST // _GROWTH:
        from bson import encode

        if len(encode(made)) > _LARGEST:
            for i in _CONTENT:
                made.pop(NAMES[i], None)
            log_once("mongodb.cut", "mongodb: content beyond 16 MB is left out (logged once)")
    return made


def _decimal(value: Any) -> Any:
    from bson.decimal128 import Decimal128

    return Decimal128(value)


def _parsed(text: str) -> Any:
    """Parse JSON text to values for BSON."""
    value = _decode(text)
    brackets = text.count("{") + text.count("[")
    return _limit_depth(value, _DEEPEST) if brackets > _DEEPEST else value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    return {_key(key): value for key, value in pairs}


@lru_cache(4096)  # most names are from the conventions
def _key(key: str) -> str:
    key = key.replace(".", "\uff0e")
    return f"\uff04{key[1:]}" if key.startswith("$") else key


def _integer(digits: str) -> Any:
    if len(digits) < 19 or -(2**63) <= int(digits) < 2**63:
        return int(digits)
    return _decimal(digits) if len(digits.removeprefix("-")) < 35 else digits


_decode: Final = json.JSONDecoder(object_pairs_hook=_object, parse_int=_integer).decode


def _limit_depth(value: Any, depth: int) -> Any:
    """`value` with JSON text in place of deeper levels."""
    if isinstance(value, dict | list) and not depth:
        return json.dumps(value, ensure_ascii=False, default=str)
    if isinstance(value, dict):
        return {key: _limit_depth(item, depth - 1) for key, item in value.items()}
    return [_limit_depth(item, depth - 1) for item in value] if isinstance(value, list) else value


_BSON: Final[dict[Kind, Callable[[Any], Any]]] = {
    "key": str,
    "money": _decimal,
    "json": _parsed,
}
_FIELDS: Final = [
    ("_id" if i == KEY else column.name, _BSON.get(column.kind)) for i, column in enumerate(COLUMNS)
]
_CONTENT: Final = [i for i, column in enumerate(COLUMNS) if column.content]


def of_bson(name: str, value: Any) -> Any:
    """Convert BSON numbers to decimals or ints, and restore keys."""
    from bson.decimal128 import Decimal128
    from bson.int64 import Int64

    if isinstance(value, Decimal128):
        exact = value.to_decimal()
        return exact if KINDS.get(name) == "money" else int(exact)
    if type(value) is Int64:
        return int(value)
    if isinstance(value, dict):
        plain = {key.replace("\uff0e", "."): item for key, item in value.items()}
        return {
            f"${key[1:]}" if key.startswith("\uff04") else key: of_bson(key, item)
            for key, item in plain.items()
        }
    return [of_bson("", item) for item in value] if isinstance(value, list) else value
