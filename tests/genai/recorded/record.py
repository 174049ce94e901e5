"""Record spans that other instrumentations make, as fixtures for `test_other_instrumentations.py`.

    python tests/genai/recorded/record.py [SET …]

Each set runs in an environment of its own (made by uv, from the versions pinned here)
against the loopback provider, and writes `<set>.json` beside this file: the versions
of the packages, and the spans as their instrumentation finished them.
"""

# ruff: noqa: INP001 - a script

import json
import os
import subprocess
import sys
from contextlib import nullcontext, suppress
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).parent
ROOT = HERE.parents[2]

OPENAI = "openai==2.54.0"
LITELLM = ("litellm==1.106.2", "mcp")
SDK = "opentelemetry-sdk==1.45.2"
UTIL = "opentelemetry-util-genai==0.4b0"  # 2.4b0 asks for any, and breaks with 1.x
CAPTURE = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"


class Recipe(NamedTuple):
    """How to make the spans of one set."""

    instrumentor: str  # module:class
    packages: tuple[str, ...]
    environment: dict[str, str] = {}  # noqa: RUF012 - nobody writes it


SETS = {
    "openllmetry-openai": Recipe(
        "opentelemetry.instrumentation.openai:OpenAIInstrumentor",
        (SDK, OPENAI, "opentelemetry-instrumentation-openai==0.62.4"),
    ),
    "openllmetry-openai-2025": Recipe(
        "opentelemetry.instrumentation.openai:OpenAIInstrumentor",
        (SDK, "openai==1.109.1", "opentelemetry-instrumentation-openai==0.40.14"),
    ),
    "openllmetry-litellm": Recipe(
        "opentelemetry.instrumentation.litellm:LiteLLMInstrumentor",
        (SDK, *LITELLM, "opentelemetry-instrumentation-litellm==0.62.4"),
    ),
    "traceloop-sdk": Recipe(
        "traceloop.sdk:Traceloop",
        ("opentelemetry-sdk==1.45.1", OPENAI, "traceloop-sdk==0.62.4"),
    ),
    "openinference-openai": Recipe(
        "openinference.instrumentation.openai:OpenAIInstrumentor",
        (SDK, OPENAI, "openinference-instrumentation-openai==0.1.66"),
    ),
    "openinference-litellm": Recipe(
        "openinference.instrumentation.litellm:LiteLLMInstrumentor",
        (SDK, *LITELLM, "openinference-instrumentation-litellm==0.1.51"),
    ),
    "genai-openai": Recipe(
        "opentelemetry.instrumentation.genai.openai:OpenAIInstrumentor",
        (SDK, OPENAI, "opentelemetry-instrumentation-genai-openai==1.3b0"),
        {CAPTURE: "SPAN_ONLY"},
    ),
    "openai-v2": Recipe(
        "opentelemetry.instrumentation.openai_v2:OpenAIInstrumentor",
        (SDK, OPENAI, "opentelemetry-instrumentation-openai-v2==2.4b0", UTIL),
        {CAPTURE: "SPAN_ONLY", "OTEL_SEMCONV_STABILITY_OPT_IN": "gen_ai_latest_experimental"},
    ),
    "openai-v2-1.36": Recipe(
        "opentelemetry.instrumentation.openai_v2:OpenAIInstrumentor",
        (
            "opentelemetry-sdk==1.33.1",
            "openai==1.109.1",
            "opentelemetry-instrumentation-openai-v2==2.1b0",
        ),
        {CAPTURE: "true"},
    ),
}

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Weather of a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}
TOOL_TALK: list[Any] = [
    {"role": "user", "content": "Weather in Paris?"},
    {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {
                "id": "call_0",
                "type": "function",
                "function": {"name": "get_weather", "arguments": '{"city": "Paris"}'},
            }
        ],
    },
    {"role": "tool", "tool_call_id": "call_0", "content": "14 °C, rain"},
]
PICTURE: list[Any] = [
    {
        "role": "user",
        "content": [
            {"type": "text", "text": "What is this?"},
            {"type": "image_url", "image_url": {"url": "https://example.com/cat.png"}},
        ],
    }
]


def main(names: list[str]) -> None:
    """Run each named set in a fresh environment."""
    for name in names or list(SETS):
        command = [sys.executable, "-m", "uv", "run", "--quiet", "--no-project", "--python", "3.11"]
        command += ["--with-editable", str(ROOT)]  # for litespan.testing
        for package in SETS[name].packages:
            command += ["--with", package]
        subprocess.run(
            [*command, "python", __file__, "--inside", name],
            env={**os.environ, **SETS[name].environment},
            check=True,
        )


def inside(name: str) -> None:
    """Make the calls of one set and write its fixture."""
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    from litespan.testing.provider import LoopbackProvider

    recipe = SETS[name]
    module, _, attribute = recipe.instrumentor.partition(":")
    instrumentor = getattr(import_module(module), attribute)
    exporter = InMemorySpanExporter()
    calls = litellm_calls if "litellm" in name else openai_calls
    if name == "traceloop-sdk":  # brings its own provider
        instrumentor.init(exporter=exporter, disable_batch=True, telemetry_enabled=False)
        instrumentor.set_association_properties(
            {"user_id": "user-42", "session_id": "sess-7", "feature": "refund"}
        )
        calls = import_module("traceloop.sdk.decorators").workflow(name="shop")(calls)
    else:
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(exporter))
        trace.set_tracer_provider(provider)
        instrumentor().instrument()
    who: Any = nullcontext()
    if name.startswith("openinference"):
        who = import_module("openinference.instrumentation").using_attributes(
            session_id="sess-7",
            user_id="user-42",
            metadata={"feature": "refund", "run": 3},
            tags=["beta", "checkout"],
        )
    with LoopbackProvider() as loopback, who:
        calls(loopback)
    fixture = {
        "packages": {
            package: version(package)
            for package in (requirement.split("==")[0] for requirement in recipe.packages)
        },
        "environment": recipe.environment,
        "spans": [to_json(span) for span in exporter.get_finished_spans()],
    }
    text = json.dumps(fixture, indent=1, ensure_ascii=False)
    (HERE / f"{name}.json").write_text(text.replace(loopback.root, "http://127.0.0.1:1") + "\n")


def openai_calls(provider: Any) -> None:
    """A chat, a stream, tools, a picture, an embedding and a refusal, by openai's client."""
    import openai

    def client(**behaviour: Any) -> Any:
        url = provider.url_for(**behaviour)
        return openai.OpenAI(base_url=url, api_key="sk-secret", max_retries=0)

    details = client(cached_tokens=8, reasoning_tokens=4)
    details.chat.completions.create(**chat(), user="user-1")
    asked = chat(stream=True, stream_options={"include_usage": True})
    for _chunk in details.chat.completions.create(**asked):
        pass
    tools = chat(messages=TOOL_TALK[:1], tools=[WEATHER])
    client().chat.completions.create(**tools)
    client().chat.completions.create(**chat(messages=TOOL_TALK, tools=[WEATHER]))
    client().chat.completions.create(**chat(messages=PICTURE))
    client().embeddings.create(model="text-embedding-3-small", input="to embed")
    with suppress(openai.AuthenticationError):
        client(status=401).chat.completions.create(**chat())


def litellm_calls(provider: Any) -> None:
    """The same calls by LiteLLM."""
    import litellm

    def where(**behaviour: Any) -> dict[str, Any]:
        return {"api_base": provider.url_for(**behaviour), "api_key": "sk-secret"}

    details = where(cached_tokens=8, reasoning_tokens=4)
    litellm.completion(**chat(), **details, user="user-1")
    asked = chat(stream=True, stream_options={"include_usage": True})
    for _chunk in litellm.completion(**asked, **details):
        pass
    litellm.completion(**chat(messages=TOOL_TALK[:1], tools=[WEATHER]), **where())
    litellm.completion(**chat(messages=TOOL_TALK, tools=[WEATHER]), **where())
    litellm.completion(**chat(messages=PICTURE), **where())
    litellm.embedding(model="text-embedding-3-small", input=["to embed"], **where())
    with suppress(litellm.AuthenticationError):
        litellm.completion(**chat(), **where(status=401))


def chat(**more: Any) -> dict[str, Any]:
    """Arguments of one chat."""
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Say hello."},
    ]
    asked = {"model": "gpt-4o-mini", "messages": messages, "temperature": 0.2, "max_tokens": 64}
    return {**asked, "top_p": 0.9, "seed": 42, "stop": ["\n\n"], **more}


def to_json(span: Any) -> dict[str, Any]:
    """A finished span, whole; the loopback's port, which varies, as 1."""
    port = {"server.port": 1} if "server.port" in span.attributes else {}
    return {
        "name": span.name,
        "scope": span.instrumentation_scope.name,
        "trace_id": f"{span.context.trace_id:032x}",
        "span_id": f"{span.context.span_id:016x}",
        "parent_id": f"{span.parent.span_id:016x}" if span.parent else None,
        "kind": span.kind.name,
        "start": span.start_time,
        "end": span.end_time,
        "status": [span.status.status_code.name, span.status.description],
        "attributes": {**span.attributes, **port},
        "events": [[event.name, event.timestamp, without_trace(event)] for event in span.events],
    }


def without_trace(event: Any) -> dict[str, Any]:
    """An event's attributes without the stack trace: it names the recording machine's folders."""
    return {key: item for key, item in event.attributes.items() if key != "exception.stacktrace"}


if __name__ == "__main__":
    if sys.argv[1:2] == ["--inside"]:
        inside(sys.argv[2])
    else:
        main(sys.argv[1:])
