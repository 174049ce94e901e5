"""Large content in a store, references on the spans, and stores that fail."""

import hashlib
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from litespan import stats
from litespan.offload import Offloading, Store, Unrestorable, read, restored
from litespan.stores.reading import records
from litespan.stores.spans import span_of
from litespan_exporters.sqlite import SQLiteExporter
from tests import cases
from tests.collector.running import collector, wait_for
from tests.collector.spans import call
from tests.forward.forwarder import forwarding

INPUT, OUTPUT = "gen_ai.input.messages", "gen_ai.output.messages"
HUGE = cases.CASES["huge"]


def plain(attributes: Any) -> dict[str, Any]:
    """Attributes with lists for tuples, which say the same."""
    return {k: list(v) if isinstance(v, tuple) else v for k, v in (attributes or {}).items()}


def through(*spans: ReadableSpan, store: Any, above: int = 1000) -> list[ReadableSpan]:
    """The spans as the wrapped exporter got them."""
    inner = InMemorySpanExporter()
    exporter = Offloading(inner, store, above)
    assert exporter.export(spans) is SpanExportResult.SUCCESS
    return list(inner.get_finished_spans())


@pytest.fixture
def place(tmp_path: Path) -> str:
    """The URL of an empty folder."""
    return f"file://{tmp_path}/content"


def test_the_span_keeps_url_hash_and_size(place: str) -> None:
    """Only large content is removed; everything else on the span is unchanged."""
    (got,) = through(HUGE, store=place)
    before, after = plain(HUGE.attributes), plain(got.attributes)
    content = str(before.pop(INPUT)).encode()
    digest = hashlib.sha256(content).hexdigest()
    added = {
        f"{INPUT}_ref": f"{place}/{digest[:2]}/{digest}.json",
        f"{INPUT}_ref.sha256": digest,
        f"{INPUT}_ref.size": len(content),
    }
    assert before | added == after
    assert got.context == HUGE.context
    assert got.events == HUGE.events


def test_offloaded_content_can_be_restored(place: str) -> None:
    """`restored` returns the same attributes."""
    (got,) = through(HUGE, store=place)
    assert restored(plain(got.attributes)) == plain(HUGE.attributes)


def test_any_file_system_of_fsspec_works() -> None:
    """A store other than files."""
    (got,) = through(HUGE, store="memory://offload")
    assert restored(plain(got.attributes)) == plain(HUGE.attributes)
    fsspec.filesystem("memory").rm("/offload", recursive=True)


def test_the_same_content_is_one_file(place: str, tmp_path: Path) -> None:
    """A prompt that many calls share is written once."""
    text = json.dumps([{"role": "system", "parts": [{"type": "text", "content": "x" * 2000}]}])
    through(*[call({INPUT: text}) for _ in range(1000)], store=place)
    assert len(list(tmp_path.rglob("*.json"))) == 1


def test_content_below_the_threshold_stays_on_the_span(place: str, tmp_path: Path) -> None:
    """The exporter receives the same span object."""
    (got,) = through(cases.CASES["chat"], store=place)
    assert got is cases.CASES["chat"]
    assert list(tmp_path.iterdir()) == []


def test_changed_or_missing_content_is_an_error(place: str, tmp_path: Path) -> None:
    """The error message has the reason."""
    (got,) = through(HUGE, store=place)
    (file,) = tmp_path.rglob("*.json")
    file.write_text("[]")
    with pytest.raises(Unrestorable, match="its hash differs"):
        restored(got.attributes or {})
    file.unlink()
    with pytest.raises(Unrestorable, match="cannot be read: FileNotFoundError"):
        restored(got.attributes or {})


class Slow(MemoryFileSystem):
    """A store that hangs until it is let go."""

    protocol = "slowmemory"
    go = threading.Event()

    def exists(self, path: str, **more: Any) -> bool:
        """Hang."""
        self.go.wait(60)
        return False


@pytest.fixture
def slow() -> Iterator[str]:
    """The URL of a store that hangs."""
    fsspec.register_implementation("slowmemory", Slow, clobber=True)
    Slow.go.clear()
    yield "slowmemory://x"
    Slow.go.set()


def test_a_failing_content_store_loses_no_span(tmp_path: Path) -> None:
    """The folder cannot be created: the span keeps its content, and this is counted."""
    (tmp_path / "file").write_text("in the way")
    before = stats().get("offload.failed", 0)
    (got,) = through(HUGE, store=f"file://{tmp_path}/file/content")
    assert got is HUGE
    assert stats()["offload.failed"] == before + 1


def test_a_hanging_content_store_delays_one_export(slow: str) -> None:
    """It waits half a second, later exports do not wait, and every span keeps its content."""
    inner = InMemorySpanExporter()
    exporter = Offloading(inner, Store(slow, timeout=0.5), above=1000)
    begun = time.monotonic()
    for _ in range(40):
        exporter.export([HUGE])
    assert 0.5 <= time.monotonic() - begun < 10  # 20 s, if each waited
    assert {dict(span.attributes or {})[INPUT] for span in inner.get_finished_spans()} == {
        dict(HUGE.attributes or {})[INPUT]
    }


def test_a_path_that_is_not_a_folder_loses_no_span() -> None:
    """Nothing is written, and nothing is raised."""
    store = Store("file:///dev/full/content")
    assert store.put_all([b"x" * 100]) == set()


def test_a_missing_store_is_logged_with_its_fix(monkeypatch: pytest.MonkeyPatch) -> None:
    """One line has the reason and the fix."""
    monkeypatch.delenv("LITESPAN_OFFLOAD", raising=False)
    with pytest.raises(ValueError, match="no store: pass its URL or set LITESPAN_OFFLOAD"):
        Offloading(InMemorySpanExporter())


def test_the_environment_configures_offload(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same variables as without code."""
    monkeypatch.setenv("LITESPAN_OFFLOAD", f"file://{tmp_path}")
    monkeypatch.setenv("LITESPAN_OFFLOAD_ABOVE", "10")
    inner = InMemorySpanExporter()
    Offloading(inner).export([cases.CASES["chat"]])
    (got,) = inner.get_finished_spans()
    attributes = dict(got.attributes or {})
    sent = dict(cases.CASES["chat"].attributes or {})
    assert read(str(attributes[f"{OUTPUT}_ref"])) == sent[OUTPUT]


def test_references_pass_the_collector_unchanged(place: str, tmp_path: Path) -> None:
    """Masking does not change URL and hash, so the content can be found."""
    offloaded = through(HUGE, store=place)
    with collector(tmp_path / "otelcol") as running:
        running.send(offloaded)
        (got,) = running.wait_spans(1)
    assert restored(got.attributes or {})[INPUT] == dict(HUGE.attributes or {})[INPUT]


def test_offload_behind_the_collector_stores_masked_content(place: str, tmp_path: Path) -> None:
    """Collector → `litespan forward --offload` → a store of calls: the file has `****`."""
    text = json.dumps(
        [{"role": "user", "parts": [{"type": "text", "content": "ann@example.com " * 1000}]}]
    )
    file = tmp_path / "calls.jsonl"
    with (
        forwarding(
            *("--to", "jsonl", "--offload", place, "--offload-above", "1000"),
            LITESPAN_JSONL=str(file),
        ) as forwarder,
        collector(
            tmp_path / "otelcol", "helicone", env={"LITESPAN_FORWARD_URL": forwarder.url}
        ) as running,
    ):
        running.send([call({INPUT: text})])
        wait_for(lambda: list((tmp_path / "content").rglob("*.json")), "the content")
        wait_for(file.exists, "the call")
    (content,) = (tmp_path / "content").rglob("*.json")
    assert content.read_text() == text.replace("ann@example.com", "****")


def test_a_stored_call_can_be_read_with_its_content(place: str, tmp_path: Path) -> None:
    """Offloaded on the way to a SQLite file, and read as by replay."""
    file = tmp_path / "calls.db"
    exporter = Offloading(SQLiteExporter(str(file)), place, above=1000)
    assert exporter.export([HUGE]) is SpanExportResult.SUCCESS
    exporter.shutdown()
    (record,) = records(str(file))
    replayed = span_of(record)
    assert INPUT not in (replayed.attributes or {})
    assert restored(replayed.attributes or {})[INPUT] == (HUGE.attributes or {})[INPUT]
