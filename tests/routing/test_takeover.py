"""litespan takes over LiteLLM's callback lists, and LiteLLM no longer uses the entries."""

import json
import logging
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import litellm
import pytest
from litellm.integrations.custom_logger import CustomLogger

import litespan
from litespan import LiteLLMInstrumentor
from litespan.callbacks import registration
from litespan.errors import _seen
from litespan.instrumentation.signals import Live
from litespan.routing.configuration import Routes
from litespan.routing.litellm_handlers import only_logs
from litespan.routing.litellm_names import answer, exporter_name
from litespan.routing.takeover import Takeover, stop_takeover
from litespan.testing import LoopbackProvider
from tests.support.calls import Traced
from tests.support.program import run
from tests.support.server import Reply, Vendor, running
from tests.support.vendors import SECRET, Helicone, Langfuse, Sentry

ISSUE = """
    import asyncio
    import litellm

    litellm.input_callback = ["sentry"]
    litellm.success_callback = ["helicone", "langfuse"]
    litellm.failure_callback = ["sentry", "slack"]

    model, messages = "openai/gpt-4o-mini", [{"role": "user", "content": "Say hello"}]
    print(CALL(model=model, messages=messages).id)
    try:
        CALL(model=model, messages=messages, api_base=BAD, max_retries=0)
    except litellm.exceptions.InternalServerError as error:
        print("failed")
"""
VENDORS = {
    "helicone": Helicone,
    "langfuse": Langfuse,
    "sentry": Sentry,
}


@pytest.fixture(scope="module", params=["sync", "async"])
def moved(request: pytest.FixtureRequest, loopback: LoopbackProvider) -> Iterator[dict[str, Any]]:
    """What the four services got of one run of the issue's program, and what it printed."""
    call = {
        "sync": "litellm.completion",
        "async": "(lambda **k: asyncio.run(litellm.acompletion(**k)))",
    }[request.param]
    bad = json.dumps(loopback.url_for(status=500))
    program = ISSUE.replace("CALL", call).replace("BAD", bad)
    with ExitStack() as stack:
        vendors: dict[str, Vendor] = {
            name: stack.enter_context(running(kind())) for name, kind in VENDORS.items()
        }
        vendors["slack"] = stack.enter_context(running(lambda _: Reply(200, b"ok")))
        host = vendors["sentry"].url.removeprefix("http://")
        ran = run(
            program,
            instrument=True,
            env={
                "LITESPAN_ADOPT": "true",
                "OTEL_TRACES_EXPORTER": "none",
                "OTEL_METRICS_EXPORTER": "none",
                "OTEL_LOGS_EXPORTER": "none",
                "OPENAI_BASE_URL": loopback.url,
                "OPENAI_API_KEY": "sk-loopback",
                "HELICONE_API_KEY": SECRET,
                "HELICONE_API_BASE": vendors["helicone"].url,
                "LANGFUSE_PUBLIC_KEY": SECRET,
                "LANGFUSE_SECRET_KEY": SECRET,
                "LANGFUSE_BASE_URL": vendors["langfuse"].url,
                "SENTRY_DSN": f"http://{SECRET}@{host}/1",
                "SLACK_WEBHOOK_URL": f"{vendors['slack'].url}/services/T/B/x",
            },
        )
        yield {"ran": ran, **vendors}


@pytest.mark.slow
def test_the_program_runs_unchanged(moved: dict[str, Any]) -> None:
    """Its output is the same, and one line lists the entries and how to turn content on."""
    ran = moved["ran"]
    assert ran.code == 0, ran.stderr
    assert ran.stdout.splitlines()[-1] == "failed"
    lines = [line for line in ran.stderr.splitlines() if "taken over" in line]
    said = (
        "litespan: taken over from LiteLLM's lists: input_callback: sentry; success_callback: "
        "helicone, langfuse; failure_callback: sentry, slack. Exporters receive messages only if "
        "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT=SPAN_ONLY is set"
    )
    assert lines == [said]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["helicone", "langfuse"])
def test_a_success_goes_to_the_success_list(moved: dict[str, Any], name: str) -> None:
    """The first call, and not the second."""
    vendor = moved[name]
    assert vendor.wrong == []
    assert len(vendor.accept.taken) == 1
    assert "InternalServerError" not in json.dumps(
        list(vendor.accept.records.values()), default=str
    )


@pytest.mark.slow
def test_failure_and_input_go_to_sentry(moved: dict[str, Any]) -> None:
    """One error, with the input as a breadcrumb; nothing about the successful call."""
    sentry = moved["sentry"]
    assert sentry.wrong == []
    events = [r for r in sentry.accept.records.values() if isinstance(r, dict) and "exception" in r]
    (event,) = events
    assert event["exception"]["values"][0]["type"] == "InternalServerError"
    crumbs = [crumb["category"] for crumb in event["breadcrumbs"]["values"]]
    assert any("pre_api_call" in category for category in crumbs), crumbs


@pytest.mark.slow
def test_failure_goes_to_slack(moved: dict[str, Any]) -> None:
    """One alert."""
    (request,) = moved["slack"].received
    assert "InternalServerError from gpt-4o-mini" in request.body.decode()
    assert "Say hello" not in request.body.decode()


@pytest.mark.slow
@pytest.mark.parametrize("later", ["", "litespan.LiteLLMInstrumentor().instrument()"])
def test_adopt_instruments_litellm(loopback: LoopbackProvider, tmp_path: Any, later: str) -> None:
    """It works with and without an existing instrumentation."""
    program = f"""
        import litellm
        import litespan
        from opentelemetry import trace
        from opentelemetry.sdk.trace import TracerProvider

        trace.set_tracer_provider(TracerProvider())
        litespan.adopt()
        litellm.success_callback = ["jsonl"]
        ask = dict(model="openai/gpt-4o-mini", messages=[{{"role": "user", "content": "Hi"}}])
        litellm.completion(**ask)
        {later}
        litellm.completion(**ask)
        print(litellm.success_callback)
    """
    file = tmp_path / "calls.jsonl"
    env = {
        "LITESPAN_JSONL": str(file),
        "OPENAI_BASE_URL": loopback.url,
        "OPENAI_API_KEY": "sk-loopback",
    }
    ran = run(program, env=env)
    assert (ran.code, ran.stdout) == (0, "[]\n"), ran.stderr
    assert len(file.read_text().splitlines()) == 2


# --- the lists ----------------------------------------------------------------------------


class Logs(CustomLogger):
    """What a program's own handler looks like."""

    def __init__(self) -> None:
        super().__init__()
        self.deliveries: list[str] = []

    def log_pre_api_call(self, model: Any, messages: Any, kwargs: Any) -> None:
        self.deliveries.append("pre")

    def log_success_event(
        self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any
    ) -> None:
        self.deliveries.append("success")

    def log_failure_event(
        self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any
    ) -> None:
        self.deliveries.append("failure")


class Asks(Logs):
    """One that LiteLLM's proxy asks, too."""

    async def async_pre_call_hook(self, *args: Any, **kwargs: Any) -> None:
        return None


class Empty(CustomLogger):
    """One that does nothing."""


class Derived(litellm.integrations.custom_logger.CustomLogger):
    """Made to look like one of LiteLLM's own."""

    def log_success_event(self, *args: Any) -> None:
        pass


Derived.__module__ = "litellm.integrations.something"


@pytest.fixture
def lists(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> Iterator[Takeover]:
    """LiteLLM's lists are empty, adoption is on, and two exporters are set up."""
    _seen.clear()
    for name in ("callbacks", "input_callback", "success_callback", "failure_callback"):
        monkeypatch.setattr(litellm, name, [])
        monkeypatch.setattr(litellm, f"_async_{name}", [], raising=False)
    monkeypatch.setenv("HELICONE_API_KEY", SECRET)
    monkeypatch.setenv("HELICONE_API_BASE", "http://127.0.0.1:9")
    monkeypatch.setenv("LITESPAN_SQLITE", str(tmp_path / "calls.db"))
    monkeypatch.delenv("LANGFUSE_PUBLIC_KEY", raising=False)
    litespan.adopt()
    look: Any = Live.look
    yield look.__self__
    LiteLLMInstrumentor().uninstrument()  # ends `adopt`, which has instrumented LiteLLM
    stop_takeover()
    exporter_name.cache_clear()


def routed() -> dict[str, tuple[Any, ...]]:
    """What is in force of what was adopted."""
    return {stage: names for stage, names in Routes._adopted.items() if names}


def test_assigning_replaces_and_appending_adds(lists: Takeover) -> None:
    """A new list replaces the entries of the old one; appended entries are added."""
    mine = ["helicone", "unknown", print]
    litellm.success_callback = mine
    lists.check_lists()
    assert routed() == {"success": ("helicone",)}
    assert litellm.success_callback == ["unknown", print]
    assert mine == ["helicone", "unknown", print]  # the program's own list is as it was
    litellm.success_callback.append("sqlite")
    lists.check_lists()
    assert routed() == {"success": ("helicone", "sqlite")}
    assert litellm.success_callback == ["unknown", print]
    litellm.failure_callback = ["helicone"]
    lists.check_lists()
    assert routed() == {"success": ("helicone", "sqlite"), "failure": ("helicone",)}
    litellm.success_callback = ["sqlite"]
    lists.check_lists()
    assert routed() == {"success": ("sqlite",), "failure": ("helicone",)}
    litellm.success_callback = []
    lists.check_lists()
    assert routed() == {"failure": ("helicone",)}
    litellm.success_callback = mine
    lists.check_lists()
    assert routed() == {"success": ("helicone",), "failure": ("helicone",)}


def test_unchanged_lists_are_logged_once(lists: Takeover, caplog: Any) -> None:
    """Not once per call."""
    caplog.set_level(logging.WARNING, "litespan")
    litellm.success_callback = ["helicone"]
    for _ in range(5):
        lists.check_lists()
    lines = [r.getMessage() for r in caplog.records if "taken over" in r.getMessage()]
    assert len(lines) == 1


def test_litellm_callbacks_receive_successes_and_failures(lists: Takeover) -> None:
    """`litellm.callbacks` applies to every stage that exporters receive."""
    litellm.callbacks = ["helicone"]
    lists.check_lists()
    assert routed() == {"success": ("helicone",), "failure": ("helicone",)}
    assert litellm.callbacks == []


def test_an_entry_whose_exporter_is_off_is_left_to_litellm(lists: Takeover, caplog: Any) -> None:
    """One line has the reason."""
    litellm.success_callback = ["langfuse", "helicone"]
    lists.check_lists()
    lists.check_lists()
    assert litellm.success_callback == ["langfuse"]
    assert routed() == {"success": ("helicone",)}
    lines = [r.getMessage() for r in caplog.records if "left to LiteLLM" in r.getMessage()]
    assert len(lines) == 1
    assert "LANGFUSE_PUBLIC_KEY" in lines[0]


def test_presets_are_taken_over_under_litellms_names(
    lists: Takeover, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If their variables are set, even if litespan's name differs."""
    monkeypatch.setenv("LANGSMITH_API_KEY", SECRET)
    monkeypatch.delenv("BRAINTRUST_API_KEY", raising=False)
    litellm.success_callback = ["langsmith", "arize_phoenix", "braintrust"]
    lists.check_lists()
    assert routed() == {"success": ("langsmith", "phoenix")}
    assert litellm.success_callback == ["braintrust"]


def test_names_that_litespan_cannot_serve_are_reported_once(lists: Takeover, caplog: Any) -> None:
    """One line per name, with the reason or an alternative; the names stay."""
    litellm.success_callback = ["argilla", "prometheus", "cache", "mine"]
    lists.check_lists()
    litellm.success_callback = ["helicone", "argilla", "prometheus", "cache", "mine"]
    lists.check_lists()
    assert litellm.success_callback == ["argilla", "prometheus", "cache", "mine"]
    lines = [r.getMessage() for r in caplog.records if "is left to LiteLLM" in r.getMessage()]
    assert lines == [answer("argilla"), answer("prometheus"), answer("mine")]


def test_an_exporter_that_cannot_record_started_calls_is_reported(
    lists: Takeover, caplog: Any
) -> None:
    """One line."""
    litellm.input_callback = ["helicone", "sqlite"]
    lists.check_lists()
    assert litellm.input_callback == []
    assert "input: helicone cannot record calls that have only started" in caplog.text


@pytest.mark.parametrize(
    ("handler", "expected"),
    [
        (Logs(), True),
        (Asks(), False),
        (Empty(), False),
        (Derived(), False),
        (CustomLogger(), False),
        (print, False),
        (Logs, False),
    ],
    ids=lambda value: getattr(type(value), "__name__", "") if not isinstance(value, bool) else "",
)
def test_only_instances_of_the_program_are_taken_over(handler: Any, expected: bool) -> None:
    """Instances of the program's own classes that override only logging methods."""
    assert only_logs(handler) is expected


def test_a_handler_that_asks_for_redacted_messages_is_left_to_litellm() -> None:
    """LiteLLM redacts for it."""
    handler = Logs()
    handler.turn_off_message_logging = True
    assert only_logs(handler) is False


def test_handlers_receive_the_stages_of_their_list(lists: Takeover, traced: Traced) -> None:
    """A handler in `callbacks` receives all stages; LiteLLM's lists are then empty."""
    everything, success, asks = Logs(), Logs(), Asks()
    litellm.callbacks = [everything, asks]
    litellm.success_callback = [success]
    litellm.completion(**traced.chat())
    assert litespan.flush(10)  # no order is promised between calls
    with pytest.raises(litellm.exceptions.RateLimitError):
        litellm.completion(**traced.chat(provider={"status": 429}))
    assert litespan.flush(10)
    assert litellm.callbacks == [asks]
    assert everything.deliveries == ["pre", "success", "pre", "failure"]
    assert success.deliveries == ["success"]


def test_a_handler_in_two_lists_receives_each_stage_once(lists: Takeover, traced: Traced) -> None:
    """If it is removed from one list, it still receives the stages of the other."""
    handler = Logs()
    litellm.success_callback = [handler]
    litellm.failure_callback = [handler]
    litellm.completion(**traced.chat())
    assert litespan.flush(10)
    assert handler.deliveries == ["success"]
    litellm.success_callback = []
    litellm.completion(**traced.chat())
    with pytest.raises(litellm.exceptions.RateLimitError):
        litellm.completion(**traced.chat(provider={"status": 429}))
    assert litespan.flush(10)
    assert handler.deliveries == ["success", "failure"]


class Equal(Logs):
    """A handler that is equal to all others of its class."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Equal)

    def __hash__(self) -> int:
        return 1


class Incomparable(Logs):
    """A handler whose `__eq__` expects its own kind."""

    def __eq__(self, other: object) -> bool:
        return bool(self.deliveries == other.deliveries)  # type: ignore[attr-defined]

    def __hash__(self) -> int:
        return 1


class Unreadable(Logs):
    """A handler with an attribute that raises."""

    def __getattribute__(self, name: str) -> Any:
        if name == "message_logging":
            raise RuntimeError
        return super().__getattribute__(name)


class FailuresOnly(CustomLogger):
    """A handler without a method for successes."""

    def log_failure_event(
        self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any
    ) -> None:
        """Nothing."""


@pytest.mark.parametrize("kind", [Equal, Incomparable])
def test_an_equal_handler_is_another_handler(
    kind: type[Logs], lists: Takeover, traced: Traced
) -> None:
    """The new one receives the calls, whatever `__eq__` says."""
    first, second = kind(), kind()
    litellm.success_callback = [first]
    litellm.completion(**traced.chat())
    litellm.success_callback = [second]
    litellm.completion(**traced.chat())
    litellm.success_callback = ["sqlite", second]
    litellm.completion(**traced.chat())
    assert litespan.flush(30)
    assert (first.deliveries, second.deliveries) == (["success"], ["success"] * 2)


@pytest.mark.parametrize("odd", [Unreadable(), FailuresOnly()])
def test_a_handler_that_cannot_be_taken_over_does_not_affect_the_others(
    odd: CustomLogger, lists: Takeover, traced: Traced
) -> None:
    """It is left to LiteLLM, whether it cannot be read or has no method for its list."""
    handler = Logs()
    litellm.success_callback = [odd, handler, "sqlite"]
    litellm.completion(**traced.chat())
    assert litespan.flush(30)
    assert handler.deliveries == ["success"]
    assert routed() == {"success": ("sqlite",)}
    assert litellm.success_callback == [odd]


def test_a_handler_receives_no_call_before_it_is_taken_over(
    lists: Takeover, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While it is checked, LiteLLM still has it: it would receive a call twice."""
    given: list[Any] = []
    monkeypatch.setattr(registration, "replace_watcher", lambda *watchers: given.append(watchers))
    litellm.success_callback = [Logs()]
    lists.check_lists()
    assert len(given) == 1


def test_an_exporter_without_started_calls_keeps_its_other_lists(lists: Takeover) -> None:
    """LiteLLM's documentation names many in the input list."""
    litellm.input_callback = litellm.success_callback = ["helicone"]
    lists.check_lists()
    assert [each.lists for each in Routes._destinations.values()] == [{"success"}]


def test_litellms_lists_are_restored(lists: Takeover) -> None:
    """The entries are in LiteLLM's lists again."""
    handler = Logs()
    litellm.success_callback = ["helicone", "unknown", handler]
    lists.check_lists()
    assert litellm.success_callback == ["unknown"]
    stop_takeover()
    assert litellm.success_callback == ["unknown", "helicone", handler]
    assert routed() == {}


def test_lists_of_other_types_do_no_harm(lists: Takeover) -> None:
    """A program may assign any value."""
    litellm.success_callback = ("helicone",)
    lists.check_lists()
    litellm.success_callback = None
    lists.check_lists()
    litellm.failure_callback = ["helicone"]
    lists.check_lists()
    assert routed() == {"failure": ("helicone",)}
    litellm.success_callback = ["helicone"]
    lists.check_lists()
    assert routed() == {"success": ("helicone",), "failure": ("helicone",)}
