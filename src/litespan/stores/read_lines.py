"""Records out of files of lines, JSONL and CSV; see `litespan.stores.reading`."""

import csv
import gzip
import json
import re
import sys
import zlib
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, TextIO

from litespan.stores.columns import Kind
from litespan.stores.reading import KINDS, NAMES, Record, checked, packed, said
from litespan_exporters import csv_file

_BROKEN: Final = (ValueError, ArithmeticError, AttributeError, TypeError, RecursionError, csv.Error)
"""What a line raises that a crash has cut, or that nobody of ours wrote."""


def calls(path: Path, kind: str) -> Iterator[Record]:
    """The records of a file, and of those that rotation has put aside for it, oldest first."""
    read = _jsonl if kind == "jsonl" else _csv
    broken = 0
    for file in (*_put_aside(path), path):
        for record in _whole(file, read):
            if record is None:
                broken += 1
            else:
                yield record
    if broken:
        print(f"litespan: {broken} line(s) of {path} cannot be read: left out", file=sys.stderr)


def _put_aside(path: Path) -> list[Path]:
    stem, suffix = re.escape(path.stem), re.escape(path.suffix)
    name = re.compile(rf"{stem}-\d{{8}}T\d{{6}}\.\d{{6}}Z-\d+{suffix}(\.gz)?")
    return sorted(file for file in path.parent.iterdir() if name.fullmatch(file.name))


def _whole(
    path: Path, read: Callable[[TextIO], Iterator[Record | None]]
) -> Iterator[Record | None]:
    """The records of one file as far as it can be read: a packed one may have lost its end."""
    try:
        with _opened(path) as lines:
            yield from read(lines)
    except (OSError, EOFError, zlib.error, csv.Error) as error:
        print(f"litespan: {path} cannot be read to its end: {said(error)}", file=sys.stderr)


def _opened(path: Path) -> TextIO:
    """The file as text; what is no UTF-8, such as half a character, costs its line only."""
    if packed(path):
        return gzip.open(path, "rt", encoding="utf-8", errors="replace", newline="")
    return path.open(encoding="utf-8", errors="replace", newline="")


def _jsonl(lines: TextIO) -> Iterator[Record | None]:
    for line in lines:
        try:
            yield _of_json(json.loads(line))
        except _BROKEN:
            yield None


def _of_json(members: Mapping[str, Any]) -> Record:
    record: Record = {name: members.get(name) for name in NAMES}
    for name in _MONEY:
        record[name] = record[name] and Decimal(record[name])
    return checked(record)


def _csv(lines: TextIO) -> Iterator[Record | None]:
    csv.field_size_limit(2**31 - 1)
    source = _Lines(lines)
    rows = csv.DictReader(source, next(csv.reader(source), []))
    while True:
        source.taken.clear()
        try:
            yield _of_cells(next(rows))
        except StopIteration:
            return
        except _BROKEN:
            source.back()  # a row that is cut within quotes has swallowed others
            yield None


class _Lines:
    """Lines, of which those after the first of a row can be had again."""

    def __init__(self, lines: TextIO) -> None:
        self.taken: list[str] = []
        self._lines = lines
        self._again: list[str] = []

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        self.taken.append(self._again.pop() if self._again else next(self._lines))
        return self.taken[-1]

    def back(self) -> None:
        """Give all lines again but the first that was taken."""
        self._again += reversed(self.taken[1:])


def _of_cells(cells: Mapping[str | None, Any]) -> Record:
    if None in cells or None in cells.values():  # more cells than columns, or fewer
        raise ValueError("cut")
    return checked(
        {
            name: _FROM_TEXT[kind](cells[name]) if cells.get(name) else None
            for name, kind in KINDS.items()
        }
    )


_MONEY: Final = [name for name, kind in KINDS.items() if kind == "money"]
_FROM_TEXT: Final[dict[Kind, Callable[[str], Any]]] = {
    "key": str,
    "text": csv_file.unguarded,
    "integer": int,
    "real": float,
    "money": Decimal,
    "flag": lambda text: text == "true",
    "time": str,
    "list": json.loads,
    "json": lambda text: json.loads(csv_file.unguarded(text)),
}
