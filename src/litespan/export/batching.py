"""Batches of items within a vendor's limits, and truncation of content. Pure."""

import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, Final

from litespan.objects import JSON, json_bytes

SHORTEST_CUT: Final = 256
"""Characters. Shorter strings are never cut: they are names or ids, not content."""

LONGEST_KEPT: Final = 16
"""Items. No list is shortened to fewer: a shorter one is not a conversation."""

_MARKER: Final = "… [cut by litespan: originally {} characters]"
_MARKED: Final = re.compile(r"… \[cut by litespan: originally (\d+) characters\]$")


@dataclass(frozen=True, slots=True)
class Item:
    """One span in the vendor's format."""

    key: str  # the span's idempotency key
    data: Any  # JSON in UTF-8, or whatever the exporter's `encode` takes
    path: str = ""  # appended to the exporter's URL
    headers: tuple[tuple[str, str], ...] = ()  # of the request
    group: str = ""  # items of different groups do not share a request


@dataclass(frozen=True, slots=True)
class Batch:
    """The items of one request, and its body before compression."""

    items: tuple[Item, ...]
    body: bytes = field(repr=False)  # can contain the API key

    @property
    def path(self) -> str:
        """Appended to the exporter's URL."""
        return self.items[0].path

    @property
    def headers(self) -> tuple[tuple[str, str], ...]:
        """In addition to the exporter's own."""
        return self.items[0].headers


def pack(
    items: Iterable[Item], encode: Callable[[Sequence[Item]], bytes], max_items: int, max_bytes: int
) -> Iterator[Batch]:
    """Batches of at most `max_items` items and `max_bytes` bytes of encoded body.

    Only adjacent items with the same path, headers and group share a batch. A single item larger
    than `max_bytes` becomes a batch of its own: the caller truncates or drops it.
    """
    for _, group in groupby(items, key=lambda item: (item.path, item.headers, item.group)):
        same = tuple(group)
        for start in range(0, len(same), max_items):
            yield from _fit(same[start : start + max_items], encode, max_bytes)


def _fit(
    items: tuple[Item, ...], encode: Callable[[Sequence[Item]], bytes], max_bytes: int
) -> Iterator[Batch]:
    body = encode(items)
    if len(body) <= max_bytes or len(items) == 1:
        yield Batch(items, body)
        return
    for half in split_in_half(items):
        yield from _fit(half, encode, max_bytes)


def split_in_half(items: tuple[Item, ...]) -> tuple[tuple[Item, ...], tuple[Item, ...]]:
    """The first and the second half of the items."""
    middle = len(items) // 2
    return items[:middle], items[middle:]


def shrink(value: JSON, max_bytes: int) -> JSON:
    """Cut the longest strings in `value` until it takes at most `max_bytes` as JSON.

    Each cut string ends in a marker with its original length in characters. If all strings are
    short, items are removed from the middle of the longest list. Returns None if nothing is left
    that is long enough to be content.
    """
    tree = [value]  # so that the root can also be replaced
    while (excess := (size := len(json_bytes(tree[0]))) - max_bytes) > 0:
        if places := [place for place in _strings(tree) if len(place[0]) > SHORTEST_CUT]:
            sizes = [len(json_bytes(text)) for text, _, _ in places]
            for index, less in cuts(sizes, excess):
                text, holder, at = places[index]
                holder[at] = cut(text, less)
        elif not _shorten_list(tree, excess / size):
            return None
    return tree[0]


def cuts(sizes: Sequence[int], excess: int) -> list[tuple[int, int]]:
    """(index, bytes to cut) of the largest sizes, to make them equal and cut `excess` in total."""
    order = sorted(range(len(sizes)), key=sizes.__getitem__, reverse=True)
    above = 0
    for count, index in enumerate(order, 1):
        above += sizes[index]
        level = max(above - excess, 0) // count
        if count == len(order) or level >= sizes[order[count]]:
            break
    return [(index, sizes[index] - level) for index in order[:count]]


def _shorten_list(tree: JSON, share: float) -> bool:
    """Remove a share from the middle of the longest list; False if no list is long."""
    longest = max(_lists(tree), key=len)
    if len(longest) <= LONGEST_KEPT:
        return False
    keep = max(int(len(longest) * (1 - share)), LONGEST_KEPT)
    keep = min(keep, len(longest) - 1)
    head = (keep + 1) // 2
    del longest[head : len(longest) - (keep - head)]
    return True


def cut(text: str, excess: int) -> str:
    """Cut at least `excess` bytes (as JSON) from the end of `text`, and add the marker."""
    marked = _MARKED.search(text)
    original = int(marked.group(1)) if marked else len(text)
    head = text[: marked.start()] if marked else text
    marker = _MARKER.format(original)
    per_character = len(json_bytes(text)) / len(text)
    keep = len(head) - math.ceil(excess / per_character) - len(marker)
    if head.startswith("data:") or keep < SHORTEST_CUT // 2:  # part of an image is useless
        keep = 0
    return head[:keep] + marker


def _strings(value: Any) -> Iterator[tuple[str, Any, Any]]:
    """Every string in `value`, with its container and its key or index."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    for at, item in pairs:
        if isinstance(item, str):
            yield item, value, at
        elif isinstance(item, dict | list):
            yield from _strings(item)


def _lists(value: Any) -> Iterator[list[Any]]:
    """Every list in `value`, itself included."""
    if isinstance(value, list):
        yield value
    for item in value.values() if isinstance(value, dict) else value:
        if isinstance(item, dict | list):
            yield from _lists(item)
