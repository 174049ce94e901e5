"""CPU of a vendor's mapping and encoding, compared to OTLP's protobuf for the same spans.

Read, map, encode: everything between the SDK's queue and the socket, for batches of 100 spans
as litespan writes them. Goals: content off at most the SDK's OTLP encoding; content on at most
twice that and 1.5 x one JSON parse and dump of that content.
"""

import json
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from benchmarks import _paired

BATCH = 100
ROUNDS = 60
QUICK = 12
COUNT = 1  # batches a block


def run(*, quick: bool) -> None:
    rounds = QUICK if quick else ROUNDS
    off, on = spans(content=False), spans(content=True)
    contents = [text for span in on for text in texts(span)]
    print(f"content on: {sum(map(len, contents)) // BATCH} characters a span\n")
    for title, batch in (("content off", off), ("content on", on)):
        contenders: dict[str, _paired.Block] = {
            "nothing": _paired.calls(lambda: None),
            "otlp": _paired.calls(partial(otlp, batch)),
        }
        if batch is on:
            contenders["json"] = _paired.calls(
                lambda: [json.dumps(json.loads(t)) for t in contents]
            )
        contenders |= exporters(batch)
        readings = _paired.measure(
            contenders, base="otlp", nothing="nothing", rounds=rounds, count=COUNT
        )
        show(title, readings)


def otlp(batch: Sequence[Any]) -> bytes:
    """The body of the OTLP exporter."""
    from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans

    body: bytes = encode_spans(batch).SerializeToString()
    return body


def show(title: str, readings: dict[str, _paired.Reading]) -> None:
    """Print a table, and whether each vendor meets its goal."""
    once = readings["otlp"].micros
    limit = 2 * once + 1.5 * readings["json"].micros if "json" in readings else once
    print(f"| {title} | spans/s | to OTLP | quartiles | µs a span | of the goal |")
    print("|---|---|---|---|---|---|")
    for name, r in readings.items():
        label = {"otlp": "OTLP protobuf", "json": "JSON parse and dump of the content"}.get(
            name, name
        )
        share = "" if name in ("otlp", "json") else f"{r.micros / limit:.0%}"
        print(
            f"| {label} | {BATCH / r.micros * 1e6:,.0f} | {r.ratio:.2f} | "
            f"{r.low:.2f} to {r.high:.2f} | {r.micros / BATCH:.1f} | {share} |"
        )
    print(flush=True)


def exporters(batch: Sequence[Any]) -> dict[str, _paired.Block]:
    """Name → conversion of spans to bodies, as in `export`."""
    from litespan.export.http import HttpExporter
    from litespan_exporters.athina import AthinaExporter
    from litespan_exporters.datadog import DatadogExporter
    from litespan_exporters.datadog_otlp import DatadogOtlpExporter
    from litespan_exporters.helicone import HeliconeExporter
    from litespan_exporters.langfuse import LangfuseExporter
    from litespan_exporters.logfire import LogfireExporter
    from litespan_exporters.loki import LokiExporter
    from litespan_exporters.lunary import LunaryExporter
    from litespan_exporters.posthog import PosthogExporter
    from litespan_exporters.sentry import SentryExporter
    from litespan_exporters.supabase import SupabaseExporter
    from litespan_exporters.traceloop import TraceloopExporter

    key, url = "sk-benchmark", "http://127.0.0.1:9"
    built: list[HttpExporter] = [
        HeliconeExporter(key),
        LangfuseExporter(key, key),
        DatadogExporter(key),
        DatadogOtlpExporter(key),
        SentryExporter("http://key@127.0.0.1:9/1"),
        PosthogExporter(key),
        LogfireExporter(key),
        TraceloopExporter(key),
        LunaryExporter(key),
        AthinaExporter(key),
        LokiExporter(url),
        SupabaseExporter(url, key),
    ]

    def encode(exporter: HttpExporter) -> Callable[[], Any]:
        return lambda: sum(len(b.body) for b in exporter.pack(list(exporter.items(batch))))

    return {exporter.name: _paired.calls(encode(exporter)) for exporter in built}


def spans(*, content: bool) -> list[Any]:
    """A batch of finished chat calls of now, of one user, with stages, tokens and costs."""
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import Event, ReadableSpan
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope
    from opentelemetry.trace import SpanContext, SpanKind, TraceFlags

    resource = Resource.create({"service.name": "shop", "deployment.environment.name": "prod"})
    scope = InstrumentationScope("litespan", "0.1.0")
    begun = time.time_ns() - 10**9
    events = [
        Event("litellm.pre_api_call", {"litellm.attempt": 1}, begun + 2_000_000),
        Event("litellm.post_api_call", {"http.response.status_code": 200}, begun + 700_000_000),
        Event("litellm.success", {}, begun + 900_000_000),
    ]
    more = messages() if content else {}
    return [
        ReadableSpan(
            name="chat gpt-4o-mini",
            context=SpanContext(0xABC000 + number // 4, 0xDEF000 + number, False, TraceFlags(1)),
            resource=resource,
            attributes={**ATTRIBUTES, "litellm.call_id": f"call-{number}", **more},
            events=events,
            kind=SpanKind.CLIENT,
            start_time=begun,
            end_time=begun + 900_000_000,
            instrumentation_scope=scope,
        )
        for number in range(BATCH)
    ]


ATTRIBUTES: dict[str, Any] = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o-mini",
    "gen_ai.request.temperature": 0.2,
    "gen_ai.request.max_tokens": 100,
    "server.address": "api.openai.com",
    "server.port": 443,
    "user.id": "alice",
    "session.id": "sess-7",
    "gen_ai.conversation.id": "sess-7",
    "litellm.tags": ("checkout",),
    "litellm.metadata.feature": "search",
    "litellm.call_type": "acompletion",
    "litellm.provider.model": "gpt-4o-mini",
    "litellm.attempt": 1,
    "gen_ai.response.id": "chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT",
    "gen_ai.response.model": "gpt-4o-mini-2024-07-18",
    "gen_ai.response.finish_reasons": ("stop",),
    "gen_ai.usage.input_tokens": 24,
    "gen_ai.usage.output_tokens": 8,
    "gen_ai.usage.cache_read.input_tokens": 0,
    "gen_ai.usage.reasoning.output_tokens": 0,
    "litellm.usage.source": "provider",
    "gen_ai.usage.cost": 8.4e-06,
    "litellm.cost.total": 8.4e-06,
    "litellm.cost.input": 3.6e-06,
    "litellm.cost.output": 4.8e-06,
    "litellm.cost.source": "litellm",
    "litellm.outcome": "success",
}


def messages() -> dict[str, str]:
    """Content attributes of a conversation of ten turns and an answer, with one tool."""
    sentence = "The quick brown fox jumps over the lazy dog, and says: „grüß Gott“. "
    turns = [
        {"role": role, "parts": [{"type": "text", "content": sentence * 8}]}
        for role in ("user", "assistant") * 5
    ]
    answer = {"role": "assistant", "parts": [{"type": "text", "content": sentence * 4}]}
    parameters = {"type": "object", "properties": {"city": {"type": "string"}}}
    tool = {"type": "function", "name": "get_weather", "parameters": parameters}
    values: dict[str, Any] = {
        "gen_ai.system_instructions": [{"type": "text", "content": sentence}],
        "gen_ai.input.messages": turns,
        "gen_ai.output.messages": [answer],
        "gen_ai.tool.definitions": [tool],
    }
    return {name: json.dumps(value, ensure_ascii=False) for name, value in values.items()}


def texts(span: Any) -> list[str]:
    """The JSON strings among the attributes of a span with content."""
    return [span.attributes[name] for name in messages()]
