"""One marked test call, sent to an exporter."""

import time
from email.utils import parsedate_to_datetime
from typing import Any, Final

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, TraceFlags, format_trace_id

from litespan import semconv as s
from litespan.export.client import Answer, origin
from litespan.export.http import HttpExporter
from litespan.redaction.text import scrub
from litespan.version import VERSION

MARK: Final = "litespan-check"
"""Model and tag of the test call, to find it or to exclude it from statistics."""


def send(exporter: SpanExporter) -> tuple[bool, str]:
    """Send the test call, and shut down the exporter. Returns (accepted, the result in words)."""
    span = make_test_call()
    try:
        accepted = exporter.export([span]) is SpanExportResult.SUCCESS and exporter.force_flush()
        exporter.shutdown()
    except Exception as error:  # noqa: BLE001 - of another package
        return False, f"the exporter raised {type(error).__name__}: {scrub(str(error))}"
    line = "did not accept the test call"
    if accepted:
        line = f"accepted the test call: look for trace {format_trace_id(span.context.trace_id)}"
    if isinstance(exporter, HttpExporter):
        line = _result(exporter, line)
    elif not accepted:
        line = getattr(exporter, "problem", "") or line
    return accepted, line


def _result(exporter: HttpExporter, line: str) -> str:
    """`line` with the service's origin or, if the call was dropped, the cause and how to fix it."""
    if exporter.delivery is None:
        return exporter.problem or f"{line}: no destination is configured"
    where = origin(exporter.delivery.client.url)
    for cause in exporter.last.dropped:
        body = exporter.last.reasons.get(cause)
        answer = f" ({where} said: {body})" if body else f" ({where})"
        return f"{cause}: {exporter.explain(cause)}{answer}"
    return f"{where} {line}"


class Clock:
    """Compares this machine's clock with the one of a service, by its answers' Date header."""

    def __init__(self, exporter: HttpExporter) -> None:
        self.ahead: float | None = None  # s; None: no answer had a date
        self._on_answer = exporter.on_answer
        unchecked: Any = exporter  # a method of one object
        unchecked.on_answer = self

    def __call__(self, answer: Answer) -> None:
        """Receive an answer instead of the exporter, which receives it afterwards."""
        dates = (value for name, value in answer.headers.items() if name.lower() == "date")
        if date := next(dates, ""):
            try:
                self.ahead = time.time() - parsedate_to_datetime(date).timestamp()
            except ValueError:
                self.ahead = None
        self._on_answer(answer)


def make_test_call() -> ReadableSpan:
    """A finished call of a model that does not exist, with no tokens and no cost."""
    ids, now = RandomIdGenerator(), time.time_ns()
    return ReadableSpan(
        name=f"chat {MARK}",
        context=SpanContext(ids.generate_trace_id(), ids.generate_span_id(), False, TraceFlags(1)),
        resource=Resource.create(),
        attributes={
            s.OPERATION: "chat",
            s.PROVIDER: "litespan",
            s.REQUEST_MODEL: MARK,
            s.RESPONSE_MODEL: MARK,
            s.RESPONSE_FINISH_REASONS: ("stop",),
            s.INPUT_TOKENS: 0,
            s.OUTPUT_TOKENS: 0,
            s.COST: 0.0,
            s.TAGS: (MARK,),
            s.OUTCOME: "success",
        },
        kind=SpanKind.CLIENT,
        start_time=now - 1_000_000,
        end_time=now,
        instrumentation_scope=InstrumentationScope(s.SCOPE, VERSION),
    )
