"""Handlers: what one has not received when its process ends, the next process delivers."""

import asyncio
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event
from typing import Any

import litellm
import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

import litespan
from litespan import LiteLLMInstrumentor
from litespan.counters import stats
from litespan.spool.overview import overview
from litespan.testing import LoopbackProvider
from tests.spool.calls import Program, destination, eventually, file_of, waiting
from tests.support.calls import CAPTURE
from tests.support.logs import fresh_logs

__all__ = ["fresh_logs"]

NAME = "handler:audit"


class Audit:
    """A handler that can be stuck before the end of a call."""

    def __init__(self, stuck: bool = False) -> None:
        self.free = Event()
        if not stuck:
            self.free.set()
        self.ends: list[tuple[str, dict[str, Any], Any]] = []

    def log_pre_api_call(self, model: str, messages: Any, kwargs: dict[str, Any]) -> None:
        """Wait."""
        self.free.wait(60)

    def log_success_event(self, kwargs: Any, response_obj: Any, **_: Any) -> None:
        """Keep the arguments."""
        self.ends.append(("success", dict(kwargs), response_obj))

    async def async_log_success_event(self, kwargs: Any, response_obj: Any, **_: Any) -> None:
        """Keep the arguments."""
        self.ends.append(("async success", dict(kwargs), response_obj))

    def log_failure_event(self, kwargs: Any, response_obj: Any, **_: Any) -> None:
        """Keep the arguments, and raise."""
        self.ends.append(("failure", dict(kwargs), response_obj))
        raise ValueError("the handler's own mistake")

    @property
    def stages(self) -> list[str]:
        """What was delivered."""
        return sorted(stage for stage, *_ in self.ends)


class Processes:
    """Processes that use the folder one after another, simulated in this one."""

    def __init__(self, folder: Path, loopback: LoopbackProvider) -> None:
        self.folder = folder
        self.chat: dict[str, Any] = {
            "model": "openai/gpt-4o-mini",
            "messages": [{"role": "user", "content": "a secret"}],
            "api_base": loopback.url_for(),
            "api_key": "sk-loopback",
            "max_retries": 0,
        }
        self.refusing = loopback.url_for(status=401)
        self.handlers: list[Audit] = []

    @contextmanager
    def running(self, handler: Audit, **options: Any) -> Iterator[None]:
        """A process with a handler. It releases its files at its end, as a killed one does."""
        LiteLLMInstrumentor().instrument(
            tracer_provider=TracerProvider(shutdown_on_exit=False, **options.pop("provider", {})),
            **{name: options.pop(name) for name in ("spool",) if name in options},
        )
        self.handlers.append(handler)
        added = litespan.add_callback(handler, name="audit", **options)
        try:
            yield
        finally:
            LiteLLMInstrumentor().uninstrument()
            added.remove()

    def killed(self, calls: int = 1, **keywords: Any) -> Audit:
        """A process whose handler is stuck until it is killed."""
        handler = Audit(stuck=True)
        with self.running(handler):
            for _ in range(calls):
                litellm.completion(**self.chat, **keywords)
            eventually(lambda: waiting(self.folder) == calls)
        return handler


@pytest.fixture
def processes(
    tmp_path: Path, loopback: LoopbackProvider, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Processes]:
    """With an empty spool."""
    monkeypatch.setenv("LITESPAN_SPOOL", str(tmp_path))
    made = Processes(tmp_path, loopback)
    yield made
    for handler in made.handlers:
        handler.free.set()


@pytest.fixture
def counted() -> Callable[[str], int]:
    """How much a counter has grown since the test began."""
    before = stats()
    return lambda name: stats().get(name, 0) - before.get(name, 0)


def test_the_next_process_delivers_the_ends_that_a_handler_has_missed(
    processes: Processes, tmp_path: Path
) -> None:
    """Of sync, async and failed calls, to the method of each; once, also if it raises."""
    stuck, late = Audit(stuck=True), Audit()
    with processes.running(stuck):
        litellm.completion(**processes.chat)
        asyncio.run(litellm.acompletion(**processes.chat))
        with suppress(litellm.AuthenticationError):
            litellm.completion(**{**processes.chat, "api_base": processes.refusing})
        eventually(lambda: waiting(tmp_path) == 3)
        assert [each.exporter for each in overview(tmp_path).waiting] == [NAME]
    with processes.running(late):
        eventually(lambda: len(late.ends) == 3)
        eventually(lambda: waiting(tmp_path) == 0)
    assert late.stages == ["async success", "failure", "success"]
    (error,) = (kwargs["exception"] for stage, kwargs, _ in late.ends if stage == "failure")
    assert (error.status_code, "AuthenticationError" in str(error)) == (401, True)
    assert list(tmp_path.iterdir()) == []
    stuck.free.set()
    eventually(lambda: len(stuck.ends) == 3)
    keys = {kwargs["litespan"]["key"]: kwargs["litespan"]["late"] for _, kwargs, _ in stuck.ends}
    assert keys == {kwargs["litespan"]["key"]: False for _, kwargs, _ in late.ends}
    assert all(kwargs["litespan"]["late"] for _, kwargs, _ in late.ends)


def test_a_late_end_has_the_arguments_of_a_live_one(
    processes: Processes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As far as a span knows them; with content, because it is recorded here."""
    monkeypatch.setenv(CAPTURE, "span_only")
    stuck = processes.killed(metadata={"plan": "free"}, user="alice", temperature=0.5)
    late = Audit()
    with processes.running(late):
        eventually(lambda: late.ends)
    stuck.free.set()
    eventually(lambda: stuck.ends)
    (_, before, response), (_, after, rebuilt) = stuck.ends[0], late.ends[0]
    same = ("model", "messages", "user", "litellm_call_id", "call_type", "response_cost")
    assert {name: after[name] for name in same} == {name: before[name] for name in same}
    assert after["litellm_params"]["metadata"] == {"plan": "free"}
    assert after["start_time"] == before["start_time"]
    assert after["optional_params"] == {"temperature": 0.5}
    assert rebuilt.id == response.id
    assert rebuilt["choices"][0]["message"]["content"] == response.choices[0].message.content
    assert rebuilt.usage.prompt_tokens == response.usage.prompt_tokens
    live, late_one = before["standard_logging_object"], after["standard_logging_object"]
    assert {*late_one} - {*live} <= {"litellm_call_id", "user_agent"}  # not in old versions
    exact = ("id", "call_type", "status", "model", "total_tokens", "response_cost", "messages")
    assert {name: late_one[name] for name in exact} == {name: live[name] for name in exact}
    assert late_one["startTime"] == pytest.approx(live["startTime"], abs=60)


def test_content_is_kept_only_if_it_is_recorded(processes: Processes, tmp_path: Path) -> None:
    """A late end then has no messages, although a live one always has them."""
    stuck, late = processes.killed(), Audit()
    assert b"a secret" not in b"".join(path.read_bytes() for path in tmp_path.iterdir())
    with processes.running(late):
        eventually(lambda: late.ends)
    stuck.free.set()
    eventually(lambda: stuck.ends)
    assert late.ends[0][1]["messages"] == []
    assert stuck.ends[0][1]["messages"] == processes.chat["messages"]


def test_what_a_handler_has_received_is_not_delivered_again(
    processes: Processes, tmp_path: Path
) -> None:
    """It leaves the disk, or a fast handler has received it before it was written."""
    first, second = Audit(), Audit()
    with processes.running(first):
        for _ in range(20):
            litellm.completion(**processes.chat)
        assert litespan.flush(60)
        eventually(lambda: waiting(tmp_path) == 0)
    with processes.running(second):
        litellm.completion(**processes.chat)
        assert litespan.flush(60)
    assert (len(first.ends), len(second.ends)) == (20, 1)
    assert list(tmp_path.iterdir()) == []


def test_a_handler_that_is_not_registered_leaves_its_ends(
    processes: Processes, tmp_path: Path, counted: Callable[[str], int]
) -> None:
    """Until they are too old."""
    processes.killed(2)
    with sqlite3.connect(file_of(tmp_path)) as file:
        file.execute("update calls set time = time - 1e7 where id = 1")
    file.close()
    with destination() as vendor:
        program = Program(vendor.exporter(), tmp_path)
        program.call(1)
        assert program.deliver()
        program.provider.shutdown()
    assert [(each.exporter, each.calls) for each in overview(tmp_path).waiting] == [(NAME, 1)]
    assert counted("spool.dropped.age") == 1
    late = Audit()
    with processes.running(late):
        eventually(lambda: late.ends)
    assert late.stages == ["success"]


def test_a_damaged_end_does_not_stop_the_others(
    processes: Processes, tmp_path: Path, counted: Callable[[str], int]
) -> None:
    """It stays in the file."""
    processes.killed(3)
    with sqlite3.connect(file_of(tmp_path)) as file:
        file.execute("update calls set data = x'00' || substr(data, 2) where id = 2")
    file.close()
    late = Audit()
    with processes.running(late):
        eventually(lambda: len(late.ends) == 2 and counted("spool.damaged"))
        eventually(lambda: [each.exporter for each in overview(tmp_path).waiting] == ["damaged"])


def test_calls_that_are_not_sampled_are_not_kept(processes: Processes, tmp_path: Path) -> None:
    """There is no span to write; the handler receives them as without a spool."""
    handler = Audit()
    with processes.running(handler, provider={"sampler": ALWAYS_OFF}):
        litellm.completion(**processes.chat)
        assert litespan.flush(60)
    assert handler.stages == ["success"]
    assert "litespan" not in handler.ends[0][1]


def test_code_can_name_the_folder(
    processes: Processes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`instrument(spool=…)` is for handlers and exporters, as `LITESPAN_SPOOL` is."""
    monkeypatch.delenv("LITESPAN_SPOOL")
    late = Audit()
    with processes.running(Audit(stuck=True), spool=str(tmp_path)):
        litellm.completion(**processes.chat)
        eventually(lambda: waiting(tmp_path) == 1)
    with processes.running(late, spool=str(tmp_path)):
        eventually(lambda: late.ends)
    assert late.stages == ["success"]


def test_a_handler_on_the_callers_loop_waits_for_one(processes: Processes, tmp_path: Path) -> None:
    """A late end of an async call is delivered on the loop of this process's calls."""
    stuck, late = Audit(stuck=True), Audit()
    with processes.running(stuck):
        asyncio.run(litellm.acompletion(**processes.chat))
        eventually(lambda: waiting(tmp_path) == 1)
    with processes.running(late, loop="caller"):
        keeper: Any = litespan_callbacks()[-1].dispatcher.keeper
        keeper._pool.submit(keeper._look)
        assert keeper._pool.wait_for(lambda: keeper._directory._adopted, time.monotonic() + 60)
        assert (late.ends, waiting(tmp_path)) == ([], 1)

        async def program() -> None:
            await litellm.acompletion(**processes.chat)
            keeper._pool.submit(keeper._look)
            await asyncio.to_thread(
                eventually, lambda: len(late.ends) == 2 and waiting(tmp_path) == 0
            )

        asyncio.run(program())
    stuck.free.set()


def test_the_caller_only_appends_to_a_queue(
    processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A handful of function calls on its thread for each handler."""
    handler, names = Audit(), list[str]()
    with processes.running(handler):
        litellm.completion(**processes.chat)
        assert litespan.flush(60)
        (added,) = (each for each in litespan_callbacks() if each.handler.target is handler)
        span: Any = TracerProvider(shutdown_on_exit=False).get_tracer("t").start_span("chat")
        keeper: Any = added.dispatcher.keeper
        monkeypatch.setattr(keeper._recorder, "_scheduled", True)

        def profile(frame: Any, event: str, argument: Any) -> None:
            if event in ("call", "c_call"):
                names.append(frame.f_code.co_name if event == "call" else argument.__name__)

        sys.setprofile(profile)
        keeper.keep(span)
        sys.setprofile(None)
        monkeypatch.undo()
    assert names[:-1] == ["keep", "__init__", "context", "add", "append", "len"]


def litespan_callbacks() -> list[Any]:
    """The handlers of this process."""
    from litespan.callbacks.registration import _ADDED

    return [added.callback for added in _ADDED]
