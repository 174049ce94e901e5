"""Registration of handlers with `add_callback` and `LITESPAN_CALLBACKS`."""

import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import litellm
import pytest

import litespan
from litespan.callbacks.handler import BadHandler
from litespan.callbacks.registration import find
from litespan.testing import LoopbackProvider, Telemetry
from tests.callbacks.conftest import Keeper
from tests.support.calls import Traced
from tests.support.program_files import run_file, write

HANDLER = """
    import sys
    print("loading the handler's module")

    class Handler:
        seen = 0
        async def async_log_success_event(self, kwargs, response_obj, start_time, end_time):
            self.seen += 1
            sys.stdout.write(f"success {kwargs['model']} {self.seen}\\n")

    instance = Handler()
"""
APP = """
    import litellm

    litellm.completion("openai/gpt-4o-mini", [{"role": "user", "content": "Hi"}])
    litellm.completion("openai/gpt-4o-mini", [{"role": "user", "content": "Hi"}])
"""


@pytest.fixture
def at(loopback: LoopbackProvider) -> dict[str, str]:
    """The environment in which LiteLLM's OpenAI calls reach the loopback provider."""
    return {"OPENAI_BASE_URL": loopback.url, "OPENAI_API_KEY": "sk-loopback"}


def test_a_removed_handler_gets_no_new_calls(traced: Traced) -> None:
    """It still receives the remaining stages of calls that have started."""
    keeper = Keeper()
    added = litespan.add_callback(keeper)
    stream = litellm.completion(**traced.chat(stream=True))
    added.remove()
    added.remove()
    litellm.completion(**traced.chat())
    chunks = len(list(stream))
    assert litespan.flush(10)
    assert keeper.deliveries.methods == ["pre", "post", *["stream"] * chunks, "success"]


def test_a_handler_added_twice_runs_once(traced: Traced, caplog: pytest.LogCaptureFixture) -> None:
    """The handler receives each stage once."""
    keeper = Keeper()
    first = litespan.add_callback(keeper)
    try:
        assert litespan.add_callback(keeper) is first
        litellm.completion(**traced.chat())
        assert litespan.flush(10)
    finally:
        first.remove()
    assert keeper.deliveries.methods == ["pre", "post", "success"]
    assert "was already added: it receives every stage once" in caplog.text


def test_a_handler_may_be_added_before_instrumenting(
    loopback: LoopbackProvider, telemetry: Any
) -> None:
    """The order of adding and instrumenting does not matter."""
    keeper = Keeper()
    added = litespan.add_callback(keeper)
    instrumentor = litespan.LiteLLMInstrumentor()
    instrumentor.instrument(**telemetry.providers)
    try:
        litellm.completion(**Traced(loopback, telemetry).chat())
        assert litespan.flush(10)
    finally:
        instrumentor.uninstrument()
        added.remove()
    assert keeper.deliveries.methods == ["pre", "post", "success"]


def test_adding_a_handler_instruments_litellm(
    loopback: LoopbackProvider, telemetry: Telemetry
) -> None:
    """It does so unless the program instruments LiteLLM itself."""
    keeper = Keeper()
    instrumentor = litespan.LiteLLMInstrumentor()
    added = litespan.add_callback(keeper)
    given = Traced(loopback, telemetry).chat()
    try:
        litellm.completion(**given)
        instrumentor.instrument(**telemetry.providers)
        litellm.completion(**given)
        instrumentor.instrument()  # as ever: does nothing
        litellm.completion(**given)
        assert litespan.flush(10)
    finally:
        instrumentor.uninstrument()
        added.remove()
    litellm.completion(**given)
    assert sorted(keeper.deliveries.methods) == sorted(["pre", "post", "success"] * 3)
    assert len(telemetry.spans) == 2


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder on the path, whose modules are forgotten after the test."""
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


def test_a_loaded_module_is_not_imported_again(modules: Path) -> None:
    """The instance in the loaded module is used."""
    module = types.ModuleType("loaded_handlers")
    module.instance = Keeper()  # type: ignore[attr-defined]
    sys.modules["loaded_handlers"] = module
    assert find("loaded_handlers.instance") is module.instance
    assert find("loaded_handlers:instance") is module.instance


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("instance", "it has no module name: write module.instance"),
        (
            "no_such.module.instance",
            "there is no module 'no_such.module': its folder must be on the path (PYTHONPATH)",
        ),
        (
            "has_handlers.missing",
            "; then restart the program or the proxy (it has Handler, instance)",
        ),
        (
            "needs_library.instance",
            "module needs_library needs 'a_missing_library', which is not installed: ",
        ),
        (
            "broken_module.instance",
            "cannot import module broken_module: ZeroDivisionError: division by zero",
        ),
    ],
)
def test_a_missing_module_or_instance_is_reported_in_one_line(
    modules: Path, path: str, expected: str
) -> None:
    """The line has the reason and the fix."""
    write(
        modules,
        has_handlers=HANDLER,
        needs_library="import a_missing_library",
        broken_module="1 / 0",
    )
    with pytest.raises(BadHandler) as raised:
        find(path)
    assert expected in str(raised.value)


@pytest.mark.slow
def test_handlers_in_the_variable_are_imported_when_the_first_call_starts(
    tmp_path: Path, at: dict[str, str]
) -> None:
    """They may be beside the script, and are imported once.

    Each mistake is one line, and the other handlers work.
    """
    app = write(
        tmp_path,
        app=APP,
        my_handlers=HANDLER,
        more=HANDLER.replace("Handler", "Other") + "\n    Wrong = Other\n",
    )
    names = "my_handlers.instance, more.instance,no_such.handler,more.Wrong,my_handlers.missing"
    ran = run_file(app, env={**at, "LITESPAN_CALLBACKS": names}, instrument=True)
    assert ran.code == 0, ran.stderr
    assert sorted(ran.stdout.splitlines()) == [
        *["loading the handler's module"] * 2,
        *["success gpt-4o-mini 1"] * 2,
        *["success gpt-4o-mini 2"] * 2,
    ]
    output = [line for line in ran.stderr.splitlines() if "LITESPAN_CALLBACKS" in line]
    assert [line.split("LITESPAN_CALLBACKS: ")[1].split(": ")[:2] for line in output] == [
        ["no_such.handler", "there is no module 'no_such'"],
        ["more.Wrong", "more.Other is a class"],
        [
            "my_handlers.missing",
            f"module my_handlers ({tmp_path / 'my_handlers.py'}) has no 'missing'",
        ],
    ]


@pytest.mark.slow
def test_a_handler_in_the_running_script_is_not_loaded_twice(
    tmp_path: Path, at: dict[str, str]
) -> None:
    """The running script itself is used, and is not imported again."""
    app = write(tmp_path, app=HANDLER + APP)
    ran = run_file(app, env={**at, "LITESPAN_CALLBACKS": "app.instance"}, instrument=True)
    assert ran.stdout.splitlines() == [
        "loading the handler's module",
        "success gpt-4o-mini 1",
        "success gpt-4o-mini 2",
    ], ran.stderr
