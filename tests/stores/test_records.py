"""Reading back: `litespan report` over every store, and the spans that a store holds."""

import base64
import gzip
import json
import shutil
from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict  # type: ignore[import-untyped]
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.trace import ReadableSpan

from litespan.cli import main
from litespan.export import GenAISpan
from litespan.stores.reading import NotFound, find, latest, records
from litespan.stores.records import IDS, NAMES, Unreadable
from litespan.stores.rows import rows
from litespan.stores.spans import span_of
from litespan_exporters.csv_file import CsvExporter
from litespan_exporters.jsonl import JsonlExporter
from litespan_exporters.postgres import PostgresExporter
from litespan_exporters.sqlite import SQLiteExporter
from tests.cases import CASES, OTHERS, RECORDED, STARTED, foreign, span
from tests.stores.places import Place, by_key, calls, expected
from tests.stores.test_every_store import NASTY
from tests.support.postgres import PASSWORD, USER, PostgresServer


def filled(place: Place, monkeypatch: pytest.MonkeyPatch, spans: Sequence[ReadableSpan]) -> Place:
    """The place with these calls in it, and its variables set."""
    for name, value in place.variables.items():
        monkeypatch.setenv(name, value)
    exporter = place.make()
    exporter.export(spans)
    exporter.shutdown()
    return place


def report(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    """What `litespan report --json` says."""
    assert main(["report", "--json", *arguments]) == 0, capsys.readouterr().err
    output: dict[str, Any] = json.loads(capsys.readouterr().out)
    return output


def test_report_reads_every_store(
    place: Place,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    """The figures equal those of the SQLite store with the same calls."""
    spans = [*CASES.values(), *calls(range(1000, 1040))]
    filled(place, monkeypatch, spans)
    reference = SQLiteExporter(tmp_path / "reference.db")
    reference.export(spans)
    reference.shutdown()
    for by in ("model", "user", "tag", "metadata.feature", "day", "error"):
        wanted = report(capsys, str(tmp_path / "reference.db"), "--by", by)
        found = report(capsys, place.source, "--by", by)
        assert "m-secret" not in found["file"]
        assert {**found, "file": ""} == {**wanted, "file": ""}


def test_every_store_finds_calls_by_the_first_characters_of_an_id_and_the_newest(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By key, call id and trace id, with all columns; the newest first."""
    spans = calls(range(1000, 1010))
    for seconds, made in enumerate(spans):
        made._start_time = (made.start_time or 0) + seconds * 10**9
    filled(place, monkeypatch, spans)
    newest = latest(place.source, 3)
    assert [r["call_id"][-4:] for r in newest] == ["1009", "1008", "1007"]
    for name in IDS:
        identifier = newest[0][name]
        found = find(place.source, identifier[:-1] if name == "key" else identifier)
        assert newest[0] in found
        assert len(found) == (len(spans) if name == "trace_id" else 1)
    with pytest.raises(NotFound, match="no call nothing in "):
        find(place.source, "nothing")


def test_a_file_of_otlp_is_read_like_a_store(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The lines of the collector's file exporter: calls count, other spans do not."""
    spans = [*CASES.values(), *OTHERS.values()]
    path = tmp_path / "traces.jsonl"
    lines = [MessageToDict(encode_spans([each])) for each in spans]
    for line in lines:
        with_hex_ids(line)
    path.write_text("".join(f"{json.dumps(line, separators=(',', ':'))}\n" for line in lines))
    reference = SQLiteExporter(tmp_path / "reference.db")
    reference.export(spans)
    reference.shutdown()
    for by in ("model", "provider", "key", "end-user"):
        wanted = report(capsys, str(tmp_path / "reference.db"), "--by", by)
        assert {**report(capsys, str(path), "--by", by), "file": ""} == {**wanted, "file": ""}


def with_hex_ids(message: Any) -> None:
    """Turn the ids in base64, as protobuf's own JSON has them, into hex, as OTLP/JSON has them."""
    for name, value in list(message.items()) if isinstance(message, dict) else []:
        if name in ("traceId", "spanId", "parentSpanId"):
            message[name] = base64.b64decode(value).hex()
        with_hex_ids(value)
    for item in message if isinstance(message, list) else []:
        with_hex_ids(item)


@pytest.mark.parametrize("given", ["key=value", "libpq"])
def test_postgres_is_found_by_every_kind_of_address(
    given: str,
    postgres: PostgresServer,
    table: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """By the variables of the exporter; no password is shown."""
    parts = {
        "host": "127.0.0.1",
        "port": str(postgres.port),
        "user": USER,
        "password": PASSWORD,
    }
    for name in ("LITESPAN_POSTGRES", "DATABASE_URL"):
        monkeypatch.delenv(name, raising=False)
    if given == "libpq":
        for name, value in {**parts, "database": USER}.items():
            monkeypatch.setenv(f"PG{name.upper()}", value)
    else:
        pairs = {**parts, "dbname": USER}
        text = " ".join(f"{name}={value}" for name, value in pairs.items())
        monkeypatch.setenv("LITESPAN_POSTGRES", text)
    monkeypatch.setenv("LITESPAN_POSTGRES_TABLE", table)
    exporter = PostgresExporter()
    exporter.export(calls([1, 2]))
    exporter.shutdown()
    assert main(["report", "postgres", "--json"]) == 0, capsys.readouterr().err
    output = capsys.readouterr()
    assert json.loads(output.out)["total"]["calls"] == 2
    assert PASSWORD not in output.out + output.err


def test_since_excludes_calls_that_began_before(
    place: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """To the second, in any time zone."""
    filled(place, monkeypatch, [CASES["chat"], CASES["stream"]])
    for since, number in {"2026-11-20T09:13:07Z": 2, "2026-11-20T10:13:08+01:00": 0}.items():
        assert report(capsys, place.source, "--since", since)["total"]["calls"] == number


def test_records_can_be_exported_again(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each record becomes a span with the same key, and the same row in every column."""
    others = [
        made for name in ("openllmetry-openai", "openinference-litellm") for made in some(name)
    ]
    spans = [*CASES.values(), NASTY, *others]
    filled(place, monkeypatch, spans)
    again = [span_of(record) for record in records(place.source)]
    found, wanted = by_key(expected(again)), by_key(expected(spans))
    assert set(found) == set(wanted)
    for key, row in wanted.items():
        step = timedelta(milliseconds=1 if place.name == "mongodb" else 0.001)  # of its times
        for name in ("start_time", "end_time"):
            assert abs(found[key].pop(name) - row.pop(name)) <= step
        assert found[key] == row


def some(name: str) -> list[ReadableSpan]:
    """Spans of another instrumentation: the first release of it that is recorded."""
    (first, *_) = sorted(f.stem for f in RECORDED.glob("*.json") if f.stem.startswith(name))
    return foreign(first)


def test_recorded_spans_have_the_same_view(tmp_path: Path) -> None:
    """Every part is equal, except for data that no store keeps."""
    exporter = JsonlExporter(tmp_path / "calls.jsonl")
    exporter.export(list(CASES.values()))
    exporter.shutdown()
    again = {r["key"]: span_of(r) for r in records(str(tmp_path / "calls.jsonl"))}
    clean = [case for name, case in CASES.items() if name not in ("unicode", "surrogate")]
    for case in clean:
        view = GenAISpan.read(case)
        assert view is not None
        copy = GenAISpan.read(again[str(view.key)])
        assert copy is not None
        parts = ("identity", "request", "response", "usage", "cost", "error", "call", "stages")
        for part in (*parts, "input_messages", "output_messages", "tool_definitions", "name"):
            assert getattr(copy, part) == getattr(view, part), part
        assert (copy.start_ns, copy.end_ns, copy.scope) == (view.start_ns, view.end_ns, view.scope)
        assert copy.service.name == view.service.name


def test_the_name_of_a_store_selects_its_configured_place(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`jsonl`, `csv`, …: the place in its variable, or the default."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LITESPAN_CSV", raising=False)
    monkeypatch.setenv("LITESPAN_JSONL", str(tmp_path / "other.jsonl"))
    JsonlExporter().export(calls([1]))
    CsvExporter().export(calls([1, 2]))
    assert report(capsys, "jsonl")["total"]["calls"] == 1
    assert report(capsys, "csv")["file"] == "litespan.csv"


@pytest.mark.parametrize("kind", ["jsonl", "csv"])
def test_rotated_files_belong_to_the_store(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Compressed or not; other files do not belong to it."""
    path = tmp_path / f"calls.{kind}"
    make = {"jsonl": JsonlExporter, "csv": CsvExporter}[kind]
    for rotate in ("60kB", "60kB,gzip"):
        exporter = make(path, rotate=rotate)
        first = 1000 if rotate == "60kB" else 2000
        for start in range(first, first + 100, 10):
            exporter.export(calls(range(start, start + 10)))
        exporter.shutdown()
    assert len(list(tmp_path.glob("*.gz"))) > 1
    shutil.copy(path, tmp_path / f"calls-copy.{kind}")
    assert report(capsys, str(path))["total"]["calls"] == 200
    (packed, *_) = tmp_path.glob("*.gz")
    assert 0 < report(capsys, str(packed))["total"]["calls"] < 200


def test_started_calls_count_once(tmp_path: Path) -> None:
    """A file has a line for the start and one for the end: one record, the finished one."""
    exporter = JsonlExporter(tmp_path / "calls.jsonl")
    exporter.export_started(
        [STARTED, span(2, "chat", {"gen_ai.operation.name": "chat"}, end_ms=None)]
    )
    exporter.force_flush()
    exporter.export([CASES["chat"]])
    exporter.export([CASES["chat"]])
    exporter.shutdown()
    found = list(records(str(tmp_path / "calls.jsonl")))
    assert [record["outcome"] for record in found] == ["success", "started"]


def test_broken_lines_are_skipped_and_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Lines that a crash has truncated."""
    path = tmp_path / "calls.jsonl"
    exporter = JsonlExporter(path)
    exporter.export(calls([1, 2]))
    exporter.shutdown()
    whole = path.read_text()
    path.write_text(whole + whole[:100] + "\n" + '{"key": 7}\n[]\n' + '{"key":"xyz"}\n')
    assert len(list(records(str(path)))) == 2
    assert (
        capsys.readouterr().err
        == f"litespan: 4 line(s) of {path} cannot be read and are left out\n"
    )


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"hello", "was not written by litespan"),
        (b"PAR1 and no more", "cannot read"),
        (gzip.compress(b"hello"), "was not written by litespan"),
        (b"........DUCK....", "cannot read"),
    ],
)
def test_a_file_of_another_kind_is_refused_in_one_line(
    content: bytes, said: str, tmp_path: Path
) -> None:
    """The line has the reason."""
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(Unreadable, match=said):
        list(records(str(path)))


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("postgresql://u:top-secret@127.0.0.1:9/db", "cannot read the PostgreSQL table"),
        ("mongodb://u:top@secret@127.0.0.1:9/db", "cannot read MongoDB: InvalidURI"),
        ("postgres", "LITESPAN_POSTGRES is not set"),
    ],
)
def test_unavailable_databases_are_reported_in_one_line(
    source: str, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without a password."""
    for name in ("LITESPAN_POSTGRES", "DATABASE_URL"):
        monkeypatch.delenv(name, raising=False)
    assert main(["report", source]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"litespan report: {said}")
    assert "secret" not in line


def test_records_have_plain_values(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same from every store, whatever its driver returns."""
    filled(place, monkeypatch, [CASES["chat"]])
    (record,) = records(place.source)
    (row,) = rows([CASES["chat"]])
    assert set(record) == set(NAMES)
    assert (record["cost_usd"], type(record["cost_usd"])) == (Decimal("0.000009"), Decimal)
    assert record["start_time"] == "2026-11-20T09:13:07.000000Z"
    assert isinstance(row[NAMES.index("start_time")], datetime)
    assert record["tags"] == ["checkout", "beta"]
    assert record["metadata"] == {"feature": "refund", "experiment": 3}
    assert (record["stream"], record["input_tokens"]) == (False, 20)
