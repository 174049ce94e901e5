"""LiteLLM, instrumented, on the loopback provider."""

import asyncio
import gc
import inspect
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import jsonschema
import litellm
import pytest

from litespan import LiteLLMInstrumentor
from litespan.background import garbage_collection
from litespan.testing import LoopbackProvider, Telemetry
from tests.support.schemas import SCHEMAS

CAPTURE = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
KEY = "sk-loopback-0123456789"
MESSAGES = [{"role": "user", "content": "Say hello to everybody in this room, please."}]


class Traced:
    """What tests of calls need: the provider, what was recorded, and short ways to call."""

    def __init__(self, provider: LoopbackProvider, telemetry: Telemetry) -> None:
        self.provider = provider
        self.telemetry = telemetry

    def to(self, **behaviour: Any) -> dict[str, Any]:
        """The keywords that lead a call to a provider with this behaviour."""
        return {"api_base": self.provider.url_for(**behaviour), "api_key": KEY, "max_retries": 0}

    def chat(self, **given: Any) -> dict[str, Any]:
        """The keywords of a chat completion; `provider` is a dict of its behaviour."""
        behaviour = given.pop("provider", {})
        return {
            "model": "openai/gpt-4o-mini",
            "messages": [dict(message) for message in MESSAGES],
            **self.to(**behaviour),
            **given,
        }

    @property
    def spans(self) -> list[dict[str, Any]]:
        """Every finished span, in the order of their start."""
        gc.collect()
        assert garbage_collection.wait_until_done(time.monotonic() + 30)
        return sorted(self.telemetry.spans, key=lambda span: (span["start"], span["span_id"]))

    @property
    def span(self) -> dict[str, Any]:
        """The only span."""
        spans = self.spans
        assert [span["name"] for span in spans] == [spans[0]["name"]] if spans else False
        return spans[0]


@pytest.fixture
def traced(loopback: LoopbackProvider, telemetry: Telemetry) -> Iterator[Traced]:
    """LiteLLM instrumented with fresh providers, and let go again."""
    instrumentor = LiteLLMInstrumentor()
    instrumentor.instrument(**telemetry.providers)
    try:
        yield Traced(loopback, telemetry)
    finally:
        instrumentor.uninstrument()


@pytest.fixture
def capture(loopback: LoopbackProvider, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Instrument with the given content mode; as a context manager, it gives a `Traced`."""

    @contextmanager
    def capturing(mode: str = "SPAN_ONLY", redact: Any = None, **env: str) -> Iterator[Traced]:
        monkeypatch.setenv(CAPTURE, mode)
        for name, value in env.items():
            monkeypatch.setenv(name, value)
        telemetry = Telemetry()
        instrumentor = LiteLLMInstrumentor()
        instrumentor.instrument(**telemetry.providers, redact=redact)
        try:
            yield Traced(loopback, telemetry)
        finally:
            instrumentor.uninstrument()

    return capturing


def content(span: dict[str, Any]) -> dict[str, Any]:
    """The content on a span, decoded and checked against its schema."""
    found = {}
    for name, schema in SCHEMAS.items():
        if name in span["attributes"]:
            found[name] = json.loads(span["attributes"][name])
            jsonschema.validate(found[name], schema)
    return found


CALLBACK_LISTS = (
    *("callbacks", "input_callback", "success_callback", "failure_callback", "service_callback"),
    *("_async_input_callback", "_async_success_callback", "_async_failure_callback"),
)
"""LiteLLM copies a callback from one list to others, where a later call would find it."""


@pytest.fixture(autouse=True)
def quiet_litellm(monkeypatch: pytest.MonkeyPatch) -> None:
    """LiteLLM prints advice on every failure, and keeps settings of the test before."""
    monkeypatch.setattr(litellm, "suppress_debug_info", True)
    monkeypatch.setattr(litellm, "num_retries", None)
    for name in CALLBACK_LISTS:
        monkeypatch.setattr(litellm, name, [])


async def call(function: Callable[..., Any], **given: Any) -> Any:
    """The result of a sync or async function, streams not read."""
    if inspect.iscoroutinefunction(function):
        return await function(**given)
    return await asyncio.to_thread(function, **given)


async def read(result: Any) -> list[Any]:
    """All chunks of a stream, sync or async."""
    if hasattr(type(result), "__anext__") and not hasattr(type(result), "__next__"):
        return [chunk async for chunk in result]
    return list(result)
