"""An error anywhere in litespan's code for calls does not change an outcome for the application."""

import asyncio
import gc
import importlib
import inspect
import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from types import FunctionType
from typing import Any

import litellm
import pytest

import litespan
from litespan import LiteLLMInstrumentor
from litespan.callbacks import draining
from litespan.instrumentation.router_hooks import ROUTER_CORE
from litespan.testing import LoopbackProvider, Telemetry
from tests.support.calls import MESSAGES, read

# With an old LiteLLM, these calls do not reach every function.
pytestmark = [pytest.mark.slow, pytest.mark.recent_litellm, pytest.mark.breaks_spans]

MODULES = (
    *("instrumentation.hooks", "instrumentation.router_hooks"),
    *("instrumentation.wrappers", "instrumentation.start", "instrumentation.options"),
    *("instrumentation.call_contexts", "instrumentation.deferred_answer"),
    *("instrumentation.metadata", "instrumentation.recorded_content"),
    "instrumentation.stream_end",
    *("instrumentation.call", "instrumentation.router_call", "instrumentation.stream"),
    *("instrumentation.stages", "instrumentation.call_end", "callbacks.callback"),
    "mapping.failures",
)
NEW_CONVENTIONS = {"instrumentation.call_end._adapt"}
# What stands in LiteLLM's place holds the `try`, and cannot fail before it. The others run at
# `instrument()`, when a span is read, at the end of the process, in LiteLLM 1.110's router, or in
# other calls.
NOT_INJECTED = {
    "instrumentation.options.permitted",
    "instrumentation.deferred_answer.DeferredAnswer.read",
    "instrumentation.recorded_content.content_attributes",
    "instrumentation.recorded_content.redacted_text",
    "instrumentation.recorded_content._given",
    "instrumentation.recorded_content._answered",
    "instrumentation.start.record_batch",
    "instrumentation.hooks._bridged",
    "instrumentation.call_contexts.Translated.__init__",
    "instrumentation.call_contexts.Translated.result",
    "instrumentation.hooks._combined",
    "mapping.failures.stated_failure",
    "instrumentation.stages.replace_watcher",
    "callbacks.callback.Callback.__init__",
    "callbacks.callback._one_of",
    "instrumentation.call.Call.then",
    "instrumentation.hooks.ContextExecutor.submit",
    "instrumentation.hooks._pre_call",
    "instrumentation.hooks._before_retries",
    "instrumentation.hooks.proxied",
    "instrumentation.router_hooks._passed_functions",
    "instrumentation.router_hooks._core_call",
    "instrumentation.hooks._logging_init",
    "instrumentation.hooks.find",
    "instrumentation.hooks._name",
    "instrumentation.router_hooks._open_router_core",
    "instrumentation.router_hooks._recover",
    "instrumentation.hooks._chunk_builder",
    "instrumentation.hooks.hooks",
    "instrumentation.router_hooks.router_hooks",
    "instrumentation.router_hooks.router_core_hooks",
    "instrumentation.router_call.RouterCall.broke_with",
    "instrumentation.stages.log_stage",
    "instrumentation.call_contexts.WithinRouter.__enter__",
    "instrumentation.call_contexts.WithinRouter.__exit__",
    "instrumentation.call_contexts.WithinRouter.__init__",
    "instrumentation.stream.Stream._end",
    "instrumentation.stream.Stream._keeping_failed",
    "instrumentation.stream.Stream._raised",
    "instrumentation.stream._keep_and_record",
    "instrumentation.stream._discard",
    "instrumentation.stream.abandon_open",
    "instrumentation.wrappers.positional_parameters",
    "instrumentation.wrappers.wrap",
}


class Injected(Exception):
    """Our fault, never the application's."""


def entries() -> Iterator[tuple[str, Any, str]]:
    """(name, where it stands, under which name) of every function and method in `MODULES`."""
    for name in MODULES:
        module = importlib.import_module(f"litespan.{name}")
        for key, value in vars(module).items():
            if getattr(value, "__module__", "") != module.__name__:
                continue
            if isinstance(value, FunctionType):
                yield f"{name}.{key}", module, key
            elif inspect.isclass(value) and not is_proxy(key):
                for method, function in vars(value).items():
                    if isinstance(function, FunctionType) and is_written(function):
                        yield f"{name}.{key}.{method}", value, method


def is_proxy(name: str) -> bool:
    """Whether the class itself is what LiteLLM or the application calls."""
    return name in ("Guarded", "Wrapper", "SyncStream", "AsyncStream", "BothStream")


def is_written(function: FunctionType) -> bool:
    """Whether it stands in the source, and is not a dataclass's or called by Python itself."""
    private = ("__init__", "__enter__", "__exit__")
    ours = "litespan" in function.__code__.co_filename
    proxied = function.__qualname__.startswith("Stream.__")
    return ours and not proxied and (function.__name__[:2] != "__" or function.__name__ in private)


# LiteLLM's router is in Python, or since 1.110 in Rust: each has hooks that the other never runs.
PYTHON_ROUTER = {
    "instrumentation.router_hooks._router_call",
    "instrumentation.router_hooks._fall_back",
    "instrumentation.router_hooks._after",
    "instrumentation.hooks.carry",
    "instrumentation.router_call.broken_stream_of",
}
RUST_ROUTER = {
    "instrumentation.router_hooks._core_call",
    "instrumentation.router_hooks._open_router_core",
}
IS_RUST = bool(find_spec("litellm.router_rust")) and bool(find_spec(ROUTER_CORE))
NOT_REACHED = (NOT_INJECTED - RUST_ROUTER) | PYTHON_ROUTER if IS_RUST else NOT_INJECTED
ENTRIES = [entry for entry in entries() if entry[0] not in NOT_REACHED]


@pytest.fixture
def inject(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any, str], list[str]]:
    """Makes a function raise, wherever it has been imported; returns the list of its calls."""

    def injecting(place: Any, name: str) -> list[str]:
        reached: list[str] = []

        def boom(*_args: Any, **_kwargs: Any) -> Any:
            reached.append(name)
            raise Injected

        original = vars(place)[name]
        monkeypatch.setattr(place, name, boom)
        for module_name, module in sys.modules.copy().items():
            if module_name.startswith("litespan"):
                for key, value in list(vars(module).items()):
                    if value is original:
                        monkeypatch.setattr(module, key, boom)
        return reached

    return injecting


async def outcomes(provider: LoopbackProvider) -> list[Any]:
    """What an application gets from calls of all kinds: content, or the type of the exception."""
    found: list[Any] = []

    def to(**behaviour: Any) -> dict[str, Any]:
        base = provider.url_for(**behaviour)
        return {"api_base": base, "api_key": "sk-0123456789ab", "max_retries": 0}

    async def record(function: Any, **given: Any) -> None:
        try:
            result = function(**{"messages": MESSAGES, **given})
            result = await result if inspect.isawaitable(result) else result
            if hasattr(type(result), "__next__") or hasattr(type(result), "__anext__"):
                chunks = await read(result)
                found.append([chunk.choices[0].delta.content for chunk in chunks])
            else:
                found.append(result.choices[0].message.content)
        except Exception as error:
            found.append((type(error), str(error).splitlines()[0][:40]))

    mini = {"model": "openai/gpt-4o-mini"}
    await record(litellm.completion, **mini, **to(status=401))
    await record(litellm.acompletion, **mini, **to(), stream=True)
    await record(litellm.completion, **mini, **to(status=500, times=1), num_retries=1)
    await record(
        litellm.llm_passthrough_route,
        **{"method": "POST", "endpoint": "v1/chat/completions", **to()},
        model="hosted_vllm/gpt-4o-mini",
        json={"model": "gpt-4o-mini", "messages": MESSAGES},
    )
    router = litellm.Router(
        model_list=[
            {"model_name": "good", "litellm_params": {**mini, **to()}},
            {"model_name": "bad", "litellm_params": {**mini, **to(status=401)}},
            {"model_name": "broken", "litellm_params": {**mini, **to(break_after=0)}},
        ],
        fallbacks=[{"broken": ["good"]}],
        num_retries=0,
        disable_cooldowns=True,
    )
    await record(router.completion, model="bad")
    await record(router.acompletion, model="broken", stream=True)
    return found


class Handler:
    """An application's own, shown every stage."""

    def log_pre_api_call(self, model: str, messages: Any, kwargs: Any) -> None:
        """Nothing."""

    def log_stream_event(
        self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any
    ) -> None:
        """Nothing."""

    log_success_event = log_failure_event = log_stream_event


@pytest.fixture(scope="module")
def bare() -> list[Any]:
    """What the application gets without litespan."""
    with LoopbackProvider() as provider:
        return asyncio.run(outcomes(provider))


@pytest.mark.parametrize(("name", "place", "attribute"), ENTRIES, ids=[e[0] for e in ENTRIES])
async def test_a_fault_changes_no_outcome(
    name: str,
    place: Any,
    attribute: str,
    bare: list[Any],
    loopback: LoopbackProvider,
    telemetry: Telemetry,
    inject: Callable[[Any, str], list[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Results, chunks and exceptions are the same, whichever of litespan's functions raises."""
    # Not with a handler or log events.
    deferred = "deferred_" in name
    content = "SPAN_ONLY" if deferred else "SPAN_AND_EVENT"
    monkeypatch.setenv("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", content)
    monkeypatch.setenv("LITESPAN_STREAM_EVENTS", "all")
    if name in NEW_CONVENTIONS:
        monkeypatch.setenv("OTEL_SEMCONV_STABILITY_OPT_IN", "gen_ai_latest_experimental")
    # A fault may leave this handler with a call that never ends, for which a flush would wait.
    monkeypatch.setattr(draining, "_dispatchers", draining._dispatchers)
    LiteLLMInstrumentor().uninstrument()
    reached = inject(place, attribute)
    added = None if deferred else litespan.add_callback(Handler(), delivery="inline")
    LiteLLMInstrumentor().instrument(**telemetry.providers)
    try:
        got = await outcomes(loopback)
        gc.collect()
    finally:
        LiteLLMInstrumentor().uninstrument()
        if added is not None:
            added.remove()
    assert reached, f"{name} was not reached: these calls do not test it"
    assert got == bare
