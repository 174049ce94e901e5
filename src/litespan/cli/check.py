"""`litespan check VENDOR`: send one marked call with the present settings, say what came of it."""

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
"""Model and tag of the test call: how to find it, and how to leave it out of statistics."""


def run(argv: Sequence[str]) -> int:
    """Check the named exporters; 0 if all took the call, 1 if one did not, 2 for bad input."""
    options = _parser().parse_args(argv)
    for name in options.exporter:
        if registry.find(name) is None:
            print(f"litespan check: {registry.unknown(name)}", file=sys.stderr)
            return 2
    logging.getLogger("litespan").addHandler(logging.NullHandler())  # what it says is said below
    logging.getLogger("litespan").propagate = False
    return max([_check(name) for name in options.exporter])


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="litespan check",
        description="Send one marked test call to a service with the present settings, and say "
        "what it answered. Its model and its tag are called " + MARK + ".",
    )
    parser.add_argument(
        "exporter", nargs="+", metavar="EXPORTER", help="as in OTEL_TRACES_EXPORTER: langfuse, …"
    )
    return parser


def _check(name: str) -> int:
    exporter: SpanExporter = registry.load(name)()
    span = marked_call()
    try:
        taken = exporter.export([span]) is SpanExportResult.SUCCESS and exporter.force_flush()
    finally:
        exporter.shutdown()
    context = span.get_span_context()
    trace = format_trace_id(context.trace_id if context else 0)
    line = f"took the test call: look for trace {trace}"
    if not taken:
        line = "did not take the test call"
    if isinstance(exporter, HttpExporter):
        line = told(exporter, line)
    elif not taken:
        line = getattr(exporter, "problem", "") or line
    print(f"{name}: {line}", file=sys.stdout if taken else sys.stderr)
    return 0 if taken else 1


def told(exporter: HttpExporter, line: str) -> str:
    """`line`, with where it was sent and, if it was not taken, why and what to mend."""
    if exporter.delivery is None:
        return exporter.problem or f"{line}: there is nothing to send it to"
    where = origin(exporter.delivery.client.url)
    for cause in exporter.last.dropped:
        said = exporter.last.reasons.get(cause)
        answer = f" ({where} said: {said})" if said else f" ({where})"
        return f"{cause}: {exporter.explain(cause)}{answer}"
    return f"{where} {line}"


def marked_call() -> ReadableSpan:
    """A finished call of a model that exists nowhere, of no tokens and no cost."""
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
