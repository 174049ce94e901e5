"""A fault anywhere in litespan's code for calls leaves the application what it has without us."""

import importlib
import inspect
import sys
from collections.abc import Callable, Iterator
from types import FunctionType
from typing import Any

import litellm
import pytest

from litespan import LiteLLMInstrumentor
from litespan.patch import drivers
from litespan.patch.targets import TARGETS
from litespan.testing import LoopbackProvider, Telemetry
from tests.calls.conftest import Traced, read

MODULES = (
    *("patch.hooks", "patch.rivals", "call.begin", "call.live", "call.router", "call.stream"),
    *("call.stages", "call.telling", "call.written", "call.suppress", "call.garbage"),
    *("callbacks.callback", "callbacks.copying", "mapping.errors", "mapping.scrub"),
)
# What stands in LiteLLM's place cannot fail: it holds the `try`. The rest runs at `instrument()`,
# or at the end of the process.
NOT_INJECTED = {
    "patch.hooks.hooks",
    "patch.hooks.router_core_hooks",
    "patch.hooks._module",
    "patch.hooks._by",
    "patch.hooks._captured",
    "patch.hooks._logging_made",
    "patch.hooks._before_provider",
    "patch.hooks._stream_built",
    "patch.hooks._context_executor",
    "patch.hooks.ContextExecutor.submit",
    "patch.rivals.check_provider",
    "patch.rivals.check_instrumentations",
    "call.garbage._watch",
    "call.garbage.told",
    "call.stream.Stream.__del__",
    "call.stream.Stream.__getattr__",
    "call.stream.Stream.__enter__",
    "call.stream.Stream.__exit__",
    "call.stream.Stream.__aenter__",
    "call.stream.Stream.__aexit__",
    "call.stream.Stream._lost",
    "call.stream.Stream._end",
    "call.stream.Stream._stopped",
    "call.stream.SyncStream.__iter__",
    "call.stream.SyncStream.__next__",
    "call.stream.AsyncStream.__aiter__",
    "call.stream.AsyncStream.__anext__",
    "callbacks.registering.add_callback",
    "callbacks.registering.replace_watcher",
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
            elif inspect.isclass(value):
                for method, function in vars(value).items():
                    if isinstance(function, FunctionType):
                        yield f"{name}.{key}.{method}", value, method


ENTRIES = [entry for entry in entries() if entry[0] not in NOT_INJECTED]


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


MESSAGES = [{"role": "user", "content": "Say hello to everybody in this room, please."}]


async def outcomes(provider: LoopbackProvider) -> list[Any]:
    """What an application gets from calls of all kinds: content, or the type of the exception."""
    found: list[Any] = []

    def to(**manners: Any) -> dict[str, Any]:
        base = provider.url_for(**manners)
        return {"api_base": base, "api_key": "sk-0123456789ab", "max_retries": 0}

    async def told(function: Any, **given: Any) -> None:
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
    await told(litellm.completion, **mini, **to(status=401))
    await told(litellm.acompletion, **mini, **to(), user="ada", metadata={"tags": ["a"]})
    await told(litellm.completion, **mini, **to(), stream=True)
    await told(litellm.acompletion, **mini, **to(break_after=2), stream=True)
    await told(litellm.completion, **mini, **to(status=500, times=1), num_retries=1)
    router = litellm.Router(
        model_list=[
            {"model_name": "good", "litellm_params": {**mini, **to()}},
            {"model_name": "bad", "litellm_params": {**mini, **to(status=401)}},
            {"model_name": "broken", "litellm_params": {**mini, **to(break_after=2)}},
        ],
        fallbacks=[{"bad": ["good"]}, {"broken": ["good"]}],
        num_retries=0,
        disable_cooldowns=True,
    )
    await told(router.completion, model="bad")
    await told(router.acompletion, model="broken", stream=True)
    return found


@pytest.fixture(scope="module")
def bare() -> list[Any]:
    """What the application gets without litespan."""
    import asyncio

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
    inject: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "SPAN_ONLY")
    reached = inject(place, attribute)
    instrumentor = LiteLLMInstrumentor()
    instrumentor.instrument(**telemetry.providers)
    try:
        got = await outcomes(loopback)
    finally:
        instrumentor.uninstrument()
    print("REACHED", name, len(reached))
    assert got == bare
