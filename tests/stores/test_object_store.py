"""Object stores: files by day through fsspec, in memory and in a folder, in both formats."""

import io
import json
from collections.abc import Iterator
from typing import Any

import fsspec
import pyarrow.parquet
import pytest
from opentelemetry.sdk.trace.export import SpanExportResult

from litespan_exporters.object_store import (
    AzureStorageExporter,
    GcsBucketExporter,
    ObjectStoreExporter,
    S3Exporter,
)
from tests.cases import CASES, START_NS, span
from tests.stores.places import PATIENT, expected, in_order, plain

OK, FAILED = SpanExportResult.SUCCESS, SpanExportResult.FAILURE
DAY_NS = 24 * 3600 * 10**9
EACH = {"s3": S3Exporter, "gcs_bucket": GcsBucketExporter, "azure_storage": AzureStorageExporter}


@pytest.fixture
def memory() -> Iterator[Any]:
    """Fsspec's file system in memory, empty."""
    files = fsspec.filesystem("memory")
    files.store.clear()
    yield files
    files.store.clear()


def lines(files: Any) -> list[dict[str, Any]]:
    """All records of all JSONL files."""
    paths = sorted(path for path in files.find("/bucket") if path.endswith(".jsonl"))
    return [json.loads(line) for path in paths for line in files.cat(path).splitlines()]


def test_calls_are_in_files_by_day(memory: Any) -> None:
    """One file per day and export, by the start of the call in UTC, each with a new name."""
    later = span(77, "chat", dict(CASES["chat"].attributes or {}))
    later._start_time, later._end_time = START_NS + DAY_NS, START_NS + DAY_NS + 10**9
    exporter = S3Exporter("memory://bucket/calls", interval=0, **PATIENT)
    assert exporter.export([CASES["chat"], CASES["stream"], later]) is OK
    assert exporter.export([CASES["failure"]]) is OK
    exporter.shutdown()
    folders = sorted(path.rsplit("/", 1)[0] for path in memory.find("/bucket"))
    assert folders == ["/bucket/calls/date=2026-11-20"] * 2 + ["/bucket/calls/date=2026-11-21"]
    assert sorted(record["outcome"] for record in lines(memory)) == ["failure"] + ["success"] * 3


def test_parquet_has_every_column(memory: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rows are those of every store."""
    monkeypatch.setenv("LITESPAN_S3", "memory://bucket")
    monkeypatch.setenv("LITESPAN_S3_FORMAT", "parquet")
    monkeypatch.setenv("LITESPAN_S3_INTERVAL", "0")
    exporter = S3Exporter(**PATIENT)
    assert exporter.export([CASES["chat"], CASES["tool_call"]]) is OK
    exporter.shutdown()
    (path,) = memory.find("/bucket")
    table = pyarrow.parquet.read_table(io.BytesIO(memory.cat(path)))
    found = [{name: plain(name, value) for name, value in r.items()} for r in table.to_pylist()]
    wanted = expected([CASES["chat"], CASES["tool_call"]])
    assert in_order(found) == [{**row, "key": str(row["key"])} for row in wanted]


def test_exports_within_the_interval_are_one_file(memory: Any) -> None:
    """The remaining rows are written at shutdown."""
    exporter = GcsBucketExporter("memory://bucket/calls", **PATIENT)
    for case in ("chat", "stream", "embedding"):
        exporter.export([CASES[case]])
    assert memory.find("/bucket") == []
    exporter.shutdown()
    assert len(memory.find("/bucket")) == 1
    assert len(lines(memory)) == 3


def test_content_false_stores_no_message(memory: Any) -> None:
    """`content=False` applies even if the span has messages; the other values are stored."""
    exporter = S3Exporter("memory://bucket", interval=0, content=False, **PATIENT)
    exporter.export([CASES["multimodal"]])
    exporter.shutdown()
    (record,) = lines(memory)
    assert "What is in these pictures?" not in json.dumps(record)
    assert record["input_tokens"] == 1105


def test_a_failing_store_keeps_its_rows(tmp_path: Any, caplog: pytest.LogCaptureFixture) -> None:
    """One line without the driver's text; the rows are written when the store works again."""
    folder = tmp_path / "bucket"
    folder.write_text("a file where a folder should be")
    exporter = S3Exporter(f"file://{folder}", interval=0, patience=1.0, backoff=0.05)
    assert exporter.export([CASES["chat"]]) is FAILED
    folder.unlink()
    assert exporter.force_flush(20_000)
    exporter.shutdown()
    (file,) = folder.glob("date=*/*.jsonl")
    assert json.loads(file.read_text())["outcome"] == "success"
    (line,) = [r.getMessage() for r in caplog.records if r.name == "litespan"]
    assert line.startswith(f"s3: cannot write file://{folder}: ")
    assert line.endswith("(check the URL and the credentials); 1 row(s) are kept and retried "
                         "(logged once)")  # fmt: skip


@pytest.mark.parametrize("name", EACH)
def test_an_exporter_without_a_url_is_off(
    name: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """One line has the variable."""
    monkeypatch.delenv(EACH[name].variable, raising=False)
    assert EACH[name]().export([CASES["chat"]]) is FAILED
    (line,) = [r.getMessage() for r in caplog.records if r.name == "litespan"]
    assert line == (
        f"{EACH[name].variable} is not set: {name} export is off; set it to a URL such as "
        f"{EACH[name].example}"
    )


@pytest.mark.parametrize(
    ("url", "options", "line"),
    [
        ("bucket", {}, "LITESPAN_S3 is not a URL"),
        ("memory://b", {"format": "xml"}, "LITESPAN_S3_FORMAT='xml' is not a format"),
        ("memory://b", {"interval": -1}, "LITESPAN_S3_INTERVAL='-1' is not a number of seconds"),
    ],
)
def test_an_invalid_setting_turns_the_exporter_off(
    url: str, options: dict[str, Any], line: str, caplog: pytest.LogCaptureFixture
) -> None:
    """One line has the reason."""
    assert S3Exporter(url, **options).problem.startswith(line)


def test_a_missing_driver_is_reported_with_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bucket's driver is not in the extra."""
    monkeypatch.setattr(
        "litespan_exporters.object_store.find_spec", lambda name: None if name == "s3fs" else name
    )
    assert S3Exporter("s3://bucket/calls").problem == (
        "s3fs is not installed: s3 export is off; pip install 's3fs'"
    )


def test_passwords_in_urls_are_not_shown() -> None:
    """Neither in `repr` nor in log lines."""
    exporter = S3Exporter("ftp://user:secret@host/calls")
    assert isinstance(exporter, ObjectStoreExporter)
    assert "secret" not in repr(exporter)
    exporter.shutdown()
