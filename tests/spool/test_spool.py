"""The spool: what is on disk is delivered, whatever happens to process, vendor and disk."""

import sqlite3
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import litellm
import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from litespan import LiteLLMInstrumentor
from litespan.counters import stats
from litespan.routing import destinations as routed
from litespan.routing.processor import Narrowing
from litespan.settings import Settings
from litespan.spool import batches, recorder_for
from litespan.spool.file import CORRUPT, SpoolFile
from litespan.spool.overview import overview
from litespan.testing import LoopbackProvider
from litespan_exporters.helicone import HeliconeExporter
from litespan_exporters.jsonl import JsonlExporter
from litespan_exporters.live import LiveExporter
from tests.spool.calls import (
    CONTENT,
    SHORT,
    Destination,
    Program,
    destination,
    eventually,
    file_of,
    waiting,
)
from tests.stores.disks import small_disk

MESSAGES = "gen_ai.input.messages"


@pytest.fixture
def vendor() -> Iterator[Destination]:
    """A vendor that accepts everything."""
    with destination() as running:
        yield running


@pytest.fixture
def counted() -> Callable[[str], int]:
    """How much a counter has grown since the test began."""
    before = stats()
    return lambda name: stats().get(name, 0) - before.get(name, 0)


def outage(vendor: Destination, folder: Path, calls: int, **attributes: Any) -> None:
    """A program whose key the vendor does not accept, and that ends."""
    vendor.status = 401
    program = Program(vendor.exporter(), folder)
    program.calls(calls, **attributes)
    program.provider.shutdown()
    vendor.status = 200


def test_accepted_calls_leave_the_spool(vendor: Destination, tmp_path: Path) -> None:
    """Each arrives once, in order, and a program that ends leaves no file."""
    program = Program(vendor.exporter(), tmp_path / "spool")
    program.calls(20)
    assert program.deliver()
    assert vendor.models == [f"m{number}" for number in range(20)]
    assert waiting(tmp_path / "spool") == 0
    program.provider.shutdown()
    assert list((tmp_path / "spool").iterdir()) == []


def test_a_folder_may_be_relative(
    vendor: Destination, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As an argument of `litespan spool`."""
    outage(vendor, tmp_path / "spool 1?", 2)
    monkeypatch.chdir(tmp_path)
    assert waiting(Path("spool 1?")) == 2


def test_a_flush_after_the_shutdown_does_not_wait(vendor: Destination, tmp_path: Path) -> None:
    """Nothing can wait then."""
    program = Program(vendor.exporter(), tmp_path / "spool")
    program.calls(2)
    program.provider.shutdown()
    assert program.processor.force_flush(2_000)


def test_the_next_program_delivers_what_an_outage_has_left(
    vendor: Destination, tmp_path: Path, counted: Callable[[str], int]
) -> None:
    """Nothing counts as dropped, and all arrives once, in order."""
    outage(vendor, tmp_path, 20)
    # A slow machine tries all 20 again before the program ends.
    assert (waiting(tmp_path), counted("export.helicone.kept.401")) == (20, vendor.refused)
    assert vendor.refused >= 20
    assert counted("export.helicone.dropped") == 0
    program = Program(vendor.exporter(), tmp_path)
    eventually(lambda: len(vendor.taken) == 20)
    program.provider.shutdown()
    assert set(vendor.taken.values()) == {1}
    assert vendor.models == [f"m{number}" for number in range(20)]
    assert waiting(tmp_path) == 0


def test_a_running_program_delivers_after_an_outage(vendor: Destination, tmp_path: Path) -> None:
    """It tries again by itself, also after the exporter's own retries have ended."""
    vendor.status = 503
    program = Program(vendor.exporter(SHORT), tmp_path)
    program.calls(3)
    assert not program.deliver()
    vendor.status = 200
    eventually(lambda: waiting(tmp_path) == 0)
    program.provider.shutdown()
    assert len(vendor.taken) == 3


@pytest.mark.parametrize(("status", "kept"), [(400, 0), (401, 1), (404, 1)])
def test_only_calls_that_may_be_accepted_later_are_kept(
    vendor: Destination, tmp_path: Path, status: int, kept: int
) -> None:
    """A wrong key or URL can be corrected, a call that is refused cannot."""
    vendor.answer = lambda body: status if body["providerRequest"]["json"]["model"] == "m1" else 200
    program = Program(vendor.exporter(), tmp_path)
    program.calls(3)
    assert program.deliver() is (kept == 0)
    assert waiting(tmp_path) == kept
    assert sorted(vendor.models) == ["m0", "m2"]
    vendor.answer = lambda _: 200
    program.deliver()
    program.provider.shutdown()
    assert set(vendor.taken.values()) == {1}
    assert len(vendor.taken) == 2 + kept


def test_a_file_gets_rows_that_it_could_not_take_before(tmp_path: Path) -> None:
    """Stores, too, have a call only once it is written."""
    target = tmp_path / "missing" / "calls.jsonl"
    program = Program(JsonlExporter(str(target), backoff=0.01), tmp_path / "spool")
    program.calls(3)
    program.provider.shutdown()
    assert waiting(tmp_path / "spool") == 3
    target.parent.mkdir()
    program = Program(JsonlExporter(str(target)), tmp_path / "spool")
    eventually(lambda: waiting(tmp_path / "spool") == 0)
    program.provider.shutdown()
    keys = Counter(line.split('"key":"')[1][:36] for line in target.read_text().splitlines())
    assert sorted(keys.values()) == [1, 1, 1]


def test_spans_that_are_no_calls_are_never_on_disk(tmp_path: Path) -> None:
    """They reach the exporter from memory."""
    exporter = InMemorySpanExporter()
    program = Program(exporter, tmp_path / "spool")
    program.provider.get_tracer("web").start_span("GET /").end()
    assert program.deliver()
    assert [span.name for span in exporter.get_finished_spans()] == ["GET /"]
    program.provider.shutdown()
    assert not (tmp_path / "spool").exists()


def test_a_full_disk_costs_nothing(
    vendor: Destination, tmp_path: Path, counted: Callable[[str], int]
) -> None:
    """Calls are then delivered from memory, and counted; with room, from the disk again."""
    with small_disk(tmp_path / "disk", 100_000) as disk:
        program = Program(vendor.exporter(), disk.folder / "spool")
        program.calls(60, **{MESSAGES: CONTENT})
        assert program.deliver()
        assert counted("spool.unwritten") > 0
        eventually(lambda: len(vendor.taken) == 60)
        disk.grow()
        before = counted("spool.unwritten")
        program.call(60)
        assert program.deliver()
        program.provider.shutdown()
    assert counted("spool.unwritten") == before
    assert (len(vendor.taken), set(vendor.taken.values())) == (61, {1})


def test_a_folder_that_cannot_be_used_costs_nothing(
    vendor: Destination, tmp_path: Path, counted: Callable[[str], int]
) -> None:
    """As without a spool, but it is said."""
    (tmp_path / "spool").write_text("a file")
    program = Program(vendor.exporter(), tmp_path / "spool")
    program.calls(5)
    assert program.deliver()
    program.provider.shutdown()
    assert (len(vendor.taken), counted("spool.unwritten")) == (5, 5)
    assert counted("spool.errors") > 0


def test_a_corrupt_file_is_moved_aside(
    vendor: Destination, tmp_path: Path, counted: Callable[[str], int]
) -> None:
    """It is kept for repair, counted, and later calls use a new file."""
    outage(vendor, tmp_path, 20)
    path = file_of(tmp_path)
    path.write_bytes(path.read_bytes()[:100] + b"\xff" * 8_000)
    program = Program(vendor.exporter(), tmp_path)
    program.call(99)
    assert program.deliver()
    program.provider.shutdown()
    assert vendor.models == ["m99"]
    assert counted("spool.corrupt") == 1
    assert overview(tmp_path).aside == [path.with_suffix(CORRUPT).name]


def test_a_file_that_becomes_corrupt_is_replaced(
    vendor: Destination, tmp_path: Path, counted: Callable[[str], int]
) -> None:
    """Also the file of the running program; what it writes then is not lost."""
    program = Program(vendor.exporter(), tmp_path)
    vendor.status = 401
    program.call(1)
    program.deliver()
    path = file_of(tmp_path)
    program.processor._directory._own._file.close()
    path.write_bytes(b"no database" * 1000)
    vendor.status = 200
    program.call(2)
    assert program.deliver()
    program.provider.shutdown()
    assert counted("spool.corrupt") == 1
    assert vendor.models == ["m2"]


def test_a_damaged_record_does_not_stop_the_others(
    vendor: Destination, tmp_path: Path, counted: Callable[[str], int]
) -> None:
    """It stays in the file, counted, and is not sent."""
    outage(vendor, tmp_path, 5)
    with sqlite3.connect(file_of(tmp_path)) as file:
        file.execute("update calls set data = x'00' || substr(data, 2) where id = 3")
    file.close()
    program = Program(vendor.exporter(), tmp_path)
    assert program.deliver()
    program.provider.shutdown()
    assert vendor.models == ["m0", "m1", "m3", "m4"]
    assert counted("spool.damaged") == 1
    assert [each.exporter for each in overview(tmp_path).waiting] == ["damaged"]


def test_the_oldest_content_goes_first_and_then_the_oldest_calls(
    vendor: Destination, tmp_path: Path, counted: Callable[[str], int]
) -> None:
    """At the limit of bytes; calls without content stay longer than content."""
    recorder_for(str(tmp_path), Settings(spool_max_bytes=40_000))
    vendor.status = 401
    program = Program(vendor.exporter(), tmp_path)
    for number in range(20):
        program.call(number, **{MESSAGES: CONTENT})
        program.processor._recorder.wait(time.monotonic() + 60)
    assert waiting(tmp_path) == 20
    assert counted("spool.dropped.content") >= 5
    assert counted("spool.dropped.size") == 0
    for number in range(20, 400):
        program.call(number)
    program.processor._recorder.wait(time.monotonic() + 60)
    dropped = counted("spool.dropped.size")
    assert dropped > 0
    assert sum(each.bytes for each in overview(tmp_path).waiting) <= 40_000
    vendor.status = 200
    program.deliver()
    program.provider.shutdown()
    assert vendor.models == [f"m{number}" for number in range(dropped, 400)]


def test_old_calls_are_dropped_only_when_they_fail_again(
    vendor: Destination, tmp_path: Path, counted: Callable[[str], int]
) -> None:
    """So a clock that jumps ahead loses nothing that a destination accepts."""
    outage(vendor, tmp_path, 4)
    with sqlite3.connect(file_of(tmp_path)) as file:
        file.execute("update calls set time = time - 1e7 where id <= 2")
    file.close()
    outage(vendor, tmp_path, 0)
    assert (waiting(tmp_path), counted("spool.dropped.age")) == (2, 2)
    with sqlite3.connect(file_of(tmp_path)) as file:
        file.execute("update calls set time = time - 1e7")
    file.close()
    program = Program(vendor.exporter(), tmp_path)
    assert program.deliver()
    program.provider.shutdown()
    assert vendor.models == ["m2", "m3"]


def test_the_caller_only_appends_to_a_queue(vendor: Destination, tmp_path: Path) -> None:
    """A handful of function calls on its thread for each exporter."""
    program = Program(vendor.exporter(), tmp_path)
    program.call(0)  # starts the thread
    context = program.provider.get_tracer("spooled").start_span("chat m")
    names: list[str] = []

    def profile(frame: Any, event: str, argument: Any) -> None:
        if event in ("call", "c_call"):
            names.append(frame.f_code.co_name if event == "call" else argument.__name__)

    program.processor._recorder._scheduled = True  # as for all calls of a window but the first
    sys.setprofile(profile)
    program.processor.on_end(context)
    sys.setprofile(None)
    program.processor._recorder._scheduled = False
    program.provider.shutdown()
    assert names[:-1] == ["on_end", "add", "append", "len"]


class Choosy(InMemorySpanExporter):
    """Fails, without a reason, if one of its spans is a call of certain models."""

    def __init__(self, *models: str) -> None:
        super().__init__()
        self.models = {*models}

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Accept all spans or none."""
        if self.models & {str((span.attributes or {})["gen_ai.request.model"]) for span in spans}:
            return SpanExportResult.FAILURE
        return super().export(spans)

    @property
    def accepted(self) -> list[object]:
        """The models of accepted calls, in order."""
        spans = self.get_finished_spans()
        return [(span.attributes or {})["gen_ai.request.model"] for span in spans]


def test_calls_that_always_fail_do_not_block_the_others(tmp_path: Path) -> None:
    """Nor for an exporter that does not say which ones it has refused."""
    exporter = Choosy("m3", "m4")
    program = Program(exporter, tmp_path)
    program.calls(10)
    for _ in range(60):
        if len(exporter.accepted) < 8:
            program.deliver()
    assert exporter.accepted == [f"m{number}" for number in (0, 1, 2, 5, 6, 7, 8, 9)]
    exporter.models.clear()
    program.deliver()
    program.provider.shutdown()
    assert sorted(exporter.accepted[8:], key=str) == ["m3", "m4"]


def test_an_outage_changes_no_order(tmp_path: Path) -> None:
    """But for one call: calls are tried alone in the meantime, and one is the first to succeed."""
    exporter = Choosy(*(f"m{number}" for number in range(10)))
    program = Program(exporter, tmp_path)
    program.calls(10)
    for _ in range(30):
        assert not program.deliver()
    exporter.models.clear()
    for _ in range(5):
        program.deliver()
    program.provider.shutdown()
    assert sorted(exporter.accepted[1:], key=str) == exporter.accepted[1:]
    assert len(exporter.accepted) == 10


@pytest.fixture
def instrumented(
    vendor: Destination, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[TracerProvider]:
    """A provider with the SDK's batch processor, whose exporter uses the spool by a variable."""
    monkeypatch.setenv("LITESPAN_SPOOL", str(tmp_path))
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(vendor.exporter()))
    LiteLLMInstrumentor().instrument(tracer_provider=provider)
    yield provider
    LiteLLMInstrumentor().uninstrument()
    provider.shutdown()


def test_the_variable_applies_to_exporters_of_the_sdk(
    instrumented: TracerProvider, vendor: Destination, tmp_path: Path, loopback: LoopbackProvider
) -> None:
    """Also to those that are added before the first call; `uninstrument` restores them."""
    instrumented.add_span_processor(BatchSpanProcessor(JsonlExporter(str(tmp_path / "rows"))))
    vendor.status = 401
    litellm.completion(
        "openai/gpt-4o-mini",
        [{"role": "user", "content": "Hello"}],
        api_base=loopback.url_for(),
        api_key="sk-loopback",
    )
    assert instrumented.force_flush()
    assert {each.exporter: each.calls for each in overview(tmp_path).waiting} == {"helicone": 1}
    assert len((tmp_path / "rows").read_text().splitlines()) == 1
    LiteLLMInstrumentor().uninstrument()
    processors = instrumented._active_span_processor._span_processors
    assert [type(each) for each in processors] == [BatchSpanProcessor] * 2
    assert not overview(tmp_path).waiting[0].in_use


def test_content_is_not_on_disk_for_an_exporter_that_gets_none(
    vendor: Destination, tmp_path: Path
) -> None:
    """As `litespan.configure` says, before it is written."""
    to = routed.Destination("helicone", vendor.exporter(), 0.0, None, frozenset({"success"}))
    vendor.status = 401
    program = Program(Narrowing(to), tmp_path)
    program.call(1, **{MESSAGES: CONTENT})
    program.provider.shutdown()
    assert waiting(tmp_path) == 1
    assert b"secret" not in b"".join(path.read_bytes() for path in tmp_path.iterdir())


def test_only_the_owner_can_read_the_files(vendor: Destination, tmp_path: Path) -> None:
    """And the folder, if litespan creates it."""
    outage(vendor, tmp_path / "spool", 1)
    modes = {path.stat().st_mode & 0o777 for path in (tmp_path / "spool").iterdir()}
    assert (modes, (tmp_path / "spool").stat().st_mode & 0o777) == ({0o600}, 0o700)


@pytest.mark.parametrize(("sync", "level"), [("normal", 1), ("full", 2)])
def test_writes_can_wait_for_the_disk(tmp_path: Path, sync: str, level: int) -> None:
    """`full` makes SQLite wait for each transaction to be on the disk."""
    file = SpoolFile.create(tmp_path, sync)
    with file._file.changing() as connection:
        assert connection.execute("pragma synchronous").fetchone() == (level,)
    file.remove()


def test_live_and_exporters_that_are_off_use_no_spool(tmp_path: Path) -> None:
    """Theirs is the SDK's processor."""
    for exporter in (LiveExporter(), HeliconeExporter(api_key="")):
        processor = batches(exporter, str(tmp_path))
        assert type(processor) is BatchSpanProcessor
        processor.shutdown()
