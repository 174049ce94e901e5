"""Reads the calls in a file of OTLP/JSON, as the Collector's `file` exporter writes it.

    litespan report otelcol-data/traces.jsonl

One line is one `ExportTraceServiceRequest`. Spans that are not model calls are left out. There is
no exporter here: the Collector writes the file.
https://opentelemetry.io/docs/specs/otel/protocol/file-exporter/
"""

from collections.abc import Iterator, Sequence
from typing import Final, TextIO

from litespan.export.decode import JSON, Undecodable, read_request, to_spans
from litespan.stores.line_reader import read_lines
from litespan.stores.records import NAMES, Reader, Record, converted
from litespan.stores.rows import rows

FILE: Final = "traces.jsonl"
"""As collector-config.yaml names it."""


def read(place: str, columns: Sequence[str], since: str) -> Iterator[Record]:
    """The records of an OTLP file."""
    return read_lines(place, since, _parse)


def _parse(lines: TextIO) -> Iterator[Record | None]:
    for line in lines:
        try:
            spans = to_spans(read_request(line.encode(), JSON))
        except Undecodable:
            yield None
            continue
        for row in rows(spans):
            yield {name: converted(name, value) for name, value in zip(NAMES, row, strict=True)}


READER: Final = Reader(
    read,
    ("OTELCOL_DATA",),
    f"otelcol-data/{FILE}",
    is_one=lambda head: head == b'{"resourceSpans"',
    place=lambda folder: folder and f"{folder}/{FILE}",
)
