"""Values that others made, as trees of bounded depth and size.

They may hold themselves, or the same branch many times, which JSON would repeat.
"""

from collections.abc import Mapping
from typing import Any, Final

from litespan.mapping.values import contents

_DEEPEST: Final = 32  # nested objects and lists
_MOST_VALUES: Final = 10_000  # values in one tool's arguments, result or definition
_REST: Final = "…"
_SCALARS: Final = frozenset({str, int, float, bool, type(None)})
_LISTS: Final = (list, tuple, set, frozenset)


def pruned(value: Any) -> Any:
    """`value` as a tree that JSON can hold; `…` stands for what is too deep or one too many."""
    return value if value.__class__ in _SCALARS else _pruned(value, _DEEPEST, [_MOST_VALUES])


def _pruned(value: Any, depth: int, left: list[int]) -> Any:
    """`left` holds how many more values there may be. No calls for plain values: they are most."""
    if isinstance(value, _LISTS):
        return _pruned_list(value, depth, left) if depth else _REST
    fields = isinstance(value, Mapping) or hasattr(value, "__pydantic_fields__")
    if not fields or isinstance(value, type):
        return value if isinstance(value, (str, int, float)) else str(value)
    if not depth:
        return _REST
    made: dict[str, Any] = {}
    for name, inner in contents(value).items():
        left[0] -= 1
        if left[0] < 0:
            made[_REST] = _REST
            break
        kept = inner if inner.__class__ in _SCALARS else _pruned(inner, depth - 1, left)
        made[name if name.__class__ is str else str(name)] = kept
    return made


def _pruned_list(values: Any, depth: int, left: list[int]) -> list[Any]:
    made: list[Any] = []
    for inner in values:
        left[0] -= 1
        if left[0] < 0:
            made.append(_REST)
            break
        made.append(inner if inner.__class__ in _SCALARS else _pruned(inner, depth - 1, left))
    return made
