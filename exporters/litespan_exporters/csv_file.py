"""One line for each call in a CSV file, for spreadsheets. Standard library only.

    OTEL_TRACES_EXPORTER=csv LITESPAN_CSV=calls.csv opentelemetry-instrument python app.py

Columns are those of `litespan.stores.columns`; the first line has their names. A file with other
columns is rotated. UTF-8, fields quoted where needed (RFC 4180), lists and
objects as JSON, money in decimals, times ISO 8601 in UTC.

Spreadsheets treat text that starts with `=`, `+`, `-` or `@` as a formula, some also after blanks
or invisible characters. Such text, and text that starts with an apostrophe, gets an apostrophe in
front. https://owasp.org/www-community/attacks/CSV_Injection

Lines are only appended: a call that was recorded at its start has two lines, of which the one
whose outcome is not `started` is valid.
"""

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final, TextIO

from litespan.objects import encoded
from litespan.stores.buffer import NAMES, Row
from litespan.stores.columns import COLUMNS, Kind, time_text
from litespan.stores.line_exporter import LinesExporter
from litespan.stores.line_reader import read_lines
from litespan.stores.records import BROKEN, KINDS, Reader, Record, checked
from litespan.stores.spreadsheet import guarded, unguarded

_TEXT: Final[dict[Kind, Callable[[Any], Any]]] = {
    "text": guarded,
    "money": "{:f}".format,
    "flag": lambda flag: "true" if flag else "false",
    "time": time_text,
    "list": encoded,  # needs no guard, because it starts with a bracket
    "json": guarded,
}
"""Kind → format of values that differs from the default of `csv`."""
_COLUMNS: Final = [_TEXT.get(column.kind) for column in COLUMNS]


def csv_lines(rows: Iterable[Sequence[Any]]) -> list[bytes]:
    """Rows as lines; a row has several lines if a cell has line breaks."""
    written: list[str] = []
    csv.writer(_Into(written.append), lineterminator="\r\n").writerows(rows)
    return [line.encode() for line in written]


class _Into:
    """A file object that passes each written line to a function."""

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
        """Each row as CSV; None as an empty cell."""
        return csv_lines(
            [
                value if value is None or write is None else write(value)
                for write, value in zip(_COLUMNS, row, strict=True)
            ]
            for row in rows
        )


def read(place: str, columns: Sequence[str], since: str) -> Iterator[Record]:
    """The records of a CSV file and its rotated files."""
    return read_lines(place, since, _parse)


def _parse(lines: TextIO) -> Iterator[Record | None]:
    csv.field_size_limit(2**31 - 1)
    source = _Lines(lines)
    rows = csv.DictReader(source, next(csv.reader(source), []))
    while True:
        source.row_lines.clear()
        try:
            yield _record(next(rows))
        except StopIteration:
            return
        except BROKEN:
            source.back()  # a row truncated within quotes includes later lines
            yield None


class _Lines:
    """Lines of a file; `back` returns those after the first line of a row."""

    def __init__(self, lines: TextIO) -> None:
        self.row_lines: list[str] = []
        self._lines = lines
        self._again: list[str] = []

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        self.row_lines.append(self._again.pop() if self._again else next(self._lines))
        return self.row_lines[-1]

    def back(self) -> None:
        """Return all lines of the row except the first one."""
        self._again += reversed(self.row_lines[1:])


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
