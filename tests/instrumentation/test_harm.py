"""litespan changes neither results, errors, arguments, other spans nor LiteLLM itself."""

import asyncio
import copy
import importlib
import inspect
import logging
import pickle
from typing import Any
from unittest.mock import MagicMock

import litellm
import pytest
from litellm.types.router import CustomRoutingStrategyBase
from opentelemetry import trace
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider

import litespan
from litespan import LiteLLMInstrumentor
from litespan.instrumentation import patches
from litespan.instrumentation.signals import Live
from litespan.testing import LoopbackProvider, Telemetry
from tests.support.calls import MESSAGES, Traced


class Faulty(Exception):
    """What the SDK below us raises in these tests."""


class FaultyProcessor(SpanProcessor):
    """An application's own, with faults."""

    def on_start(self, span: Any, parent_context: Any = None) -> None:
        raise Faulty

    def on_end(self, span: Any) -> None:
        raise Faulty


def boom(*_args: Any, **_kwargs: Any) -> None:
    """Stands in for any method of the SDK."""
    raise Faulty


@pytest.mark.breaks_spans
@pytest.mark.parametrize(
    "method", ["set_attributes", "set_attribute", "add_event", "end", "set_status"]
)
@pytest.mark.parametrize("function", ["completion", "acompletion"])
async def test_a_span_that_raises_changes_no_outcome(
    method: str, function: str, traced: Traced, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The caller gets its answer or its error, whatever the SDK does."""
    monkeypatch.setattr(f"opentelemetry.sdk.trace.Span.{method}", boom)
    for stream in (False, True):
        result = getattr(litellm, function)(**traced.chat(stream=stream))
        result = await result if inspect.isawaitable(result) else result
        if stream and function == "acompletion":
            assert [chunk async for chunk in result]
        elif stream:
            assert list(result)
        else:
            assert result.choices[0].message.content
    with pytest.raises(litellm.AuthenticationError):
        result = getattr(litellm, function)(**traced.chat(provider={"status": 401}))
        await result if inspect.isawaitable(result) else None


@pytest.mark.parametrize("function", ["completion", "acompletion"])
async def test_a_tracer_that_raises_loses_only_the_span(
    function: str, traced: Traced, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error is logged and counted, and handlers receive the calls, also retried ones."""
    monkeypatch.setattr("opentelemetry.sdk.trace.Tracer.start_span", boom)
    before = litespan.stats().get("errors.starting a span", 0)
    received: list[Any] = []
    added = litespan.add_callback(success=lambda *_: received.append(1))
    for retries in (0, 0, 1):
        result = getattr(litellm, function)(**traced.chat(num_retries=retries))
        result = await result if inspect.isawaitable(result) else result
        assert result.choices
    assert litespan.flush(10)
    added.remove()
    assert litespan.stats()["errors.starting a span"] == before + 4
    assert len(received) == 3


async def test_a_span_processor_that_raises_changes_no_outcome(loopback: LoopbackProvider) -> None:
    """The processor is the application's."""
    provider = TracerProvider()
    provider.add_span_processor(FaultyProcessor())
    instrumentor = LiteLLMInstrumentor()
    instrumentor.instrument(tracer_provider=provider)
    try:
        assert litellm.completion(**Traced(loopback, Telemetry()).chat()).choices
    finally:
        instrumentor.uninstrument()


def test_arguments_are_unchanged(traced: Traced) -> None:
    """The caller's messages, tools and headers are as before."""
    given = traced.chat(
        tools=[{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}],
        extra_headers={"x-mine": "1"},
    )
    before = copy.deepcopy(given)
    litellm.completion(**given)
    assert given == before
    sent = traced.provider.requests[-1]
    assert not [name for name in sent.headers if "litespan" in name.lower()]
    assert "litespan" not in repr(sent.body)


def test_the_callers_span_is_unchanged(traced: Traced) -> None:
    """The caller's span stays current, gets no attributes, and is the parent."""
    tracer = traced.telemetry.tracer_provider.get_tracer("app")
    with tracer.start_as_current_span("app") as app:
        with pytest.raises(litellm.InternalServerError):
            litellm.completion(**traced.chat(provider={"status": 500}))
        stream = litellm.completion(**traced.chat(stream=True))
        for _ in stream:
            assert trace.get_current_span() is app
        assert trace.get_current_span() is app
    outer, *calls = traced.spans
    assert (outer["status"], outer["attributes"], outer["events"]) == ("UNSET", {}, [])
    assert [span["parent"] for span in calls] == [outer["span_id"]] * 2


def test_results_are_litellms_own_objects(traced: Traced) -> None:
    """Neither copies nor proxies."""
    assert type(litellm.completion(**traced.chat())) is litellm.ModelResponse
    assert isinstance(litellm.completion(**traced.chat(stream=True)), litellm.CustomStreamWrapper)


def test_functions_look_as_before(traced: Traced) -> None:
    """Wrapped functions have LiteLLM's names and signatures, and are async if LiteLLM's are."""
    assert litellm.completion.__name__ == "completion"
    assert "messages" in inspect.signature(litellm.completion).parameters
    assert inspect.iscoroutinefunction(litellm.acompletion)
    assert not inspect.iscoroutinefunction(litellm.completion)


def test_functions_are_copied_and_pickled_as_before(traced: Traced) -> None:
    """Process pools pickle functions by name, and settings with a function are copied."""
    assert pickle.loads(pickle.dumps(litellm.completion)) is litellm.completion
    assert copy.deepcopy({"call": litellm.acompletion}) == {"call": litellm.acompletion}


def outcome(function: Any, *arguments: Any) -> type:
    """The type of what it returns or raises."""
    try:
        return type(function(*arguments))
    except Exception as error:
        return type(error)


def test_streams_are_copied_and_pickled_as_before(traced: Traced) -> None:
    """Or raise the same exception; a copy reads the same chunks, and the call ends with it."""
    stream = litellm.completion(**traced.chat(stream=True))
    for function in (copy.deepcopy, pickle.dumps):
        assert outcome(function, stream) is outcome(function, stream.__wrapped__)
    copied = copy.copy(stream)
    del stream
    assert list(copied)
    assert traced.span["attributes"]["litellm.stream.end"] == "complete"


async def test_streams_leave_no_context_attached(
    traced: Traced, caplog: pytest.LogCaptureFixture
) -> None:
    """Streams that are read in another task, abandoned or cancelled cause no warnings."""
    with caplog.at_level(logging.WARNING, logger="opentelemetry"):
        stream = await litellm.acompletion(**traced.chat(stream=True))

        async def elsewhere() -> None:
            async for _ in stream:
                pass

        await asyncio.create_task(elsewhere())
        pending = litellm.acompletion(**traced.chat())
        task = asyncio.create_task(pending)
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert [record.message for record in caplog.records if "detach" in record.message] == []


def test_nothing_is_registered_in_litellms_lists(traced: Traced) -> None:
    """Users reassign these lists."""
    litellm.completion(**traced.chat())
    for name in ("callbacks", "input_callback", "success_callback", "failure_callback"):
        assert not [entry for entry in getattr(litellm, name) if "litespan" in repr(entry)]


def router_class() -> type:
    """What LiteLLM's routers run in: since 1.110 a class of its own, loaded with the first."""
    try:
        return importlib.import_module("litellm.router_rust.core").RustCore
    except ModuleNotFoundError:
        return litellm.Router


class Unhashable(Exception):
    """Compares by value, as dataclasses do."""

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other)

    __hash__ = None  # type: ignore[assignment]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("kind", [ValueError, KeyError, TimeoutError, OSError, Unhashable])
async def test_a_router_raises_the_applications_own_exception(
    kind: type[Exception], stream: bool, traced: Traced
) -> None:
    """Built-in exceptions support no weak references; others are not hashable."""
    error = kind("no deployment today")

    class Strategy(CustomRoutingStrategyBase):
        async def async_get_available_deployment(self, *_: Any, **__: Any) -> Any:
            raise error

        def get_available_deployment(self, *_: Any, **__: Any) -> Any:
            raise error

    row = {"model_name": "m", "litellm_params": {"model": "openai/gpt-4o", **traced.to()}}
    fallbacks = [{"m": ["other"]}]
    router = litellm.Router(model_list=[row], num_retries=0, fallbacks=fallbacks)
    router.set_custom_routing_strategy(Strategy())
    with pytest.raises(kind) as caught:
        await router.acompletion(model="m", messages=MESSAGES, stream=stream)
    assert caught.value is error


def test_uninstrument_restores_every_function(
    loopback: LoopbackProvider, telemetry: Telemetry
) -> None:
    """Wrapped functions that a program has kept call LiteLLM directly."""
    names = ("completion", "acompletion", "embedding", "stream_chunk_builder")
    before = {name: getattr(litellm, name) for name in names}
    logging_class = litellm.litellm_core_utils.litellm_logging.Logging
    router = router_class()

    def methods() -> list[Any]:
        names = ("async_function_with_fallbacks", "_drive", "_call_sync", "recover_stream")
        routed = [vars(router)[name] for name in names if name in vars(router)]
        return [logging_class.__init__, logging_class.pre_call, *routed]

    original = methods()
    assert len(original) > 2
    instrumentor = LiteLLMInstrumentor()
    instrumentor.instrument(**telemetry.providers)
    kept = litellm.completion
    assert kept is not before["completion"]
    assert not set(map(id, methods())) & set(map(id, original))
    instrumentor.uninstrument()
    assert {name: getattr(litellm, name) for name in names} == before
    assert methods() == original
    traced = Traced(loopback, telemetry)
    assert kept(**traced.chat()).choices
    assert traced.spans == []


def test_instrumenting_twice_is_the_same_as_once(
    loopback: LoopbackProvider, telemetry: Telemetry
) -> None:
    """It is idempotent."""
    for _ in range(2):
        LiteLLMInstrumentor().instrument(**telemetry.providers)
    traced = Traced(loopback, telemetry)
    litellm.completion(**traced.chat())
    LiteLLMInstrumentor().uninstrument()
    assert len(traced.spans) == 1
    assert Live.signals is None


def test_functions_imported_before_instrumenting_are_traced_and_restored(
    loopback: LoopbackProvider, telemetry: Telemetry
) -> None:
    """A name that a module imported before instrumentation is wrapped, and restored."""
    early = type(inspect)("early")
    exec(
        "from litellm import completion\nfrom litellm.main import completion as main",
        early.__dict__,
    )
    import sys

    sys.modules["early"] = early
    taken = early.completion
    instrumentor = LiteLLMInstrumentor()
    instrumentor.instrument(**telemetry.providers)
    traced = Traced(loopback, telemetry)
    try:
        early.completion(**traced.chat())
        early.main(**traced.chat())
        litellm.main.completion(**traced.chat())
    finally:
        instrumentor.uninstrument()
        del sys.modules["early"]
    assert [span["name"] for span in traced.spans] == ["chat gpt-4o-mini"] * 3
    assert early.completion is taken


def test_no_log_leaves_no_span_and_metrics_count_the_call(traced: Traced) -> None:
    """`no-log` disables span and events; the metrics count the call."""
    litellm.completion(**traced.chat(**{"no-log": True}))
    list(litellm.completion(**traced.chat(stream=True, **{"no-log": True})))
    assert traced.spans == []
    assert traced.telemetry.logs == []
    durations = [
        point
        for point in traced.telemetry.metrics
        if point["name"] == "gen_ai.client.operation.duration"
    ]
    assert sum(point["count"] for point in durations) == 2


@pytest.mark.parametrize(
    "messages",
    [
        [],
        [{"role": "user", "content": None}],
        [{"role": "user", "content": "lone \ud800 surrogate"}],
        [{"role": "user", "content": [{"type": "text", "text": "x"}]}],
        [litellm.Message(role="user", content="pydantic")],
    ],
    ids=["empty", "None", "surrogate", "parts", "pydantic"],
)
def test_unusual_input_behaves_as_without_litespan(
    messages: list[Any],
    loopback: LoopbackProvider,
    telemetry: Telemetry,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """LiteLLM's result or exception is the same, also with content on."""
    monkeypatch.setenv("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "SPAN_ONLY")
    traced = Traced(loopback, telemetry)

    def outcome() -> str:
        try:
            return str(
                litellm.completion(**traced.chat(messages=messages)).choices[0].message.content
            )
        except Exception as error:
            return type(error).__name__

    bare = outcome()
    instrumentor = LiteLLMInstrumentor()
    instrumentor.instrument(**telemetry.providers)
    try:
        assert outcome() == bare
    finally:
        instrumentor.uninstrument()
    assert len(traced.spans) == 1


def test_a_mock_in_place_of_litellms_logging_object_does_not_stop_the_call(traced: Traced) -> None:
    """A mock has every attribute, and each of these again, without end."""
    answer = litellm.completion(**traced.chat(), litellm_logging_obj=MagicMock())
    assert answer.choices[0].message.content


def test_unsampled_calls_work_and_are_counted(loopback: LoopbackProvider) -> None:
    """Without sampling there is no span, the call works, and the metrics still count it."""
    from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

    telemetry = Telemetry()
    telemetry.tracer_provider.sampler = ALWAYS_OFF
    instrumentor = LiteLLMInstrumentor()
    instrumentor.instrument(**telemetry.providers)
    traced = Traced(loopback, telemetry)
    try:
        litellm.completion(**traced.chat(messages=MESSAGES))
    finally:
        instrumentor.uninstrument()
    assert traced.spans == []
    assert {point["name"] for point in telemetry.metrics} >= {
        "gen_ai.client.operation.duration",
        "gen_ai.client.operation.cost",
    }


class Unreadable(dict[str, Any]):
    """An argument that raises whenever anything reads it."""

    def _raise(self, *_: Any) -> Any:
        raise RuntimeError("unreadable")

    __str__ = __repr__ = __bool__ = __iter__ = __eq__ = __hash__ = _raise  # type: ignore[assignment]
    get = items = keys = _raise


@pytest.mark.recent_litellm  # older versions raise for some of these themselves
@pytest.mark.parametrize(
    "arguments",
    [
        {"metadata": {"user_id": Unreadable()}},
        {"metadata": {"tags": Unreadable()}},
        {"metadata": {"model_group": Unreadable()}},
        {"metadata": {"spend_logs_metadata": Unreadable()}},
        {"metadata": {"user_api_key_hash": Unreadable()}},
        {"metadata": {"count": 10**5000}},
        {"metadata": {"user_id": 10**5000}},
    ],
    ids=lambda arguments: "-".join(arguments.get("metadata", arguments)),
)
def test_an_argument_that_cannot_be_read_does_not_hide_the_call(
    arguments: dict[str, Any], traced: Traced
) -> None:
    """Its attributes are missing, and the model, outcome and cost are recorded."""
    litellm.completion(**traced.chat(**arguments))
    attributes = traced.span["attributes"]
    assert attributes["gen_ai.request.model"] == "gpt-4o-mini"
    assert attributes["litellm.outcome"] == "success"
    assert attributes["gen_ai.usage.cost"] > 0


@pytest.mark.parametrize("hook", ["_agents_imported", "_router_core_imported"])
def test_a_fault_while_a_part_of_litellm_is_imported_does_not_fail_the_import(
    hook: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python runs these hooks inside the application's `import`."""
    patched = patches.Patches()
    monkeypatch.setattr(patched, "_applied", True)
    monkeypatch.setattr(patched, "_wrap", boom)
    monkeypatch.setattr(patches, "router_core_hooks", boom)
    before = litespan.stats()
    getattr(patched, hook)(litellm)
    counted = [name for name, number in litespan.stats().items() if number != before.get(name)]
    assert [name for name in counted if name.startswith("errors.")]
