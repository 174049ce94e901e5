"""One JSON object in one line for each call. Standard library only.

    OTEL_TRACES_EXPORTER=jsonl LITESPAN_JSONL=calls.jsonl opentelemetry-instrument python app.py
    jq -r 'select(.outcome == "failure") | [.start_time, .model, .error_type] | @tsv' calls.jsonl

Names are those of `litespan.stores.columns`; unknown values are left out. Money is a string with
ten decimal places (parsers read JSON numbers as binary fractions), times are ISO 8601
in UTC, lists and objects are JSON.

Lines are only appended: a call that was recorded at its start has two lines, of which the one
whose outcome is not `started` is valid. `litespan report` and `litespan replay` use that one.
Several processes may write one file (on Windows: one). https://jsonlines.org
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from json.encoder import encode_basestring
from typing import Any, Final, TextIO

from litespan.stores.buffer import Row
from litespan.stores.columns import COLUMNS, Kind, time_text
from litespan.stores.line_exporter import LinesExporter
from litespan.stores.line_reader import read_lines
from litespan.stores.records import BROKEN, NAMES, Reader, Record, checked

_JSON: Final[dict[Kind, Callable[[Any], str]]] = {
    "key": '"{}"'.format,
    "text": encode_basestring,
    "integer": str,
    "real": repr,
    "money": '"{:f}"'.format,
    "flag": lambda flag: "true" if flag else "false",
    "time": lambda at: f'"{time_text(at)}"',
    "list": lambda items: f"[{','.join(map(encode_basestring, items))}]",
    "json": lambda text: text,  # already JSON
}
_MONEY: Final = [column.name for column in COLUMNS if column.kind == "money"]
_MEMBERS: Final = [(f'"{column.name}":', _JSON[column.kind]) for column in COLUMNS]


class JsonlExporter(LinesExporter):
    """Appends one JSON object per call to a file of JSON lines.

    Reads LITESPAN_JSONL. Also LITESPAN_JSONL_ROTATE. See `LinesExporter` for the arguments.
    """

    name = "jsonl"
    variable = "LITESPAN_JSONL"

    @staticmethod
    def lines(rows: Sequence[Row]) -> list[bytes]:
        """Each row as a JSON object without the members that are None."""
        return [_line(row) for row in rows]


def _line(row: Row) -> bytes:
    members = [
        name + encode(value)
        for (name, encode), value in zip(_MEMBERS, row, strict=True)
        if value is not None
    ]
    return f"{{{','.join(members)}}}\n".encode()


def read(place: str, columns: Sequence[str], since: str) -> Iterator[Record]:
    """The records of a JSONL file and its rotated files."""
    return read_lines(place, since, _parse)


def _parse(lines: TextIO) -> Iterator[Record | None]:
    for line in lines:
        try:
            yield _record(json.loads(line))
        except BROKEN:
            yield None


def _record(members: Mapping[str, Any]) -> Record:
    record: Record = {name: members.get(name) for name in NAMES}
    for name in _MONEY:
        record[name] = record[name] and Decimal(record[name])
    return checked(record)


READER: Final = Reader(
    read,
    ("LITESPAN_JSONL",),
    "litespan.jsonl",
    is_one=lambda head: head.startswith(b"{") and head != b'{"resourceSpans"',  # OTLP
)
