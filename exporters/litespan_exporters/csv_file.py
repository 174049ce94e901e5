"""One line a call in a CSV file, for spreadsheets. Standard library only.

    OTEL_TRACES_EXPORTER=csv LITESPAN_CSV=calls.csv opentelemetry-instrument python app.py

Columns are those of `litespan.stores.columns`, the first line has their names; a file with other
columns is put aside, and a new one begun. UTF-8, fields quoted where needed (RFC 4180), lists and
objects as JSON, money in decimals, times ISO 8601 in UTC.

A spreadsheet takes text that begins with `=`, `+`, `-` or `@` for a formula, some after blanks or
characters that show nothing, and what users and models write ends up here: such text gets an
apostrophe in front, as does text that begins with one. https://owasp.org/www-community/attacks/CSV_Injection

Lines are only ever appended: a call that was put on record when it started has two lines, and
the one whose outcome is not `started` counts.
"""

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, TextIO

from litespan.stores.buffer import NAMES, Row
from litespan.stores.columns import COLUMNS, Kind
from litespan.stores.line_exporter import LinesExporter
from litespan.stores.line_reader import BROKEN, read_lines
from litespan.stores.records import KINDS, Reader, Record, checked
from litespan.stores.spreadsheet import guarded, unguarded


def _list(items: Sequence[str]) -> str:
    return json.dumps(items, ensure_ascii=False, separators=(",", ":"))


def _time(at: datetime) -> str:
    return f"{at.isoformat(timespec='microseconds')[:26]}Z"  # strftime takes five times as long


_TEXT: Final[dict[Kind, Callable[[Any], Any]]] = {
    "text": guarded,
    "money": "{:f}".format,
    "flag": lambda flag: "true" if flag else "false",
    "time": _time,
    "list": _list,  # begins with a bracket
    "json": guarded,
}
"""How values are written, where `csv` would not do it so itself."""
_COLUMNS: Final = [_TEXT.get(column.kind) for column in COLUMNS]


def csv_lines(rows: Iterable[Sequence[Any]]) -> list[bytes]:
    """Rows as lines of a file (each several lines, where a cell has line breaks)."""
    written: list[str] = []
    csv.writer(_Into(written.append), lineterminator="\r\n").writerows(rows)
    return [line.encode() for line in written]


class _Into:
    """A file that hands on what is written: one whole line at a time."""

    def __init__(self, write: Callable[[str], Any]) -> None:
        self.write = write


class CsvExporter(LinesExporter):
    """Appends one line per call to a CSV file.

    Reads LITESPAN_CSV. Also LITESPAN_CSV_ROTATE. See `LinesExporter` for the arguments.
    """

    name = "csv"
    variable = "LITESPAN_CSV"
    header = csv_lines([NAMES])[0]

    @staticmethod
    def lines(rows: Sequence[Row]) -> list[bytes]:
        """Each row as CSV, None as nothing."""
        return csv_lines(
            [
                value if value is None or write is None else write(value)
                for write, value in zip(_COLUMNS, row, strict=True)
            ]
            for row in rows
        )


def read(place: str, columns: Sequence[str], since: str) -> Iterator[Record]:
    """The records of a CSV file and of those that rotation has put aside."""
    return read_lines(place, since, _parse)


def _parse(lines: TextIO) -> Iterator[Record | None]:
    csv.field_size_limit(2**31 - 1)
    source = _Lines(lines)
    rows = csv.DictReader(source, next(csv.reader(source), []))
    while True:
        source.taken.clear()
        try:
            yield _record(next(rows))
        except StopIteration:
            return
        except BROKEN:
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


def _record(cells: Mapping[str | None, Any]) -> Record:
    if None in cells or None in cells.values():  # more cells than columns, or fewer
        raise ValueError("cut")
    return checked(
        {
            name: _FROM_TEXT[kind](cells[name]) if cells.get(name) else None
            for name, kind in KINDS.items()
        }
    )


_FROM_TEXT: Final[dict[Kind, Callable[[str], Any]]] = {
    "key": str,
    "text": unguarded,
    "integer": int,
    "real": float,
    "money": Decimal,
    "flag": lambda text: text == "true",
    "time": str,
    "list": json.loads,
    "json": lambda text: json.loads(unguarded(text)),
}


READER: Final = Reader(
    read,
    ("LITESPAN_CSV",),
    "litespan.csv",
    is_one=lambda head: head.startswith(CsvExporter.header[:8]),
)
