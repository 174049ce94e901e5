"""Reads stores that are files of lines: JSONL and CSV."""

import csv
import gzip
import re
import sys
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TextIO, TypeAlias

from litespan.stores.records import Record, is_gzip, later, once, reason, report_broken

Parse: TypeAlias = Callable[[TextIO], Iterator[Record | None]]


def read_lines(place: str, since: str, parse: Parse) -> Iterator[Record]:
    """The records of a file and its rotated files, oldest first.

    Args:
        place: the file's path.
        since: ISO 8601 in UTC; empty for all.
        parse: the records of an open file, None for a line that cannot be read.
    """
    return once(later(_records(Path(place).expanduser(), parse), since))


def _records(path: Path, parse: Parse) -> Iterator[Record]:
    broken = 0
    for file in (*_rotated(path), path):
        for record in _whole(file, parse):
            if record is None:
                broken += 1
            else:
                yield record
    report_broken(broken, "line", path)


def _rotated(path: Path) -> list[Path]:
    stem, suffix = re.escape(path.stem), re.escape(path.suffix)
    name = re.compile(rf"{stem}-\d{{8}}T\d{{6}}\.\d{{6}}Z-\d+{suffix}(\.gz)?")
    return sorted(file for file in path.parent.iterdir() if name.fullmatch(file.name))


def _whole(path: Path, parse: Parse) -> Iterator[Record | None]:
    """The records of one file, as far as it can be read: a compressed file may be truncated."""
    try:
        with _opened(path) as lines:
            yield from parse(lines)
    except (OSError, EOFError, zlib.error, csv.Error) as error:
        print(f"litespan: {path} cannot be read to its end: {reason(error)}", file=sys.stderr)


def _opened(path: Path) -> TextIO:
    """The file as text. Invalid UTF-8 only affects its own line."""
    if is_gzip(path):
        return gzip.open(path, "rt", encoding="utf-8", errors="replace", newline="")
    return path.open(encoding="utf-8", errors="replace", newline="")
