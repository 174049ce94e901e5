"""One peer, measured in this process: `python -m benchmarks._peer WAY NAME CONTENT ROUNDS`.

Prints one line of JSON. Runs in the peer's environment, where litespan is not installed.
"""

import asyncio
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import metadata
from typing import Any

import litellm
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from benchmarks import _call, _instructions, _paired, stream

BASE, NOTHING, OWN = "bare span", "nothing", "own"
# s, by when LiteLLM's threads and tasks are done with a block of calls; Valgrind is slow
SETTLES = 1.0 if _instructions.wanted() else 0.03
# LiteLLM copies `callbacks` to all of these.
LISTS = (
    *("callbacks", "input_callback", "service_callback", "success_callback", "failure_callback"),
    *("_async_input_callback", "_async_success_callback", "_async_failure_callback"),
)


def litespan(provider: TracerProvider, content: bool) -> str:
    from litespan import LiteLLMInstrumentor

    mode = "SPAN_ONLY" if content else "NO_CONTENT"
    os.environ["OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"] = mode
    LiteLLMInstrumentor().instrument(tracer_provider=provider)
    return "litespan"


def openllmetry(provider: TracerProvider, content: bool) -> str:
    from opentelemetry.instrumentation.litellm import LiteLLMInstrumentor

    os.environ["TRACELOOP_TRACE_CONTENT"] = str(content).lower()
    LiteLLMInstrumentor().instrument(tracer_provider=provider)
    return f"OpenLLMetry {metadata.version('opentelemetry-instrumentation-litellm')}"


def openinference(provider: TracerProvider, content: bool) -> str:
    from openinference.instrumentation.litellm import LiteLLMInstrumentor

    os.environ["OPENINFERENCE_HIDE_INPUTS"] = str(not content).lower()
    os.environ["OPENINFERENCE_HIDE_OUTPUTS"] = str(not content).lower()
    LiteLLMInstrumentor().instrument(tracer_provider=provider)
    return f"OpenInference {metadata.version('openinference-instrumentation-litellm')}"


def openlit(provider: TracerProvider, content: bool) -> str:
    from openlit._config import OpenlitConfig
    from openlit.instrumentation.litellm import LiteLLMInstrumentor

    # What `openlit.init()` does, without the price list that it fetches from the network.
    OpenlitConfig.reset_to_defaults()
    OpenlitConfig.capture_message_content = content
    LiteLLMInstrumentor().instrument(
        pricing_info={}, capture_message_content=content, disable_metrics=True
    )
    return f"OpenLIT {metadata.version('openlit')}"


def wrapper(name: str, content: bool, rounds: int) -> dict[str, Any]:
    """Prepared responses: ratios to the bare span, and overhead per chunk."""
    provider, last = _call.traced()
    trace.set_tracer_provider(provider)
    response, source = _call.ready_response(), stream.Source()
    with _call.ready_litellm(lambda wanted: source(wanted) if wanted else response) as bare:
        title = globals()[name](provider, content)
        spans = _call.Bare(provider.get_tracer("benchmarks"), bare)
        given = _call.ARGUMENTS
        litellm.completion(**given)
        attributes = len(last.span.attributes)
        blocks = {
            NOTHING: _paired.calls(lambda: bare.completion(**given)),
            BASE: _paired.calls(spans.span),
            OWN: _paired.calls(lambda: litellm.completion(**given)),
        }
        ablocks = {
            NOTHING: _paired.awaits(lambda: bare.acompletion(**given)),
            BASE: _paired.awaits(spans.aspan),
            OWN: _paired.awaits(lambda: litellm.acompletion(**given)),
        }
        sync, async_ = (
            _paired.measure(each, base=BASE, nothing=NOTHING, rounds=rounds)[OWN]
            for each in (blocks, ablocks)
        )
        chunk = stream.added(
            source, bare.completion, litellm.completion, {OWN: lambda: None}, rounds=rounds // 5
        )[OWN]
    return {
        "title": title,
        "attributes": attributes,
        "sync": (sync.ratio, sync.low, sync.high),
        "async": (async_.ratio, async_.low, async_.high),
        "chunk": tuple(chunk),
    }


class Ended(_call.Last):
    """Counts ended spans on all threads."""

    count = 0

    def on_end(self, span: Any) -> None:
        self.count += 1


def mocked(name: str, content: bool, rounds: int) -> dict[str, Any]:
    """What real calls with `mock_response` cost more, in CPU of all threads, export included.

    Spans go through the SDK's batch processor and OTLP exporter to a server in another process.
    """
    provider, ended = TracerProvider(), Ended()
    trace.set_tracer_provider(provider)
    title, switch = switches().get(name, patched)(provider, name, content)
    functions = _call.Functions(lambda _stream: None, _call.logging_class())
    bare = _paired.calls(_call.Bare(provider.get_tracer("benchmarks"), functions).span)
    loop = asyncio.new_event_loop()
    calls = {
        "sync": _paired.calls(lambda: litellm.completion(**arguments())),
        "async": lambda count: loop.run_until_complete(several(count)),
    }

    async def several(count: int) -> None:
        for _ in range(count):
            await litellm.acompletion(**arguments())
        await asyncio.sleep(SETTLES)  # for LiteLLM's own tasks

    def block(calls: _paired.Block, *, on: bool) -> _paired.Block:
        """Calls, and the end of what they leave to other threads."""

        def blocks(count: int) -> None:
            switch(on)
            before = ended.count
            calls(count)
            time.sleep(SETTLES)
            provider.force_flush()
            if ended.count - before < count * on:
                raise RuntimeError(f"{ended.count - before} spans of {count} calls")

        return blocks

    found: dict[str, Any] = {"title": title}
    with sink() as url:
        provider.add_span_processor(ended)
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(f"{url}/calls/v1/traces")))
        for way, each in calls.items():
            blocks = {
                OWN: block(each, on=True),
                NOTHING: block(each, on=False),
                BASE: block(bare, on=False),
            }
            took = _paired.times(blocks, rounds=rounds, count=50, clock=time.process_time)
            floor = statistics.median(took[BASE])
            added = [a - b for a, b in zip(took[OWN], took[NOTHING], strict=True)]
            found[way] = _paired.quartiles([more / floor for more in added])
            found[f"{way}_micros"] = statistics.median(added) * 1e6
        provider.shutdown()
    return found


@contextmanager
def sink() -> Iterator[str]:
    """The URL of a server that accepts spans, in a process of its own."""
    command = [sys.executable, "-m", "benchmarks._sink"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


Switch = Callable[[bool], None]
Switched = Callable[[TracerProvider, str, bool], tuple[str, Switch]]


def patched(provider: TracerProvider, name: str, content: bool) -> tuple[str, Switch]:
    """A peer that replaces LiteLLM's functions: switched off by the functions before it."""
    before = litellm.completion, litellm.acompletion
    title: str = globals()[name](provider, content)
    after = litellm.completion, litellm.acompletion

    def switch(on: bool) -> None:
        litellm.completion, litellm.acompletion = after if on else before

    return title, switch


def switches() -> dict[str, Switched]:
    """How to enable and disable the contenders that have more than such functions."""

    def ours(provider: TracerProvider, _name: str, content: bool) -> tuple[str, Switch]:
        title = litespan(provider, content)
        from litespan import LiteLLMInstrumentor
        from litespan.instrumentation.signals import Live
        from litespan.otlp.sdk_encoder import SdkEncoder

        signals = Live.signals
        (encoder,) = LiteLLMInstrumentor()._parts

        def switch(on: bool) -> None:  # the bare span is exported by the SDK alone
            nonlocal encoder
            Live.signals = signals if on else None
            encoder.remove()
            if on:
                encoder = SdkEncoder()

        return title, switch

    def own(provider: TracerProvider, _name: str, content: bool) -> tuple[str, Switch]:
        from litellm.integrations.opentelemetry import OpenTelemetry, OpenTelemetryConfig

        litellm.turn_off_message_logging = not content
        callback = OpenTelemetry(OpenTelemetryConfig(), tracer_provider=provider)

        def switch(on: bool) -> None:
            for name in LISTS:
                setattr(litellm, name, [])
            if on:
                litellm.callbacks = [callback]

        return f"LiteLLM's own `otel` ({metadata.version('litellm')})", switch

    return {"litespan": ours, "litellm": own}


def arguments() -> dict[str, Any]:
    """Arguments of a call with its own metadata, which LiteLLM modifies."""
    metadata = dict(_call.ARGUMENTS["metadata"])
    return {**_call.ARGUMENTS, "metadata": metadata, "mock_response": "The capital is Paris."}


if __name__ == "__main__":
    way, who, content_mode, wanted_rounds = sys.argv[1:]
    print(json.dumps(globals()[way](who, content_mode == "on", int(wanted_rounds))))
