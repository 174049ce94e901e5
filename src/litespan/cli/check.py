"""`litespan check`: sends one marked test call with the current settings and shows the result."""

import argparse
import logging
import sys
import time
from collections.abc import Sequence
from typing import Final

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, TraceFlags, format_trace_id

from litespan import semconv as s
from litespan.cli import Parser
from litespan.export import registry
from litespan.export.client import origin
from litespan.export.http import HttpExporter
from litespan.version import VERSION

MARK: Final = "litespan-check"
"""Model and tag of the test call, to find it or to exclude it from statistics."""


def run(argv: Sequence[str]) -> int:
    """Check the exporters. Returns 0 if all accepted the call, 1 if not, 2 for bad input."""
    options = _parser().parse_args(argv)
    for name in options.exporter:
        if registry.find(name) is None:
            print(f"litespan check: {registry.unknown(name)}", file=sys.stderr)
            return 2
    logging.getLogger("litespan").addHandler(logging.NullHandler())  # the result is printed instead
    logging.getLogger("litespan").propagate = False
    return max([_check(name) for name in options.exporter])


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="litespan check",
        description="Send one test call to a service with the current settings, and show the "
        f"answer. The call's model and tag are {MARK}.",
    )
    parser.add_argument(
        "exporter", nargs="+", metavar="EXPORTER", help="as in OTEL_TRACES_EXPORTER: langfuse, …"
    )
    return parser


def _check(name: str) -> int:
    exporter: SpanExporter = registry.load(name)()
    span = make_test_call()
    try:
        accepted = exporter.export([span]) is SpanExportResult.SUCCESS and exporter.force_flush()
    finally:
        exporter.shutdown()
    context = span.get_span_context()
    trace = format_trace_id(context.trace_id if context else 0)
    line = f"accepted the test call: look for trace {trace}"
    if not accepted:
        line = "did not accept the test call"
    if isinstance(exporter, HttpExporter):
        line = _result(exporter, line)
    elif not accepted:
        line = getattr(exporter, "problem", "") or line
    print(f"{name}: {line}", file=sys.stdout if accepted else sys.stderr)
    return 0 if accepted else 1


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
