"""Damaged bytes: what `litespan forward` receives, and the files that the commands read."""

import gzip
import json
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from google.protobuf.json_format import MessageToJson  # type: ignore[import-untyped]
from hypothesis import given, settings
from hypothesis import strategies as st

from litespan.cli import main
from litespan.export.decode import JSON, PROTOBUF, Undecodable, read_request, to_spans
from litespan.forward.weight import TooLarge, weight
from litespan.genai.span import GenAISpan
from litespan.stores.rows import rows
from litespan_exporters.csv_file import CsvExporter
from litespan_exporters.duckdb_file import DuckDBExporter
from litespan_exporters.jsonl import JsonlExporter
from litespan_exporters.parquet import ParquetExporter
from litespan_exporters.sqlite import SQLiteExporter
from tests.cases import CASES
from tests.forward.forwarder import body_of
from tests.fuzz.conftest import LONG
from tests.fuzz.corpus import EDITS
from tests.stores.places import calls

FEW = settings(max_examples=LONG // 2 or 5)
BODY = body_of([CASES["chat"], CASES["failure"]])


@st.composite
def damage(draw: st.DrawFn, whole: bytes) -> bytes:
    """`whole` with parts changed, cut, doubled or put in."""
    data = bytearray(whole)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(data)))
        match draw(st.integers(0, 4)):
            case 0:
                data[at : at + 1] = draw(st.binary(min_size=1, max_size=1))
            case 1:
                del data[at : at + draw(st.integers(1, 200))]
            case 2:
                data[at:at] = draw(st.binary(max_size=20))
            case 3:
                del data[at:]
            case _:
                data[at:at] = data[at : at + draw(st.integers(1, 200))]
    return bytes(data)


def in_json(body: bytes) -> bytes:
    """The same request as OTLP/JSON."""
    text: str = MessageToJson(read_request(body, PROTOBUF))
    return text.encode()


@given(
    st.one_of(
        damage(BODY).map(lambda b: (b, PROTOBUF)), damage(in_json(BODY)).map(lambda b: (b, JSON))
    )
)
def test_a_damaged_request_is_refused_or_read(request_: tuple[bytes, str]) -> None:
    """Every body is an error of the sender, or spans that every reader takes."""
    body, kind = request_
    try:
        weight(body, kind, 2**28)
        spans = to_spans(read_request(body, kind))
    except (Undecodable, TooLarge):
        return
    for span in spans:
        GenAISpan.read(span)
    list(rows(spans))


STORES = {
    "calls.jsonl": JsonlExporter,
    "calls.jsonl.gz": JsonlExporter,
    "calls.csv": CsvExporter,
    "calls.sqlite": SQLiteExporter,
    "calls.duckdb": DuckDBExporter,
    "calls.parquet": ParquetExporter,
    "calls.otlp.jsonl": None,
}
CALL = "00000000-0000-4000-8000-000000000001"
COMMANDS = ("report {} --json", "calls {} --json", f"show {CALL} {{}}")


@cache
def whole(name: str) -> bytes:
    """What a store holds after a few calls, as one file."""
    make = STORES[name]
    if make is None:
        return in_json(BODY).replace(b"\n", b"") + b"\n"
    with TemporaryDirectory() as folder:
        exporter: Any = make(Path(folder, name.removesuffix(".gz")))
        exporter.export([*CASES.values(), *calls(range(100, 120))])
        exporter.shutdown()
        (path,) = (path for path in Path(folder).rglob("*") if path.is_file())
        data = path.read_bytes()
    return gzip.compress(data) if name.endswith(".gz") else data


@FEW
@pytest.mark.parametrize("name", STORES)
@given(data=st.data())
def test_a_damaged_file_is_one_line(
    name: str,
    data: st.DataObject,
    tmp_path_factory: pytest.TempPathFactory,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Each command reads what it can, or says in a line why it cannot; it never fails otherwise."""
    path = tmp_path_factory.mktemp("damaged") / name
    path.write_bytes(data.draw(damage(whole(name))))
    read(path, capsys)


@pytest.mark.parametrize("edit", EDITS)
@pytest.mark.parametrize("name", STORES)
def test_a_file_that_failed_once(
    name: str, edit: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As above."""
    path = tmp_path / name
    path.write_bytes(whole(name).replace(*EDITS[edit]))
    read(path, capsys)


def read(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every command reads what it can, or says in one line why it cannot."""
    for command in COMMANDS:
        capsys.readouterr()
        status = main(command.format(path).split())
        said = capsys.readouterr()
        assert status in (0, 1, 2)
        assert "Traceback" not in said.err
        lines = said.err.splitlines()
        assert all(line.startswith("litespan") and line.isprintable() for line in lines), lines
        if status:
            own = [line for line in lines if not line.startswith("litespan: ")]
            assert len(own) == 1, lines
        elif command.startswith("report"):
            json.loads(said.out)
        elif command.startswith("calls"):
            assert all(isinstance(json.loads(line), dict) for line in said.out.splitlines())
