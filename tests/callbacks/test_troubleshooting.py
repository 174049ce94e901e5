"""Every line that the troubleshooting page quotes is printed in its situation."""

import asyncio
import importlib
import logging
import re
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import litellm
import pytest

import litespan
from litespan.callbacks.handler import BadHandler
from tests.support.calls import Traced
from tests.support.program_files import write

PAGE = Path(__file__).parents[2] / "docs" / "troubleshooting.md"
CALLED = "def log_success_event(self, kwargs, response_obj, start_time, end_time):"


class App:
    """A program with a module `handlers`, and what it prints."""

    def __init__(self, folder: Path, traced: Traced, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.traced = traced
        self.printed: list[str] = []
        self._monkeypatch = monkeypatch

    def write(self, *lines: str) -> None:
        """The module `handlers`, from now on."""
        sys.modules.pop("handlers", None)
        importlib.invalidate_caches()
        write(self.folder, handlers="\n".join(lines) + "\n")
        # Written twice within the second that the compiled file is good for.
        for compiled in self.folder.glob("__pycache__/handlers*"):
            compiled.unlink()

    def handler(self, *body: str) -> Any:
        """An instance of a `MyHandler` with this body."""
        self.write("class MyHandler:", *(f"    {line}" for line in body))
        return importlib.import_module("handlers").MyHandler()

    def add(self, handler: Any, **options: Any) -> Any:
        """Add it; None if it is refused."""
        try:
            return litespan.add_callback(handler, **options)
        except BadHandler as error:
            self.printed.append(str(error))
            return None

    def delivery(self, handler: Any, *, stream: bool = False, **options: Any) -> None:
        """One call, with this handler."""
        added = self.add(handler, **options)
        self.call(stream=stream)
        assert litespan.flush(30)
        added.remove()

    def named(self, name: str) -> None:
        """One call, with `LITESPAN_CALLBACKS`."""
        self._monkeypatch.setenv("LITESPAN_CALLBACKS", name)
        instrumentor = litespan.LiteLLMInstrumentor()
        instrumentor.uninstrument()
        instrumentor.instrument(**self.traced.telemetry.providers)
        self.call()
        assert litespan.flush(30)

    def call(self, *, stream: bool = False) -> None:
        """A call of a model with an unknown price."""
        result = litellm.completion(**self.traced.chat(model="openai/my-model", stream=stream))
        if stream:
            list(result)


@pytest.fixture
def app(
    traced: Traced,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> Iterator[App]:
    """A program whose folder is on the path."""
    monkeypatch.syspath_prepend(str(tmp_path))
    caplog.set_level(logging.WARNING, "litespan")
    yield App(tmp_path, traced, monkeypatch)
    sys.modules.pop("handlers", None)


def does_not_fire(app: App) -> None:
    """Handlers that are refused, and one that is added twice."""
    app.handler(CALLED, "    pass")
    app.add(sys.modules["handlers"].MyHandler)
    app.add(app.handler("def log_success_event(self, data, response, start, end):", "    pass"))
    app.add(app.handler("pass"))
    handler = app.handler(CALLED, "    pass")
    added = app.add(handler)
    app.add(handler)
    added.remove()


def not_found(app: App) -> None:
    """Names that lead nowhere, one of them into a function."""
    app.named("handler")
    app.named("handler.instance")
    app.write(
        "class MyHandler:",
        f"    {CALLED}",
        "        pass",
        "def main():",
        "    handler = MyHandler()",
    )
    app.named("handlers.handler")
    app.write("1 / 0")
    app.named("handlers.instance")


def data_is_missing(app: App) -> None:
    """An unknown price, and the response of a stream that has only started."""
    app.delivery(app.handler(CALLED, "    kwargs['response_cost'] + 1"))
    called = CALLED.replace("success_event", "post_api_call")
    app.delivery(app.handler(called, "    response_obj.model"), stream=True)


def slow(app: App) -> None:
    """A handler that hangs while calls go on, at a flush and at the end."""
    release = threading.Event()
    handler = app.handler(CALLED, "    self.release.wait()")
    handler.release = release
    handler.log_stream_event = handler.log_success_event
    added = app.add(handler, max_pending=2)
    app.call(stream=True)
    app.call()
    litespan.flush(0.1)
    draining = importlib.import_module("litespan.callbacks.draining")
    draining.report_undelivered(added.callback.dispatcher)
    release.set()
    assert litespan.flush(30)
    added.remove()


def an_error(app: App) -> None:
    """A mistake, and a lock of another event loop."""
    app.delivery(app.handler(CALLED, "    raise ValueError('a mistake')"))

    async def held(lock: asyncio.Lock) -> None:
        async with lock:
            await asyncio.Event().wait()

    async def on_a_loop_of_its_own() -> None:
        lock = asyncio.Lock()
        tasks = [asyncio.create_task(held(lock)) for _ in range(2)]
        await asyncio.sleep(0)
        called = CALLED.replace("def log", "async def async_log")
        handler = app.handler(called, "    async with self.lock:", "        pass")
        handler.lock = lock
        await asyncio.to_thread(app.delivery, handler)
        for task in tasks:
            task.cancel()

    asyncio.run(on_a_loop_of_its_own())


def a_library_is_missing(app: App) -> None:
    """The module needs it, or only the method."""
    app.write("import redis_of_mine", "handler = None")
    app.named("handlers.handler")
    app.delivery(app.handler(CALLED, "    import redis_of_mine"))


SITUATIONS: dict[str, Callable[[App], None]] = {
    "A callback does not fire": does_not_fire,
    "Module or attribute not found": not_found,
    "Data is missing in `kwargs` or `response_obj`": data_is_missing,
    "A callback is slow, or blocks": slow,
    "An error inside a callback": an_error,
    "A library is missing in the container": a_library_is_missing,
}


def quoted() -> dict[str, list[str]]:
    """The lines that the page says are printed, by symptom."""
    _, *sections = re.split(r"^### ", PAGE.read_text("utf-8"), flags=re.MULTILINE)
    found = {}
    for section in sections:
        title, _, text = section.partition("\n")
        blocks = re.findall(r"^```text\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
        found[title] = "".join(blocks).splitlines()
    return found


def test_every_symptom_has_a_situation() -> None:
    """Each symptom of the page has a situation that prints its messages."""
    assert list(quoted()) == list(SITUATIONS)
    assert all(quoted().values())


@pytest.mark.parametrize("symptom", SITUATIONS)
def test_each_quoted_line_is_printed_by_its_situation(
    app: App, caplog: pytest.LogCaptureFixture, symptom: str
) -> None:
    """Each quoted line is printed literally; `…` stands for variable text."""
    SITUATIONS[symptom](app)
    printed = [*app.printed, *(r.getMessage() for r in caplog.records if r.name == "litespan")]
    printed = [line.replace(str(app.folder), "/app") for line in printed]
    patterns = [".*".join(map(re.escape, line.split("…"))) for line in quoted()[symptom]]
    matched = [[line for line in printed if re.fullmatch(each, line)] for each in patterns]
    assert all(matched), (patterns, printed)
    assert sorted({line for lines in matched for line in lines}) == sorted(set(printed))
