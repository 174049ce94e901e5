"""Spans for the collector, each with ids of its own."""

import time
from collections.abc import Mapping, Sequence
from random import Random
from typing import Any

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

_ids = Random(7)  # seeded: a failing run can be repeated
SERVICE = Resource({"service.name": "load"})


def call(
    attributes: Mapping[str, Any] | None = None,
    *,
    seconds: float = 0.5,
    error: str = "",
    events: Sequence[Event] = (),
    scope: str = "litespan",
    trace_id: int | None = None,
    resource: Resource = SERVICE,
) -> ReadableSpan:
    """A finished chat that ended now."""
    end = time.time_ns()
    return ReadableSpan(
        name="chat gpt-4o-mini",
        context=SpanContext(
            trace_id or _ids.getrandbits(128), _ids.getrandbits(64), False, TraceFlags(1)
        ),
        resource=resource,
        attributes={
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "openai",
            "gen_ai.request.model": "gpt-4o-mini",
            **(attributes or {}),
        },
        events=events,
        kind=SpanKind.CLIENT,
        status=Status(StatusCode.ERROR, error) if error else Status(StatusCode.UNSET),
        start_time=end - round(seconds * 1e9),
        end_time=end,
        instrumentation_scope=InstrumentationScope(scope, "0.1.0"),
    )


def by_id(spans: Sequence[ReadableSpan]) -> dict[int, ReadableSpan]:
    """Span id → span."""
    return {span.context.span_id: span for span in spans if span.context is not None}
