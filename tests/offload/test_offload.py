"""`LITESPAN_OFFLOAD` under `opentelemetry-instrument`, with working and failing stores."""

import asyncio
import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from fsspec.implementations.memory import MemoryFileSystem
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from litespan import LiteLLMInstrumentor, stats
from litespan.offload import Store, content_store, restored
from litespan.testing import LoopbackProvider, OtlpReceiver
from tests.support import program

INPUT = "gen_ai.input.messages"
QUESTION = "How are you? " * 1000
PROGRAM = """
    import sys

    {before}
    import litellm

    question = [{{"role": "user", "content": sys.argv[1]}}]
    for _ in range(3):
        litellm.completion("openai/gpt-4o-mini", question)
    {after}
"""


def run(
    loopback: LoopbackProvider,
    env: Mapping[str, str],
    before: str = "",
    after: str = "",
) -> program.Ran:
    """Three calls with a question of 13 KB, under `opentelemetry-instrument`."""
    common = {
        "OPENAI_BASE_URL": loopback.url,
        "OPENAI_API_KEY": "sk-loopback",
        "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "SPAN_ONLY",
        "OTEL_METRICS_EXPORTER": "none",
        "OTEL_LOGS_EXPORTER": "none",
    }
    source = PROGRAM.format(before=before, after=after)
    ran = program.run(source, QUESTION, env={**common, **env}, instrument=True)
    assert ran.code == 0, ran.stderr
    return ran


def litespan(*arguments: object, env: Mapping[str, str] | None = None) -> Any:
    """One command, run to its end."""
    main = "import sys; from litespan.cli import main; sys.exit(main())"
    return subprocess.run(
        [sys.executable, "-c", main, *map(str, arguments)],
        env=program.environment(env or {}),
        capture_output=True,
        text=True,
        check=False,
    )


def ask(loopback: LoopbackProvider) -> None:
    """One call in this process."""
    import litellm

    question = [{"role": "user", "content": QUESTION}]
    litellm.completion("openai/gpt-4o-mini", question, api_base=loopback.url, api_key="sk-loopback")


def asked(content: str) -> str:
    """The question in the messages of a call."""
    return str(json.loads(content)[0]["parts"][0]["content"])


def contents(spans: list[dict[str, Any]]) -> list[str | None]:
    """The input messages on these spans, None where there is a reference."""
    return [span["attributes"].get(INPUT) for span in spans]


def test_every_exporter_sends_references(
    loopback: LoopbackProvider, receiver: OtlpReceiver, tmp_path: Path
) -> None:
    """OTLP and a store of calls have URL, hash and size; the folder has one content."""
    database, folder = tmp_path / "calls.db", tmp_path / "con tent"
    env = receiver.env | {
        "OTEL_TRACES_EXPORTER": "otlp,sqlite",
        "LITESPAN_SQLITE": str(database),
        "LITESPAN_OFFLOAD": str(folder),
    }
    ran = run(loopback, env)
    assert "offload" not in ran.stderr
    (file,) = folder.rglob("*.json")
    content = file.read_bytes()
    assert asked(content.decode()) == QUESTION
    reference = {
        f"{INPUT}_ref": f"file://{file}",
        f"{INPUT}_ref.sha256": hashlib.sha256(content).hexdigest(),
        f"{INPUT}_ref.size": len(content),
    }
    assert contents(receiver.spans) == [None] * 3
    for span in receiver.spans:
        assert reference.items() <= span["attributes"].items()
        assert restored(span["attributes"])[INPUT] == content.decode()
    assert b"How are you?" not in database.read_bytes()


def test_report_and_replay_restore_content(loopback: LoopbackProvider, tmp_path: Path) -> None:
    """`report --call` shows it and `replay` sends it; missing content is only reported."""
    database, folder = tmp_path / "calls.db", tmp_path / "content"
    env = {"LITESPAN_SQLITE": str(database), "LITESPAN_OFFLOAD": str(folder)}
    run(loopback, {"OTEL_TRACES_EXPORTER": "sqlite", **env})
    totals = json.loads(litespan("report", database, "--json").stdout)["total"]
    assert totals["calls"] == 3

    copy = tmp_path / "copy.jsonl"
    replayed = litespan("replay", database, "--to", "jsonl", env={"LITESPAN_JSONL": str(copy)})
    assert (replayed.returncode, replayed.stdout) == (0, "jsonl: 3 sent\n"), replayed.stderr
    records = [json.loads(line) for line in copy.read_text().splitlines()]
    assert [record["input_messages"][0]["parts"][0]["content"] for record in records] == (
        [QUESTION] * 3
    )
    assert f"{INPUT}_ref" not in records[0]["attributes"]

    key = records[0]["key"]
    shown = json.loads(litespan("report", database, "--call", key).stdout)
    assert shown["input_messages"] == records[0]["input_messages"]

    next(folder.rglob("*.json")).unlink()
    gone = litespan("report", database, "--call", key)
    assert json.loads(gone.stdout)["input_messages"] is None
    assert "cannot be read: FileNotFoundError" in gone.stderr
    again = {"LITESPAN_JSONL": str(tmp_path / "again.jsonl")}
    replayed = litespan("replay", database, "--to", "jsonl", env=again)
    line = "jsonl: 3 sent, 3 of them without offloaded content\n"
    assert (replayed.returncode, replayed.stdout) == (0, line)
    assert litespan("report", database, "--call", "other").returncode == 1


def test_exporters_by_stage_send_references(loopback: LoopbackProvider, tmp_path: Path) -> None:
    """Exporters in `LITESPAN_SUCCESS` and `LITESPAN_INPUT`."""
    database = tmp_path / "calls.db"
    env = {
        "OTEL_TRACES_EXPORTER": "none",
        "LITESPAN_INPUT": "sqlite",
        "LITESPAN_SUCCESS": "sqlite",
        "LITESPAN_SQLITE": str(database),
        "LITESPAN_OFFLOAD": f"file://{tmp_path}/content",
    }
    run(loopback, env)
    assert b"How are you?" not in database.read_bytes()
    assert list(tmp_path.rglob("content/*/*.json"))


def test_content_can_be_stored_in_memory(
    loopback: LoopbackProvider, receiver: OtlpReceiver
) -> None:
    """Any file system of fsspec works; the program can read this one."""
    after = """
    from opentelemetry import trace
    import fsspec
    trace.get_tracer_provider().force_flush()
    files = fsspec.filesystem("memory")
    print([len(files.cat(path)) for path in files.find("/store")])
    """
    env = {**receiver.env, "LITESPAN_OFFLOAD": "memory://store"}
    ran = run(loopback, env, after=after.strip())
    (span, *_) = receiver.spans
    assert f"[{span['attributes'][f'{INPUT}_ref.size']}]" in ran.stdout
    assert contents(receiver.spans) == [None] * 3


def test_content_below_the_threshold_stays(
    loopback: LoopbackProvider, receiver: OtlpReceiver, tmp_path: Path
) -> None:
    """`LITESPAN_OFFLOAD_ABOVE`: all content is below 64 KB."""
    env = {"LITESPAN_OFFLOAD": str(tmp_path), "LITESPAN_OFFLOAD_ABOVE": "64000"}
    run(loopback, {**receiver.env, **env})
    assert [asked(content or "") for content in contents(receiver.spans)] == [QUESTION] * 3
    assert not list(tmp_path.iterdir())


HANGING = """
    import threading, fsspec
    from fsspec.implementations.memory import MemoryFileSystem
    class Hanging(MemoryFileSystem):
        protocol = "hanging"
        def exists(self, path, **more):
            print("on the caller's thread:", threading.current_thread() is threading.main_thread())
            threading.Event().wait()
    fsspec.register_implementation("hanging", Hanging)
"""


@pytest.mark.parametrize(
    ("store", "says"),
    [
        ("{tmp}/file/content", "the store did not accept 1 content(s)"),
        ("hanging://x", "the store did not accept 1 content(s) within 5 s"),
        ("s3fs-is-not-here://x", "fsspec does not know the store s3fs-is-not-here://"),
        ("wandb://x", "content offload to wandb:// needs wandbfs: pip install wandbfs"),
    ],
)
def test_a_failing_store_affects_no_call_and_no_span(
    loopback: LoopbackProvider, receiver: OtlpReceiver, tmp_path: Path, store: str, says: str
) -> None:
    """Every span arrives with its content, no call waits, and one line has the reason."""
    (tmp_path / "file").write_text("in the way")
    env = {**receiver.env, "LITESPAN_OFFLOAD": store.format(tmp=tmp_path)}
    ran = run(loopback, env, before=HANGING.strip())
    assert [asked(content or "") for content in contents(receiver.spans)] == [QUESTION] * 3
    assert "thread: True" not in ran.stdout
    assert ran.stderr.count(says) == 1, ran.stderr


def test_uninstrument_restores_the_exporters(
    loopback: LoopbackProvider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The exporters of a provider that was set up in code."""
    monkeypatch.setenv("LITESPAN_OFFLOAD", str(tmp_path))
    monkeypatch.setenv("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "SPAN_ONLY")
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    instrumentor = LiteLLMInstrumentor()
    instrumentor.instrument(tracer_provider=provider)
    try:
        ask(loopback)
    finally:
        instrumentor.uninstrument()
    (span,) = exporter.get_finished_spans()
    assert f"{INPUT}_ref" in (span.attributes or {})
    assert "export" not in vars(exporter)


def test_an_exporter_that_cannot_be_wrapped_does_not_affect_the_others(
    loopback: LoopbackProvider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It receives content, as before; an exporter of two processors is wrapped once."""

    class Fixed(InMemorySpanExporter):
        def __setattr__(self, name: str, value: Any) -> None:
            if name == "export":
                raise AttributeError("read-only")
            super().__setattr__(name, value)

    monkeypatch.setenv("LITESPAN_OFFLOAD", str(tmp_path))
    monkeypatch.setenv("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "SPAN_ONLY")
    fixed, shared, provider = Fixed(), InMemorySpanExporter(), TracerProvider()
    for exporter in (fixed, shared, shared):
        provider.add_span_processor(SimpleSpanProcessor(exporter))
    instrumentor = LiteLLMInstrumentor()
    instrumentor.instrument(tracer_provider=provider)
    before = stats().get("errors.removing content offload", 0)
    try:
        ask(loopback)
    finally:
        instrumentor.uninstrument()
    assert [INPUT in (span.attributes or {}) for span in fixed.get_finished_spans()] == [True]
    found = [f"{INPUT}_ref" in (span.attributes or {}) for span in shared.get_finished_spans()]
    assert found == [True, True]
    assert stats().get("errors.removing content offload", 0) == before


def test_a_password_stays_out_of_the_reference() -> None:
    """The store needs it, but no span has it."""
    store = Store("ftp://ann:p@ss@files.example.com/x")
    assert store.reference(b"x").url.startswith("ftp://ann@files.example.com/x/2d/")
    azure = Store("memory://container@account.dfs.core.windows.net/x")
    assert azure.reference(b"x").url.startswith("memory://container@account.dfs.core")


def test_a_forked_child_does_not_wait_for_the_parents_store_threads(tmp_path: Path) -> None:
    """The threads exist only in the parent."""
    store = Store(str(tmp_path))
    with store._lock:
        pid = os.fork()
        if not pid:
            os._exit(0 if store.put_all([b"child"]) else 1)
    assert os.waitpid(pid, 0)[1] == 0
    assert len(store.put_all([b"parent", b"child"])) == 2


def test_a_store_takes_more_contents_than_it_remembers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it forgets is in the store all the same, and contents in use are remembered."""
    monkeypatch.setattr(content_store, "_MAX_KNOWN", 40)
    store = Store(str(tmp_path), timeout=300)
    prompt = b"the same in each export"
    store.put_all([prompt])
    for batch in range(3):
        contents = [prompt, *(b"%d-%d" % (batch, number) for number in range(15))]
        assert len(store.put_all(contents)) == 16
    place = Path(store.reference(prompt).url.removeprefix("file://"))
    place.unlink()
    store.put_all([prompt])
    assert not place.exists()


@pytest.mark.parametrize("error", [asyncio.CancelledError, SystemExit, OSError])
def test_a_driver_may_raise_anything(
    error: type[BaseException], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No thread ends with it, and the store is used again after the pause."""
    ended: list[Any] = []
    monkeypatch.setattr(threading, "excepthook", ended.append)
    store = Store("memory://anything")

    def failing(_files: MemoryFileSystem, path: str) -> bool:
        raise error

    with monkeypatch.context() as patched:
        patched.setattr(MemoryFileSystem, "exists", failing)
        assert store.put_all(b"%d" % number for number in range(20)) == set()
    assert not ended
    store._not_before = 0.0
    assert len(store.put_all([b"later"])) == 1


def test_an_incomplete_file_is_written_again(tmp_path: Path) -> None:
    """A file that a crash truncated does not count as the content."""
    store = Store(str(tmp_path))
    place = Path(store.reference(b"whole").url.removeprefix("file://"))
    place.parent.mkdir()
    place.write_bytes(b"wh")
    assert len(store.put_all([b"whole"])) == 1
    assert place.read_bytes() == b"whole"
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [place]
