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
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any, Final

from litespan.stores.buffer import NAMES, Row
from litespan.stores.columns import COLUMNS, Kind
from litespan.stores.line_exporter import LinesExporter

_SIGNS: Final = "=+-@\u2212"
_SPLITS: Final = "\t\r\n"  # some spreadsheets begin another cell here
_FILLERS: Final = "\u115f\u1160\u3164\uffa0"  # letters that show nothing


def guarded(text: str) -> str:
    """`text`, made harmless to spreadsheets; `unguarded` takes that back."""
    return f"'{text}" if text[:1] == "'" or _is_formula(text) else text


def _is_formula(text: str) -> bool:
    """May a spreadsheet take it for one? Signs count in any width: to some, all are the same."""
    for character in text:
        if character.isalnum() and character not in _FILLERS:
            return False
        if character in _SPLITS or unicodedata.normalize("NFKC", character)[:1] in _SIGNS:
            return True
        seen = character not in _FILLERS and unicodedata.category(character)[0] not in "CZM"
        if seen:
            return False
    return False


def unguarded(text: str) -> str:
    """What `guarded` was given."""
    return text.removeprefix("'")


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
    """Appends one line a call to the file `LITESPAN_CSV`; see `LinesExporter`."""

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
