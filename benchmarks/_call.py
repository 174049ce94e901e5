"""The base of the measurements: a LiteLLM whose functions return a prepared response.

LiteLLM's own milliseconds would hide the microseconds of a wrapper. So `litellm.completion`,
`acompletion` and the logging object that LiteLLM makes in every call are replaced, before
anything is instrumented, by functions that do nothing but what a wrapper can see of them.
Nothing here knows litespan: the peers are measured around the same functions.
"""

import contextvars
import gc
import os
import sys

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # no price list from the network

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import litellm
from litellm.litellm_core_utils import litellm_logging
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.trace import SpanKind, Tracer

CALL_ID: Final = "5f0f6a52-9d0c-4f0e-8a53-2a6f6f5e0c11"
ARGUMENTS: Final[dict[str, Any]] = {
    "model": "openai/gpt-4o-mini",
    "messages": [
        {"role": "system", "content": "You are a helpful assistant."},
        {"role": "user", "content": "What is the capital of France?"},
    ],
    "temperature": 0.2,
    "max_tokens": 100,
    "user": "alice",
    "metadata": {"feature": "search", "release": 7},
}
# Attributes of a hand-written span of such a call.
ATTRIBUTES: Final[dict[str, Any]] = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o-mini",
    "gen_ai.request.temperature": 0.2,
    "gen_ai.request.max_tokens": 100,
    "server.address": "api.openai.com",
    "server.port": 443,
    "user.id": "alice",
    "app.feature": "search",
    "app.release": 7,
    "gen_ai.response.id": "chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT",
    "gen_ai.response.model": "gpt-4o-mini-2024-07-18",
    "gen_ai.response.finish_reasons": ("stop",),
    "gen_ai.usage.input_tokens": 24,
    "gen_ai.usage.output_tokens": 8,
    "app.cost": 8.4e-06,
    "app.cost.input": 3.6e-06,
    "app.cost.output": 4.8e-06,
    "app.call_id": CALL_ID,
    "app.outcome": "success",
}


def logging_class() -> Any:
    """A stub of LiteLLM's logging object with the call's id and cost.

    A class of its own each time, since an instrumentation may patch its methods.
    """

    class Logging:
        def __init__(self) -> None:
            self.litellm_call_id = CALL_ID
            self.cost_breakdown = {
                "input_cost": 3.6e-06,
                "output_cost": 4.8e-06,
                "tool_usage_cost": 0.0,
                "total_cost": 8.4e-06,
            }
            self.model_call_details: dict[str, Any] = {}

        def pre_call(self) -> None:
            """LiteLLM calls this before it sends the request."""

    return Logging


def ready_response() -> Any:
    """A `ModelResponse` as LiteLLM returns it from OpenAI."""
    response = litellm.ModelResponse(
        id="chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT",
        model="gpt-4o-mini-2024-07-18",
        created=1741569952,
        system_fingerprint="fp_06737a9306",
        choices=[
            {
                "index": 0,
                "finish_reason": "stop",
                "message": {"role": "assistant", "content": "The capital of France is Paris."},
            }
        ],
        usage={"prompt_tokens": 24, "completion_tokens": 8, "total_tokens": 32},
    )
    response._hidden_params = {
        "custom_llm_provider": "openai",
        "litellm_call_id": CALL_ID,
        "litellm_model_name": "gpt-4o-mini",
        "api_base": "https://api.openai.com/v1",
        "response_cost": 8.4e-06,
        "additional_headers": {
            "x-ratelimit-remaining-requests": "9999",
            "x-ratelimit-remaining-tokens": "199967",
            "llm_provider-x-request-id": "req_7d6a3b5c1f",
        },
    }
    return response


def ready_chunks(count: int) -> list[Any]:
    """The chunks of a streamed response of `count` words, as LiteLLM returns them."""
    chunks = [
        litellm.ModelResponseStream(
            id="chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT",
            model="gpt-4o-mini-2024-07-18",
            created=1741569952,
            choices=[{"index": 0, "delta": {"role": "assistant", "content": "word "}}],
        )
        for _ in range(count)
    ]
    chunks[-1].choices[0].finish_reason = "stop"
    chunks[-1].usage = litellm.Usage(prompt_tokens=24, completion_tokens=8, total_tokens=32)
    return chunks


class ReadyStream(litellm.CustomStreamWrapper):
    """Returns prepared chunks, sync or async, as LiteLLM's stream object does."""

    def __init__(self, chunks: list[Any]) -> None:  # its own would want a provider
        self.chunks = chunks
        self.received_finish_reason = "stop"
        self._hidden_params: dict[str, Any] = {}
        self._next = iter(chunks).__next__

    def __iter__(self) -> Any:
        return self

    def __next__(self) -> Any:
        return self._next()

    def __aiter__(self) -> Any:
        return self

    async def __anext__(self) -> Any:
        try:
            return self._next()
        except StopIteration:
            raise StopAsyncIteration from None


class Functions:
    """`completion` and `acompletion` that return `result(stream)`.

    Not in a module's globals, where an instrumentation may look for them.
    """

    def __init__(self, result: Callable[[bool], Any], logging: Any) -> None:
        def completion(
            model: str, messages: Any = None, *, stream: bool = False, **kwargs: Any
        ) -> Any:
            logging().pre_call()
            return result(stream)

        async def acompletion(
            model: str, messages: Any = None, *, stream: bool = False, **kwargs: Any
        ) -> Any:
            logging().pre_call()
            return result(stream)

        self.completion = completion
        self.acompletion = acompletion


@contextmanager
def ready_litellm(result: Callable[[bool], Any]) -> Iterator[Functions]:
    """Replace LiteLLM's functions by ones that return `result(stream)`; returns the bare ones.

    To be instrumented, and let go again, inside.
    """
    logging = logging_class()
    functions = Functions(result, logging)
    places = [(litellm_logging, "Logging", logging)]
    for module in (litellm, litellm.main):
        places.append((module, "completion", functions.completion))
        places.append((module, "acompletion", functions.acompletion))
    originals = [(place, name, getattr(place, name)) for place, name, _ in places]
    for place, name, stand_in in places:
        setattr(place, name, stand_in)
    try:
        yield Functions(result, logging_class())
    finally:
        for place, name, original in originals:
            setattr(place, name, original)


class Bare:
    """Hand-written spans around a function, as the base of comparison."""

    def __init__(self, tracer: Tracer, functions: Functions) -> None:
        def span() -> None:
            span = tracer.start_span("chat gpt-4o-mini", kind=SpanKind.CLIENT)
            functions.completion(**ARGUMENTS)
            for name, value in ATTRIBUTES.items():
                span.set_attribute(name, value)
            span.end()

        async def aspan() -> None:
            span = tracer.start_span("chat gpt-4o-mini", kind=SpanKind.CLIENT)
            await functions.acompletion(**ARGUMENTS)
            for name, value in ATTRIBUTES.items():
                span.set_attribute(name, value)
            span.end()

        def current() -> None:
            with tracer.start_as_current_span("chat gpt-4o-mini", kind=SpanKind.CLIENT) as span:
                functions.completion(**ARGUMENTS)
                for name, value in ATTRIBUTES.items():
                    span.set_attribute(name, value)

        async def acurrent() -> None:
            with tracer.start_as_current_span("chat gpt-4o-mini", kind=SpanKind.CLIENT) as span:
                await functions.acompletion(**ARGUMENTS)
                for name, value in ATTRIBUTES.items():
                    span.set_attribute(name, value)

        self.span = span
        self.aspan = aspan
        self.current = current
        self.acurrent = acurrent


def by_hand(tracer: Tracer, functions: Functions, span: Any) -> Callable[[], None]:
    """The same call with the same span, created with as few SDK calls as possible."""
    names = list(span.attributes)
    answer = names.index("gen_ai.response.id")  # the first that the call's start cannot know
    first = {name: span.attributes[name] for name in names[:answer]}
    rest = {name: span.attributes[name] for name in names[answer:]}
    events = [(event.name, dict(event.attributes), event.timestamp) for event in span.events]
    title, kind = span.name, span.kind

    def call() -> None:
        span = tracer.start_span(title, kind=kind, attributes=first)
        functions.completion(**ARGUMENTS)
        span.set_attributes(rest)
        for name, attributes, timestamp in events:
            span.add_event(name, attributes, timestamp)
        span.end()

    return call


def called(function: Callable[[], Any]) -> int:
    """The number of Python and C functions that `function` calls, in an empty context."""
    return contextvars.Context().run(_called, function)


def _called(function: Callable[[], Any]) -> int:
    count = 0

    def profile(_frame: Any, event: str, _argument: Any) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    function()  # fills caches
    gc.disable()  # what it calls comes by chance
    sys.setprofile(profile)
    try:
        function()
    finally:
        sys.setprofile(None)
        gc.enable()
    return count - 1  # the one that ends the count


class Last(SpanProcessor):
    """Keeps the last ended span, as the only processor."""

    span: Any = None

    def on_end(self, span: Any) -> None:
        self.span = span


class Batch(Last):
    """Keeps the ended spans until `read`, as a batch processor does."""

    def __init__(self) -> None:
        self.spans: list[Any] = []

    def on_end(self, span: Any) -> None:
        self.spans.append(span)

    def read(self) -> None:
        """Read the spans, as an exporter does on its own thread."""
        for span in self.spans:
            span.attributes, span.events  # noqa: B018
        self.spans.clear()


def traced(last: Last | None = None) -> tuple[TracerProvider, Last]:
    """A tracer provider without exporter, and the processor that sees its spans."""
    last = last or Last()
    provider = TracerProvider()
    provider.add_span_processor(last)
    return provider, last
